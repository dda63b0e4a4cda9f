/** Every file in examples/ as users start it: it runs, takes a span, and sends on what it says. */
import { randomBytes } from 'node:crypto'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { components } from './support/components.ts'
import { loadConfig } from '../config/load.ts'
import { explain } from '../plan/explain.ts'
import { planOf } from '../plan/plan.ts'
import type { Signal } from '../proto/signals.ts'
import { anySink } from './support/any-sink.ts'
import { freePort, spawnKymo } from './support/kymo.ts'
import { tracesRequest } from './support/otlp-bytes.ts'
import { attributesOf, encode } from './support/otlp-proto.ts'
import { type OtlpSink, otlpSink } from './support/otlp-sink.ts'

const nanoseconds = () => `${Date.now()}000000`
const root = join(import.meta.dirname, '..')

/** What each that sends OTLP adds to a resource, and what it says to its backend. */
const expected: Readonly<Record<string, { resource: object; headers?: object; sinks: number }>> = {
  'agent.yaml': { resource: { 'k8s.node.name': 'node-1' }, sinks: 1 },
  'durable.yaml': { resource: { 'k8s.cluster.name': 'eu-1' }, sinks: 1 },
  'gateway.yaml': {
    resource: { 'k8s.cluster.name': 'eu-1', 'deployment.environment.name': 'dev' },
    headers: { authorization: `Basic ${btoa('kymo:secret')}` },
    sinks: 1,
  },
  'namespaces.yaml': { resource: { 'k8s.cluster.name': 'eu-1' }, sinks: 2 },
  'sidecar.yaml': { resource: { 'k8s.pod.name': 'pod-1', 'k8s.node.name': 'node-1' }, sinks: 1 },
}
/** Where those that send something else post it; `traces` of OTLP for Jaeger, and a page that is scraped. */
const destinations: Readonly<Record<string, { paths: string[]; traces?: boolean; page?: boolean }>> = {
  'datadog.yaml': { paths: ['/api/v0.2/stats', '/api/v0.2/traces', '/api/v2/logs', '/api/v2/series'] },
  'four-destinations.yaml': {
    // Stats are counted over a while; here they wait on disk for the next start.
    paths: ['/api/v0.2/traces', '/api/v2/logs', '/api/v2/series', '/loki/api/v1/push'],
    traces: true,
    page: true,
  },
  'host-metrics.yaml': { paths: [], page: true },
  'jaeger.yaml': { paths: [], traces: true },
  'loki.yaml': { paths: ['/loki/api/v1/push'] },
  'prometheus-remote-write.yaml': { paths: ['/api/v1/write'] },
  'prometheus.yaml': { paths: [], page: true },
}
const storage = mkdtempSync(join(tmpdir(), 'kymo-examples-'))
afterAll(() => rmSync(storage, { recursive: true }))

const env = {
  KYMO_STORAGE: storage,
  CLUSTER_NAME: 'eu-1',
  POD_NAME: 'pod-1',
  NODE_NAME: 'node-1',
  KYMO_LOG: 'info',
  // As `npm start` has it: the memory limits are made for that.
  NODE_OPTIONS: '--max-semi-space-size=4',
}

const examples = globSync('*.yaml', { cwd: join(root, 'examples') }).toSorted()

test('every example is known here', () => {
  expect(examples).toEqual([...Object.keys(expected), ...Object.keys(destinations)].toSorted())
})

/** Moves everything a configuration listens on to ports of the system's choice, and every destination to `sink`. */
function moved(path: string, sink: OtlpSink, others?: { url: string; page: number }): string[] {
  const { configured } = loadConfig({ sources: [path], components, env: {} })
  const listening = [...configured.extensions.values()].flatMap(({ id, config }) =>
    typeof config === 'object' && config !== null && 'endpoint' in config
      ? [`extensions.${id}.endpoint=localhost:0`]
      : [],
  )
  const sending = [...configured.exporters.values()].flatMap(({ id, definition }) =>
    endpointsOf(definition.type, sink, others).map(([key, value]) => `exporters.${id}.${key}=${value}`),
  )
  return [
    'receivers.otlp.protocols.grpc.endpoint=localhost:0',
    'receivers.otlp.protocols.http.endpoint=localhost:0',
    'service.telemetry.logs.encoding=json',
    'service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: localhost, port: 0}}}}]',
    ...listening,
    ...sending,
  ].flatMap(set => ['--set', set])
}

function endpointsOf(
  type: string,
  sink: OtlpSink,
  { url = '', page = 0 } = {},
): [key: string, value: string | number][] {
  switch (type) {
    case 'otlp_http':
      return [['endpoint', sink.httpEndpoint]]
    case 'otlp_grpc':
      // The sink's gRPC is grpc-js, which knows no zstd.
      return [
        ['endpoint', sink.grpcEndpoint],
        ['compression', 'gzip'],
      ]
    case 'jaeger':
      return [['endpoint', sink.grpcEndpoint]]
    case 'prometheus':
      return [['endpoint', `localhost:${page}`]]
    case 'prometheus_remote_write':
      return [['endpoint', `${url}/api/v1/write`]]
    case 'datadog':
      return ['metrics', 'traces', 'logs'].map(signal => [`${signal}.endpoint`, url])
    default:
      return [['endpoint', url]]
  }
}

