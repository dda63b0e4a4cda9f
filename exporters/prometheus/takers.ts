/** Puts single points into their series: the last value stays, deltas are added up. */
import { DataPoint } from '../../proto/data-point.ts'
import { EXPONENTIAL_HISTOGRAM, HISTOGRAM, SUM, SUMMARY } from '../../proto/points.ts'
import { Bounds, ExponentialHistogram, Histogram, stateCost, Summary } from './states.ts'
import type { Reason, Stream, StreamLookups } from './streams.ts'
import type { Series, Table } from './table.ts'

/** Bytes that a buffer of exemplars takes besides its own. */
const exemplarsCost = 200

/** Takes points of all kinds. */
export class Takers {
  readonly #table: Table
  readonly #streams: StreamLookups
  readonly #point = new DataPoint('min', 'max')
  /** Why `#find` found nothing. */
  #reason: Reason | undefined

  constructor(table: Table, streams: StreamLookups) {
    this.#table = table
    this.#streams = streams
  }

  /**
   * Takes the point between `start` and `end`, and says why not.
   * @throws WireError where the bytes are none
   */
  take(stream: Stream, data: number, bytes: Uint8Array, start: number, end: number, now: number): Reason | undefined {
    const point = this.#point
    point.read(data, bytes, start, end)
    if (data === HISTOGRAM) return this.#takeHistogram(stream, now)
    if (data === EXPONENTIAL_HISTOGRAM) return this.#takeExponential(stream, now)
    if (data === SUMMARY) return this.#takeSummary(stream, now)
    if (point.valueAt < 0 && !point.ended) return 'invalid'
    const series = this.#find(stream, point)
    if (series === undefined) return this.#reason
    // A series that is new has no time yet.
    series.value = stream.isDelta && series.updated >= 0 ? series.value + point.value : point.value
    this.#touch(series, stream, point, now)
    return undefined
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.#point.clear()
  }

  #takeHistogram(stream: Stream, now: number): Reason | undefined {
    const point = this.#point
    const { counts } = point
    if (counts.length !== 0 && counts.length !== point.bounds.length + 1 && !point.ended) return 'invalid'
    let bounds = stream.bounds
    if (bounds === undefined || !bounds.isSame(point.bounds)) {
      bounds = Bounds.of(point.bounds)
      if (bounds === undefined) return 'invalid'
    }
    const series = this.#find(stream, point)
    if (series === undefined) return this.#reason
    const { state } = series
    if (state instanceof Histogram && state.bounds.isSame(point.bounds)) bounds = state.bounds
    const before = state?.cost ?? 0
    const cost = stateCost(counts.length)
    if (!this.#fits(series, cost)) return this.#refuse(series)
    if (!this.#table.share(series, bounds)) {
      this.#table.resize(series, cost, before)
      return this.#refuse(series)
    }
    stream.bounds = bounds
    if (!(state instanceof Histogram)) (series.state = new Histogram(bounds)).set(point, bounds)
    else if (!stream.isDelta) state.set(point, bounds)
    else state.add(point, bounds)
    this.#touch(series, stream, point, now)
    return undefined
  }

  #takeExponential(stream: Stream, now: number): Reason | undefined {
    const point = this.#point
    const series = this.#find(stream, point)
    if (series === undefined) return this.#reason
    const { state } = series
    const { positive, negative } = point
    const adds = stream.isDelta && state instanceof ExponentialHistogram
    const cost = adds ? state.costWith(point) : stateCost(positive.counts.length + negative.counts.length)
    if (!this.#fits(series, cost)) return this.#refuse(series)
    if (!(state instanceof ExponentialHistogram)) (series.state = new ExponentialHistogram()).set(point)
    else if (stream.isDelta) state.add(point)
    else state.set(point)
    this.#touch(series, stream, point, now)
    return undefined
  }

  #takeSummary(stream: Stream, now: number): Reason | undefined {
    const point = this.#point
    const series = this.#find(stream, point)
    if (series === undefined) return this.#reason
    if (!this.#fits(series, stateCost(point.quantiles.length))) return this.#refuse(series)
    const state = series.state instanceof Summary ? series.state : new Summary()
    series.state = state
    state.count = point.count
    state.sum = point.sum
    const { values, length } = point.quantiles
    if (state.quantiles.length !== length) state.quantiles = new Float64Array(length)
    state.quantiles.set(values.subarray(0, length))
    this.#touch(series, stream, point, now)
    return undefined
  }

  /** The series that is to take the point's value; undefined with `#reason` where there is none. */
  #find(stream: Stream, point: DataPoint): Series | undefined {
    this.#reason = undefined
    const { family } = stream
    if (family === undefined) return undefined
    const { attributes, attributesStart, attributesEnd, attributesTag } = point
    const series = this.#streams.series(stream, family, attributes, attributesStart, attributesEnd, attributesTag)
    if (typeof series === 'string') return point.ended ? undefined : this.#overflow(stream, point, series)
    // Deltas are counted apart, by several senders or in times that overlap: whatever time they are of, all of them count.
    if (point.time !== 0 && !stream.isDelta && point.time < series.time) {
      this.#reason = 'out_of_order'
      return undefined
    }
    if (!point.ended) return series
    this.#table.remove(series)
    return undefined
  }

  /** Deltas of one counter can be added up whatever they are of; of anything else nothing can be said together. */
  #overflow(stream: Stream, point: DataPoint, reason: Reason): Series | undefined {
    const { family } = stream
    if (family === undefined) return undefined
    this.#table.countOverflow(family)
    if (stream.isDelta && point.kind <= SUM) return this.#table.overflow(family)
    this.#reason = reason
    return undefined
  }

  /** Whether there is room for the next state of a series. */
  #fits(series: Series, cost: number): boolean {
    return this.#table.resize(series, series.state?.cost ?? 0, cost)
  }

  /** There is no room for a point's state: what the series had before stays. */
  #refuse(series: Series): Reason {
    if (series.updated < 0) this.#table.remove(series)
    return 'memory_limit'
  }

  #touch(series: Series, stream: Stream, point: DataPoint, now: number): void {
    // The total of deltas has begun where the first of them did.
    if (!stream.isDelta || series.updated < 0) series.start = point.start
    if (point.time !== 0) series.time = stream.isDelta ? Math.max(series.time, point.time) : point.time
    series.isSum = stream.isDelta
    series.updated = now
    if (point.exemplarsStart !== point.exemplarsEnd) this.#keepExemplars(series, point)
  }

  /** Keeps what the page may show of a point; without room for it the page does without. */
  #keepExemplars(series: Series, { bytes, exemplarsStart, exemplarsEnd, exemplarsTag }: DataPoint): void {
    const size = exemplarsEnd - exemplarsStart
    const before = series.exemplars === undefined ? 0 : exemplarsCost + series.exemplars.length
    if (!this.#table.resize(series, before, exemplarsCost + size)) {
      this.#table.resize(series, before, 0)
      series.exemplars = undefined
      return
    }
    if (series.exemplars?.length !== size) series.exemplars = Buffer.allocUnsafeSlow(size)
    series.exemplars.set(bytes.subarray(exemplarsStart, exemplarsEnd))
    series.exemplarsTag = exemplarsTag
  }
}
