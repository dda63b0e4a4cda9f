/**
 * Prometheus remote write from the bytes of OTLP metrics, straight to the bytes of requests (prometheus.io/docs/specs,
 * remote_write_spec and remote_write_spec_2_0; names and labels as in the OpenTelemetry specification's "Prometheus and
 * OpenMetrics Compatibility").
 */
import type { Group } from '../../proto/group.ts'
import type { Besides, LabelRules } from '../prometheus/label-base.ts'
import { LabelSets } from '../prometheus/labels.ts'
import { ExemplarList } from './exemplars.ts'
import { ExtraLabels } from './extra.ts'
import { HistogramWriter, STALE_HIGH, STALE_LOW } from './histogram.ts'
import { Lane, type RemoteWritePart } from './lane.ts'
import { DataPoint } from '../../proto/data-point.ts'
import { MetricData } from '../../proto/metric-data.ts'
import { TooManyNumbers } from '../../proto/numbers.ts'
import { EXPONENTIAL_HISTOGRAM, HISTOGRAM, SUM, SUMMARY } from '../../proto/points.ts'
import {
  BASE,
  BUCKET_OF,
  COUNT_OF,
  DELTA,
  lastHead,
  type MetricInfo,
  MetricTable,
  SUM_OF,
  targetInfo,
} from './metric.ts'
import type { TranslationStrategy } from '../prometheus/names.ts'
import type { Room } from '../../proto/room.ts'
import { SeenSeries } from './seen.ts'
import { Series, type SeriesWriter, SeriesWriter1 } from './series.ts'
import { SeriesWriter2 } from './series2.ts'
import { Symbols } from './symbols.ts'
import { Range } from '../../proto/values.ts'
import { ItemCursor } from '../../proto/views.ts'

export type { RemoteWritePart } from './lane.ts'

/** How metrics become remote write. */
export interface RemoteWriteOptions {
  readonly version: 1 | 2
  readonly labels: LabelRules
  readonly strategy: TranslationStrategy
  /** Prefix of every name. */
  readonly namespace: string
  /** Whether each resource is described by a series `target_info`. */
  readonly targetInfo: boolean
  /** Whether requests of 1.0 carry type, help and unit; those of 2.0 always do. */
  readonly metadata: boolean
  /** Explicit histograms: as classic ones, as native ones with custom buckets, or as both. */
  readonly histograms: 'classic' | 'native' | 'both'
  /** Whether delta temporality is written as it is. */
  readonly delta: boolean
  /** Bytes from which on a request is complete. */
  readonly maxBytes: number
  /** Bytes of label sets that may be kept for the next batch. */
  readonly keep?: number
  /** Where memory that is kept for the next batch is taken. */
  readonly room?: Room
}

/** How one batch is encoded. */
export interface EncodeOptions {
  /** How many requests may be sent side by side; 1 without it. */
  readonly lanes?: number
  /** Off: without describing the resources. */
  readonly targetInfo?: boolean
  /** Bytes from which on a request is complete, in place of those of the options. */
  readonly maxBytes?: number
  /** How many data points of each lane are not wanted, from the first on; the lanes are as they are without it. */
  readonly passOver?: readonly number[]
}

/** Data points that were left out, by reason. */
export type LeftOut = Readonly<Record<string, number>>

/** The label that tells series of one metric apart, by its kind: of a native histogram, too, which may come as both. */
const besidesOf = (kind: number): Besides | undefined =>
  kind === HISTOGRAM || kind === EXPONENTIAL_HISTOGRAM ? 'le' : kind === SUMMARY ? 'quantile' : undefined

/** Of how many resources is remembered when they were last described. */
const mostInfoTimes = 50_000

