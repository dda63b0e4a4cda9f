/**
 * A2 and A3 of the faults of November 2026, at destinations that say themselves how much they take: no request is larger, what
 * can be cut is cut, what cannot ends with a reason, and all else arrives once.
 */
import { createHash } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { RemoteWriteEncoder } from '../../backends/remote-write/request.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { type RunningKymo, runKymo } from '../support/kymo.ts'
import { type LimitedSink, limitedSink, type Measured } from '../support/limited-sink.ts'
import { readPush, type Streams } from '../support/loki-push.ts'
import { encode, type Plain } from '../support/otlp-proto.ts'
import { httpSend } from '../support/otlp-send.ts'
import { metricsRequest } from '../support/prometheus-page.ts'
import { decodeRequest } from '../support/remote-write.ts'
import { plain } from '../support/remote-write-reference.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const mebibyte = 1024 * 1024

/** A destination: how it is configured, and how much it takes in one request. */
interface Destination {
  readonly exporter: (url: string) => string
  /** Why a request is larger than it takes; undefined where it is not. */
  readonly over: (request: Measured) => string | undefined
}

const datadog = (url: string): string =>
  `datadog: {api: {key: "${'f00b'.repeat(8)}"}, host_metadata: {enabled: false}, ` +
  `metrics: {endpoint: "${url}"}, logs: {endpoint: "${url}"}, traces: {endpoint: "${url}"}`

/** Limits as Datadog documents them for its intakes. */
function overDatadog({ path, wire, plain }: Measured): string | undefined {
  switch (path) {
    case '/api/v2/series':
      if (wire > 512_000) return `${wire} compressed bytes of series`
      return plain.length > 5_242_880 ? `${plain.length} bytes of series` : undefined
    case '/api/beta/sketches':
      return wire > 3_200_000 ? `${wire} compressed bytes of sketches` : undefined
    case '/api/v2/logs': {
      if (plain.length > 5_000_000) return `${plain.length} bytes of logs`
      const entries = JSON.parse(plain.toString()) as readonly object[]
      if (entries.length > 1000) return `${entries.length} logs`
      return entries.some(one => Buffer.byteLength(JSON.stringify(one)) > 1_000_000) ? 'a log of over 1 MB' : undefined
    }
    case '/api/v0.2/traces':
      return plain.length > 3_200_000 ? `${plain.length} bytes of traces` : undefined
    default:
      return undefined
  }
}

const remoteWrite = (more: string) => (url: string) =>
  `prometheus_remote_write: {endpoint: "${url}/api/v1/write"${more}`
const loki = (more: string) => (url: string) => `loki: {endpoint: "${url}"${more}`

const atMost =
  (most: number) =>
  ({ plain }: Measured): string | undefined =>
    plain.length > most ? `${plain.length} bytes` : undefined

/** Lines and structured metadata, as Loki counts them. */
function overLoki({ plain }: Measured): string | undefined {
  const streams: Streams = readPush(plain)
  let size = 0
  for (const { line, metadata } of Object.values(streams).flat()) {
    size += Buffer.byteLength(line)
    for (const [name, value] of metadata) size += name.length + value.length
  }
  return size > 4 * mebibyte ? `${size} bytes of lines` : undefined
}

const version2 = ', protobuf_message: io.prometheus.write.v2.Request'
const destinations = {
  datadog: { exporter: datadog, over: overDatadog },
  'remote write 1.0': { exporter: remoteWrite(''), over: atMost(3_000_000) },
  'remote write 2.0': { exporter: remoteWrite(version2), over: atMost(3_000_000) },
  loki: { exporter: loki(''), over: overLoki },
  'loki that cuts lines': { exporter: loki(', oversize: truncate'), over: overLoki },
  'loki with lines of any size': { exporter: loki(', max_line_size: 0'), over: overLoki },
  'loki over OTLP': { exporter: loki(', protocol: otlp'), over: atMost(4 * mebibyte) },
} satisfies Readonly<Record<string, Destination>>

/** Queues that hand on batches of many items: all there are, or as many as make so many bytes. */
const queues: Readonly<Record<string, (count: number) => string>> = {
  'gathered in one batch': count => `batch: {min_size: ${count}}`,
  'behind `sending_queue.batch` by bytes': () =>
    'sizer: bytes, queue_size: 100000000, batch: {sizer: bytes, max_size: 2000000, min_size: 1000000}',
}

/** What tells an item from all others, and cannot be compressed to much less. */
const hashOf = (i: number): Buffer => createHash('sha256').update(String(i)).digest()
const idOf = (i: number): string => `id-${hashOf(i).toString('hex', 0, 16)}`
const attribute = (key: string, text: string): Plain => ({ key, value: { string_value: text } })
/** A text that compression leaves half of. */
const noise = (size: number): string => {
  const parts = Array.from({ length: Math.ceil(size / 64) }, (_, i) => hashOf(-i).toString('hex'))
  return parts.join('').slice(0, size)
}

const resource = { attributes: [attribute('service.name', 'shop'), attribute('k8s.pod.uid', 'p')] }

