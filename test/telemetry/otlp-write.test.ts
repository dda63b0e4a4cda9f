/** Own telemetry is OTLP as others read it: protobufjs is the oracle. */
import { expect, test } from 'vitest'
import { readRequest } from '../../proto/request.ts'
import type { MetricFamily } from '../../telemetry/metrics.ts'
import { encodeLogRecord, encodeMetric, encodeRequest, encodeSpan } from '../../telemetry/otlp-write.ts'
import { decode } from '../support/otlp.ts'

const start = Date.parse('2026-11-20T10:00:00Z')
const nanos = (milliseconds: number, more = 0) => `${BigInt(milliseconds) * 1_000_000n + BigInt(more)}`
const family = (more: Partial<MetricFamily<number>>): MetricFamily<number> => ({
  name: 'kymo_things_total',
  type: 'counter',
  help: 'Things.',
  adds: 'sum',
  labels: ['kind'],
  read: n => [
    { labels: { kind: 'a' }, value: n },
    { labels: { kind: 'b' }, value: 1 },
    { labels: { kind: 'a' }, value: 2 },
  ],
  ...more,
})
const text = (key: string, value: string) => ({ key, value: { string_value: value } })
const times = { start, now: start + 500 }

test('a counter is a cumulative sum of whole numbers, rows with equal labels added up', () => {
  const item = encodeMetric(family({}), 40, times)
  const point = { start_time_unix_nano: nanos(start), time_unix_nano: nanos(start + 500) }
  expect(decode('Metric', item ?? Buffer.alloc(0))).toEqual({
    name: 'kymo_things_total',
    description: 'Things.',
    sum: {
      data_points: [
        { ...point, attributes: [text('kind', 'a')], as_int: '42' },
        { ...point, attributes: [text('kind', 'b')], as_int: '1' },
      ],
      aggregation_temporality: 2,
      is_monotonic: true,
    },
  })
})

test('a gauge that is not only whole numbers is one of doubles', () => {
  const item = encodeMetric(family({ type: 'gauge', fractional: true }), 0.5, times)
  expect(decode('Metric', item ?? Buffer.alloc(0))).toMatchObject({
    gauge: { data_points: [{ as_double: 2.5 }, { as_double: 1 }] },
  })
})

test('a metric without points is none', () => {
  expect(encodeMetric(family({ read: () => [] }), 0, times)).toBeUndefined()
})

test('a log record has time, severity, text and fields', () => {
  const item = encodeLogRecord({ at: start, level: 'warn', message: 'full', attributes: { module: 'otlp', items: 3 } })
  expect(decode('LogRecord', item)).toEqual({
    time_unix_nano: nanos(start),
    observed_time_unix_nano: nanos(start),
    severity_number: 13,
    severity_text: 'WARN',
    body: { string_value: 'full' },
    attributes: [text('module', 'otlp'), { key: 'items', value: { int_value: '3' } }],
  })
})

test('a span has its ids, its times to the nanosecond, and what went wrong', () => {
  const item = encodeSpan({
    traceId: Buffer.alloc(16, 1),
    spanId: Buffer.alloc(8, 2),
    parentId: Buffer.alloc(8, 3),
    name: 'exporter/sink/logs',
    kind: 'client',
    start: start + 0.25,
    end: start + 2,
    attributes: { 'kymo.items': 5 },
    error: 'busy',
  })
  expect(decode('Span', item)).toEqual({
    trace_id: `0x${'01'.repeat(16)}`,
    span_id: `0x${'02'.repeat(8)}`,
    parent_span_id: `0x${'03'.repeat(8)}`,
    name: 'exporter/sink/logs',
    kind: 3,
    start_time_unix_nano: nanos(start, 250_000),
    end_time_unix_nano: nanos(start + 2),
    attributes: [{ key: 'kymo.items', value: { int_value: '5' } }],
    status: { message: 'busy', code: 2 },
    flags: 1,
  })
})

test('a request has one resource and one scope, and our own reader counts its items', () => {
  const item = encodeLogRecord({ at: start, level: 'info', message: 'x', attributes: {} })
  const body = encodeRequest({ 'service.name': 'kymo' }, '1.2.3', [item, item])
  expect(decode('ExportLogsServiceRequest', body)).toMatchObject({
    resource_logs: [
      {
        resource: { attributes: [text('service.name', 'kymo')] },
        scope_logs: [{ scope: { name: 'kymo', version: '1.2.3' }, log_records: [{}, {}] }],
      },
    ],
  })
  expect(readRequest('logs', body).items).toBe(2)
})
