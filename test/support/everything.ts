/** One request of each signal in which every field of OTLP is set, also those that SDKs do not write yet. */
import type { Signal } from '../../proto/signals.ts'
import { encode } from './otlp-proto.ts'

const id = (length: number, byte: number) => Buffer.alloc(length, byte)
const text = (key: string, value: string) => ({ key, value: { string_value: value } })

const attributes = [
  text('text', 'ä ✓ 🦊'),
  { key: 'bool', value: { bool_value: true } },
  { key: 'false', value: { bool_value: false } },
  { key: 'int', value: { int_value: '-9223372036854775808' } },
  { key: 'double', value: { double_value: -0.1 } },
  { key: 'bytes', value: { bytes_value: Buffer.from([0, 255, 10]) } },
  { key: 'empty', value: {} },
  { key: 'nothing' },
  { key: 'list', value: { array_value: { values: [{ int_value: '1' }, {}, { array_value: { values: [] } }] } } },
  { key: 'map', value: { kvlist_value: { values: [text('a', 'b'), { key: 'c', value: { kvlist_value: {} } }] } } },
]
const resource = (namespace: string) => ({
  attributes: [text('k8s.namespace.name', namespace), text('secret.token', 'x'), ...attributes],
  dropped_attributes_count: 3,
  entity_refs: [
    { schema_url: 'https://e', type: 'service', id_keys: ['service.name'], description_keys: ['service.version'] },
  ],
})
const scope = { name: 'scope', version: '1.0', attributes, dropped_attributes_count: 4 }
const times = { start_time_unix_nano: '1700000000000000001', time_unix_nano: '18446744073709551615' }

const spans = [
  {
    trace_id: id(16, 1),
    span_id: id(8, 2),
    trace_state: 'a=b,c=d',
    parent_span_id: id(8, 3),
    flags: 0x301,
    name: 'GET /',
    kind: 3,
    start_time_unix_nano: '1700000000000000001',
    end_time_unix_nano: '18446744073709551615',
    attributes,
    dropped_attributes_count: 1,
    events: [{ time_unix_nano: '5', name: 'event', attributes, dropped_attributes_count: 2 }, {}],
    dropped_events_count: 4294967295,
    links: [
      {
        trace_id: id(16, 4),
        span_id: id(8, 5),
        trace_state: 'x=y',
        attributes,
        dropped_attributes_count: 6,
        flags: 257,
      },
      {},
    ],
    dropped_links_count: 7,
    status: { message: 'could not ✗', code: 2 },
  },
  {},
]
const records = [
  {
    time_unix_nano: '1700000000000000001',
    observed_time_unix_nano: '1700000000000000002',
    severity_number: 24,
    severity_text: 'FATAL4',
    body: { kvlist_value: { values: attributes } },
    attributes,
    dropped_attributes_count: 1,
    flags: 1,
    trace_id: id(16, 1),
    span_id: id(8, 2),
    event_name: 'checkout',
  },
  { body: { bytes_value: Buffer.from([1]) } },
  {},
]
const exemplars = [
  { filtered_attributes: attributes, time_unix_nano: '9', as_double: 1.5, span_id: id(8, 6), trace_id: id(16, 7) },
  { time_unix_nano: '9', as_int: '-5' },
]
const point = { ...times, attributes, flags: 1, exemplars }
const summed = { count: '18446744073709551615', sum: -1.5, min: -3, max: 2.5 }
const metrics = [
  {
    name: 'gauge',
    description: 'A gauge.',
    unit: 'By',
    metadata: attributes,
    gauge: {
      data_points: [
        { ...point, as_double: Number.MIN_VALUE },
        { ...point, as_int: '-9223372036854775808' },
      ],
    },
  },
  {
    name: 'sum',
    sum: { data_points: [{ ...point, as_int: '7' }], aggregation_temporality: 1, is_monotonic: true },
  },
  {
    name: 'histogram',
    histogram: {
      data_points: [
        { ...point, ...summed, bucket_counts: ['1', '0', '18446744073709551615'], explicit_bounds: [-1.5, 1e300] },
        { count: '0' },
      ],
      aggregation_temporality: 2,
    },
  },
  {
    name: 'exponential',
    exponential_histogram: {
      data_points: [
        {
          ...point,
          ...summed,
          scale: -10,
          zero_count: '3',
          positive: { offset: -2147483648, bucket_counts: ['1', '300', '0'] },
          negative: { offset: 2147483647, bucket_counts: ['18446744073709551615'] },
          zero_threshold: 1e-9,
        },
      ],
      aggregation_temporality: 2,
    },
  },
  {
    name: 'summary',
    summary: {
      data_points: [
        {
          ...times,
          attributes,
          flags: 1,
          count: '4',
          sum: 9.75,
          quantile_values: [
            { quantile: 0, value: -1 },
            { quantile: 0.99, value: 8.5 },
          ],
        },
      ],
    },
  },
]

const one = (list: string, scopes: string, groups: string, items: readonly object[]) => (namespace: string) => ({
  [groups]: [
    {
      resource: resource(namespace),
      [scopes]: [{ scope, [list]: items, schema_url: 'https://scope' }, { [list]: [items[0]] }],
      schema_url: 'https://resource',
    },
    { [scopes]: [{ [list]: [items[0]] }] },
  ],
})
const plain = {
  traces: one('spans', 'scope_spans', 'resource_spans', spans),
  metrics: one('metrics', 'scope_metrics', 'resource_metrics', metrics),
  logs: one('log_records', 'scope_logs', 'resource_logs', records),
}

/** The request as bytes: two resources, of which the second says nothing of itself. */
export const everything = (signal: Signal, namespace = 'shop'): Buffer => encode(signal, plain[signal](namespace))
