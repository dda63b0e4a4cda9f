import { expect, test } from 'vitest'
import { batchOf } from '../../support/exporting.ts'
import { attributes, metricsRequest, TestPage } from '../../support/prometheus-page.ts'

const second = (n: number): string => String(1_700_000_000_000_000_000n + BigInt(n) * 1_000_000_000n)
/** A point of the time between two seconds. */
const span = (from: number, to: number, more: object, labels: Readonly<Record<string, string>> = {}) => ({
  attributes: attributes(labels),
  start_time_unix_nano: second(from),
  time_unix_nano: second(to),
  ...more,
})
const delta = { aggregation_temporality: 1 }
const cumulative = { aggregation_temporality: 2 }
const gauge = (...data_points: object[]) => ({ name: 'g', gauge: { data_points } })
const counter = (...data_points: object[]) => ({ name: 'c', sum: { data_points, ...cumulative, is_monotonic: true } })
const deltas = (...data_points: object[]) => ({ name: 'c', sum: { data_points, ...delta, is_monotonic: true } })
const histograms = (temporality: object, ...data_points: object[]) => ({
  name: 'h',
  histogram: { data_points, ...temporality },
})

/** The lines of the page that are samples. */
const samples = (page: TestPage): string[] =>
  page
    .text()
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))

const buckets = (bounds: number[], counts: number[], sum: number) => ({
  count: String(counts.reduce((a, b) => a + b, 0)),
  sum,
  bucket_counts: counts.map(String),
  explicit_bounds: bounds,
})

test.each<[string, object[], string[]]>([
  ['the last point of a batch stays', [gauge(span(0, 1, { as_int: 1 }), span(0, 2, { as_int: 2 }))], ['g 2']],
  ['a later batch takes over', [gauge(span(0, 1, { as_int: 1 })), gauge(span(0, 2, { as_double: 2.5 }))], ['g 2.5']],
  [
    'a counter that starts anew is as it says',
    [counter(span(0, 10, { as_int: 100 })), counter(span(11, 12, { as_int: 1 }))],
    ['c_total 1'],
  ],
  [
    'deltas are added up',
    [deltas(span(0, 1, { as_int: 5 }), span(1, 2, { as_int: 6 })), deltas(span(2, 3, { as_double: 0.5 }))],
    ['c_total 11.5'],
  ],
  [
    'deltas with a gap between them are added up',
    [deltas(span(0, 1, { as_int: 5 })), deltas(span(10, 11, { as_int: 6 }))],
    ['c_total 11'],
  ],
  [
    'a total after deltas takes over',
    [deltas(span(0, 1, { as_int: 5 })), counter(span(0, 2, { as_int: 7 }))],
    ['c_total 7'],
  ],
  [
    'deltas of histograms are added up',
    [
      histograms(delta, span(0, 1, buckets([1, 2], [1, 2, 3], 10))),
      histograms(delta, span(1, 2, buckets([1, 2], [1, 0, 1], 0.5))),
    ],
    ['h_bucket{le="1"} 2', 'h_bucket{le="2"} 4', 'h_bucket{le="+Inf"} 8', 'h_sum 10.5', 'h_count 8'],
  ],
  [
    'a delta with other buckets begins anew',
    [
      histograms(delta, span(0, 1, buckets([1, 2], [1, 2, 3], 10))),
      histograms(delta, span(1, 2, buckets([5], [1, 1], 7))),
    ],
    ['h_bucket{le="5"} 1', 'h_bucket{le="+Inf"} 2', 'h_sum 7', 'h_count 2'],
  ],
  [
    'a later histogram takes over',
    [
      histograms(cumulative, span(0, 1, buckets([1, 2], [1, 2, 3], 10))),
      histograms(cumulative, span(0, 2, buckets([1, 2], [2, 2, 3], 11))),
    ],
    ['h_bucket{le="1"} 2', 'h_bucket{le="2"} 4', 'h_bucket{le="+Inf"} 7', 'h_sum 11', 'h_count 7'],
  ],
  [
    'the same attributes in another order are the same series',
    [
      gauge(span(0, 1, { as_int: 1 }, { a: '1', b: '2' })),
      gauge(span(0, 2, { as_int: 2 }, { b: '2', a: '1' })),
      gauge(span(0, 3, { as_int: 3 }, { a: '1', b: '2' })),
    ],
    ['g{a="1",b="2"} 3'],
  ],
  ['a series without a value any more leaves', [gauge(span(0, 1, { as_int: 1 })), gauge(span(0, 2, { flags: 1 }))], []],
  [
    'a series that left comes back',
    [gauge(span(0, 1, { as_int: 1 })), gauge(span(0, 2, { flags: 1 })), gauge(span(0, 3, { as_int: 3 }))],
    ['g 3'],
  ],
  [
    'an end that is older than the value is none',
    [gauge(span(0, 5, { as_int: 1 })), gauge(span(0, 2, { flags: 1 }))],
    ['g 1'],
  ],
  ['points without a time are taken as they come', [gauge({ as_int: 1 }), gauge({ as_int: 2 })], ['g 2']],
])('%s', (_row, batches, expected) => {
  const page = new TestPage()
  for (const metric of batches) page.take([metric])
  expect(samples(page)).toEqual(expected)
})

