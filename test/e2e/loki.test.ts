/** Loki as it is released: what is pushed to it looks as what Loki itself makes of the same OTLP, line for line. */
import { afterEach, expect, test } from 'vitest'
import { Site } from '../faults/kymo.ts'
import { encode } from '../support/otlp-proto.ts'
import { emitEverything } from '../support/sdk.ts'
import { requestOf } from './backends/load.ts'
import { Loki, type LokiLine, type LokiOptions } from './backends/loki.ts'
import { post } from './backends/metrics.ts'
import { blocksOf } from './backends/pages.ts'
import { proxyTo } from './backends/proxy.ts'
import { describeBackends } from './backends/server.ts'

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

/** A Kymo with these exporters for logs. */
async function kymoOf(exporters: Readonly<Record<string, object>>) {
  const kymo = await opened(
    Site.make({
      exporters: { ...exporters, nop: {} },
      pipelines: { logs: Object.keys(exporters), traces: ['nop'], metrics: ['nop'] },
    }),
  )
  await kymo.start()
  return { kymo, address: `127.0.0.1:${kymo.ports.http}` }
}

async function running(config: object = {}, options: LokiOptions = {}) {
  const loki = await opened(Loki.launch(options))
  return { loki, ...(await kymoOf({ loki: { endpoint: loki.url, ...soon, ...config } })) }
}

