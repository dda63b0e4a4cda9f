import { once } from 'node:events'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { snappyCompress } from '@platformatic/wasm-utils/bundled'
import * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { decodeStatus, GrpcCode } from '../../proto/status.ts'
import { body, call, cleanup, frame, grpcJs, path, serve, session, statusOf } from '../support/grpc-serving.ts'
import { until } from '../support/until.ts'

afterEach(cleanup)

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a few bytes', Buffer.from('hello')],
  ['three megabytes', Buffer.alloc(3 << 20, 'abc')],
])('grpc-js gets %s back, plain and gzipped', async (_what, body) => {
  const { port, budget } = await serve()
  expect((await grpcJs(port)(body)).equals(body)).toBe(true)
  const options = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip }
  expect((await grpcJs(port, options)(body)).equals(body)).toBe(true)
  expect(budget.used).toBe(0)
})

test('grpc-js understands an error with a message beyond ASCII and a delay to retry', async () => {
  const message = 'Warteschlange ist 100 % voll: später noch einmal ✓'
  const { port } = await serve({
    handler: call => call.fail({ code: GrpcCode.UNAVAILABLE, message, retryDelay: 2500 }),
  })
  const error = (await grpcJs(port)(Buffer.from('x')).catch((e: unknown) => e)) as grpc.ServiceError
  expect(error).toMatchObject({ code: grpc.status.UNAVAILABLE, details: message })
  const details = decodeStatus(error.metadata.get('grpc-status-details-bin')[0] as Buffer)
  expect(details).toEqual({ code: 14, message, retryDelay: 2500 })
})

test('a handler that never answers meets the deadline, is told once, and the sender hears DEADLINE_EXCEEDED', async () => {
  const cancelled = vi.fn<() => void>()
  const { port, server, budget } = await serve({
    limits: { sweep: 10 },
    handler: call => {
      budget.release(call.charge)
      call.onCancel = cancelled
    },
  })
  await expect(grpcJs(port)(Buffer.from('x'), { deadline: Date.now() + 60 })).rejects.toMatchObject({ code: 4 })
  await until(() => expect(cancelled).toHaveBeenCalledOnce())
  const answer = await call(await session(port), frame(Buffer.from('x')), { 'grpc-timeout': '20m' })
  expect(statusOf(answer)).toBe(GrpcCode.DEADLINE_EXCEEDED)
  expect(cancelled).toHaveBeenCalledTimes(2)
  expect(server.admission.open).toBe(0)
})

test('a sender that goes away while the handler works is told to the handler, and a late answer hurts nobody', async () => {
  let late: (() => void) | undefined
  const cancelled = vi.fn<() => void>()
  const { port, budget } = await serve({
    handler: call => {
      budget.release(call.charge)
      call.onCancel = cancelled
      late = () => call.reply(Buffer.alloc(0))
    },
  })
  const client = await session(port)
  void call(client, frame(Buffer.from('x')))
  await until(() => expect(late).toBeDefined())
  client.destroy()
  await until(() => expect(cancelled).toHaveBeenCalledOnce())
  late?.()
})

test.each([
  ['identity', 0, body],
  ['gzip', 1, gzipSync(body)],
  ['deflate', 1, deflateSync(body)],
  ['zstd', 1, zstdCompressSync(body)],
  ['snappy', 1, snappyCompress(body)],
  ['gzip', 0, body],
])('grpc-encoding %s with flag %i is read', async (encoding, flag, packed) => {
  const { port, budget } = await serve()
  const answer = await call(await session(port), frame(packed, flag), { 'grpc-encoding': encoding })
  expect(statusOf(answer)).toBe(0)
  expect(answer.body.subarray(5).equals(body)).toBe(true)
  expect(budget.used).toBe(0)
})

