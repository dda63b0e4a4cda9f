/** MessagePack (its specification, "Formats"), written front to back: what payloads of maps, lists, texts and whole numbers need. */
import { Growing } from '../../proto/growing.ts'

/** Writes values in their shortest form. */
export class MsgpackWriter extends Growing {
  /** The head of a map of `size` entries; a key and a value follow for each. */
  map(size: number): void {
    this.#head(size, 0x80, 16, 0xde)
  }

  /** The head of a list of `size` values, which follow. */
  list(size: number): void {
    this.#head(size, 0x90, 16, 0xdc)
  }

  /** Text, as its UTF-8. */
  text(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const length = end - start
    this.ensure(length + 5)
    if (length < 32) this.bytes[this.at++] = 0xa0 | length
    else this.#size(length, 0xd9)
    this.bytes.set(bytes.subarray(start, end), this.at)
    this.at += length
  }

  binary(bytes: Uint8Array): void {
    this.ensure(bytes.length + 5)
    this.#size(bytes.length, 0xc4)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  boolean(value: boolean): void {
    this.ensure(1)
    this.bytes[this.at++] = value ? 0xc3 : 0xc2
  }

  /** A whole number of up to 64 bits. */
  integer(value: number | bigint): void {
    this.ensure(9)
    const { bytes, view, at } = this
    if (typeof value === 'number' && value >= 0 && value <= 0xffff_ffff) {
      if (value < 0x80) bytes[this.at++] = value
      else {
        const width = value <= 0xff ? 0 : value <= 0xffff ? 1 : 2
        bytes[at] = 0xcc + width
        if (width === 0) bytes[at + 1] = value
        else if (width === 1) view.setUint16(at + 1, value)
        else view.setUint32(at + 1, value)
        this.at += 1 + 2 ** width
      }
      return
    }
    bytes[at] = value >= 0 ? 0xcf : 0xd3
    view.setBigUint64(at + 1, BigInt.asUintN(64, BigInt(value)))
    this.at += 9
  }

  #head(size: number, short: number, below: number, tag: number): void {
    this.ensure(5)
    if (size < below) this.bytes[this.at++] = short | size
    else if (size <= 0xffff) {
      this.bytes[this.at] = tag
      this.view.setUint16(this.at + 1, size)
      this.at += 3
    } else {
      this.bytes[this.at] = tag + 1
      this.view.setUint32(this.at + 1, size)
      this.at += 5
    }
  }

  /** A length of one, two or four bytes, with the tags that follow each other. */
  #size(length: number, tag: number): void {
    const width = length <= 0xff ? 0 : length <= 0xffff ? 1 : 2
    this.bytes[this.at] = tag + width
    if (width === 0) this.bytes[this.at + 1] = length
    else if (width === 1) this.view.setUint16(this.at + 1, length)
    else this.view.setUint32(this.at + 1, length)
    this.at += 1 + 2 ** width
  }
}
