import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { attributes, TestPage } from '../../support/prometheus-page.ts'

// The published schema (prometheus/client_model), as far as pages need it.
const root = protobuf.parse(
  `syntax = "proto2";
  message LabelPair { optional string name = 1; optional string value = 2; }
  enum MetricType { COUNTER = 0; GAUGE = 1; SUMMARY = 2; UNTYPED = 3; HISTOGRAM = 4; GAUGE_HISTOGRAM = 5; }
  message Timestamp { optional int64 seconds = 1; optional int32 nanos = 2; }
  message Gauge { optional double value = 1; }
  message Counter { optional double value = 1; optional Exemplar exemplar = 2; optional Timestamp created_timestamp = 3; }
  message Quantile { optional double quantile = 1; optional double value = 2; }
  message Summary { optional uint64 sample_count = 1; optional double sample_sum = 2; repeated Quantile quantile = 3;
    optional Timestamp created_timestamp = 4; }
  message Untyped { optional double value = 1; }
  message Histogram { optional uint64 sample_count = 1; optional double sample_count_float = 4; optional double sample_sum = 2;
    repeated Bucket bucket = 3; optional Timestamp created_timestamp = 15; optional sint32 schema = 5;
    optional double zero_threshold = 6; optional uint64 zero_count = 7; repeated BucketSpan negative_span = 9;
    repeated sint64 negative_delta = 10; repeated BucketSpan positive_span = 12; repeated sint64 positive_delta = 13;
    repeated Exemplar exemplars = 16; }
  message Bucket { optional uint64 cumulative_count = 1; optional double upper_bound = 2; optional Exemplar exemplar = 3; }
  message BucketSpan { optional sint32 offset = 1; optional uint32 length = 2; }
  message Exemplar { repeated LabelPair label = 1; optional double value = 2; optional Timestamp timestamp = 3; }
  message Metric { repeated LabelPair label = 1; optional Gauge gauge = 2; optional Counter counter = 3;
    optional Summary summary = 4; optional Untyped untyped = 5; optional Histogram histogram = 7; optional int64 timestamp_ms = 6; }
  message MetricFamily { optional string name = 1; optional string help = 2; optional MetricType type = 3;
    repeated Metric metric = 4; optional string unit = 5; }`,
  { keepCase: true },
).root

interface Family {
  readonly name: string
  readonly metric: readonly Record<string, unknown>[]
}

/** Every message of the page. */
function families(bytes: Buffer): Family[] {
  const type = root.lookupType('MetricFamily')
  const reader = protobuf.Reader.create(bytes)
  const found: Family[] = []
  while (reader.pos < reader.len) {
    found.push(type.toObject(type.decodeDelimited(reader), { longs: Number, enums: String }) as Family)
  }
  return found
}

const at = { start_time_unix_nano: '1700000000500000000', time_unix_nano: '1700000060123456789' }
const created_timestamp = { seconds: 1_700_000_000, nanos: 500_000_000 }
const cumulative = { aggregation_temporality: 2 }
const labels = { attributes: attributes({ 'a.b': 'x "\\\n' }) }
const label = [{ name: 'a_b', value: 'x "\\\n' }]
const exemplar = { as_double: 0.75, time_unix_nano: '1700000050500000000', trace_id: Buffer.alloc(16, 1) }
const sent = {
  label: [{ name: 'trace_id', value: '01'.repeat(16) }],
  value: 0.75,
  timestamp: { seconds: 1_700_000_050, nanos: 500_000_000 },
}

test.each<[string, object, object]>([
  [
    'a gauge',
    { name: 'g', unit: 's', gauge: { data_points: [{ ...at, ...labels, as_double: -2.5 }] } },
    { name: 'g_seconds', type: 'GAUGE', unit: 'seconds', metric: [{ label, gauge: { value: -2.5 } }] },
  ],
  [
    'a counter',
    {
      name: 'c',
      unit: 'By',
      description: 'Help.',
      sum: {
        data_points: [{ ...at, ...labels, as_int: '7', exemplars: [exemplar] }],
        ...cumulative,
        is_monotonic: true,
      },
    },
    {
      name: 'c_bytes_total',
      help: 'Help.',
      type: 'COUNTER',
      unit: 'bytes',
      metric: [{ label, counter: { value: 7, exemplar: sent, created_timestamp } }],
    },
  ],
  [
    'a summary',
    {
      name: 's',
      summary: { data_points: [{ ...at, count: 4, sum: 10, quantile_values: [{ quantile: 0.5, value: 2 }] }] },
    },
    {
      name: 's',
      type: 'SUMMARY',
      metric: [
        { summary: { sample_count: 4, sample_sum: 10, quantile: [{ quantile: 0.5, value: 2 }], created_timestamp } },
      ],
    },
  ],
  [
    'a histogram',
    {
      name: 'h',
      histogram: {
        data_points: [
          { ...at, count: 6, sum: 3.5, bucket_counts: [1, 2, 3], explicit_bounds: [0.5, 1], exemplars: [exemplar] },
        ],
        ...cumulative,
      },
    },
    {
      name: 'h',
      type: 'HISTOGRAM',
      metric: [
        {
          histogram: {
            sample_count: 6,
            sample_sum: 3.5,
            bucket: [
              { cumulative_count: 1, upper_bound: 0.5 },
              { cumulative_count: 3, upper_bound: 1, exemplar: sent },
              { cumulative_count: 6, upper_bound: Infinity },
            ],
            created_timestamp,
          },
        },
      ],
    },
  ],
  [
    // Index 0 of OTLP is (1, base], which is 1 here; gaps of up to two buckets stay in a span.
    'an exponential histogram',
    {
      name: 'e',
      exponential_histogram: {
        data_points: [
          {
            ...at,
            count: 22,
            sum: 12.5,
            scale: 3,
            zero_count: 2,
            zero_threshold: 0.5,
            positive: { offset: -2, bucket_counts: [5, 0, 0, 3, 0, 0, 0, 4, 4, 0] },
            negative: { offset: 10, bucket_counts: [0, 4] },
            exemplars: [exemplar],
          },
        ],
        ...cumulative,
      },
    },
    {
      name: 'e',
      type: 'HISTOGRAM',
      metric: [
        {
          histogram: {
            sample_count: 22,
            sample_sum: 12.5,
            schema: 3,
            zero_threshold: 0.5,
            zero_count: 2,
            positive_span: [
              { offset: -1, length: 4 },
              { offset: 3, length: 2 },
            ],
            positive_delta: [5, -5, 0, 3, 1, 0],
            negative_span: [{ offset: 12, length: 1 }],
            negative_delta: [4],
            created_timestamp,
            exemplars: [sent],
          },
        },
      ],
    },
  ],
])('%s is a family', (_row, metric, expected) => {
  const page = new TestPage()
  page.take([metric])
  expect(families(page.protobuf())).toEqual([expected])
})

