/** Every file in examples/ as users start it: it runs, takes a span, and sends on what it says. */
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { components } from '../components.ts'
import { loadConfig } from '../config/load.ts'
import { explain } from '../pipelines/explain.ts'
import { spawnKymo } from './support/kymo.ts'
import { tracesRequest } from './support/otlp-bytes.ts'
import { attributesOf } from './support/otlp-proto.ts'
import { otlpSink } from './support/otlp-sink.ts'

const root = join(import.meta.dirname, '..')

/** What each adds to a resource, and what it says to its backend. */
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
  expect(examples).toEqual(Object.keys(expected))
})

/** Moves everything a configuration listens on to ports of the system's choice, and every destination to `sink`. */
function moved(path: string, sink: { grpcEndpoint: string; httpEndpoint: string }): string[] {
  const { configured } = loadConfig({ sources: [path], components, env: {} })
  const listening = [...configured.extensions.values()].flatMap(({ id, config }) =>
    typeof config === 'object' && config !== null && 'endpoint' in config
      ? [`extensions.${id}.endpoint=localhost:0`]
      : [],
  )
  const sending = [...configured.exporters.values()].flatMap(({ id, definition }) =>
    definition.type === 'otlp_http'
      ? [`exporters.${id}.endpoint=${sink.httpEndpoint}`]
      : // The sink's gRPC is grpc-js, which knows no zstd.
        [`exporters.${id}.endpoint=${sink.grpcEndpoint}`, `exporters.${id}.compression=gzip`],
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

test.concurrent.each(examples)('%s starts, and a span arrives as it should', async name => {
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

test.each(examples)('%s can be explained, and every component says what it does', name => {
  const { configured } = loadConfig({ sources: [join(root, 'examples', name)], components, env: {} })
  for (const { steps, needs } of explain(configured).pipelines) {
    expect(steps.filter(({ reach }) => reach === 'unknown')).toEqual([])
    expect(needs.filter(({ lost }) => lost.length > 0)).toEqual([])
  }
})
