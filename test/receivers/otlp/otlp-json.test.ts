/** OTLP/JSON over HTTP; what it shares with protobuf stands in otlp.test.ts. */
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { requestCost } from '../../../net/admission.ts'
import type { Batch } from '../../../core/batch.ts'
import { Budget } from '../../../core/budget.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { encodeGroups, groupCost } from '../../../proto/group.ts'
import { protobufToJson } from '../../../proto/json-write.ts'
import { readRequest } from '../../../proto/request.ts'
import { allSignals, signals } from '../../../proto/signals.ts'
import { everything } from '../../support/everything.ts'
import { names, tracesRequest } from '../../support/otlp-bytes.ts'
import { decode } from '../../support/otlp-proto.ts'
import { httpSend, receive, type Receiving, type ReceivingOptions } from '../../support/receiving.ts'
import { retained } from '../../support/batches.ts'
import { until } from '../../support/until.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function started(options: ReceivingOptions = {}): Promise<Receiving> {
  const running = await receive(options)
  cleanups.push(running.stop)
  return running
}

const json = { 'content-type': 'application/json' }
const ten = tracesRequest([{ namespace: 'shop', spans: names('a', 6) }, { spans: names('b', 4) }])
const text = protobufToJson(signals.traces.request, ten)

/** Sends a text and gives what came back, which must be JSON. */
async function post({ httpPort }: Receiving, body: string | Buffer, headers: Record<string, string> = json) {
  const response = await fetch(`http://127.0.0.1:${httpPort}/v1/traces`, {
    method: 'POST',
    headers,
    body: new Uint8Array(Buffer.from(body)),
  })
  expect(response.headers.get('content-type')).toBe('application/json')
  return { status: response.status, body: await response.json(), headers: response.headers }
}

test.each(allSignals)('%s as JSON are what they are as protobuf, field by field', async signal => {
  const body = everything(signal)
  const running = await started()
  const sent = protobufToJson(signals[signal].request, body)
  const heard = await httpSend(running.httpPort, sent, { signal, headers: json })
  expect([heard.status, String(heard.body)]).toEqual([200, '{}'])
  const [batch] = running.batches
  expect(batch.context.transport).toBe('http')
  expect(decode(signal, encodeGroups(batch.groups))).toEqual(decode(signal, body))
  expect(running.budget.used).toBe(0)
})

test.each([
  ['with a charset', 'application/json; charset=utf-8', text],
  ['in other letters', 'Application/JSON', text],
  ['indented', 'application/json', Buffer.from(JSON.stringify(JSON.parse(String(text)), undefined, 2))],
])('a request %s is taken', async (_, type, body) => {
  const running = await started()
  expect((await post(running, body, { 'content-type': type })).status).toBe(200)
  expect(running.batches[0].items).toBe(10)
})

test('a request in gzip holds what its protobuf takes, and neither its text nor what it was sent as', async () => {
  const held: number[] = []
  const running = await started({
    push: batch => {
      held.push(batch.shares[0].lease.bytes, retained(batch))
      expect(running.budget.used).toBeLessThan(ten.length + requestCost + 1000)
      batch.accept()
    },
  })
  await post(running, gzipSync(text), { ...json, 'content-encoding': 'gzip' })
  const size = ten.length + readRequest('traces', ten).groups.length * groupCost
  expect(held).toEqual([size, size])
  await until(() => expect(running.budget.used).toBe(0))
})

