/** A1 and A20 of the faults of November 2026: deltas add up whatever their times, and over the time nobody hears of them. */
import { afterEach, expect, test } from 'vitest'
import type { Room } from '../../proto/room.ts'
import { encode } from '../support/otlp.ts'
import { attributes, TestPage } from '../support/prometheus-page.ts'
import { runService, type RunningService } from '../support/service.ts'

const running: RunningService[] = []
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop()
})

const second = (n: number): string => String(1_900_000_000_000_000_000n + BigInt(n) * 1_000_000_000n)

/** A delta of each kind, of the time between two seconds: two of something. */
const kinds: Readonly<Record<string, (from: number, to: number) => object>> = {
  counter: (from, to) => ({
    name: 'n',
    sum: { ...delta, is_monotonic: true, data_points: [point(from, to, { as_int: 2 })] },
  }),
  histogram: (from, to) => ({
    name: 'n',
    histogram: {
      ...delta,
      data_points: [point(from, to, { count: 2, sum: 3, bucket_counts: [1, 1], explicit_bounds: [1] })],
    },
  }),
  'exponential histogram': (from, to) => ({
    name: 'n',
    exponential_histogram: {
      ...delta,
      data_points: [point(from, to, { count: 2, sum: 3, scale: 0, positive: { offset: 0, bucket_counts: [1, 1] } })],
    },
  }),
}
const delta = { aggregation_temporality: 1 }
const point = (from: number, to: number, more: object, labels: Readonly<Record<string, string>> = {}) => ({
  start_time_unix_nano: second(from),
  time_unix_nano: second(to),
  attributes: attributes(labels),
  ...more,
})

/** What was counted altogether, as the page says it; undefined where it says nothing. */
function counted(page: TestPage): number | undefined {
  const line = /^n_(?:total|count) (\d+)$/m.exec(page.text())
  return line === null ? undefined : Number(line[1])
}

/** The two lists of what is tried, each with each. */
const each = <T>(rows: readonly T[]) => Object.keys(kinds).flatMap(kind => rows.map(row => [kind, row] as const))

interface Times {
  readonly what: string
  readonly spans: readonly (readonly [from: number, to: number])[]
}

