/** Floods of new keys under a small budget: what components keep beside the data is bounded, whatever is sent. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Account } from '../../core/account.ts'
import { Batch } from '../../core/batch.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import type { Exporter, ExporterDefinition, Sent } from '../../core/component.ts'
import { Delivery } from '../../core/delivery.ts'
import { Host } from '../../core/host.ts'
import { Journal } from '../../core/journal.ts'
import { Lease } from '../../core/lease.ts'
import { Status } from '../../core/status.ts'
import { count } from '../../connectors/count/count.ts'
import { tallyGroups } from '../../connectors/count/tally.ts'
import { batch as batchProcessor } from '../../processors/batch.ts'
import { groupByAttrs } from '../../processors/groupbyattrs/groupbyattrs.ts'
import { endless } from '../../proto/room.ts'
import { datadogExporter } from '../../exporters/datadog/datadog.ts'
import { loki } from '../../exporters/loki/loki.ts'
import { prometheus } from '../../exporters/prometheus/prometheus.ts'
import { prometheusRemoteWrite } from '../../exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { Listeners, listenersKey } from '../../net/listeners.ts'
import { inflateSnappy } from '../../net/snappy.ts'
import { SpanStats } from '../../backends/datadog/stats-spans.ts'
import { ownNames } from '../../backends/datadog/traces-group.ts'
import { readRequest } from '../../proto/request.ts'
import { batchOf, forever } from '../support/exporting.ts'
import { encode } from '../support/otlp.ts'
import { toyGraph } from '../support/graph.ts'
import { attributes, metricsRequest } from '../support/prometheus-page.ts'
import { decodeRequest } from '../support/remote-write.ts'
import { componentContext } from '../support/contexts.ts'

const stopping: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop()
})

/** A destination that takes everything. */
async function destination() {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (request.headers['x-prometheus-remote-write-version'] === '2.0.0') {
        const { series } = decodeRequest(2, inflateSnappy(Buffer.concat(chunks), 1 << 28))
        response.setHeader('x-prometheus-remote-write-samples-written', series.length)
      }
      response.writeHead(request.url?.includes('/loki/') ? 204 : 202, { 'content-type': 'application/json' })
      response.end(request.url?.includes('validate') ? '{"valid":true}' : undefined)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

const mebibyte = 1 << 20
const limit = 8 * mebibyte

/** An exporter with a budget of eight MiB, and where it sends to. */
async function exporterOf(definition: ExporterDefinition, config: (url: string) => object) {
  const budget = new Budget(limit)
  const listeners = new Listeners()
  const { url, close } = await destination()
  const host = new Host().provide(budgetKey, budget).provide(listenersKey, listeners)
  const parsed: unknown = definition.config.parse(config(url))
  const status = new Status()
  const signals = new Set(['metrics', 'logs'] as const)
  const context = { ...componentContext({ id: definition.type, status, host }), signals }
  const exporter: Exporter = definition.create(parsed as never, context)
  status.set('Starting')
  await exporter.start?.()
  let isStopped = false
  const stop = async () => {
    if (isStopped) return
    isStopped = true
    await exporter.stop?.()
    await listeners.close()
    close()
  }
  stopping.push(stop)
  return { exporter, budget, stop }
}

let now = 1_700_000_000
/** Points of a counter, one for each path. */
const points = (paths: readonly string[], value = 1) =>
  metricsRequest([
    {
      name: 'requests',
      sum: {
        data_points: paths.map(path => ({
          attributes: attributes({ path }),
          start_time_unix_nano: '1699999999000000000',
          time_unix_nano: `${now++}000000000`,
          as_int: String(value),
        })),
        aggregation_temporality: 2,
        is_monotonic: true,
      },
    },
  ])

/** Log records, each of a resource of its own. */
const records = (names: readonly string[]) =>
  encode('ExportLogsServiceRequest', {
    resource_logs: names.map(name => ({
      resource: { attributes: attributes({ 'service.name': name }) },
      scope_logs: [{ log_records: [{ time_unix_nano: '1700000000000000000', body: { string_value: 'hello' } }] }],
    })),
  })

const pad = 'x'.repeat(200)
const some = (from: number, count: number) => Array.from({ length: count }, (_, i) => `/path/${from + i}/${pad}`)
const old = some(0, 10)

const page = () => ({ endpoint: 'localhost:0', series_limit: 0 })

interface Row {
  readonly definition: ExporterDefinition
  readonly config: (url: string) => object
  readonly signal: 'metrics' | 'logs'
  readonly body: (keys: readonly string[], value?: number) => Buffer
  /** Under which reason new keys are left out; without one they are taken all the same. */
  readonly reason?: string
}
const rows: readonly (readonly [string, Row])[] = [
  [
    'prometheus keeps no more series than there is memory for',
    { definition: prometheus, config: page, signal: 'metrics', body: points, reason: 'memory_limit' },
  ],
  [
    'prometheus_remote_write forgets labels, and sends all series',
    { definition: prometheusRemoteWrite, config: endpoint => ({ endpoint }), signal: 'metrics', body: points },
  ],
  [
    'prometheus_remote_write 2.0 forgets labels and symbols, and sends all series',
    {
      definition: prometheusRemoteWrite,
      config: endpoint => ({ endpoint, protobuf_message: 'io.prometheus.write.v2.Request' }),
      signal: 'metrics',
      body: points,
    },
  ],
  [
    'loki sends records of new streams with fewer labels',
    {
      definition: loki,
      config: endpoint => ({ endpoint, labels: { max_streams: 1_000_000 } }),
      signal: 'logs',
      body: records,
    },
  ],
  [
    'datadog takes differences of no more series than there is memory for',
    {
      definition: datadogExporter,
      config: endpoint => ({
        api: { key: 'k'.repeat(32) },
        host_metadata: { enabled: false },
        metrics: { endpoint },
        traces: { endpoint },
        logs: { endpoint },
      }),
      signal: 'metrics',
      body: points,
      reason: 'memory_limit',
    },
  ],
]

describe('a flood of new keys', () => {
  test.each(rows)('%s', { timeout: 120_000 }, async (_, { definition, config, signal, body, reason }) => {
    const { exporter, budget, stop } = await exporterOf(definition, config)
    const send = (keys: readonly string[], value?: number) => exporter.send(batchOf(body(keys, value), signal), forever)
    expect(await send(old)).toBeUndefined()
    const told: Sent[] = []
    for (let i = 0; i < 40; i++) {
      const sent = await send(some(1000 + i * 1000, 1000))
      if (sent !== undefined) told.push(sent)
      expect(budget.kept).toBeLessThanOrEqual(limit / 2)
    }
    expect(budget.kept).toBeGreaterThan(mebibyte)
    if (reason === undefined) expect(told).toEqual([])
    else {
      expect(told.at(-1)).toMatchObject({ rejected: 1000, reasons: { [reason]: 1000 } })
      expect(told.at(-1)?.message).toMatch(/memory/)
    }
    // What was there before goes on.
    expect(await send(old, 2)).toBeUndefined()
    await stop()
    expect(budget).toMatchObject({ used: 0, kept: 0 })
  })

  test('prometheus gives memory back when series expire, and takes new ones then', async () => {
    const { exporter, budget, stop } = await exporterOf(prometheus, () => ({ ...page(), metric_expiration: '20ms' }))
    for (let i = 0; i < 40; i++) await exporter.send(batchOf(points(some(i * 1000, 1000)), 'metrics'), forever)
    await expect.poll(() => budget.kept, { timeout: 60_000 }).toBe(0)
    expect(await exporter.send(batchOf(points(some(90_000, 10)), 'metrics'), forever)).toBeUndefined()
    await stop()
    expect(budget.used).toBe(0)
  })

  test('APM stats count spans without their resource where there is no memory, and lose none', () => {
    const budget = new Budget(limit)
    const account = new Account(budget, 'connector', 'datadog')
    const rules = {
      names: ownNames(false, {}),
      topLevelByKind: false,
      ignored: [],
      byKind: true,
      peerTags: undefined,
      interval: 10_000,
      mostGroups: 1_000_000,
      containerTags: new Set<string>(),
    }
    const stats = new SpanStats(rules, 1_700_000_000_000, account)
    for (let i = 0; i < 40; i++) stats.add(readRequest('traces', spans(some(i * 1000, 1000))).groups, 1_700_000_000_000)
    expect(budget.kept).toBeLessThanOrEqual(limit / 2)
    expect(stats.overflowed).toBeGreaterThan(1000)
    expect(stats.unreadable).toBe(0)
    expect(stats.flush(1_700_000_000_000, true).length).toBeGreaterThan(0)
    expect(budget.used).toBe(0)
  })

  test('the journal keeps the latest that there is memory for, whatever destinations say', () => {
    const budget = new Budget(mebibyte / 2)
    const account = new Account(budget, 'service', 'journal')
    const journal = new Journal(account)
    const name = { kind: 'exporter', id: 'x', pipeline: '', signal: 'logs' } as const
    for (let i = 0; i < 2000; i++) {
      const request = readRequest('logs', records([`${i}-${'y'.repeat(10_000)}`]))
      const context = { receiver: 'otlp', transport: 'grpc', peer: undefined, metadata: undefined, auth: undefined }
      const delivery = new Delivery(request.items, undefined)
      const batch = Batch.of('logs', request, context, delivery, new Lease(new Budget(Infinity), 0, request.items))
      journal.note(name, 'rejected', batch, `reason ${i % 20}`, 'z'.repeat(100_000))
      expect(budget.kept).toBeLessThanOrEqual(budget.limit / 2)
    }
    const kept = journal.find({ limit: 10_000 })
    expect(kept[0]?.id).toBe(2000)
    expect(kept.length).toBeGreaterThan(50)
    expect(JSON.stringify(kept).length).toBeLessThan(mebibyte)
    account.close()
    expect(budget.used).toBe(0)
  })
})

describe('what a request needs while it is worked on', () => {
  test('100,000 values to group by are refused before their groups are made, and a healthy request goes on', async () => {
    const toy = await toyGraph({
      exporters: { sink: {} },
      components: { groupbyattrs: { definition: groupByAttrs, config: { keys: ['path'] } } },
      pipelines: [{ processors: ['groupbyattrs'], exporters: ['sink'] }],
    })
    stopping.push(() => toy.graph.stop(50))
    toy.budget.limit = 64 * mebibyte
    // Each value makes a copy of its resource: 10 GB of 13 MB.
    const hostile = spans(paths(100_000), { 'service.name': 'y'.repeat(100_000) }, true)
    const { outcome } = toy.push(hostile)
    expect(await outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_MEMORY' } })
    expect(toy.budget.peak).toBeLessThanOrEqual(toy.budget.limit)
    const [node] = toy.books.nodes.filter(({ name }) => name.id === 'groupbyattrs')
    expect(node.returned.of('DELIVERY_MEMORY').value).toBe(100_000)
    const healthy = toy.push(spans(paths(100), { 'service.name': 'shop' }, true))
    expect((await healthy.outcome).kind).toBe('success')
    expect(toy.sinks['sink'].batches[0].groups).toHaveLength(100)
    await toy.graph.stop(100)
    expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
  })

  test('counts of more combinations than there is memory for are made of those that fit', async () => {
    const host = new Host()
    const budget = new Budget(8 * mebibyte)
    host.provide(budgetKey, budget)
    const toy = await toyGraph({
      host,
      exporters: { sink: {}, rest: {} },
      components: {
        count: { definition: count, config: { spans: { n: { attributes: [{ key: 'path' }] } } } },
      },
      pipelines: [
        { id: 'traces', exporters: ['count', 'rest'] },
        { id: 'metrics', receivers: ['count'], exporters: ['sink'] },
      ],
    })
    stopping.push(() => toy.graph.stop(50))
    expect((await toy.push(spans(paths(50_000), {}, true)).outcome).kind).toBe('success')
    const sink = toy.sinks['sink']
    await expect.poll(() => sink.batches.length).toBe(1)
    expect(sink.batches[0].items).toBeGreaterThan(1000)
    expect(sink.batches[0].items).toBeLessThan(50_000)
    await toy.graph.stop(100)
    expect([toy.books.faults(), budget.used, budget.kept]).toEqual([[], 0, 0])
  })

  test('a value of a large resource is read once, not once for each of its items', () => {
    const few = readRequest('traces', spans(paths(20_000), { path: 'x' }))
    const large = readRequest('traces', spans(paths(20_000), { path: 'x'.repeat(mebibyte) }))
    const metrics = new Map([
      ['spans', [{ name: 'n', description: '', attributes: [{ key: Buffer.from('path'), missing: undefined }] }]],
    ] as const)
    const took = (groups: typeof few.groups) => {
      const before = process.cpuUsage()
      tallyGroups('traces', groups, metrics, endless)
      return process.cpuUsage(before).user
    }
    took(few.groups)
    expect(took(large.groups)).toBeLessThan(20 * took(few.groups) + 50_000)
  })

  test('combinations of metadata that batch apart are charged, and refused where there is no room', async () => {
    const toy = await toyGraph({
      exporters: { sink: {} },
      components: {
        batch: {
          definition: batchProcessor,
          config: { metadata_keys: ['tenant'], metadata_cardinality_limit: 0, timeout: '1h' },
        },
      },
      pipelines: [{ processors: ['batch'], exporters: ['sink'] }],
    })
    stopping.push(() => toy.graph.stop(50))
    toy.budget.limit = mebibyte
    const pushed = Array.from({ length: 300 }, (_, i) =>
      toy.push(spans(['a']), { metadata: { tenant: `${i}-${'t'.repeat(4000)}` } }),
    )
    expect(toy.budget.kept).toBeLessThanOrEqual(toy.budget.limit / 2)
    const [node] = toy.books.nodes.filter(({ name }) => name.id === 'batch')
    expect(node.returned.of('DELIVERY_MEMORY').value).toBeGreaterThan(100)
    await toy.graph.stop(10_000)
    const outcomes = await Promise.all(pushed.map(({ outcome }) => outcome))
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['success', 'refused']))
    expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
  })
})

const paths = (n: number) => Array.from({ length: n }, (_, i) => `/p/${i}`)

/** Server spans, each of a name of its own; `own`: which is an attribute, too. */
const spans = (names: readonly string[], resource: Readonly<Record<string, string>> = {}, own = false) =>
  encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: attributes({ 'service.name': 'shop', ...resource }) },
        scope_spans: [
          {
            spans: names.map((name, i) => ({
              trace_id: Buffer.alloc(16, 1),
              span_id: Buffer.from((i + 1).toString(16).padStart(16, '0'), 'hex'),
              name,
              ...(own && { attributes: attributes({ path: name }) }),
              kind: 2,
              start_time_unix_nano: '1700000000000000000',
              end_time_unix_nano: String(1_700_000_000_000_000_000n + BigInt(i) * 1_000_003n),
            })),
          },
        ],
      },
    ],
  })
