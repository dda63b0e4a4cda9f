/** Metrics of every kind from the SDK, and what Prometheus is to make of them, by OpenTelemetry's rules. */
import { setTimeout as delay } from 'node:timers/promises'
import { ValueType } from '@opentelemetry/api'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { expect } from 'vitest'
import { encode } from '../../support/otlp-proto.ts'
import type { Series } from './prometheus.ts'

/** A series as a test expects it. */
export interface Expected {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

const schemaUrl = 'https://opentelemetry.io/schemas/1.30.0'
/** Labels that tell who said it. */
export const identity = { job: 'shop/shop-api', instance: 'i-1' }
const scope = { otel_scope_name: 'shop', otel_scope_version: '1.2.3', otel_scope_schema_url: schemaUrl }

const resource = {
  'service.name': 'shop-api',
  'service.namespace': 'shop',
  'service.instance.id': 'i-1',
  'k8s.pod.name': 'shop-api-0',
  'host.name': 'node-1',
}

const bounds = [5, 10, 100]
/** What the exponential histogram is told, in two rounds. */
export const sizes: readonly (readonly number[])[] = [
  [0, 3, 50],
  [50, 1000],
]

/** Says everything in two exports, in differences where that is wanted, and waits until both are taken. */
export async function emitMetrics(address: string, temporality: 'cumulative' | 'delta' = 'cumulative'): Promise<void> {
  const { DELTA, CUMULATIVE } = AggregationTemporality
  const exporter = Object.assign(new OTLPMetricExporter({ url: `http://${address}/v1/metrics` }), {
    // What goes up and down is never told in differences.
    selectAggregationTemporality: (type: string) =>
      temporality === 'delta' && !type.includes('UP_DOWN') ? DELTA : CUMULATIVE,
  })
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8 })
  const provider = new MeterProvider({
    resource: resourceFromAttributes(resource),
    readers: [reader],
    views: [
      {
        instrumentName: 'payload.size',
        aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 160, recordMinMax: true } },
      },
      {
        instrumentName: 'latency',
        aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: bounds } },
      },
    ],
  })
  const meter = provider.getMeter('shop', '1.2.3', { schemaUrl })
  const requests = meter.createCounter('http.server.requests', {
    description: 'Requests served.',
    unit: '{request}',
    valueType: ValueType.INT,
  })
  const cpu = meter.createCounter('cpu.time', { unit: 's', description: 'Time used.' })
  const depth = meter.createUpDownCounter('queue.depth', { description: 'Waiting "jobs"\\tasks\nof all kinds.' })
  const temperature = meter.createGauge('room.temperature', { unit: 'Cel', description: 'How warm it is.' })
  const hit = meter.createGauge('cache.hit', { unit: '1', description: 'Share of hits.' })
  const odd = meter.createGauge('odd.labels', { description: 'Labels that are none.' })
  const latency = meter.createHistogram('latency', { unit: 'ms', description: 'How long it took.' })
  const payload = meter.createHistogram('payload.size', { unit: 'By', description: 'How large they are.' })
  meter
    .createObservableCounter('bytes.sent', { unit: 'By', description: 'Sent.', valueType: ValueType.DOUBLE })
    .addCallback(result => result.observe(1024, { disk: 'sda' }))
  meter
    .createObservableGauge('memory.used', { unit: 'MiBy', description: 'In use.' })
    .addCallback(result => result.observe(12.5))
  meter
    .createObservableGauge('disk.speed', { unit: 'By/s', description: 'How fast.' })
    .addCallback(result => result.observe(7))
  const cart = { route: '/cart', code: 200, ok: true }
  requests.add(3, cart)
  requests.add(1, { route: '/pay', code: 500, ok: false })
  cpu.add(0.25)
  depth.add(5)
  temperature.record(-3.5)
  hit.record(0.75)
  odd.record(1, { '1st': 'a', 'k8s.pod-name': 'b "quoted" \\ \n', 'x.y': '1', x_y: '2', list: ['a', 'b'], d: 1.5 })
  for (const value of [3, 7, 7]) latency.record(value)
  for (const value of sizes[0]) payload.record(value)
  // Other milliseconds: counters began before they are told, and two samples of a series never have the same time.
  await delay(20)
  await provider.forceFlush()
  await delay(20)
  requests.add(2, cart)
  cpu.add(0.5)
  depth.add(-2)
  temperature.record(21.5)
  hit.record(0.75)
  odd.record(1, { '1st': 'a', 'k8s.pod-name': 'b "quoted" \\ \n', 'x.y': '1', x_y: '2', list: ['a', 'b'], d: 1.5 })
  latency.record(250)
  for (const value of sizes[1]) payload.record(value)
  await provider.forceFlush()
  // Shutting down would say it once more.
  await exporter.shutdown()
}

