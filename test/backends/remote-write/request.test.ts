import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readRequest } from '../../../proto/request.ts'
import {
  type EncodeOptions,
  RemoteWriteEncoder,
  type RemoteWriteOptions,
} from '../../../backends/remote-write/request.ts'
import { formatFloat } from '../../../backends/remote-write/extra.ts'
import { encode, Random, tidy, type Untidiness, untidy } from '../../support/otlp.ts'
import { type DecodedRequest, type DecodedSeries, decodeRequest } from '../../support/remote-write.ts'
import { request } from '../../support/remote-write-random.ts'
import { gauge, plain, point, Reference, type Request, requestOf } from '../../support/remote-write-reference.ts'

interface Encoded {
  readonly requests: DecodedRequest[]
  readonly lanes: number[]
  readonly leftOut: Readonly<Record<string, number>>
  readonly points: number
}

function encoded(encoder: RemoteWriteEncoder, version: 1 | 2, body: Buffer, how: EncodeOptions = {}): Encoded {
  const requests: DecodedRequest[] = []
  const lanes: number[] = []
  let points = 0
  const leftOut = encoder.encode(
    readRequest('metrics', body).groups,
    part => {
      const request = decodeRequest(version, part.body)
      const sum = (count: (series: DecodedSeries) => number): number =>
        request.series.reduce((total, series) => total + count(series), 0)
      expect(part.samples).toBe(sum(s => s.samples.length))
      expect(part.histograms).toBe(sum(s => s.histograms.length))
      expect(part.exemplars).toBe(sum(s => s.exemplars.length))
      requests.push(request)
      lanes.push(part.lane)
      points += part.points
    },
    how,
  )
  return { requests, lanes, leftOut, points }
}

const bytesOf = (request: Request): Buffer => encode('ExportMetricsServiceRequest', request)

/** What a request becomes, in one. */
function translated(options: Partial<RemoteWriteOptions>, request: Request, how?: EncodeOptions): Encoded {
  const all = { ...plain, ...options }
  return encoded(new RemoteWriteEncoder(all), all.version, bytesOf(request), how)
}

/** The same text for the same series, whatever the order of keys. */
const textOf = (series: DecodedSeries): string =>
  JSON.stringify(series, (_, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )

const sorted = (series: readonly DecodedSeries[]): DecodedSeries[] =>
  [...series].sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1))

const anyway: Untidiness = { order: 'shuffled', padded: true, unknown: true, scattered: true, split: true }

test.each([
  ['1.0', { version: 1 }, tidy],
  ['2.0', { version: 2 }, tidy],
  ['1.0, with all that can be turned on', { version: 1, histograms: 'both', delta: true, namespace: 'ns' }, tidy],
  ['2.0, with native histograms', { version: 2, histograms: 'native', delta: true }, tidy],
  ['1.0, of bytes in any order', { version: 1 }, anyway],
  ['2.0, of bytes in any order', { version: 2, histograms: 'both' }, anyway],
] as const)('random metrics become in %s what a plain translation makes of them', (_, some, how) => {
  const options: RemoteWriteOptions = { ...plain, ...some }
  const encoder = new RemoteWriteEncoder(options)
  fc.assert(
    fc.property(request, fc.integer(), (any, seed) => {
      const body = untidy(new Random(seed), 'ExportMetricsServiceRequest', { ...any }, how)
      const wanted = new Reference(options).request(any)
      // The second time from what is kept.
      for (let i = 0; i < 2; i++) {
        const { requests, leftOut } = encoded(encoder, options.version, body)
        expect(sorted(requests.flatMap(r => r.series))).toEqual(sorted(wanted.series))
        expect(leftOut).toEqual(wanted.leftOut)
      }
    }),
    { numRuns: 150 },
  )
})

test.each([1, 2] as const)('forgetting label sets in the middle of a batch of %s.0 mixes nothing up', version => {
  const options: RemoteWriteOptions = { ...plain, version, keep: 3000 }
  const encoder = new RemoteWriteEncoder(options)
  for (let round = 0; round < 5; round++) {
    const one = (i: number) =>
      requestOf([gauge('a', [point(1, { as_double: i }, { i: `${i}`, x: 'y' })])], { 'service.name': `s${i % 7}` })
    const all = {
      resource_metrics: Array.from({ length: 200 }, (_, i) => one((i * 7 + round) % 90)).flatMap(
        r => r.resource_metrics,
      ),
    }
    const { requests } = encoded(encoder, version, bytesOf(all))
    expect(sorted(requests.flatMap(r => r.series))).toEqual(sorted(new Reference(options).request(all).series))
  }
})

