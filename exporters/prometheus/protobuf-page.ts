/**
 * Writes the table as `io.prometheus.client.MetricFamily` messages, each behind its length. Only here exponential histograms
 * stand as they are, as native histograms.
 */
import type { Pair } from '../../backends/prometheus/label-base.ts'
import { escapedLabelName, escapedMetricName } from '../../backends/prometheus/text.ts'
import type { PageFormat } from '../../backends/prometheus/text-format.ts'
import { type Exemplar, Exemplars, exemplarsOf } from './exemplars.ts'
import {
  infoHelp,
  overflowHelp,
  type PageSettings,
  type PageSource,
  type PageWriter,
  shownFamilies,
} from './families.ts'
import { nativeOf, type NativeHistogram, type NativeSide } from './native.ts'
import { ProtobufWriter } from './protobuf.ts'
import { classicBuckets, ExponentialHistogram, Histogram, type Summary } from './states.ts'
import { type Family, type FamilyType, overflowName, type Series, type Table } from './table.ts'

/** Types of a family by their numbers, and the field of a metric for each. */
const types: Readonly<Record<FamilyType, readonly [number: number, tag: number]>> = {
  counter: [0, 0x1a],
  gauge: [1, 0x12],
  summary: [2, 0x22],
  unknown: [3, 0x2a],
  histogram: [4, 0x3a],
}

/** So many bytes are written before others may have their turn. */
const chunkBytes = 1 << 16

/** One page of messages. */
export class ProtobufPage {
  readonly #table: Table
  readonly #format: PageFormat
  readonly #settings: PageSettings
  readonly #out = new ProtobufWriter()
  #turn = chunkBytes

  constructor({ table, format, settings }: PageSource) {
    this.#table = table
    this.#format = format
    this.#settings = settings
  }

  /** Writes all of it. */
  *write(): PageWriter {
    const out = this.#out
    for (const { family, name } of shownFamilies(this.#table, this.#format.escaping)) {
      const start = this.#begin(name, family.help, types[family.type][0])
      for (const series of family.series.values()) {
        this.#series(family, series)
        if (this.#isTurn()) yield
      }
      if (family.overflow !== undefined) this.#series(family, family.overflow)
      if (hasUnit(name, family)) out.text(0x2a, family.unit)
      out.close(start)
    }
    this.#overflowed()
    yield* this.#infos()
    yield out.done()
  }

  #isTurn(): boolean {
    if (this.#out.length < this.#turn) return false
    this.#turn = this.#out.length + chunkBytes
    return true
  }

  #begin(name: string, help: string, type: number): number {
    const out = this.#out
    const start = out.open(0)
    out.text(0x0a, name)
    out.text(0x12, help)
    out.integer(0x18, type)
    return start
  }

  #series(family: Family, series: Series): void {
    const out = this.#out
    const metric = out.open(0x22)
    this.#labels(series.pairs ?? labelPairs(series.labels))
    const { state } = series
    const value = out.open(types[family.type][1])
    if (state === undefined) this.#number(family, series)
    else if (state instanceof Histogram) this.#histogram(state, series)
    else if (state instanceof ExponentialHistogram) this.#exponential(state, series)
    else this.#summary(state, series)
    out.close(value)
    if (this.#settings.withTimestamps && series.time !== 0) out.integer(0x30, Math.floor(series.time / 1e6))
    out.close(metric)
  }

  #labels(pairs: readonly Pair[]): void {
    const { escaping } = this.#format
    const written = new Map<string, string>()
    for (const [name, value] of pairs) {
      const label = escapedLabelName(name, escaping)
      const before = written.get(label)
      written.set(label, before === undefined ? value : `${before};${value}`)
    }
    for (const [name, value] of written) this.#label(name, value)
  }

