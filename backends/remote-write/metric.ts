/** Metrics as Prometheus knows them, known again by what stands before their data. */
import { ByteTable, viewOf } from '../byte-table.ts'
import { endless, type Room, Share } from '../../proto/room.ts'
import { encodedLabel } from '../prometheus/label-bytes.ts'
import { type MetricKind, metricName, type TranslationStrategy, unitName } from '../prometheus/names.ts'
import type { MetricData } from '../../proto/metric-data.ts'
import { EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY } from '../../proto/points.ts'
import { fieldNamed, readText } from '../../proto/views.ts'

/** What remote write calls a metric's type, in both versions. */
export const types = { unknown: 0, counter: 1, gauge: 2, histogram: 3, gaugeHistogram: 4, summary: 5, info: 6 } as const

export const DELTA = 1
export const CUMULATIVE = 2

/** Which of a metric's series: itself, or one with a suffix. */
export const BASE = 0
export const SUM_OF = 1
export const COUNT_OF = 2
export const BUCKET_OF = 3
/** The last field of Metric before its data: name, description and unit tell metrics apart. */
export const lastHead = 3
const suffixes = ['', '_sum', '_count', '_bucket']

const name = fieldNamed('Metric', 'name')
const description = fieldNamed('Metric', 'description')
const unit = fieldNamed('Metric', 'unit')

/** A metric as Prometheus knows it. */
export interface MetricInfo {
  /** Number of the metric in its table. */
  readonly id: number
  /** Why it cannot be written; '' when it can. */
  readonly refusal: string
  /** The names of its series as `__name__` labels: BASE, SUM_OF, ... */
  readonly names: readonly Buffer[]
  /** The same as texts. */
  readonly texts: readonly Buffer[]
  readonly type: number
  readonly help: Buffer
  readonly unit: Buffer
  /** Numbers of these as symbols: the texts, then help and unit, then the epoch in which they are right. */
  readonly symbols: Int32Array
}

/** How metrics are named. */
export interface MetricRules {
  readonly strategy: TranslationStrategy
  readonly namespace: string
  /** Whether delta temporality is written as it is. */
  readonly delta: boolean
}

/** Bytes of what is made of a metric besides texts, and how often its name is among those. */
const infoCost = 2500
const textCopies = 16

/** Metrics by what stands before their data. */
export class MetricTable {
  readonly #rules: MetricRules
  readonly #room: Share
  readonly #table: ByteTable
  readonly #infos: MetricInfo[] = []
  #view = viewOf(Buffer.alloc(0))
  #viewed: Uint8Array | undefined

  /** `room`: where memory for what is known of metrics is taken; once there is none left all are forgotten. */
  constructor(rules: MetricRules, room: Room = endless) {
    this.#rules = rules
    this.#room = new Share(room)
    this.#table = new ByteTable(this.#room)
  }

  /** The metric whose data was read. */
  find(data: MetricData): MetricInfo {
    const { head, headStart, headEnd } = data
    const salt = (data.kind << 4) | (data.temporality << 1) | (data.isMonotonic ? 1 : 0)
    const table = this.#table
    if (head !== this.#viewed) {
      this.#view = viewOf(head)
      this.#viewed = head
    }
    const view = this.#view
    const hash = table.hash(view, headStart, headEnd, salt)
    const id = table.find(hash, view, headStart, headEnd, salt)
    if (id >= 0) return this.#infos[id]
    const isKept = this.#room.grow(infoCost + textCopies * (headEnd - headStart))
    const added = isKept ? table.add(hash, head, headStart, headEnd, salt) : -1
    const info = this.#info(data, added)
    if (added >= 0) this.#infos[added] = info
    return info
  }

  /** Forgets all once there are many; for between two batches. */
  trim(): void {
    if (this.#infos.length < 20_000 && this.#table.used < 8 << 20 && !this.#room.isShort) return
    this.#table.clear()
    this.#infos.length = 0
    this.#room.clear()
  }

  #info(data: MetricData, id: number): MetricInfo {
    const { head, headStart, headEnd } = data
    const { strategy, namespace } = this.#rules
    const unitText = readText(head, headStart, headEnd, unit)
    const text = metricName(readText(head, headStart, headEnd, name), unitText, kindOf(data), strategy, namespace)
    const texts = suffixes.map(suffix => text + suffix)
    return {
      id,
      refusal: this.#refusal(data, text),
      names: texts.map(series => encodedLabel(['__name__', series])),
      texts: texts.map(series => Buffer.from(series)),
      type: typeOf(data),
      help: Buffer.from(readText(head, headStart, headEnd, description)),
      unit: Buffer.from(unitName(unitText, strategy)),
      symbols: new Int32Array(7).fill(-1),
    }
  }

  #refusal({ kind, temporality }: MetricData, text: string): string {
    if (text === '') return 'no_name'
    if (kind === GAUGE || kind === SUMMARY || temporality === CUMULATIVE) return ''
    if (temporality !== DELTA) return 'unknown_temporality'
    return this.#rules.delta ? '' : 'delta'
  }
}

function kindOf({ kind, isMonotonic }: MetricData): MetricKind {
  switch (kind) {
    case GAUGE:
      return 'gauge'
    case SUM:
      return isMonotonic ? 'counter' : 'up_down_counter'
    case HISTOGRAM:
      return 'histogram'
    case EXPONENTIAL_HISTOGRAM:
      return 'exponential_histogram'
    default:
      return 'summary'
  }
}

/** Deltas are of no type that Prometheus knows: functions that take counters would be wrong on them. */
function typeOf({ kind, isMonotonic, temporality }: MetricData): number {
  if (kind === GAUGE) return types.gauge
  if (kind === SUMMARY) return types.summary
  if (temporality === DELTA) return types.unknown
  if (kind === SUM) return isMonotonic ? types.counter : types.gauge
  return types.histogram
}

/** The metric that describes resources. */
export function targetInfo(namespace: string, strategy: TranslationStrategy): MetricInfo {
  const text = metricName('target_info', '', 'unknown', strategy, namespace)
  return {
    id: -2,
    refusal: '',
    names: [encodedLabel(['__name__', text])],
    texts: Array.from({ length: 4 }, () => Buffer.from(text)),
    type: types.gauge,
    help: Buffer.from('Target metadata'),
    unit: Buffer.alloc(0),
    symbols: new Int32Array(7).fill(-1),
  }
}