test('the text and the room to read it are charged while it is read, and there must be some', async () => {
  const body = protobufToJson(signals.traces.request, tracesRequest([{ spans: names('x', 2000) }]))
  // A connection may hold a quarter.
  const budget = new Budget(body.length * 4 + 65_536)
  const running = await started({ budget })
  expect((await post(running, body)).status).toBe(200)
  expect(budget.peak).toBeGreaterThan(body.length * 2)
  const other = budget.limit - body.length * 1.5
  budget.charge(other)
  const heard = await post(running, body)
  expect([heard.status, heard.body]).toEqual([503, expect.objectContaining({ code: 14 })])
  expect(Number(heard.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(budget.used).toBe(other)
  expect(running.batches).toHaveLength(1)
})

test.each<[string, (batch: Batch) => void, number, object]>([
  ['dropped by a rule', batch => batch.drop(), 200, {}],
  [
    'rejected in part',
    batch => {
      const [head, rest] = batch.cut(4)
      head.reject('too old')
      rest?.accept()
    },
    200,
    { partialSuccess: { rejectedSpans: '4', errorMessage: 'too old' } },
  ],
  ['warned of', batch => batch.accept('3 of many'), 200, { partialSuccess: { errorMessage: '3 of many' } }],
  ['rejected', batch => batch.reject('no such thing'), 400, { code: 3, message: 'no such thing' }],
  [
    'refused',
    batch => batch.refuse(new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'queue is full', { retryAfter: 2300 })),
    503,
    {
      code: 14,
      message: 'queue is full',
      details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '2.300s' }],
    },
  ],
])('what is %s is told in JSON', async (_, push, status, body) => {
  const running = await started({ push })
  const heard = await post(running, text)
  expect([heard.status, heard.body]).toEqual([status, body])
  expect(heard.headers.get('retry-after')).toBe(status === 503 ? '3' : null)
  expect(running.budget.used).toBe(0)
})

test.each([
  ['an object without items', '{}', 200, undefined],
  ['a resource without spans', '{"resourceSpans":[{"resource":{}}]}', 200, undefined],
  ['nothing at all', '', 400, undefined],
  ['no JSON', ten, 400, undefined],
  ['cut off', text.subarray(0, -3), 400, undefined],
  ['of another kind', '{"resourceSpans":[{"resource":7}]}', 400, 'resourceSpans[0].resource'],
  ['bad UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')]), 400, 'byte 6'],
])('a request that is %s reaches no pipeline', async (_, body, status, expected) => {
  const running = await started()
  const heard = await post(running, body)
  expect(heard.status).toBe(status)
  if (status === 200) expect(heard.body).toEqual({})
  else expect(heard.body).toEqual({ code: 3, message: expect.stringContaining(expected ?? '') as string })
  expect(running.batches).toHaveLength(0)
  expect(running.budget.used).toBe(0)
})

test('what is too large, compressed wrongly, or finds no room is told in JSON too', async () => {
  const running = await started({ http: { max_request_body_size: 1000 } })
  expect(await post(running, Buffer.alloc(1001, ' '))).toMatchObject({ status: 413, body: { code: 8 } })
  expect(await post(running, 'x', { ...json, 'content-encoding': 'gzip' })).toMatchObject({
    status: 400,
    body: { code: 3 },
  })
  running.budget.pressed = true
  expect(await post(running, '{}')).toMatchObject({ status: 503, body: { code: 14 } })
})

test('a page of an allowed origin may ask, and then send, as a browser does', async () => {
  const origin = 'https://shop.example.com'
  const running = await started({ http: { cors: { allowed_origins: ['https://*.example.com'], max_age: 60 } } })
  const url = `http://127.0.0.1:${running.httpPort}/v1/traces`
  const ask = (from: string) =>
    fetch(url, {
      method: 'OPTIONS',
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    })
  const allowed = await ask(origin)
  expect(allowed.status).toBe(204)
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': expect.stringContaining('content-type') as string,
    'access-control-max-age': '60',
  })
  expect((await ask('https://evil.example.org')).headers.get('access-control-allow-origin')).toBeNull()
  const sent = await post(running, text, { ...json, origin })
  expect(sent.headers.get('access-control-allow-origin')).toBe(origin)
  const refused = await post(running, 'x', { ...json, origin })
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([400, origin])
  expect(running.batches[0].items).toBe(10)
})
