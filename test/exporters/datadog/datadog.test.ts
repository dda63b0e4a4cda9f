import { afterEach, expect, test } from 'vitest'
import { ConfigError } from '../../../core/errors.ts'
import { config, endpointOf } from '../../../exporters/datadog/config.ts'
import { datadogExporter } from '../../../exporters/datadog/datadog.ts'
import { allSignals } from '../../../proto/signals.ts'
import { batchOf, complaints, forever, refusal } from '../../support/exporting.ts'
import { key, logsRequest, metricsRequest, run, type Run } from './datadog-runs.ts'
import { until } from '../../support/until.ts'

const runs: Run[] = []
afterEach(async () => {
  for (const one of runs.splice(0)) await one.stop()
})
async function started(more: Readonly<Record<string, object | string | boolean>> = {}): Promise<Run> {
  const made = await run(more)
  runs.push(made)
  return made
}

test.each([
  ['no key', { api: {} }, /^api\.key: /],
  ['an empty key', { api: { key: ' ' } }, /^api\.key: /],
  ['a site that is none', { api: { key, site: 'https://x' } }, /^api\.site: .*host name/],
  ['an endpoint without a scheme', { api: { key }, logs: { endpoint: 'x:1' } }, /^logs\.endpoint: /],
  ['a host name that is none', { api: { key }, hostname: 'a b' }, /^hostname: /],
  [
    'nothing left of histograms',
    { api: { key }, metrics: { histograms: { mode: 'nobuckets' } } },
    /send_aggregation_metrics/,
  ],
  [
    'a first value of what has none',
    {
      api: { key },
      metrics: { sums: { cumulative_monotonic_mode: 'raw_value', initial_cumulative_monotonic_value: 'keep' } },
    },
    /to_delta/,
  ],
  ['too short a period', { api: { key }, host_metadata: { reporter_period: '1m' } }, /5m/],
  ['metadata alone, without them', { api: { key }, only_metadata: true }, /first_resource/],
  ['a pattern that is none', { api: { key }, traces: { ignore_resources: ['('] } }, /regular expression/],
  ['a key of old', { api: { key }, send_metadata: true }, /host_metadata\.enabled/],
  ['manifests', { api: { key }, orchestrator_explorer: { enabled: true } }, /manifests/],
])('%s is complained about', (_, given, complaint) => {
  expect(complaints(datadogExporter, given).join('\n')).toMatch(complaint)
})

test('what a Collector has runs here', () => {
  const given = {
    api: { key, site: 'datadoghq.eu', fail_on_invalid_key: true },
    hostname: 'gw-1.example',
    hostname_detection_timeout: '20s',
    host_metadata: { enabled: true, hostname_source: 'config_or_system', tags: ['team:a'], reporter_period: '30m' },
    metrics: {
      delta_ttl: 3600,
      resource_attributes_as_tags: true,
      instrumentation_scope_metadata_as_tags: true,
      histograms: { mode: 'counters', send_aggregation_metrics: true },
      sums: { cumulative_monotonic_mode: 'to_delta', initial_cumulative_monotonic_value: 'auto' },
      summaries: { mode: 'noquantiles' },
    },
    traces: {
      ignore_resources: ['GET /health'],
      span_name_remappings: { a: 'b' },
      span_name_as_resource_name: true,
      compute_stats_by_span_kind: true,
      compute_top_level_by_span_kind: true,
      peer_tags: ['tag'],
      trace_buffer: 10,
    },
    logs: { use_compression: true, compression_level: 6, batch_wait: 5 },
    tls: { insecure_skip_verify: true },
    sending_queue: { enabled: true, num_consumers: 4 },
    retry_on_failure: { enabled: true },
    timeout: '15s',
  }
  expect(complaints(datadogExporter, given)).toEqual([])
})

