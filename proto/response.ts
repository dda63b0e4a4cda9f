/**
 * The answer of an OTLP server that took a request, which has one shape for all signals:
 *
 *   ExportXServiceResponse { ExportXPartialSuccess partial_success = 1 }
 *   ExportXPartialSuccess  { int64 rejected_x = 1; string error_message = 2 }
 */
import { putVarint64, readVarint64, varint64Size } from './varint64.ts'
import { Cursor, fieldSize, putVarint } from './wire.ts'

/** What a server rejected of a request it took. 0 with a message is a warning. */
export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

const empty = Buffer.alloc(0)

/** The bytes of a response: none when nothing was rejected and there is nothing to say. */
export function encodeResponse(rejected: number, message: string): Buffer {
  if (rejected === 0 && message === '') return empty
  const text = Buffer.from(message)
  const size = (rejected === 0 ? 0 : 1 + varint64Size(rejected)) + (text.length === 0 ? 0 : fieldSize(text.length))
  const out = Buffer.allocUnsafe(fieldSize(size))
  out[0] = 0x0a
  let at = putVarint(out, 1, size)
  if (rejected !== 0) {
    out[at++] = 0x08
    at = putVarint64(out, at, rejected)
  }
  if (text.length > 0) {
    out[at++] = 0x12
    at = putVarint(out, at, text.length)
    text.copy(out, at)
  }
  return out
}

/**
 * Reads a response; undefined when it has no partial_success, which is full success.
 * @throws WireError where the bytes are no protobuf
 */
export function decodeResponse(bytes: Uint8Array): PartialSuccess | undefined {
  const cursor = new Cursor(bytes)
  let found = false
  let rejected = 0
  let message = ''
  while (cursor.at < bytes.length) {
    cursor.end = bytes.length
    const tag = cursor.tag()
    if (tag !== 0x0a) {
      cursor.skip(tag)
      continue
    }
    found = true
    const end = cursor.length() + cursor.at
    cursor.end = end
    while (cursor.at < end) {
      const inner = cursor.tag()
      if (inner === 0x08) rejected = readVarint64(cursor)
      else if (inner === 0x12) {
        const length = cursor.length()
        message = Buffer.from(bytes.buffer, bytes.byteOffset + cursor.at, length).toString()
        cursor.at += length
      } else cursor.skip(inner)
    }
  }
  return found ? { rejected, message } : undefined
}