test.each<[string, Buffer, object, number]>([
  ['no message', Buffer.alloc(0), {}, GrpcCode.INVALID_ARGUMENT],
  ['a prefix that is cut off', frame(body).subarray(0, 4), {}, GrpcCode.INVALID_ARGUMENT],
  ['a message that is cut off', frame(body).subarray(0, 20), {}, GrpcCode.INVALID_ARGUMENT],
  ['two messages', Buffer.concat([frame(body), frame(body)]), {}, GrpcCode.INVALID_ARGUMENT],
  ['bytes after the message', Buffer.concat([frame(body), Buffer.from('x')]), {}, GrpcCode.INVALID_ARGUMENT],
  ['a compressed message without an encoding', frame(gzipSync(body), 1), {}, GrpcCode.INVALID_ARGUMENT],
  ['an unknown flag', frame(body, 7), { 'grpc-encoding': 'gzip' }, GrpcCode.INVALID_ARGUMENT],
  ['a message that is no gzip', frame(body, 1), { 'grpc-encoding': 'gzip' }, GrpcCode.INVALID_ARGUMENT],
  ['an encoding nobody knows', frame(body, 1), { 'grpc-encoding': 'br' }, GrpcCode.UNIMPLEMENTED],
  ['a method nobody serves', frame(body), { ':path': '/test.Echo/Other' }, GrpcCode.UNIMPLEMENTED],
  ['a deadline that is none', frame(body), { 'grpc-timeout': 'soon' }, GrpcCode.INVALID_ARGUMENT],
  ['a size over the limit', frame(Buffer.alloc(9), 0, (1 << 20) + 1), {}, GrpcCode.RESOURCE_EXHAUSTED],
  ['a size of four gigabytes', frame(Buffer.alloc(9), 0, 2 ** 32 - 1), {}, GrpcCode.RESOURCE_EXHAUSTED],
  ['a gzip bomb', frame(gzipSync(Buffer.alloc(40 << 20)), 1), { 'grpc-encoding': 'gzip' }, GrpcCode.RESOURCE_EXHAUSTED],
  [
    'a zstd bomb',
    frame(zstdCompressSync(Buffer.alloc(40 << 20)), 1),
    { 'grpc-encoding': 'zstd' },
    GrpcCode.RESOURCE_EXHAUSTED,
  ],
])(
  '%s is refused with its code, without a hint to retry, and the connection goes on',
  async (_what, bytes, headers, code) => {
    const { port, budget } = await serve({ settings: { max_recv_msg_size_mib: 1 } })
    const client = await session(port)
    const answer = await call(client, bytes, headers)
    expect(statusOf(answer)).toBe(code)
    expect(answer.headers['grpc-status-details-bin']).toBeUndefined()
    if (code === GrpcCode.UNIMPLEMENTED && 'grpc-encoding' in headers) {
      expect(answer.headers['grpc-accept-encoding']).toBe('identity,gzip,deflate,zstd,snappy')
    }
    expect(statusOf(await call(client, frame(body)))).toBe(0)
    expect(budget.used).toBe(0)
    expect(budget.peak).toBeLessThan(3 << 20)
  },
)

test('a large refused message leaves the connection usable, again and again', async () => {
  const { port } = await serve({ settings: { max_recv_msg_size_mib: 1 } })
  const client = await session(port)
  const large = frame(Buffer.alloc(6 << 20))
  for (let i = 0; i < 12; i++) expect(statusOf(await call(client, large))).toBe(GrpcCode.RESOURCE_EXHAUSTED)
  expect(statusOf(await call(client, frame(body)))).toBe(0)
  await expect(grpcJs(port, { 'grpc.max_send_message_length': -1 })(large)).rejects.toMatchObject({ code: 8 })
})

test('a refused stream is reset, so that a sender that never ends it holds nothing', async () => {
  const { port } = await serve({ settings: { max_recv_msg_size_mib: 1 } })
  const client = await session(port)
  const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
  stream.write(frame(Buffer.alloc(100_000), 0, 2 << 20))
  await new Promise(resolve => stream.resume().on('close', resolve))
  expect(client.closed).toBe(false)
})

test('without room the call is refused before its body, with a delay to retry', async () => {
  const budget = new Budget(1 << 20)
  const { port } = await serve({ budget })
  budget.charge(budget.limit)
  const answer = await call(await session(port), undefined)
  expect(statusOf(answer)).toBe(GrpcCode.UNAVAILABLE)
  const details = Buffer.from(String(answer.headers['grpc-status-details-bin']), 'base64')
  expect(decodeStatus(details)?.retryDelay).toBeGreaterThan(0)
})

