import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import type { DeliveryError } from '../../../core/errors.ts'
import { prometheusRemoteWrite } from '../../../exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { inflateSnappy } from '../../../net/snappy.ts'
import { halve } from '../../../pipelines/sending/halve.ts'
import { inContext } from '../../support/batches.ts'
import { batchOf, exporterOf, forever, refusal } from '../../support/exporting.ts'
import { encode } from '../../support/otlp.ts'
import { type DecodedRequest, decodeRequest } from '../../support/remote-write.ts'
import { gauge, type Metric, point, requestOf } from '../../support/remote-write-reference.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Seen {
  readonly headers: IncomingHttpHeaders
  readonly version: 1 | 2
  readonly request: DecodedRequest
  /** The values of its labels `i`, and the names of series without one. */
  readonly series: string[]
}
interface Reply {
  readonly status: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

/** A receiver that answers as `reply` says. */
async function receiver(reply: (seen: Seen) => Reply | Promise<Reply>): Promise<{ endpoint: string; seen: Seen[] }> {
  const seen: Seen[] = []
  const made = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { headers } = request
      const version = headers['x-prometheus-remote-write-version'] === '2.0.0' ? 2 : 1
      const decoded = decodeRequest(version, inflateSnappy(Buffer.concat(chunks), 1 << 28))
      const series = decoded.series.map(
        ({ labels }) =>
          (labels.find(([name]) => name === 'i') ?? labels.find(([name]) => name === '__name__'))?.[1] ?? '',
      )
      const one = { headers, version, request: decoded, series } as const
      seen.push(one)
      void Promise.resolve(reply(one)).then(answer =>
        response.writeHead(answer.status, answer.headers).end(answer.body),
      )
    })
  })
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  open.push(() => {
    made.closeAllConnections()
    made.close()
  })
  return { endpoint: `http://127.0.0.1:${(made.address() as AddressInfo).port}/api/v1/write`, seen }
}

const writtenHeaders = (samples: number, histograms = 0): OutgoingHttpHeaders => ({
  'x-prometheus-remote-write-samples-written': samples,
  'x-prometheus-remote-write-histograms-written': histograms,
  'x-prometheus-remote-write-exemplars-written': 0,
})

/** An answer of 2.0 that all is well. */
const all = ({ version, request }: Seen): Reply => {
  const count = (of: 'samples' | 'histograms'): number => request.series.reduce((sum, s) => sum + s[of].length, 0)
  return { status: 204, headers: version === 2 ? writtenHeaders(count('samples'), count('histograms')) : {} }
}

const v1 = 'prometheus.WriteRequest'
const v2 = 'io.prometheus.write.v2.Request'

const numbered = (name: string, from: number, to: number): Metric =>
  gauge(
    name,
    Array.from({ length: to - from }, (_, i) => point(1000, { as_double: from + i }, { i: `${from + i}` })),
  )
const batchOfMetrics = (metrics: readonly Metric[], resource: Readonly<Record<string, string>> = {}) =>
  batchOf(encode('ExportMetricsServiceRequest', requestOf(metrics, resource)), 'metrics')

function running(config: Readonly<Record<string, unknown>>) {
  const made = exporterOf(prometheusRemoteWrite, config, ['metrics'])
  void made.exporter.start?.()
  open.push(() => made.exporter.stop?.())
  return made
}

test.each([
  [v1, 'application/x-protobuf', '0.1.0'],
  [v2, 'application/x-protobuf;proto=io.prometheus.write.v2.Request', '2.0.0'],
])('a request of %s says what it is, whatever headers are configured', async (protobuf_message, type, version) => {
  const { endpoint, seen } = await receiver(all)
  const headers = { 'Content-Type': 'text/plain', 'X-Scope-OrgID': 'shop' }
  const { exporter, budget } = running({ endpoint, protobuf_message, headers })
  expect(await exporter.send(batchOfMetrics([numbered('a', 0, 2)]), forever)).toBeUndefined()
  expect(seen[0].headers).toMatchObject({
    'content-type': type,
    'x-prometheus-remote-write-version': version,
    'content-encoding': 'snappy',
    'x-scope-orgid': 'shop',
  })
  expect(seen[0].series).toEqual(['0', '1'])
  expect(budget.inFlight).toBe(0)
})

