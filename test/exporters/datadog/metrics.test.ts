import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MetricBlocks } from '../../../backends/datadog/metric-block.ts'
import { KnownSeries, MetricMapping } from '../../../exporters/datadog/metric-mapping.ts'
import { metricSettings } from '../../../exporters/datadog/metric-settings.ts'
import { config } from '../../../exporters/datadog/config.ts'
import { readRequest } from '../../../proto/request.ts'
import { Attempts, batchOf, forever, refusal } from '../../support/exporting.ts'
import { attributes, metricsRequest } from './datadog-runs.ts'
import { seriesOf } from './fake-intake.ts'
import { asText, pairs, type PlainValue } from './log-reference.ts'
import {
  at,
  brief,
  counter,
  cumulative,
  delta,
  early,
  histogram,
  late,
  numbers,
  send,
  started,
  three,
  when,
} from './metric-runs.ts'

const count = 1
const gauge = 3

test.each([
  ['a gauge', { gauge: {} }, [{ time_unix_nano: at(9), as_double: 1.5 }], [`${gauge} m 1.5`]],
  ['a gauge of whole numbers', { gauge: {} }, [{ time_unix_nano: at(9), as_int: -7 }], [`${gauge} m -7`]],
  [
    'an up-and-down counter',
    { sum: { aggregation_temporality: cumulative } },
    [{ time_unix_nano: at(9), as_int: 3 }],
    [`${gauge} m 3`],
  ],
  [
    'a delta',
    { sum: { aggregation_temporality: delta, is_monotonic: true } },
    [{ time_unix_nano: at(9), as_int: 3 }],
    [`${count} m 3`],
  ],
  [
    'a delta that may fall',
    { sum: { aggregation_temporality: delta } },
    [{ time_unix_nano: at(9), as_double: -2.5 }],
    [`${count} m -2.5`],
  ],
  [
    'a counter that began after us',
    counter,
    [{ start_time_unix_nano: late, time_unix_nano: at(9), as_int: 5 }],
    [`${count} m 5`],
  ],
  ['a counter that began before us', counter, [{ start_time_unix_nano: early, time_unix_nano: at(9), as_int: 5 }], []],
  ['a counter that does not say', counter, [{ time_unix_nano: at(9), as_int: 5 }], []],
  ['a point without a value that was recorded', { gauge: {} }, [{ time_unix_nano: at(9), flags: 1 }], []],
  [
    'points of several series, tagged by their attributes in one order',
    { gauge: {} },
    [
      { time_unix_nano: at(9), as_int: 1, attributes: attributes({ b: 'x', a: 2, c: '' }) },
      { time_unix_nano: at(9), as_int: 2, attributes: attributes({ list: ['p', 1], on: true }) },
    ],
    [`${gauge} m 1 a:2 b:x c:n/a`, `${gauge} m 2 list:["p",1] on:true`],
  ],
])('%s', async (_, kind, points, expected) => {
  const one = await started()
  expect(await send(one, [numbers('m', kind, ...points)])).toBeUndefined()
  expect(brief(one)).toEqual(expected)
  for (const { seconds } of one.intake.series) expect(seconds).toBe(when + 9)
})