const exponential = (scale: number, offset: number, counts: number[], more: object = {}) =>
  span(0, 0, {
    time_unix_nano: '0',
    count: String(counts.reduce((a, b) => a + b, 0)),
    sum: 1,
    scale,
    positive: { offset, bucket_counts: counts.map(String) },
    ...more,
  })

test.each<[string, object[], Record<string, number>]>([
  ['of one scale', [exponential(0, 0, [1, 2]), exponential(0, 1, [3, 4])], { 1: 0, 2: 1, 4: 6, 8: 10 }],
  ['of two scales', [exponential(1, 0, [1, 2, 3]), exponential(0, 1, [4])], { 1: 0, 2: 3, 4: 10 }],
  [
    'of two scales, the finer second',
    [exponential(0, 1, [4]), exponential(2, -1, [1, 2])],
    { 0.5: 0, 1: 1, 2: 3, 4: 7 },
  ],
  ['one without buckets', [exponential(0, 0, []), exponential(0, 2, [5])], { 4: 0, 8: 5 }],
])('deltas of exponential histograms are added up: %s', (_row, points, expected) => {
  const page = new TestPage()
  for (const one of points) {
    expect(page.take([{ name: 'e', exponential_histogram: { data_points: [one], ...delta } }])).toBeUndefined()
  }
  const found = [...page.text().matchAll(/^e_bucket\{le="([\d.]+)"\} (\d+)$/gm)]
  expect(Object.fromEntries(found.map(([, le, count]) => [Number(le), Number(count)]))).toEqual(expected)
})

test('deltas of exponential histograms that are far apart are added up at a coarser scale', () => {
  const page = new TestPage()
  for (const offset of [-2_000_000_000, 2_000_000_000]) {
    page.take([{ name: 'e', exponential_histogram: { data_points: [exponential(20, offset, [1, 1])], ...delta } }])
  }
  expect(page.text()).toContain('e_count 4\n')
  expect(page.text()).toContain('e_bucket{le="+Inf"} 4\n')
})

