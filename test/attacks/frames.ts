/** HTTP/2 as bytes, written by hand: what no client library would send. */
import { frame } from '../support/http2-frames.ts'

export { frame }

/** Types of frames. */
export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

/** Flags. */
export const ACK = 1
export const END_STREAM = 1
export const END_HEADERS = 4
export const PADDED = 8

/** What a connection begins with. */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** A number of 32 bits. */
export function uint32(n: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}

/** Settings by their identifiers. */
export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const pairs = Object.entries(values).map(([id, value]) =>
    Buffer.concat([Buffer.from([0, Number(id)]), uint32(value)]),
  )
  return frame(SETTINGS, 0, 0, Buffer.concat(pairs))
}

/** Identifiers of settings. */
export const HEADER_TABLE_SIZE = 1
export const INITIAL_WINDOW_SIZE = 4

/** A number of HPACK with a prefix of so many bits, the others of the first byte being `first`. */
export function hpackInt(n: number, bits: number, first = 0): Buffer {
  const most = (1 << bits) - 1
  if (n < most) return Buffer.from([first | n])
  const bytes = [first | most]
  let left = n - most
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return Buffer.from([...bytes, left])
}

const hpackText = (text: string): Buffer => Buffer.concat([hpackInt(Buffer.byteLength(text), 7), Buffer.from(text)])

/** A header that is not remembered. */
export const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0]), hpackText(name), hpackText(value)])

/** A header that the other side has to remember. */
export const remembered = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0x40]), hpackText(name), hpackText(value)])

/** A header that was remembered; 62 is the latest. */
export const indexed = (index: number): Buffer => hpackInt(index, 7, 0x80)

/** Another size of the table of headers. */
export const tableSize = (size: number): Buffer => hpackInt(size, 5, 0x20)

/** The head of a gRPC call. */
export function callHead(path: string, more: readonly Buffer[] = []): Buffer {
  return Buffer.concat([
    literal(':method', 'POST'),
    literal(':scheme', 'http'),
    literal(':path', path),
    literal(':authority', 'a'),
    literal('content-type', 'application/grpc'),
    literal('te', 'trailers'),
    ...more,
  ])
}

/** A message of gRPC: its prefix, which may announce another length, and its bytes. */
export function message(body: Uint8Array, { compressed = false, announced = body.length } = {}): Buffer {
  return Buffer.concat([Buffer.from([compressed ? 1 : 0]), uint32(announced), body])
}