const series = (name: string, value: number, labels: Readonly<Record<string, string>> = {}): Expected => ({
  metric: { __name__: name, ...identity, ...scope, ...labels },
  value,
})

/** Every series that is there after `emitMetrics`, but for the exponential histogram and what goes with it. */
export const emitted: readonly Expected[] = [
  series('http_server_requests_total', 5, { route: '/cart', code: '200', ok: 'true' }),
  series('http_server_requests_total', 1, { route: '/pay', code: '500', ok: 'false' }),
  series('cpu_time_seconds_total', 0.75),
  series('queue_depth', 3),
  series('room_temperature_celsius', 21.5),
  series('cache_hit_ratio', 0.75),
  series('odd_labels', 1, {
    key_1st: 'a',
    k8s_pod_name: 'b "quoted" \\ \n',
    x_y: '1;2',
    list: '["a","b"]',
    d: '1.5',
  }),
  ...[
    ['5', 1],
    ['10', 3],
    ['100', 3],
    ['+Inf', 4],
  ].map(([le, count]) => series('latency_milliseconds_bucket', Number(count), { le: String(le) })),
  series('latency_milliseconds_sum', 267),
  series('latency_milliseconds_count', 4),
  series('bytes_sent_total', 1024, { disk: 'sda' }),
  series('memory_used_mebibytes', 12.5),
  series('disk_speed_bytes_per_second', 7),
  {
    metric: { __name__: 'target_info', ...identity, k8s_pod_name: 'shop-api-0', host_name: 'node-1' },
    value: 1,
  },
]

/** Series of an answer as they are compared: numbers as numbers, bounds of buckets in one spelling, in an order. */
export function comparable(answer: readonly Series[]): Expected[] {
  const found = answer.map(({ metric, value }) => ({ metric: withBound(metric), value: Number(value?.[1]) }))
  return inSeriesOrder(found)
}

/** Prometheus writes bounds as floats (`5.0`). */
function withBound(metric: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { le } = metric
  return le === undefined || le === '+Inf' ? metric : { ...metric, le: String(Number(le)) }
}

