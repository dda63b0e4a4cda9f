/** HTTP/2 written by hand, to send what no client would. */
import { connect, type Socket } from 'node:net'

/** One frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** What a client says first, with the window it gives to answers. */
export function preface(window?: number): Buffer {
  const settings = Buffer.alloc(window === undefined ? 0 : 6)
  if (window !== undefined) {
    settings.writeUInt16BE(4, 0)
    settings.writeUInt32BE(window, 2)
  }
  return Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, settings)])
}

/** The head of a call to `path`, as literals that no table keeps. */
export function head(path: string): Buffer {
  const literal = (name: string, value: string) =>
    Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
  return Buffer.concat([
    literal(':method', 'POST'),
    literal(':scheme', 'http'),
    literal(':path', path),
    literal(':authority', 'x'),
    literal('content-type', 'application/grpc'),
    literal('te', 'trailers'),
  ])
}

/** A connection to `port`, from another address of this machine where one is given. */
export function attacker(port: number, from = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  socket.on('error', () => {})
  socket.resume()
  return socket
}
