/** Writes protobuf messages inside one another, for pages; what a field says for nothing is left out as readers expect. */
import { Growing } from '../../proto/growing.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'
import { putVarint64, varint64Size } from '../../proto/varint64.ts'

/** Front to back; `open` and `close` stand around a message. Tags are of one byte, or of two from 0x80 on. */
export class ProtobufWriter {
  readonly #out = new Growing(1 << 16, undefined)

  /** Bytes so far. */
  get length(): number {
    return this.#out.at
  }

  /** What was written; nothing more can be. */
  done(): Buffer {
    return this.#out.done()
  }

  /** Starts a message that stands in a field with `tag`; 0: it stands for itself. Gives what `close` wants. */
  open(tag: number): number {
    if (tag !== 0) this.#tag(tag)
    const out = this.#out
    out.ensure(1)
    return ++out.at
  }

  /** Ends the message that started at `start`: its length goes in front of it. */
  close(start: number): void {
    const out = this.#out
    const length = out.at - start
    const size = varintSize(length)
    if (size > 1) {
      out.ensure(size - 1)
      out.bytes.copyWithin(start + size - 1, start, out.at)
      out.at += size - 1
    }
    putVarint(out.bytes, start - 1, length)
  }

  text(tag: number, text: string): void {
    if (text === '') return
    const start = this.open(tag)
    const out = this.#out
    out.ensure(text.length * 3)
    out.at += out.bytes.write(text, out.at)
    this.close(start)
  }

  double(tag: number, value: number): void {
    this.#tag(tag)
    const out = this.#out
    out.ensure(8)
    out.view.setFloat64(out.at, value, true)
    out.at += 8
  }

  /** A whole number, not signed, or int64. */
  integer(tag: number, value: number): void {
    this.#tag(tag)
    this.#varint(value)
  }

  /** A whole number, signed so that small ones are short. */
  signed(tag: number, value: number): void {
    this.integer(tag, zigzag(value))
  }

  /** A list of such, in one field. */
  signedList(tag: number, values: readonly number[]): void {
    if (values.length === 0) return
    const start = this.open(tag)
    for (const value of values) this.#varint(zigzag(value))
    this.close(start)
  }

  #tag(tag: number): void {
    const out = this.#out
    out.ensure(2)
    out.at = putVarint(out.bytes, out.at, tag)
  }

  #varint(value: number): void {
    const out = this.#out
    out.ensure(varint64Size(value))
    out.at = putVarint64(out.bytes, out.at, value)
  }
}

const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)
