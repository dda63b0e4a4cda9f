/** AnyValue: the value of an attribute or the body of a log record, read from and written to its bytes. */
import { Growing } from './growing.ts'
import { Cursor, fieldSize, maxDepth, putVarint, varintSize, WireError } from './wire.ts'

/** Members of AnyValue by field number; `NOTHING` is a value that was not set. */
export const NOTHING = 0
export const TEXT = 1
export const BOOL = 2
export const INT = 3
export const DOUBLE = 4
export const LIST = 5
export const MAP = 6
export const BYTES = 7

/** An AnyValue in JavaScript. Integers that a number cannot hold exactly are bigints; null is a value that was not set. */
export type Value = string | number | bigint | boolean | Uint8Array | null | Value[] | Map<string, Value>

/** A range of bytes, to be used again and again where an object per attribute would cost too much. */
export class Range {
  bytes: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  #other: Range | undefined

  /** A second range, for whoever needs two. */
  get other(): Range {
    return (this.#other ??= new Range())
  }

  set(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes
    this.start = start
    this.end = end
  }
}

/** Notes what `out` holds as a piece of a message that stands more than once. */
export function addPiece(pieces: Growing | undefined, { bytes, start, end }: Range): Growing {
  const all = pieces ?? new Growing(2 * (end - start) + 64, undefined)
  all.ensure(end - start)
  all.at += asBuffer(bytes).copy(all.bytes, all.at, start, end)
  return all
}

/** Merges the pieces, of which `out` holds the last. Not one after the other, which would take the square of their number. */
export function joinPieces(pieces: Growing | undefined, out: Range): void {
  if (pieces === undefined) return
  const { bytes, at } = addPiece(pieces, out)
  out.set(bytes, 0, at)
}

/**
 * Which member of AnyValue the bytes from `start` to `end` hold, and where: `out` is the content of a text, list, map or
 * bytes, or the value itself of a number. The member that stands last wins.
 */
export function valueKind(bytes: Uint8Array, start: number, end: number, out: Range): number {
  // The usual case: one text, in its shortest form.
  if (start + 1 < end && bytes[start] === 0x0a && bytes[start + 1] === end - start - 2 && end - start < 0x80) {
    out.set(bytes, start + 2, end)
    return TEXT
  }
  const cursor = new Cursor(bytes, start, end)
  let kind = NOTHING
  let pieces: Growing | undefined
  out.set(bytes, start, start)
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    const field = tag >>> 3
    const from = cursor.at
    if (tag !== tags[field]) {
      if (field < tags.length) throw new WireError(`value of an attribute has wire type ${tag & 7}`)
      cursor.skip(tag)
      continue
    }
    if ((tag & 7) !== 2) {
      cursor.skip(tag)
      out.set(bytes, from, cursor.at)
    } else {
      const length = cursor.length()
      const to = cursor.at + length
      // A list that stands twice is merged: the contents of both, one after the other.
      if (field === kind && (field === LIST || field === MAP)) pieces = addPiece(pieces, out)
      out.set(bytes, cursor.at, to)
      cursor.at = to
    }
    if (field !== kind) pieces = undefined
    kind = field
  }
  joinPieces(pieces, out)
  return kind
}

/** Tags of AnyValue's members by field number; the last, an index into a profile's texts, counts as not set. */
const tags = [-1, 0x0a, 0x10, 0x18, 0x21, 0x2a, 0x32, 0x3a, 0x40]

/** The AnyValue between `start` and `end`. @throws WireError where the bytes are none */
export function readValue(bytes: Uint8Array, start: number, end: number, depth = 0): Value {
  if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
  const range = new Range()
  const kind = valueKind(bytes, start, end, range)
  switch (kind) {
    case TEXT:
      return text(range.bytes, range.start, range.end)
    case BOOL: {
      const bits = readVarint64(range.bytes, range.start, range.end)
      return bits !== 0
    }
    case INT:
      return signed(readVarint64(range.bytes, range.start, range.end))
    case DOUBLE:
      return readDouble(range.bytes, range.start)
    case LIST:
      return readList(range.bytes, range.start, range.end, depth)
    case MAP:
      return readMap(range.bytes, range.start, range.end, depth)
    case BYTES:
      return range.bytes.subarray(range.start, range.end)
    default:
      return null
  }
}