  #label(name: string, value: string): void {
    const out = this.#out
    const label = out.open(0x0a)
    out.text(0x0a, name)
    out.text(0x12, value)
    out.close(label)
  }

  #number(family: Family, series: Series): void {
    this.#out.double(0x09, series.value)
    if (family.type !== 'counter') return
    const [exemplar] = exemplarsOf(series, this.#settings.strategy).slice(-1)
    if (exemplar !== undefined) this.#exemplar(0x12, exemplar)
    this.#created(0x1a, series)
  }

  #histogram(state: Histogram, series: Series): void {
    const { bounds, counts } = state
    let below = 0
    const buckets = [...bounds.values].map((bound, i): [number, number] => [bound, (below += counts[i] ?? 0)])
    this.#classic(counts.length === 0 ? [] : buckets, state, series)
  }

  #classic(
    buckets: readonly (readonly [bound: number, below: number])[],
    { count, sum, hasSum }: { readonly count: number; readonly sum: number; readonly hasSum: boolean },
    series: Series,
  ): void {
    const out = this.#out
    const exemplars = new Exemplars(exemplarsOf(series, this.#settings.strategy))
    out.integer(0x08, count)
    if (hasSum) out.double(0x11, sum)
    const finite = buckets.filter(([bound]) => bound !== Infinity)
    for (const [bound, below] of [...finite, [Infinity, count] as const]) {
      const bucket = out.open(0x1a)
      out.integer(0x08, below)
      out.double(0x11, bound)
      const exemplar = exemplars.upTo(bound)
      if (exemplar !== undefined) this.#exemplar(0x1a, exemplar)
      out.close(bucket)
    }
    this.#created(0x7a, series)
  }

  #exponential(state: ExponentialHistogram, series: Series): void {
    const native = nativeOf(state)
    if (native === undefined) this.#classic(classicBuckets(state), state, series)
    else this.#native(native, state, series)
  }

  #native(native: NativeHistogram, { count, sum, hasSum, zeroCount }: ExponentialHistogram, series: Series): void {
    const out = this.#out
    out.integer(0x08, count)
    if (hasSum) out.double(0x11, sum)
    out.signed(0x28, native.schema)
    out.double(0x31, native.zeroThreshold)
    out.integer(0x38, zeroCount)
    this.#side(0x4a, 0x52, native.negative)
    this.#side(0x62, 0x6a, native.positive)
    this.#created(0x7a, series)
    for (const exemplar of exemplarsOf(series, this.#settings.strategy)) {
      if (exemplar.time > 0) this.#exemplar(0x82, exemplar)
    }
  }

  #side(spanTag: number, deltaTag: number, { spans, deltas }: NativeSide): void {
    const out = this.#out
    for (const { offset, length } of spans) {
      const span = out.open(spanTag)
      out.signed(0x08, offset)
      out.integer(0x10, length)
      out.close(span)
    }
    out.signedList(deltaTag, deltas)
  }

  #summary({ count, sum, values }: Summary, series: Series): void {
    const out = this.#out
    out.integer(0x08, count)
    out.double(0x11, sum)
    for (const [quantile, value] of values) {
      const field = out.open(0x1a)
      out.double(0x09, quantile)
      out.double(0x11, value)
      out.close(field)
    }
    this.#created(0x22, series)
  }

  #exemplar(tag: number, { labels, value, time }: Exemplar): void {
    const out = this.#out
    const exemplar = out.open(tag)
    this.#labels(labels)
    out.double(0x11, value)
    if (time > 0) this.#time(0x1a, time)
    out.close(exemplar)
  }

  /** When the series began. */
  #created(tag: number, { start }: Series): void {
    if (start > 0) this.#time(tag, Math.floor(start / 1e6))
  }

  #time(tag: number, milliseconds: number): void {
    const out = this.#out
    const time = out.open(tag)
    out.integer(0x08, Math.floor(milliseconds / 1000))
    out.integer(0x10, (milliseconds % 1000) * 1e6)
    out.close(time)
  }

  /** One line that is a number. */
  #simple(tag: number, pairs: readonly Pair[], value: number): void {
    const out = this.#out
    const metric = out.open(0x22)
    this.#labels(pairs)
    const inner = out.open(tag)
    out.double(0x09, value)
    out.close(inner)
    out.close(metric)
  }

  #overflowed(): void {
    const { overflowed } = this.#table
    if (overflowed.size === 0) return
    const [type, tag] = types.counter
    const start = this.#begin(overflowName, overflowHelp, type)
    for (const [metric, points] of overflowed) this.#simple(tag, [['metric', metric]], points)
    this.#out.close(start)
  }

  *#infos(): PageWriter {
    const { infos } = this.#table
    if (infos.size === 0) return
    const [type, tag] = types.gauge
    const start = this.#begin(escapedMetricName(this.#settings.infoName, this.#format.escaping), infoHelp, type)
    for (const { pairs } of infos.values()) {
      this.#simple(tag, pairs, 1)
      if (this.#isTurn()) yield
    }
    this.#out.close(start)
  }
}

/** Readers want the unit to be the last word of the name. */
function hasUnit(name: string, { type, unit }: Family): boolean {
  return unit !== '' && (type === 'counter' ? name.replace(/_total$/, '') : name).endsWith(`_${unit}`)
}

/** The labels of a series whose names are plain, from the text between braces. */
function labelPairs(text: string): Pair[] {
  return [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gs)].map(([, name = '', value = '']): Pair => [
    name,
    unquoted(value),
  ])
}

const unquoted = (text: string): string =>
  text.includes('\\') ? text.replace(/\\(.)/gs, (_, character: string) => (character === 'n' ? '\n' : character)) : text
