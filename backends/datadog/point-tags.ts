/** The attributes of a data point as Datadog's tags, in an order that does not depend on the sender's. */
import { usualKey, usualValue } from '../../proto/attributes.ts'
import { Growing } from '../../proto/growing.ts'
import { asBuffer, NOTHING, Range, readKeyValue, readValue, TEXT, valueKind, valueText } from '../../proto/values.ts'
import { Cursor, putVarint, varintSize } from '../../proto/wire.ts'

/** A tag must not end in a colon. */
const nothing = Buffer.from('n/a')
const COLON = 0x3a
/** Up to so many are sorted in place, which takes the square of their number. */
const fewTags = 32

/** Tags of one point; to be used again for each. */
export class PointTags {
  /** Bytes that writing them takes at most. */
  size = 0
  readonly #froms: number[] = []
  readonly #tos: number[] = []
  #count = 0
  /** The tags, each after its length. */
  readonly #text = new Growing(4096, undefined)
  readonly #key = new Range()
  readonly #other = new Range()
  readonly #value = new Range()
  readonly #inner = new Range()
  readonly #cursor = new Cursor(nothing)

  /** Makes the tags of attributes whose fields stand side by side from `start` to `end`. @throws WireError */
  read(bytes: Uint8Array, start: number, end: number): void {
    this.#count = this.#text.at = 0
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      cursor.tag()
      const length = cursor.length()
      this.#froms[this.#count] = cursor.at
      this.#tos[this.#count++] = cursor.at += length
    }
    this.#sort(bytes)
    for (let i = 0; i < this.#count; i++) {
      this.#split(bytes, this.#froms[i], this.#tos[i], this.#key, this.#value)
      this.#tag(this.#key, this.#value)
    }
    this.size = this.#text.at + this.#count * 2
  }

  /** What tells these tags from others. */
  identity(): string {
    return this.#text.bytes.toString('latin1', 0, this.#text.at)
  }

  /** Writes them as a repeated field and returns where they end. */
  write(out: Buffer, at: number, tag: number): number {
    const { bytes, at: end } = this.#text
    for (let from = 0; from < end;) {
      const size = bytes.readUInt32LE(from)
      out[at++] = tag
      at = putVarint(out, at, size)
      at += bytes.copy(out, at, from + 4, from + 4 + size)
      from += 4 + size
    }
    return at
  }

  #split(bytes: Uint8Array, from: number, to: number, key: Range, value: Range): void {
    const length = usualKey(bytes, from, to)
    if (length >= 0) {
      key.set(bytes, from + 2, from + 2 + length)
      value.set(bytes, usualValue(bytes, from, length), to)
    } else readKeyValue(bytes, from, to, key, value)
  }

  #tag(key: Range, value: Range): void {
    const inner = this.#inner
    const kind = valueKind(value.bytes, value.start, value.end, inner)
    if (kind !== TEXT) {
      const text = kind === NOTHING ? '' : valueText(readValue(value.bytes, value.start, value.end))
      const made = Buffer.from(text)
      inner.set(made, 0, made.length)
    }
    if (inner.start === inner.end) inner.set(nothing, 0, nothing.length)
    const length = key.end - key.start + 1 + inner.end - inner.start
    const out = this.#text
    out.ensure(length + 4)
    out.view.setUint32(out.at, length, true)
    out.at += 4
    out.at += asBuffer(key.bytes).copy(out.bytes, out.at, key.start, key.end)
    out.bytes[out.at++] = COLON
    out.at += asBuffer(inner.bytes).copy(out.bytes, out.at, inner.start, inner.end)
  }

  /** Most senders write attributes in the same order every time, and few of them. */
  #sort(bytes: Uint8Array): void {
    const froms = this.#froms
    const tos = this.#tos
    if (this.#count > fewTags) return this.#sortMany(bytes)
    for (let i = 1; i < this.#count; i++) {
      const from = froms[i]
      const to = tos[i]
      let j = i
      for (; j > 0 && this.#compare(bytes, froms[j - 1], tos[j - 1], from, to) > 0; j--) {
        froms[j] = froms[j - 1]
        tos[j] = tos[j - 1]
      }
      froms[j] = from
      tos[j] = to
    }
  }

  #sortMany(bytes: Uint8Array): void {
    const froms = this.#froms.slice(0, this.#count)
    const tos = this.#tos.slice(0, this.#count)
    const order = Array.from(froms.keys()).sort((a, b) => this.#compare(bytes, froms[a], tos[a], froms[b], tos[b]))
    for (const [i, from] of order.entries()) {
      this.#froms[i] = froms[from]
      this.#tos[i] = tos[from]
    }
  }

  #compare(bytes: Uint8Array, from: number, to: number, otherFrom: number, otherTo: number): number {
    this.#split(bytes, from, to, this.#key, this.#value)
    this.#split(bytes, otherFrom, otherTo, this.#other, this.#value)
    const a = this.#key
    const b = this.#other
    const length = Math.min(a.end - a.start, b.end - b.start)
    for (let i = 0; i < length; i++) {
      const difference = a.bytes[a.start + i] - b.bytes[b.start + i]
      if (difference !== 0) return difference
    }
    return a.end - a.start - (b.end - b.start)
  }
}

/** Texts as a repeated field. */
export function tagFields(tag: number, texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.map(text => {
      const bytes = Buffer.from(text)
      const field = Buffer.allocUnsafe(1 + varintSize(bytes.length) + bytes.length)
      field[0] = tag
      field.set(bytes, putVarint(field, 1, bytes.length))
      return field
    }),
  )
}
