import { gzipSync } from 'node:zlib'
import * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { requestCost } from '../../../net/admission.ts'
import type { Batch } from '../../../core/batch.ts'
import type { ReceiverDefinition } from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { encodeGroups, groupCost } from '../../../proto/group.ts'
import { decodeResponse } from '../../../proto/response.ts'
import { allSignals } from '../../../proto/signals.ts'
import { decodeStatus } from '../../../proto/status.ts'
import { otlp } from '../../../receivers/otlp/otlp.ts'
import { names, spanNames, tracesRequest } from '../../support/otlp-bytes.ts'
import {
  grpcSender,
  type Heard,
  httpSend,
  receive,
  type Receiving,
  type ReceivingOptions,
} from '../../support/receiving.ts'
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

type Send = (body: Buffer, more?: { deadline?: number }) => Promise<Heard>
function senders(running: Receiving): Record<'grpc' | 'http', Send> {
  const client = grpcSender(running.grpcPort)
  cleanups.push(client.close)
  return { grpc: client.send, http: body => httpSend(running.httpPort, body) }
}

const ten = tracesRequest([{ namespace: 'shop', spans: names('a', 6) }, { spans: names('b', 4) }])
/** What it takes while it is inside: its bytes, and an object for each of its groups. */
const held = ten.length + 2 * groupCost

const notOtlp = Buffer.from([0xff, 0xff, 0xff])
const largeNotOtlp = Buffer.concat([Buffer.alloc(2_000_000, Buffer.from('0a00', 'hex')), notOtlp])
test.each([
  ['grpc', 'a small one', notOtlp, 3],
  ['grpc', 'a large one', largeNotOtlp, 3],
  ['http', 'a small one', notOtlp, 400],
  ['http', 'a large one', largeNotOtlp, 400],
  ['json', 'a small one', Buffer.from('{'), 400],
  ['json', 'a large one', Buffer.from(`{"a":"${'x'.repeat(2_000_000)}"`), 400],
])('over %s what is no OTLP, be it %s, is refused as malformed and counted', async (way, _, body, status) => {
  const running = await started()
  const answer =
    way === 'json'
      ? await httpSend(running.httpPort, body, { headers: { 'content-type': 'application/json' } })
      : await senders(running)[way as 'grpc' | 'http'](body)
  expect(answer.status).toBe(status)
  expect(running.refused('malformed')).toBe(1)
  expect(running.budget.used).toBe(0)
})

test.each(['grpc', 'http'] as const)(
  'over %s a request becomes one batch with its items, bytes and charge',
  async protocol => {
    let seen:
      | { items: number; names: string[]; charged: number; retained: number; peer: string | undefined }
      | undefined
    const running = await started({
      push: batch => {
        seen = {
          items: batch.items,
          names: spanNames(encodeGroups(batch.groups)),
          charged: batch.shares[0].lease.bytes,
          retained: retained(batch),
          peer: batch.context.peer,
        }
        batch.accept()
      },
    })
    const heard = await senders(running)[protocol](ten)
    expect(heard).toMatchObject({ status: protocol === 'grpc' ? 0 : 200, body: Buffer.alloc(0) })
    expect(seen).toMatchObject({ items: 10, names: spanNames(ten), charged: held, retained: held })
    expect(seen?.peer).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(running.batches[0].context).toMatchObject({ receiver: 'otlp', transport: protocol, metadata: undefined })
    expect(running.budget.used).toBe(0)
  },
)

test('the batches of one connection share one context, unless metadata is kept', async () => {
  const running = await started({ http: { include_metadata: true } })
  const { grpc, http } = senders(running)
  await grpc(ten)
  await grpc(ten)
  expect(running.batches[0].context).toBe(running.batches[1].context)
  await http(ten)
  expect(running.batches[2].context.metadata?.get('content-type')).toEqual(['application/x-protobuf'])
})

const refusal = (retryAfter?: number) =>
  new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'queue is full', { retryAfter })

test.each<
  [string, (batch: Batch) => void, { grpc: number; http: number; retry?: number; after?: string; message?: string }]
