import {
  always,
  below,
  type Bits,
  never,
  probabilityOf,
  Randomness,
  seedHash,
  thresholdOf,
  thresholdText,
} from './threshold.ts'

/** What of an item (span, log record) a decision depends on. */
export interface SampledItem {
  readonly bytes: Uint8Array
  /** Where its trace id starts; -1 without a valid one. */
  readonly traceId: number
  /** What earlier samplers left in it cannot be read. */
  readonly malformed: boolean
  readonly hasRandomness: boolean
  readonly randomness: Bits
  readonly hasThreshold: boolean
  readonly threshold: Bits
  /** Takes the bytes that are hashed where there is no trace id. Says whether there are any. */
  hash(randomness: Randomness, seeded: number): boolean
  /** The threshold that the item asks for itself. */
  priority(): Bits | undefined
}

export type Mode = 'hash_seed' | 'equalizing' | 'proportional'

/** How a sampler decides. */
export interface SamplerSettings {
  readonly mode: Mode
  readonly percentage: number
  readonly seed: number
  readonly precision: number
  readonly failClosed: boolean
  /** Whether the trace id is hashed, or only what `hash` of the item gives. */
  readonly byTraceId: boolean
  /** Whether randomness is written although the item had none. */
  readonly marksMissing: boolean
}

/** What becomes of an item. */
export type SamplingVerdict =
  /** It stays as it is. */
  | 'stay'
  /** It stays, and is to say what the sampler's `threshold` and, if `marksRandomness`, `randomness` are. */
  | 'write'
  | 'go'
  /** It goes because there is no randomness in it, or what it says of sampling is wrong. */
  | 'fail'

/** Decides, item by item, as the Collector's sampler does: the same items stay for the same configuration. */
export class Sampler {
  /** Of the last decision. */
  readonly randomness = new Randomness()
  threshold: Bits = never
  marksRandomness = false
  readonly #settings: SamplerSettings
  readonly #mode: Mode | 'never'
  readonly #seeded: number
  readonly #fixed: Bits
  /** The last answer of `#lowered`, for what. */
  readonly #incoming = new Randomness()
  #lowered: Bits | undefined

  constructor(settings: SamplerSettings) {
    this.#settings = settings
    this.#seeded = seedHash(settings.seed)
    // The Collector computes with 32 bits where users of its hash rely on the result.
    const percentage = Math.fround(Math.min(100, settings.percentage))
    const probability = percentage / 100
    if (settings.mode === 'hash_seed') {
      const kept = Math.trunc(Math.fround(percentage * Math.fround(163.84)))
      this.#mode = kept === 0 ? 'never' : 'hash_seed'
      this.#fixed = { high: (0x4000 - kept) << 14, low: 0 }
    } else {
      this.#mode = percentage === 0 ? 'never' : settings.mode
      this.#fixed = thresholdOf(probability, settings.precision) ?? never
    }
  }

  decide(item: SampledItem): SamplingVerdict {
    const { failClosed } = this.#settings
    const { randomness } = this
    let failed = item.malformed
    const known = this.#randomnessOf(item)
    if (!known) randomness.setAll()
    if (this.#mode === 'hash_seed') {
      // Those who sample consistently already must go on doing so.
      failed ||= item.hasRandomness || item.hasThreshold
      this.marksRandomness = known || this.#settings.marksMissing
    } else this.marksRandomness = false
    const readable = !failed
    failed ||= !known
    let { hasThreshold } = item
    const { threshold: arrived } = item
    if (!failed && hasThreshold && below(randomness.high, randomness.low, arrived.high, arrived.low)) {
      // By what it says of itself it should not be here.
      hasThreshold = false
      failed = true
    }
    const priority = item.priority()
    this.threshold = priority ?? (failed ? (failClosed ? never : always) : this.#thresholdFor(item))
    const { high, low } = this.threshold
    if (below(randomness.high, randomness.low, high, low)) {
      return failed && failClosed && priority === undefined ? 'fail' : 'go'
    }
    if (!readable) return 'stay'
    // A probability can only fall on the way.
    return hasThreshold && !below(arrived.high, arrived.low, high, low) ? 'stay' : 'write'
  }

  /** Sets the randomness of an item and says whether it has any. */
  #randomnessOf(item: SampledItem): boolean {
    const { randomness } = this
    if (this.#mode === 'never') randomness.setAll()
    else if (this.#mode === 'hash_seed') {
      if (item.traceId < 0 || !this.#settings.byTraceId) return item.hash(randomness, this.#seeded)
      randomness.setHash(item.bytes, item.traceId, item.traceId + 16, this.#seeded)
    } else if (item.malformed) return false
    else if (item.hasRandomness) randomness.set(item.randomness)
    else if (item.traceId >= 0) randomness.setTraceId(item.bytes, item.traceId)
    else return false
    return true
  }

  #thresholdFor({ hasThreshold, threshold }: SampledItem): Bits {
    if (this.#mode === 'never') return never
    if (!hasThreshold || this.#mode === 'hash_seed') return this.#fixed
    const { high, low } = threshold
    if (this.#mode === 'equalizing') {
      return below(this.#fixed.high, this.#fixed.low, high, low) ? { high, low } : this.#fixed
    }
    const last = this.#incoming
    if (this.#lowered === undefined || last.high !== high || last.low !== low) {
      last.set(threshold)
      const probability = (Math.fround(Math.min(100, this.#settings.percentage)) / 100) * probabilityOf(threshold)
      this.#lowered = thresholdOf(probability, this.#settings.precision) ?? never
    }
    return this.#lowered
  }
}

/** Texts of thresholds; the one asked for last is kept. */
export class ThresholdTexts {
  #last: Bits = always
  #text: Buffer = Buffer.from('0')

  of(threshold: Bits): Buffer {
    if (threshold !== this.#last) {
      this.#text = Buffer.from(thresholdText(threshold), 'latin1')
      this.#last = threshold
    }
    return this.#text
  }
}
