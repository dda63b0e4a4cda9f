/** 64-bit integers as decimal digits, both ways, in two halves of 32 bits: nothing here makes a BigInt. */

/** Up to nine digits between `start` and `end` as a number. */
export function smallDigits(text: Uint8Array, start: number, end: number): number {
  let n = 0
  for (let i = start; i < end; i++) n = (Math.imul(n, 10) + text[i] - 0x30) | 0
  return n
}

/** Two halves of 64 bits, to be used again and again. */
export class Halves {
  low = 0
  high = 0

  /** Sets this to the number whose digits, without leading zeros, stand there; false when it needs more than 64 bits. */
  parse(text: Uint8Array, start: number, end: number): boolean {
    const count = end - start
    if (count <= 9) {
      this.low = smallDigits(text, start, end)
      this.high = 0
      return true
    }
    if (count > 20) return false
    const middle = end - 9
    let top = smallDigits(text, start, Math.min(middle, start + 9))
    for (let i = start + 9; i < middle; i++) top = top * 10 + text[i] - 0x30
    // top is below 10^11: in pieces of 16 bits, so that no product passes 2^53.
    const part = (top % 0x10000) * 1e9 + smallDigits(text, middle, end)
    const rest = Math.floor(top / 0x10000) * 1e9 + Math.floor(part / 0x10000)
    const high = Math.floor(rest / 0x10000)
    if (high > 0xffffffff) return false
    this.low = (rest % 0x10000) * 0x10000 + (part % 0x10000)
    this.high = high
    return true
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
  for (let i = at + 8; i >= at; i--) {
    const rest = (n / 10) | 0
    out[i] = 0x30 + n - rest * 10
    n = rest
  }
  return at + 9
}

/** Writes `n` (0 to 2^31 - 1) and returns where it ends. */
export function putDigits(out: Uint8Array, at: number, n: number): number {
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
