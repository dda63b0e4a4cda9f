/** The example with four destinations, as it stands, in front of the four: what an application says is in each. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { spawnKymo } from '../support/kymo.ts'
import { Intake } from './backends/datadog.ts'
import { Jaeger } from './backends/jaeger.ts'
import { Loki } from './backends/loki.ts'
import { emitMetrics } from './backends/metrics.ts'
import { spansOfJson } from './backends/otlp-json.ts'
import { Prometheus } from './backends/prometheus.ts'
import { describeBackends, ports } from './backends/server.ts'
import { emitLogs, emitTraces } from './backends/shop.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.close()
})
async function opened<T extends { close(): Promise<void> }>(making: Promise<T>): Promise<T> {
  const made = await making
  open.push(made)
  return made
}

const example = join(import.meta.dirname, '../../examples/four-destinations.yaml')

/** The example with its addresses set to those of the backends. */
async function running() {
  const [page, , grpc, http, health, admin] = await ports(6)
  const [jaeger, loki, intake, prometheus] = await Promise.all([
    opened(Jaeger.launch()),
    opened(Loki.launch()),
    opened(Intake.launch('0123456789abcdef0123456789abcdef')),
    opened(
      Prometheus.launch({
        scrape: [{ job_name: 'kymo', honor_labels: true, static_configs: [{ targets: [`127.0.0.1:${page}`] }] }],
      }),
    ),
  ])
  const storage = mkdtempSync(join(tmpdir(), 'kymo-e2e-four-'))
  const sets = [
    `receivers.otlp.protocols.grpc.endpoint=127.0.0.1:${grpc}`,
    `receivers.otlp.protocols.http.endpoint=127.0.0.1:${http}`,
    `extensions.health_check.endpoint=127.0.0.1:${health}`,
    `service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${admin}}}}}]`,
    `exporters.prometheus.endpoint=127.0.0.1:${page}`,
    `exporters.loki.endpoint=${loki.url}`,
    `exporters.jaeger.endpoint=${jaeger.grpc}`,
    ...['metrics', 'traces', 'logs'].map(signal => `exporters.datadog.${signal}.endpoint=${intake.url}`),
  ]
  const kymo = spawnKymo(['--config', example, ...sets.flatMap(set => ['--set', set])], { KYMO_STORAGE: storage })
  const stop = async () => {
    kymo.child.kill('SIGTERM')
    return kymo.ended
  }
  open.push({
    close: async () => {
      kymo.child.kill('SIGKILL')
      await kymo.ended
      rmSync(storage, { recursive: true, force: true })
    },
  })
  await kymo.until('everything is ready', 20_000)
  return { jaeger, loki, intake, prometheus, kymo, stop, address: `127.0.0.1:${http}` }
}

describeBackends(['prometheus', 'loki', 'jaeger', 'dd-intake'], 'Four destinations at once', () => {
  test('each has its part of what an application says, linked by the same ids', async () => {
    const { jaeger, loki, intake, prometheus, stop, address } = await running()
    const said = await emitTraces(address, 200)
    await Promise.all([emitLogs(address, said), emitMetrics(address)])
    const patience = { timeout: 10_000 }
    const { traceId } = said
    await expect.poll(async () => spansOfJson(await jaeger.trace(traceId)).length, patience).toBe(3)
    await expect
      .poll(async () => (await loki.lines(`{service_name="shop-api"} | trace_id="${traceId}"`)).length, patience)
      .toBe(1)
    await expect
      .poll(async () => (await prometheus.query('http_server_requests_total{route="/cart"}'))[0]?.value?.[1], patience)
      .toBe('5')
    // They are counted over ten seconds.
    await expect
      .poll(async () => JSON.stringify(await intake.items('stats')), { timeout: 30_000 })
      .toContain('"resource":"GET /health"')
    expect(await stop()).toBe(0)
    const logs = (await intake.items<readonly { 'otel.trace_id'?: string }[]>('logs')).flat()
    expect(logs.map(one => one['otel.trace_id'])).toEqual([traceId, undefined])
    const series = (await intake.items<readonly { metric: string }[]>('series')).flat()
    expect(series.map(({ metric }) => metric)).toContain('http.server.requests')
    // What is for Datadog only is nowhere else.
    const names = await prometheus.query('count by (__name__) ({__name__=~".*stats.*|dd_.*"})')
    expect(names).toEqual([])
    const failed = (await intake.requests()).filter(({ status }) => status >= 400)
    expect(failed).toEqual([])
  })
})
