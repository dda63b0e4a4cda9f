/** What a series holds when that is more than one number: the last point, or the sum of all deltas so far. */
import { boundText } from '../../backends/prometheus/text.ts'
import type { Buckets as PointBuckets, DataPoint } from '../../proto/data-point.ts'
import { mostNumbers, type Numbers } from '../../proto/numbers.ts'

/** Bytes of an object with arrays of numbers, without the numbers, and of one bound with its texts. */
const objectCost = 400
const boundCost = 120
const numberCost = Float64Array.BYTES_PER_ELEMENT

/** Bytes that a state of so many numbers takes. */
export const stateCost = (numbers: number): number => objectCost + numbers * numberCost

/** Upper bounds of buckets, shared by all series that have the same. */
export class Bounds {
  readonly values: Float64Array
  /** Series that have them. */
  users = 0
  readonly #texts: (readonly string[] | undefined)[] = [undefined, undefined]

  constructor(values: Float64Array) {
    this.values = values
  }

  /** Bytes they take, with their texts in both formats. */
  get cost(): number {
    return objectCost + this.values.length * boundCost
  }

  /** The bounds as values of the label `le`. */
  texts(openMetrics: boolean): readonly string[] {
    return (this.#texts[Number(openMetrics)] ??= Array.from(this.values, value => boundText(value, openMetrics)))
  }

  isSame({ values, length }: Numbers): boolean {
    const own = this.values
    if (own.length !== length) return false
    for (let i = 0; i < length; i++) if (own[i] !== values[i]) return false
    return true
  }

  /** The bounds of a point; undefined where they do not rise. */
  static of({ values, length }: Numbers): Bounds | undefined {
    for (let i = 0; i < length; i++)
      if (i === 0 ? Number.isNaN(values[0]) : !(values[i] > values[i - 1])) return undefined
    return new Bounds(values.slice(0, length))
  }
}

/** A histogram with bounds of its own. Without bounds it has only a count and a sum. */
export class Histogram {
  bounds: Bounds
  /** Per bucket, not summed up; one more than bounds, or none. */
  counts: Float64Array
  count = 0
  sum = 0
  hasSum = false

  constructor(bounds: Bounds) {
    this.bounds = bounds
    this.counts = new Float64Array(0)
  }

  get cost(): number {
    return stateCost(this.counts.length)
  }

  /** Takes the point's values. */
  set(point: DataPoint, bounds: Bounds): void {
    const { values, length } = point.counts
    if (this.counts.length !== length) this.counts = new Float64Array(length)
    const { counts } = this
    for (let i = 0; i < length; i++) counts[i] = values[i]
    this.bounds = bounds
    this.count = point.count
    this.sum = point.sum
    this.hasSum = point.hasSum
  }

  /** Adds the point's values; with other buckets than before it begins anew, as after a restart. */
  add(point: DataPoint, bounds: Bounds): void {
    const { values, length } = point.counts
    const { counts } = this
    if (bounds !== this.bounds || counts.length !== length) return this.set(point, bounds)
    for (let i = 0; i < length; i++) counts[i] += values[i]
    this.count += point.count
    this.sum += point.sum
    this.hasSum &&= point.hasSum
  }
}

/** Buckets side by side, the first with index `offset`. */
export interface Buckets {
  offset: number
  counts: Float64Array
}

/** An exponential histogram. */
export class ExponentialHistogram {
  count = 0
  sum = 0
  hasSum = false
  scale = 0
  zeroCount = 0
  zeroThreshold = 0
  readonly positive: Buckets = { offset: 0, counts: new Float64Array(0) }
  readonly negative: Buckets = { offset: 0, counts: new Float64Array(0) }

  get cost(): number {
    return stateCost(this.positive.counts.length + this.negative.counts.length)
  }

  /** Bytes it will take once the point was added. */
  costWith(point: DataPoint): number {
    const scale = this.#commonScale(point)
    const positive = widthOf(this.positive, point.positive, this.scale - scale, point.scale - scale)
    return stateCost(positive + widthOf(this.negative, point.negative, this.scale - scale, point.scale - scale))
  }

  /** The coarser of both scales, or a coarser one where the buckets would be too many. */
  #commonScale(point: DataPoint): number {
    let scale = Math.min(this.scale, point.scale)
    while (
      widthOf(this.positive, point.positive, this.scale - scale, point.scale - scale) > mostNumbers ||
      widthOf(this.negative, point.negative, this.scale - scale, point.scale - scale) > mostNumbers
    ) {
      scale--
    }
    return scale
  }

  /** Takes the point's values. */
  set(point: DataPoint): void {
    this.scale = point.scale
    this.zeroCount = point.zeroCount
    this.zeroThreshold = point.zeroThreshold
    copySide(this.positive, point.positive)
    copySide(this.negative, point.negative)
    this.count = point.count
    this.sum = point.sum
    this.hasSum = point.hasSum
  }