>([
  ['dropped by a rule is success', batch => batch.drop(), { grpc: 0, http: 200 }],
  ['rejected is bad data', batch => batch.reject('no such thing'), { grpc: 3, http: 400, message: 'no such thing' }],
  [
    'refused may come again',
    batch => batch.refuse(refusal()),
    { grpc: 14, http: 503, retry: 1000, after: '1', message: 'queue is full' },
  ],
  [
    'refused may come again after a while',
    batch => batch.refuse(refusal(2300)),
    { grpc: 14, http: 503, retry: 2300, after: '3' },
  ],
  [
    'refused in part is refused',
    batch => {
      const [head, rest] = batch.cut(4)
      head.accept()
      rest?.refuse(refusal(700))
    },
    { grpc: 14, http: 503, retry: 700, after: '1' },
  ],
])('what is %s', async (_what, push, expected) => {
  const running = await started({ push })
  const { grpc, http } = senders(running)
  const answers = { grpc: await grpc(ten), http: await http(ten) }
  expect([answers.grpc.status, answers.http.status]).toEqual([expected.grpc, expected.http])
  expect(answers.http.retryAfter).toBe(expected.after ?? null)
  if (expected.message) expect(answers.grpc.message).toBe(expected.message)
  if (expected.http !== 200) {
    const details = decodeStatus(answers.http.details ?? Buffer.alloc(0))
    expect(details?.code).toBe(expected.grpc)
    expect(details?.retryDelay).toBe(expected.retry)
  }
  const inTrailer = answers.grpc.details
  expect(inTrailer && decodeStatus(inTrailer)?.retryDelay).toBe(expected.retry)
  expect(running.budget.used).toBe(0)
})

test.each<[string, (batch: Batch) => void, { rejected: number; message: string }]>([
  [
    'a part that is rejected is told with its count',
    batch => {
      const [head, rest] = batch.cut(4)
      head.reject('too old')
      rest?.accept()
    },
    { rejected: 4, message: 'too old' },
  ],
  [
    'a warning is told with success',
    batch => batch.accept('the backend rejected 3 of many'),
    { rejected: 0, message: 'the backend rejected 3 of many' },
  ],
])('%s', async (_what, push, expected) => {
  const running = await started({ push })
  const { grpc, http } = senders(running)
  for (const heard of [await grpc(ten), await http(ten)]) {
    expect([0, 200]).toContain(heard.status)
    expect(decodeResponse(heard.body)).toEqual(expected)
  }
})

test.each([
  ['nothing at all', Buffer.alloc(0)],
  ['a resource without spans', tracesRequest([{ namespace: 'shop', spans: [] }])],
])('%s is success and reaches no pipeline', async (_what, body) => {
  const running = await started()
  const { grpc, http } = senders(running)
  expect([(await grpc(body)).status, (await http(body)).status]).toEqual([0, 200])
  expect(running.batches).toHaveLength(0)
  expect(running.budget.used).toBe(0)
})

test.each([
  ['cut off', ten.subarray(0, ten.length - 3)],
  ['no protobuf', Buffer.from('{"resourceSpans":[]}')],
])('a request that is %s is bad data, with the place', async (_what, body) => {
  const running = await started()
  const { grpc, http } = senders(running)
  const [one, two] = [await grpc(body), await http(body)]
  expect([one.status, two.status]).toEqual([3, 400])
  expect(one.message).not.toBe('')
  expect(decodeStatus(two.details ?? Buffer.alloc(0))?.message).toBe(one.message)
  expect(running.budget.used).toBe(0)
})

test('a signal that no pipeline takes is unknown', async () => {
  const running = await started({ signals: ['logs'] })
  const { grpc, http } = senders(running)
  expect([(await grpc(ten)).status, (await http(ten)).status]).toEqual([12, 404])
})

test('a request over the limit is never to come again, one without room is', async () => {
  const running = await started({ grpc: { max_recv_msg_size_mib: 1 }, http: { max_request_body_size: 1 << 20 } })
  const { grpc, http } = senders(running)
  const large = Buffer.alloc((1 << 20) + 1)
  const tooLarge = [await grpc(large), await http(large)]
  expect(tooLarge.map(heard => heard.status)).toEqual([8, 413])
  expect(tooLarge[0].details).toBeUndefined()
  expect(tooLarge[1].retryAfter).toBeNull()
  running.budget.pressed = true
  const noRoom = [await grpc(ten), await http(ten)]
  expect(noRoom.map(heard => heard.status)).toEqual([14, 503])
  expect(decodeStatus(noRoom[0].details ?? Buffer.alloc(0))?.retryDelay).toBeGreaterThan(0)
  expect(Number(noRoom[1].retryAfter)).toBeGreaterThanOrEqual(1)
})

test('another content type is told what to send instead', async () => {
  const running = await started()
  const heard = await httpSend(running.httpPort, Buffer.from('{}'), { headers: { 'content-type': 'text/json' } })
  expect(heard.status).toBe(415)
  expect(heard.message).toContain('application/x-protobuf or application/json')
})

