/**
 * google.rpc.Status, the answer of a server that did not take a request, over gRPC (`grpc-status-details-bin`) and HTTP
 * (body):
 *
 *   Status    { int32 code = 1; string message = 2; repeated Any details = 3 }
 *   Any       { string type_url = 1; bytes value = 2 }
 *   RetryInfo { Duration retry_delay = 1 }
 *   Duration  { int64 seconds = 1; int32 nanos = 2 }
 */
import { putVarint64, readVarint64, varint64Size } from './varint64.ts'
import { Cursor, fieldSize, putVarint, varintSize } from './wire.ts'

/** The codes of gRPC by name. */
export const GrpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

const names: readonly string[] = Object.keys(GrpcCode)

/** The name of a code, or the number where it has none. */
export function grpcCodeName(code: number): string {
  return names[code] ?? `code ${code}`
}

/** What a server says of a request it did not take. */
export interface RpcStatus {
  /** One of `GrpcCode`. */
  readonly code: number
  readonly message: string
  /** RetryInfo: come again, not sooner than after this many milliseconds. */
  readonly retryDelay?: number
}

const retryInfo = Buffer.from('type.googleapis.com/google.rpc.RetryInfo')

/** The bytes of a Status; a `retryDelay` becomes a RetryInfo detail. */
export function encodeStatus(status: RpcStatus): Buffer {
  const { code, retryDelay } = status
  const message = Buffer.from(status.message)
  const detail = retryDelay === undefined ? undefined : retryDetail(retryDelay)
  const codeSize = code === 0 ? 0 : 1 + varintSize(code)
  const messageSize = message.length === 0 ? 0 : fieldSize(message.length)
  const out = Buffer.allocUnsafe(codeSize + messageSize + (detail ? fieldSize(detail.length) : 0))
  let at = 0
  if (codeSize > 0) {
    out[at++] = 0x08
    at = putVarint(out, at, code)
  }
  if (messageSize > 0) at = putBytes(out, at, 0x12, message)
  if (detail) putBytes(out, at, 0x1a, detail)
  return out
}

/** An Any with a RetryInfo of `delay` milliseconds. */
function retryDetail(delay: number): Buffer {
  const nanosTotal = Math.max(0, Math.round(delay * 1e6))
  const seconds = Math.floor(nanosTotal / 1e9)
  const nanos = nanosTotal % 1e9
  const durationSize = (seconds > 0 ? 1 + varint64Size(seconds) : 0) + (nanos > 0 ? 1 + varintSize(nanos) : 0)
  const infoSize = fieldSize(durationSize)
  const out = Buffer.allocUnsafe(fieldSize(retryInfo.length) + fieldSize(infoSize))
  let at = putBytes(out, 0, 0x0a, retryInfo)
  out[at++] = 0x12
  at = putVarint(out, at, infoSize)
  out[at++] = 0x0a
  at = putVarint(out, at, durationSize)
  if (seconds > 0) {
    out[at++] = 0x08
    at = putVarint64(out, at, seconds)
  }
  if (nanos > 0) {
    out[at++] = 0x10
    putVarint(out, at, nanos)
  }
  return out
}

function putBytes(out: Buffer, at: number, tag: number, content: Buffer): number {
  out[at++] = tag
  at = putVarint(out, at, content.length)
  return at + content.copy(out, at)
}

/** Reads a Status; undefined where the bytes are none. Details other than RetryInfo are passed over. */
export function decodeStatus(bytes: Uint8Array): RpcStatus | undefined {
  try {
    return readStatus(bytes)
  } catch {
    return undefined
  }
}

function readStatus(bytes: Uint8Array): RpcStatus {
  const cursor = new Cursor(bytes)
  let code = 0
  let message = ''
  let retryDelay: number | undefined
  while (cursor.at < bytes.length) {
    const tag = cursor.tag()
    if (tag === 0x08) code = readVarint64(cursor)
    else if (tag === 0x12) message = readText(cursor)
    else if (tag === 0x1a) retryDelay = readDetail(part(cursor)) ?? retryDelay
    else cursor.skip(tag)
  }
  return retryDelay === undefined ? { code, message } : { code, message, retryDelay }
}

/** A cursor over the content of a length-delimited field, which the given one is moved past. */
function part(cursor: Cursor): Cursor {
  const length = cursor.length()
  const start = cursor.at
  cursor.at = start + length
  return new Cursor(cursor.bytes, start, start + length)
}

function readText(cursor: Cursor): string {
  const { bytes, at, end } = part(cursor)
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString()
}

/** The delay of an Any in milliseconds, if it is a RetryInfo. */
function readDetail(any: Cursor): number | undefined {
  let type = ''
  let value: Cursor | undefined
  while (any.at < any.end) {
    const tag = any.tag()
    if (tag === 0x0a) type = readText(any)
    else if (tag === 0x12) value = part(any)
    else any.skip(tag)
  }
  // What stands before the last slash is free.
  if (type.slice(type.lastIndexOf('/') + 1) !== 'google.rpc.RetryInfo') return undefined
  return value === undefined ? 0 : Math.max(0, readRetryInfo(value))
}

function readRetryInfo(info: Cursor): number {
  let delay = 0
  while (info.at < info.end) {
    const tag = info.tag()
    if (tag === 0x0a) delay = readDuration(part(info))
    else info.skip(tag)
  }
  return delay
}

function readDuration(duration: Cursor): number {
  let seconds = 0
  let nanos = 0
  while (duration.at < duration.end) {
    const tag = duration.tag()
    if (tag === 0x08) seconds = readVarint64(duration)
    else if (tag === 0x10) nanos = readVarint64(duration)
    else duration.skip(tag)
  }
  return seconds * 1000 + nanos / 1e6
}