test('resources are described', () => {
  for (const version of [1, 2] as const) {
    const options = { ...plain, version, targetInfo: true, namespace: 'ns' }
    fc.assert(
      fc.property(request, any => {
        const wanted = new Reference(options).request(any).series
        const { requests } = encoded(new RemoteWriteEncoder(options), version, bytesOf(any))
        const got = requests.flatMap(r => r.series)
        // Of two times for the same resource the earlier one is not told after the later one.
        const isInfo = (s: DecodedSeries): boolean => s.labels.some(([, value]) => value === 'ns_target_info')
        const all = new Set(wanted.map(textOf))
        for (const series of got) expect(all).toContain(textOf(series))
        const labels = (list: readonly DecodedSeries[]): string[] =>
          [...new Set(list.filter(isInfo).map(s => JSON.stringify(s.labels)))].sort()
        expect(labels(got)).toEqual(labels(wanted))
      }),
      { numRuns: 60 },
    )
  }
})

test.each([1, 2] as const)(
  'series are sorted by time within a request of %s.0, and stay as they are otherwise',
  version => {
    const ordered = translated(
      { version },
      requestOf([gauge('b', [point(1, { as_double: 1 })]), gauge('a', [point(1, { as_double: 2 })])]),
    )
    const names = ({ requests }: Encoded): string[] => requests.flatMap(r => r.series.map(s => s.labels[0][1]))
    expect(names(ordered)).toEqual(['b', 'a'])
    const late = [point(3, { as_double: 3 }), point(1, { as_double: 1 }), point(2, { as_double: 2 })]
    const sortedByTime = translated({ version }, requestOf([gauge('a', late)]))
    expect(sortedByTime.requests.flatMap(r => r.series.map(s => s.samples[0][1]))).toEqual([1, 2, 3])
  },
)

test.each([1, 2] as const)('requests of %s.0 are complete at their size, and carry all that they refer to', version => {
  const many = Array.from({ length: 3000 }, (_, i) => point(i, { as_double: i }, { id: `series ${i % 100}` }))
  const encoder = new RemoteWriteEncoder({ ...plain, version, maxBytes: 10_000 })
  const sizes: number[] = []
  const values = new Map<string, number[]>()
  const lanesOf = new Map<string, Set<number>>()
  encoder.encode(
    readRequest('metrics', bytesOf(requestOf([gauge('a', many)]))).groups,
    part => {
      sizes.push(part.body.length)
      for (const { labels, samples } of decodeRequest(version, part.body).series) {
        const key = JSON.stringify(labels)
        values.set(key, [...(values.get(key) ?? []), samples[0][1]])
        lanesOf.set(key, (lanesOf.get(key) ?? new Set()).add(part.lane))
      }
    },
    { lanes: 3 },
  )
  expect(Math.max(...sizes)).toBeLessThanOrEqual(10_000)
  expect(sizes.length).toBeGreaterThan(5)
  expect(values.size).toBe(100)
  for (const times of values.values()) expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect([...values.values()].flat()).toHaveLength(3000)
  for (const lanes of lanesOf.values()) expect(lanes.size).toBe(1)
  expect(new Set([...lanesOf.values()].flatMap(lanes => [...lanes])).size).toBe(3)
})

test('the symbols of 2.0 stand once, the empty one first', () => {
  const two = [point(1, { as_double: 1 }, { a: 'x' }), point(1, { as_double: 1 }, { a: 'y', x: 'a' })]
  const { requests } = translated({ version: 2 }, requestOf([gauge('m', two)]))
  const { symbols } = requests[0]
  expect(symbols[0]).toBe('')
  expect(new Set(symbols).size).toBe(symbols.length)
  expect(symbols.toSorted()).toEqual(['', '__name__', 'a', 'm', 'x', 'y'])
})

test('metadata of 1.0 is said once in each request', () => {
  const metrics = ['a', 'b', 'a'].map(name => ({
    ...gauge(name, [point(1, { as_double: 1 })], 's'),
    description: `About ${name}.`,
  }))
  const { requests } = translated({ metadata: true }, requestOf(metrics))
  expect(requests[0].metadata).toEqual([
    { type: 2, name: 'a_seconds', help: 'About a.', unit: 'seconds' },
    { type: 2, name: 'b_seconds', help: 'About b.', unit: 'seconds' },
  ])
})

test.each([
  [0, '0'],
  [0.005, '0.005'],
  [1, '1'],
  [1e21, '1000000000000000000000'],
  [1.5e-7, '0.00000015'],
  [-1.25e22, '-12500000000000000000000'],
  [Infinity, '+Inf'],
  [-Infinity, '-Inf'],
  [Number.NaN, 'NaN'],
])('the number %d is written %s', (n, text) => {
  expect(formatFloat(n)).toBe(text)
})

test('bytes that are no metrics are an error, and the next batch is not touched by it', () => {
  const body = bytesOf(requestOf([gauge('a', [point(1, { as_double: 1 }, { key: 'value' })])]))
  const encoder = new RemoteWriteEncoder(plain)
  const wanted = encoded(encoder, 1, body).requests
  let failed = 0
  for (let i = 0; i < body.length; i++) {
    const broken = Buffer.from(body)
    broken[i] ^= 0x40
    try {
      encoded(encoder, 1, broken)
    } catch (error) {
      failed++
      expect((error as Error).name).toBe('WireError')
    }
  }
  expect(failed).toBeGreaterThan(0)
  expect(encoded(encoder, 1, body).requests).toEqual(wanted)
})