test.each(
  each<Times>([
    {
      what: 'the same time',
      spans: [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    },
    {
      what: 'times that go back',
      spans: [
        [4, 5],
        [2, 3],
        [0, 1],
      ],
    },
    {
      what: 'times that overlap',
      spans: [
        [0, 4],
        [1, 5],
        [3, 6],
      ],
    },
    {
      what: 'a gap between them',
      spans: [
        [0, 1],
        [7, 8],
        [20, 21],
      ],
    },
  ]),
)('A1: deltas of a %s add up: %j', (kind, { spans }) => {
  const page = new TestPage({ send_timestamps: true })
  for (const [from, to] of spans) expect(page.take([kinds[kind](from, to)])).toBeUndefined()
  const last = Math.max(...spans.map(([, to]) => to))
  expect(page.text()).toMatch(new RegExp(`^n_(total|count) 6 ${second(last).slice(0, 13)}$`, 'm'))
})

test('A1: deltas of a counter that found no room for its own series add up, too', () => {
  const page = new TestPage({ series_limit: 1 })
  page.take([kinds['counter'](0, 1)])
  const other = point(0, 1, { as_int: 2 }, { a: 'b' })
  for (let i = 0; i < 3; i++) page.take([{ name: 'n', sum: { ...delta, is_monotonic: true, data_points: [other] } }])
  expect(page.text()).toContain('n_total{otel_metric_overflow="true"} 6\n')
})

test('A1: a total that is older is still out of order', () => {
  const page = new TestPage()
  const total = (to: number) => [
    { name: 'n', sum: { aggregation_temporality: 2, is_monotonic: true, data_points: [point(0, to, { as_int: to })] } },
  ]
  page.take(total(5))
  expect(page.take(total(4))).toMatchObject({ reasons: { out_of_order: 1 } })
  expect(counted(page)).toBe(5)
})

test('A1: log records of one time, counted one request after the other, are five', async () => {
  const service = await runService(`
receivers: {otlp: {protocols: {http: {endpoint: 127.0.0.1:0}}}}
connectors: {count: {logs: {n: {}}}}
exporters: {prometheus: {endpoint: 127.0.0.1:0, without_scope_info: true}}
service:
  pipelines:
    logs: {receivers: [otlp], exporters: [count]}
    metrics: {receivers: [count], exporters: [prometheus]}`)
  running.push(service)
  const [page, door] = service.endpoints
  const body = encode('ExportLogsServiceRequest', {
    resource_logs: [{ scope_logs: [{ log_records: [{ time_unix_nano: '1900000000000000000' }] }] }],
  })
  const headers = { 'content-type': 'application/x-protobuf' }
  for (let i = 0; i < 5; i++) {
    const { status } = await fetch(`http://${door}/v1/logs`, { method: 'POST', headers, body })
    expect(status).toBe(200)
  }
  await expect.poll(async () => (await fetch(`http://${page}/metrics`)).text()).toContain('n_total 5\n')
})

test.each(Object.keys(kinds))('A20: a rare %s goes on from its sum when it comes back', kind => {
  const page = new TestPage({ metric_expiration: '2s' })
  page.take([kinds[kind](0, 1)], 1000)
  for (let now = 10_000; now < 50_000; now += 10_000) {
    page.expireTable(now)
    expect(counted(page)).toBeUndefined()
    expect(page.table.size).toBe(0)
    expect(page.take([kinds[kind](now, now + 1)], now)).toBeUndefined()
  }
  expect(counted(page)).toBe(10)
})

test('A20: so does what found no room for its own series', () => {
  const page = new TestPage({ series_limit: 1, metric_expiration: '2s' })
  const other = [
    { name: 'n', sum: { ...delta, is_monotonic: true, data_points: [point(0, 1, { as_int: 2 }, { a: 'b' })] } },
  ]
  for (const now of [1000, 10_000, 20_000]) {
    page.expireTable(now)
    page.take([kinds['counter'](0, 1)], now)
    page.take(other, now)
  }
  expect(page.text()).toContain('n_total{otel_metric_overflow="true"} 6\n')
})

test('A20: a gauge that comes back is as it says, and a metric of another type has the name', () => {
  const page = new TestPage({ metric_expiration: '2s' })
  page.take([kinds['counter'](0, 1)], 1000)
  page.expireTable(10_000)
  const gauge = { name: 'n_total', gauge: { data_points: [point(0, 1, { as_int: 7 })] } }
  expect(page.take([gauge], 10_000)).toBeUndefined()
  expect(page.text()).toContain('n_total 7\n')
})

/** Room for so many bytes. */
class Limited implements Room {
  used = 0
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  grow(bytes: number): boolean {
    if (this.used + bytes > this.#most) return false
    this.used += bytes
    return true
  }

  shrink(bytes: number): void {
    this.used -= bytes
  }
}

test.each(Object.keys(kinds))('A20: sums of a %s are charged, give way to what is on the page, and end', kind => {
  const room = new Limited(100_000)
  const page = new TestPage({ metric_expiration: '2s' }, room)
  const named = (i: number) => ({ ...kinds[kind](0, 1), name: `n${i}` })
  // Far more than there is room for at a time: each is taken, and those that left first make room.
  for (let i = 0; i < 1000; i++) {
    const now = i * 10_000
    page.expireTable(now)
    page.table.forgetLeft()
    expect(page.take([named(i)], now)).toBeUndefined()
  }
  expect(room.used).toBeGreaterThan(50_000)
  page.take([named(998), named(0)], 9_990_000)
  expect(page.text()).toMatch(/^n998_(total|count) 4$/m)
  expect(page.text()).toMatch(/^n0_(total|count) 2$/m)
})

test('A20: no more sums are kept than there may be series', () => {
  const page = new TestPage({ metric_expiration: '2s', series_limit: 2 })
  const named = (i: number) => ({ ...kinds['counter'](0, 1), name: `n${i}` })
  for (let i = 0; i < 5; i++) {
    page.expireTable(i * 10_000)
    page.take([named(i)], i * 10_000)
  }
  page.expireTable(90_000)
  page.take([named(4), named(3)], 90_000)
  expect(page.text()).toContain('n4_total 4\n')
  expect(page.text()).toContain('n3_total 4\n')
  page.expireTable(99_000)
  page.take([named(0)], 99_000)
  expect(page.text()).toContain('n0_total 2\n')
})