/** One gauge; each of its points has one of these texts beside its own. */
const gauge = (count: number, beside: (i: number) => string = () => ''): Buffer =>
  encode('metrics', {
    resource_metrics: [
      {
        resource,
        scope_metrics: [
          {
            metrics: [
              {
                name: 'm',
                gauge: {
                  data_points: Array.from({ length: count }, (_, i) => ({
                    time_unix_nano: '1900000000000000000',
                    as_double: hashOf(i).readUIntBE(16, 6) / 1000,
                    attributes: [attribute('id', idOf(i)), attribute('beside', beside(i))],
                  })),
                },
              },
            ],
          },
        ],
      },
    ],
  })

/** Log records; one of them has a body of so many bytes. */
const logs = (count: number, large: number): Buffer =>
  encode('logs', {
    resource_logs: [
      {
        resource,
        scope_logs: [
          {
            log_records: Array.from({ length: count }, (_, i) => ({
              time_unix_nano: String(1_900_000_000_000_000_000n + BigInt(i)),
              body: { string_value: idOf(i) + (i === count >> 1 ? noise(large) : ' works') },
            })),
          },
        ],
      },
    ],
  })

/** Spans of one trace; one of them has attributes of so many bytes. */
const spans = (count: number, large: number): Buffer =>
  encode('traces', {
    resource_spans: [
      {
        resource,
        scope_spans: [
          {
            spans: Array.from({ length: count }, (_, i) => ({
              trace_id: hashOf(-1).subarray(0, 16),
              span_id: hashOf(i).subarray(0, 8),
              name: 'work',
              start_time_unix_nano: '1900000000000000000',
              end_time_unix_nano: '1900000000000000001',
              attributes: [
                attribute('id', idOf(i)),
                ...(i === count >> 1
                  ? Array.from({ length: Math.ceil(large / 20_000) }, (_, k) => attribute(`k${k}`, noise(20_000)))
                  : []),
              ],
            })),
          },
        ],
      },
    ],
  })

interface Sent {
  readonly sink: LimitedSink
  readonly kymo: RunningKymo
  readonly books: RunningKymo['books']['nodes'][number]
}

/** Sends a request to such a destination and waits until nothing of it is on its way. */
async function sent(
  destination: Destination,
  signal: Signal,
  body: Buffer,
  { queue = '', over = destination.over }: { queue?: string; over?: Destination['over'] } = {},
): Promise<Sent> {
  const sink = await limitedSink(over)
  ends.push(() => sink.close())
  const exporter = destination.exporter(sink.url)
  const kymo = await runKymo(`
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0", max_request_body_size: 100000000}}}}
exporters: {${exporter}${queue}}}
service: {pipelines: {${signal}: {receivers: [otlp], exporters: [${exporter.slice(0, exporter.indexOf(':'))}]}}}`)
  ends.push(() => kymo.stop())
  expect((await httpSend(kymo.addresses[0], signal, body)).status).toBe(200)
  const [books] = kymo.books.nodes.filter(({ name }) => name.kind === 'exporter')
  await expect.poll(() => books.in > 0 && books.held() === 0, { timeout: 60_000 }).toBe(true)
  return { sink, kymo, books }
}

/** How often each item arrived that arrived at all, but for those that did once. */
function notOnce({ taken }: LimitedSink, count: number): string[] {
  const times = new Map<string, number>()
  for (const { plain } of taken) {
    for (const [id] of plain.toString('latin1').matchAll(/id-[0-9a-f]{32}/g)) times.set(id, (times.get(id) ?? 0) + 1)
  }
  return Array.from({ length: count }, (_, i) => `${i}: ${times.get(idOf(i)) ?? 0}`).filter(one => !one.endsWith(': 1'))
}

interface Row {
  readonly to: keyof typeof destinations
  readonly what: string
  readonly signal: Signal
  readonly count: number
  readonly body: () => Buffer
  /** Items that end with a reason. */
  readonly ended?: Readonly<Record<string, number>>
}

const metricsTo = (to: Row['to']): Row[] => [
  { to, what: 'one metric of 60,000 points', signal: 'metrics', count: 60_000, body: () => gauge(60_000) },
]
/** Half of the points have tags that nothing can be made of, and the others have tags that compress to nothing. */
const denseBeside = (i: number): string =>
  i < 20_000
    ? 'same'.repeat(20)
    : [hashOf(-i), hashOf(-i - 1e6), hashOf(-i - 2e6)].map(hash => hash.toString('base64')).join('')
