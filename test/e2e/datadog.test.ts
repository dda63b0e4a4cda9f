/** Datadog's intake, as far as Datadog has published it: payloads are decoded with its own types and compared with its rules. */
import { afterEach, expect, test } from 'vitest'
import { Site } from '../faults/kymo.ts'
import { encode } from '../support/otlp-proto.ts'
import { Intake, TestAgent } from './backends/datadog.ts'
import { requestOf } from './backends/load.ts'
import { emitMetrics, metricRequest, nanosIn, post, summary } from './backends/metrics.ts'
import { describeBackends } from './backends/server.ts'
import { emitLogs, emitTraces, shopResource } from './backends/shop.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close()
})
async function opened<T extends { close(): Promise<void> }>(making: Promise<T>): Promise<T> {
  const made = await making
  open.push(made)
  return made
}

const soon = { retry_on_failure: { initial_interval: '100ms', max_interval: '200ms' } }

/** The pipelines of an example: with `sampled`, stats of all traces in front of what samples them. */
async function running({ key = 'the-key', sampled }: { key?: string; sampled?: number } = {}) {
  const intake = await opened(Intake.launch('the-key'))
  const at = { endpoint: intake.url }
  const host_metadata = { enabled: false }
  const datadog = { api: { key }, host_metadata, logs: at, metrics: at, traces: at, ...soon }
  const pipelines = { metrics: ['datadog'], logs: ['datadog'] }
  const sampling = {
    connectors: { 'datadog/connector': {} },
    processors: { probabilistic_sampler: { sampling_percentage: sampled } },
    pipelines: { ...pipelines, traces: ['datadog/connector'], 'traces/sampled': ['datadog'] },
    receivers: { 'traces/sampled': ['datadog/connector'], metrics: ['otlp', 'datadog/connector'] },
    steps: { traces: [], metrics: [], logs: [] },
  }
  const plan = sampled === undefined ? { pipelines: { ...pipelines, traces: ['datadog'] } } : sampling
  const kymo = await opened(Site.make({ exporters: { datadog }, ...plan }))
  await kymo.start()
  return { intake, kymo, address: `127.0.0.1:${kymo.ports.http}` }
}

/** The decimal number that the lower half of an id is. */
const low = (id: string) => BigInt(`0x${id.slice(-16)}`).toString()

interface Span {
  readonly name: string
  readonly resource: string
  readonly type: string
  readonly error?: number
  readonly start: string
  readonly meta?: Readonly<Record<string, string>>
}
interface TracePayload {
  readonly tracerPayloads: readonly {
    readonly env?: string
    readonly chunks: readonly { readonly spans: readonly Span[] }[]
  }[]
}
interface StatsPayload {
  readonly stats: readonly {
    readonly stats: readonly {
      readonly duration: string
      readonly stats: readonly {
        readonly service: string
        readonly name: string
        readonly resource: string
        readonly hits?: string
        readonly errors?: string
      }[]
    }[]
  }[]
}
interface Sketch {
  readonly metric: string
  readonly dogsketches: readonly { readonly cnt: number; readonly sum: number; readonly n: readonly number[] }[]
}
interface Series {
  readonly metric: string
  readonly type: number
  readonly tags: readonly string[]
  readonly points: readonly { readonly value?: number; readonly timestamp: number }[]
  readonly resources?: readonly { readonly type: string; readonly name: string }[]
}

const spansOf = (payloads: readonly TracePayload[]) =>
  payloads.flatMap(one => one.tracerPayloads.flatMap(({ chunks }) => chunks.flatMap(({ spans }) => spans)))

async function refused(intake: Intake): Promise<string[]> {
  return (await intake.requests()).filter(({ status }) => status >= 400).map(one => `${one.path}: ${one.error ?? ''}`)
}

/** Tags of everything that the shop says. */
const shopTags = ['env:prod', 'kube_namespace:shop', 'pod_name:shop-api-0', 'service:shop-api', 'version:1.2.3']