test.each<[string, string, Reply, string]>([
  ['nothing to ask again for', v1, { status: 400, body: 'out of order sample' }, 'rejected'],
  ['the credentials are wrong', v1, { status: 401 }, 'denied'],
  ['they are not enough', v1, { status: 403 }, 'denied'],
  ['the path is wrong, or the receiver not turned on', v1, { status: 404 }, 'denied'],
  ['the request is too large', v1, { status: 413 }, 'too_large'],
  ['the sender is too fast', v1, { status: 429, headers: { 'retry-after': '7' } }, 'retry 7000'],
  ['the receiver is in trouble', v1, { status: 500 }, 'retry'],
  ['the receiver is away', v1, { status: 503, headers: { 'retry-after': '3' } }, 'retry 3000'],
  ['2.0 is not known', v2, { status: 415 }, 'denied'],
  ['2.0 is not known and not noticed', v2, { status: 204 }, 'denied'],
  ['nothing is said of what was stored', v2, { status: 400, body: 'bad' }, 'rejected'],
  ['the receiver of 2.0 is in trouble', v2, { status: 500, headers: writtenHeaders(0) }, 'retry'],
])('%s (%s)', async (_, protobuf_message, reply, wanted) => {
  const { endpoint } = await receiver(() => reply)
  const { exporter, budget } = running({ endpoint, protobuf_message, target_info: { enabled: false } })
  const error = await refusal(exporter.send(batchOfMetrics([numbered('a', 0, 1), numbered('b', 0, 1)]), forever))
  expect(`${error.kind}${error.retryAfter === undefined ? '' : ` ${error.retryAfter}`}`).toBe(wanted)
  expect(error.message).toContain(endpoint)
  expect(budget.inFlight).toBe(0)
})

const dup = 'duplicate sample for timestamp 1000; overrides not allowed for series {__name__="a", i="1"}'
const late = 'out of order sample for series {__name__="a", i="2"}'
const info = 'out of order sample for series {__name__="target_info", job="shop"}'

test.each<[string, Reply, object | undefined]>([
  ['all of it', { status: 204, headers: writtenHeaders(5) }, undefined],
  [
    'part of it, with the reasons',
    { status: 400, headers: writtenHeaders(3), body: `${dup}\n${late}\n` },
    { duplicate: 1, out_of_order: 1 },
  ],
  ['part of it, without a reason', { status: 200, headers: writtenHeaders(2) }, { not_stored: 3 }],
  [
    'nothing of it',
    { status: 400, headers: writtenHeaders(0), body: `${late}\n`.repeat(4) + `${info}\n` },
    { out_of_order: 4 },
  ],
  ['all but what describes the resource', { status: 400, headers: writtenHeaders(4), body: `${info}\n` }, {}],
])('a receiver of 2.0 stores %s', async (_, reply, reasons) => {
  const { endpoint, seen } = await receiver(() => reply)
  const { exporter } = running({ endpoint, protobuf_message: v2 })
  const resource = { 'service.name': 'shop', 'host.name': 'h' }
  const sent = await exporter.send(batchOfMetrics([numbered('a', 0, 4)], resource), forever)
  expect(seen).toHaveLength(1)
  expect(seen[0].series).toContain('target_info')
  if (reasons === undefined) expect(sent).toBeUndefined()
  else {
    expect(sent?.reasons).toEqual(reasons)
    expect(sent?.rejected).toBe(Object.values(reasons).reduce((sum: number, n: number) => sum + n, 0))
    expect(sent?.message).not.toBe('')
  }
})

test('samples that were not stored are counted as the data points that they are of', async () => {
  const histogram: Metric = {
    name: 'h',
    unit: '',
    description: '',
    histogram: {
      aggregation_temporality: 2,
      data_points: ['a', 'b'].map(i =>
        point(1000, { count: '3', sum: 1, bucket_counts: ['1', '2'], explicit_bounds: [1] }, { i }),
      ),
    },
  }
  // Each of the two is four samples.
  const { endpoint } = await receiver(() => ({ status: 400, headers: writtenHeaders(4), body: `${late}\n`.repeat(4) }))
  const { exporter } = running({ endpoint, protobuf_message: v2 })
  expect(await exporter.send(batchOfMetrics([histogram]), forever)).toMatchObject({
    rejected: 1,
    reasons: { out_of_order: 1 },
  })
})