test.each([
  ['no time', { gauge: {} }, { as_int: 1 }, 'no_timestamp'],
  ['no number', { gauge: {} }, { time_unix_nano: at(1), as_double: NaN }, 'not_finite'],
  ['no end', counter, { time_unix_nano: at(1), as_double: Infinity }, 'not_finite'],
  ['no temporality', { sum: {} }, { time_unix_nano: at(1), as_int: 1 }, 'no_temporality'],
  [
    'bounds and buckets that do not fit',
    { histogram: { aggregation_temporality: delta } },
    { time_unix_nano: at(1), count: 1, bucket_counts: [1, 0], explicit_bounds: [] },
    'malformed_histogram',
  ],
  [
    'bounds that do not grow',
    { histogram: { aggregation_temporality: delta } },
    { time_unix_nano: at(1), count: 1, bucket_counts: [1, 0, 0], explicit_bounds: [2, 1] },
    'malformed_histogram',
  ],
  [
    'more buckets than anybody means',
    { histogram: { aggregation_temporality: delta } },
    { time_unix_nano: at(1), count: 1, bucket_counts: Array.from({ length: 10_001 }, () => 0) },
    'too_many_buckets',
  ],
  [
    'more values than a sketch holds',
    { histogram: { aggregation_temporality: delta } },
    { time_unix_nano: at(1), count: 3e8, bucket_counts: [3e8, 0], explicit_bounds: [1] },
    'bucket_count_too_high',
  ],
])('a point with %s is left out with a reason, and the other is sent', async (_, kind, point, reason) => {
  const one = await started()
  const sent = await send(one, [
    numbers('bad', kind, point),
    numbers('good', { gauge: {} }, { time_unix_nano: at(2), as_int: 1 }),
  ])
  expect(sent).toMatchObject({ rejected: 1, reasons: { [reason]: 1 } })
  expect(sent?.message).toContain(reason)
  expect(brief(one)).toEqual([`${gauge} good 1`])
})

const step = (second: number, value: number, start = early) => [
  numbers('m', counter, {
    start_time_unix_nano: start,
    time_unix_nano: at(second),
    as_int: value,
    attributes: attributes({ a: '1' }),
  }),
]

test.each([
  ['grows', [step(1, 10), step(2, 14), step(3, 14)], [4, 0]],
  ['begins anew with a start of its own', [step(1, 10), step(2, 3, late), step(3, 5, late)], [3, 2]],
  ['falls, and did not say when it began', [step(1, 10, '0'), step(2, 3, '0'), step(3, 5, '0')], [2]],
  ['has its points in the wrong order', [step(2, 10), step(1, 14), step(3, 15)], [5]],
])('a counter that %s is counted by its differences', async (_, steps, expected) => {
  const one = await started()
  for (const metrics of steps) await send(one, metrics)
  expect(one.intake.series.map(({ value }) => value)).toEqual(expected)
})

test('what is out of order is said to be', async () => {
  const one = await started()
  await send(one, step(2, 10))
  expect(await send(one, step(2, 11))).toMatchObject({ rejected: 1, reasons: { out_of_order: 1 } })
})

test('two points of a series in one batch, and attributes in another order, are of one series', async () => {
  const one = await started()
  const point = (second: number, value: number, tags: object) => ({
    start_time_unix_nano: early,
    time_unix_nano: at(second),
    as_int: value,
    attributes: attributes(tags as Record<string, unknown>),
  })
  await send(one, [numbers('m', counter, point(1, 10, { a: '1', b: '2' }), point(2, 12, { b: '2', a: '1' }))], {
    'x.y': '1',
    'service.name': 's',
  })
  await send(one, [numbers('m', counter, point(3, 17, { a: '1', b: '2' }))], { 'service.name': 's', 'x.y': '1' })
  expect(brief(one)).toEqual([`${count} m 2 a:1 b:2 service:s`, `${count} m 5 a:1 b:2 service:s`])
})

test.each([
  ['drop', { sums: { initial_cumulative_monotonic_value: 'drop' } }, late, []],
  ['keep', { sums: { initial_cumulative_monotonic_value: 'keep' } }, early, [`${count} m 10 a:1`]],
  ['raw values', { sums: { cumulative_monotonic_mode: 'raw_value' } }, early, [`${gauge} m 10 a:1`]],
])('the first value of a counter with %s', async (_, metrics, start, expected) => {
  const one = await started(metrics)
  await send(one, step(1, 10, start))
  expect(brief(one)).toEqual(expected)
})

