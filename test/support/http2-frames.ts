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

/** A frame that was read. */
export interface ReadFrame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Takes whole frames off the front of `bytes`; returns them and what is left. */
export function readFrames(bytes: Buffer): { frames: ReadFrame[]; rest: Buffer } {
  const frames: ReadFrame[] = []
  let at = 0
  while (bytes.length - at >= 9 && bytes.length - at >= 9 + bytes.readUIntBE(at, 3)) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff
    frames.push({ type: bytes[at + 3], flags: bytes[at + 4], stream, payload: bytes.subarray(at + 9, end) })
    at = end
  }
  return { frames, rest: bytes.subarray(at) }
}

const types = 'DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION'.split(' ')
const codes =
  'NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM'.split(
    ' ',
  )

/** A frame in words: `RST_STREAM 1 CANCEL`, `DATA 3 12 bytes`, `HEADERS 3 end`. */
export function inWords({ type, flags, stream, payload }: ReadFrame): string {
  const name = types[type] ?? `type ${type}`
  const end = (flags & 1) !== 0 ? ' end' : ''
  switch (name) {
    case 'DATA':
      return `DATA ${stream} ${payload.length} bytes${end}`
    case 'RST_STREAM':
      return `RST_STREAM ${stream} ${codes[payload.readUInt32BE()]}`
    case 'GOAWAY':
      return `GOAWAY ${payload.readUInt32BE()} ${codes[payload.readUInt32BE(4)]}`
    case 'WINDOW_UPDATE':
      return `WINDOW_UPDATE ${stream} ${payload.readUInt32BE()}`
    case 'SETTINGS':
    case 'PING':
      return name + (end && ' ack')
    default:
      return `${name} ${stream}${end}`
  }
}