test.each<[string, Reply]>([
  ['says so', { status: 415, body: 'unsupported' }],
  ['does not notice', { status: 204 }],
])('with auto a receiver that does not know 2.0 and %s is spoken to in 1.0 from then on', async (_, reply) => {
  const { endpoint, seen } = await receiver(one => (one.version === 2 ? reply : { status: 204 }))
  const { exporter } = running({ endpoint, protobuf_message: 'auto' })
  for (let i = 0; i < 2; i++) {
    expect(await exporter.send(batchOfMetrics([numbered('a', 0, 2)]), forever)).toBeUndefined()
  }
  expect(seen.map(({ version, series }) => [version, series])).toEqual([
    [2, ['0', '1']],
    [1, ['0', '1']],
    [1, ['0', '1']],
  ])
})

/** A receiver as Prometheus is in 1.0: it stores nothing of a request with a sample that it does not take. */
const strict = (bad: ReadonlySet<string>, stored: Set<string>) =>
  receiver(({ series }) => {
    if (series.some(one => bad.has(one))) return { status: 400, body: 'out of order sample' }
    for (const one of series) stored.add(one)
    return { status: 204 }
  })

test('one metric with bad points is cut down to them by those who cut batches', async () => {
  const stored = new Set<string>()
  const { endpoint, seen } = await strict(new Set(['7', '50']), stored)
  const { exporter } = running({ endpoint })
  let refused = 0
  const cutDown = async (batch: Batch): Promise<void> => {
    try {
      await exporter.send(batch, forever)
    } catch (error) {
      expect((error as DeliveryError).kind).toBe('rejected')
      const halves = halve(batch)
      if (halves === undefined) refused += batch.items
      else for (const half of halves) await cutDown(half)
    }
  }
  await cutDown(batchOfMetrics([numbered('a', 0, 64)]))
  expect(refused).toBe(2)
  expect(stored.size).toBe(62)
  expect(seen.length).toBeLessThan(30)
})

test('what describes a resource costs no data where it is what is refused', async () => {
  const stored = new Set<string>()
  const { endpoint, seen } = await strict(new Set(['target_info']), stored)
  const { exporter } = running({ endpoint })
  const batch = batchOfMetrics([numbered('a', 0, 2), numbered('b', 2, 4)], { 'service.name': 'shop', 'host.name': 'h' })
  expect(await exporter.send(batch, forever)).toMatchObject({
    rejected: 0,
    message: expect.stringContaining('target_info') as string,
  })
  expect([...stored]).toEqual(['0', '1', '2', '3'])
  expect(seen).toHaveLength(2)
})

test('what Prometheus cannot have is counted with its reason, and the rest is sent', async () => {
  const { endpoint, seen } = await receiver(all)
  const { exporter } = running({ endpoint })
  const delta: Metric = { ...numbered('d', 0, 2), gauge: undefined as never }
  delete delta.gauge
  const metrics = [
    {
      ...delta,
      sum: {
        aggregation_temporality: 1,
        is_monotonic: true,
        data_points: [point(1, { as_double: 1 }), point(2, { as_double: 1 })],
      },
    },
    gauge('empty', [point(1)]),
    {
      name: 'buckets',
      unit: '',
      description: '',
      histogram: {
        aggregation_temporality: 2,
        data_points: [
          point(1, {
            count: '1',
            sum: 1,
            bucket_counts: Array.from({ length: 10_001 }, () => '1'),
            explicit_bounds: [],
          }),
        ],
      },
    },
    numbered('a', 0, 1),
  ]
  expect(await exporter.send(batchOfMetrics(metrics), forever)).toMatchObject({
    rejected: 4,
    reasons: { delta: 2, no_value: 1, too_many_buckets: 1 },
    message: expect.stringContaining('native_delta_ingestion') as string,
  })
  expect(seen.map(({ series }) => series)).toEqual([['0']])
  // Nothing is left: no request.
  expect(await exporter.send(batchOfMetrics([metrics[0]]), forever)).toMatchObject({ rejected: 2 })
  expect(seen).toHaveLength(1)
})

test('a large batch goes in several requests side by side, each series in the order of its points', async () => {
  let most = 0
  let now = 0
  const times = new Map<string, number[]>()
  const three = Promise.withResolvers<void>()
  const { endpoint, seen } = await receiver(async ({ request }) => {
    most = Math.max(most, ++now)
    // The first wait for the others, however long those are in the making.
    if (now === 3) three.resolve()
    await three.promise
    for (const { labels, samples } of request.series) {
      const key = JSON.stringify(labels)
      times.set(key, [...(times.get(key) ?? []), samples[0][1]])
    }
    now--
    return { status: 204 }
  })
  const many = Array.from({ length: 4000 }, (_, i) => point(i, { as_double: i }, { id: `${i % 50}` }))
  const { exporter, budget } = running({
    endpoint,
    max_batch_size_bytes: 20_000,
    remote_write_queue: { num_consumers: 3 },
  })
  const batch = batchOfMetrics([gauge('a', many)])
  expect(exporter.fits?.(batch)).toBe(false)
  expect(await exporter.send(batch, forever)).toBeUndefined()
  expect(most).toBe(3)
  expect(seen.length).toBeGreaterThan(3)
  expect([...times.values()].flat()).toHaveLength(4000)
  for (const of of times.values()) expect(of).toEqual(of.toSorted((a, b) => a - b))
  expect(budget.inFlight).toBe(0)
})

