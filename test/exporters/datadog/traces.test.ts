import { afterEach, expect, test } from 'vitest'
import { statsRequest } from '../../../backends/datadog/stats.ts'
import { type AgentPayload, decodeDatadog, encodeDatadog } from '../../support/datadog-proto.ts'
import { id, kinds, request, span } from '../../support/datadog-spans.ts'
import { batchOf, complaints, forever, refusal } from '../../support/exporting.ts'
import { readMsgpack } from '../../support/msgpack.ts'
import { datadogExporter } from '../../../exporters/datadog/datadog.ts'
import { configFor, key, run, type Run } from './datadog-runs.ts'

const runs: Run[] = []
afterEach(async () => {
  for (const one of runs.splice(0)) await one.stop()
})
async function started(traces: Readonly<Record<string, unknown>> = {}): Promise<Run> {
  const made = await run({ traces })
  runs.push(made)
  return made
}
const path = '/api/v0.2/traces'
const payloadsOf = ({ intake }: Run): AgentPayload[] =>
  intake.to(path).map(({ body }) => decodeDatadog('AgentPayload', body) as AgentPayload)
const spansOf = (one: Run) =>
  payloadsOf(one).flatMap(({ tracerPayloads }) =>
    tracerPayloads.flatMap(({ chunks }) => chunks.flatMap(({ spans }) => spans)),
  )

test('a batch is one payload for the intake, with its key', async () => {
  const one = await started()
  expect(await one.exporter.send(batchOf(request([span({})])), forever)).toBeUndefined()
  const [{ method, headers }] = one.intake.to(path)
  expect([method, headers['content-type'], headers['content-encoding'], headers['dd-api-key']]).toEqual([
    'POST',
    'application/x-protobuf',
    'gzip',
    key,
  ])
  const [payload] = payloadsOf(one)
  expect(payload).toMatchObject({ hostName: 'gateway', env: 'none', agentVersion: expect.stringMatching(/^kymo\//) })
  expect(payload.tracerPayloads[0]).toMatchObject({ hostname: 'gateway' })
  expect(spansOf(one)).toMatchObject([{ service: 'shop', name: 'Internal', resource: 'work' }])
})

test.each<[string, Readonly<Record<string, unknown>>, object]>([
  ['names can be remapped', { span_name_remappings: { 'opentelemetry.server': 'web' } }, { name: 'web' }],
  ['names of spans can be taken', { span_name_as_resource_name: true }, { name: 'work' }],
  ['tops of services can be told by kind', { compute_top_level_by_span_kind: true }, { metrics: { _top_level: 1 } }],
  ['else by parents', {}, { metrics: {} }],
])('%s', async (_, traces, expected) => {
  const one = await started(traces)
  const spans = [span({}), span({}, { span_id: id(3, 8), parent_span_id: id(2, 8), kind: kinds.server })]
  await one.exporter.send(batchOf(request(spans)), forever)
  expect(spansOf(one)[1]).toMatchObject(expected)
  expect(Object.keys(spansOf(one)[1].metrics)).toHaveLength(traces['compute_top_level_by_span_kind'] ? 1 : 0)
})

test('what is left out is told with its reason, and nothing is sent for nothing', async () => {
  const one = await started({ ignore_resources: ['^/health'] })
  const health = span({}, { trace_id: id(5, 16), name: '/healthz' })
  expect(await one.exporter.send(batchOf(request([span({}), health])), forever)).toEqual({
    rejected: 1,
    message: '1 spans are left out: `traces.ignore_resources` leaves their traces out',
    reasons: { ignore_resources: 1 },
  })
  const noId = span({}, { trace_id: Buffer.alloc(16) })
  expect(await one.exporter.send(batchOf(request([noId])), forever)).toMatchObject({
    rejected: 1,
    reasons: { invalid_id: 1 },
  })
  expect(one.intake.to(path)).toHaveLength(1)
})

test('a payload that would be too large is halved before it is sent, and one span is not sent', async () => {
  const one = await started()
  const large = (n: number, size: number) =>
    batchOf(request(Array.from({ length: n }, (_, i) => span({ text: 'x'.repeat(size) }, { span_id: id(i + 1, 8) }))))
  expect(one.exporter.fits?.(large(10, 1000))).toBe(true)
  expect(one.exporter.fits?.(large(200, 20_000))).toBe(false)
  expect(await refusal(one.exporter.send(large(200, 20_000), forever))).toMatchObject({ kind: 'too_large' })
  expect(one.intake.to(path)).toEqual([])
  const whole = batchOf(
    request([span(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, 'x'.repeat(20_000)])))]),
  )
  expect(await refusal(one.exporter.send(whole, forever))).toMatchObject({ kind: 'too_large' })
  expect(one.intake.to(path)).toEqual([])
})

test('it is never larger than it was thought to be', async () => {
  const one = await started()
  const resource = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`resource.attribute.${i}`, 'value']))
  const batch = batchOf(
    request(
      Array.from({ length: 2000 }, (_, i) => span({ 'http.request.method': 'GET' }, { span_id: id(i + 1, 8) })),
      resource,
    ),
  )
  if (one.exporter.fits?.(batch)) await one.exporter.send(batch, forever)
  for (const { body } of one.intake.to(path)) expect(body.length).toBeLessThanOrEqual(3_200_000)
})

test.each([
  [403, 'denied'],
  [413, 'too_large'],
  [400, 'rejected'],
  [429, 'retry'],
  [500, 'retry'],
])('an answer of %i is %s', async (status, kind) => {
  const one = await started()
  one.intake.answer = () => ({ status, headers: { 'retry-after': '3' }, body: '{"errors":["no"]}' })
  const error = await refusal(one.exporter.send(batchOf(request([span({})])), forever))
  expect(error).toMatchObject({ kind })
  expect(error.message).not.toContain(key)
  expect(error.retryAfter).toBe(kind === 'retry' ? 3000 : undefined)
})

test('a resource that cannot be read is rejected', async () => {
  const one = await started()
  const batch = batchOf(request([span({})]))
  const [group] = batch.groups
  const broken = batch.withGroups([group.withResource(Buffer.from([0x0a, 9, 1]))], 0)
  expect(await refusal(one.exporter.send(broken, forever))).toMatchObject({ kind: 'rejected' })
})

test('stats that come as metrics leave as MessagePack', async () => {
  const one = await started()
  const stats = encodeDatadog('StatsPayload', { stats: [{ hostname: '__unset__', env: 'prod' }] })
  await one.exporter.send(batchOf(statsRequest([stats], Date.now()), 'metrics'), forever)
  const [{ body, headers }] = one.intake.to('/api/v0.2/stats')
  expect([headers['content-type'], headers['content-encoding']]).toEqual(['application/msgpack', 'gzip'])
  expect(readMsgpack(body)).toMatchObject({ AgentHostname: 'gateway', Stats: [{ Hostname: 'gateway', Env: 'prod' }] })
})

test('patterns that are none are refused', () => {
  expect(complaints(datadogExporter, configFor('http://x', { traces: { ignore_resources: ['('] } }))).toEqual([
    'traces.ignore_resources.0: no regular expression: missing closing ): `(` at character 1',
  ])
})
