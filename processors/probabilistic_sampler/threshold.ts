/**
 * Consistent probability sampling (OpenTelemetry specification, "TraceState: Probability Sampling"): an item stays when
 * its randomness, 56 bits, is not below the threshold. 56 bits are two halves of 28, which integers of V8 hold.
 */

/** 56 bits; a threshold may be 2^56, which nothing reaches. */
export interface Bits {
  readonly high: number
  readonly low: number
}

/** Thresholds that every item and no item reaches. */
export const always: Bits = { high: 0, low: 0 }
export const never: Bits = { high: 2 ** 28, low: 0 }

/** Hex digits of 56 bits. */
export const maxDigits = 14

/** The smallest probability there is a threshold for. */
export const minProbability = 2 ** -56

/**
 * The threshold for a probability, with as many significant hex digits as `precision` says; undefined for what is no
 * probability, or too small a one.
 */
export function thresholdOf(probability: number, precision: number): Bits | undefined {
  if (!(probability >= minProbability && probability <= 1)) return undefined
  if (probability === 1) return always
  // Digits that only say that the probability is near 0 or near 1 do not count.
  const leading = Math.max(leadingDigits(probability), leadingDigits(1 - probability))
  const digits = Math.min(maxDigits, precision + leading)
  const shift = BigInt(4 * (maxDigits - digits))
  let threshold = 2n ** 56n - BigInt(Math.round(probability * 2 ** 56))
  if (shift > 0n) threshold = ((threshold + (1n << (shift - 1n))) >> shift) << shift
  return { high: Number(threshold >> 28n), low: Number(threshold & 0xfffffffn) }
}

function leadingDigits(fraction: number): number {
  // The exponent of 0.5 <= m < 1 with fraction = m * 2^exponent.
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, fraction)
  const exponent = ((view.getUint16(0) >>> 4) & 0x7ff) - 1022
  return Math.trunc(-exponent / 4)
}

/** The probability that a threshold stands for. */
export function probabilityOf({ high, low }: Bits): number {
  const left = 2n ** 56n - ((BigInt(high) << 28n) | BigInt(low))
  return Number(left) / 2 ** 56
}

/** A threshold as it is written: hex without the zeros at its end; '' for one that nothing reaches. */
export function thresholdText({ high, low }: Bits): string {
  if (high >= never.high) return ''
  const digits = hexOf(high, low).replace(/0+$/, '')
  return digits === '' ? '0' : digits
}

/** A threshold from what `thresholdText` writes; undefined for anything else. */
export function parseThreshold(text: string): Bits | undefined {
  return /^[0-9a-f]{1,14}$/i.test(text) ? bitsOf(text.padEnd(maxDigits, '0')) : undefined
}

/** Randomness from its 14 hex digits; undefined for anything else. */
export function parseRandomness(text: string): Bits | undefined {
  return /^[0-9a-f]{14}$/i.test(text) ? bitsOf(text) : undefined
}

const bitsOf = (digits: string): Bits => ({
  high: Number.parseInt(digits.slice(0, 7), 16),
  low: Number.parseInt(digits.slice(7), 16),
})

/** Whether the first of two numbers of 56 bits is below the second. */
export const below = (high: number, low: number, otherHigh: number, otherLow: number): boolean =>
  high < otherHigh || (high === otherHigh && low < otherLow)

/** 56 bits as 14 hex digits. */
export const hexOf = (high: number, low: number): string =>
  high.toString(16).padStart(7, '0') + low.toString(16).padStart(7, '0')

/** Randomness that was read or computed, to be used again for each item. */
export class Randomness {
  high = 0
  low = 0

  set({ high, low }: Bits): void {
    this.high = high
    this.low = low
  }

  /** All bits set: what stands for randomness where there is none. */
  setAll(): void {
    this.high = this.low = 0xfffffff
  }

  /** The last 56 bits of the trace id that starts at `at`. */
  setTraceId(bytes: Uint8Array, at: number): void {
    this.high = (bytes[at + 9] << 20) | (bytes[at + 10] << 12) | (bytes[at + 11] << 4) | (bytes[at + 12] >>> 4)
    this.low = ((bytes[at + 12] & 15) << 24) | (bytes[at + 13] << 16) | (bytes[at + 14] << 8) | bytes[at + 15]
  }

  /**
   * The hash of the bytes from `start` to `end` spread over 56 bits, as the Collector does: 14 bits of it decide, and
   * must do so in the same way as when the sampler compared them with a share of 2^14.
   */
  setHash(bytes: Uint8Array, start: number, end: number, seeded: number): void {
    let hash = seeded
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], fnvPrime)
    const bucket = hash & 0x3fff
    const rest = hash >>> 18
    const mixed = rest ^ (rest << 10)
    this.high = ((0x3fff - bucket) << 14) | (mixed >>> 14)
    this.low = ((mixed & 0x3fff) << 14) | bucket
  }
}

const fnvPrime = 0x01000193

/** The state of the hash (FNV-1a, 32 bits) after its seed, from which `setHash` goes on. */
export function seedHash(seed: number): number {
  let hash = 0x811c9dc5
  for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((seed >>> shift) & 0xff), fnvPrime)
  return hash
}
