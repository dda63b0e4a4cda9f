/** 64-bit integers as decimal digits, both ways, in two halves of 32 bits: nothing here makes a BigInt. */

/** Whether four bytes are digits. */
export const areDigits = (four: number): boolean =>
  ((four & 0xf0f0f0f0) | (((four + 0x06060606) & 0xf0f0f0f0) >>> 4)) === 0x33333333

/** The number that four digits are. */
export function fourDigits(four: number): number {
  const pairs = (four & 0x000f000f) * 10 + ((four >>> 8) & 0x000f000f)
  return (pairs & 0xffff) * 100 + (pairs >>> 16)
}

/** Two halves of 64 bits, to be used again and again. */
export class Halves {
  low = 0
  high = 0

  /** Sets this to what the varint there says; it has at most ten bytes. */
  setVarint(bytes: Uint8Array, start: number, end: number): void {
    let low = 0
    let high = 0
    for (let i = start, shift = 0; i < end; i++, shift += 7) {
      const bits = bytes[i] & 0x7f
      if (shift < 32) low |= bits << shift
      if (shift > 27) high |= shift < 32 ? bits >>> (32 - shift) : bits << (shift - 32)
    }
    this.low = low >>> 0
    this.high = high >>> 0
  }

  /** Sets this to a whole number below 2^53. */
  set(n: number): void {
    this.low = n >>> 0
    this.high = Math.floor(n / 0x100000000)
  }

  /** Sets this to `top * scale + rest`, `top` below 10^15 and the others to 10^6. Above 64 bits the upper half is what it is, above 2^32. */
  setSum(top: number, scale: number, rest: number): void {
    // In pieces, so that no product passes 2^53.
    const part = (top % 0x1000000) * scale + rest
    const upper = Math.floor(top / 0x1000000) * scale + Math.floor(part / 0x1000000)
    this.low = (upper % 0x100) * 0x1000000 + (part % 0x1000000)
    this.high = Math.floor(upper / 0x100)
  }

  /** Makes this the two's complement of what it is. */
  negate(): void {
    const low = ~this.low + 1
    this.high = (~this.high + ((low | 0) === 0 ? 1 : 0)) >>> 0
    this.low = low >>> 0
  }
}

/** Writes `n` (0 to 999,999,999) with exactly nine digits. */
function putNine(out: Uint8Array, at: number, n: number): number {
  // It comes as a float, which divides slower.
  n |= 0
  for (let i = at + 8; i >= at; i--) {
    const rest = (n / 10) | 0
    out[i] = 0x30 + n - rest * 10
    n = rest
  }
  return at + 9
}

/** Writes `n` (0 to 2^31 - 1) and returns where it ends. */
export function putDigits(out: Uint8Array, at: number, n: number): number {
  n |= 0
  let end = at + 1
  for (let bound = 10; n >= bound && end - at < 10; bound *= 10) end++
  for (let i = end - 1; i >= at; i--) {
    const rest = (n / 10) | 0
    out[i] = 0x30 + n - rest * 10
    n = rest
  }
  return end
}

/** Writes 64 unsigned bits in decimal and returns where they end. */
export function putUnsigned64(out: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0 && low >>> 0 <= 0x7fffffff) return putDigits(out, at, low)
  // Long division by 10^9, in pieces of 16 bits below the upper half.
  low >>>= 0
  high >>>= 0
  const first = Math.floor(high / 1e9)
  const middle = (high - first * 1e9) * 0x10000 + (low >>> 16)
  const second = Math.floor(middle / 1e9)
  const last = (middle - second * 1e9) * 0x10000 + (low & 0xffff)
  const third = Math.floor(last / 1e9)
  const nine = last - third * 1e9
  const top = first * 0x100000000 + second * 0x10000 + third
  if (top <= 0x7fffffff) {
    if (top > 0) at = putDigits(out, at, top)
    else return putDigits(out, at, nine)
  } else {
    const upper = Math.floor(top / 1e9)
    at = putNine(out, putDigits(out, at, upper), top - upper * 1e9)
  }
  return putNine(out, at, nine)
}

/** The same for 64 signed bits. */
export function putSigned64(out: Uint8Array, at: number, low: number, high: number): number {
  if ((high | 0) >= 0) return putUnsigned64(out, at, low, high)
  out[at] = 0x2d
  const negated = ~low + 1
  return putUnsigned64(out, at + 1, negated, ~high + ((negated | 0) === 0 ? 1 : 0))
}
