/** OTLP metrics as Datadog's series and distributions. */
import type { MetricBlock, MetricBlocks } from '../../backends/datadog/metric-block.ts'
import { PointTags } from '../../backends/datadog/point-tags.ts'
import { COUNT, GAUGE } from '../../backends/datadog/series.ts'
import { statsMetric } from '../../backends/datadog/stats.ts'
import { DataPoint } from '../../proto/data-point.ts'
import type { Group } from '../../proto/group.ts'
import type { Memory } from '../../proto/growing.ts'
import { MetricData } from '../../proto/metric-data.ts'
import { TooManyNumbers } from '../../proto/numbers.ts'
import { GAUGE as GAUGE_DATA, HISTOGRAM, SUM, SUMMARY } from '../../proto/points.ts'
import { endless, type Room } from '../../proto/room.ts'
import { asBuffer, BYTES, Range, valueKind } from '../../proto/values.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import { fieldNamed, findField, ItemCursor } from '../../proto/views.ts'
import { sameBytes } from '../../proto/wire.ts'
import { Differences, NEXT, OLD, RESET } from './differences.ts'
import { boundText, Histograms, type HistogramState } from './histograms.ts'
import { type MetricBody, MetricOutput } from './metric-output.ts'
import { countsFirst, type MetricSettings } from './metric-settings.ts'

const DELTA = 1
const CUMULATIVE = 2

const nameField = fieldNamed('Metric', 'name')
const statsName = Buffer.from(statsMetric)
const suffixes = { count: Buffer.from('.count'), sum: Buffer.from('.sum'), quantile: Buffer.from('.quantile') }

/** What was made of a batch. */
export interface MappedMetrics {
  readonly bodies: MetricBody[]
  /** APM stats that came with it. */
  readonly stats: readonly Uint8Array[]
  readonly rejected: number
  readonly reasons: Readonly<Record<string, number>>
  /** Makes what the batch said of its series the last that is known. */
  commit(): void
}

/** What is known of cumulative series, of all kinds. */
export class KnownSeries {
  readonly numbers: Differences
  readonly summaries: Differences<number>
  readonly histograms: Differences<HistogramState>

  /** `room`: where memory for them is taken. */
  constructor(lifetime: number, now: () => number, room: Room = endless) {
    this.numbers = new Differences(lifetime, now, room)
    this.summaries = new Differences(lifetime, now, room)
    this.histograms = new Differences(lifetime, now, room)
  }

  get all(): readonly Pick<Differences, 'begin' | 'commit' | 'lifetime'>[] {
    return [this.numbers, this.summaries, this.histograms]
  }
}

/** Maps batches one after the other. */
export class MetricMapping {
  readonly #settings: MetricSettings
  readonly #blocks: MetricBlocks
  readonly #known: KnownSeries
  readonly #histograms: Histograms
  readonly #items = new ItemCursor()
  readonly #name = new Range()
  readonly #point = new DataPoint('exemplars', 'zero_threshold')
  readonly #tags = new PointTags()
  readonly #data = new MetricData(nameField.number)

  constructor(settings: MetricSettings, blocks: MetricBlocks, known: KnownSeries) {
    this.#settings = settings
    this.#blocks = blocks
    this.#known = known
    for (const differences of known.all) differences.lifetime = settings.lifetime
    this.#histograms = new Histograms(settings, known.histograms)
  }

