import { expect, test } from 'vitest'
import { at, brief, cumulative, delta, early, histogram, numbers, send, started, three, when } from './metric-runs.ts'

test('a histogram is a distribution, with what is known exactly', async () => {
  const one = await started()
  expect(await send(one, histogram(three))).toBeUndefined()
  const [sketch] = one.intake.sketches
  expect(sketch).toMatchObject({
    metric: 'h',
    host: 'gateway',
    seconds: when + 5,
    count: 6,
    min: 4,
    max: 33,
    sum: 60,
    avg: 10,
  })
  expect(sketch.bins.reduce((sum, [, n]) => sum + n, 0)).toBe(6)
  // The value of the first bucket stands at its bound, those of the last at theirs, the others between.
  expect(sketch.bins[0]).toEqual([1487, 1 + 1])
  expect(sketch.bins.at(-1)?.[0]).toBe(1531)
  expect(one.intake.seen[0].headers).toMatchObject({
    'dd-agent-payload': expect.stringMatching(/^\d/),
    'content-type': 'application/x-protobuf',
  })
  expect(brief(one)).toEqual([])
})

test.each([
  [
    'without smallest and largest, those of its buckets',
    { count: 2, sum: 5, bucket_counts: [0, 2, 0], explicit_bounds: [1, 4] },
    { min: 1, max: 4, sum: 5 },
  ],
  [
    'of one value that lies beyond all bounds',
    { count: 1, sum: 900, bucket_counts: [0, 1], explicit_bounds: [100] },
    { min: 100, sum: 900 },
  ],
  [
    'without buckets, spread between its smallest and largest',
    { count: 10, sum: 50, min: 1, max: 9 },
    { min: 1, max: 9, sum: 50, count: 10 },
  ],
  ['without anything but count and sum, at the mean', { count: 4, sum: 40 }, { bins: [[1487, 4]], sum: 40 }],
  [
    'of values below 0',
    { count: 3, sum: -45, bucket_counts: [0, 3, 0], explicit_bounds: [-20, -10] },
    { min: -20, max: -10 },
  ],
])('a histogram %s', async (_, point, expected) => {
  const one = await started()
  await send(one, histogram(point))
  expect(one.intake.sketches[0]).toMatchObject(expected)
})

test('a histogram of nothing is nothing', async () => {
  const one = await started()
  expect(await send(one, histogram({ count: 0, sum: 0, bucket_counts: [0, 0], explicit_bounds: [1] }))).toBeUndefined()
  expect(one.intake.seen).toEqual([])
})

test('a cumulative histogram is what came since; its smallest and largest count where they are new', async () => {
  const one = await started()
  const grown = { count: 9, sum: 97, bucket_counts: [1, 5, 3], explicit_bounds: [10, 20], min: 4, max: 40 }
  await send(one, histogram({ ...three, time_unix_nano: at(5) }, cumulative))
  expect(one.intake.sketches).toEqual([])
  await send(one, histogram({ ...grown, time_unix_nano: at(6) }, cumulative))
  expect(one.intake.sketches).toMatchObject([{ count: 3, sum: 37, min: 10, max: 40 }])
  // Fewer than before: it began anew, and nobody knows when.
  await send(one, histogram({ ...three, time_unix_nano: at(7) }, cumulative))
  expect(one.intake.sketches).toHaveLength(1)
})

test('counters mode: a count per bucket, and the aggregations beside it', async () => {
  const one = await started({ histograms: { mode: 'counters', send_aggregation_metrics: true } })
  await send(one, histogram({ ...three, explicit_bounds: [0.5, 2_000_000] }))
  expect(brief(one)).toEqual([
    '1 h.count 6',
    '1 h.sum 60',
    '3 h.min 4',
    '3 h.max 33',
    '1 h.bucket 1 lower_bound:-inf upper_bound:0.5',
    '1 h.bucket 3 lower_bound:0.5 upper_bound:2e+06.0',
    '1 h.bucket 2 lower_bound:2e+06.0 upper_bound:inf',
  ])
  expect(one.intake.sketches).toEqual([])
})

const exponential = (point: object, temporality = delta) => [
  numbers(
    'e',
    { exponential_histogram: { aggregation_temporality: temporality } },
    { time_unix_nano: at(5), start_time_unix_nano: early, ...point },
  ),
]

test('an exponential histogram is a distribution', async () => {
  const one = await started({ histograms: { send_aggregation_metrics: true } })
  const point = {
    count: 8,
    sum: 21.5,
    scale: 0,
    zero_count: 1,
    positive: { offset: 1, bucket_counts: [4, 2] },
    negative: { offset: 0, bucket_counts: [1] },
    min: -1.5,
    max: 7,
  }
  await send(one, exponential(point))
  expect(one.intake.sketches).toMatchObject([{ metric: 'e', count: 8, min: -1.5, max: 7, sum: 21.5 }])
  const { bins } = one.intake.sketches[0]
  const sum = (from: number, to: number) => bins.reduce((n, [k, c]) => n + (k >= from && k <= to ? c : 0), 0)
  // Keys of -2..-1, 0, 2..4 and 4..8.
  expect([sum(-1383, -1338), sum(0, 0), sum(1382, 1427), sum(1427, 1473)]).toEqual([1, 1, 4, 2])
  expect(brief(one)).toEqual(['1 e.count 8', '1 e.sum 21.5', '3 e.min -1.5', '3 e.max 7'])
})

test('smallest and largest of an exponential histogram that does not say are those of its bins', async () => {
  const one = await started()
  await send(one, exponential({ count: 3, sum: 5, scale: 0, positive: { offset: 1, bucket_counts: [3] } }))
  const [{ min, max, bins }] = one.intake.sketches
  expect(min).toBeGreaterThanOrEqual(1.98)
  expect(max).toBeLessThanOrEqual(4.04)
  expect(bins.length).toBe(3)
})

test('one value of an exponential histogram is its sum', async () => {
  const one = await started()
  await send(one, exponential({ count: 1, sum: 10, scale: 0, positive: { offset: 3, bucket_counts: [1] } }))
  expect(one.intake.sketches).toMatchObject([{ min: 10, max: 10, bins: [[1487, 1]] }])
})

test('a cumulative exponential histogram is what came since, also where its buckets got wider', async () => {
  const one = await started()
  const first = { count: 5, sum: 30, scale: 1, positive: { offset: 2, bucket_counts: [2, 1, 2] } }
  const wider = { count: 9, sum: 70, scale: 0, positive: { offset: 0, bucket_counts: [1, 4, 4] } }
  await send(one, exponential({ ...first, time_unix_nano: at(5) }, cumulative))
  await send(one, exponential({ ...wider, time_unix_nano: at(6) }, cumulative))
  expect(one.intake.sketches).toMatchObject([{ count: 4, sum: 40 }])
})
