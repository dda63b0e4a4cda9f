/**
 * Structured metadata of a Loki entry, written from OTLP attributes: `structuredMetadata` fields (tag 0x1a) of name (1)
 * and value (2), as Loki's own OTLP endpoint makes them: names without dots, maps flattened, what is no text as text.
 */
import { Growing, type Memory } from '../../proto/growing.ts'
import { Halves, putUnsigned64, putSigned64 } from '../../proto/json-digits.ts'
import { MetadataName, MetadataNames } from './metadata-names.ts'
import { lokiName } from './names.ts'
import { usualKey, usualValue } from '../../proto/attributes.ts'
import { lokiText } from './text.ts'
import { MAP, Range, readDouble, readKeyValue, text, valueKind, valueText } from '../../proto/values.ts'
import { Cursor, maxDepth, putVarint, sameBytes, varintSize, WireError } from '../../proto/wire.ts'

/** Tag of one entry of structured metadata. */
const ENTRY = 0x1a

/** The two hex digits of each byte, as they stand in memory. */
const hexPairs = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(byte.toString(16).padStart(2, '0')).readUInt16LE(),
)

/** Longer contents are copied by a call, which costs as much as some words. */
const shortCopy = 120

/** Names of attributes that are left out, as bytes. */
export type Skipped = readonly Uint8Array[]

const nothing: Skipped = []

/** Writes entries, and counts what Loki's limits count: their number and the bytes of names and values. */
export class MetadataWriter extends Growing {
  entries = 0
  size = 0
  /** What may be written; beyond it `left` counts instead. */
  maxEntries = Infinity
  maxSize = Infinity
  left = 0
  readonly #key = new Range()
  readonly #value = new Range()
  readonly #inner = new Range()
  readonly #halves = new Halves()
  readonly #cursor: Cursor
  /** Made at its first use: a table that a writer of a few labels has no need of. */
  #names: MetadataNames | undefined
  #source: Buffer
  #input: DataView

  /** @param names those met before */
  constructor(size: number, memory: Memory | undefined, names?: MetadataNames) {
    super(size, memory)
    this.#names = names
    this.#source = this.bytes
    this.#input = this.view
    this.#cursor = new Cursor(this.bytes)
  }

  /** Counts from nothing again. */
  recount(): void {
    this.entries = 0
    this.size = 0
    this.left = 0
  }

  /** Writes the attributes that stand with `tag` in the message between `start` and `end`, but for those named in `skipped`. */
  attributes(bytes: Buffer, start: number, end: number, tag: number, skipped: Skipped = nothing): void {
    let at = start
    while (at < end) {
      let from = at + 2
      let to = end + 1
      if (bytes[at] === tag && from < end) {
        const length = bytes[at + 1]
        if (length < 0x80) to = from + length
        else if (bytes[from] < 0x80) to = ++from + ((length & 0x7f) | (bytes[at + 2] << 7))
      }
      if (to > end) {
        // Something else, or something long.
        const cursor = this.#cursor.set(bytes, at, end)
        const found = cursor.tag()
        if (found !== tag) {
          if (found >>> 3 === tag >>> 3) throw new WireError(`attributes have wire type ${found & 7}`)
          cursor.skip(found)
          at = cursor.at
          continue
        }
        const length = cursor.length()
        from = cursor.at
        to = from + length
      }
      if (skipped.length === 0 || !this.#isSkipped(bytes, from, to, skipped)) this.#attribute(bytes, from, to)
      at = to
    }
  }

  #isSkipped(bytes: Buffer, from: number, to: number, skipped: Skipped): boolean {
    const key = this.#key
    readKeyValue(bytes, from, to, key, this.#value)
    const length = key.end - key.start
    return skipped.some(name => sameBytes(key.bytes, key.start, length, name))
  }

  #attribute(bytes: Buffer, from: number, to: number): void {
    const length = usualKey(bytes, from, to)
    if (length < 0) return this.#unusual(bytes, from, to)
    const value = usualValue(bytes, from, length)
    const size = to - value
    const keyStart = from + 2
    const tag = bytes[value]
    if (tag === 0x0a) {
      const first = bytes[value + 1]
      if (first < 0x80) {
        if (first === size - 2) return this.text(this.#nameOf(bytes, keyStart, length), bytes, value + 2, to)
      } else if (bytes[value + 2] < 0x80 && ((first & 0x7f) | (bytes[value + 2] << 7)) === size - 3) {
        return this.text(this.#nameOf(bytes, keyStart, length), bytes, value + 3, to)
      }
    } else if (tag === 0x18 && size < 12 && isVarint(bytes, value + 1, to)) {
      const halves = this.#halves
      halves.setVarint(bytes, value + 1, to)
      return this.number(this.#nameOf(bytes, keyStart, length), halves.low, halves.high, true)
    } else if (tag === 0x21 && size === 9) {
      return this.#ascii(this.#nameOf(bytes, keyStart, length), valueText(readDouble(bytes, value + 1)))
    } else if (tag === 0x10 && size === 2 && bytes[value + 1] < 2) {
      return this.#ascii(this.#nameOf(bytes, keyStart, length), valueText(bytes[value + 1] === 1))
    }
    this.#any(lokiName(text(bytes, keyStart, keyStart + length)), bytes, value, to, 0)
  }

  #unusual(bytes: Buffer, from: number, to: number): void {
    const key = this.#key
    const value = this.#value
    readKeyValue(bytes, from, to, key, value)
    this.#any(lokiName(text(key.bytes, key.start, key.end)), value.bytes, value.start, value.end, 0)
  }

  /** A value of any kind; a map becomes an entry per member. */
  #any(name: string, bytes: Uint8Array, start: number, end: number, depth: number): void {
    if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
    const range = this.#inner
    const kind = valueKind(bytes, start, end, range)
    if (kind === MAP) return this.#map(name, range.bytes, range.start, range.end, depth)
    const value = Buffer.from(lokiText(bytes, start, end))
    this.pair(name, value, 0, value.length)
  }

  #map(name: string, bytes: Uint8Array, start: number, end: number, depth: number): void {
    const cursor = new Cursor(bytes, start, end)
    const key = new Range()
    const value = new Range()
    while (cursor.at < end) {
      const tag = cursor.tag()
      if (tag !== 0x0a) {
        cursor.skip(tag)
        continue
      }
      const length = cursor.length()
      const from = cursor.at
      cursor.at = from + length
      readKeyValue(bytes, from, cursor.at, key, value)
      const inner = lokiName(`${name}_${text(key.bytes, key.start, key.end)}`)
      this.#any(inner, value.bytes, value.start, value.end, depth + 3)
    }
  }

