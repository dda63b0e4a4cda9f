/**
 * `host_metrics` beside the Collector's on this machine: the same series, with values as far apart as two looks are. The
 * Collector is one with `hostmetrics` and `otlphttp`; `OTELCOL_HOST` is the path of its binary.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Item, Plain } from '../support/otlp-proto.ts'
import { runKymo } from '../support/kymo.ts'
import { otlpSink } from '../support/otlp-sink.ts'

const otelcol = process.env['OTELCOL_HOST'] ?? ''
if (otelcol === '') console.warn('skipped: OTELCOL_HOST names no Collector with hostmetrics')

const on = (names: string) =>
  `metrics: {${names
    .split(' ')
    .map(name => `${name}: {enabled: true}`)
    .join(', ')}}`
const scrapers = `
      cpu: {${on('system.cpu.utilization system.cpu.logical.count system.cpu.physical.count system.cpu.frequency')}}
      disk:
      filesystem: {${on('system.filesystem.utilization')}}
      load:
      memory: {${on('system.memory.utilization system.memory.limit system.memory.page_size system.memory.linux.shared system.linux.memory.available system.linux.memory.dirty system.memory.linux.hugepages.limit system.memory.linux.hugepages.usage')}}
      network:
      paging:
      processes:
      system:
      process:
        include: {names: [sleep], match_type: strict}
        ${on('process.threads process.open_file_descriptors process.context_switches process.uptime process.paging.faults process.memory.utilization process.disk.operations')}`

const receivers = `
receivers:
  hostmetrics:
    collection_interval: 2s
    initial_delay: 10ms
    scrapers:${scrapers}`

const told = (message: unknown): string =>
  (((message as Plain | undefined)?.['attributes'] ?? []) as { key: string; value: Record<string, string> }[])
    .map(({ key, value }) => `${key}=${Object.values(value)[0] ?? ''}`)
    .toSorted()
    .join(',')

/** Values by series. */
function seriesOf(items: readonly Item[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const { resource, scope, item } of items) {
    const { name, unit, sum, gauge } = item
    const { aggregation_temporality, is_monotonic, data_points } = (sum ?? gauge) as Plain
    const kind = sum === undefined ? 'gauge' : `sum ${String(aggregation_temporality)} ${Boolean(is_monotonic)}`
    for (const point of data_points as Plain[]) {
      const type = point['as_int'] === undefined ? 'double' : 'int'
      // The Collector counts in states whose names lack a line, and tells those with it as 0.
      const key = [String(scope['name']), told(resource), name, unit, kind, type, told(point)]
        .join(' | ')
        .replace(/FIN_WAIT(\d)/, 'FIN_WAIT_$1')
      found.set(key, Number(point['as_int'] ?? point['as_double'] ?? 0))
    }
  }
  return found
}

/** What is different from one look to the next, however soon. */
const moves = /utilization|cpu\.frequency|load_average|processes\.count|network\.connections|pending_operations|dirty/
/** The Collector multiplies what the kernel counts here by the bytes of a page. */
const multiplied = /system\.paging\.(?:faults|operations)/

test.skipIf(otelcol === '')('the same series as the Collector tells, with the same values', async () => {
  const sleeper = spawn('sleep', ['60'])
  const [ours, theirs] = [await otlpSink(), await otlpSink()]
  const folder = mkdtempSync(join(tmpdir(), 'kymo-host-'))
  const file = join(folder, 'collector.yaml')
  writeFileSync(
    file,
    `${receivers}
exporters: {otlp_http: {endpoint: '${theirs.httpEndpoint}'}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [hostmetrics], exporters: [otlp_http]}}
`,
  )
  const collector = spawn(otelcol, ['--config', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise(resolve => collector.on('close', resolve))
  const kymo = await runKymo(`${receivers}
exporters: {otlp_http: {endpoint: '${ours.httpEndpoint}'}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [hostmetrics], exporters: [otlp_http]}}
`)
  try {
    const rounds = (sink: typeof ours) =>
      sink.items('metrics').filter(({ item }) => item['name'] === 'system.uptime').length
    await expect.poll(() => [rounds(ours) >= 3, rounds(theirs) >= 3], { timeout: 30_000 }).toEqual([true, true])
  } finally {
    collector.kill('SIGTERM')
    sleeper.kill()
    await ended
    await kymo.stop()
    rmSync(folder, { recursive: true })
  }
  const [mine, other] = [seriesOf(ours.items('metrics')), seriesOf(theirs.items('metrics'))]
  await ours.close()
  await theirs.close()
  const lacking = (keys: Iterable<string>, from: ReadonlyMap<string, number>) =>
    [...keys].filter(key => !from.has(key) && !key.endsWith('status=unknown'))
  expect([lacking(mine.keys(), other), lacking(other.keys(), mine)]).toEqual([[], []])
  const apart = [...mine].filter(([key, value]) => {
    const reference = (other.get(key) ?? NaN) / (multiplied.test(key) ? 4096 : 1)
    return !moves.test(key) && Math.abs(value - reference) > Math.max(60, 0.05 * reference)
  })
  expect(apart.map(([key, value]) => [key, value, other.get(key)])).toEqual([])
})
