/** Remote write as a plain translation of decoded messages makes it: the rules of the encoder once more, one step after the other. */
import { labelName, metricName, unitName } from '../../backends/prometheus/names.ts'
import type { RemoteWriteOptions } from '../../backends/remote-write/request.ts'
import { formatFloat } from '../../backends/remote-write/extra.ts'
import { type DecodedHistogram, type DecodedSeries, doubleBits, stale } from './remote-write.ts'

/** How names are translated in the tests. */
export const strategy = 'UnderscoreEscapingWithSuffixes'
/** Options with everything as simple as can be. */
export const plain: RemoteWriteOptions = {
  version: 1,
  labels: { labelName: key => labelName(key, strategy), scopeLabels: false, constant: {} },
  strategy,
  namespace: '',
  targetInfo: false,
  metadata: false,
  histograms: 'classic',
  delta: false,
  maxBytes: 3_000_000,
}

/** An attribute of a message as protobufjs takes it. */
export interface Attribute {
  key: string
  value: { string_value: string }
}
/** Attributes of a message. */
export type Attributes = readonly Attribute[]

/** An exemplar. */
export interface Exemplar {
  as_double: number
  time_unix_nano: string
  trace_id?: Buffer | undefined
  span_id?: Buffer | undefined
  filtered_attributes: Attributes
}

/** What all points have. */
export interface AnyPoint {
  attributes: Attributes
  time_unix_nano: string
  start_time_unix_nano: string
  flags: number
  exemplars?: Exemplar[] | undefined
}
/** A point of a gauge or sum. */
export interface NumberPoint extends AnyPoint {
  as_double?: number | undefined
  as_int?: string | undefined
}
/** A point with explicit bounds. */
export interface HistogramPoint extends AnyPoint {
  count: string
  sum?: number | undefined
  bucket_counts: string[]
  explicit_bounds: number[]
}
/** Buckets of one sign. */
export interface Buckets {
  offset: number
  bucket_counts: string[]
}
/** A point of an exponential histogram. */
export interface ExponentialPoint extends AnyPoint {
  count: string
  sum?: number | undefined
  scale: number
  zero_count: string
  zero_threshold: number
  positive?: Buckets | undefined
  negative?: Buckets | undefined
}
/** A point of a summary. */
export interface SummaryPoint extends AnyPoint {
  count: string
  sum: number
  quantile_values: { quantile: number; value: number }[]
}
/** A metric. */
export interface Metric {
  name: string
  unit: string
  description: string
  gauge?: { data_points: NumberPoint[] }
  sum?: { data_points: NumberPoint[]; aggregation_temporality: number; is_monotonic: boolean }
  histogram?: { data_points: HistogramPoint[]; aggregation_temporality: number }
  exponential_histogram?: { data_points: ExponentialPoint[]; aggregation_temporality: number }
  summary?: { data_points: SummaryPoint[] }
}
/** A request of OTLP. */
export interface Request {
  resource_metrics: {
    resource: { attributes: Attributes }
    scope_metrics: { scope: { name: string }; metrics: Metric[] }[]
  }[]
}

/** Attributes by key. */
export const attributesOf = (from: Readonly<Record<string, string>>): Attributes =>
  Object.entries(from).map(([key, value]) => ({ key, value: { string_value: value } }))

/** A request with one resource. */
export const requestOf = (metrics: readonly Metric[], resource: Readonly<Record<string, string>> = {}): Request => ({
  resource_metrics: [
    {
      resource: { attributes: attributesOf(resource) },
      scope_metrics: [{ scope: { name: 'scope' }, metrics: [...metrics] }],
    },
  ],
})

/** Nanoseconds shortly before the next millisecond. */
export const at = (milliseconds: number): string => `${BigInt(milliseconds) * 1_000_000n + 999_999n}`
/** A point at a millisecond. */
export const point = <T extends object>(
  milliseconds: number,
  more: T = {} as T,
  attributes: Readonly<Record<string, string>> = {},
) => ({
  attributes: attributesOf(attributes),
  time_unix_nano: at(milliseconds),
  start_time_unix_nano: '0',
  flags: 0,
  ...more,
})
/** A gauge. */
export const gauge = (name: string, points: NumberPoint[], unit = ''): Metric => ({
  name,
  unit,
  description: '',
  gauge: { data_points: points },
})

