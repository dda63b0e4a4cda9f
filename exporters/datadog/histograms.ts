/** Histograms as distributions, or as counts per bucket, with what their aggregations say. */
import type { Buckets, DataPoint } from '../../proto/data-point.ts'
import type { Numbers } from '../../proto/numbers.ts'
import { COUNT, GAUGE } from '../../backends/datadog/series.ts'
import { mostValues, Sketch } from '../../backends/datadog/sketch.ts'
import { type Differences, NEXT, OLD, RESET } from './differences.ts'
import type { MetricOutput } from './metric-output.ts'
import { countsFirst, type MetricSettings } from './metric-settings.ts'

const suffixes = {
  count: Buffer.from('.count'),
  sum: Buffer.from('.sum'),
  min: Buffer.from('.min'),
  max: Buffer.from('.max'),
  bucket: Buffer.from('.bucket'),
}

/** What is kept of a cumulative histogram besides its count. */
export interface HistogramState {
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly zeros: number
  readonly scale: number
  readonly offsets: readonly [positive: number, negative: number]
  readonly buckets: readonly [all: Float64Array, positive: Float64Array, negative: Float64Array]
  readonly bounds: Float64Array
}

/** Bytes of the state of a point besides its numbers. */
const stateCost = 800

const costOf = ({ counts, positive, negative, bounds }: DataPoint): number =>
  stateCost +
  Float64Array.BYTES_PER_ELEMENT * (counts.length + positive.counts.length + negative.counts.length + bounds.length)

/** Maps histograms of both kinds. */
export class Histograms {
  readonly #settings: MetricSettings
  readonly #known: Differences<HistogramState>
  readonly #sketch = new Sketch()
  /** Whether the point's smallest and largest value are those of what is sent. */
  #exactMin = true
  #exactMax = true

  constructor(settings: MetricSettings, known: Differences<HistogramState>) {
    this.#settings = settings
    this.#known = known
  }