test('a batch that is sent again gives the same bytes, and the differences are taken once', async () => {
  const one = await started()
  await send(one, step(1, 10))
  let refused = 2
  one.intake.answer = () => (refused-- > 0 ? { status: 503 } : undefined)
  const batch = batchOf(metricsRequest(step(2, 15)), 'metrics')
  expect((await refusal(one.exporter.send(batch, forever))).kind).toBe('retry')
  expect((await refusal(one.exporter.send(batch, forever))).kind).toBe('retry')
  await one.exporter.send(batch, forever)
  const bodies = one.intake
    .to('/api/v2/series')
    .slice(-3)
    .map(({ body }) => body.toString('hex'))
  expect(new Set(bodies).size).toBe(1)
  await send(one, step(3, 17))
  expect(one.intake.series.map(({ value }) => value)).toEqual([5, 5, 5, 2])
})

test('what a batch that is never taken would have counted is counted with the next', async () => {
  const one = await started()
  await send(one, step(1, 10))
  one.intake.answer = () => ({ status: 400 })
  expect((await refusal(send(one, step(2, 15)))).kind).toBe('rejected')
  one.intake.answer = () => undefined
  await send(one, step(3, 17))
  expect(one.intake.series.at(-1)?.value).toBe(7)
})

test('a summary: its count and sum grow, its quantiles are gauges', async () => {
  const one = await started()
  const summary = (second: number, n: number, sum: number) => [
    numbers(
      's',
      { summary: {} },
      {
        start_time_unix_nano: early,
        time_unix_nano: at(second),
        count: n,
        sum,
        quantile_values: [
          { quantile: 0.5, value: 3 },
          { quantile: 1, value: NaN },
        ],
      },
    ),
  ]
  await send(one, summary(1, 10, 100))
  await send(one, summary(2, 12, 130))
  expect(brief(one)).toEqual([
    '3 s.quantile 3 quantile:0.5',
    '1 s.count 2',
    '1 s.sum 30',
    '3 s.quantile 3 quantile:0.5',
  ])
  const without = await started({ summaries: { mode: 'noquantiles' } })
  await send(without, summary(1, 10, 100))
  expect(without.intake.series).toEqual([])
})

const one = [numbers('m', { gauge: {} }, { time_unix_nano: at(1), as_int: 1, attributes: attributes({ p: 'q' }) })]
const pod = {
  'service.name': 'shop',
  'k8s.pod.name': 'shop-1',
  'k8s.node.name': 'n1',
  'k8s.cluster.name': 'c1',
  team: 'a',
}

test.each([
  [
    'tags that Datadog knows, and the host',
    {},
    ['p:q', 'kube_cluster_name:c1', 'pod_name:shop-1', 'service:shop'],
    'n1-c1',
  ],
  [
    'all resource attributes',
    { resource_attributes_as_tags: true },
    [
      'p:q',
      'k8s.cluster.name:c1',
      'k8s.node.name:n1',
      'k8s.pod.name:shop-1',
      'kube_cluster_name:c1',
      'pod_name:shop-1',
      'service.name:shop',
      'service:shop',
      'team:a',
    ],
    'n1-c1',
  ],
  [
    'the scope',
    { instrumentation_scope_metadata_as_tags: true },
    [
      'p:q',
      'instrumentation_scope:lib',
      'instrumentation_scope_version:n/a',
      'kube_cluster_name:c1',
      'lang:go',
      'pod_name:shop-1',
      'service:shop',
    ],
    'n1-c1',
  ],
])('series are tagged with %s', async (_, metrics, tags, host) => {
  const made = await started(metrics)
  await send(made, one, pod, { name: 'lib', attributes: attributes({ lang: 'go' }) })
  expect(made.intake.series).toMatchObject([{ tags, host }])
})

test('without a host of its own a series has that of the exporter, unless that is not wanted', async () => {
  const made = await started()
  await send(made, one)
  expect(made.intake.series[0].host).toBe('gateway')
  const other = await started({ disable_hostname: true })
  await send(other, one)
  expect(other.intake.series[0].host).toBeUndefined()
})