// The reference: the same rules on decoded messages, one step after the other.

const promTypes = {
  gauge: 2,
  counter: 1,
  up_down_counter: 2,
  histogram: 3,
  exponential_histogram: 3,
  summary: 5,
} as const

function kindOf({
  gauge: isGauge,
  sum,
  histogram,
  exponential_histogram: exponential,
}: Metric): keyof typeof promTypes {
  if (isGauge) return 'gauge'
  if (sum) return sum.is_monotonic ? 'counter' : 'up_down_counter'
  if (histogram) return 'histogram'
  return exponential ? 'exponential_histogram' : 'summary'
}

const noMetadata = { type: 0, help: '', unit: '' }

/** Translates requests. */
export class Reference {
  readonly series: DecodedSeries[] = []
  readonly leftOut: Record<string, number> = {}
  readonly #options: RemoteWriteOptions
  #resource: Attributes = []
  #name = ''
  #metadata = noMetadata
  /** The label that the metric's series may have besides: none of an attribute. */
  #besides = ''

  constructor(options: RemoteWriteOptions) {
    this.#options = options
  }

  request({ resource_metrics }: Request): this {
    for (const { resource, scope_metrics } of resource_metrics) {
      this.#resource = resource.attributes
      const times: number[] = []
      for (const { metrics } of scope_metrics) for (const metric of metrics) this.metric(metric, times)
      this.#targetInfo(Math.max(0, ...times))
    }
    return this
  }

  metric(metric: Metric, times: number[]): void {
    const { gauge: isGauge, sum, histogram, exponential_histogram: exponential, summary } = metric
    const data = isGauge ?? sum ?? histogram ?? exponential ?? summary
    if (data === undefined) return
    const kind = kindOf(metric)
    this.#name = metricName(metric.name, metric.unit, kind, strategy, this.#options.namespace)
    this.#besides = kind.endsWith('histogram') ? 'le' : kind === 'summary' ? 'quantile' : ''
    const temporality = (sum ?? histogram ?? exponential)?.aggregation_temporality
    const delta = temporality === 1
    const type = delta ? 0 : promTypes[kind]
    this.#metadata = { type, help: metric.description, unit: unitName(metric.unit, strategy) }
    const refusal = this.#refusal(temporality)
    for (const any of data.data_points) {
      let problem = refusal
      if (problem === '') {
        times.push(timeOf(any.time_unix_nano))
        if (isGauge || sum) problem = this.#number(any, sum !== undefined, delta)
        else if (histogram) problem = this.#histogram(any as HistogramPoint, delta)
        else if (exponential) problem = this.#exponential(any as ExponentialPoint, delta)
        else this.#summary(any as SummaryPoint)
      }
      if (problem !== '') this.leftOut[problem] = (this.leftOut[problem] ?? 0) + 1
    }
  }

  #refusal(temporality: number | undefined): string {
    if (this.#name === '') return 'no_name'
    if (temporality === undefined || temporality === 2) return ''
    if (temporality !== 1) return 'unknown_temporality'
    return this.#options.delta ? '' : 'delta'
  }