  /** What is known of cumulative series changes only by `commit`. @throws WireError */
  map(groups: readonly Group[], size: number, memory?: Memory): MappedMetrics {
    const commits = this.#known.all.map(state => {
      const begun = state.begin()
      return (): void => state.commit(begun)
    })
    const output = new MetricOutput(size, this.#tags, memory)
    const stats: Uint8Array[] = []
    try {
      for (const group of groups) this.#group(group, output, stats)
      const commit = (): void => commits.forEach(each => each())
      const bodies = output.done()
      return { bodies, stats, rejected: output.rejected, reasons: output.reasons, commit }
    } catch (error) {
      output.abandon()
      throw error
    }
  }

  #group(group: Group, output: MetricOutput, stats: Uint8Array[]): void {
    const items = this.#items.set(group)
    const resource = { bytes: group.resource, start: group.resourceStart, end: group.resourceEnd }
    const scope = new Range()
    while (items.nextScope()) {
      let block: MetricBlock | undefined
      while (items.nextItem()) {
        block ??= this.#blocks.of(resource, items.scope(scope) ? scope : new Range())
        this.#metric(items.bytes, items.start, items.end, block, output, stats)
      }
    }
  }

  #metric(
    bytes: Buffer,
    start: number,
    end: number,
    block: MetricBlock,
    output: MetricOutput,
    stats: Uint8Array[],
  ): void {
    const name = this.#name
    const data = this.#data
    if (!data.read(bytes, start, end)) return
    if (!findField(data.head, data.headStart, data.headEnd, nameField, name)) name.set(bytes, start, start)
    if (data.kind === SUM && sameBytes(name.bytes, name.start, name.end - name.start, statsName)) {
      return this.#stats(stats, output)
    }
    output.metric(block, name)
    const named = `${asBuffer(name.bytes).toString('latin1', name.start, name.end)}\0`
    while (data.nextPoint()) {
      if (this.#read(data)) this.#take(block.identity, named, output)
      else output.reject('too_many_buckets')
    }
  }

  /** Reads the point and its tags; false where it has too many buckets. @throws WireError */
  #read({ kind, bytes, pointStart, pointEnd }: MetricData): boolean {
    const point = this.#point
    try {
      point.read(kind, bytes, pointStart, pointEnd)
      this.#tags.read(point.attributes, point.attributesStart, point.attributesEnd)
    } catch (error) {
      if (error instanceof TooManyNumbers) return false
      throw error
    }
    // Unlike a summary a histogram may have no sum, which is another thing than 0.
    if (kind !== SUMMARY && !point.hasSum) point.sum = NaN
    return true
  }

  /** Maps one point. */
  #take(group: string, named: string, output: MetricOutput): void {
    const point = this.#point
    const { kind, temporality, isMonotonic } = this.#data
    if (point.ended) return
    if (point.time === 0) return output.reject('no_timestamp')
    if (kind === GAUGE_DATA) return number(GAUGE, point, output)
    if (kind === SUMMARY) return this.#summary(group, named, output)
    if (temporality !== DELTA && temporality !== CUMULATIVE) return output.reject('no_temporality')
    const cumulative = temporality === CUMULATIVE
    if (kind === SUM) {
      if (!cumulative) return number(COUNT, point, output)
      if (isMonotonic && !this.#settings.raw) return this.#counter(group, named, output)
      return number(GAUGE, point, output)
    }
    const name = cumulative ? named + this.#tags.identity() : ''
    if (kind === HISTOGRAM) this.#histograms.explicit(point, cumulative, group, name, output)
    else this.#histograms.exponential(point, cumulative, group, name, output)
  }

  /** A counter counts by how much it has grown. */
  #counter(group: string, named: string, output: MetricOutput): void {
    const known = this.#known.numbers
    const point = this.#point
    const { start, time, value } = point
    if (!Number.isFinite(value)) return output.reject('not_finite')
    const series = known.series(group, named + this.#tags.identity())
    if (series === undefined) return output.reject('memory_limit')
    const relation = known.relation(series, start, time)
    if (relation === OLD) return output.reject('out_of_order')
    const before = known.value(series)
    known.note(series, start, time, value)
    if (relation === NEXT && value >= before) output.series(COUNT, value - before, time)
    else if (relation === RESET || countsFirst(this.#settings, start, time)) output.series(COUNT, value, time)
    output.point()
  }

  #summary(group: string, named: string, output: MetricOutput): void {
    const known = this.#known.summaries
    const point = this.#point
    const { start, time, count, sum, quantiles } = point
    const series = known.series(group, named + this.#tags.identity())
    if (series === undefined) return output.reject('memory_limit')
    const relation = known.relation(series, start, time)
    if (relation === OLD) return output.reject('out_of_order')
    const before = known.value(series)
    const sumBefore = known.more(series) ?? NaN
    known.note(series, start, time, count, sum)
    const next = relation === NEXT && count >= before
    if (next || relation === RESET || countsFirst(this.#settings, start, time)) {
      output.series(COUNT, next ? count - before : count, time, suffixes.count)
      const grown = next ? sum - sumBefore : sum
      if (Number.isFinite(grown)) output.series(COUNT, grown, time, suffixes.sum)
    }
    for (const [quantile, value] of this.#settings.quantiles ? quantiles.pairs() : []) {
      const tag = Buffer.from(`quantile:${boundText(quantile)}`)
      if (Number.isFinite(value)) output.series(GAUGE, value, time, suffixes.quantile, [tag])
    }
    output.point()
  }

  /** Takes APM stats, which the connector hands on as an attribute of points. */
  #stats(stats: Uint8Array[], output: MetricOutput): void {
    const data = this.#data
    const value = new Range()
    while (data.nextPoint()) {
      const { bytes, pointStart, pointEnd } = data
      const found = findAttribute(bytes, pointStart, pointEnd, attributeTags.numberPoint, statsName, value)
      if (found && valueKind(value.bytes, value.start, value.end, value) === BYTES) {
        stats.push(value.bytes.subarray(value.start, value.end))
      } else output.reject('malformed_stats')
    }
  }
}

function number(type: number, point: DataPoint, output: MetricOutput): void {
  if (!Number.isFinite(point.value)) return output.reject('not_finite')
  output.series(type, point.value, point.time)
  output.point()
}
