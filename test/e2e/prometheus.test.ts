/** Prometheus as it is released, scraping the page of the exporter in each of its formats. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
  sizes,
  summarised,
  summary,
  withExemplars,
} from './backends/metrics.ts'
import { blocksOf } from './backends/pages.ts'
import { Prometheus, promtool } from './backends/prometheus.ts'
import { proxyTo } from './backends/proxy.ts'
import { describeBackends, ports } from './backends/server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close()
})
async function opened<T extends { close(): Promise<void> }>(making: Promise<T>): Promise<T> {
  const made = await making
  open.push(made)
  return made
}

/** A Kymo with a page, and a Prometheus that scrapes it in these formats. */
async function running(formats: readonly string[], config: object = {}) {
  const [port] = await ports(1)
  const exporters = { prometheus: { endpoint: `127.0.0.1:${port}`, ...config } }
  const kymo = await opened(Site.make({ exporters, pipelines: { metrics: ['prometheus'] } }))
  await kymo.start()
  const prometheus = await opened(
    Prometheus.launch({
      scrape: [
        {
          job_name: 'kymo',
          honor_labels: true,
          scrape_interval: '250ms',
          scrape_timeout: '250ms',
          scrape_protocols: formats,
          scrape_native_histograms: true,
          static_configs: [{ targets: [`127.0.0.1:${port}`] }],
        },
      ],
    }),
  )
  return { prometheus, kymo, page: `http://127.0.0.1:${port}/metrics`, address: `127.0.0.1:${kymo.ports.http}` }
}

const formats = [
  ['OpenMetrics 1.0', 'OpenMetricsText1.0.0'],
  ['text 1.0', 'PrometheusText1.0.0'],
  ['text 0.0.4', 'PrometheusText0.0.4'],
] as const

/** All but the exponential histogram. */
const everything = `{job="${identity.job}", __name__!~"payload_size.*"}`