  #labels(any: AnyPoint, suffix: string, extra?: readonly [string, string]): (readonly [string, string])[] {
    const labels = new Map<string, string>()
    for (const { key, value } of [...any.attributes].sort((a, b) =>
      Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)),
    )) {
      const name = labelName(key, strategy)
      if (name === '') continue
      const before = labels.get(name)
      labels.set(name, before === undefined ? value.string_value : `${before};${value.string_value}`)
    }
    const identity = this.#identity()
    for (const [name, value] of [...identity, [this.#besides, ''] as const]) {
      const own = labels.get(name) ?? ''
      let exported = `exported_${name}`
      while (labels.get(exported)) exported = `exported_${exported}`
      if (own !== '') labels.set(exported, own)
      labels.set(name, value)
    }
    if (extra) labels.set(...extra)
    labels.set('__name__', this.#name + suffix)
    return sortedLabels(labels)
  }

  #identity(): [string, string][] {
    const get = (key: string): string => this.#resource.find(a => a.key === key)?.value.string_value ?? ''
    const job = [get('service.namespace'), get('service.name')].filter(Boolean).join('/')
    const pairs: [string, string][] = []
    if (get('service.name') !== '') pairs.push(['job', job])
    if (get('service.instance.id') !== '') pairs.push(['instance', get('service.instance.id')])
    return pairs
  }

  #add(
    any: AnyPoint,
    labels: DecodedSeries['labels'],
    value: number | string,
    delta: boolean,
    exemplars: Exemplar[] = [],
  ): void {
    const bits = any.flags & 1 ? stale : typeof value === 'string' ? value : doubleBits(value)
    const two = this.#options.version === 2
    this.series.push({
      labels,
      samples: [[bits, timeOf(any.time_unix_nano), two && !delta ? timeOf(any.start_time_unix_nano) : 0]],
      histograms: [],
      exemplars: exemplars.map(e => exemplarOf(e, any)),
      metadata: two ? this.#metadata : undefined,
    })
  }

  #number(any: NumberPoint, sum: boolean, delta: boolean): string {
    const value = any.as_double ?? (any.as_int === undefined ? undefined : Number(BigInt(any.as_int)))
    if (value === undefined && !(any.flags & 1)) return 'no_value'
    this.#add(any, this.#labels(any, ''), value ?? 0, delta, sum ? any.exemplars : [])
    return ''
  }

  #histogram(any: HistogramPoint, delta: boolean): string {
    const { histograms } = this.#options
    let problem = ''
    const gone = (any.flags & 1) === 1
    if (histograms !== 'classic') {
      const finite = any.explicit_bounds.at(-1) === Infinity ? any.explicit_bounds.slice(0, -1) : any.explicit_bounds
      const total = any.bucket_counts.reduce((sum, count) => sum + Number(count), 0)
      const ascending = finite.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > finite[i - 1]))
      const positive: Record<number, number> = {}
      if (!gone) {
        for (const [i, count] of any.bucket_counts.entries()) {
          if (Number(count) === 0) continue
          const index = Math.min(i, finite.length)
          positive[index] = (positive[index] ?? 0) + Number(count)
        }
      }
      if (!ascending) problem = 'bucket_bounds'
      else if (!gone && !(Number.isNaN(any.sum) ? total <= Number(any.count) : total === Number(any.count)))
        problem = 'bucket_counts'
      else
        this.#native(
          any,
          { schema: -53, zeroThreshold: 0, zeroCount: '0', positive, negative: {}, bounds: finite },
          delta,
        )
    }
    if (histograms !== 'native') {
      this.#classic(any, delta)
      return ''
    }
    return problem
  }

  #classic(any: HistogramPoint, delta: boolean): void {
    const gone = (any.flags & 1) === 1
    if (any.sum !== undefined || gone) this.#add(any, this.#labels(any, '_sum'), any.sum ?? 0, delta)
    this.#add(any, this.#labels(any, '_count'), Number(any.count), delta)
    let left = [...(any.exemplars ?? [])].sort((a, b) => a.as_double - b.as_double)
    let cumulative = 0
    for (const [i, bound] of any.explicit_bounds.entries()) {
      if (i >= any.bucket_counts.length || bound === Infinity) break
      cumulative += Number(any.bucket_counts[i])
      const mine = left.filter(e => e.as_double <= bound)
      left = left.filter(e => !(e.as_double <= bound))
      this.#add(any, this.#labels(any, '_bucket', ['le', formatFloat(bound)]), cumulative, delta, mine)
    }
    this.#add(any, this.#labels(any, '_bucket', ['le', '+Inf']), Number(any.count), delta, left)
  }

  #exponential(any: ExponentialPoint, delta: boolean): string {
    if (any.scale < -4) return 'scale_too_small'
    const gone = (any.flags & 1) === 1
    const shift = Math.max(0, any.scale - 8)
    const merge = (buckets: Buckets | undefined): Record<number, number> => {
      const merged: Record<number, number> = {}
      for (const [i, count] of (buckets?.bucket_counts ?? []).entries()) {
        if (Number(count) === 0) continue
        // OpenTelemetry's bucket i holds (base^i, base^(i+1)], that of Prometheus (base^(i-1), base^i].
        const index = Number(BigInt((buckets?.offset ?? 0) + i) >> BigInt(shift)) + 1
        merged[index] = (merged[index] ?? 0) + Number(count)
      }
      return merged
    }
    const positive = gone ? {} : merge(any.positive)
    const negative = gone ? {} : merge(any.negative)
    const total = [...Object.values(positive), ...Object.values(negative), Number(any.zero_count)].reduce(
      (a, b) => a + b,
      0,
    )
    const right = Number.isNaN(any.sum) ? total <= Number(any.count) : total === Number(any.count)
    if (!gone && !right) return 'bucket_counts'
    const zeroThreshold = any.zero_threshold || 1e-128
    const zeroCount = gone ? '0' : any.zero_count
    this.#native(
      any,
      { schema: Math.min(8, any.scale), zeroThreshold, zeroCount, positive, negative, bounds: [] },
      delta,
    )
    return ''
  }

  #native(
    any: HistogramPoint | ExponentialPoint,
    shape: Pick<DecodedHistogram, 'schema' | 'zeroThreshold' | 'zeroCount' | 'positive' | 'negative' | 'bounds'>,
    delta: boolean,
  ): void {
    const gone = (any.flags & 1) === 1
    const two = this.#options.version === 2
    this.series.push({
      labels: this.#labels(any, ''),
      samples: [],
      histograms: [
        {
          ...shape,
          count: gone ? String(BigInt(`0x${stale}`)) : any.count,
          sum: gone ? stale : doubleBits(any.sum ?? 0),
          hint: delta ? 3 : 0,
          time: timeOf(any.time_unix_nano),
          startTime: two && !delta ? timeOf(any.start_time_unix_nano) : 0,
        },
      ],
      exemplars: (any.exemplars ?? []).map(e => exemplarOf(e, any)),
      metadata: two ? this.#metadata : undefined,
    })
  }

  #summary(any: SummaryPoint): void {
    this.#add(any, this.#labels(any, '_sum'), any.sum, false)
    this.#add(any, this.#labels(any, '_count'), Number(any.count), false)
    for (const { quantile, value } of any.quantile_values) {
      this.#add(any, this.#labels(any, '', ['quantile', formatFloat(quantile)]), value, false)
    }
  }

  #targetInfo(time: number): void {
    const identifying = ['service.name', 'service.namespace', 'service.instance.id']
    const more = this.#resource.filter(({ key }) => !identifying.includes(key))
    if (!this.#options.targetInfo || time === 0 || more.length === 0 || this.#identity().length === 0) return
    this.#besides = ''
    this.#name = metricName('target_info', '', 'unknown', strategy, this.#options.namespace)
    this.#metadata = { type: 2, help: 'Target metadata', unit: '' }
    const described = point(time, {}, {})
    this.#add({ ...described, attributes: more }, this.#labels({ ...described, attributes: more }, ''), 1, false)
  }
}