/** Turns batches into requests of one version. */
export class RemoteWriteEncoder {
  readonly #options: RemoteWriteOptions
  readonly #labels: LabelSets
  readonly #metrics: MetricTable
  readonly #symbols: Symbols | undefined
  readonly #writer: SeriesWriter
  readonly #les = new ExtraLabels('le')
  readonly #quantiles = new ExtraLabels('quantile')
  readonly #native = new HistogramWriter()
  readonly #exemplars: ExemplarList
  readonly #series: Series
  readonly #info: MetricInfo
  readonly #point = new DataPoint('min', 'max')
  readonly #data = new MetricData(lastHead)
  readonly #items = new ItemCursor()
  readonly #scope = new Range()
  readonly #seen = new SeenSeries()
  readonly #double = new DataView(new ArrayBuffer(8))
  readonly #lanes: Lane[] = []
  readonly #infoTimes = new Map<number, number>()
  readonly #lane: Lane
  #laneCount = 1
  #maxBytes = 0
  #targetInfos = false
  /** The latest time in the group. */
  #latest = 0
  #leftOut: Record<string, number> = {}
  #emit: (part: RemoteWritePart) => void = () => {}

  constructor(options: RemoteWriteOptions) {
    this.#options = options
    const { version, labels, metadata } = options
    this.#labels = new LabelSets(labels, options.keep, options.room)
    this.#metrics = new MetricTable(options, options.room)
    this.#symbols = version === 2 ? new Symbols(options.room) : undefined
    this.#writer =
      this.#symbols === undefined
        ? new SeriesWriter1(metadata)
        : new SeriesWriter2(this.#symbols, [this.#les, this.#quantiles], true)
    this.#exemplars = new ExemplarList(labels.labelName)
    this.#info = targetInfo(options.namespace, options.strategy)
    this.#series = new Series(this.#labels, this.#info, this.#exemplars)
    this.#lane = this.#laneAt(0)
  }

  /**
   * Hands each request that these groups make to `emit`, and gives what was left out of them. Points of one series are in
   * the same lane, in their order; within a request, in the order of their times.
   * @throws WireError where the bytes are not what they should be; what was emitted before is good all the same
   */
  encode(groups: readonly Group[], emit: (part: RemoteWritePart) => void, how: EncodeOptions = {}): LeftOut {
    this.#emit = emit
    this.#maxBytes = how.maxBytes ?? this.#options.maxBytes
    this.#targetInfos = this.#options.targetInfo && how.targetInfo !== false
    this.#laneCount = Math.max(1, how.lanes ?? 1)
    this.#leftOut = {}
    this.#metrics.trim()
    this.#symbols?.trim(this.#labels.generation)
    this.#writer.begin()
    this.#seen.clear()
    for (let i = 0; i < this.#laneCount; i++) {
      const lane = this.#laneAt(i)
      lane.reset()
      lane.unwanted = how.passOver?.[i] ?? 0
    }
    for (const group of groups) this.#group(group)
    for (let i = 0; i < this.#laneCount; i++) this.#complete(this.#laneAt(i))
    return this.#leftOut
  }

  #laneAt(number: number): Lane {
    return (this.#lanes[number] ??= new Lane(number))
  }

  #complete(lane: Lane): void {
    if (!lane.empty && lane.unwanted === 0) this.#emit(lane.finish(this.#writer.asideFirst))
    lane.reset()
  }

  #leaveOut(reason: string): void {
    this.#leftOut[reason] = (this.#leftOut[reason] ?? 0) + 1
  }

