/** 64-bit varints as numbers: exact up to 2^53, which is enough for counts and durations. */
import type { Cursor } from './wire.ts'

/** Bytes of `n` as a varint; a negative number takes ten, as protobuf writes it. */
export function varint64Size(n: number): number {
  if (n < 0) return 10
  let size = 1
  for (; n > 0x7f; n = Math.floor(n / 0x80)) size++
  return size
}

/** Writes the whole number `n` at `at` as an int64 and returns where it ends. */
export function putVarint64(out: Uint8Array, at: number, n: number): number {
  if (n >= 0) {
    for (; n > 0x7f; n = Math.floor(n / 0x80)) out[at++] = (n % 0x80) | 0x80
    out[at++] = n
    return at
  }
  // Two's complement of n is the complement of -n - 1.
  let rest = -n - 1
  for (let i = 0; i < 9; i++, rest = Math.floor(rest / 0x80)) out[at++] = (~(rest % 0x80) & 0x7f) | 0x80
  out[at++] = 1
  return at
}

/** Reads an int64 at the cursor. */
export function readVarint64(cursor: Cursor): number {
  const { bytes, at } = cursor
  cursor.skipVarint()
  const negative = cursor.at - at === 10 && (bytes[at + 9] & 1) === 1
  let n = 0
  for (let i = Math.min(cursor.at, at + 9) - 1; i >= at; i--) {
    n = n * 0x80 + ((negative ? ~bytes[i] : bytes[i]) & 0x7f)
  }
  return negative ? -n - 1 : n
}

/** Reads a uint64 at the cursor. */
export function readUint64(cursor: Cursor): number {
  const { bytes, at } = cursor
  if (at < cursor.end && bytes[at] < 0x80) {
    cursor.at++
    return bytes[at]
  }
  cursor.skipVarint()
  let n = 0
  for (let i = cursor.at - 1; i >= at; i--) n = n * 0x80 + (bytes[i] & 0x7f)
  return n
}
