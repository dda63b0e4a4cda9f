/** The document of a process in which something of everything has happened goes by its schema, and nothing else does. */
import { expect, test } from 'vitest'
import { statusJsonSchema, statusSchema } from '../../service/status-schema.ts'
import { runService } from '../support/service.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const yaml = `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}, grpc: {endpoint: '127.0.0.1:0'}}}}
processors: {namespace_filter: {}, batch: {timeout: 10ms}}
exporters: {debug: {}, otlp_http/away: {endpoint: 'http://127.0.0.1:1', retry_on_failure: {initial_interval: 20s}}}
connectors: {forward: {}}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [namespace_filter, batch], exporters: [forward, otlp_http/away]}
    traces/behind: {receivers: [forward], exporters: [debug]}
`

test('what /status answers goes by the schema that is published', async () => {
  const running = await runService(yaml)
  const send = (body: Uint8Array) =>
    fetch(`http://${running.endpoints.find(one => one !== undefined)}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(body),
    })
  await send(
    tracesRequest([
      { namespace: 'kube-system', spans: ['a'] },
      { namespace: 'shop', spans: ['b'] },
    ]),
  ).catch(() => {})
  await send(Buffer.from('no OTLP at all')).catch(() => {})
  const document = running.service.status() as Record<string, unknown>
  await running.stop()
  expect(statusSchema.safeParse(JSON.parse(JSON.stringify(document))).error?.issues).toBeUndefined()
  const more = { ...document, something: 1 }
  expect(statusSchema.safeParse(JSON.parse(JSON.stringify(more))).success).toBe(false)
})

test('the JSON Schema says what each part is, and allows nothing else', () => {
  const { properties, additionalProperties, required } = statusJsonSchema() as Record<string, never>
  expect(additionalProperties).toBe(false)
  expect(Object.keys(properties)).toEqual(expect.arrayContaining(['needs_you', 'pipelines', 'queues', 'books']))
  expect(required).not.toContain('config')
})