test.each<[string, object[], Record<string, number>, string]>([
  ['a name of which nothing is left', [{ ...gauge(span(0, 1, { as_int: 1 })), name: '字' }], { no_name: 1 }, ''],
  [
    'another type',
    [gauge(span(0, 1, { as_int: 1 })), { ...histograms(cumulative, span(0, 1, buckets([], [1], 1))), name: 'g' }],
    { name_conflict: 1 },
    'g 1',
  ],
  [
    'a name that a histogram writes',
    [histograms(cumulative, span(0, 1, { count: '1' })), { ...gauge(span(0, 1, { as_int: 1 })), name: 'h_count' }],
    { name_conflict: 1 },
    'h_bucket{le="+Inf"} 1',
  ],
  [
    'a histogram that writes a name that is there',
    [{ ...gauge(span(0, 1, { as_int: 1 })), name: 'h_sum' }, histograms(cumulative, span(0, 1, { count: '1' }))],
    { name_conflict: 1 },
    'h_sum 1',
  ],
  ['a name of the page', [{ ...gauge(span(0, 1, { as_int: 1 })), name: 'target_info' }], { name_conflict: 1 }, ''],
  [
    'deltas of a sum that also falls',
    [{ name: 'd', sum: { data_points: [span(0, 1, { as_int: 1 })], ...delta } }],
    { delta_not_monotonic: 1 },
    '',
  ],
  [
    'a sum without temporality',
    [{ name: 'd', sum: { data_points: [span(0, 1, { as_int: 1 })], is_monotonic: true } }],
    { temporality_unspecified: 1 },
    '',
  ],
  [
    'a histogram without temporality',
    [histograms({}, span(0, 1, { count: '1' }), span(0, 1, { count: '1' }))],
    { temporality_unspecified: 2 },
    '',
  ],
  ['a point without a value', [gauge(span(0, 1, {}))], { invalid: 1 }, ''],
  ['bounds that do not rise', [histograms(cumulative, span(0, 1, buckets([2, 2], [1, 1, 1], 1)))], { invalid: 1 }, ''],
  [
    'buckets that do not go with the bounds',
    [histograms(cumulative, span(0, 1, buckets([1, 2], [1, 1], 1)))],
    { invalid: 1 },
    '',
  ],
  [
    'a point that is older',
    [gauge(span(0, 5, { as_int: 5 })), gauge(span(0, 4, { as_int: 4 }))],
    { out_of_order: 1 },
    'g 5',
  ],
])('rejected with a reason, and nothing else with it: %s', (_row, metrics, reasons, line) => {
  const page = new TestPage()
  for (const metric of metrics.slice(0, -1)) expect(page.take([metric])).toBeUndefined()
  const sent = page.take([...metrics.slice(-1), { name: 'good', gauge: { data_points: [span(0, 1, { as_int: 1 })] } }])
  const rejected = Object.values(reasons).reduce((a, b) => a + b, 0)
  expect(sent).toMatchObject({ rejected, reasons })
  expect(sent?.message).not.toBe('')
  expect(samples(page)).toContain('good 1')
  if (line !== '') expect(samples(page)).toContain(line)
})

test.each<[string, object, object, RegExp]>([
  ['descriptions', { description: 'one' }, { description: 'two' }, /`g` has two descriptions/],
  ['units that are not in the name', { unit: 's' }, { unit: 'ms' }, /`g` comes in two units/],
])('two %s are told, and cost nothing', (_row, one, two, message) => {
  const page = new TestPage({ translation_strategy: 'UnderscoreEscapingWithoutSuffixes' })
  expect(page.take([{ ...gauge(span(0, 1, { as_int: 1 })), ...one }])).toBeUndefined()
  const sent = page.take([{ ...gauge(span(0, 2, { as_int: 2 })), ...two }])
  expect(sent?.rejected).toBe(0)
  expect(sent?.message).toMatch(message)
  expect(samples(page)).toEqual(['g 2'])
  // Once is enough.
  expect(page.take([{ ...gauge(span(0, 3, { as_int: 3 })), ...two }])).toBeUndefined()
})

test('a metric that cannot be read costs only itself, a point only that one', () => {
  const page = new TestPage()
  const body = metricsRequest([gauge(span(0, 1, { as_int: 1 }, { a: '1' }), span(0, 1, { as_int: 2 }, { a: '2' }))])
  const broken = Buffer.from(body)
  // The tag of the first point's value (field 6, eight bytes) becomes that of a field 6 of another wire type.
  broken[broken.indexOf(Buffer.from([0x31, 1, 0, 0, 0, 0, 0, 0, 0]))] = 0x35
  const sent = page.take(broken)
  expect(sent).toMatchObject({ rejected: 1, reasons: { invalid: 1 } })
  expect(samples(page)).toEqual(['g{a="2"} 2'])
})

