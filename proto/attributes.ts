/**
 * Attribute lists on their bytes: finding one attribute, walking all of them. An attribute list is a repeated KeyValue
 * field of some message; which field that is differs, so its tag is always given.
 */
import { type Range, readKeyValue } from './values.ts'
import { Cursor, sameBytes, WireError } from './wire.ts'

/** Tags of the attribute lists: the byte that stands before each attribute of such a message. */
export const attributeTags = {
  resource: 0x0a,
  scope: 0x1a,
  span: 0x4a,
  event: 0x1a,
  link: 0x22,
  logRecord: 0x32,
  numberPoint: 0x3a,
  summaryPoint: 0x3a,
  histogramPoint: 0x4a,
  exponentialHistogramPoint: 0x0a,
  exemplar: 0x3a,
  metadata: 0x62,
} as const

/**
 * Length of the key when the KeyValue between `from` and `to` is written as all senders write it: key, then value, then
 * nothing. The key then starts at `from + 2`. Otherwise -1, and `readKeyValue` finds out.
 */
export function usualKey(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < 4 || bytes[from] !== 0x0a) return -1
  const length = bytes[from + 1]
  const at = from + 2 + length
  if (length > 0x7f || at + 1 >= to || bytes[at] !== 0x12) return -1
  const n = bytes[at + 1]
  if (n < 0x80) return at + 2 + n === to ? length : -1
  return at + 2 < to && bytes[at + 2] < 0x80 && at + 3 + ((n & 0x7f) | (bytes[at + 2] << 7)) === to ? length : -1
}

/** Where the content of the value starts in a KeyValue for which `usualKey` gave `length`. */
export function usualValue(bytes: Uint8Array, from: number, length: number): number {
  const at = from + 2 + length
  return bytes[at + 1] < 0x80 ? at + 2 : at + 3
}

/**
 * Finds the first attribute called `key` in the message between `start` and `end`, whose attribute list has `tag`, and
 * sets `out` to the content of its AnyValue. Says whether there is one.
 * @throws WireError where the bytes cannot be walked
 */
export function findAttribute(
  bytes: Uint8Array,
  start: number,
  end: number,
  tag: number,
  key: Uint8Array,
  out: Range,
): boolean {
  const walk = new AttributeWalk(bytes, start, end, tag)
  while (walk.next()) {
    const { from, to } = walk
    const length = usualKey(bytes, from, to)
    if (length >= 0) {
      if (length !== key.length || !sameBytes(bytes, from + 2, length, key)) continue
      out.set(bytes, usualValue(bytes, from, length), to)
      return true
    }
    if (findUnusual(bytes, from, to, key, out)) return true
  }
  return false
}

function findUnusual(bytes: Uint8Array, from: number, to: number, key: Uint8Array, out: Range): boolean {
  readKeyValue(bytes, from, to, out, out.other)
  if (!sameBytes(out.bytes, out.start, out.end - out.start, key)) return false
  out.set(out.other.bytes, out.other.start, out.other.end)
  return true
}

/** Goes from attribute to attribute of one list; what stands between them is skipped. */
export class AttributeWalk {
  readonly bytes: Uint8Array
  readonly end: number
  readonly tag: number
  /** Where the attribute's field starts, and its KeyValue's content. */
  field = 0
  from = 0
  to: number

  constructor(bytes: Uint8Array, start: number, end: number, tag: number) {
    this.bytes = bytes
    this.end = end
    this.tag = tag
    this.to = start
  }

  /** Moves to the next attribute and says whether there is one. */
  next(): boolean {
    const { bytes, end } = this
    let at = this.to
    while (at < end) {
      if (bytes[at] === this.tag && at + 2 < end) {
        let from = at + 2
        let length = bytes[at + 1]
        if (length > 0x7f && bytes[at + 2] < 0x80) {
          length = (length & 0x7f) | (bytes[at + 2] << 7)
          from = at + 3
        } else if (length > 0x7f) length = end
        if (from + length <= end) {
          this.field = at
          this.from = from
          this.to = from + length
          return true
        }
      }
      const cursor = new Cursor(bytes, at, end)
      const tag = cursor.tag()
      if (tag === this.tag) {
        const length = cursor.length()
        this.field = at
        this.from = cursor.at
        this.to = cursor.at + length
        return true
      }
      if (tag >>> 3 === this.tag >>> 3) throw new WireError(`attributes have wire type ${tag & 7}`)
      cursor.skip(tag)
      at = cursor.at
    }
    this.to = end
    return false
  }
}
