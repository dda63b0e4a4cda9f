/** A client of HTTP/2 that sends what it is told, and says in words what it is answered. */
import { connect } from 'node:net'
import { expect } from 'vitest'
import { indexed } from '../attacks/frames.ts'
import { frame, inWords, readFrames } from './http2-frames.ts'
import { EchoServer } from './http2-server.ts'
import { until } from './until.ts'

const PING = 6
const marker = Buffer.from('marker!!')

/** The headers of a request. */
export const post = Buffer.concat([indexed(3), indexed(6), indexed(4)])
/** A head; with flags 4 its request goes on. */
export const head = (stream: number, more: Buffer = Buffer.alloc(0), flags = 4) =>
  frame(1, flags, stream, Buffer.concat([post, more]))
/** A request without a body. */
export const get = (stream: number, more?: Buffer) => head(stream, more, 5)
/** The body of a request, or with flags 0 a part of it. */
export const data = (stream: number, text: string, flags = 1) => frame(0, flags, stream, Buffer.from(text))

/** Sends `bytes` to `server`, in pieces of `piece`, and a ping behind them; returns what is answered until that is. */
export async function exchange(
  bytes: readonly Buffer[],
  server = new EchoServer(),
  piece = Infinity,
): Promise<string[]> {
  const socket = connect(await server.listen(), '127.0.0.1')
  socket.on('error', () => {})
  const words: string[] = []
  let rest: Buffer = Buffer.alloc(0)
  let pings = 2
  const over = new Promise<void>(resolve => {
    socket.on('data', (chunk: Buffer) => {
      const read = readFrames(Buffer.concat([rest, chunk]))
      rest = read.rest
      for (const one of read.frames) {
        // What waited for a window is sent at the end of the turn, behind the first answer.
        if (one.type === PING && one.payload.equals(marker)) {
          if (--pings === 0) return resolve()
          socket.write(frame(PING, 0, 0, marker))
        } else words.push(inWords(one))
      }
    })
    socket.on('close', () => {
      words.push('closed')
      resolve()
    })
  })
  const all = Buffer.concat([...bytes, frame(PING, 0, 0, marker)])
  for (let at = 0; at < all.length; at += piece) {
    socket.write(all.subarray(at, at + piece))
    if (piece < Infinity) await new Promise(resolve => setImmediate(resolve))
  }
  await over
  const said = [...words]
  socket.destroy()
  await until(() => expect(server.heard).toContain('gone'), 5)
  server.close()
  // Nothing is left of a connection, whatever became of it.
  expect(server.budget.used).toBe(0)
  const count = (what: string) => server.heard.filter(line => line.endsWith(what)).length
  expect(count('closed')).toBe(count('opened'))
  expect(said.slice(0, 2)).toEqual(['SETTINGS', `WINDOW_UPDATE 0 ${(4 << 20) - 65_535}`])
  return said.slice(2).filter(word => word !== 'SETTINGS ack')
}