  /** Maps a histogram with bounds; `name` tells its series from others of `group`. */
  explicit(point: DataPoint, cumulative: boolean, group: string, name: string, output: MetricOutput): void {
    const { counts: buckets, bounds } = point
    if ((buckets.length > 0 && buckets.length !== bounds.length + 1) || !ascending(bounds)) {
      return output.reject('malformed_histogram')
    }
    if (!this.#taken(point, cumulative, group, name, output)) return
    const { histograms } = this.#settings
    if (histograms === 'distributions' && Math.max(buckets.sum(), point.count) > mostValues) {
      return output.reject('bucket_count_too_high')
    }
    if (this.#settings.aggregations) aggregate(point, !cumulative, output)
    if (histograms === 'counters') count(point, output)
    else if (histograms === 'distributions') this.#distribution(point, output)
    output.point()
  }

  /** Maps an exponential histogram. */
  exponential(point: DataPoint, cumulative: boolean, group: string, name: string, output: MetricOutput): void {
    if (!this.#taken(point, cumulative, group, name, output)) return
    const total = point.zeroCount + point.positive.counts.sum() + point.negative.counts.sum()
    if (total > mostValues) return output.reject('bucket_count_too_high')
    if (this.#settings.aggregations) aggregate(point, !cumulative, output)
    if (this.#settings.histograms === 'distributions' && total > 0) {
      const sketch = this.#sketch
      sketch.clear()
      // Of one value the sum is all there is to know.
      if (total === 1 && Number.isFinite(point.sum)) sketch.add(point.sum, 1)
      else {
        sketch.add(0, point.zeroCount)
        spread(sketch, point.negative, point.scale, -1)
        spread(sketch, point.positive, point.scale, 1)
      }
      sketch.finish()
      this.#send(point, sketch.min, sketch.max, output)
    }
    output.point()
  }

  /** Takes from a cumulative point what was known of its series, and says whether anything is left to send. */
  #taken(point: DataPoint, cumulative: boolean, group: string, name: string, output: MetricOutput): boolean {
    this.#exactMin = this.#exactMax = true
    if (!cumulative) return true
    const known = this.#known
    const series = known.series(group, name)
    if (series === undefined || !known.fits(series, costOf(point))) {
      output.reject('memory_limit')
      return false
    }
    const relation = known.relation(series, point.start, point.time)
    if (relation === OLD) {
      output.reject('out_of_order')
      return false
    }
    const before = known.more(series)
    const count = known.value(series)
    known.note(series, point.start, point.time, point.count, stateOf(point))
    if (relation !== NEXT || before === undefined || !subtract(point, count, before)) {
      return relation === RESET || countsFirst(this.#settings, point.start, point.time)
    }
    // A smallest or largest value that is new came in this time; otherwise they are those of all its time.
    this.#exactMin = point.min < before.min
    this.#exactMax = point.max > before.max
    return true
  }

  #distribution(point: DataPoint, output: MetricOutput): void {
    const sketch = this.#sketch
    const { counts: buckets, bounds, count, sum, min, max } = point
    sketch.clear()
    if (bounds.length === 0) {
      if (count === 0) return
      if (this.#exactMin && this.#exactMax && min <= max) sketch.spread(min, max, count)
      else if (Number.isFinite(sum)) sketch.add(sum / count, count)
      else return output.reject('malformed_histogram')
      sketch.finish()
      return this.#send(point, sketch.min, sketch.max, output)
    }
    let first = -1
    let last = -1
    for (let i = 0; i < buckets.length; i++) {
      const n = buckets.values[i]
      if (n === 0) continue
      if (first < 0) first = i
      last = i
      this.#bucket(i === 0 ? -Infinity : bounds.values[i - 1], i === bounds.length ? Infinity : bounds.values[i], n)
    }
    if (first < 0) return
    sketch.finish()
    const least = first === 0 ? sketch.min : bounds.values[first - 1]
    const most = last === bounds.length ? sketch.max : bounds.values[last]
    this.#send(point, Number.isFinite(least) ? least : sketch.min, Number.isFinite(most) ? most : sketch.max, output)
  }

  /** A bucket without an end holds what its other end says; one that begins at 0 has no 0 in it. */
  #bucket(lower: number, upper: number, count: number): void {
    if (upper === Infinity) this.#sketch.add(lower, count)
    else if (lower === -Infinity || (lower === 0 && upper > 0)) this.#sketch.add(upper, count)
    else this.#sketch.spread(lower, upper, count)
  }

  #send(point: DataPoint, least: number, most: number, output: MetricOutput): void {
    const sketch = this.#sketch
    const min = Number.isNaN(point.min) ? least : this.#exactMin ? point.min : Math.max(point.min, least)
    const max = Number.isNaN(point.max) ? most : this.#exactMax ? point.max : Math.min(point.max, most)
    output.sketch(sketch, Number.isFinite(point.sum) ? point.sum : sketch.sum, min, max, point.time)
  }
}

function spread(sketch: Sketch, { counts, offset }: Buckets, scale: number, sign: 1 | -1): void {
  const width = 2 ** -scale
  for (let i = 0; i < counts.length; i++) {
    const n = counts.values[i]
    if (n > 0) sketch.split(2 ** ((offset + i) * width), 2 ** ((offset + i + 1) * width), n, sign)
  }
}

function aggregate(point: DataPoint, exact: boolean, output: MetricOutput): void {
  output.series(COUNT, point.count, point.time, suffixes.count)
  if (Number.isFinite(point.sum)) output.series(COUNT, point.sum, point.time, suffixes.sum)
  if (!exact) return
  if (Number.isFinite(point.min)) output.series(GAUGE, point.min, point.time, suffixes.min)
  if (Number.isFinite(point.max)) output.series(GAUGE, point.max, point.time, suffixes.max)
}

function count({ counts: buckets, bounds, time }: DataPoint, output: MetricOutput): void {
  for (let i = 0; i < buckets.length; i++) {
    const lower = i === 0 ? -Infinity : bounds.values[i - 1]
    const upper = i === bounds.length ? Infinity : bounds.values[i]
    const tags = [`lower_bound:${boundText(lower)}`, `upper_bound:${boundText(upper)}`].map(tag => Buffer.from(tag))
    output.series(COUNT, buckets.values[i], time, suffixes.bucket, tags)
  }
}

/** A bound as the Collector writes it into a tag: Go's shortest form, and `.0` after whole numbers. */
export function boundText(n: number): string {
  if (n === 0) return '0'
  if (!Number.isFinite(n)) return Number.isNaN(n) ? 'nan' : n > 0 ? 'inf' : '-inf'
  const whole = Number.isInteger(n) ? '.0' : ''
  const [digits, exponent] = n.toExponential().split('e')
  const power = Number(exponent)
  if (power >= -4 && power < 6) return String(n) + whole
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}${whole}`
}

function ascending({ values, length }: Numbers): boolean {
  for (let i = 0; i < length; i++) if (Number.isNaN(values[i]) || (i > 0 && !(values[i] > values[i - 1]))) return false
  return true
}

const stateOf = (point: DataPoint): HistogramState => ({
  sum: point.sum,
  min: point.min,
  max: point.max,
  zeros: point.zeroCount,
  scale: point.scale,
  offsets: [point.positive.offset, point.negative.offset],
  buckets: [point.counts.copy(), point.positive.counts.copy(), point.negative.counts.copy()],
  bounds: point.bounds.copy(),
})

/** Takes `before` from the point; false, and the point's counts as they were, where the one does not go on from the other. */
function subtract(point: DataPoint, count: number, before: HistogramState): boolean {
  if (point.count < count || point.zeroCount < before.zeros || !same(point.bounds, before.bounds)) return false
  const shift = before.scale - point.scale
  // Buckets only ever get wider; what was told finer is put together.
  const [buckets, positive, negative] = before.buckets
  if (shift < 0) return false
  const up = wider(positive, before.offsets[0], shift)
  const down = wider(negative, before.offsets[1], shift)
  const behind = point.positive.offset - (before.offsets[0] >> shift)
  const ahead = point.negative.offset - (before.offsets[1] >> shift)
  if (!contains(point.counts, 0, buckets)) return false
  if (!contains(point.positive.counts, behind, up) || !contains(point.negative.counts, ahead, down)) return false
  take(point.counts, 0, buckets)
  take(point.positive.counts, behind, up)
  take(point.negative.counts, ahead, down)
  point.count -= count
  point.zeroCount -= before.zeros
  point.sum -= before.sum
  return true
}

/** The counts of buckets that are 2^shift times as wide. */
function wider(counts: Float64Array, offset: number, shift: number): Float64Array {
  if (shift === 0 || counts.length === 0) return counts
  const first = offset >> shift
  const out = new Float64Array(((offset + counts.length - 1) >> shift) - first + 1)
  for (let i = 0; i < counts.length; i++) out[((offset + i) >> shift) - first] += counts[i]
  return out
}

function same({ values, length }: Numbers, other: Float64Array): boolean {
  if (length !== other.length) return false
  for (let i = 0; i < length; i++) if (values[i] !== other[i]) return false
  return true
}

/** Whether each count is at least what it was; `shift` is how far the first bucket of `now` lies behind that of `before`. */
function contains(now: Numbers, shift: number, before: Float64Array): boolean {
  for (let i = 0; i < before.length; i++) {
    const at = i - shift
    if (before[i] > (at >= 0 && at < now.length ? now.values[at] : 0)) return false
  }
  return true
}

function take(now: Numbers, shift: number, before: Float64Array): void {
  for (let i = 0; i < before.length; i++) {
    const at = i - shift
    if (at >= 0 && at < now.length) now.values[at] -= before[i]
  }
}
