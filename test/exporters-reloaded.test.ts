/** What exporters know goes on over a reload that changes something else of them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Definition } from '../core/component.ts'
import { Host } from '../core/host.ts'
import { Budget, budgetKey } from '../core/budget.ts'
import { datadogExporter } from '../exporters/datadog/datadog.ts'
import { file } from '../exporters/file.ts'
import { loki } from '../exporters/loki/loki.ts'
import { prometheus } from '../exporters/prometheus/prometheus.ts'
import { Listeners, listenersKey } from '../net/listeners.ts'
import type { Signal } from '../proto/signals.ts'
import { toyGraph, type ToyGraph } from './support/graph.ts'
import { server as lokiServer, logs, pushed } from './support/loki-server.ts'
import { tracesRequest } from './support/otlp-bytes.ts'
import { configFor, metricsRequest } from './exporters/datadog/datadog-runs.ts'
import { FakeIntake } from './exporters/datadog/fake-intake.ts'

/** A graph of one exporter; `again` runs it with another configuration. */
async function running(definition: Definition, signal: Signal, config: object) {
  const budget = new Budget(1 << 28)
  const listeners = new Listeners()
  const host = new Host().provide(budgetKey, budget).provide(listenersKey, listeners)
  const parts = (given: object) => ({
    exporters: {},
    components: { exporter: { definition, config: given } },
    pipelines: [{ id: signal, exporters: ['exporter'] }],
  })
  const toy: ToyGraph = await toyGraph({ ...parts(config), host })
  onTestFinished(async () => {
    await toy.graph.stop(1000)
    await listeners.close()
    expect(toy.books.faults()).toEqual([])
    expect([toy.budget.used, budget.used, [...budget.accounts]]).toEqual([0, 0, []])
  })
  return {
    send: async (body: Buffer) => expect((await toy.push(body, { signal }).outcome).kind).toBe('success'),
    again: async (given: object) => {
      await (
        await toy.reload(parts(given))
      ).over
    },
    kept: () => [...budget.accounts].reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

/** A counter of which `value` was counted since long ago, at that second. */
const counted = (value: number, second: number): Buffer =>
  metricsRequest([
    {
      name: 'c',
      sum: {
        aggregation_temporality: 2,
        is_monotonic: true,
        data_points: [
          {
            start_time_unix_nano: '1500000000000000000',
            time_unix_nano: `${1_800_000_000 + second}000000000`,
            as_int: value,
          },
        ],
      },
    },
  ])

test('datadog: counters have no gap', async () => {
  const intake = await new FakeIntake().start()
  onTestFinished(() => intake.stop())
  const config = (more: object) => ({ ...configFor(intake.url), ...more })
  const one = await running(datadogExporter, 'metrics', config({}))
  await one.send(counted(10, 1))
  await one.send(counted(15, 2))
  await expect.poll(() => intake.series.map(({ value }) => value)).toEqual([5])
  await one.again(config({ timeout: '20s' }))
  await one.send(counted(17, 3))
  await expect.poll(() => intake.series.map(({ value }) => value)).toEqual([5, 2])
  await one.again(config({ timeout: '30s' }))
  await one.send(counted(20, 4))
  await expect.poll(() => intake.series.map(({ value }) => value)).toEqual([5, 2, 3])
  expect(one.kept()).toBeGreaterThan(0)
})

test('datadog: what is on its way during the reload is counted once, too', async () => {
  const intake = await new FakeIntake().start()
  onTestFinished(() => intake.stop())
  const config = (timeout: string) => ({
    ...configFor(intake.url),
    timeout,
    retry_on_failure: { initial_interval: '1ms', max_interval: '2ms' },
  })
  const one = await running(datadogExporter, 'metrics', config('10s'))
  await one.send(counted(10, 1))
  let failures = 3
  intake.answer = ({ path }) => (path === '/api/v2/series' && failures-- > 0 ? { status: 503 } : undefined)
  await one.send(counted(15, 2))
  const reload = one.again(config('20s'))
  await one.send(counted(17, 3))
  await reload
  const taken = () => intake.series.slice(3).map(({ value }) => value)
  await expect.poll(taken).toEqual([5, 2])
})

test('prometheus: the page has the series at every moment, and deltas add up', async () => {
  const probe = new Listeners()
  const { port } = await probe.listen('127.0.0.1:0', socket => socket.destroy(), 'test')
  await probe.close()
  const config = (more: object) => ({ endpoint: `127.0.0.1:${port}`, without_scope_info: true, ...more })
  const one = await running(prometheus, 'metrics', config({}))
  const page = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const delta = (value: number, second: number): Buffer =>
    metricsRequest([
      {
        name: 'c',
        sum: {
          aggregation_temporality: 1,
          is_monotonic: true,
          data_points: [{ time_unix_nano: `${second}000000000`, as_int: value }],
        },
      },
    ])
  await one.send(delta(3, 1))
  const reload = one.again(config({ metric_expiration: '1h' }))
  expect(await page()).toContain('c_total 3\n')
  await reload
  expect(await page()).toContain('c_total 3\n')
  await one.send(delta(4, 2))
  expect(await page()).toContain('c_total 7\n')
})

test('loki: streams in use count on', async () => {
  const { url, seen } = await lokiServer(() => ({}))
  const labels = { resource_attributes: ['service.name'], max_streams: 5 }
  const config = (timeout: string) => ({ endpoint: url, labels, timeout })
  const one = await running(loki, 'logs', config('10s'))
  const streams = (...names: string[]) =>
    logs(...names.map((name): [Record<string, string>, string[]] => [{ 'service.name': name }, ['x']]))
  await one.send(streams('a', 'b', 'c'))
  await one.again(config('20s'))
  await one.send(streams('a', 'd'))
  await expect.poll(() => seen.length).toBe(2)
  const known = (at: number) =>
    Object.keys(pushed(seen[at])).map(labels => (JSON.parse(labels) as Record<string, string>)['service_name'])
  expect([known(0), known(1)]).toEqual([
    ['a', 'b', 'c'],
    ['a', 'unknown_service'],
  ])
})

test('file: what is in the file stays in it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kymo-reload-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'out.json')
  const one = await running(file, 'traces', { path })
  await one.send(tracesRequest([{ spans: ['first'] }]))
  await one.again({ path, flush_interval: '2s' })
  await one.send(tracesRequest([{ spans: ['second'] }]))
  const text = await readFile(path, 'utf8')
  expect([text.includes('first'), text.includes('second')]).toEqual([true, true])
})
