/** OTLP metrics as Datadog's series and distributions. */
import type { MetricBlock, MetricBlocks } from '../../backends/datadog/metric-block.ts'
import { type Data, Point, type PointKind, readTemporality } from '../../backends/datadog/points.ts'
import { COUNT, GAUGE } from '../../backends/datadog/series.ts'
import { statsMetric } from '../../backends/datadog/stats.ts'
import type { Group } from '../../proto/group.ts'
import type { Memory } from '../../proto/growing.ts'
import { endless, type Room } from '../../proto/room.ts'
import { BYTES, Range, valueKind } from '../../proto/values.ts'
import { findAttribute } from '../../proto/attributes.ts'
import { ItemCursor } from '../../proto/views.ts'
import { Cursor, LENGTH, sameBytes, WireError } from '../../proto/wire.ts'
import { Differences, NEXT, OLD } from './differences.ts'
import { boundText, Histograms, type HistogramState } from './histograms.ts'
import { type MetricBody, MetricOutput } from './metric-output.ts'
import { countsFirst, type MetricSettings } from './metric-settings.ts'

const DELTA = 1
const CUMULATIVE = 2

/** The fields of Metric that hold points. */
const kinds = new Map<number, PointKind>([
  [5, 'gauge'],
  [7, 'sum'],
  [9, 'histogram'],
  [10, 'exponential_histogram'],
  [11, 'summary'],
])
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

/** Maps batches one after the other. */
export class MetricMapping {
  readonly #settings: MetricSettings
  readonly #blocks: MetricBlocks
  readonly #numbers: Differences
  readonly #summaries: Differences<number>
  readonly #histogramState: Differences<HistogramState>
  readonly #histograms: Histograms
  readonly #items = new ItemCursor()
  readonly #cursor = new Cursor(Buffer.alloc(0))
  readonly #name = new Range()
  readonly #point = new Point()
  readonly #data: Data = { kind: 'gauge', bytes: Buffer.alloc(0), start: 0, end: 0, temporality: 0, monotonic: false }

  /** `room`: where memory for what is known of cumulative series is taken. */
  constructor(settings: MetricSettings, blocks: MetricBlocks, now: () => number = Date.now, room: Room = endless) {
    this.#settings = settings
    this.#blocks = blocks
    this.#numbers = new Differences(settings.lifetime, now, room)
    this.#summaries = new Differences(settings.lifetime, now, room)
    this.#histogramState = new Differences(settings.lifetime, now, room)
    this.#histograms = new Histograms(settings, this.#histogramState)
  }