test('many points are several requests; after the first is taken only what is left is sent again', async () => {
  const made = await started()
  const points = Array.from({ length: 20_000 }, (_, i) => ({
    start_time_unix_nano: late,
    time_unix_nano: at(9),
    as_int: i,
    attributes: attributes({ series: `${i}`.repeat(20) }),
  }))
  const attempts = new Attempts(batchOf(metricsRequest([numbers('m', counter, ...points)]), 'metrics'))
  let requests = 0
  made.intake.answer = () => (++requests === 2 ? { status: 503 } : undefined)
  expect((await refusal(attempts.send(made.exporter))).kind).toBe('retry')
  expect(await attempts.send(made.exporter)).toBeUndefined()
  const taken = made.intake.to('/api/v2/series').filter((_, i) => i !== 1)
  expect(taken.length).toBeGreaterThan(1)
  for (const { body } of taken) expect(body.length).toBeLessThan(5_242_880)
  const values = made.intake.series.map(({ value }) => value)
  expect(new Set(values).size).toBe(20_000)
  // The request that was refused came a second time.
  expect(values.length).toBeGreaterThan(20_000)
  expect(made.intake.to('/api/v2/series')).toHaveLength(taken.length + 1)
})

test('what is refused for good after a part was taken is booked, and not sent twice', async () => {
  const made = await started()
  made.intake.answer = ({ path }) => (path === '/api/beta/sketches' ? { status: 400 } : undefined)
  const sent = await send(made, [...one, ...histogram(three)])
  expect(sent).toMatchObject({ rejected: 1, reasons: { rejected: 1 }, message: expect.stringContaining('HTTP 400') })
})

test('metrics that cannot be read are refused, so that the bad one can be found', async () => {
  const made = await started()
  const body = metricsRequest([{ name: 'm', gauge: { data_points: [{ time_unix_nano: at(1), as_int: 1 }] } }])
  // The time's wire type becomes another one.
  body[body.lastIndexOf(0x19)] = 0x1a
  const error = await refusal(made.exporter.send(batchOf(body, 'metrics'), forever))
  expect(error.kind).toBe('rejected')
})

test('any attributes and values: what a gauge says is what a series says', () => {
  const { value: values } = fc.letrec<{ value: PlainValue }>(tie => ({
    value: fc.oneof(
      { maxDepth: 2 },
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.integer(),
      fc.boolean(),
      fc.double().map(number => ({ double: number })),
      fc.uint8Array({ maxLength: 5 }),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
  }))
  const tags = fc.uniqueArray(fc.tuple(fc.string({ unit: 'binary', maxLength: 130 }), values), {
    selector: ([key]) => key,
    maxLength: 6,
  })
  const number = fc.double({ noDefaultInfinity: true, noNaN: true })
  const mapping = new MetricMapping(
    metricSettings(config.parse({ api: { key: 'k' } })),
    new MetricBlocks({ hostname: 'h', resourceAttributes: false, scope: false }),
    new KnownSeries(1000, () => 0),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(number, tags), { minLength: 1, maxLength: 5 }), points => {
      const body = metricsRequest([
        numbers(
          'é',
          { gauge: {} },
          ...points.map(([as_double, list]) => ({ time_unix_nano: at(3), as_double, attributes: pairs(list) })),
        ),
      ])
      const { bodies } = mapping.map(readRequest('metrics', body).groups, 10)
      const [{ bytes }] = bodies
      const expected = points.map(([value, list]) => ({
        metric: 'é',
        type: gauge,
        value: value === 0 ? 0 : value,
        seconds: when + 3,
        host: 'h',
        tags: list.map(([key, tag]) => `${key}:${asText(tag) || 'n/a'}`).toSorted(),
      }))
      expect(seriesOf(bytes).map(one => ({ ...one, value: one.value + 0, tags: one.tags.toSorted() }))).toEqual(
        expected,
      )
    }),
  )
})

test('APM stats that have no payload are left out with a reason', async () => {
  const one = await started()
  const metric = numbers(
    'dd.internal.stats.payload',
    { sum: { aggregation_temporality: 1 } },
    { time_unix_nano: at(1), as_int: 0 },
  )
  expect(await send(one, [metric])).toMatchObject({ rejected: 1, reasons: { malformed_stats: 1 } })
  expect(one.intake.seen).toEqual([])
})
