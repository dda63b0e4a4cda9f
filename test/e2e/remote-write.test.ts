/** Prometheus as it is released, taking remote write: every kind of metric is there with its name, labels and value. */
import { afterEach, expect, test } from 'vitest'
import { Site } from '../faults/kymo.ts'
import {
  comparable,
  emitMetrics,
  emitted,
  exemplarLabels,
  expectPayloadSizes,
  gauge,
  identity,
  inSeriesOrder,
  metricRequest,
  nanosIn,
  post,
  summarised,
  summary,
  withExemplars,
} from './backends/metrics.ts'
import { Prometheus, type PrometheusOptions } from './backends/prometheus.ts'
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

const id = 'prometheus_remote_write'
const soon = { retry_on_failure: { initial_interval: '100ms', max_interval: '200ms' } }

async function before(endpoint: string, config: object = {}) {
  const exporters = { [id]: { endpoint: `${endpoint}/api/v1/write`, ...soon, ...config } }
  const kymo = await opened(Site.make({ exporters, pipelines: { metrics: [id] } }))
  await kymo.start()
  return { kymo, address: `127.0.0.1:${kymo.ports.http}` }
}

async function running(config: object = {}, options: PrometheusOptions = {}) {
  const prometheus = await opened(Prometheus.launch(options))
  return { prometheus, ...(await before(prometheus.url, config)) }
}

const versions = [
  ['1.0', 'prometheus.WriteRequest'],
  ['2.0', 'io.prometheus.write.v2.Request'],
] as const

/** All but the exponential histogram. */
const everything = `{job="${identity.job}", __name__!~"payload_size.*"}`

