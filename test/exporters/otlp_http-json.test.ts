/** `encoding: json` of otlp_http; what it shares with protobuf stands in otlp_http.test.ts. */
import { once } from 'node:events'
import http, { type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { otlpHttpExporter } from '../../exporters/otlp_http.ts'
import { encodeGroups } from '../../proto/group.ts'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { encodeResponse } from '../../proto/response.ts'
import { allSignals, signals } from '../../proto/signals.ts'
import { everything } from '../support/everything.ts'
import { batchOf, exporterOf, forever, refusal } from '../support/exporting.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { decode } from '../support/otlp-proto.ts'
import { receive } from '../support/receiving.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const batch = batchOf(tracesRequest([{ namespace: 'shop', spans: ['a', 'b'] }]))
const json = 'application/json; charset=utf-8'

/** An exporter to a server that answers like this. */
async function against(reply: { status?: number; type?: string; body?: string | Buffer }, config: object = {}) {
  const seen: { headers: IncomingHttpHeaders; body: Buffer }[] = []
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      seen.push({ headers: request.headers, body: Buffer.concat(chunks) })
      response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? json }).end(reply.body)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const made = exporterOf(otlpHttpExporter, { endpoint: `http://127.0.0.1:${port}`, encoding: 'json', ...config })
  open.push(() => {
    server.closeAllConnections()
    server.close()
  })
  open.push(() => made.exporter.stop?.())
  return { ...made, seen }
}

test.each(allSignals)('%s are sent as JSON that says the same, field by field', async signal => {
  const body = everything(signal)
  const { exporter, budget, seen } = await against({ body: '{}' })
  expect(await exporter.send(batchOf(body, signal), forever)).toBeUndefined()
  expect(seen[0].headers).toMatchObject({ 'content-type': 'application/json', 'content-encoding': 'gzip' })
  const text = gunzipSync(seen[0].body)
  expect(JSON.parse(text.toString())).toHaveProperty(
    `resource${signal === 'traces' ? 'Spans' : { metrics: 'Metrics', logs: 'Logs' }[signal]}`,
  )
  expect(decode(signal, jsonToProtobuf(signals[signal].request, text))).toEqual(decode(signal, body))
  expect(budget.used).toBe(0)
})

test('a receiver of our own takes it', async () => {
  const running = await receive()
  open.push(() => running.stop())
  const endpoint = `http://127.0.0.1:${running.httpPort}`
  const { exporter } = exporterOf(otlpHttpExporter, { endpoint, encoding: 'json', compression: 'zstd' })
  open.push(() => exporter.stop?.())
  expect(await exporter.send(batch, forever)).toBeUndefined()
  expect(encodeGroups(running.batches[0].groups).equals(encodeGroups(batch.groups))).toBe(true)
})

test.each([
  ['nothing', { body: '' }, undefined],
  ['an empty object', { body: '{}' }, undefined],
  [
    'rejected items',
    { body: '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no name"}}' },
    { rejected: 1, message: 'no name' },
  ],
  ['more than there were', { body: '{"partialSuccess":{"rejectedSpans":9}}' }, { rejected: 2, message: '' }],
  ['a warning', { body: '{"partial_success":{"error_message":"old"}}' }, { rejected: 0, message: 'old' }],
  ['another type, which is not looked at', { type: 'application/x-protobuf', body: encodeResponse(1, 'x') }, undefined],
])('success with %s', async (_, reply, expected) => {
  const { exporter } = await against(reply)
  expect(await exporter.send(batch, forever)).toEqual(expected)
})

test('an answer of success that cannot be read is a success with a warning', async () => {
  const { exporter } = await against({ body: 'ok' })
  expect(await exporter.send(batch, forever)).toMatchObject({
    rejected: 0,
    message: expect.stringMatching(/cannot be read/),
  })
})

test('an error is a Status in JSON, with the delay it asks for', async () => {
  const detail = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '0.300s' }
  const { exporter } = await against({
    status: 503,
    body: JSON.stringify({ code: 14, message: 'come again', details: [detail] }),
  })
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_BUSY', kind: 'retry', retryAfter: 300 })
  expect(error.message).toMatch(/HTTP 503: come again$/)
})

test('data that no JSON can be made of is rejected, so that it is bisected, and nothing is sent', async () => {
  // A span whose status says that it is longer than it is.
  const broken = Buffer.from([0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x7a, 0x05, 0x10])
  const { exporter, budget, seen } = await against({ body: '{}' })
  const error = await refusal(exporter.send(batchOf(broken), forever))
  expect(error).toMatchObject({ code: 'DELIVERY_REJECTED', kind: 'rejected' })
  expect(error.message).toContain('cannot be written as JSON')
  expect([seen.length, budget.used]).toEqual([0, 0])
})