test('each signal has its intake at the site', () => {
  const parsed = config.parse({ api: { key, site: 'us3.datadoghq.com' } })
  expect(allSignals.map(signal => [signal, endpointOf(parsed, signal).href])).toEqual(
    allSignals.map(signal => [
      signal,
      {
        logs: 'https://http-intake.logs.us3.datadoghq.com/',
        metrics: 'https://api.us3.datadoghq.com/',
        traces: 'https://trace.agent.us3.datadoghq.com/',
      }[signal],
    ]),
  )
})

test('the key goes with every request, and into no message', async () => {
  const one = await started()
  await one.exporter.start?.()
  await until(() => expect(one.intake.to('/api/v1/validate')).toHaveLength(1))
  one.intake.answer = () => ({ status: 403, body: '{"errors":["Forbidden"]}' })
  const error = await refusal(one.exporter.send(batchOf(logsRequest([{}]), 'logs'), forever))
  expect(error).toMatchObject({ kind: 'denied' })
  expect(error.message).toContain('Forbidden')
  for (const { headers } of one.intake.seen) expect(headers['dd-api-key']).toBe(key)
  expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(key)
  expect(JSON.stringify(config.parse({ api: { key } }))).not.toContain(key)
})

test('the key is asked about at the start; one that is not known shows in the status and stops nothing', async () => {
  const one = await started()
  one.intake.answer = ({ path }) => (path === '/api/v1/validate' ? { status: 403 } : undefined)
  await one.exporter.start?.()
  await until(() => expect(one.status.lastError).toContain('does not know the API key'))
  expect(one.intake.seen).toMatchObject([{ method: 'GET', path: '/api/v1/validate' }])
  expect(one.status.state).toBe('RecoverableError')
  expect(one.status.lastError).not.toContain(key)
  expect(await one.exporter.send(batchOf(logsRequest([{}]), 'logs'), forever)).toBeUndefined()
})

test.each([
  ['one that is not known stops the start', 403, true],
  ['one that is known does not', 200, false],
  ['an intake that does not answer as it should does not', 500, false],
])('with `fail_on_invalid_key` %s', async (_, status, fails) => {
  const one = await started({ api: { key, fail_on_invalid_key: true } })
  one.intake.answer = ({ path }) => (path === '/api/v1/validate' ? { status } : undefined)
  const starting = Promise.resolve(one.exporter.start?.())
  if (fails) await expect(starting).rejects.toThrow(ConfigError)
  else await starting
})

test('the host is told of once it runs, with its tags', async () => {
  const one = await started({ host_metadata: { tags: ['team:a'] } })
  await one.exporter.start?.()
  expect(one.intake.to('/intake/')).toEqual([])
  one.exporter.run?.()
  await until(() => expect(one.intake.to('/intake/')).toHaveLength(1))
  const told = JSON.parse(one.intake.to('/intake/')[0].body.toString()) as Record<string, unknown>
  expect(told).toMatchObject({
    meta: { hostname: 'gateway' },
    internalHostname: 'gateway',
    'host-tags': { otel: ['team:a'] },
  })
  expect(JSON.parse(told['gohai'] as string)).toMatchObject({ memory: { total: expect.stringMatching(/^\d+kB$/) } })
})

test('the name of the first resource is that of the host, where that is wanted, and nothing else need be sent', async () => {
  const one = await started({ only_metadata: true, host_metadata: { hostname_source: 'first_resource' } })
  await one.exporter.start?.()
  const batch = batchOf(
    metricsRequest([{ name: 'm', gauge: { data_points: [{}] } }], { 'host.name': 'node-7' }),
    'metrics',
  )
  expect(await one.exporter.send(batch, forever)).toMatchObject({ rejected: 1, reasons: { only_metadata: 1 } })
  await until(() => expect(one.intake.to('/intake/')).toHaveLength(1))
  const told = JSON.parse(one.intake.to('/intake/')[0].body.toString()) as Record<string, unknown>
  expect(told['internalHostname']).toBe('node-7')
  expect(one.intake.series).toEqual([])
})