describeBackends(['dd-intake'], 'Datadog', () => {
  test('logs of the SDK are there with service, status, tags and their trace', async () => {
    const { intake, kymo, address } = await running()
    const said = await emitTraces(address)
    const from = Date.now()
    await emitLogs(address, said)
    await kymo.drained()
    const logs = (await intake.items<readonly Record<string, unknown>[]>('logs')).flat()
    expect(await refused(intake)).toEqual([])
    const resource = Object.fromEntries(Object.entries(shopResource))
    const common = {
      ...resource,
      ddsource: 'otlp_log_ingestion',
      ddtags: '',
      hostname: 'node-1',
      service: 'shop-api',
      '@timestamp': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      'otel.timestamp': expect.stringMatching(/^\d{19}$/),
    }
    expect(logs.map(log => ({ ...log, ddtags: '' }))).toEqual([
      {
        ...common,
        message: 'cart 17 is gone',
        status: 'ERROR',
        'otel.severity_text': 'ERROR',
        'otel.severity_number': '17',
        'dd.trace_id': low(said.traceId),
        'dd.span_id': low(said.spanIds.server),
        'otel.trace_id': said.traceId,
        'otel.span_id': said.spanIds.server,
        'cart.id': 17,
        'customer.tier': 'gold',
        'nested.deep.list': [1, 2],
      },
      { ...common, message: '{"n":1,"text":"structured"}', status: 'info', 'otel.severity_number': '9' },
    ])
    for (const { ddtags, '@timestamp': time } of logs) {
      expect(String(ddtags).split(',').toSorted()).toEqual(shopTags)
      expect(Math.abs(Date.parse(String(time)) - from)).toBeLessThan(10_000)
    }
  })

  test('spans of the SDK have the names, resources and types of Datadog', async () => {
    const { intake, kymo, address } = await running()
    const { traceId, spanIds } = await emitTraces(address)
    await kymo.drained()
    const payloads = (await intake.items<TracePayload[]>('traces')).flat()
    expect(await refused(intake)).toEqual([])
    const spans = spansOf(payloads).toSorted((a, b) => Number(BigInt(a.start) - BigInt(b.start)))
    const parent = low(spanIds.server)
    const common = { service: 'shop-api', traceID: low(traceId) }
    expect(spans).toMatchObject([
      {
        ...common,
        spanID: parent,
        name: 'http.server.request',
        resource: 'GET /cart/{id}',
        type: 'web',
        error: 1,
        duration: '60000000',
        meta: {
          'span.kind': 'server',
          'otel.trace_id': traceId,
          env: 'prod',
          'http.method': 'GET',
          'http.url': 'https://shop.example/cart/17',
          'http.client_ip': '10.0.0.7',
          'customer.tier': 'gold',
          'error.msg': 'no such cart',
          'otel.status_code': 'Error',
        },
        metrics: { 'http.status_code': 500 },
      },
      {
        ...common,
        spanID: low(spanIds.database),
        parentID: parent,
        name: 'postgresql.query',
        resource: 'SELECT * FROM carts WHERE id = ?',
        type: 'sql',
        duration: '30000000',
        meta: { 'span.kind': 'client' },
        metrics: { rows: 3 },
      },
      {
        ...common,
        spanID: low(spanIds.inner),
        parentID: parent,
        name: 'Internal',
        resource: 'compute',
        type: 'custom',
        duration: '10000000',
      },
    ])
    expect(JSON.parse(spans[0].meta?.['events'] ?? '[]')).toMatchObject([
      { name: 'exception', attributes: { 'exception.type': 'Broken', 'exception.message': 'no such cart' } },
    ])
    expect(payloads.flatMap(({ tracerPayloads }) => tracerPayloads)).toMatchObject([
      { env: 'prod', hostname: 'node-1', appVersion: '1.2.3', languageName: 'nodejs' },
    ])
  })

  test('APM stats are of all spans, however many are sampled away', async () => {
    const { intake, kymo, address } = await running({ sampled: 10 })
    await emitTraces(address, 500)
    await kymo.drained()
    // What is counted over ten seconds is told when the process ends, at the latest.
    await kymo.terminate()
    expect(await refused(intake)).toEqual([])
    const buckets = (await intake.items<StatsPayload[]>('stats'))
      .flat()
      .flatMap(({ stats }) => stats.flatMap(client => client.stats.map(bucket => ({ client, bucket }))))
    const found = new Map<string, { hits: number; errors: number }>()
    for (const { client, bucket } of buckets) {
      expect(client).toMatchObject({ env: 'prod', version: '1.2.3', hostname: 'node-1' })
      expect(bucket.duration).toBe('10000000000')
      for (const { service, name, resource, hits = '0', errors = '0' } of bucket.stats) {
        const key = `${service} ${name} ${resource}`
        const known = found.get(key) ?? { hits: 0, errors: 0 }
        found.set(key, { hits: known.hits + Number(hits), errors: known.errors + Number(errors) })
      }
    }
    expect(Object.fromEntries(found)).toEqual({
      'shop-api http.server.request GET /health': { hits: 500, errors: 0 },
      'shop-api http.server.request GET /cart/{id}': { hits: 1, errors: 1 },
      'shop-api postgresql.query SELECT * FROM carts WHERE id = ?': { hits: 1, errors: 0 },
    })
    const sent = spansOf((await intake.items<TracePayload[]>('traces')).flat()).length
    expect(sent).toBeGreaterThan(10)
    expect(sent).toBeLessThan(150)
  })

  test.each(['delta', 'cumulative'] as const)(
    '%s metrics of the SDK are counts, gauges and distributions',
    async how => {
      const { intake, kymo, address } = await running()
      await emitMetrics(address, how)
      await post(address, 'metrics', metricRequest(summary()))
      await kymo.drained()
      expect(await refused(intake)).toEqual([])
      const counts: Record<string, number> = {}
      const gauges: Record<string, number> = {}
      for (const { metric, type, tags, points, resources } of (
        await intake.items<readonly Series[]>('series')
      ).flat()) {
        expect(resources).toEqual([{ type: 'host', name: 'node-1' }])
        expect(tags).toEqual(expect.arrayContaining(['service:shop-api', 'pod_name:shop-api-0']))
        const key = [
          metric,
          ...tags.filter(tag => /^(?:route|code|disk|quantile|1st|x\.y):/.test(tag)).toSorted(),
        ].join(' ')
        for (const { value = 0 } of points) {
          if (type === 1) counts[key] = (counts[key] ?? 0) + value
          else gauges[key] = value
        }
      }
      expect(counts).toEqual({
        'http.server.requests code:200 route:/cart': 5,
        'http.server.requests code:500 route:/pay': 1,
        'cpu.time': 0.75,
        // Since when it counts, the SDK does not say of a counter that is looked at: then the first value only seeds.
        'bytes.sent disk:sda': how === 'delta' ? 1024 : 0,
      })
      expect(gauges).toEqual({
        'queue.depth': 3,
        'room.temperature': 21.5,
        'cache.hit': 0.75,
        'odd.labels 1st:a x.y:1': 1,
        'memory.used': 12.5,
        'disk.speed': 7,
        'rpc.duration.quantile quantile:0.5': 0.125,
        'rpc.duration.quantile quantile:0.99': 1,
      })
      const sketches = (await intake.items<readonly Sketch[]>('sketches')).flat()
      const merged = (name: string) => {
        const all = sketches.filter(({ metric }) => metric === name).flatMap(one => one.dogsketches)
        const sum = (pick: (one: Sketch['dogsketches'][number]) => number) => all.reduce((a, one) => a + pick(one), 0)
        return {
          count: sum(one => one.cnt),
          sum: sum(one => one.sum),
          bins: sum(one => one.n.reduce((a, b) => a + b, 0)),
        }
      }
      expect(merged('latency')).toEqual({ count: 4, sum: 267, bins: 4 })
      expect(merged('payload.size')).toEqual({ count: 5, sum: 1103, bins: 5 })
    },
  )

  test('a request of more logs than one can have is sent in several, none of which is refused', async () => {
    const { intake, kymo, address } = await running()
    const lines = Array.from({ length: 3500 }, (_, i) => `line ${i} ${'z'.repeat(1000)}`)
    const body = encode('logs', {
      resource_logs: [
        {
          scope_logs: [
            { log_records: lines.map(line => ({ body: { string_value: line }, time_unix_nano: nanosIn(0) })) },
          ],
        },
      ],
    })
    expect((await post(address, 'logs', body)).status).toBe(200)
    await kymo.drained()
    expect(await refused(intake)).toEqual([])
    const payloads = await intake.items<readonly { message: string }[]>('logs')
    expect(Math.max(...payloads.map(one => one.length))).toBeLessThanOrEqual(1000)
    expect(
      payloads
        .flat()
        .map(({ message }) => message)
        .toSorted(),
    ).toEqual(lines.toSorted())
    expect(await kymo.exporter('datadog', 'logs')).toMatchObject({ delivered: 3500, failed_attempts: 0 })
  })

  test('a wrong key (403) is told of within seconds, data waits', async () => {
    const { intake, kymo, address } = await running({ key: 'a-wrong-key' })
    await post(address, 'logs', requestOf.logs(['a', 'b'], 0, 0, Date.now()))
    await emitTraces(address)
    await emitMetrics(address)
    await expect
      .poll(async () => (await kymo.status()).components.find(one => one.kind === 'exporter'), { timeout: 5000 })
      .toMatchObject({
        state: expect.not.stringMatching(/^(?:ok|running)$/i),
        last_error: expect.stringMatching(/403/),
      })
    expect(await kymo.exporter('datadog', 'logs')).toMatchObject({ held: 2, delivered: 0, lost: {} })
    expect(await kymo.exporter('datadog', 'metrics')).toMatchObject({ delivered: 0, lost: {} })
    const { output } = kymo.child
    expect(JSON.stringify(await kymo.status()) + output()).not.toContain('a-wrong-key')
    // It becomes the right one.
    await intake.kill()
    intake.letIn('a-wrong-key')
    await intake.start()
    await kymo.drained()
    const logs = (await intake.items<readonly { message: string }[]>('logs')).flat()
    expect(logs.map(({ message }) => message)).toEqual(['a', 'b'])
    expect(spansOf((await intake.items<TracePayload[]>('traces')).flat())).toHaveLength(3)
    expect((await intake.items('series')).length).toBeGreaterThan(0)
  })

  test.each([
    ['logs', '/api/v2/logs', requestOf.logs(['a'], 0, 0, Date.now())],
    ['series', '/api/v2/series', requestOf.metrics(['a'], 0, 0, Date.now())],
    ['traces', '/api/v0.2/traces', requestOf.traces(['a'], 0, 0, Date.now())],
  ] as const)('%s are not sent again before the intake wants it', async (kind, path, body) => {
    const { intake, kymo, address } = await running()
    await intake.fail(path, 429, { retryAfter: 2 })
    await post(address, kind === 'series' ? 'metrics' : kind, body)
    await kymo.drained()
    const [first, second] = (await intake.requests()).filter(one => one.path === path)
    expect([first.status, second.status]).toEqual([429, 202])
    expect(Date.parse(second.time) - Date.parse(first.time)).toBeGreaterThanOrEqual(1990)
    expect(await intake.items(kind)).toHaveLength(1)
  })
})