const inOrder = (lines: readonly LokiLine[]) =>
  lines
    .map(({ labels, time, line }) => {
      const sorted = Object.fromEntries(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      return { labels: sorted, time, line }
    })
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

const withoutEvent = ({ labels, ...rest }: LokiLine): LokiLine => ({
  ...rest,
  labels: Object.fromEntries(Object.entries(labels).filter(([name]) => name !== 'event_name')),
})

const record = (line: string, at = Date.now(), more: object = {}) => ({
  time_unix_nano: `${at}000000`,
  body: { string_value: line },
  ...more,
})
const text = (key: string, value: string) => ({ key, value: { string_value: value } })
const logs = (records: readonly object[], attributes: readonly object[] = [text('service.name', 'shop')]) =>
  encode('logs', { resource_logs: [{ resource: { attributes }, scope_logs: [{ log_records: records }] }] })

/** The three ways in. */
const ways = [
  ['OTLP', { protocol: 'otlp' }],
  ['pushes in protobuf', { protocol: 'push', encoding: 'protobuf' }],
  ['pushes in JSON', { protocol: 'push', encoding: 'json' }],
] as const

describeBackends(['loki'], 'Loki', () => {
  test('has every record of the SDK, alike in all three ways', async () => {
    const loki = await opened(Loki.launch({ tenants: true }))
    const tenant = (name: string) => ({ headers: { 'X-Scope-OrgID': name } })
    const { kymo, address } = await kymoOf({
      // Byte for byte as the SDK sent it: what Loki makes of that is the measure.
      otlp_http: { endpoint: `${loki.url}/otlp`, ...tenant('reference') },
      ...Object.fromEntries(
        ways.map(([, way], i) => [`loki/${i}`, { endpoint: loki.url, ...way, ...tenant(`way-${i}`) }]),
      ),
    })
    await emitEverything(
      'shop',
      [{ protocol: 'http', endpoint: address, gzip: true }],
      100,
      Math.floor(Date.now() / 1000) - 300,
    )
    await kymo.drained()
    const of = async (name: string) => inOrder(await loki.lines('{service_name="shop-api"}', name))
    const reference = await of('reference')
    expect(reference).toHaveLength(100)
    for (const [i, [name, { protocol }]] of ways.entries()) {
      const lines = await of(`way-${i}`)
      // This Loki leaves out the names of events that come as OTLP; of what is pushed to it nothing is left out.
      const events = lines.filter(({ labels }) => labels['event_name'] === 'cart.checkout').length
      expect([name, events]).toEqual([name, protocol === 'push' ? 25 : 0])
      expect([name, inOrder(lines.map(withoutEvent))]).toEqual([name, reference])
    }
  })

  test.each(ways)('over %s a line, a label and a piece of metadata are found by LogQL', async (_, way) => {
    const { loki, kymo, address } = await running(way)
    const trace = { trace_id: Buffer.from('5b8efff798038103d269b633813fc60c', 'hex') }
    await post(address, 'logs', logs([record('order 17 paid', undefined, trace), record('order 18 lost')]))
    await kymo.drained()
    const found = async (query: string) => (await loki.lines(query)).map(({ line }) => line)
    expect(await found('{service_name="shop"}')).toEqual(expect.arrayContaining(['order 17 paid', 'order 18 lost']))
    expect(await found('{service_name="shop"} |= "lost"')).toEqual(['order 18 lost'])
    expect(await found('{service_name="shop"} | trace_id="5b8efff798038103d269b633813fc60c"')).toEqual([
      'order 17 paid',
    ])
  })

  test('has labels of what has few values, and no others', async () => {
    const { loki, kymo, address } = await running({ labels: { static: { cluster: 'eu-1' }, severity: true } })
    const attributes = [text('service.name', 'shop'), text('k8s.namespace.name', 'web'), text('k8s.pod.name', 'shop-0')]
    await post(address, 'logs', logs([record('a', undefined, { severity_number: 17 })], attributes))
    await kymo.drained()
    expect(await loki.series('{service_name="shop"}')).toEqual([
      { service_name: 'shop', k8s_namespace_name: 'web', cluster: 'eu-1', level: 'error' },
    ])
    expect((await loki.lines('{level="error"} | k8s_pod_name="shop-0"')).map(({ line }) => line)).toEqual(['a'])
  })

  test.each(ways)('over %s a line that is too long is named, the others of its batch arrive', async (_, way) => {
    const { loki, kymo, address } = await running(way, {
      limits: { max_line_size: '1KB', max_line_size_truncate: false },
    })
    const good = Array.from({ length: 20 }, (_, i) => record(`line ${i}`, Date.now() + i))
    await post(address, 'logs', logs([...good.slice(0, 10), record('x'.repeat(5000)), ...good.slice(10)]))
    await kymo.drained()
    expect((await loki.lines('{service_name="shop"}')).map(({ line }) => line).toSorted()).toEqual(
      Array.from({ length: 20 }, (_, i) => `line ${i}`).toSorted(),
    )
    const account = await kymo.exporter('loki', 'logs')
    expect(account).toMatchObject({ held: 0, delivered: 20, lost: {} })
    expect(Object.values({ ...account.rejected, ...account.dead_lettered })).toEqual([1])
  })

  test.each(ways)('over %s a record that is too old is named, the others of its batch arrive', async (_, way) => {
    const { loki, kymo, address } = await running(way)
    const month = 30 * 24 * 3600 * 1000
    await post(address, 'logs', logs([record('new'), record('old', Date.now() - month), record('newer')]))
    await kymo.drained()
    expect((await loki.lines('{service_name="shop"}')).map(({ line }) => line).toSorted()).toEqual(['new', 'newer'])
    const account = await kymo.exporter('loki', 'logs')
    expect(account).toMatchObject({ held: 0, delivered: 2, lost: {} })
    expect(Object.values({ ...account.rejected, ...account.dead_lettered })).toEqual([1])
  })

  test('that wants a tenant and hears none (401): the status says so within seconds, data waits', async () => {
    const { loki, kymo, address } = await running({}, { tenants: true })
    await post(address, 'logs', requestOf.logs(['a', 'b'], 0, 0, Date.now()))
    await expect
      .poll(async () => (await kymo.status()).components.find(({ id }) => id === 'loki'), { timeout: 5000 })
      .toMatchObject({
        state: expect.not.stringMatching(/^(?:ok|running)$/i),
        last_error: expect.stringMatching(/401/),
      })
    expect(await kymo.exporter('loki', 'logs')).toMatchObject({ held: 2, delivered: 0, lost: {} })
    await loki.kill()
    loki.configure({})
    await loki.start()
    await kymo.drained()
    expect((await loki.lines('{service_name="load"}')).map(({ line }) => line).toSorted()).toEqual(['a', 'b'])
  })

  test('is not asked again before it wants to', async () => {
    const loki = await opened(Loki.launch())
    const proxy = await opened(proxyTo(loki.run.ready.port))
    const { kymo, address } = await kymoOf({ loki: { endpoint: `http://${proxy.address}`, ...soon } })
    proxy.failures.push({ status: 429, headers: { 'retry-after': '2' } })
    await post(address, 'logs', requestOf.logs(['a'], 0, 0, Date.now()))
    await kymo.drained()
    const [first, second] = proxy.passed
    expect(second.at - first.at).toBeGreaterThanOrEqual(1990)
    expect((await loki.lines('{service_name="load"}')).map(({ line }) => line)).toEqual(['a'])
  })

  test('that takes no more of a tenant for now (its own 429) gets all of it in the end', async () => {
    const limits = { ingestion_rate_mb: 1, ingestion_burst_size_mb: 1 }
    const { loki, kymo, address } = await running({}, { limits })
    const lines = Array.from({ length: 300 }, (_, i) => `${i} ${'y'.repeat(9000)}`)
    for (let at = 0; at < lines.length; at += 50) {
      const batch = lines.slice(at, at + 50).map((line, i) => record(line, Date.now() + i))
      expect((await post(address, 'logs', logs(batch))).status).toBe(200)
    }
    await kymo.drained()
    expect((await loki.lines('{service_name="shop"}')).map(({ line }) => line).toSorted()).toEqual(lines.toSorted())
    expect(await kymo.exporter('loki', 'logs')).toMatchObject({ delivered: 300, lost: {}, rejected: {} })
  })

  test('answers the queries of the page about destinations', async () => {
    const { loki, kymo, address } = await running()
    const attributes = [
      text('service.name', 'a'),
      text('k8s.namespace.name', 'shop'),
      text('k8s.pod.name', 'shop-api-0'),
    ]
    const trace = { trace_id: Buffer.from('5b8efff798038103d269b633813fc60c', 'hex'), severity_number: 17 }
    await post(address, 'logs', logs([record('found', undefined, trace), record('info')], attributes))
    await kymo.drained()
    const queries = blocksOf('logql').flatMap(block => block.trim().split('\n'))
    expect(queries.length).toBeGreaterThan(1)
    for (const query of queries) expect((await loki.lines(query)).map(({ line }) => line)).toEqual(['found'])
  })
})