function readList(bytes: Uint8Array, start: number, end: number, depth: number): Value[] {
  const values: Value[] = []
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag === 0x0a) {
      const to = cursor.length() + cursor.at
      values.push(readValue(bytes, cursor.at, to, depth + 2))
      cursor.at = to
    } else skipOther(cursor, tag, 1)
  }
  return values
}

function readMap(bytes: Uint8Array, start: number, end: number, depth: number): Map<string, Value> {
  const map = new Map<string, Value>()
  const cursor = new Cursor(bytes, start, end)
  const key = new Range()
  const value = new Range()
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag === 0x0a) {
      const to = cursor.length() + cursor.at
      readKeyValue(bytes, cursor.at, to, key, value)
      const name = text(key.bytes, key.start, key.end)
      if (!map.has(name)) map.set(name, readValue(value.bytes, value.start, value.end, depth + 3))
      cursor.at = to
    } else skipOther(cursor, tag, 1)
  }
  return map
}

/** Skips a field that is not one of those up to `known`, which would have another wire type than declared. */
function skipOther(cursor: Cursor, tag: number, known: number): void {
  if (tag >>> 3 <= known) throw new WireError(`field ${tag >>> 3} has wire type ${tag & 7}`)
  cursor.skip(tag)
}

/** Finds key and value of the KeyValue between `start` and `end`, in whatever order and however often they stand. */
export function readKeyValue(bytes: Uint8Array, start: number, end: number, key: Range, value: Range): void {
  const cursor = new Cursor(bytes, start, end)
  key.set(bytes, start, start)
  value.set(bytes, start, start)
  let values = 0
  let pieces: Growing | undefined
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag !== 0x0a && tag !== 0x12) {
      skipOther(cursor, tag, 2)
      continue
    }
    const to = cursor.length() + cursor.at
    if (tag === 0x0a) key.set(bytes, cursor.at, to)
    else {
      // A value that stands twice is merged.
      if (values++ > 0) pieces = addPiece(pieces, value)
      value.set(bytes, cursor.at, to)
    }
    cursor.at = to
  }
  joinPieces(pieces, value)
}

/** UTF-8 text; bytes that are none become U+FFFD. */
export function text(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString('utf8', start, end)
}

/** The same bytes as a Buffer, which has the quick readers. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The 64 bits of a varint, unsigned: a number where that is exact, else a bigint. */
export function readVarint64(bytes: Uint8Array, start: number, end: number): number | bigint {
  let low = 0
  let factor = 1
  let at = start
  // Seven bytes are 49 bits, which a number holds.
  for (; at < end && at < start + 7; at++) {
    low += (bytes[at] & 0x7f) * factor
    factor *= 128
    if (bytes[at] < 0x80) return low
  }
  let high = 0n
  for (let shift = 49n; at < end && shift < 70n; at++, shift += 7n) {
    high |= BigInt(bytes[at] & 0x7f) << shift
    if (bytes[at] < 0x80) return shrink(BigInt.asUintN(64, high | BigInt(low)))
  }
  throw new WireError(at < end ? 'varint over ten bytes' : `truncated varint at byte ${start}`)
}

/** Unsigned 64 bits as a signed number. */
export function signed(bits: number | bigint): number | bigint {
  return typeof bits === 'number' ? bits : shrink(BigInt.asIntN(64, bits))
}

function shrink(n: bigint): number | bigint {
  return n <= 0x1fffffffffffffn && n >= -0x1fffffffffffffn ? Number(n) : n
}

/** The double at `at`. */
export function readDouble(bytes: Uint8Array, at: number): number {
  return asBuffer(bytes).readDoubleLE(at)
}

/** What may be written as an AnyValue: a `Value`, or what a configuration file says. */
export type Writable = Value | undefined | readonly Writable[] | { readonly [key: string]: Writable }