  /** Adds the point's values. */
  add(point: DataPoint): void {
    const scale = this.#commonScale(point)
    const positive = { offset: point.positive.offset, counts: point.positive.counts.copy() }
    const negative = { offset: point.negative.offset, counts: point.negative.counts.copy() }
    merge(this.positive, positive, this.scale - scale, point.scale - scale)
    merge(this.negative, negative, this.scale - scale, point.scale - scale)
    this.scale = scale
    this.zeroCount += point.zeroCount
    this.zeroThreshold = Math.max(this.zeroThreshold, point.zeroThreshold)
    this.count += point.count
    this.sum += point.sum
    this.hasSum &&= point.hasSum
  }
}

function copySide(buckets: Buckets, { offset, counts: { values, length } }: PointBuckets): void {
  buckets.offset = offset
  if (buckets.counts.length !== length) buckets.counts = new Float64Array(length)
  const { counts } = buckets
  for (let i = 0; i < length; i++) counts[i] = values[i]
}

/** The index of the bucket that a bucket falls into at a scale that is coarser by `shift`. */
const coarser = (index: number, shift: number): number => Math.floor(index / 2 ** shift)

/** Where buckets lie. */
interface Extent {
  readonly offset: number
  readonly counts: { readonly length: number }
}

/** How many buckets both sides take together. */
function widthOf(a: Extent, b: Extent, shiftA: number, shiftB: number): number {
  const [from, to] = rangeOf(a, b, shiftA, shiftB)
  return to - from
}

function rangeOf(a: Extent, b: Extent, shiftA: number, shiftB: number): [from: number, to: number] {
  let from = Infinity
  let to = -Infinity
  for (const [{ offset, counts }, shift] of [[a, shiftA] as const, [b, shiftB] as const]) {
    if (counts.length === 0) continue
    from = Math.min(from, coarser(offset, shift))
    to = Math.max(to, coarser(offset + counts.length - 1, shift) + 1)
  }
  return to < from ? [0, 0] : [from, to]
}

/** Makes `a` both together. */
function merge(a: Buckets, b: Buckets, shiftA: number, shiftB: number): void {
  const [from, to] = rangeOf(a, b, shiftA, shiftB)
  const sums = new Float64Array(to - from)
  for (const [{ offset, counts }, shift] of [[a, shiftA] as const, [b, shiftB] as const]) {
    for (let i = 0; i < counts.length; i++) sums[coarser(offset + i, shift) - from] += counts[i]
  }
  a.offset = from
  a.counts = sums
}

/** The buckets at a coarser scale. */
export function coarserBuckets(buckets: Buckets, shift: number): Buckets {
  if (shift <= 0) return buckets
  const out = { offset: 0, counts: new Float64Array(0) }
  merge(out, buckets, 0, shift)
  return out
}

/**
 * An exponential histogram in the form of one with bounds: the powers of two, which stay the same as its scale changes, with
 * how many values lie at or below each. The last one, of all values, is not among them.
 */
export function classicBuckets(state: ExponentialHistogram): [bound: number, below: number][] {
  const buckets: [number, number][] = []
  let below = 0
  let last = -Infinity
  const add = (bound: number, count: number): void => {
    below += count
    // Beyond what doubles can tell apart bounds are the same.
    if (!(bound > last) || bound === Infinity) return
    last = bound
    buckets.push([bound, below])
  }
  const scale = Math.min(state.scale, 0)
  const base = (index: number): number => 2 ** (index * 2 ** -scale)
  const negative = coarserBuckets(state.negative, state.scale - scale)
  const positive = coarserBuckets(state.positive, state.scale - scale)
  for (let i = negative.counts.length - 1; i >= 0; i--) add(-base(negative.offset + i), negative.counts[i])
  if (state.zeroCount > 0 || negative.counts.length > 0) add(state.zeroThreshold, state.zeroCount)
  // Where the first bucket begins there is nothing below.
  if (positive.counts.length > 0 && base(positive.offset) > state.zeroThreshold) add(base(positive.offset), 0)
  for (let i = 0; i < positive.counts.length; i++) add(base(positive.offset + i + 1), positive.counts[i])
  return buckets
}

/** A summary. */
export class Summary {
  count = 0
  sum = 0
  /** Quantile, value, quantile, value. */
  quantiles = new Float64Array(0)

  get cost(): number {
    return stateCost(this.quantiles.length)
  }

  /** Values by their quantiles; of a quantile that came twice the first one. */
  get values(): ReadonlyMap<number, number> {
    const values = new Map<number, number>()
    const { quantiles } = this
    for (let i = 0; i + 1 < quantiles.length; i += 2) {
      if (!values.has(quantiles[i])) values.set(quantiles[i], quantiles[i + 1])
    }
    return values
  }
}
