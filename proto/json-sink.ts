/** Protobuf bytes being written front to back. Lengths are filled in once what they count is there. */
import { Cursor, putVarint, varintSize } from './wire.ts'

/** More than what one value and the lengths of all open messages can take. */
export const slack = 1024

/** A growing buffer. */
export class ProtoSink {
  bytes: Buffer<ArrayBuffer>
  view: DataView
  at = 0
  /** Per kind of message how many bytes its last length took, which is what is left free for the next. */
  readonly #reserved: Uint8Array

  constructor(size: number, kinds: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer)
    this.#reserved = new Uint8Array(kinds).fill(1)
  }

  /** What was written. */
  done(): Buffer {
    return exact(this.bytes, this.at)
  }

  /** Makes sure that `size` bytes can be written. */
  ensure(size: number): void {
    if (this.bytes.length - this.at < size) this.#grow(size)
  }

  #grow(size: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + size))
    this.bytes.copy(larger, 0, 0, this.at)
    this.bytes = larger
    this.view = new DataView(larger.buffer)
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

  /** Writes a tag and leaves room for the length of content that starts where this returns. */
  open(tag: number, kind: number): number {
    this.varint(tag)
    return (this.at += this.#reserved[kind])
  }

  /** Fills in the length of the content that started at `start`, after the room that `open` left for it. */
  close(start: number, kind: number): void {
    this.#reserved[kind] = this.closeWith(start, this.#reserved[kind])
  }

  /** The same where `reserved` bytes were left. Moves the content if that was wrong; gives how many it took. */
  closeWith(start: number, reserved: number): number {
    const size = this.at - start
    const needed = varintSize(size)
    if (needed !== reserved) {
      this.bytes.copyWithin(start - reserved + needed, start, this.at)
      this.at += needed - reserved
    }
    putVarint(this.bytes, start - reserved, size)
    return needed
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

/**
 * The first `size` bytes of a buffer that has its memory for itself, which is no longer to be used. What was too much is
 * given back where it is, which a large buffer is cheaper with than with a copy.
 */
export function exact(bytes: Buffer<ArrayBuffer>, size: number): Buffer {
  return Buffer.from(bytes.buffer.transferToFixedLength(size))
}