test('attributes apart from each other, data before the name: fields stand in any order', () => {
  const field = (tag: number, content: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([tag, content.length]), content])
  const [a, b] = [Buffer.from('0a01611203 0a0131'.replace(' ', ''), 'hex'), Buffer.from('0a016212030a0132', 'hex')]
  const value = Buffer.from([0x31, 7, 0, 0, 0, 0, 0, 0, 0])
  const points = field(0x0a, Buffer.concat([field(0x3a, a), value, field(0x3a, b)]))
  const metric = field(0x12, Buffer.concat([field(0x2a, points), field(0x0a, Buffer.from('g'))]))
  const request = field(0x0a, field(0x12, metric))
  const page = new TestPage()
  expect(page.take(request)).toBeUndefined()
  expect(page.take(request)).toBeUndefined()
  expect(samples(page)).toEqual(['g{a="1",b="2"} 7'])
})

test('what is not heard of leaves the page, and its name is free again', () => {
  const page = new TestPage({ metric_expiration: '10s' })
  page.take([gauge(span(0, 1, { as_int: 1 }, { a: '1' }))], 1000, { resource: { 'service.name': 's', x: 'y' } })
  page.take([gauge(span(0, 1, { as_int: 1 }, { a: '2' }))], 9000)
  page.expireTable(11_000)
  expect(samples(page)).toHaveLength(3)
  page.expireTable(11_001)
  expect(samples(page)).toEqual(['g{a="2"} 1'])
  expect(page.take([{ ...deltas(span(0, 1, { as_int: 3 })), name: 'g' }])).toBeUndefined()
  page.expireTable(19_001)
  const sent = page.take([{ ...histograms(cumulative, span(0, 1, { count: '1' })), name: 'g' }])
  expect(sent).toBeUndefined()
  expect(samples(page)).toContain('g_count 1')
})

test('a resource that calls itself as another one is not shown beside it', () => {
  const page = new TestPage({ metric_expiration: '10s' })
  const one = (version: string, now: number) =>
    page.take([gauge(span(0, now, { as_int: 1 }))], now * 1000, { resource: { 'service.name': 's', version } })
  one('1', 1)
  one('2', 2)
  expect(page.text()).toContain('target_info{job="s",version="1"} 1\n')
  expect(page.text()).not.toContain('version="2"')
  one('2', 12)
  expect(page.text()).toContain('target_info{job="s",version="2"} 1\n')
})

test('series beyond the limit are rejected and counted on the page; those that are there go on', () => {
  const page = new TestPage({ series_limit: 2 })
  const points = (n: number, value: number) =>
    Array.from({ length: n }, (_, i) => span(0, value, { as_int: value }, { i: String(i) }))
  expect(page.take([gauge(...points(2, 1))])).toBeUndefined()
  const sent = page.take([gauge(...points(5, 2))])
  expect(sent).toMatchObject({ rejected: 3, reasons: { cardinality_limit: 3 } })
  expect(samples(page)).toEqual(['g{i="0"} 2', 'g{i="1"} 2', 'kymo_prometheus_overflow_points_total{metric="g"} 3'])
})

test('deltas of counters beyond the limit are summed up in one series', () => {
  const page = new TestPage({ series_limit: 1 })
  const points = Array.from({ length: 4 }, (_, i) => span(0, 1, { as_int: 10 + i }, { i: String(i) }))
  expect(page.take([deltas(...points)])).toBeUndefined()
  expect(samples(page)).toEqual([
    'c_total{i="0"} 10',
    'c_total{otel_metric_overflow="true"} 36',
    'kymo_prometheus_overflow_points_total{metric="c_total"} 3',
  ])
})

