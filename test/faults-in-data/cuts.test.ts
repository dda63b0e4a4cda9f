/** A2, A3 and A4 of the faults of November 2026: a metric is cut between its points wherever a size is promised. */
import { afterEach, expect, test } from 'vitest'
import { runKymo, type RunningKymo } from '../support/kymo.ts'
import { encode } from '../support/otlp.ts'
import { httpSend } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

interface Sent {
  readonly sink: OtlpSink
  readonly kymo: RunningKymo
}

/** Sends these metrics through a processor and a queue to a destination that takes at most so many points. */
async function sent(
  metrics: readonly object[],
  way: { processors?: string; queue?: string; most?: number },
): Promise<Sent> {
  const { processors = '[]', queue = '', most = Infinity } = way
  const sink = await otlpSink()
  ends.push(() => sink.close())
  // What a destination takes at most in bytes is as much as a number of points here.
  sink.answer = ({ count }) => (count > most ? { code: 8, message: 'too large' } : undefined)
  const kymo = await runKymo(`
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
processors: {batch: {send_batch_size: 3, send_batch_max_size: 3}}
exporters: {otlp_http: {endpoint: "${sink.httpEndpoint}", compression: none, sending_queue: {num_consumers: 1, ${queue}}}}
service: {pipelines: {metrics: {receivers: [otlp], processors: ${processors}, exporters: [otlp_http]}}}`)
  ends.push(() => kymo.stop())
  const body = encode('ExportMetricsServiceRequest', { resource_metrics: [{ scope_metrics: [{ metrics }] }] })
  expect((await httpSend(kymo.addresses[0], 'metrics', body)).status).toBe(200)
  return { sink, kymo }
}

const count = ({ received }: OtlpSink): number => received.reduce((sum, one) => sum + one.count, 0)

const metadata = [{ key: 'm', value: { string_value: 'of the metric' } }]
const head = { name: 'm', unit: 's', description: 'd', metadata }
const points = (n: number) => Array.from({ length: n }, (_, i) => ({ time_unix_nano: String(i + 1), as_int: i }))
const kinds: Readonly<Record<string, (n: number) => object>> = {
  gauge: n => ({ ...head, gauge: { data_points: points(n) } }),
  sum: n => ({ ...head, sum: { aggregation_temporality: 2, is_monotonic: true, data_points: points(n) } }),
  histogram: n => ({
    ...head,
    histogram: {
      aggregation_temporality: 1,
      data_points: points(n).map(({ time_unix_nano }) => ({ time_unix_nano, count: 1 })),
    },
  }),
  'exponential histogram': n => ({
    ...head,
    exponential_histogram: {
      aggregation_temporality: 1,
      data_points: points(n).map(({ time_unix_nano }) => ({ time_unix_nano, count: 1 })),
    },
  }),
  summary: n => ({
    ...head,
    summary: { data_points: points(n).map(({ time_unix_nano }) => ({ time_unix_nano, count: 1 })) },
  }),
}

/** What each part says of its metric, but for its points. */
function headsOf({ received }: OtlpSink): string[] {
  return received.flatMap(({ items }) =>
    items.map(({ item }) =>
      JSON.stringify(item, (key, value: unknown) =>
        key === 'data_points' || key === 'dataPoints' ? undefined : value,
      ),
    ),
  )
}

const ways: Readonly<Record<string, { processors?: string; queue?: string }>> = {
  'the processor `batch`': { processors: '[batch]' },
  '`sending_queue.batch` by items': { queue: 'batch: {max_size: 3, min_size: 3}' },
}

test.each(Object.keys(ways).flatMap(way => Object.keys(kinds).map(kind => [way, kind] as const)))(
  'A2: %s cuts a %s of seven points in 3, 3, 1, and each part says what it is of',
  async (way, kind) => {
    const { sink } = await sent([kinds[kind](7)], ways[way])
    await expect.poll(() => count(sink), { timeout: 60_000 }).toBe(7)
    expect(sink.received.map(one => one.count).toSorted((a, b) => b - a)).toEqual([3, 3, 1])
    const heads = headsOf(sink)
    expect(new Set(heads).size).toBe(1)
    expect(heads[0]).toContain('of the metric')
  },
)

test.each(Object.keys(kinds))('A2: `sending_queue.batch` by bytes cuts a %s between its points, too', async kind => {
  const { sink } = await sent([kinds[kind](200)], {
    queue: 'sizer: bytes, queue_size: 1000000, batch: {sizer: bytes, max_size: 600, min_size: 500}',
  })
  await expect.poll(() => count(sink), { timeout: 60_000 }).toBe(200)
  expect(sink.received.length).toBeGreaterThan(3)
  for (const one of sink.received) expect(one.count).toBeLessThan(100)
  expect(new Set(headsOf(sink)).size).toBe(1)
})

test.each([
  [1, 20],
  [10, 200],
])('A3: a destination that takes %i points at a time gets all %i of one gauge', async (most, all) => {
  const { sink, kymo } = await sent([kinds['gauge'](all)], { most })
  await expect.poll(() => count(sink), { timeout: 60_000 }).toBe(all)
  expect(new Set(headsOf(sink)).size).toBe(1)
  expect(kymo.books.faults()).toEqual([])
})

test.each(Object.keys(ways))(
  'A4: a metric without points is there once what stands beside it was cut by %s',
  async way => {
    const { sink } = await sent([{ name: 'without', gauge: {} }, kinds['gauge'](7)], ways[way])
    await expect.poll(() => count(sink), { timeout: 60_000 }).toBe(7)
    expect(JSON.stringify(sink.received.map(one => one.items))).toContain('"without"')
  },
)