test.concurrent.each(Object.keys(expected))('%s starts, and a span arrives as it should', async name => {
  const path = join(root, 'examples', name)
  const { resource, headers = {}, sinks } = expected[name]
  const sink = await otlpSink()
  const kymo = spawnKymo(['--config', path, ...moved(path, sink)], env)
  try {
    await kymo.until('everything is ready')
    const { endpoint } = kymo.lines().find(line => line['protocol'] === 'http') ?? {}
    const answer = await fetch(`http://${String(endpoint)}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(tracesRequest([{ namespace: 'shop', spans: ['checkout'] }])),
    })
    expect(answer.status).toBe(200)
    const end = Date.now() + 5000
    while (sink.received.length < sinks && Date.now() < end) await new Promise(resolve => setTimeout(resolve, 10))
    expect(sink.received).toHaveLength(sinks)
    for (const { items, headers: sent } of sink.received) {
      expect(items.map(({ item }) => item['name'])).toEqual(['checkout'])
      expect(attributesOf(items[0].resource)).toMatchObject({ 'k8s.namespace.name': 'shop', ...resource })
      expect(sent).toMatchObject(headers)
    }
    kymo.child.kill('SIGTERM')
    expect(await kymo.ended).toBe(0)
    expect(kymo.lines().filter(line => line['level'] === 'warn' || line['level'] === 'error')).toEqual([])
  } finally {
    kymo.child.kill('SIGKILL')
    await sink.close()
  }
})

/** Enough of each signal that some of it passes whatever samples. */
const requests: Readonly<Record<Signal, Buffer>> = {
  traces: encode('traces', {
    resource_spans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { string_value: 'shop' } }] },
        scope_spans: [
          {
            spans: Array.from({ length: 100 }, () => ({
              trace_id: randomBytes(16),
              span_id: randomBytes(8),
              name: 'checkout',
              kind: 2,
              start_time_unix_nano: nanoseconds(),
              end_time_unix_nano: nanoseconds(),
            })),
          },
        ],
      },
    ],
  }),
  metrics: encode('metrics', {
    resource_metrics: [
      {
        resource: { attributes: [{ key: 'service.name', value: { string_value: 'shop' } }] },
        scope_metrics: [
          {
            metrics: [
              { name: 'open.carts', gauge: { data_points: [{ time_unix_nano: nanoseconds(), as_double: 42 }] } },
            ],
          },
        ],
      },
    ],
  }),
  logs: encode('logs', {
    resource_logs: [
      {
        resource: { attributes: [{ key: 'service.name', value: { string_value: 'shop' } }] },
        scope_logs: [{ log_records: [{ time_unix_nano: nanoseconds(), body: { string_value: 'checkout' } }] }],
      },
    ],
  }),
}

test.each(Object.entries(destinations))(
  '%s starts, and each signal leaves for where it belongs',
  async (name, { paths, traces = false, page = false }) => {
    const path = join(root, 'examples', name)
    const [sink, others, port] = [await otlpSink(), await anySink(), await freePort()]
    const kymo = spawnKymo(['--config', path, ...moved(path, sink, { url: others.url, page: port })], env)
    try {
      await kymo.until('everything is ready', 20_000)
      const { endpoint } = kymo.lines().find(line => line['protocol'] === 'http') ?? {}
      const { configured } = loadConfig({ sources: [path], components, env: {} })
      for (const signal of new Set([...configured.pipelines.values()].map(one => one.signal))) {
        const answer = await fetch(`http://${String(endpoint)}/v1/${signal}`, {
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf' },
          body: new Uint8Array(requests[signal]),
        })
        expect([signal, answer.status]).toEqual([signal, 200])
      }
      if (traces) await expect.poll(() => sink.items('traces').length, { timeout: 5000 }).toBe(100)
      if (page) {
        const text = async () => (await fetch(`http://localhost:${port}/metrics`)).text()
        await expect.poll(text, { timeout: 5000 }).toMatch(/^open_carts\{[^}]*job="shop"[^}]*\} 42/m)
      }
      kymo.child.kill('SIGTERM')
      expect(await kymo.ended).toBe(0)
      // Some of it leaves at the end: what is counted over a time.
      expect(paths.filter(one => !others.paths().includes(one))).toEqual([])
      expect(kymo.lines().filter(line => line['level'] === 'warn' || line['level'] === 'error')).toEqual([])
    } finally {
      kymo.child.kill('SIGKILL')
      await Promise.all([sink.close(), others.close()])
    }
  },
)

test.each(examples)('%s can be explained, and every component says what it does', name => {
  const { configured } = loadConfig({ sources: [join(root, 'examples', name)], components, env: {} })
  for (const { steps, needs } of explain(planOf(configured)).pipelines) {
    expect(steps.filter(({ reach }) => reach === 'unknown')).toEqual([])
    expect(needs.filter(({ lost }) => lost.length > 0)).toEqual([])
  }
})
