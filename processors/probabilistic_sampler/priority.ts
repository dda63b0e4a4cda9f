import { DOUBLE, INT, type Range, readValue, TEXT, valueKind } from '../../proto/values.ts'

const isNumber = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i
/** Longer texts are no numbers that anybody writes. */
const longest = 64

/**
 * The number that an item asks for with the value between `start` and `end`: a number, or a text that is one; NaN for anything
 * else. `range` is used on the way.
 */
export function askedFor(bytes: Uint8Array, start: number, end: number, range: Range): number {
  const kind = valueKind(bytes, start, end, range)
  if (kind !== INT && kind !== DOUBLE && (kind !== TEXT || range.end - range.start > longest)) return Number.NaN
  const value = readValue(bytes, start, end)
  return typeof value === 'string' && !isNumber.test(value) ? Number.NaN : Number(value)
}