const timeOf = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1_000_000n)

function sortedLabels(labels: Map<string, string>): [string, string][] {
  return [...labels]
    .filter(([, value]) => value !== '')
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

function exemplarOf(e: Exemplar, any: AnyPoint): DecodedSeries['exemplars'][number] {
  const labels = new Map<string, string>()
  if (e.trace_id && e.trace_id.some(byte => byte !== 0)) labels.set('trace_id', e.trace_id.toString('hex'))
  if (e.span_id && e.span_id.some(byte => byte !== 0)) labels.set('span_id', e.span_id.toString('hex'))
  const size = (pairs: Iterable<readonly [string, string]>): number =>
    [...pairs].reduce((sum, [name, value]) => sum + Array.from(name).length + Array.from(value).length, 0)
  const more = new Map<string, string>()
  for (const { key, value } of e.filtered_attributes) {
    const name = labelName(key, strategy)
    if (name !== '' && value.string_value !== '' && !labels.has(name) && !more.has(name))
      more.set(name, value.string_value)
  }
  if (size(labels) + size(more) <= 128) for (const [name, value] of more) labels.set(name, value)
  return {
    labels: sortedLabels(labels),
    value: e.as_double,
    time: timeOf(e.time_unix_nano) || timeOf(any.time_unix_nano),
  }
}