  /** What is known of cumulative series changes only by `commit`. @throws WireError */
  map(groups: readonly Group[], size: number, memory?: Memory): MappedMetrics {
    const states = [this.#numbers, this.#summaries, this.#histogramState]
    const begun = states.map(state => state.begin())
    const output = new MetricOutput(size, this.#point, memory)
    const stats: Uint8Array[] = []
    try {
      for (const group of groups) this.#group(group, output, stats)
      const commit = (): void => states.forEach((state, i) => state.commit(begun[i]))
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
    if (!this.#find(bytes, start, end)) return
    if (data.kind === 'sum' && sameBytes(name.bytes, name.start, name.end - name.start, statsName)) {
      return this.#stats(stats, output)
    }
    readTemporality(this.#cursor, data)
    output.metric(block, name)
    const named = `${name.bytes instanceof Buffer ? name.bytes.toString('latin1', name.start, name.end) : ''}\0`
    const cursor = this.#cursor.set(data.bytes, data.start, data.end)
    while (cursor.at < data.end) {
      const tag = cursor.tag()
      if (tag !== 0x0a) {
        cursor.skip(tag)
        continue
      }
      const size = cursor.length()
      this.#point.read(data.kind, data.bytes, cursor.at, cursor.at + size)
      this.#take(block.identity, named, output)
      cursor.at += size
    }
  }

  /** Finds name and data of the metric; says whether it has data. The data that stand last win. */
  #find(bytes: Buffer, start: number, end: number): boolean {
    const cursor = this.#cursor.set(bytes, start, end)
    const data = this.#data
    let found = 0
    this.#name.set(bytes, start, start)
    while (cursor.at < end) {
      const tag = cursor.tag()
      const field = tag >>> 3
      const kind = kinds.get(field)
      if (tag !== 0x0a && kind === undefined) {
        cursor.skip(tag)
        continue
      }
      if ((tag & 7) !== LENGTH) throw new WireError(`field ${field} of a metric has wire type ${tag & 7}`)
      const size = cursor.length()
      const to = cursor.at + size
      if (kind === undefined) this.#name.set(bytes, cursor.at, to)
      else {
        // Data that stand in pieces are what they are together.
        const both =
          found === field
            ? Buffer.concat([data.bytes.subarray(data.start, data.end), bytes.subarray(cursor.at, to)])
            : undefined
        data.kind = kind
        data.bytes = both ?? bytes
        data.start = both === undefined ? cursor.at : 0
        data.end = both === undefined ? to : both.length
        found = field
      }
      cursor.at = to
    }
    return found !== 0
  }

  /** Maps one point. */
  #take(group: string, named: string, output: MetricOutput): void {
    const point = this.#point
    const { kind, temporality, monotonic } = this.#data
    if (point.stale) return
    if (point.time === 0) return output.reject('no_timestamp')
    switch (kind) {
      case 'gauge':
        return number(GAUGE, point, output)
      case 'summary':
        return this.#summary(group, named, output)
      case 'sum':
      case 'histogram':
      case 'exponential_histogram':
        break
    }
    if (temporality !== DELTA && temporality !== CUMULATIVE) return output.reject('no_temporality')
    const cumulative = temporality === CUMULATIVE
    if (kind === 'sum') {
      if (!cumulative) return number(COUNT, point, output)
      if (monotonic && !this.#settings.raw) return this.#counter(group, named, output)
      return number(GAUGE, point, output)
    }
    const name = cumulative ? named + point.tags.identity() : ''
    if (kind === 'histogram') this.#histograms.explicit(point, cumulative, group, name, output)
    else this.#histograms.exponential(point, cumulative, group, name, output)
  }

  /** A counter counts by how much it has grown. */
  #counter(group: string, named: string, output: MetricOutput): void {
    const known = this.#numbers
    const point = this.#point
    const { start, time, value } = point
    if (!Number.isFinite(value)) return output.reject('not_finite')
    const series = known.series(group, named + point.tags.identity())
    if (series === undefined) return output.reject('memory_limit')
    const relation = known.relation(series, start, time)
    if (relation === OLD) return output.reject('out_of_order')
    const before = known.value(series)
    known.note(series, start, time, value)
    if (relation === NEXT && value >= before) output.series(COUNT, value - before, time)
    else if (countsFirst(this.#settings, start, time)) output.series(COUNT, value, time)
    output.point()
  }

  #summary(group: string, named: string, output: MetricOutput): void {
    const known = this.#summaries
    const point = this.#point
    const { start, time, count, sum, quantiles, quantileValues } = point
    const series = known.series(group, named + point.tags.identity())
    if (series === undefined) return output.reject('memory_limit')
    const relation = known.relation(series, start, time)
    if (relation === OLD) return output.reject('out_of_order')
    const before = known.value(series)
    const sumBefore = known.more(series) ?? NaN
    known.note(series, start, time, count, sum)
    const next = relation === NEXT && count >= before
    if (next || countsFirst(this.#settings, start, time)) {
      output.series(COUNT, next ? count - before : count, time, suffixes.count)
      const grown = next ? sum - sumBefore : sum
      if (Number.isFinite(grown)) output.series(COUNT, grown, time, suffixes.sum)
    }
    for (let i = 0; this.#settings.quantiles && i < quantiles.length; i++) {
      const value = quantileValues.values[i]
      const tag = Buffer.from(`quantile:${boundText(quantiles.values[i])}`)
      if (Number.isFinite(value)) output.series(GAUGE, value, time, suffixes.quantile, [tag])
    }
    output.point()
  }

  /** Takes APM stats, which the connector hands on as an attribute of points. */
  #stats(stats: Uint8Array[], output: MetricOutput): void {
    const { bytes, start, end } = this.#data
    const cursor = this.#cursor.set(bytes, start, end)
    const value = new Range()
    while (cursor.at < end) {
      const tag = cursor.tag()
      if (tag !== 0x0a) {
        cursor.skip(tag)
        continue
      }
      const size = cursor.length()
      const to = cursor.at + size
      const found = findAttribute(bytes, cursor.at, to, 0x3a, statsName, value)
      if (found && valueKind(value.bytes, value.start, value.end, value) === BYTES) {
        stats.push(value.bytes.subarray(value.start, value.end))
      } else output.reject('malformed_stats')
      cursor.at = to
    }
  }
}

function number(type: number, point: Point, output: MetricOutput): void {
  if (!Number.isFinite(point.value)) return output.reject('not_finite')
  output.series(type, point.value, point.time)
  output.point()
}