describeBackends(['prometheus', 'promtool'], 'Prometheus, by scraping', () => {
  test('makes itself of OTLP what is expected here', async () => {
    const prometheus = await opened(Prometheus.launch({ flags: ['--web.enable-otlp-receiver'] }))
    await prometheus.kill()
    writeFileSync(join(prometheus.folder, 'prometheus.yml'), 'otlp: { promote_scope_metadata: true }')
    await prometheus.start()
    // For the path, which is another one than the SDK's.
    const proxy = await opened(proxyTo(prometheus.run.ready.port))
    await emitMetrics(`${proxy.address}/api/v1/otlp`)
    await post(`${proxy.address}/api/v1/otlp`, 'metrics', metricRequest(summary()))
    expect(comparable(await prometheus.query(everything))).toEqual(inSeriesOrder([...emitted, ...summarised]))
  })

  test.each(
    formats.flatMap(([name, format]) => (['cumulative', 'delta'] as const).map(each => [name, each, format] as const)),
  )('in %s, %s metrics of the SDK: every series is there, and no other', async (_, temporality, format) => {
    const { prometheus, kymo, address } = await running([format])
    await emitMetrics(address, temporality)
    expect((await post(address, 'metrics', metricRequest(summary()))).status).toBe(200)
    await expect
      .poll(async () => comparable(await prometheus.query(everything)), { timeout: 5000 })
      .toEqual(inSeriesOrder([...emitted, ...summarised]))
    expect(await prometheus.query('up')).toMatchObject([{ value: [expect.any(Number), '1'] }])
    const account = await kymo.exporter('prometheus', 'metrics')
    expect(account).toMatchObject({ held: 0, unaccounted: 0, rejected: {}, lost: {} })
  })

  test.each(formats)('in %s, an exponential histogram keeps its count and its sum', async (_, format) => {
    const { prometheus, address } = await running([format])
    await emitMetrics(address)
    const told = sizes.flat()
    const sum = told.reduce((a, b) => a + b, 0)
    await expect
      .poll(async () => (await prometheus.query('payload_size_bytes_count')).map(one => one.value?.[1]))
      .toEqual([`${told.length}`])
    expect((await prometheus.query('payload_size_bytes_sum')).map(one => one.value?.[1])).toEqual([`${sum}`])
    // Its buckets are merged to such as text can show.
    const buckets = await prometheus.query('payload_size_bytes_bucket')
    const counts = buckets.map(({ metric, value }) => [
      Number(metric['le']?.replace('+Inf', 'Infinity')),
      Number(value?.[1]),
    ])
    expect(counts.length).toBeGreaterThan(5)
    expect(counts).toEqual(counts.map(([le]) => [le, told.filter(one => one <= le).length]))
  })

  test('in protobuf, an exponential histogram is a native one, bucket for bucket', async () => {
    const { prometheus, address } = await running(['PrometheusProto'])
    await emitMetrics(address)
    await expect.poll(async () => (await prometheus.query('payload_size_bytes')).length, { timeout: 5000 }).toBe(1)
    expectPayloadSizes(await prometheus.query('payload_size_bytes'))
  })

  test('types, help and units are those of the metrics', async () => {
    const { prometheus, address } = await running(['OpenMetricsText1.0.0'])
    await emitMetrics(address)
    await expect.poll(async () => Object.keys(await prometheus.metadata()), { timeout: 5000 }).toContain('queue_depth')
    const metadata = await prometheus.metadata()
    expect(metadata['http_server_requests_total'] ?? metadata['http_server_requests']).toMatchObject([
      { type: 'counter', help: 'Requests served.' },
    ])
    expect(metadata['queue_depth']).toMatchObject([{ type: 'gauge', help: 'Waiting "jobs"\\tasks\nof all kinds.' }])
    expect(metadata['latency_milliseconds']).toMatchObject([{ type: 'histogram', help: 'How long it took.' }])
  })

  test('the page has nothing that promtool complains about', async () => {
    const { kymo, page, address } = await running(['PrometheusText0.0.4'])
    await emitMetrics(address)
    await post(address, 'metrics', metricRequest(summary(), ...withExemplars()))
    await kymo.drained()
    const response = await fetch(page)
    const text = await response.text()
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(text).toContain('http_server_requests_total{')
    expect(promtool(text)).toEqual([])
  })

  test('exemplars lead to their traces', async () => {
    const { prometheus, address } = await running(['OpenMetricsText1.0.0'], { enable_open_metrics: true })
    await post(address, 'metrics', metricRequest(...withExemplars()))
    const found = async () => {
      const all = await prometheus.exemplars('{__name__=~"paid_orders_total|order_value_bucket"}')
      return all.map(one => one.exemplars.map(({ labels, value }) => ({ labels, value: Number(value) })))
    }
    await expect
      .poll(found, { timeout: 5000 })
      .toEqual(
        expect.arrayContaining([[{ labels: exemplarLabels, value: 2 }], [{ labels: exemplarLabels, value: 20 }]]),
      )
  })

  test('a point that says that there is no value any more takes its series off the page', async () => {
    const { prometheus, address } = await running(['PrometheusText0.0.4'])
    const names = async () =>
      (await prometheus.query('{__name__=~"going|staying"}')).map(({ metric }) => metric['__name__']).toSorted()
    await post(address, 'metrics', metricRequest(gauge('going', 4, nanosIn(0)), gauge('staying', 5, nanosIn(0))))
    await expect.poll(names, { timeout: 5000 }).toEqual(['going', 'staying'])
    await post(address, 'metrics', metricRequest(gauge('going', 0, nanosIn(1), { flags: 1 })))
    await expect.poll(names, { timeout: 5000 }).toEqual(['staying'])
  })

  test('resource attributes are found by joining target_info', async () => {
    const { prometheus, address } = await running(['PrometheusText0.0.4'])
    await emitMetrics(address)
    const join = 'queue_depth * on (job, instance) group_left (host_name) target_info'
    await expect
      .poll(async () => (await prometheus.query(join)).map(({ metric, value }) => [metric['host_name'], value?.[1]]))
      .toEqual([['node-1', '3']])
  })

  test('answers the queries of the page about destinations', async () => {
    const { prometheus, address } = await running(['PrometheusText0.0.4'])
    const duration = {
      name: 'http.server.request.duration',
      unit: 's',
      histogram: {
        aggregation_temporality: 2,
        data_points: [
          {
            attributes: [],
            time_unix_nano: nanosIn(0),
            count: '1',
            sum: 1,
            explicit_bounds: [1],
            bucket_counts: ['1', '0'],
          },
        ],
      },
    }
    await post(address, 'metrics', metricRequest(duration))
    const queries = blocksOf('promql')
    expect(queries.length).toBeGreaterThan(1)
    for (const query of queries) {
      await expect.poll(async () => (await prometheus.query(query)).length, { timeout: 5000 }).toBe(1)
    }
  })
})
