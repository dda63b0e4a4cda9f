/** Own telemetry through own pipelines: it arrives, it causes no more of itself, and it is in nobody's way. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
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

const pipelines = `
    traces: {receivers: [otlp, internal], exporters: [otlp_http]}
    metrics: {receivers: [internal], exporters: [otlp_http]}
    logs: {receivers: [internal], exporters: [otlp_http]}`

const config = (more: { exporter?: string; pipelines?: string } = {}) => `
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}
  internal: {metrics_interval: 100ms, flush_interval: 10ms}
exporters:
  otlp_http: {endpoint: '${sink.httpEndpoint}', compression: none, ${more.exporter ?? ''}}
  nop: {}
service:
  telemetry: {traces: {sampler: {always_on: {}}}, logs: {sampling: {enabled: false}}}
  pipelines: ${more.pipelines ?? pipelines}
`

async function send(spans: number): Promise<number> {
  const answer = await fetch(`http://${running?.endpoints[0]}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: new Uint8Array(tracesRequest([{ namespace: 'shop', spans: names('s', spans) }])),
  })
  return answer.status
}

const spanNames = () => sink.items('traces').map(item => String(item.item['name']))
const bodies = () => sink.items('logs').map(item => (item.item['body'] as { string_value: string }).string_value)
const metricNames = () => new Set(sink.items('metrics').map(item => String(item.item['name'])))

test('log, metrics and spans of batches arrive, with the resource of this process', async () => {
  running = await runService(config())
  expect(await send(3)).toBe(200)
  await expect.poll(() => metricNames().has('otelcol_receiver_accepted_spans')).toBe(true)
  await expect.poll(bodies).toContain('everything is ready; taking data')
  await expect.poll(spanNames).toEqual(expect.arrayContaining(['receiver/otlp/traces', 'exporter/otlp_http/traces']))
  expect(metricNames()).toContain('kymo_component_items_total')
  expect(sink.undecodable).toEqual([])
})

test('what it causes is not told again: no spans of its own batches, no lines about their components', async () => {
  running = await runService(config())
  await expect.poll(() => metricNames().size).toBeGreaterThan(20)
  await expect.poll(bodies).toContain('everything is ready; taking data')
  sink.answer = () => ({ code: 3, message: 'bad data' })
  const before = sink.attempts.length
  expect(await send(1)).toBe(200)
  // The exporter has logged what was refused; that did not become data, which would be refused, which would be logged.
  const { lines } = running
  await expect.poll(() => lines.some(({ msg }) => msg === 'destination rejected data for good')).toBe(true)
  await new Promise(resolve => setTimeout(resolve, 200))
  const logs = sink.attempts.slice(before).filter(({ signal }) => signal === 'logs')
  expect(logs).toEqual([])
  expect(spanNames()).toEqual([])
  const spans = sink.attempts.slice(before).flatMap(({ signal, items }) => (signal === 'traces' ? items : []))
  expect(spans.map(item => item.item['name']).filter(name => String(name).includes('internal'))).toEqual([])
})

test('while nobody takes it, one batch of each signal waits and the rest is dropped; other data is not refused', async () => {
  const exporter = 'sending_queue: {queue_size: 8}, retry_on_failure: {initial_interval: 20ms, max_interval: 20ms}'
  running = await runService(
    config({
      exporter,
      pipelines: `
    traces: {receivers: [otlp], exporters: [nop]}
    traces/own: {receivers: [internal], exporters: [otlp_http]}
    metrics: {receivers: [internal], exporters: [otlp_http]}
    logs: {receivers: [internal], exporters: [otlp_http]}`,
    }),
  )
  const { service, report, page } = running
  const waiting = async () => {
    const sizes = (await page('/metrics')).matchAll(
      /^otelcol_exporter_queue_size\{.*"(traces|metrics|logs)"\} (\d+)$/gm,
    )
    return Object.fromEntries([...sizes].map(([, signal, size]) => [signal, Number(size)]))
  }
  sink.answer = () => ({ code: 14, message: 'not now' })
  await expect.poll(waiting).toMatchObject({ metrics: 1 })
  // Several times as long as it takes to make the next metrics.
  const end = Date.now() + 350
  let looks = 0
  while (Date.now() < end || looks < 20) {
    expect(await send(1)).toBe(200)
    for (const [signal, size] of Object.entries(await waiting())) expect(size, signal).toBeLessThan(2)
    looks++
  }
  const queued = service.books.nodes.filter(({ name }) => name.kind === 'exporter' && name.id === 'otlp_http')
  for (const node of queued) expect(node.refused.total + node.lost.total, node.name.signal).toBe(0)
  expect((await waiting())['metrics']).toBe(1)
  await expect.poll(() => service.budget.inFlight).toBe(0)
  // Later it is as it was.
  sink.answer = () => undefined
  await expect.poll(() => metricNames().size).toBeGreaterThan(20)
  expect(report.dropped.metrics).toBe(0)
})

test('without a pipeline for it nothing is traced and nothing is sent', async () => {
  running = await runService(config({ pipelines: '{traces: {receivers: [otlp], exporters: [otlp_http]}}' }))
  await send(2)
  await expect.poll(spanNames).toEqual(['s0', 's1'])
  expect(running.report.traced).toBe(false)
})
