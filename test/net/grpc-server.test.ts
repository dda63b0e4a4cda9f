import http2, { type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { snappyCompress } from '@platformatic/wasm-utils/bundled'
import * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import type { AdmissionLimits } from '../../net/admission.ts'
import type { GrpcHandler } from '../../net/grpc-server-call.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { Listeners } from '../../net/listeners.ts'
import { decodeStatus, GrpcCode } from '../../proto/status.ts'
import { authority, clientCert, clientKey, serverCert, serverKey } from './certificates.ts'

const path = '/test.Echo/Call'
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Setup {
  settings?: object
  limits?: Partial<AdmissionLimits>
  handler?: GrpcHandler<{ peer: string }>
  budget?: Budget
  onTls?: (error: string | undefined) => void
}

async function serve({ settings = {}, limits, handler, budget = new Budget(256 << 20), onTls }: Setup = {}) {
  const listeners = new Listeners()
  const server = new GrpcServer({
    config: grpcServer({ endpoint: '127.0.0.1:0' }).parse(settings),
    budget,
    log: silent,
    connected: peer => ({ peer }),
    ...(limits ? { limits } : {}),
    ...(onTls ? { onTls } : {}),
  })
  server.register(
    path,
    handler ??
      (call => {
        budget.release(call.charge)
        call.reply(call.body)
      }),
  )
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  cleanups.push(() => listeners.close())
  cleanups.push(() => server.stop(0))
  return { server, budget, port }
}

function grpcJs(port: number, options: grpc.ClientOptions = {}, credentials = grpc.credentials.createInsecure()) {
  const client = new grpc.Client(`127.0.0.1:${port}`, credentials, options)
  cleanups.push(() => client.close())
  const raw = (bytes: Buffer) => bytes
  return (body: Buffer, more: grpc.CallOptions & { metadata?: grpc.Metadata; path?: string } = {}) =>
    new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest(
        more.path ?? path,
        raw,
        raw,
        body,
        more.metadata ?? new grpc.Metadata(),
        more,
        (error, value) => (error ? reject(error) : resolve(value ?? Buffer.alloc(0))),
      ),
    )
}

async function session(port: number): Promise<ClientHttp2Session> {
  const client = http2.connect(`http://127.0.0.1:${port}`)
  client.on('error', () => {})
  cleanups.push(() => client.destroy())
  await new Promise(resolve => client.once('remoteSettings', resolve))
  return client
}

const frame = (body: Buffer, flag = 0, length = body.length) => {
  const prefix = Buffer.from([flag, 0, 0, 0, 0])
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, body])
}

interface Answer {
  headers: IncomingHttpHeaders
  trailers: IncomingHttpHeaders
  body: Buffer
  reset: number
}

/** Sends raw bytes as one call. */
function call(client: ClientHttp2Session, body: Buffer | undefined, headers: object = {}): Promise<Answer> {
  const stream = client.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  return new Promise(resolve => {
    const answer: Answer = { headers: {}, trailers: {}, body: Buffer.alloc(0), reset: 0 }
    stream.on('response', headers => (answer.headers = headers))
    stream.on('trailers', trailers => (answer.trailers = trailers))
    stream.on('data', (chunk: Buffer) => (answer.body = Buffer.concat([answer.body, chunk])))
    stream.on('error', () => {})
    stream.on('close', () => resolve({ ...answer, reset: stream.rstCode ?? 0 }))
    if (body !== undefined) stream.end(body)
  })
}

const statusOf = (answer: Answer) => Number(answer.trailers['grpc-status'] ?? answer.headers['grpc-status'])

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
  await vi.waitFor(() => expect(cancelled).toHaveBeenCalledOnce())
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
  await vi.waitFor(() => expect(late).toBeDefined())
  client.destroy()
  await vi.waitFor(() => expect(cancelled).toHaveBeenCalledOnce())
  late?.()
})

