import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DataPoint } from '../../proto/data-point.ts'
import { MetricData } from '../../proto/metric-data.ts'
import { mostNumbers, TooManyNumbers } from '../../proto/numbers.ts'
import { messageNamed } from '../../proto/schema.ts'
import { readRequest } from '../../proto/request.ts'
import { ItemCursor } from '../../proto/views.ts'
import { decode, encode, type Plain, requests } from '../support/otlp.ts'

const metrics = requests().filter(({ signal }) => signal === 'metrics')
const list = (plain: Plain | undefined, name: string): Plain[] => (plain?.[name] as Plain[] | undefined) ?? []
const kinds = ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary']
const numbers = (plain: Plain, name: string): number[] => ((plain[name] as unknown[] | undefined) ?? []).map(Number)
const double = (plain: Plain, name: string): number => Number(plain[name] ?? NaN)
const integer = (plain: Plain, name: string): number => Number(plain[name] ?? 0)

/** A point's plain values, as the reader has them. */
function wanted(plain: Plain): object {
  const side = (name: string): object => {
    const buckets = (plain[name] as Plain | undefined) ?? {}
    return { offset: integer(buckets, 'offset'), counts: numbers(buckets, 'bucket_counts') }
  }
  return {
    start: integer(plain, 'start_time_unix_nano'),
    milliseconds: Number(BigInt((plain['time_unix_nano'] as string | undefined) ?? 0) / 1_000_000n),
    ended: (integer(plain, 'flags') & 1) === 1,
    value: Number(plain['as_double'] ?? plain['as_int'] ?? NaN),
    isInt: plain['as_int'] !== undefined,
    count: integer(plain, 'count'),
    sum: integer(plain, 'sum'),
    hasSum: plain['sum'] !== undefined,
    min: double(plain, 'min'),
    max: double(plain, 'max'),
    counts: numbers(plain, 'bucket_counts'),
    bounds: numbers(plain, 'explicit_bounds'),
    scale: integer(plain, 'scale'),
    zeroCount: integer(plain, 'zero_count'),
    zeroThreshold: integer(plain, 'zero_threshold'),
    positive: side('positive'),
    negative: side('negative'),
    quantiles: list(plain, 'quantile_values').flatMap(one => [integer(one, 'quantile'), integer(one, 'value')]),
    attributes: list(plain, 'attributes'),
    exemplars: list(plain, 'exemplars'),
  }
}

/** What the reader has of a point. */
function read(point: DataPoint, message: string): object {
  const { values, length } = point.counts
  const { start, milliseconds, ended, value, isInt, count, sum, hasSum, min, max } = point
  const { scale, zeroCount, zeroThreshold, positive, negative } = point
  const histogram = point.kind > 7
  const only = (from: number, to: number, name: string): Plain[] =>
    list(decode(message, (name === 'attributes' ? point.attributes : point.bytes).subarray(from, to)), name)
  return {
    start,
    milliseconds,
    ended,
    value,
    isInt,
    count: histogram ? count : 0,
    sum: histogram ? sum : 0,
    // That of a summary is 0 where it has none.
    hasSum: point.kind === 11 ? !Object.is(point.sum, 0) : hasSum,
    min,
    max,
    counts: histogram ? [...values.subarray(0, length)] : [],
    bounds: histogram ? [...point.bounds.copy()] : [],
    scale: histogram ? scale : 0,
    zeroCount: histogram ? zeroCount : 0,
    zeroThreshold: histogram ? zeroThreshold : 0,
    positive: { offset: histogram ? positive.offset : 0, counts: histogram ? [...positive.counts.copy()] : [] },
    negative: { offset: histogram ? negative.offset : 0, counts: histogram ? [...negative.counts.copy()] : [] },
    quantiles: histogram ? [...point.quantiles.copy()] : [],
    attributes: only(point.attributesStart, point.attributesEnd, 'attributes'),
    exemplars: point.exemplarsTag === 0 ? [] : only(point.exemplarsStart, point.exemplarsEnd, 'exemplars'),
  }
}