/** By their labels. */
export const inSeriesOrder = (all: readonly Expected[]): Expected[] =>
  all
    .map(({ metric, value }) => ({
      metric: Object.fromEntries(Object.entries(metric).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      value,
    }))
    .toSorted((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1))

const attribute = (key: string, value: string) => ({ key, value: { string_value: value } })
/** Nanoseconds of so many milliseconds from now. */
export const nanosIn = (milliseconds: number): string => `${Date.now() + milliseconds}000000`

/** A request of one metric, of the same service. */
export function metricRequest(...metrics: readonly object[]): Buffer {
  return encode('metrics', {
    resource_metrics: [
      {
        resource: { attributes: Object.entries(resource).map(([key, value]) => attribute(key, value)) },
        scope_metrics: [{ scope: { name: 'raw' }, metrics }],
      },
    ],
  })
}

/** A summary, which SDKs no longer make. */
export const summary = () => ({
  name: 'rpc.duration',
  description: 'How long calls took.',
  unit: 's',
  summary: {
    data_points: [
      {
        attributes: [attribute('rpc.method', 'Get')],
        time_unix_nano: nanosIn(0),
        count: '10',
        sum: 2.5,
        quantile_values: [
          { quantile: 0.5, value: 0.125 },
          { quantile: 0.99, value: 1 },
        ],
      },
    ],
  },
})
const raw = (name: string, value: number, labels: Readonly<Record<string, string>> = {}): Expected => ({
  metric: { __name__: name, ...identity, otel_scope_name: 'raw', ...labels },
  value,
})

/** The series of `summary`. */
export const summarised: readonly Expected[] = [
  raw('rpc_duration_seconds', 0.125, { rpc_method: 'Get', quantile: '0.5' }),
  raw('rpc_duration_seconds', 1, { rpc_method: 'Get', quantile: '0.99' }),
  raw('rpc_duration_seconds_sum', 2.5, { rpc_method: 'Get' }),
  raw('rpc_duration_seconds_count', 10, { rpc_method: 'Get' }),
]

/** An exemplar with ids and an attribute. */
const exemplar = (value: number) => ({
  time_unix_nano: nanosIn(-500),
  as_double: value,
  trace_id: Buffer.from('5b8efff798038103d269b633813fc60c', 'hex'),
  span_id: Buffer.from('eee19b7ec3c1b174', 'hex'),
  filtered_attributes: [attribute('user.tier', 'gold')],
})
/** Its labels. */
export const exemplarLabels = {
  trace_id: '5b8efff798038103d269b633813fc60c',
  span_id: 'eee19b7ec3c1b174',
  user_tier: 'gold',
}

/** A counter and a histogram with exemplars. */
export const withExemplars = () => [
  {
    name: 'paid.orders',
    description: 'Orders.',
    sum: {
      aggregation_temporality: 2,
      is_monotonic: true,
      data_points: [
        { start_time_unix_nano: nanosIn(-60_000), time_unix_nano: nanosIn(0), as_double: 7, exemplars: [exemplar(2)] },
      ],
    },
  },
  {
    name: 'order.value',
    description: 'What they cost.',
    histogram: {
      aggregation_temporality: 2,
      data_points: [
        {
          start_time_unix_nano: nanosIn(-60_000),
          time_unix_nano: nanosIn(0),
          count: '3',
          sum: 45,
          explicit_bounds: [10, 50],
          bucket_counts: ['1', '2', '0'],
          exemplars: [exemplar(20)],
        },
      ],
    },
  },
]

/** A gauge of one point. */
export const gauge = (name: string, value: number, time: string, more: object = {}) => ({
  name,
  gauge: { data_points: [{ time_unix_nano: time, as_double: value, ...more }] },
})

/** Posts a request as a sender does, and says how it was answered. */
export async function post(address: string, signal: string, body: Buffer): Promise<{ status: number; body: Buffer }> {
  const response = await fetch(`http://${address}/v1/${signal}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(body),
  })
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) }
}

/** Checks that what is there of `payload.size` is one native histogram, with buckets as narrow as the SDK's. */
export function expectPayloadSizes([one, ...others]: readonly Series[]): void {
  const { metric, histogram } = one
  expect(others).toEqual([])
  expect(metric).toMatchObject(identity)
  const told = sizes.flat()
  const { count, sum, buckets = [] } = histogram?.[1] ?? { count: '', sum: '' }
  expect([Number(count), Number(sum)]).toEqual([told.length, told.reduce((a, b) => a + b, 0)])
  const around = told.map(value => buckets.find(([, from, to]) => Number(from) <= value && value <= Number(to)))
  expect(around.map(bucket => bucket?.[3])).toEqual(['1', '1', '2', '2', '1'])
  for (const [, from, to] of around.slice(1).map(bucket => bucket ?? [0, '1', '2'])) {
    expect(Number(to) / Number(from)).toBeLessThan(1.05)
  }
}
