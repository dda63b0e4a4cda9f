/** A10 of the faults of November 2026: nothing goes out without a header that the configuration demands. */
import { afterEach, expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { explain } from '../../plan/explain.ts'
import { load, warningsOf } from '../config/toys.ts'
import { runKymo } from '../support/kymo.ts'
import { encode } from '../support/otlp.ts'
import { httpSend } from '../support/otlp-send.ts'
import { otlpSink, type Received } from '../support/otlp-sink.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

const tenants = ['a', 'b', 'c']
const each = 12

/** The ways in which data is gathered between receiver and destination. */
const ways: Readonly<Record<string, { processors?: string; queue?: string; forward?: boolean }>> = {
  'the processor `batch`': { processors: '[batch]' },
  'the processor `batch`, with a queue behind it that gathers, too': { processors: '[batch]', queue: 'batch: {}' },
  'a queue that gathers': { queue: 'batch: {flush_timeout: 50ms, min_size: 1000}' },
  'a queue that gathers by another header': {
    queue: 'batch: {flush_timeout: 50ms, min_size: 1000, partition: {metadata_keys: [x-other]}}',
  },
  'the processor `batch`, with a connector behind it': { processors: '[batch]', forward: true },
}

function configuration(
  way: string,
  header = 'from_context: X-Tenant',
  exporter = 'otlp_http',
  sink = 'http://x:1',
): string {
  const { processors = '[]', queue = '', forward = false } = ways[way]
  const auth = header.includes('attribute') ? ', auth: {authenticator: basicauth}' : ''
  const ends = `exporters: [${exporter}]`
  return `
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0", include_metadata: true${auth}}}}}
processors: {batch: {timeout: 50ms, send_batch_size: 1000}}
connectors: {forward: }
exporters: {${exporter}: {endpoint: "${sink}", tls: {insecure: true}, auth: {authenticator: headers_setter}, sending_queue: {num_consumers: 1, ${queue}}}}
extensions:
  headers_setter: {headers: [{key: x-tenant-out, ${header}}]}
  basicauth: {htpasswd: {inline: "a:pass\\nb:pass\\nc:pass"}}
service:
  extensions: [headers_setter, basicauth]
  pipelines:
    traces: {receivers: [otlp], processors: ${processors}, ${forward ? 'exporters: [forward]' : ends}}
    ${forward ? `traces/behind: {receivers: [forward], ${ends}}` : ''}`
}

const span = (name: string) =>
  encode('ExportTraceServiceRequest', {
    resource_spans: [
      { scope_spans: [{ spans: [{ name, trace_id: Buffer.alloc(16, 1), span_id: Buffer.alloc(8, 1) }] }] },
    ],
  })

/** Sends spans of all tenants in turn while the destination is slow with the first; gives what it got. */
async function received(way: string, header: string, exporter: 'otlp_http' | 'otlp_grpc'): Promise<Received[]> {
  const sink = await otlpSink()
  ends.push(() => sink.close())
  const { promise, resolve } = Promise.withResolvers<void>()
  sink.answer = () => promise.then(() => undefined)
  const target = exporter === 'otlp_grpc' ? sink.grpcEndpoint : sink.httpEndpoint
  const kymo = await runKymo(configuration(way, header, exporter, target))
  ends.push(() => kymo.stop())
  const send = (tenant: string) => {
    const authorization = `Basic ${Buffer.from(`${tenant}:pass`).toString('base64')}`
    return httpSend(kymo.addresses[0], 'traces', span(tenant), { headers: { 'x-tenant': tenant, authorization } })
  }
  const sent = Array.from({ length: each }, () => tenants.map(send)).flat()
  // Those that wait for a batch hear of it once it has left.
  await hasBegun(sink.attempts)
  resolve()
  for (const { status } of await Promise.all(sent)) expect(status).toBe(200)
  await expect
    .poll(() => sink.received.reduce((sum, { count }) => sum + count, 0), { timeout: 60_000 })
    .toBe(tenants.length * each)
  return sink.received
}

const hasBegun = (attempts: readonly unknown[]) =>
  expect.poll(() => attempts.length, { timeout: 60_000 }).toBeGreaterThan(0)

test.each(
  Object.keys(ways).flatMap(way =>
    (['otlp_http', 'otlp_grpc'] as const).flatMap(exporter =>
      ['from_context: X-Tenant', 'from_attribute: username'].map(header => [way, exporter, header] as const),
    ),
  ),
)('A10: through %s, to %s, each request has the header of its sender (%s)', async (way, exporter, header) => {
  const requests = await received(way, header, exporter)
  for (const { headers, items } of requests) {
    const tenant = headers['x-tenant-out']
    expect(tenants).toContain(tenant)
    expect(new Set(items.map(({ item }) => (item as { name?: unknown }).name))).toEqual(new Set([tenant]))
  }
})

const told = (way: string) => warningsOf(configuration(way), { components }).filter(text => text.includes('apart'))

test.each(Object.keys(ways))('A10: of %s validate warns, and explain says that the header gets there', way => {
  expect(told(way).join('\n')).toMatch(
    /puts requests together of which `otlp_http` needs the header `x-tenant`, and keeps them apart by it/,
  )
  const { pipelines } = explain(load(configuration(way), { components }).plan)
  const needs = pipelines.flatMap(one => one.needs).filter(({ what }) => what === 'metadata.x-tenant')
  expect(needs.length).toBeGreaterThan(0)
  for (const { lost } of needs) expect(lost).toEqual([])
})

test('A10: where the header is named nothing is told', () => {
  const text = configuration('the processor `batch`').replace(
    'batch: {timeout',
    'batch: {metadata_keys: [X-Tenant], timeout',
  )
  expect(warningsOf(text, { components }).filter(one => one.includes('apart'))).toEqual([])
})
