/** Each destination killed and started again under load: nothing that was accepted is lost, and nothing else slows down. */
import { afterEach, expect, test } from 'vitest'
import { Intake } from './backends/datadog.ts'
import { Jaeger } from './backends/jaeger.ts'
import { traceOf } from './backends/load.ts'
import { Loki } from './backends/loki.ts'
import { type Outcome, outageOf } from './backends/outage.ts'
import { spansOfJson } from './backends/otlp-json.ts'
import { Prometheus } from './backends/prometheus.ts'
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

/** What must hold for everything else than the destination. */
function expectUnhurt({ acknowledged, healthy, before, during, faults, load }: Outcome) {
  console.log(
    `${acknowledged.size} accepted; the healthy one got ${before.toFixed(0)} a second before, ${during.toFixed(0)} during the outage`,
  )
  expect(acknowledged.size).toBeGreaterThan(10_000)
  expect([...acknowledged].filter(id => !healthy.has(id))).toEqual([])
  expect(faults).toEqual([])
  expect(load.failures).toBe(0)
  // Of what comes in at an even pace; before, it may have been catching up with a slow start.
  expect(during / Math.min(before, load.offered)).toBeGreaterThan(0.9)
}

/** What must hold whichever destination it was; `stored` are the ids that it has. */
function expectWhole(outcome: Outcome, stored: ReadonlySet<string>) {
  const { acknowledged, account } = outcome
  expectUnhurt(outcome)
  expect([...acknowledged].filter(id => !stored.has(id))).toEqual([])
  expect(account).toMatchObject({ held: 0, unaccounted: 0, lost: {}, dropped: {}, rejected: {}, dead_lettered: {} })
  expect(account.delivered).toBe(acknowledged.size)
  expect(account.failed_attempts).toBeGreaterThan(0)
}

describeBackends(['jaeger'], 'Jaeger', () => {
  // With traces on disk: those in memory are gone with the process, whoever sent them.
  test('has every span after it was killed twice', async () => {
    const jaeger = await opened(Jaeger.launch({ durable: true }))
    const outcome = await outageOf({
      signal: 'traces',
      exporter: ['jaeger', { endpoint: jaeger.grpc }],
      kill: () => jaeger.kill(),
      restart: () => jaeger.start(),
    })
    const stored = new Set<string>()
    for (const [sender, count] of outcome.load.requests.entries()) {
      const ids = Array.from({ length: count }, (_, request) => traceOf(sender, request))
      const groups = (await Promise.all(ids.map(id => jaeger.trace(id)))).flat()
      for (const { item } of spansOfJson(groups)) stored.add(String(item['name']))
    }
    expectWhole(outcome, stored)
  })
})

describeBackends(['prometheus'], 'Prometheus by remote write', () => {
  // Out of order samples are refused, as by default: what was sent again came in order, too.
  test('has every sample after it was killed twice', async () => {
    const prometheus = await opened(Prometheus.launch())
    const outcome = await outageOf({
      signal: 'metrics',
      exporter: ['prometheus_remote_write', { endpoint: `${prometheus.url}/api/v1/write` }],
      kill: () => prometheus.kill(),
      restart: () => prometheus.start(),
    })
    const stored = new Set<string>()
    for (const { metric, values = [] } of await prometheus.query('load{job="load"}[10m]')) {
      for (const [, value] of values) stored.add(`${metric['sender']}:${value}:${metric['number']}`)
    }
    expectWhole(outcome, stored)
  })
})

describeBackends(['prometheus'], 'Prometheus by scraping', () => {
  test('counts everything that was accepted while it was away', async () => {
    const [port] = await ports(1)
    const target = { targets: [`127.0.0.1:${port}`] }
    const prometheus = await opened(
      Prometheus.launch({ scrape: [{ job_name: 'kymo', honor_labels: true, static_configs: [target] }] }),
    )
    const outcome = await outageOf({
      signal: 'metrics',
      counters: true,
      exporter: ['prometheus', { endpoint: `127.0.0.1:${port}` }],
      kill: () => prometheus.kill(),
      restart: () => prometheus.start(),
      // The page goes when Kymo does.
      meanwhile: async ({ size }) => {
        const counted = async () => Number((await prometheus.query('sum(load_total)'))[0]?.value?.[1])
        await expect.poll(counted, { timeout: 10_000 }).toBe(size)
        // And before it was away, too: it kept what it had.
        const [first] = await prometheus.query('min_over_time(sum(load_total)[1m:1s])')
        expect(Number(first.value?.[1])).toBeLessThan(size / 2)
      },
    })
    expectUnhurt(outcome)
    expect(outcome.account).toMatchObject({ held: 0, lost: {}, rejected: {}, delivered: outcome.acknowledged.size })
  })
})

describeBackends(['loki'], 'Loki', () => {
  test.each([
    ['pushes', { protocol: 'push' }],
    ['OTLP', { protocol: 'otlp' }],
  ])('has every line after it was killed twice, by %s', async (_, way) => {
    const loki = await opened(Loki.launch())
    const outcome = await outageOf({
      signal: 'logs',
      exporter: ['loki', { endpoint: loki.url, ...way }],
      kill: () => loki.kill(),
      restart: () => loki.start(),
    })
    const lines = await loki.lines('{service_name="load"}')
    expectWhole(outcome, new Set(lines.map(({ line }) => line)))
  })
})

describeBackends(['dd-intake'], 'Datadog', () => {
  // The stand-in keeps nothing over a restart. What it took before is what its answers said through a proxy.
  test('has every log after it was killed twice', async () => {
    const intake = await opened(Intake.launch('the-key'))
    const proxy = await opened(proxyTo(intake.run.ready.port))
    const url = `http://${proxy.address}`
    const endpoints = { logs: { endpoint: url }, metrics: { endpoint: url }, traces: { endpoint: url } }
    const outcome = await outageOf({
      signal: 'logs',
      exporter: ['datadog', { api: { key: 'the-key' }, host_metadata: { enabled: false }, ...endpoints }],
      kill: () => intake.kill(),
      restart: () => intake.start(),
    })
    // Its decoder tells what was in them.
    for (const { path, status, headers, body } of proxy.passed) {
      if (status !== 202) continue
      const answer = await fetch(`${intake.url}${path}`, {
        method: 'POST',
        headers: Object.fromEntries(
          Object.entries(headers).filter(([name]) => /^(?:dd-api-key|content-(?:type|encoding))$/.test(name)),
        ) as Record<string, string>,
        body: new Uint8Array(body),
      })
      expect(answer.status).toBe(202)
    }
    const logs = (await intake.items<readonly { message: string }[]>('logs')).flat()
    expectWhole(outcome, new Set(logs.map(({ message }) => message)))
  })
})
