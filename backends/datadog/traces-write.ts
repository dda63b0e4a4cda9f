/** Fields of Datadog's protobuf messages, written front to back. Small copies are loops, which cost less than a call. */
import { isUtf8 } from 'node:buffer'
import type { Growing } from '../../proto/growing.ts'
import { text } from '../../proto/values.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'

/** Longest key and value of a tag, in bytes; what is longer is cut, as the Agent does. */
const maxKeyLength = 200
const maxValueLength = 25_000
const dots = Buffer.from('...')

/** Appends the bytes from `start` to `end`. */
export function putBytes(out: Growing, bytes: Uint8Array, start: number, end: number): void {
  const length = end - start
  out.ensure(length)
  const to = out.bytes
  let { at } = out
  if (length < 40) for (let i = start; i < end; i++) to[at++] = bytes[i]
  else {
    to.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at)
    at += length
  }
  out.at = at
}

/** Whether the bytes are UTF-8. Senders are not asked when their data comes in; Datadog takes nothing of a payload that is not. */
export function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start >= 40) return isUtf8(bytes.subarray(start, end))
  let all = 0
  for (let i = start; i < end; i++) all |= bytes[i]
  return all < 0x80 || isUtf8(bytes.subarray(start, end))
}

/** Mends what was appended from `start` on, where it is no text: what is wrong becomes U+FFFD. */
export function mend(out: Growing, start: number): void {
  if (isText(out.bytes, start, out.at)) return
  const mended = text(out.bytes, start, out.at)
  out.at = start
  putText(out, mended)
}

/** Where to cut a text that stands from `start` on, so that it has at most `max` bytes and no part of a character. */
export function cutAt(bytes: Uint8Array, start: number, max: number): number {
  let end = start + max
  while (end > start && (bytes[end] & 0xc0) === 0x80) end--
  return end
}

/** Appends a text. */
export function putText(out: Growing, text: string): void {
  out.ensure(text.length * 3)
  out.at += out.bytes.write(text, out.at)
}

/** Starts a length-delimited field for which `width` bytes of length are expected; hand what it returns to `close`. */
export function open(out: Growing, tag: number, width: number): number {
  out.ensure(6)
  out.bytes[out.at] = tag
  out.at += 1 + width
  return out.at
}

/** Ends the field that was opened: sets its length, moving the content when that has another width. */
export function close(out: Growing, content: number, width: number): void {
  const size = out.at - content
  const actual = varintSize(size)
  if (actual !== width) {
    out.ensure(5)
    out.bytes.copyWithin(content - width + actual, content, out.at)
    out.at += actual - width
  }
  putVarint(out.bytes, content - width, size)
}

/** Appends a text field; nothing for an empty one, which is the default. */
export function putTextField(out: Growing, tag: number, text: string): void {
  if (text === '') return
  const content = open(out, tag, 1)
  putText(out, text)
  close(out, content, 1)
}

/** Appends a field that is a varint of 64 bits; nothing for 0. */
export function putNumberField(out: Growing, tag: number, low: number, high: number): void {
  if (low === 0 && high === 0) return
  out.ensure(11)
  const { bytes } = out
  let { at } = out
  bytes[at++] = tag
  while (high !== 0) {
    bytes[at++] = (low & 0x7f) | 0x80
    low = ((low >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  out.at = putVarint(bytes, at, low)
}

/** Appends an entry of a map of texts, whose field is `tag`. */
export function putEntry(
  out: Growing,
  tag: number,
  key: Uint8Array,
  keyStart: number,
  keyLength: number,
  value: Uint8Array,
  start: number,
  end: number,
): void {
  const fits = keyLength <= maxKeyLength && end - start <= maxValueLength
  if (!fits || !isText(value, start, end) || !isText(key, keyStart, keyStart + keyLength)) {
    putUnusualEntry(out, tag, key.subarray(keyStart, keyStart + keyLength), value.subarray(start, end))
    return
  }
  const length = end - start
  const size = 2 + varintSize(keyLength) + keyLength + varintSize(length) + length
  out.ensure(size + 6)
  const to = out.bytes
  let { at } = out
  to[at++] = tag
  at = putVarint(to, at, size)
  to[at++] = 0x0a
  at = putVarint(to, at, keyLength)
  if (keyLength < 40) for (let i = 0; i < keyLength; i++) to[at + i] = key[keyStart + i]
  else to.set(key.subarray(keyStart, keyStart + keyLength), at)
  at += keyLength
  to[at++] = 0x12
  out.at = putVarint(to, at, length)
  putBytes(out, value, start, end)
}

/** One that is too long, or no text. */
function putUnusualEntry(out: Growing, tag: number, key: Uint8Array, value: Uint8Array): void {
  putEntryOfAnyLength(out, tag, cut(mended(key), maxKeyLength), cut(mended(value), maxValueLength))
}

const mended = (bytes: Uint8Array): Uint8Array =>
  isText(bytes, 0, bytes.length) ? bytes : Buffer.from(text(bytes, 0, bytes.length))

/** Appends an entry whose value is never cut, such as a JSON text. */
export function putEntryOfAnyLength(out: Growing, tag: number, key: Uint8Array, value: Uint8Array): void {
  const size = 2 + varintSize(key.length) + key.length + varintSize(value.length) + value.length
  out.ensure(size + 6)
  const to = out.bytes
  let { at } = out
  to[at++] = tag
  at = putVarint(to, at, size)
  to[at++] = 0x0a
  at = putVarint(to, at, key.length)
  to.set(key, at)
  at += key.length
  to[at++] = 0x12
  at = putVarint(to, at, value.length)
  to.set(value, at)
  out.at = at + value.length
}

/** At most `max` bytes, cut between characters, with three dots where something is missing. */
function cut(bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.length <= max) return bytes
  return Buffer.concat([bytes.subarray(0, cutAt(bytes, 0, max - dots.length)), dots])
}

/** Appends an entry of a map of doubles, whose field is `tag`. */
export function putDoubleEntry(
  out: Growing,
  tag: number,
  key: Uint8Array,
  start: number,
  length: number,
  n: number,
): void {
  if (length > maxKeyLength || !isText(key, start, start + length)) {
    const whole = cut(mended(key.subarray(start, start + length)), maxKeyLength)
    putDoubleEntry(out, tag, whole, 0, whole.length, n)
    return
  }
  const size = 10 + varintSize(length) + length
  out.ensure(size + 6)
  const to = out.bytes
  let { at } = out
  to[at++] = tag
  at = putVarint(to, at, size)
  to[at++] = 0x0a
  at = putVarint(to, at, length)
  for (let i = 0; i < length; i++) to[at + i] = key[start + i]
  at += length
  to[at++] = 0x11
  out.view.setFloat64(at, n, true)
  out.at = at + 8
}

/** The bytes of an entry of a map of texts. */
export function entryOf(tag: number, key: string, value: string): Buffer {
  const keyBytes = cut(Buffer.from(key), maxKeyLength)
  const valueBytes = cut(Buffer.from(value), maxValueLength)
  const size = 2 + varintSize(keyBytes.length) + keyBytes.length + varintSize(valueBytes.length) + valueBytes.length
  const out = Buffer.alloc(1 + varintSize(size) + size)
  out[0] = tag
  let at = putVarint(out, 1, size)
  out[at++] = 0x0a
  at = putVarint(out, at, keyBytes.length)
  out.set(keyBytes, at)
  at += keyBytes.length
  out[at++] = 0x12
  at = putVarint(out, at, valueBytes.length)
  out.set(valueBytes, at)
  return out
}