test('a point that cannot be read is refused, so that it is split off', async () => {
  const { endpoint, seen } = await receiver(all)
  const { exporter } = running({ endpoint })
  const data_points = [point(1, { count: '1', sum: 1, bucket_counts: ['1'], explicit_bounds: [] })]
  const histogram = { aggregation_temporality: 2, data_points }
  const bytes = encode('ExportMetricsServiceRequest', requestOf([{ name: 'h', unit: '', description: '', histogram }]))
  // The only count, as one that is cut off: of seven bytes, with something else behind it.
  const at = bytes.indexOf(Buffer.from([0x32, 0x08, 0x01]))
  bytes[at + 1] = 7
  const error = await refusal(exporter.send(batchOf(bytes, 'metrics'), forever))
  expect([error.kind, seen.length]).toEqual(['rejected', 0])
  expect(error.message).toContain('remote write')
})

test('headers of senders are sent on', async () => {
  const { endpoint, seen } = await receiver(all)
  const { exporter } = running({ endpoint, include_metadata_keys: ['X-Scope-OrgID', 'X-Other'] })
  const batch = batchOfMetrics([numbered('a', 0, 1)])
  const metadata = new Map([['x-scope-orgid', ['tenant']]])
  await exporter.send(inContext(batch, { ...batch.context, metadata }), forever)
  expect(seen[0].headers).toMatchObject({ 'x-scope-orgid': 'tenant' })
  expect(seen[0].headers).not.toHaveProperty('x-other')
})

test('labels and names are as configured', async () => {
  const { endpoint, seen } = await receiver(all)
  const { exporter } = running({
    endpoint,
    namespace: 'ns',
    external_labels: { 'my.cluster': 'c' },
    resource_constant_labels: { included: ['k8s.*'], excluded: ['k8s.pod.uid'] },
    add_metric_suffixes: false,
    target_info: { enabled: false },
    send_metadata: true,
  })
  const resource = { 'k8s.pod.name': 'p', 'k8s.pod.uid': 'u', 'service.name': 's' }
  await exporter.send(batchOfMetrics([gauge('a', [point(1, { as_double: 1 })], 's')], resource), forever)
  expect(seen[0].request.series[0].labels).toEqual([
    ['__name__', 'ns_a'],
    ['job', 's'],
    ['k8s_pod_name', 'p'],
    ['my_cluster', 'c'],
    ['otel_scope_name', 'scope'],
  ])
  expect(seen[0].request.metadata).toEqual([{ type: 2, name: 'ns_a', help: '', unit: 'seconds' }])
})

test('native histograms with custom buckets, beside the classic ones', async () => {
  const { endpoint, seen } = await receiver(all)
  const config = {
    endpoint,
    convert_explicit_histograms_to_nhcb: true,
    keep_classic_histograms: true,
    disable_scope_info: true,
  }
  const { exporter } = running(config)
  const data_points = [point(1, { count: '3', sum: 4, bucket_counts: ['1', '2'], explicit_bounds: [1] })]
  const histogram = { name: 'h', unit: '', description: '', histogram: { aggregation_temporality: 2, data_points } }
  await exporter.send(batchOfMetrics([histogram]), forever)
  expect(seen[0].series).toEqual(['h', 'h_sum', 'h_count', 'h_bucket', 'h_bucket'])
  expect(seen[0].request.series[0].histograms[0]).toMatchObject({ schema: -53, bounds: [1], positive: { 0: 1, 1: 2 } })
})

test('the section `http` goes before the other keys of the client', async () => {
  const { endpoint, seen } = await receiver(all)
  const { exporter } = running({ endpoint: 'http://127.0.0.1:1/', http: { endpoint, headers: { 'x-from': 'http' } } })
  await exporter.send(batchOfMetrics([numbered('a', 0, 1)]), forever)
  expect(seen[0].headers).toMatchObject({ 'x-from': 'http' })
})