test.each([
  ['other methods', { ':method': 'GET' }],
  ['other content types', { 'content-type': 'application/json' }],
  ['gRPC-web', { 'content-type': 'application/grpc-web' }],
])('%s are answered 415 once they have come, so that no reset overtakes the answer', async (_what, headers) => {
  const { port, server, budget } = await serve()
  const client = await session(port)
  for (const size of [0, 9, 3 << 20]) {
    const answer = await call(client, Buffer.alloc(size), headers)
    expect(answer.headers).toMatchObject({ ':status': 415, 'content-type': 'application/grpc', 'grpc-status': '3' })
    expect(answer.headers['grpc-message']).toContain('is no call of gRPC')
  }
  expect([server.admission.refusals.unserved, budget.used]).toEqual([3, 0])
})

test('what is no gRPC and takes its time, or is larger than may be, is not waited for', async () => {
  const { port, server } = await serve({
    limits: { sweep: 10, rateGrace: 50, maxBody: 100_000 },
  })
  const client = await session(port)
  const slow = await call(client, undefined, { 'content-type': 'text/plain' })
  expect(statusOf(slow)).toBe(GrpcCode.UNAVAILABLE)
  expect(server.admission.refusals).toMatchObject({ slow: 1, unserved: 0 })
  const open = client.request({ ':method': 'POST', ':path': path, 'content-type': 'text/plain' })
  open.on('error', () => {})
  open.write(Buffer.alloc(200_000))
  const [headers] = (await once(open, 'response')) as [Record<string, unknown>]
  expect(headers[':status']).toBe(415)
})

test.each([
  [
    'two messages',
    Buffer.concat([frame(body), frame(body)]),
    `a call has one message: something follows the first, of ${body.length} bytes`,
  ],
  [
    'a second, empty message',
    Buffer.concat([frame(Buffer.alloc(0)), frame(body)]),
    'a call has one message: something follows the first, of 0 bytes',
  ],
  ['half a prefix', frame(body).subarray(0, 3), 'the five bytes in front of a message are cut off'],
  ['nothing', Buffer.alloc(0), 'call without a message'],
])('%s is told in words that fit', async (_what, bytes, text) => {
  const { port } = await serve()
  expect((await call(await session(port), bytes)).headers['grpc-message']).toBe(text)
})

test('of a method that nobody serves the beginning is told', async () => {
  const { port, server } = await serve()
  const answer = await call(await session(port), frame(body), { ':path': `/${'x'.repeat(500)}` })
  expect(answer.headers['grpc-message']).toBe(`this server does not serve /${'x'.repeat(99)}...`)
  expect(server.admission.refusals.unserved).toBe(1)
})

test('the message may arrive in any pieces', async () => {
  const { port } = await serve()
  const client = await session(port)
  const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
  const reply: Buffer[] = []
  stream.on('data', (chunk: Buffer) => reply.push(chunk))
  for (const byte of frame(body)) {
    stream.write(Buffer.from([byte]))
    await new Promise(resolve => setImmediate(resolve))
  }
  stream.end()
  await new Promise(resolve => stream.on('close', resolve))
  expect(Buffer.concat(reply).subarray(5).equals(body)).toBe(true)
})

test('metadata has every value of every header, by lower-case name', async () => {
  let seen: Map<string, string[]> | undefined
  const { port } = await serve({
    handler: call => {
      seen = call.metadata()
      call.reply(Buffer.alloc(0))
    },
  })
  const metadata = new grpc.Metadata()
  metadata.add('X-Tenant', 'a')
  metadata.add('x-tenant', 'b')
  await grpcJs(port)(body, { metadata })
  expect(seen?.get('x-tenant')?.join(', ')).toBe('a, b')
  expect(seen?.get(':path')).toBeUndefined()
})

test('what a handler throws is an INTERNAL error and the next call is served', async () => {
  let first = true
  const { port } = await serve({
    handler: call => {
      if (!first) return call.reply(Buffer.alloc(0))
      first = false
      throw new Error('a fault')
    },
  })
  const send = grpcJs(port)
  await expect(send(body)).rejects.toMatchObject({ code: 13, details: 'internal error' })
  await send(body)
})