  #group(group: Group): void {
    const labels = this.#labels
    const items = this.#items.set(group)
    labels.resource(group.resource, group.resourceStart, group.resourceEnd)
    this.#latest = 0
    const scopes = this.#options.labels.scopeLabels === true
    while (items.nextScope()) {
      if (scopes) {
        const found = items.scope(this.#scope)
        const { bytes, start, end } = this.#scope
        labels.scope(found ? bytes : group.bytes, found ? start : 0, found ? end : 0, items.scopeSchemaUrl())
      }
      while (items.nextItem()) this.#metric(items.bytes, items.start, items.end)
    }
    if (this.#targetInfos && this.#latest > 0) this.#targetInfo()
  }

  #metric(bytes: Uint8Array, start: number, end: number): void {
    const data = this.#data
    if (!data.read(bytes, start, end)) return
    const info = this.#metrics.find(data)
    while (data.nextPoint()) {
      if (info.refusal !== '') this.#leaveOut(info.refusal)
      else if (this.#read(data)) this.#write(info, data)
      else this.#leaveOut('too_many_buckets')
    }
  }

  /** Reads the point and its labels; false where it has too many buckets. @throws WireError */
  #read({ kind, bytes, pointStart, pointEnd }: MetricData): boolean {
    const point = this.#point
    try {
      point.read(kind, bytes, pointStart, pointEnd)
      const { attributes, attributesStart, attributesEnd, attributesTag } = point
      this.#labels.point(attributes, attributesStart, attributesEnd, attributesTag, besidesOf(kind))
      return true
    } catch (error) {
      if (error instanceof TooManyNumbers) return false
      throw error
    }
  }

  #write(info: MetricInfo, data: MetricData): void {
    const point = this.#point
    const series = this.#series
    const time = point.milliseconds
    if (time > this.#latest) this.#latest = time
    series.info = info
    series.time = time
    series.startTime = data.temporality === DELTA ? 0 : point.startMilliseconds
    let lane = this.#run(info.id)
    let problem = this.#kind(data, lane)
    if (problem === '' && this.#isTooMuch(lane)) {
      lane = this.#run(info.id)
      problem = this.#kind(data, lane)
    }
    if (problem === '') lane.point()
    else this.#leaveOut(problem)
  }

  /** Whether what was written last makes the request too large: then it is completed without that, which is to be written again. */
  #isTooMuch(lane: Lane): boolean {
    if (lane.size <= this.#maxBytes || lane.isFirst) return false
    lane.takeBack()
    this.#complete(lane)
    return true
  }