describeBackends(['prometheus'], 'Prometheus, by remote write', () => {
  test.each(versions)('%s: every series of the SDK is there, and no other', async (_, protobuf_message) => {
    const { prometheus, kymo, address } = await running({ protobuf_message })
    await emitMetrics(address)
    expect((await post(address, 'metrics', metricRequest(summary()))).status).toBe(200)
    await kymo.drained()
    expect(comparable(await prometheus.query(everything))).toEqual(inSeriesOrder([...emitted, ...summarised]))
    const account = await kymo.exporter(id, 'metrics')
    expect(account).toMatchObject({ held: 0, unaccounted: 0, rejected: {}, lost: {}, failed_attempts: 0 })
  })

  test.each(versions)(
    '%s: an exponential histogram is a native one, bucket for bucket',
    async (_, protobuf_message) => {
      const { prometheus, kymo, address } = await running({ protobuf_message })
      await emitMetrics(address)
      await kymo.drained()
      expectPayloadSizes(await prometheus.query('payload_size_bytes'))
    },
  )

  test.each(versions)('%s: exemplars lead to their traces', async (_, protobuf_message) => {
    const { prometheus, kymo, address } = await running({ protobuf_message })
    await post(address, 'metrics', metricRequest(...withExemplars()))
    await kymo.drained()
    const found = await prometheus.exemplars('{__name__=~"paid_orders_total|order_value_bucket"}')
    expect(found.map(one => one.exemplars.map(({ labels, value }) => ({ labels, value: Number(value) })))).toEqual(
      expect.arrayContaining([[{ labels: exemplarLabels, value: 2 }], [{ labels: exemplarLabels, value: 20 }]]),
    )
  })

  test('a point that says that there is no value any more ends its series at once', async () => {
    const { prometheus, kymo, address } = await running()
    await post(
      address,
      'metrics',
      metricRequest(gauge('going', 4, nanosIn(-2000)), gauge('staying', 5, nanosIn(-2000))),
    )
    await kymo.drained()
    expect((await prometheus.query('{__name__=~"going|staying"}')).length).toBe(2)
    await post(address, 'metrics', metricRequest(gauge('going', 0, nanosIn(-1000), { flags: 1 })))
    await kymo.drained()
    const left = await prometheus.query('{__name__=~"going|staying"}')
    expect(left.map(({ metric }) => metric['__name__'])).toEqual(['staying'])
  })

  test('a 2.0 that is not taken (415) is sent as 1.0', async () => {
    const flags = ['--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest']
    const { prometheus, kymo, address } = await running({ protobuf_message: 'auto' }, { flags })
    await emitMetrics(address)
    await kymo.drained()
    expect(comparable(await prometheus.query(everything))).toEqual(inSeriesOrder(emitted))
  })

  test.each(versions)(
    '%s: a sample that can never be taken is named, the others arrive',
    async (_, protobuf_message) => {
      const { prometheus, kymo, address } = await running({ protobuf_message })
      await post(address, 'metrics', metricRequest(gauge('old', 1, nanosIn(0))))
      await kymo.drained()
      const good = Array.from({ length: 20 }, (_, i) => gauge(`good.${i}`, i, nanosIn(0)))
      // Before what its series has already: never taken, as Prometheus is set.
      const late = gauge('old', 2, nanosIn(-60_000))
      await post(address, 'metrics', metricRequest(...good.slice(0, 10), late, ...good.slice(10)))
      await kymo.drained()
      const found = await prometheus.query('{__name__=~"good_.*|old"}')
      expect(found.map(({ value }) => Number(value?.[1])).toSorted((a, b) => a - b)).toEqual(
        [...Array.from({ length: 20 }, (_, i) => i), 1].toSorted((a, b) => a - b),
      )
      const account = await kymo.exporter(id, 'metrics')
      expect(account).toMatchObject({ held: 0, lost: {}, delivered: 21 })
      const ended = { ...account.rejected, ...account.dead_lettered }
      expect(Object.values(ended)).toEqual([1])
    },
  )

  test('that wants a password: a wrong one is told of within seconds, data waits', async () => {
    const right = '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'
    const prometheus = await opened(Prometheus.launch())
    await prometheus.kill()
    prometheus.configure({ users: { kymo: right } })
    prometheus.run = { ...prometheus.run, credentials: 'kymo:secret' }
    await prometheus.start()
    const wrong = `Basic ${Buffer.from('kymo:guess').toString('base64')}`
    const { kymo, address } = await before(prometheus.url, { headers: { authorization: wrong } })
    await emitMetrics(address)
    await expect
      .poll(async () => (await kymo.status()).components.find(one => one.id === id), { timeout: 5000 })
      .toMatchObject({
        state: expect.not.stringMatching(/^(?:ok|running)$/i),
        last_error: expect.stringMatching(/401/),
      })
    const { held, delivered, lost } = await kymo.exporter(id, 'metrics')
    expect({ delivered, lost }).toEqual({ delivered: 0, lost: {} })
    expect(held).toBeGreaterThan(20)
    expect(JSON.stringify(await kymo.status())).not.toContain(wrong)
    // Everybody is let in.
    await prometheus.kill()
    prometheus.configure({})
    prometheus.run = { ...prometheus.run, credentials: undefined }
    await prometheus.start()
    await kymo.drained()
    expect(comparable(await prometheus.query(everything))).toEqual(inSeriesOrder(emitted))
  })

  test('is not asked again before it wants to', async () => {
    const prometheus = await opened(Prometheus.launch())
    const proxy = await opened(proxyTo(prometheus.run.ready.port))
    const { kymo, address } = await before(`http://${proxy.address}`)
    proxy.failures.push({ status: 429, headers: { 'retry-after': '2' } })
    await post(address, 'metrics', metricRequest(gauge('later', 3, nanosIn(0))))
    await kymo.drained()
    expect(proxy.passed.map(({ status }) => status)).toEqual([429, 204])
    const [first, second] = proxy.passed
    expect(second.at - first.at).toBeGreaterThanOrEqual(1990)
    expect((await prometheus.query('later')).map(({ value }) => value?.[1])).toEqual(['3'])
  })
})
