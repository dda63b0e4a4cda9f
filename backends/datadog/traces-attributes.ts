/** An attribute list taken apart once into columns that are used again, so that rules ask for attributes without walking. */
import { usualKey, usualValue } from '../../proto/attributes.ts'
import type { KeyTable } from './traces-keys.ts'
import {
  BOOL,
  DOUBLE,
  INT,
  NOTHING,
  Range,
  readDouble,
  readKeyValue,
  readValue,
  readVarint64,
} from '../../proto/values.ts'
import { signed, TEXT, valueKind, valueText } from '../../proto/values.ts'
import { WireError } from '../../proto/wire.ts'

/** The attributes of one span, resource or scope. */
export class AttributeColumns {
  count = 0
  /** Whether one of the keys begins with `gen_ai.`. */
  hasGenAi = false
  /** The bytes that key and value stand in. */
  readonly keySources: Uint8Array[] = []
  readonly sources: Uint8Array[] = []
  keys = new Int32Array(64)
  keyLengths = new Int32Array(64)
  /** The key's number in the table, or -1. */
  known = new Int16Array(64)
  /** Which member of AnyValue it is, and its content. */
  kinds = new Uint8Array(64)
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  readonly table: KeyTable
  /** By key number: the first attribute with that key, plus 1; 0: none. */
  readonly #first: Int32Array
  readonly #key = new Range()
  readonly #value = new Range()

  constructor(table: KeyTable) {
    this.table = table
    this.#first = new Int32Array(table.names.length)
  }

  /** Forgets all of them, and the bytes they stand in. */
  clear(): void {
    for (let i = 0; i < this.count; i++) if (this.known[i] >= 0) this.#first[this.known[i]] = 0
    this.count = 0
    this.hasGenAi = false
    this.keySources.length = this.sources.length = 0
  }

  /** The first attribute with the key of that number, or -1. */
  find(key: number): number {
    return this.#first[key] - 1
  }

  /** Adds the KeyValue whose content is from `from` to `to`. @throws WireError */
  add(bytes: Uint8Array, from: number, to: number): void {
    if (this.count === this.keys.length) this.#grow()
    const i = this.count
    const length = usualKey(bytes, from, to)
    const value = this.#value
    if (length >= 0) {
      this.keySources[i] = bytes
      this.keys[i] = from + 2
      this.keyLengths[i] = length
      const at = usualValue(bytes, from, length)
      this.kinds[i] = usualNumber(bytes, at, to)
      if (this.kinds[i] !== NOTHING) value.set(bytes, at + 1, to)
      else this.kinds[i] = valueKind(bytes, at, to, value)
    } else {
      const key = this.#key
      readKeyValue(bytes, from, to, key, value)
      this.keySources[i] = key.bytes
      this.keys[i] = key.start
      this.keyLengths[i] = key.end - key.start
      this.kinds[i] = valueKind(value.bytes, value.start, value.end, value)
    }
    this.sources[i] = value.bytes
    this.starts[i] = value.start
    this.ends[i] = value.end
    this.#note(i)
    this.count = i + 1
  }

  #note(i: number): void {
    const bytes = this.keySources[i]
    const at = this.keys[i]
    const known = this.table.find(bytes, at, this.keyLengths[i])
    this.known[i] = known
    if (known >= 0) {
      if (this.#first[known] === 0) this.#first[known] = i + 1
    } else if (bytes[at] === 0x67 && bytes[at + 6] === 0x2e && beginsWith(bytes, at, this.keyLengths[i], genAi)) {
      this.hasGenAi = true
    }
  }

  /** A value as a text; '' for one that is not set. Anything but a text costs one. */
  text(i: number): string {
    const bytes = this.sources[i]
    switch (this.kinds[i]) {
      case TEXT:
        return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', this.starts[i], this.ends[i])
      case BOOL:
        return readVarint64(bytes, this.starts[i], this.ends[i]) === 0 ? 'false' : 'true'
      default:
        return valueText(this.#valueOf(i))
    }
  }

  /** A number or a whole number as a number; undefined for anything else. */
  number(i: number): number | undefined {
    const bytes = this.sources[i]
    if (this.kinds[i] === DOUBLE) return readDouble(bytes, this.starts[i])
    if (this.kinds[i] !== INT) return undefined
    const first = bytes[this.starts[i]]
    if (first < 0x80) return first
    return Number(signed(readVarint64(bytes, this.starts[i], this.ends[i])))
  }

  #valueOf(i: number) {
    const kind = this.kinds[i]
    const content = this.sources[i].subarray(this.starts[i], this.ends[i])
    if (kind === INT) return signed(readVarint64(content, 0, content.length))
    if (kind === DOUBLE) return readDouble(content, 0)
    if (kind === NOTHING) return null
    // A list, a map or bytes: what was taken apart is put together for the reader of values.
    const head = [(kind << 3) | 2]
    for (let n = content.length; ; n >>>= 7) {
      head.push(n > 0x7f ? (n & 0x7f) | 0x80 : n)
      if (n <= 0x7f) break
    }
    const whole = Buffer.concat([Buffer.from(head), content])
    return readValue(whole, 0, whole.length)
  }

  #grow(): void {
    const size = this.keys.length * 2
    this.keys = larger(this.keys, size)
    this.keyLengths = larger(this.keyLengths, size)
    this.starts = larger(this.starts, size)
    this.ends = larger(this.ends, size)
    const known = new Int16Array(size)
    known.set(this.known)
    this.known = known
    const kinds = new Uint8Array(size)
    kinds.set(this.kinds)
    this.kinds = kinds
  }
}

const genAi = Buffer.from('gen_ai.')

/** Whether the key of `length` bytes at `at` begins with `prefix` and goes on. */
export function beginsWith(bytes: Uint8Array, at: number, length: number, prefix: Uint8Array): boolean {
  if (length < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false
  return true
}

/** INT, DOUBLE or BOOL where the AnyValue between `at` and `to` is nothing but one; else NOTHING. */
function usualNumber(bytes: Uint8Array, at: number, to: number): number {
  switch (bytes[at]) {
    case 0x18:
    case 0x10: {
      let end = at + 1
      while (end < to && bytes[end] > 0x7f) end++
      if (end - at > 10) throw new WireError('varint over ten bytes')
      return end + 1 === to ? bytes[at] >> 3 : NOTHING
    }
    case 0x21:
      return to - at === 9 ? DOUBLE : NOTHING
    default:
      return NOTHING
  }
}

/** A copy with room for more. */
export function larger(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(size)
  copy.set(array)
  return copy
}
