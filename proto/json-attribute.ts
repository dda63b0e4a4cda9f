/**
 * The usual attribute of OTLP/JSON, `{"key":"...","value":{"stringValue":"..."}}` without white space, read in one go.
 * Most of a request is made of these, and what reads any object takes twice as long for them.
 */
import { CLOSE_OBJECT, type JsonScanner, special } from './json-scan.ts'
import type { ProtoSink } from './json-sink.ts'

const fours = (text: string, ...at: readonly number[]) => at.map(i => Buffer.from(text).readInt32LE(i))

// What stands around key and value, four bytes each. The pieces may overlap.
const [start0, start1] = fours('{"key":"', 0, 4)
const [middle0, middle1, middle2] = fours('","value":{', 0, 4, 7)
const [text0, text1, text2, text3] = fours('"stringValue":"', 0, 4, 8, 11)

const middleLength = 10
const textLength = 16

/** Longer ones are left to the general reader, so that lengths take one byte each. */
const longest = 0x7f

/** What was read: nothing, an attribute, or its key only, with the cursor at the value's bracket. */
export const NONE = 0
export const WHOLE = 1
export const KEY_ONLY = 2

/**
 * Reads the attribute at the cursor and writes it with `tag`, which takes one byte. When the value is none of the usual,
 * its key is written, after two bytes for tag and length, and the value is left to the caller.
 */
export function readAttribute(scan: JsonScanner, sink: ProtoSink, tag: number): number {
  const { view, end } = scan
  const { bytes: out, view: outView, at } = sink
  let from = scan.at
  // Every read below is within the longest attribute.
  if (from + 2 * longest + 64 > end) return NONE
  if (view.getInt32(from, true) !== start0 || view.getInt32(from + 4, true) !== start1) return NONE
  from += 8
  const key = copyPlain(view, from, outView, at + 4)
  from += key
  if (key === 0 || !isMiddle(view, from)) return NONE
  from += middleLength
  out[at + 2] = 0x0a
  out[at + 3] = key
  if (isText(view, from)) {
    const start = from + textLength
    const value = copyPlain(view, start, outView, at + 8 + key)
    const size = key + value + 6
    const next = start + value
    if (size <= longest && view.getUint16(next) === 0x227d && view.getUint8(next + 2) === CLOSE_OBJECT) {
      out[at] = tag
      out[at + 1] = size
      out[at + 4 + key] = 0x12
      out[at + 5 + key] = value + 2
      out[at + 6 + key] = 0x0a
      out[at + 7 + key] = value
      sink.at = at + 8 + key + value
      scan.at = next + 3
      return WHOLE
    }
  }
  sink.at = at + 4 + key
  scan.at = from
  return KEY_ONLY
}

const isMiddle = (view: DataView, at: number): boolean =>
  view.getInt32(at, true) === middle0 &&
  view.getInt32(at + 4, true) === middle1 &&
  view.getInt32(at + 7, true) === middle2

const isText = (view: DataView, at: number): boolean =>
  view.getInt32(at + 1, true) === text0 &&
  view.getInt32(at + 5, true) === text1 &&
  view.getInt32(at + 9, true) === text2 &&
  view.getInt32(at + 12, true) === text3

/** Copies what stands before the first quote, backslash or control character and gives its length; 0 when that is too long. */
function copyPlain(from: DataView, start: number, to: DataView, at: number): number {
  for (let i = 0; i < longest; i += 4) {
    const four = from.getInt32(start + i, true)
    to.setInt32(at + i, four, true)
    const found = special(four)
    if (found !== 0) return i + ((31 - Math.clz32(found & -found)) >> 3)
  }
  return 0
}