test('metrics and their points are read as protobufjs reads them, however they are written', () => {
  const data = new MetricData()
  const point = new DataPoint()
  fc.assert(
    fc.property(metrics, ({ body }) => {
      const items = new ItemCursor()
      for (const group of readRequest('metrics', body).groups) {
        items.set(group)
        while (items.nextScope()) {
          while (items.nextItem()) {
            const plain = decode('Metric', items.bytes.subarray(items.start, items.end))
            const kind = kinds.find(name => plain[name] !== undefined)
            expect(data.read(items.bytes, items.start, items.end)).toBe(kind !== undefined)
            if (kind === undefined) continue
            const { [kind]: inner, ...head } = plain as Record<string, Plain>
            const { number, of } = messageNamed('Metric').byName.get(kind) ?? { number: 0, of: '' }
            expect(data.kind).toBe(number)
            expect(decode('Metric', data.head.subarray(data.headStart, data.headEnd))).toEqual(head)
            expect(data.hasMetadata).toBe(list(plain, 'metadata').length > 0)
            const temporality = integer(inner, 'aggregation_temporality')
            expect(data.temporality).toBe(temporality >= 0 && temporality < 3 ? temporality : 3)
            expect(data.isMonotonic).toBe(inner['is_monotonic'] === true)
            const message = messageNamed(of).byNumber[1]?.of ?? ''
            for (const one of list(inner, 'data_points')) {
              expect(data.nextPoint()).toBe(true)
              point.read(data.kind, data.bytes, data.pointStart, data.pointEnd)
              expect(read(point, message)).toEqual(wanted(one))
            }
            expect(data.nextPoint()).toBe(false)
          }
        }
      }
    }),
    { numRuns: 400 },
  )
})

test.each([
  ['HistogramDataPoint', 9, (n: number) => ({ bucket_counts: Array.from({ length: n }, () => 1) })],
  ['ExponentialHistogramDataPoint', 10, (n: number) => ({ positive: { bucket_counts: Array(n).fill(1) } })],
  ['SummaryDataPoint', 11, (n: number) => ({ quantile_values: Array.from({ length: n / 2 }, () => ({ value: 1 })) })],
])('a %s may have ten thousand numbers, and not one more', (message, kind, of) => {
  const point = new DataPoint()
  const most = encode(message, of(mostNumbers))
  point.read(kind, most, 0, most.length)
  expect(point.counts.length + point.positive.counts.length + point.quantiles.length).toBe(mostNumbers)
  const more = encode(message, of(mostNumbers + 2))
  expect(() => point.read(kind, more, 0, more.length)).toThrow(TooManyNumbers)
})

test('what nobody asks for is passed over, and is no reason to take another wire type', () => {
  const point = new DataPoint('min')
  const bytes = encode('HistogramDataPoint', { min: 1, max: 2 })
  point.read(9, bytes, 0, bytes.length)
  expect([point.min, point.max]).toEqual([NaN, 2])
  // Field 11 as a varint.
  const wrong = Buffer.from([0x58, 1])
  expect(() => point.read(9, wrong, 0, wrong.length)).toThrow('field 11 of a data point has wire type 0')
})

test('data in pieces costs what it is long, not the square of it', () => {
  const piece = encode('Gauge', { data_points: [{ attributes: [{ key: 'k'.repeat(500) }] }] })
  const metric = Buffer.concat([
    Buffer.from([0x2a]),
    Buffer.from([(piece.length & 0x7f) | 0x80, piece.length >> 7]),
    piece,
    ...Array.from({ length: 60_000 }, () => Buffer.from([0x2a, 0])),
  ])
  const data = new MetricData()
  expect(data.read(metric, 0, metric.length)).toBe(true)
  expect([data.end - data.start, data.nextPoint(), data.nextPoint()]).toEqual([piece.length, true, false])
})
