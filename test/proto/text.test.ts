import { expect, test } from 'vitest'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { detailedText, normalText } from '../../proto/text.ts'
import { encode } from '../support/otlp.ts'

const attributes = [
  { key: 'text', value: { string_value: 'x' } },
  { key: 'list', value: { array_value: { values: [{ int_value: 1 }, { bool_value: true }] } } },
]
const resource = { attributes: [{ key: 'service.name', value: { string_value: 'shop' } }] }
const scope = { name: 'lib', version: '1.0' }
const point = { attributes, time_unix_nano: '1767225600000000001', as_int: 5 }

const requests: Record<Signal, Buffer> = {
  traces: encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource,
        schema_url: 'https://schema',
        scope_spans: [
          {
            scope,
            spans: [
              {
                trace_id: Buffer.from('0102030405060708090a0b0c0d0e0f10', 'hex'),
                span_id: Buffer.from('1112131415161718', 'hex'),
                name: 'GET /',
                kind: 2,
                start_time_unix_nano: '1767225600000000321',
                attributes,
                events: [{ name: 'boom' }],
                status: { code: 2, message: 'bad' },
              },
            ],
          },
        ],
      },
    ],
  }),
  logs: encode('ExportLogsServiceRequest', {
    resource_logs: [
      {
        resource,
        scope_logs: [
          {
            scope,
            log_records: [{ body: { string_value: 'hello\u001b[2J\u202e\nworld' }, severity_number: 9, attributes }],
          },
        ],
      },
    ],
  }),
  metrics: encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      {
        resource,
        scope_metrics: [
          {
            scope,
            metrics: [
              { name: 'g', gauge: { data_points: [point, { as_double: 1.5 }] } },
              {
                name: 'h',
                histogram: {
                  aggregation_temporality: 2,
                  data_points: [{ count: 4, sum: 6, min: 1, max: 3, bucket_counts: [1, 3], explicit_bounds: [2] }],
                },
              },
              {
                name: 'e',
                exponential_histogram: {
                  data_points: [
                    {
                      count: 3,
                      scale: 1,
                      zero_count: 1,
                      positive: { offset: 2, bucket_counts: [1] },
                      negative: { bucket_counts: [1] },
                    },
                  ],
                },
              },
              {
                name: 's',
                summary: { data_points: [{ count: 2, sum: 3, quantile_values: [{ quantile: 0.5, value: 1 }] }] },
              },
            ],
          },
        ],
      },
    ],
  }),
}
const groupsOf = (signal: Signal) => readRequest(signal, requests[signal]).groups

test.each<[Signal, string]>([
  [
    'traces',
    `ResourceSpans #0 [https://schema] service.name=shop
ScopeSpans #0 lib@1.0
GET / 0102030405060708090a0b0c0d0e0f10 1112131415161718 text=x list=[1,true]`,
  ],
  [
    'logs',
    `ResourceLogs #0 service.name=shop
ScopeLogs #0 lib@1.0
hello\ufffd[2J\ufffd
world text=x list=[1,true]`,
  ],
  [
    'metrics',
    `ResourceMetrics #0 service.name=shop
ScopeMetrics #0 lib@1.0
g{text=x,list=[1,true]} 5
g{} 1.5
h{} count=4 sum=6 min=1 max=3 le2=1 3
e{} count=3 zero_count=1 -1=1 2=1
s{} count=2 sum=3 q0.5=1`,
  ],
])('normal: %s', (signal, expected) => {
  expect(normalText(signal, groupsOf(signal))).toBe(expected)
})

test('detailed: everything with its name, ids as hex, times as dates, enums by name', () => {
  expect(detailedText('traces', groupsOf('traces'))).toBe(`ResourceSpans #0
  resource
    attributes:
      service.name: Str(shop)
  scope_spans #0
    scope
      name: lib
      version: 1.0
    spans #0
      trace_id: 0102030405060708090a0b0c0d0e0f10
      span_id: 1112131415161718
      name: GET /
      kind: SPAN_KIND_SERVER
      start_time_unix_nano: 2026-01-01T00:00:00.000000321Z
      attributes:
        text: Str(x)
        list: Slice([1,true])
      events #0
        name: boom
      status
        message: bad
        code: STATUS_CODE_ERROR
  schema_url: https://schema`)
  expect(detailedText('metrics', groupsOf('metrics'))).toContain('bucket_counts: [1, 3]')
})

test('an edited resource is shown as it will be sent', () => {
  const [group] = groupsOf('logs')
  const edited = group.withResource(encode('Resource', { attributes: [{ key: 'new', value: { bool_value: true } }] }))
  expect(detailedText('logs', [edited])).toContain('new: Bool(true)')
  expect(normalText('logs', [edited])).toContain('ResourceLogs #0 new=true')
})

test.each([
  ['an unknown field', [0x98, 0x06, 0x01], 'unknown field 99: 1 bytes'],
  ['a text past its end', [0x2a, 0x7f], '<malformed: truncated'],
  ['an attribute of the wrong type', [0x48, 0x01], '<malformed: attributes has wire type 0 instead of 2>'],
  ['a value that is broken inside', [0x4a, 0x07, 0x0a, 0x01, 0x6b, 0x12, 0x02, 0x0a, 0x7f], '<malformed:'],
])('%s in an item is shown at its place', (_name, item, expected) => {
  const wrap = (tag: number, content: number[]): number[] => [tag, content.length, ...content]
  const body = Buffer.from(wrap(0x0a, wrap(0x12, wrap(0x12, [0x2a, 0x01, 0x61, ...item]))))
  const { groups } = readRequest('traces', body)
  const text = detailedText('traces', groups)
  expect(text).toContain('name: a')
  expect(text).toContain(expected)
  expect(() => normalText('traces', groups)).not.toThrow()
})