const densePoints = {
  what: 'points that compress badly',
  signal: 'metrics',
  count: 40_000,
  body: () => gauge(40_000, denseBeside),
} as const
const largeLog = { what: 'a log record of 12 MiB among others', signal: 'logs', count: 2501 } as const
const rows: readonly Row[] = [
  ...metricsTo('datadog'),
  { to: 'datadog', ...densePoints },
  ...metricsTo('remote write 1.0'),
  ...metricsTo('remote write 2.0'),
  { to: 'datadog', ...largeLog, body: () => logs(2501, 12 * mebibyte) },
  { to: 'loki', ...largeLog, body: () => logs(2501, 12 * mebibyte), ended: { line_too_long: 1 } },
  { to: 'loki that cuts lines', ...largeLog, body: () => logs(2501, 12 * mebibyte) },
  { to: 'loki with lines of any size', ...largeLog, body: () => logs(2501, 12 * mebibyte), ended: { too_large: 1 } },
  { to: 'loki over OTLP', ...largeLog, body: () => logs(2501, 12 * mebibyte), ended: { too_large: 1 } },
  { to: 'datadog', what: 'one trace of 50,000 spans', signal: 'traces', count: 50_000, body: () => spans(50_000, 0) },
  {
    to: 'datadog',
    what: 'a span of 4 MB among others',
    signal: 'traces',
    count: 101,
    body: () => spans(101, 4_000_000),
    ended: { too_large: 1 },
  },
]

test.each(Object.keys(queues).flatMap(queue => rows.map(row => [row.to, row.what, queue, row] as const)))(
  'A3: to %s %s, %s, goes in requests that are taken',
  async (_, _what, queue, { to, signal, count, body, ended = {} }) => {
    const { sink, kymo, books } = await sent(destinations[to], signal, body(), {
      queue: `, sending_queue: {${queues[queue](count)}}`,
    })
    expect(sink.over).toEqual([])
    const all = Object.values(ended).reduce((sum, n) => sum + n, 0)
    expect(notOnce(sink, count)).toEqual(all === 0 ? [] : [`${count >> 1}: 0`])
    const reasons = [...books.rejected.all()].map(({ reason, value }) => [reason, value] as const)
    expect(Object.fromEntries(reasons)).toEqual(ended)
    expect([books.delivered, books.lost.total]).toEqual([count - all, 0])
    expect(kymo.books.faults()).toEqual([])
  },
)

const compressed =
  (most: number) =>
  ({ wire }: Measured): string | undefined =>
    wire > most ? `${wire} bytes` : undefined

test.each<Pick<Row, 'to' | 'what' | 'signal' | 'count' | 'body'> & { readonly over: Destination['over'] }>([
  { to: 'datadog', ...densePoints, over: compressed(300_000) },
  { to: 'remote write 1.0', ...densePoints, over: compressed(200_000) },
  { to: 'remote write 2.0', ...densePoints, over: compressed(200_000) },
  { to: 'datadog', what: 'logs', signal: 'logs', count: 2501, body: () => logs(2501, 0), over: compressed(5000) },
  { to: 'datadog', what: 'spans', signal: 'traces', count: 2501, body: () => spans(2501, 0), over: compressed(5000) },
  { to: 'loki', what: 'logs', signal: 'logs', count: 2501, body: () => logs(2501, 0), over: compressed(5000) },
  {
    to: 'loki over OTLP',
    what: 'logs',
    signal: 'logs',
    count: 2501,
    body: () => logs(2501, 0),
    over: compressed(5000),
  },
])('A3: $what are cut until they fit where $to is in front of something that takes less', async row => {
  const { to, signal, body, over, count } = row
  const queue = `, sending_queue: {batch: {min_size: ${count}}}`
  const { sink, kymo, books } = await sent(destinations[to], signal, body(), { queue, over })
  expect(sink.over.length).toBeGreaterThan(0)
  expect(notOnce(sink, count)).toEqual([])
  expect([books.delivered, books.rejected.total, books.lost.total]).toEqual([count, 0, 0])
  expect(kymo.books.faults()).toEqual([])
})

/** Sizes of texts beside the points of a gauge. */
const uneven = (i: number): string => noise(i % 121 === 120 ? 12_000 : 1)

test.each([
  [1, 'one metric'],
  [2, 'one metric'],
  [1, 'a resource that says much of itself'],
  [2, 'a resource that says much of itself'],
] as const)(
  'A3: no request of remote write %i.0 is larger than `max_batch_size_bytes` for points of %s',
  (version, what) => {
    const large = what === 'one metric' ? {} : { 'service.name': 's', much: noise(12_000) }
    const points = Array.from({ length: 500 }, (_, i) => i)
    const request = metricsRequest(
      [
        {
          name: 'm',
          gauge: {
            data_points: points.map(i => ({
              time_unix_nano: '1900000000000000000',
              as_int: i,
              attributes: [attribute('id', idOf(i)), attribute('beside', what === 'one metric' ? uneven(i) : 'x')],
            })),
          },
        },
      ],
      { resource: large },
    )
    const encoder = new RemoteWriteEncoder({ ...plain, version, targetInfo: true, metadata: true, maxBytes: 20_000 })
    const sizes: number[] = []
    const ids: string[] = []
    let told = 0
    const leftOut = encoder.encode(readRequest('metrics', request).groups, ({ body, points }) => {
      sizes.push(body.length)
      told += points
      for (const { labels } of decodeRequest(version, body).series) {
        for (const [name, value] of labels) if (name === 'id') ids.push(value)
      }
    })
    expect(leftOut).toEqual({})
    expect(told).toBe(500)
    expect(ids.toSorted()).toEqual(points.map(idOf).toSorted())
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20_000)
  },
)