/** Spans as tracers hand them to an agent; ids and times are numbers of 64 bits, which only text can carry. */
function tracerJson(spans: readonly object[]): string {
  const names = { traceID: 'trace_id', spanID: 'span_id', parentID: 'parent_id' }
  const text = JSON.stringify([spans])
  const renamed = Object.entries(names).reduce((all, [from, to]) => all.replaceAll(`"${from}"`, `"${to}"`), text)
  return renamed.replace(/"(trace_id|span_id|parent_id|start|duration)":"(\d+)"/g, '"$1":$2')
}

describeBackends(['dd-intake', 'dd-test-agent'], "Datadog's test agent", () => {
  test('takes the spans that the intake has, and has nothing against them', async () => {
    const { intake, kymo, address } = await running()
    const agent = await opened(TestAgent.launch())
    await emitTraces(address)
    await kymo.drained()
    const spans = spansOf((await intake.items<TracePayload[]>('traces')).flat())
    expect(await agent.take(tracerJson(spans), 1)).toMatchObject({ status: 200 })
    const [kept] = await agent.get<Record<string, unknown>[][]>('/test/traces')
    expect(kept.map(({ name, resource, type, error }) => ({ name, resource, type, error: error ?? 0 }))).toEqual(
      spans.map(({ name, resource, type, error = 0 }) => ({ name, resource, type, error })),
    )
    const failures = await fetch(`${agent.url}/test/trace_check/failures`)
    expect([failures.status, await failures.text()]).toEqual([200, expect.any(String)])
  })
})