  /** A name as it is in Loki, and a text. */
  pair(name: string, bytes: Buffer, start: number, end: number): void {
    this.text(new MetadataName(name), bytes, start, end)
  }

  /** A name and a text. */
  text(name: MetadataName, bytes: Buffer, start: number, end: number): void {
    const length = end - start
    if (this.#full(name.size + length)) {
      this.left++
      return
    }
    const size = name.length + varintSize(length) + length
    this.ensure(size + 12)
    const out = this.bytes
    out[this.at] = ENTRY
    const at = this.#name(name, putVarint(out, this.at + 1, size))
    this.at = this.put(bytes, start, end, putVarint(out, at, length))
    this.entries++
    this.size += name.size + length
  }

  /** A name and a short text of ASCII. */
  #ascii(name: MetadataName, value: string): void {
    const { length } = value
    if (this.#full(name.size + length)) {
      this.left++
      return
    }
    const size = name.length + varintSize(length) + length
    this.ensure(size + 12)
    const out = this.bytes
    out[this.at] = ENTRY
    const at = putVarint(out, this.#name(name, putVarint(out, this.at + 1, size)), length)
    for (let i = 0; i < length; i++) out[at + i] = value.charCodeAt(i)
    this.at = at + length
    this.entries++
    this.size += name.size + length
  }

  /** A name and a number of one digit. */
  digit(name: MetadataName, n: number): void {
    this.ensure(name.length + 12)
    const out = this.bytes
    const { at } = this
    out[at] = ENTRY
    const next = this.#name(name, putVarint(out, at + 1, name.length + 2))
    out[next] = 1
    out[next + 1] = 0x30 + n
    this.at = next + 2
    this.entries++
    this.size += name.size + 1
  }

  /** A name and 64 bits as a number. */
  number(name: MetadataName, low: number, high: number, signed = false): void {
    if (this.#full(name.size + 20)) {
      this.left++
      return
    }
    if (high === 0 && low < 10) return this.digit(name, low)
    this.ensure(name.length + 32)
    const out = this.bytes
    const at = this.at
    const room = name.length + 21 > 0x7f ? 2 : 1
    const next = this.#name(name, at + 1 + room)
    const last = signed ? putSigned64(out, next + 1, low, high) : putTime(out, this.view, next + 1, low, high)
    const size = last - at - 1 - room
    out[at] = ENTRY
    // The length may take two bytes where one would do, which protobuf allows.
    if (room === 1) out[at + 1] = size
    else {
      out[at + 1] = (size & 0x7f) | 0x80
      out[at + 2] = size >>> 7
    }
    out[next] = last - next - 1
    this.at = last
    this.entries++
    this.size += name.size + last - next - 1
  }