const exponential = (more: object) => ({
  name: 'e',
  exponential_histogram: { data_points: [{ ...at, count: 3, sum: 1, ...more }], ...cumulative },
})

test.each<[string, object, object]>([
  [
    'finer than Prometheus has it: joined two by two',
    { scale: 9, positive: { offset: 1, bucket_counts: [1, 1, 1] } },
    { schema: 8, zero_threshold: 1e-128, positive_span: [{ offset: 1, length: 2 }], positive_delta: [1, 1] },
  ],
  [
    'coarser than Prometheus has it: with bounds',
    { scale: -5, positive: { offset: 0, bucket_counts: [3] } },
    { bucket: [{ cumulative_count: 0, upper_bound: 1 }, { cumulative_count: 3, upper_bound: 2 ** 32 }, { cumulative_count: 3, upper_bound: Infinity }] }, // oxfmt-ignore
  ],
  [
    'with a count that is not that of its buckets: with bounds',
    { scale: 0, positive: { offset: 0, bucket_counts: [2] } },
    { bucket: [{ cumulative_count: 0, upper_bound: 1 }, { cumulative_count: 2, upper_bound: 2 }, { cumulative_count: 3, upper_bound: Infinity }] }, // oxfmt-ignore
  ],
  ['without anything', { count: 0, sum: 0, scale: 0 }, { schema: 0, zero_threshold: 1e-128, zero_count: 0 }],
])('an exponential histogram, %s', (_row, point, expected) => {
  const page = new TestPage()
  page.take([exponential(point)])
  const [{ metric }] = families(page.protobuf())
  expect(metric[0]['histogram']).toMatchObject(expected)
})

test('names are escaped as the reader wants them, times shown where that is wanted', () => {
  const page = new TestPage({ translation_strategy: 'NoTranslation', send_timestamps: true })
  page.take([
    { name: 'a.b', gauge: { data_points: [{ ...at, as_int: 1, attributes: attributes({ 'c.d': 'x', c_d: 'y' }) }] } },
  ])
  const metric = { timestamp_ms: 1_700_000_060_123, gauge: { value: 1 } }
  expect(families(page.protobuf('allow-utf-8'))).toMatchObject([
    { name: 'a.b', metric: [{ ...metric, label: [{ name: 'c.d', value: 'x' }, { name: 'c_d', value: 'y' }] }] }, // oxfmt-ignore
  ])
  expect(families(page.protobuf('underscores'))).toMatchObject([
    { name: 'a_b', metric: [{ ...metric, label: [{ name: 'c_d', value: 'x;y' }] }] },
  ])
})

test('resources, and what found no room, are families of their own', () => {
  const page = new TestPage({ series_limit: 1 })
  const points = Array.from({ length: 300 }, (_, i) => ({ as_int: 1, attributes: attributes({ i: String(i) }) }))
  page.take([{ name: 'g', gauge: { data_points: points } }], 1, { resource: { 'service.name': 's', x: 'y' } })
  expect(families(page.protobuf()).slice(1)).toEqual([
    {
      name: 'kymo_prometheus_overflow_points_total',
      help: 'Points of new series that found no room.',
      type: 'COUNTER',
      metric: [{ label: [{ name: 'metric', value: 'g' }], counter: { value: 299 } }],
    },
    {
      name: 'target_info',
      help: 'Target metadata',
      type: 'GAUGE',
      metric: [{ label: [{ name: 'job', value: 's' }, { name: 'x', value: 'y' }], gauge: { value: 1 } }], // oxfmt-ignore
    },
  ])
})