  /** Writes the point as what its kind is; gives why not, or ''. */
  #kind(data: MetricData, lane: Lane): string {
    switch (data.kind) {
      case HISTOGRAM:
        return this.#histogram(lane, data.temporality === DELTA)
      case EXPONENTIAL_HISTOGRAM:
        return this.#exponential(lane, data.temporality === DELTA)
      case SUMMARY:
        this.#summary(lane)
        return ''
      default:
        return this.#number(lane, data.kind === SUM)
    }
  }

  /** The lane of the series that the labels and this metric make, ready for a point of it. */
  #run(metric: number): Lane {
    const { time } = this.#series
    const key = Math.imul(this.#labels.hash ^ metric, 0x9e3779b1)
    const lane = this.#laneCount === 1 ? this.#lane : this.#laneAt((key >>> 1) % this.#laneCount)
    if (lane.empty) this.#writer.open(lane)
    if (this.#seen.before(key, time)) lane.disorder = true
    lane.run(time)
    return lane
  }

  #number(lane: Lane, sum: boolean): string {
    const point = this.#point
    const series = this.#series
    series.which = BASE
    this.#readExemplars(sum, false)
    series.toExemplar = this.#exemplars.length
    const { view, valueAt } = point
    if (valueAt < 0 && !point.ended) return 'no_value'
    if (point.ended || point.isInt) this.#sample(lane, BASE, point.value)
    // Not by way of a number, which may be another NaN.
    else this.#writer.sample(lane, series, view.getInt32(valueAt, true), view.getInt32(valueAt + 4, true))
    return ''
  }

  #histogram(lane: Lane, gauge: boolean): string {
    const { histograms } = this.#options
    const problem = histograms === 'classic' ? '' : this.#custom(lane, gauge)
    if (histograms === 'native') return problem
    this.#classic(lane)
    return ''
  }

  #custom(lane: Lane, gauge: boolean): string {
    const native = this.#native
    const problem = native.custom(this.#point, gauge, this.#startTime)
    if (problem === '') this.#putNative(lane)
    return problem
  }

  #exponential(lane: Lane, gauge: boolean): string {
    const problem = this.#native.exponential(this.#point, gauge, this.#startTime)
    if (problem === '') this.#putNative(lane)
    return problem
  }

  #putNative(lane: Lane): void {
    const series = this.#series
    series.which = BASE
    this.#readExemplars(true, false)
    series.toExemplar = this.#exemplars.length
    this.#writer.histogram(lane, series, this.#native.out)
  }

  /** Only 2.0 has a place for it. */
  get #startTime(): number {
    return this.#options.version === 2 ? this.#series.startTime : 0
  }

  #classic(lane: Lane): void {
    const point = this.#point
    const series = this.#series
    const { bounds, counts } = point
    this.#readExemplars(false, false)
    if (point.hasSum || point.ended) this.#sample(lane, SUM_OF, point.sum)
    this.#sample(lane, COUNT_OF, point.count)
    this.#readExemplars(true, true)
    const les = this.#les.list(bounds, 1)
    const exemplars = this.#exemplars
    let cumulative = 0
    for (let i = 0; i < bounds.length && i < counts.length; i++) {
      if (bounds.values[i] === Infinity) break
      cumulative += counts.values[i]
      series.extra = les[i]
      series.toExemplar = exemplars.upTo(bounds.values[i], series.fromExemplar)
      this.#sample(lane, BUCKET_OF, cumulative)
      series.fromExemplar = series.toExemplar
    }
    series.extra = this.#les.of(Infinity)
    series.toExemplar = exemplars.length
    this.#sample(lane, BUCKET_OF, point.count)
    series.extra = undefined
  }

  #summary(lane: Lane): void {
    const point = this.#point
    const series = this.#series
    const { quantiles } = point
    this.#readExemplars(false, false)
    this.#sample(lane, SUM_OF, point.sum)
    this.#sample(lane, COUNT_OF, point.count)
    const labels = this.#quantiles.list(quantiles, 2)
    for (let i = 0; i < quantiles.length; i += 2) {
      series.extra = labels[i >> 1]
      this.#sample(lane, BASE, quantiles.values[i + 1])
    }
    series.extra = undefined
  }

  /** One series of the point with this value, or the end of it. */
  #sample(lane: Lane, which: number, value: number): void {
    const series = this.#series
    series.which = which
    if (this.#point.ended) {
      this.#writer.sample(lane, series, STALE_LOW, STALE_HIGH)
      return
    }
    const double = this.#double
    double.setFloat64(0, value, true)
    this.#writer.sample(lane, series, double.getInt32(0, true), double.getInt32(4, true))
  }

  /** Reads the point's exemplars where they are wanted; none of them belongs to the series yet. */
  #readExemplars(wanted: boolean, sorted: boolean): void {
    const exemplars = this.#exemplars
    const series = this.#series
    series.fromExemplar = series.toExemplar = exemplars.length = 0
    const { exemplarsStart, exemplarsEnd } = this.#point
    if (wanted && exemplarsStart !== exemplarsEnd) exemplars.read(this.#point, sorted)
  }

  /** Says of the resource what its series do not, as of its latest point; never of a time before one that was said. */
  #targetInfo(): void {
    const labels = this.#labels
    if (!labels.targetInfo()) return
    const { hash } = labels
    const time = this.#latest
    const times = this.#infoTimes
    if ((times.get(hash) ?? 0) > time) return
    if (times.size > mostInfoTimes) times.clear()
    times.set(hash, time)
    const series = this.#series
    series.info = this.#info
    series.time = time
    series.startTime = 0
    series.which = BASE
    this.#readExemplars(false, false)
    let lane = this.#run(this.#info.id)
    // 1 as a double.
    this.#writer.sample(lane, series, 0, 0x3ff00000)
    if (this.#isTooMuch(lane)) {
      lane = this.#run(this.#info.id)
      this.#writer.sample(lane, series, 0, 0x3ff00000)
    }
    lane.infos++
  }
}
