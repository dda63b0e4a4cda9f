/** Protobuf bytes being written front to back. Lengths are filled in once what they count is there. */
import { Growing, type Memory } from './growing.ts'
import { Cursor, putVarint, varintSize } from './wire.ts'

/** More than what one value and the lengths of all open messages can take. */
export const slack = 1024

/** Where the reader of OTLP/JSON writes to. */
export class ProtoSink extends Growing {
  /** Per kind of message how many bytes its last length took. */
  readonly #expected: Uint8Array

  /** `most`: bytes that it may grow to; Infinity without a bound. */
  constructor(size: number, kinds: number, memory: Memory | undefined, most = Infinity) {
    super(size, memory, most)
    this.#expected = new Uint8Array(kinds).fill(1)
  }

  varint(n: number): void {
    if (n < 0x80) this.bytes[this.at++] = n
    else this.at = putVarint(this.bytes, this.at, n)
  }

  /** The 64 bits of two halves as a varint. */
  varint64(low: number, high: number): void {
    while (high !== 0 || low > 0x7f) {
      this.bytes[this.at++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.bytes[this.at++] = low
  }

  fixed32(n: number): void {
    this.view.setInt32(this.at, n, true)
    this.at += 4
  }

  double(n: number): void {
    this.view.setFloat64(this.at, n, true)
    this.at += 8
  }

  /** How many bytes the length of a message of this kind will most likely take. */
  expected(kind: number): number {
    return this.#expected[kind]
  }

  /** Writes a tag, leaves `reserved` bytes for the length of the content, and gives where that starts. */
  open(tag: number, reserved: number): number {
    this.varint(tag)
    return (this.at += reserved)
  }

  /**
   * Fills in the length of the content that started at `start`, before which `reserved` bytes were left free. Moves the
   * content where these were too few or too many.
   */
  close(start: number, reserved: number, kind: number): void {
    const size = this.at - start
    const needed = varintSize(size)
    if (needed !== reserved) {
      this.bytes.copyWithin(start - reserved + needed, start, this.at)
      this.at += needed - reserved
    }
    this.#expected[kind] = needed
    putVarint(this.bytes, start - reserved, size)
  }

  /** Takes out of the message that started at `start` each of these fields, where they stand before the given place. */
  remove(start: number, fields: ReadonlyMap<number, number>): void {
    const { bytes } = this
    const cursor = new Cursor(bytes, start, this.at)
    let to = start
    while (cursor.at < cursor.end) {
      const from = cursor.at
      const tag = cursor.tag()
      cursor.skip(tag)
      if (from < (fields.get(tag >>> 3) ?? 0)) continue
      bytes.copyWithin(to, from, cursor.at)
      to += cursor.at - from
    }
    this.at = to
  }
}
