/**
 * The sketch of Datadog's Agent, which distributions are sent as: values fall into bins whose bounds grow by a factor, so
 * that every quantile is within one percent of what it should be. Bins have keys of 16 bits and counts of 16 bits; a key
 * whose count is larger has several bins.
 */

const epsilon = 1 / 128
const gamma = 1 + 2 * epsilon
const logGamma = Math.log1p(2 * epsilon)
/** What is added to exponents, so that the smallest value that is told from 0 has a key of 1. */
const bias = 1 - Math.floor(Math.log(1e-9) / logGamma)
const smallest = gamma ** (1 - bias)
/** The key of what is too large for any other. */
const infinite = 0x7fff

const mostBins = 4096
const mostPerBin = 0xffff

/** How many values one sketch may hold: beyond, its bins would have to give up their lower end. */
export const mostValues = mostBins * mostPerBin

function roundHalfEven(n: number): number {
  const floor = Math.floor(n)
  const rest = n - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

/** The key of the bin that a value falls into. */
export function keyOf(value: number): number {
  if (value < 0) return -keyOf(-value)
  if (value < smallest) return 0
  return Math.min(infinite, Math.max(1, roundHalfEven(Math.log(value) / logGamma) + bias))
}

/** The value that stands for all of a bin. */
export function valueOf(key: number): number {
  if (key < 0) return -valueOf(-key)
  if (key === 0) return 0
  return key >= infinite ? Infinity : gamma ** (key - bias)
}

/** Where the bin of a positive key begins: half a bin below the value that stands for it. */
const beginOf = (key: number): number => gamma ** (key - bias - 0.5)

/** Counts by key, and between which keys they lie. */
class Bins {
  readonly counts = new Float64Array(2 * infinite + 1)
  low = infinite
  high = -infinite

  add(key: number, count: number): void {
    this.counts[key + infinite] += count
    if (key < this.low) this.low = key
    if (key > this.high) this.high = key
  }

  clear(): void {
    if (this.low <= this.high) this.counts.fill(0, this.low + infinite, this.high + infinite + 1)
    this.low = infinite
    this.high = -infinite
  }
}

/** A sketch being made. To be used again after `clear`; `finish` may be called once before that. */
export class Sketch {
  /** Keys and counts of the bins in order, after `finish`. */
  readonly keys: number[] = []
  readonly counts: number[] = []
  /** How many values it holds. */
  count = 0
  /** What the values that stand for the bins say. */
  sum = 0
  min = Infinity
  max = -Infinity
  readonly #bins = new Bins()
  /** Parts of counts; what rounding makes of them comes in `finish`. */
  readonly #parts = new Bins()
  /** The values that stand for bins, from that of key 0 on. */
  readonly #values = Float64Array.from({ length: infinite + 1 }, (_, key) => valueOf(key))

  clear(): void {
    this.#bins.clear()
    this.#parts.clear()
    this.keys.length = this.counts.length = 0
    this.count = this.sum = 0
    this.min = Infinity
    this.max = -Infinity
  }

  #value(key: number): number {
    return key < 0 ? -this.#values[-key] : this.#values[key]
  }

  /** Adds `count` values of which all is known that is. */
  add(value: number, count: number): void {
    if (count > 0) this.#add(keyOf(value), count, value)
  }

  #add(key: number, count: number, value: number): void {
    this.#bins.add(key, count)
    this.count += count
    this.sum += value * count
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
  }

  /**
   * Adds `count` values that lie anywhere between two bounds, as the Agent does it: evenly, whole values only, and what
   * does not make a whole one goes to the next bin.
   */
  spread(lower: number, upper: number, count: number): void {
    const last = keyOf(upper)
    let key = keyOf(lower)
    let from = this.#value(key)
    let left = count
    let carried = 0
    for (let next = key + 1; next <= last && left > 0; next++) {
      const to = this.#value(next)
      const share = ((to - from) / (upper - lower)) * count
      if (share > 1) carried += share - Math.trunc(share)
      let whole = Math.trunc(share)
      if (carried > 1) {
        whole++
        carried--
      }
      if (whole === 0) continue
      whole = Math.min(whole, left)
      this.#add(key, whole, from)
      left -= whole
      key = next
      from = to
    }
    if (left > 0) this.#add(key, left, from)
  }

  /**
   * Adds `count` values of a bucket of an exponential histogram: each bin gets the part of the bucket that lies in it.
   * `sign` is -1 for buckets of negative values.
   */
  split(lower: number, upper: number, count: number, sign: 1 | -1): void {
    if (lower >= beginOf(infinite)) return this.#part(sign * infinite, count)
    let key = Math.max(0, Math.floor(Math.log(lower) / logGamma + bias + 0.5))
    const size = upper - lower
    for (let from = lower; from < upper && key < infinite; key++) {
      const to = Math.min(upper, beginOf(key + 1))
      if (to > from) this.#part(key === 0 ? 0 : sign * key, ((to - from) / size) * count)
      from = Math.max(from, to)
    }
    if (key >= infinite && beginOf(infinite) < upper) {
      this.#part(sign * infinite, upper === Infinity ? count : ((upper - beginOf(infinite)) / size) * count)
    }
  }

  #part(key: number, count: number): void {
    if (count > 0) this.#parts.add(key, count)
  }

  /** Makes the bins. */
  finish(): void {
    this.#round()
    const { counts, low, high } = this.#bins
    for (let key = low; key <= high; key++) {
      const count = counts[key + infinite]
      if (count > 0) this.#append(key, count)
    }
    const over = this.keys.length - mostBins
    if (over > 0) this.#trim(over)
  }

  /** Makes whole counts of parts so that their sum, up to each key, is what it was. */
  #round(): void {
    const { counts, low, high } = this.#parts
    let exact = 0
    let whole = 0
    for (let key = low; key <= high; key++) {
      exact += counts[key + infinite]
      const count = Math.round(exact) - whole
      if (count === 0) continue
      whole += count
      this.#add(key, count, this.#value(key))
    }
    this.#parts.clear()
  }

  #append(key: number, count: number): void {
    const rest = count % mostPerBin
    if (rest > 0) this.#push(key, rest)
    for (let full = Math.floor(count / mostPerBin); full > 0; full--) this.#push(key, mostPerBin)
  }

  #push(key: number, count: number): void {
    this.keys.push(key)
    this.counts.push(count)
  }

  /** The lowest bins give way: what they hold goes into the first that stays. */
  #trim(over: number): void {
    let moved = 0
    for (let i = 0; i < over; i++) moved += this.counts[i]
    const key = this.keys[over]
    const keys = this.keys.slice(over + 1)
    const counts = this.counts.slice(over + 1)
    moved += this.counts[over]
    this.keys.length = this.counts.length = 0
    this.#append(key, moved)
    keys.forEach((one, i) => this.#push(one, counts[i]))
  }
}