test("a sender's deadline or disconnect withdraws its delivery, whose bytes stay charged until they end", async () => {
  const running = await started({ push: () => {} })
  const { grpc } = senders(running)
  expect((await grpc(ten, { deadline: Date.now() + 50 })).status).toBe(4)
  const abort = new AbortController()
  const heard = httpSend(running.httpPort, ten, { abort: abort.signal })
  heard.catch(() => {})
  await until(() => expect(running.batches).toHaveLength(2))
  abort.abort()
  await until(() => expect(running.batches.map(batch => batch.withdrawn)).toEqual([true, true]))
  expect(running.budget.used).toBe(2 * held)
  for (const batch of running.batches) batch.accept()
  expect(running.budget.used).toBe(0)
})

test('compressed requests hold what they inflate to, not what was sent', async () => {
  const running = await started({ push: () => {} })
  const packed = gzipSync(ten)
  const abort = new AbortController()
  const heard = httpSend(running.httpPort, packed, { headers: { 'content-encoding': 'gzip' }, abort: abort.signal })
  heard.catch(() => {})
  await until(() => expect(running.batches).toHaveLength(1))
  // Beside it, what the request costs with its head until the answer is taken.
  const request = running.budget.used - held
  expect(request).toBeGreaterThan(requestCost)
  expect(request).toBeLessThan(requestCost + 1000)
  running.batches[0].accept()
  await heard
})

test('all signals are served on both protocols, on the paths that are set', async () => {
  const running = await started({ http: { logs_url_path: 'other/logs' } })
  const client = grpcSender(running.grpcPort)
  cleanups.push(client.close)
  for (const signal of allSignals) {
    expect((await client.send(Buffer.alloc(0), { signal })).status).toBe(0)
    const path = signal === 'logs' ? '/other/logs' : undefined
    expect((await httpSend(running.httpPort, Buffer.alloc(0), { signal, ...(path && { path }) })).status).toBe(200)
  }
})

test('stop answers what is under way, takes nothing more, and may be called twice', async () => {
  const waiting: Batch[] = []
  const running = await receive({ push: batch => void waiting.push(batch) })
  const { grpc, http } = senders(running)
  const answers = Promise.all([grpc(ten), http(ten)])
  await until(() => expect(waiting).toHaveLength(2))
  setTimeout(() => waiting.forEach(batch => batch.accept()), 20)
  await running.stop()
  expect((await answers).map(heard => heard.status)).toEqual([0, 200])
  await expect(http(ten)).rejects.toThrow()
  await running.stop()
})

test('a certificate that is not there yet is a status and no failure to start', async () => {
  const running = await started({ grpc: { tls: { cert_file: '/nowhere/tls.crt', key_file: '/nowhere/tls.key' } } })
  expect(running.status.state).toBe('RecoverableError')
  expect(running.status.lastError).toContain('/nowhere/tls.crt')
  expect((await senders(running).http(ten)).status).toBe(200)
})

const parse = (config: unknown) => (otlp as ReceiverDefinition<unknown>).config.safeParse(config)

test.each<[string, unknown, string]>([
  ['no protocols', {}, 'expected object'],
  ['no protocol', { protocols: {} }, 'name at least one protocol'],
  ['only protocols that are off', { protocols: { grpc: { enabled: false } } }, 'name at least one protocol'],
  ['an endpoint without a port', { protocols: { grpc: { endpoint: 'localhost' } } }, 'is no address'],
  ['a middleware', { protocols: { http: { middlewares: [{ id: 'x' }] } } }, 'no middleware extension'],
  ['an authenticator without an id', { protocols: { grpc: { auth: {} } } }, '`authenticator` is missing'],
  [
    'a compression nobody knows',
    { protocols: { http: { compression_algorithms: ['lz4'] } } },
    '`lz4` is no compression',
  ],
  ['an unknown key', { protocols: { grpc: { endpont: 'localhost:4317' } } }, 'Unrecognized key'],
])('a configuration with %s is refused', (_what, config, message) => {
  expect(
    parse(config)
      .error?.issues.map(issue => issue.message)
      .join(),
  ).toContain(message)
})

test('naming a protocol is enough', () => {
  expect(parse({ protocols: { grpc: null, http: {} } }).data).toMatchObject({
    protocols: {
      grpc: { endpoint: 'localhost:4317', max_recv_msg_size_mib: 64, enabled: true, include_metadata: false },
      http: { endpoint: 'localhost:4318', traces_url_path: '/v1/traces', max_request_body_size: 64 * 2 ** 20 },
    },
  })
  expect(parse({ protocols: { grpc: null } }).data).not.toHaveProperty('protocols.http')
})

test.each(otlp.examples)('the example parses: $title', ({ config }) => {
  expect(parse(config).error).toBeUndefined()
})

test('grpc-js with gzip is served', async () => {
  const running = await started()
  const client = grpcSender(running.grpcPort, { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip })
  cleanups.push(client.close)
  expect((await client.send(ten)).status).toBe(0)
  expect(running.batches[0].items).toBe(10)
})