  /** A name and bytes in hex; none where all are 0. */
  hex(name: MetadataName, bytes: Buffer, start: number, end: number): void {
    const length = (end - start) * 2
    let all = 0
    for (let i = start; i < end; i++) all |= bytes[i]
    if (all === 0) return
    if (this.#full(name.size + length)) {
      this.left++
      return
    }
    const size = name.length + varintSize(length) + length
    this.ensure(size + 12)
    const out = this.bytes
    out[this.at] = ENTRY
    let at = putVarint(out, this.#name(name, putVarint(out, this.at + 1, size)), length)
    const { view } = this
    for (let i = start; i < end; i++, at += 2) view.setUint16(at, hexPairs[bytes[i]], true)
    this.at = at
    this.entries++
    this.size += name.size + length
  }

  /** Entries that are written already. */
  written(bytes: Uint8Array, entries: number, size: number): void {
    this.ensure(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
    this.entries += entries
    this.size += size
  }

  /** Entries that are written already, one by one, as far as there is room. */
  copied(bytes: Uint8Array): void {
    const cursor = new Cursor(bytes)
    while (cursor.at < bytes.length) {
      const start = cursor.at
      cursor.tag()
      const content = cursor.length()
      const end = cursor.at + content
      cursor.tag()
      const name = cursor.length()
      cursor.at += name
      cursor.tag()
      const value = cursor.length()
      cursor.at = end
      if (this.#full(name + value)) this.left++
      else this.written(bytes.subarray(start, end), 1, name + value)
    }
  }

  #full(more: number): boolean {
    return this.entries >= this.maxEntries || this.size + more > this.maxSize
  }

  #nameOf(bytes: Buffer, start: number, length: number): MetadataName {
    return (this.#names ??= new MetadataNames()).of(bytes, this.#inputOf(bytes), start, length)
  }

  /** Writes a name's field and the tag of its value. There is room for three bytes more. */
  #name({ words, length }: MetadataName, at: number): number {
    const { view } = this
    for (let i = 0; i < words.length; i++) view.setInt32(at + i * 4, words[i], true)
    return at + length
  }

  /** Copies to `at` and returns where it ends. There is room. */
  put(bytes: Buffer, start: number, end: number, at: number): number {
    const length = end - start
    if (length > shortCopy) return at + bytes.copy(this.bytes, at, start, end)
    if (length < 4) {
      const out = this.bytes
      for (let i = start; i < end; i++) out[at++] = bytes[i]
      return at
    }
    const input = this.#inputOf(bytes)
    const { view } = this
    const last = length - 4
    for (let i = 0; i < last; i += 4) view.setInt32(at + i, input.getInt32(start + i, true), true)
    // The last four bytes may have been written in part.
    view.setInt32(at + last, input.getInt32(end - 4, true), true)
    return at + length
  }

  /** The words of `bytes`; most of what is read stands in one buffer. */
  #inputOf(bytes: Buffer): DataView {
    if (bytes !== this.#source) {
      this.#source = bytes
      this.#input = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    return this.#input
  }
}

/** Two digits as they stand in memory. */
const digitPairs = Uint16Array.from({ length: 100 }, (_, n) => Buffer.from(String(n).padStart(2, '0')).readUInt16LE())

/** Writes 64 unsigned bits in decimal. Times of today, which every record has, are written two digits at once. */
function putTime(out: Uint8Array, view: DataView, at: number, low: number, high: number): number {
  // From 10^18 to what a signed number of 64 bits holds: 19 digits.
  if (high < 0x0de0b6b4 || high > 0x7fffffff) return putUnsigned64(out, at, low, high)
  const first = Math.floor(high / 1e9)
  const middle = (high - first * 1e9) * 0x10000 + (low >>> 16)
  const second = Math.floor(middle / 1e9)
  const last = (middle - second * 1e9) * 0x10000 + (low & 0xffff)
  const third = Math.floor(last / 1e9)
  const seconds = first * 0x100000000 + second * 0x10000 + third
  const upper = Math.floor(seconds / 1e8)
  view.setUint16(at, digitPairs[upper], true)
  putEight(view, at + 2, seconds - upper * 1e8)
  const nanos = last - third * 1e9
  const tenth = (nanos / 10) | 0
  putEight(view, at + 10, tenth)
  out[at + 18] = 0x30 + nanos - tenth * 10
  return at + 19
}

function putEight(view: DataView, at: number, n: number): void {
  const upper = (n / 10000) | 0
  const lower = n - upper * 10000
  const a = (upper / 100) | 0
  const b = (lower / 100) | 0
  view.setUint16(at, digitPairs[a], true)
  view.setUint16(at + 2, digitPairs[upper - a * 100], true)
  view.setUint16(at + 4, digitPairs[b], true)
  view.setUint16(at + 6, digitPairs[lower - b * 100], true)
}

/** Whether the bytes are one varint of up to ten bytes. */
function isVarint(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end - 1; i++) if (bytes[i] < 0x80) return false
  return end > start && bytes[end - 1] < 0x80
}
