/** Single labels as bytes: the form they have in a series of remote write 1.0. */
import { isUtf8 } from 'node:buffer'
import type { Besides, Pair } from './label-base.ts'
import { Range, readKeyValue, text } from '../../proto/values.ts'
import { Cursor, putVarint, varintSize } from '../../proto/wire.ts'

/** Whether bytes are UTF-8; what is not cannot be a label. */
export function isText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] > 0x7f) return isUtf8(bytes.subarray(start, end))
  return true
}

/** A length-delimited field in a buffer of its own. */
export function encodedField(tag: number, content: Buffer): Buffer {
  const out = Buffer.allocUnsafeSlow(1 + varintSize(content.length) + content.length)
  out[0] = tag
  out.set(content, putVarint(out, 1, content.length))
  return out
}

/** A label as a field of a series. */
export function encodedLabel([name, value]: Pair): Buffer {
  return encodedField(
    0x0a,
    Buffer.concat([encodedField(0x0a, Buffer.from(name)), encodedField(0x12, Buffer.from(value))]),
  )
}

/** The labels between `start` and `end` as texts. */
export function labelPairs(bytes: Uint8Array, start: number, end: number): Pair[] {
  const pairs: Pair[] = []
  const cursor = new Cursor(bytes, start, end)
  const key = new Range()
  const value = new Range()
  while (cursor.at < end) {
    cursor.tag()
    const to = cursor.length() + cursor.at
    readKeyValue(bytes, cursor.at, to, key, value)
    pairs.push([text(key.bytes, key.start, key.end), text(value.bytes, value.start, value.end)])
    cursor.at = to
  }
  return pairs
}

/** Labels that depend on the kind of series; where each belongs among the others is known beforehand. */
export type Extra = 'name' | Besides

/** Their names, in order. */
export const extras = ['__name__', 'le', 'quantile']

/** Where the place of each stands in a list of places. */
export const placeOf: Readonly<Record<Extra, number>> = { name: 0, le: 1, quantile: 2 }
