/**
 * The protobuf wire format (protobuf.dev, "Encoding"): a cursor that reads it and the few functions that write it.
 * 64-bit values stay bytes or two halves; nothing here makes a BigInt.
 */

/** Wire types. Groups (3 and 4) are errors everywhere. */
export const VARINT = 0
export const FIXED64 = 1
export const LENGTH = 2
export const FIXED32 = 5

/** How deep messages may nest, as in the reference implementations. */
export const maxDepth = 100

/** Bytes that are not the protobuf they should be. The message is for whoever sent them. */
export class WireError extends Error {
  override name = 'WireError'
}

/** Reads forward through `bytes`, from `at` to `end`. Every read is checked against `end`. */
export class Cursor {
  bytes: Uint8Array
  at: number
  end: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  /** Points this cursor at other bytes, so that a loop needs only one. */
  set(bytes: Uint8Array, at: number, end: number): this {
    this.bytes = bytes
    this.at = at
    this.end = end
    return this
  }

  /** The next field's number and wire type as one number: `field << 3 | type`. */
  tag(): number {
    const { at, end } = this
    if (at >= end) throw this.truncated('tag')
    let tag = this.bytes[at]
    if (tag < 0x80) this.at = at + 1
    else tag = this.longVarint(0x0f, 'tag')
    if (tag < 8) throw new WireError(`field number 0 at byte ${at}`)
    return tag
  }

  /** A length, checked to lie inside the message; leaves the cursor at the first byte of the content. */
  length(): number {
    const { bytes, at, end } = this
    if (at >= end) throw this.truncated('length')
    let n = bytes[at]
    if (n < 0x80) this.at = at + 1
    else if (at + 1 < end && bytes[at + 1] < 0x80) {
      n = (n & 0x7f) | (bytes[at + 1] << 7)
      this.at = at + 2
    } else n = this.longVarint(0x07, 'length')
    if (n > end - this.at) throw this.truncated('length-delimited field')
    return n
  }

  /** The low 32 bits of a varint, unsigned: enums, flags, counts. */
  uint32(): number {
    const { at, end } = this
    if (at < end && this.bytes[at] < 0x80) {
      this.at = at + 1
      return this.bytes[at]
    }
    return this.longVarint(-1, 'varint')
  }

  /** A varint of up to ten bytes. `top` masks what may stand above bit 27 of a number that must be small; -1 takes any. */
  private longVarint(top: number, what: string): number {
    const { bytes, end } = this
    let at = this.at
    let n = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) throw this.truncated(what)
      const b = bytes[at++]
      const bits = b & 0x7f
      if (shift < 28) n |= bits << shift
      else {
        if (top >= 0 && bits > (shift === 28 ? top : 0)) throw new WireError(`${what} out of range at byte ${this.at}`)
        if (shift === 28) n |= bits << 28
      }
      if (b < 0x80) {
        this.at = at
        return n >>> 0
      }
    }
    throw new WireError(`varint over ten bytes at byte ${this.at}`)
  }

  /** Skips the value of a field with this tag. */
  skip(tag: number): void {
    switch (tag & 7) {
      case VARINT:
        this.skipVarint()
        return
      case FIXED64:
        this.advance(8)
        return
      case LENGTH: {
        // Not `this.at += this.length()`, which would take `at` from before the length was read.
        const length = this.length()
        this.at += length
        return
      }
      case FIXED32:
        this.advance(4)
        return
      default:
        throw new WireError(`wire type ${tag & 7} of field ${tag >>> 3}`)
    }
  }

  skipVarint(): void {
    const { bytes, end } = this
    let at = this.at
    const last = at + 10
    while (at < end) {
      if (bytes[at++] < 0x80) {
        this.at = at
        return
      }
      if (at === last) throw new WireError('varint over ten bytes')
    }
    throw this.truncated('varint')
  }

  advance(n: number): void {
    if (n > this.end - this.at) throw this.truncated('fixed-size field')
    this.at += n
  }

  /** Refuses a field that has another wire type than its declaration says. */
  expect(tag: number, wire: number, what: string): void {
    if ((tag & 7) !== wire) throw new WireError(`${what} has wire type ${tag & 7} instead of ${wire}`)
  }

  truncated(what: string): WireError {
    return new WireError(`truncated ${what} at byte ${this.at}`)
  }
}

/** Bytes of `n` (0 to 2^32 - 1) as a varint. */
export function varintSize(n: number): number {
  return n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : n < 0x10000000 ? 4 : 5
}

/** Writes `n` (0 to 2^32 - 1) at `at` and returns where it ends. */
export function putVarint(out: Uint8Array, at: number, n: number): number {
  while (n > 0x7f) {
    out[at++] = (n & 0x7f) | 0x80
    n >>>= 7
  }
  out[at++] = n
  return at
}

/** Bytes of a length-delimited field with a field number below 16 and `size` bytes of content. */
export function fieldSize(size: number): number {
  return 1 + varintSize(size) + size
}

/** Whether `bytes` from `at` on are exactly `key`. */
export function sameBytes(bytes: Uint8Array, at: number, length: number, key: Uint8Array): boolean {
  if (length !== key.length) return false
  for (let i = length - 1; i >= 0; i--) if (bytes[at + i] !== key[i]) return false
  return true
}
