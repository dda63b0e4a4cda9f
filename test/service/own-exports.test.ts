import { afterEach, beforeEach, expect, test } from 'vitest'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
import { OwnExports } from '../../service/own-exports.ts'
import { SelfReport } from '../../telemetry/self-report.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { type RunningService, runService } from '../support/service.ts'

let sink: OtlpSink
let running: RunningService | undefined

beforeEach(async () => {
  sink = await otlpSink()
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  await sink.close()
})

const config = (exporter: string) => `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
exporters: {nop: {}}
service:
  telemetry:
    metrics: {readers: [{periodic: {interval: 50, exporter: ${exporter}}}]}
    traces:
      sampler: {always_on: {}}
      processors: [{batch: {schedule_delay: 20, exporter: ${exporter}}}]
    logs: {processors: [{simple: {exporter: ${exporter}}}]}
    resource: {service.name: edge}
  pipelines: {traces: {receivers: [otlp], exporters: [nop]}}
`

async function send(spans: number): Promise<void> {
  const answer = await fetch(`http://${running?.endpoints[0]}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(tracesRequest([{ spans: names('s', spans) }])),
  })
  expect(answer.status).toBe(200)
}

test.each([
  ['HTTP', () => `{otlp: {endpoint: '${sink.httpEndpoint}', headers: {x-key: secret}}}`],
  ['HTTP, compressed', () => `{otlp_http: {endpoint: '${sink.httpEndpoint}/', compression: gzip}}`],
  ['gRPC', () => `{otlp: {protocol: grpc, endpoint: 'http://${sink.grpcEndpoint}', headers: {x-key: secret}}}`],
  [
    'gRPC, compressed',
    () => `{otlp_grpc: {endpoint: '${sink.grpcEndpoint}', tls: {insecure: true}, compression: gzip}}`,
  ],
])('log, metrics and spans are sent over %s', async (_, exporter) => {
  running = await runService(config(exporter()))
  await send(3)
  await expect.poll(() => sink.items('metrics').map(({ item }) => item['name'])).toContain('kymo_component_items_total')
  await expect.poll(() => sink.items('traces').map(({ item }) => item['name'])).toContain('receiver/otlp/traces')
  await expect.poll(() => sink.items('logs').length).toBeGreaterThan(0)
  const [{ resource, scope }] = sink.items('logs')
  expect(resource).toMatchObject({
    attributes: expect.arrayContaining([{ key: 'service.name', value: { string_value: 'edge' } }]),
  })
  expect(scope).toMatchObject({ name: 'kymo', version: '1.2.3' })
  expect(sink.undecodable).toEqual([])
  if (exporter().includes('x-key')) expect(sink.received[0].headers['x-key']).toBe('secret')
})

test('a backend that takes nothing is told once, then that it is well again; data goes on', async () => {
  sink.answer = () => ({ code: 14, message: 'not now' })
  running = await runService(config(`{otlp: {endpoint: '${sink.httpEndpoint}'}}`))
  await send(1)
  await expect.poll(() => running?.report.dropped.traces).toBeGreaterThan(0)
  await expect.poll(() => sink.attempts.filter(({ signal }) => signal === 'metrics').length).toBeGreaterThan(2)
  const told = () =>
    running?.lines.filter(({ module }) => module === 'telemetry').map(({ msg, signal }) => [msg, signal])
  const once = told()?.filter(([msg]) => msg === 'own telemetry is not taken')
  expect(once?.toSorted()).toEqual(['logs', 'metrics', 'traces'].map(signal => ['own telemetry is not taken', signal]))
  sink.answer = () => undefined
  await expect.poll(told).toContainEqual(['own telemetry is taken again', 'metrics'])
  expect(await running.page('/metrics')).toMatch(/^kymo_own_telemetry_dropped_total\{signal="traces"\} [1-9]/m)
})

test('at the end the last of it is sent', async () => {
  const far = config(`{otlp: {endpoint: '${sink.httpEndpoint}'}}`)
    .replace('interval: 50', 'interval: 60000')
    .replace('schedule_delay: 20', 'schedule_delay: 60000')
  running = await runService(far)
  await send(5)
  await running.stop()
  running = undefined
  expect(sink.items('traces').map(({ item }) => item['name'])).toContain('receiver/otlp/traces')
  const sent = sink.items('metrics').find(({ item }) => item['name'] === 'otelcol_exporter_sent_spans')
  expect(sent?.item['sum']).toMatchObject({ data_points: [{ as_int: '5' }] })
})

test('a backend that hangs does not keep it from stopping', async () => {
  sink.answer = () => new Promise(() => {})
  running = await runService(config(`{otlp: {endpoint: '${sink.httpEndpoint}'}}`))
  await expect.poll(() => sink.attempts.length).toBeGreaterThan(0)
  const began = performance.now()
  await running.stop()
  running = undefined
  expect(performance.now() - began).toBeLessThan(2000)
})

test('metrics that could not be made once are made the next time', async () => {
  const report = new SelfReport({}, '1.2.3')
  let asked = 0
  report.metrics = () => {
    if (++asked === 1) throw new Error('out of nowhere')
    return []
  }
  const lines: Line[] = []
  const destination = {
    protocol: 'http',
    endpoint: sink.httpEndpoint,
    insecure: true,
    gzip: false,
    headers: {},
  } as never
  const one = { signal: 'metrics', destination, interval: 5, timeout: 0, most: 1, room: 1 } as const
  const exports = new OwnExports([one], report, keepingLogger(lines))
  await exports.start()
  await expect.poll(() => asked).toBeGreaterThan(1)
  await exports.stop()
  expect(lines.filter(({ fields }) => fields?.['code'] === 'INTERNAL')).toHaveLength(1)
})