test('what found no room is counted for a thousand names, the rest together', () => {
  const page = new TestPage({ series_limit: 1 })
  const metrics = Array.from({ length: 1202 }, (_, i) => ({ ...gauge(span(0, 1, { as_int: 1 })), name: `g${i}` }))
  page.take(metrics)
  page.expireTable(1)
  page.take(metrics)
  const counted = samples(page).filter(line => line.startsWith('kymo_prometheus'))
  expect(counted).toHaveLength(1001)
  expect(counted).toContain('kymo_prometheus_overflow_points_total{metric="g7"} 2')
  expect(counted).toContain('kymo_prometheus_overflow_points_total{metric="other"} 402')
})

test('series that leave make room, and keys of those that left are forgotten', () => {
  const page = new TestPage({ series_limit: 3000, metric_expiration: '1s' })
  for (let round = 0; round < 10; round++) {
    const points = Array.from({ length: 3000 }, (_, i) => span(0, 1, { as_int: round }, { i: `${round}-${i}` }))
    page.expireTable(round * 2000)
    expect(page.take([gauge(...points)], round * 2000)).toBeUndefined()
    expect(page.table.size).toBe(3000)
  }
  expect(samples(page)).toHaveLength(3000)
})

test('a metric that is none is rejected with all of its points', () => {
  const page = new TestPage()
  const body = metricsRequest([gauge(span(0, 1, { as_int: 1 }), span(0, 2, { as_int: 2 }))])
  const batch = batchOf(body, 'metrics')
  // Behind the door, as if a processor had spoiled it: the name is longer than the metric.
  body[body.lastIndexOf(Buffer.from([0x0a, 1, 0x67])) + 1] = 0x7f
  expect(page.takeBatch(batch)).toMatchObject({ rejected: 2, reasons: { invalid: 2 } })
  expect(samples(page)).toEqual([])
})

test('series that leave while a large batch is taken do not take the rest of it with them', () => {
  const page = new TestPage({ metric_expiration: '1m' })
  const points = Array.from({ length: 3000 }, (_, i) => span(0, 1, { as_int: i }, { i: String(i) }))
  const steps = page.steps(batchOf(metricsRequest([gauge(...points)]), 'metrics'), 1000)
  expect(steps.next()).toEqual({ done: false, value: undefined })
  const early = samples(page).length
  expect(early).toBeGreaterThan(0)
  page.expire(62_000)
  expect(samples(page)).toEqual([])
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  expect(step.value).toBeUndefined()
  expect(samples(page)).toEqual(points.slice(early).map((_, i) => `g{i="${early + i}"} ${early + i}`))
})

test('many series leave in steps, and what comes meanwhile stays', () => {
  const page = new TestPage({ metric_expiration: '1m' })
  const point = (i: number, name: string) => span(0, 1, { as_int: i }, { [name]: String(i) })
  page.take([gauge(...Array.from({ length: 10_000 }, (_, i) => point(i, 'old')))], 1000)
  const [first, second] = [page.table.expire(62_000), page.table.expire(62_000)]
  expect(first.next()).toEqual({ done: false, value: undefined })
  const left = page.table.size
  expect(left).toBeLessThan(10_000)
  expect(left).toBeGreaterThan(5000)
  page.take([gauge(point(1, 'new'))], 62_000)
  for (const _ of second);
  for (const _ of first);
  expect(page.table.size).toBe(1)
  expect(samples(page)).toEqual(['g{new="1"} 1'])
})

test('a family that leaves while another sweep goes on gives its memory back once', () => {
  let taken = 0
  const room = { grow: (bytes: number) => ((taken += bytes), true), shrink: (bytes: number) => void (taken -= bytes) }
  const page = new TestPage({ metric_expiration: '1m' }, room)
  page.take([gauge(...Array.from({ length: 5000 }, (_, i) => span(0, 1, { as_int: i }, { i: String(i) })))], 1000)
  const [first, second] = [page.table.expire(62_000), page.table.expire(62_000)]
  first.next()
  for (const _ of second);
  for (const _ of first);
  page.table.forgetLeft()
  expect([page.table.size, page.table.families.size]).toEqual([0, 0])
  expect(taken).toBe(0)
})