/** The bytes of an AnyValue. Whole numbers become integers. */
export function encodeValue(value: Writable): Buffer {
  if (value === null || value === undefined) return Buffer.alloc(0)
  if (typeof value === 'string') return encodeField(0x0a, Buffer.from(value))
  if (typeof value === 'boolean') return Buffer.from([0x10, value ? 1 : 0])
  if (typeof value === 'bigint') return encodeInt(value)
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? encodeInt(value) : encodeDouble(value)
  }
  if (value instanceof Uint8Array) return encodeField(0x3a, value)
  if (Array.isArray(value)) {
    return encodeField(0x2a, Buffer.concat(value.map(item => encodeField(0x0a, encodeValue(item)))))
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return encodeField(
    0x32,
    Buffer.concat(entries.map(([key, item]) => encodeKeyValue(0x0a, Buffer.from(key), encodeValue(item)))),
  )
}

/** An AnyValue that is an integer. */
export function encodeInt(n: number | bigint): Buffer {
  let bits = BigInt.asUintN(64, BigInt(n))
  const out = [0x18]
  while (bits > 0x7fn) {
    out.push(Number(bits & 0x7fn) | 0x80)
    bits >>= 7n
  }
  out.push(Number(bits))
  return Buffer.from(out)
}

/** An AnyValue that is a double. */
export function encodeDouble(n: number): Buffer {
  const out = Buffer.alloc(9)
  out[0] = 0x21
  out.writeDoubleLE(n, 1)
  return out
}

/** A length-delimited field with a tag of one byte. */
export function encodeField(tag: number, content: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(fieldSize(content.length))
  out[0] = tag
  out.set(content, putVarint(out, 1, content.length))
  return out
}

/** A whole attribute, as a field with `tag`. `value` is the content of an AnyValue. */
export function encodeKeyValue(tag: number, key: Uint8Array, value: Uint8Array): Buffer {
  const size = fieldSize(key.length) + fieldSize(value.length)
  const out = Buffer.allocUnsafe(1 + varintSize(size) + size)
  out[0] = tag
  let at = putVarint(out, 1, size)
  out[at++] = 0x0a
  at = putVarint(out, at, key.length)
  out.set(key, at)
  at += key.length
  out[at++] = 0x12
  at = putVarint(out, at, value.length)
  out.set(value, at)
  return out
}

/** The KeyValue between `from` and `to` with another value, as a field with `tag`; fields that are not known are kept. */
export function withValue(bytes: Uint8Array, from: number, to: number, tag: number, value: Uint8Array): Buffer {
  const parts: Uint8Array[] = []
  const cursor = new Cursor(bytes, from, to)
  while (cursor.at < to) {
    const at = cursor.at
    const fieldTag = cursor.tag()
    cursor.skip(fieldTag)
    if (fieldTag !== 0x12) parts.push(bytes.subarray(at, cursor.at))
  }
  parts.push(encodeField(0x12, value))
  return encodeField(tag, Buffer.concat(parts))
}

/** A value as the Collector writes it where text is wanted: lists and maps as JSON with its keys sorted, bytes as base64. */
export function valueText(value: Value): string {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  if (value instanceof Uint8Array) return asBuffer(value).toString('base64')
  if (typeof value === 'object') return json(value)
  return String(value)
}

const numberText = (n: number): string => (Object.is(n, -0) ? '-0' : String(n))

function json(value: Value): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return jsonText(value)
  if (value instanceof Uint8Array) return jsonText(valueText(value))
  if (Array.isArray(value)) return `[${value.map(json).join(',')}]`
  if (value instanceof Map) {
    const entries = [...value].toSorted(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, item]) => `${jsonText(key)}:${json(item)}`).join(',')}}`
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return JSON.stringify(String(value))
  return valueText(value)
}

/** A text in JSON, escaped as Go does it: also what could end a script in HTML. */
const jsonText = (text: string): string =>
  JSON.stringify(text).replaceAll(
    /[<>&\u2028\u2029]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