const body = Buffer.from('a body that compresses, a body that compresses, a body that compresses')
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
])('%s are answered 415', async (_what, headers) => {
  const { port } = await serve()
  expect((await call(await session(port), Buffer.alloc(0), headers)).headers[':status']).toBe(415)
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

test('a connection that is too old is ended gently: its call is answered, new calls find a new connection', async () => {
  const answers: (() => void)[] = []
  const { port, server } = await serve({
    settings: { keepalive: { server_parameters: { max_connection_age: '40ms', max_connection_age_grace: '10s' } } },
    handler: call => void answers.push(() => call.reply(Buffer.from('late'))),
  })
  const client = await session(port)
  const gone = new Promise(resolve => client.once('goaway', resolve))
  const answer = call(client, frame(body))
  expect(await gone).toBe(http2.constants.NGHTTP2_NO_ERROR)
  expect(server.connections).toBe(1)
  answers[0]()
  expect(statusOf(await answer)).toBe(0)
  await vi.waitFor(() => expect(server.connections).toBe(0))
})

test('calls go on without a failure while connections are replaced', async () => {
  const { port } = await serve({ settings: { keepalive: { server_parameters: { max_connection_age: '20ms' } } } })
  const send = grpcJs(port)
  const end = Date.now() + 300
  let calls = 0
  while (Date.now() < end) {
    await Promise.all(Array.from({ length: 5 }, () => send(body)))
    calls += 5
  }
  expect(calls).toBeGreaterThan(50)
})

test('a connection that outstays the grace, or is idle, is closed', async () => {
  const { port, server } = await serve({
    settings: {
      keepalive: { server_parameters: { max_connection_age: '40ms', max_connection_age_grace: '40ms' } },
    },
    handler: () => {},
  })
  void call(await session(port), frame(body))
  await vi.waitFor(() => expect(server.connections).toBe(0))
  const idle = await serve({ settings: { keepalive: { server_parameters: { max_connection_idle: '40ms' } } } })
  await session(idle.port)
  await vi.waitFor(() => expect(idle.server.connections).toBe(0))
})

test('a client that pings too often is told to calm down, one that may ping is not', async () => {
  const strict = await serve()
  const client = await session(strict.port)
  const gone = new Promise(resolve => client.once('goaway', (code, _id, text) => resolve([code, String(text)])))
  for (let i = 0; i < 5; i++) client.ping(() => {})
  expect(await gone).toEqual([http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_pings'])
  const settings = { keepalive: { enforcement_policy: { min_time: '0s', permit_without_stream: true } } }
  const lenient = await session((await serve({ settings })).port)
  for (let i = 0; i < 5; i++) await new Promise(resolve => lenient.ping(resolve))
  expect(lenient.destroyed).toBe(false)
})

test('a client that opens and resets streams without end loses its connection', async () => {
  const { port, server } = await serve({ handler: () => {} })
  const client = await session(port)
  let sent = 0
  for (; sent < 5000 && !client.destroyed && !client.closed; sent++) {
    const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
    stream.on('error', () => {})
    stream.close(http2.constants.NGHTTP2_CANCEL)
    if (sent % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await vi.waitFor(() => expect(server.connections).toBe(0))
})

test('stop lets calls finish, within its deadline', async () => {
  const answers: (() => void)[] = []
  const { port, server } = await serve({ handler: call => void answers.push(() => call.reply(Buffer.alloc(0))) })
  const client = await session(port)
  const first = call(client, frame(body))
  await vi.waitFor(() => expect(answers).toHaveLength(1))
  const stopped = server.stop(5000)
  setTimeout(() => answers[0](), 20)
  await stopped
  expect(statusOf(await first)).toBe(0)
  expect(server.connections).toBe(0)

  const stuck = await serve({ handler: () => {} })
  const second = call(await session(stuck.port), frame(body))
  await vi.waitFor(() => expect(stuck.server.connections).toBe(1))
  await stuck.server.stop(30)
  expect((await second).headers[':status']).toBeUndefined()
})

const tls = { cert_pem: serverCert, key_pem: serverKey }
const trust = Buffer.from(authority)
test.each([
  ['TLS', tls, grpc.credentials.createSsl(trust), true],
  [
    'mutual TLS with a certificate',
    { ...tls, client_ca_file: 'ca.crt' },
    grpc.credentials.createSsl(trust, Buffer.from(clientKey), Buffer.from(clientCert)),
    true,
  ],
  ['mutual TLS without a certificate', { ...tls, client_ca_file: 'ca.crt' }, grpc.credentials.createSsl(trust), false],
])('%s', async (_what, settings, credentials, served) => {
  const { mkdtempSync, writeFileSync } = await import('node:fs')
  const file = `${mkdtempSync('/tmp/kymo-')}/ca.crt`
  writeFileSync(file, authority)
  const { port } = await serve({
    settings: { tls: 'client_ca_file' in settings ? { ...settings, client_ca_file: file } : settings },
  })
  const sent = grpcJs(port, {}, credentials)(body, { deadline: Date.now() + 2000 })
  if (served) expect((await sent).equals(body)).toBe(true)
  else await expect(sent).rejects.toMatchObject({ code: 14 })
})
