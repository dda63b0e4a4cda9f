/** Jaeger as it is released: what an SDK sends is what its API has, span for span. */
import { afterEach, expect, test } from 'vitest'
import { Site } from '../faults/kymo.ts'
import { inOrder } from '../support/gateway.ts'
import { names } from '../support/otlp-bytes.ts'
import { type Item, itemsOf } from '../support/otlp-proto.ts'
import { grpcSend } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
import { emitEverything } from '../support/sdk.ts'
import { Jaeger, type JaegerOptions } from './backends/jaeger.ts'
import { requestOf, traceOf } from './backends/load.ts'
import { said, spansOfJson } from './backends/otlp-json.ts'
import { blocksOf } from './backends/pages.ts'
import { proxyTo } from './backends/proxy.ts'
import { describeBackends } from './backends/server.ts'

const ten = names('s', 10)
/** Retries that a test can wait for. */
const soon = { retry_on_failure: { initial_interval: '100ms', max_interval: '200ms' } }

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close()
})
async function opened<T extends { close(): Promise<void> }>(making: Promise<T>): Promise<T> {
  const made = await making
  open.push(made)
  return made
}

/** Jaeger, and a Kymo before it that sends to `address` of it. */
async function running(config: (jaeger: Jaeger) => object, options: JaegerOptions = {}) {
  const jaeger = await opened(Jaeger.launch(options))
  const kymo = await opened(
    Site.make({
      exporters: { jaeger: config(jaeger), nop: {} },
      // The SDK has more to say than Jaeger takes.
      pipelines: { traces: ['jaeger'], metrics: ['nop'], logs: ['nop'] },
    }),
  )
  await kymo.start()
  return { jaeger, kymo }
}

/** Its store in memory forgets the schema URLs, whoever sends them. */
const asJaegerKeeps = (one: Item): Item => ({ ...one, resourceSchema: undefined, scopeSchema: undefined })

const traceIds = (items: readonly Item[]) => [...new Set(items.map(({ item }) => String(item['trace_id']).slice(2)))]

/** Every span that Jaeger has of these traces. */
async function spansIn(jaeger: Jaeger, ids: readonly string[]): Promise<Item[]> {
  return spansOfJson((await Promise.all(ids.map(id => jaeger.trace(id)))).flat())
}

describeBackends(['jaeger'], 'Jaeger', () => {
  test.each([
    ['gRPC', (jaeger: Jaeger) => ({ endpoint: jaeger.grpc })],
    ['gRPC with zstd', (jaeger: Jaeger) => ({ endpoint: jaeger.grpc, compression: 'zstd' })],
    ['HTTP', (jaeger: Jaeger) => ({ protocol: 'http', endpoint: jaeger.http })],
  ])('over %s has every span as the SDK sent it', async (_, config) => {
    const { jaeger, kymo } = await running(config)
    const reference: OtlpSink = await opened(otlpSink())
    await emitEverything(
      'shop',
      [
        { protocol: 'grpc', endpoint: `127.0.0.1:${kymo.ports.grpc}`, gzip: true },
        { protocol: 'grpc', endpoint: reference.grpcEndpoint, gzip: false },
      ],
      100,
    )
    const sent = reference.items('traces')
    expect(sent).toHaveLength(200)
    await kymo.drained()
    const stored = await spansIn(jaeger, traceIds(sent))
    expect(inOrder(said(stored))).toEqual(inOrder(said(sent.map(asJaegerKeeps))))
    expect(await jaeger.services()).toContain('shop-api')
    expect(await kymo.exporter('jaeger')).toMatchObject({ delivered: 200, held: 0, unaccounted: 0 })
  })

  test('takes a request that is larger than its limit, in parts', async () => {
    const { jaeger, kymo } = await running(({ grpc }) => ({ endpoint: grpc }))
    const long = 'x'.repeat(100_000)
    const spans = names(long, 150)
    const body = requestOf.traces(spans, 0, 0, Date.now())
    expect(body.length).toBeGreaterThan(12 << 20)
    expect(await grpcSend(`127.0.0.1:${kymo.ports.grpc}`, 'traces', body)).toMatchObject({ code: 0 })
    await kymo.drained()
    const stored = await spansIn(jaeger, traceIds(itemsOf('traces', body)))
    expect(stored.map(({ item }) => String(item['name'])).toSorted()).toEqual(spans.toSorted())
    // They were cut before anything was sent: Jaeger has refused nothing.
    expect(await kymo.exporter('jaeger')).toMatchObject({ delivered: 150, failed_attempts: 0 })
  })

  test.each([
    ['gRPC', ({ grpc }: Jaeger) => ({ endpoint: grpc }), /unauthenticated/i],
    ['HTTP', ({ http }: Jaeger) => ({ protocol: 'http', endpoint: http }), /401/],
  ])('that wants a password over %s: a wrong one is told of within seconds, data waits', async (_, config, says) => {
    const header = (password: string) => `Basic ${Buffer.from(`kymo:${password}`).toString('base64')}`
    const user = { name: 'kymo', password: 'right' }
    const { jaeger, kymo } = await running(
      one => ({ ...config(one), ...soon, headers: { authorization: header('wrong') } }),
      { user },
    )
    const body = requestOf.traces(ten, 0, 0, Date.now())
    expect(await grpcSend(`127.0.0.1:${kymo.ports.grpc}`, 'traces', body)).toMatchObject({ code: 0 })
    await expect
      .poll(async () => (await kymo.status()).components.find(({ id }) => id === 'jaeger'), { timeout: 3000 })
      .toMatchObject({ state: expect.not.stringMatching(/^(?:ok|running)$/i), last_error: expect.stringMatching(says) })
    expect(await kymo.exporter('jaeger')).toMatchObject({ held: 10, delivered: 0, lost: {}, rejected: {} })
    expect(JSON.stringify(await kymo.status())).not.toContain(header('wrong'))
    // The password becomes the right one.
    await jaeger.kill()
    jaeger.configure({ user: { name: 'kymo', password: 'wrong' } })
    await jaeger.start()
    await kymo.drained()
    const stored = await spansIn(jaeger, traceIds(itemsOf('traces', body)))
    expect(stored.map(({ item }) => String(item['name'])).toSorted()).toEqual(ten.toSorted())
    expect(await kymo.exporter('jaeger')).toMatchObject({ held: 0, delivered: 10, lost: {} })
  })

  test('is not asked again before it wants to', async () => {
    const jaeger = await opened(Jaeger.launch())
    const proxy = await opened(proxyTo(Number(jaeger.http.split(':')[1])))
    const kymo = await opened(
      Site.make({
        exporters: { jaeger: { protocol: 'http', endpoint: proxy.address, ...soon } },
        pipelines: { traces: ['jaeger'] },
      }),
    )
    await kymo.start()
    proxy.failures.push({ status: 429, headers: { 'retry-after': '2' } })
    const body = requestOf.traces(ten, 0, 0, Date.now())
    expect(await grpcSend(`127.0.0.1:${kymo.ports.grpc}`, 'traces', body)).toMatchObject({ code: 0 })
    await kymo.drained()
    const [first, second] = proxy.passed
    expect(proxy.passed.map(({ status }) => status)).toEqual([429, 200])
    expect(second.at - first.at).toBeGreaterThanOrEqual(1990)
    expect(second.at - first.at).toBeLessThan(4000)
    expect(await spansIn(jaeger, traceIds(itemsOf('traces', body)))).toHaveLength(10)
  })

  test('answers the requests of the page about destinations', async () => {
    const { jaeger, kymo } = await running(({ grpc }) => ({ endpoint: grpc }))
    const body = requestOf.traces(ten, 0, 0, Date.now())
    expect(await grpcSend(`127.0.0.1:${kymo.ports.grpc}`, 'traces', body)).toMatchObject({ code: 0 })
    await kymo.drained()
    const today = (text: string) => text.replace(/2026-11-2(\d)/g, (_, n) => day(n === '0' ? 0 : 1))
    const paths = blocksOf('sh').flatMap(block =>
      [...block.matchAll(/localhost:16686([^']+)'/g)].map(([, path]) => path),
    )
    expect(paths).toHaveLength(2)
    for (const path of paths) {
      const asked = today(path)
        .replace(/traces\/\w+/, `traces/${traceOf(0, 0)}`)
        .replace('shop-api', 'load')
      expect(spansOfJson(await jaeger.traces(asked))).toHaveLength(10)
    }
  })
})

const day = (later: number) => new Date(Date.now() + later * 86_400_000).toISOString().slice(0, 10)
