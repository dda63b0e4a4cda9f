/** Heads, handshakes and names that are meant to hurt: every server says no, keeps nothing, and serves the others. */
import { once } from 'node:events'
import { request } from 'node:http'
import http2 from 'node:http2'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import * as z from 'zod'
import { components } from '../support/components.ts'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { maxHeaders } from '../../net/header-limits.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { HttpServer } from '../../net/http-server.ts'
import { Listeners } from '../../net/listeners.ts'
import { signals } from '../../proto/signals.ts'
import { startAdmin } from '../../service/admin.ts'
import { serverCert, serverKey } from '../net/certificates.ts'
import { frame } from '../support/http2-frames.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { grpcSender, httpSend, receive } from '../support/receiving.ts'
import { until } from '../support/until.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const body = tracesRequest([{ spans: ['a'] }])
const many = (count: number, value = 'v') =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, value]))

async function victim() {
  const running = await receive()
  const client = grpcSender(running.grpcPort)
  open.push(running.stop, client.close)
  const healthy = async () => [(await client.send(body)).status, (await httpSend(running.httpPort, body)).status]
  return { ...running, healthy }
}

/** What a POST with these headers hears. */
function post(port: number, headers: Record<string, string>): Promise<number | string> {
  return new Promise(resolve => {
    const type = { 'content-type': 'application/x-protobuf', 'content-length': String(body.length) }
    const sending = request(
      { port, method: 'POST', path: '/v1/traces', headers: { ...type, ...headers } },
      response => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    sending.on('error', error => resolve(error.message))
    sending.end(body)
  })
}

test.each<[string, Record<string, string>, number]>([
  ['as many headers as may be', many(maxHeaders - 4), 200],
  ['a few more', many(maxHeaders), 431],
  ['10,000 headers', many(10_000), 431],
  ['a token of 16 KiB', { authorization: 'x'.repeat(16_384) }, 200],
  ['a header of 40 KiB', { large: 'x'.repeat(40_000) }, 431],
  ['a header of 10 MiB', { large: 'x'.repeat(10 << 20) }, 431],
])('HTTP: %s', async (_what, headers, status) => {
  const { httpPort, healthy, batches, budget } = await victim()
  const answer = await post(httpPort, headers)
  // What is larger than the buffers between may be cut off before the answer is read.
  expect([status, ...(status === 431 ? ['read ECONNRESET', 'write EPIPE', 'write ECONNRESET'] : [])]).toContain(answer)
  expect(batches).toHaveLength(status === 200 ? 1 : 0)
  expect(await healthy()).toEqual([0, 200])
  await until(() => expect(budget.used).toBe(0))
})

async function session(port: number) {
  const client = http2.connect(`http://127.0.0.1:${port}`, { maxSendHeaderBlockLength: 64 << 20 })
  client.on('error', () => {})
  open.push(() => client.destroy())
  await once(client, 'remoteSettings')
  return client
}

test.each<[string, Record<string, string>, boolean]>([
  ['as many headers as may be', many(maxHeaders - 10), true],
  ['a few more', many(maxHeaders), false],
  ['10,000 headers', many(10_000), false],
  ['a token of 16 KiB', { authorization: 'x'.repeat(16_384) }, true],
  ['a header of 40 KiB', { large: 'x'.repeat(40_000) }, false],
  ['a header of 1 MiB', { large: 'x'.repeat(1 << 20) }, false],
])('gRPC: %s', async (_what, headers, passes) => {
  const { grpcPort, healthy, batches, budget } = await victim()
  const client = await session(grpcPort)
  const stream = client.request({
    ':method': 'POST',
    ':path': signals.traces.grpcPath,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  let answered = false
  stream.on('response', () => (answered = true)).on('error', () => {})
  stream.resume()
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]))
  await new Promise(resolve => stream.on('close', resolve))
  expect(answered).toBe(passes)
  expect(batches).toHaveLength(passes ? 1 : 0)
  expect(await healthy()).toEqual([0, 200])
  await until(() => expect(budget.used).toBe(0))
})

test('gRPC: a head that never ends (CONTINUATION frames) ends the connection and holds no memory', async () => {
  const { grpcPort, healthy } = await victim()
  const socket = connect(grpcPort, '127.0.0.1')
  socket.on('error', () => {})
  open.push(() => socket.destroy())
  const fields = Buffer.concat(
    Array.from({ length: 100 }, () => Buffer.from([0x00, 1, 0x61, 0x7f, 0, ...Buffer.alloc(127, 'x')])),
  )
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, 0, Buffer.alloc(0)),
      frame(1, 0, 1, fields),
    ]),
  )
  const before = process.memoryUsage().rss
  let sent = 0
  socket.resume()
  while (!socket.closed && sent < 64 << 20) {
    const next = Buffer.concat(Array.from({ length: 20 }, () => frame(9, 0, 1, fields)))
    sent += next.length
    if (!socket.write(next)) await new Promise(resolve => setTimeout(resolve, 1))
  }
  expect(socket.closed).toBe(true)
  expect(sent).toBeLessThan(64 << 20)
  expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
  expect(await healthy()).toEqual([0, 200])
})

const tls = { cert_pem: serverCert, key_pem: serverKey }

test.each(['grpc', 'http'] as const)(
  '%s: 100 TLS handshakes that stall are ended, and do not hold a stop up',
  async protocol => {
    const options = {
      budget: new Budget(1 << 20),
      log: silent,
      connected: () => undefined,
      handshakeTimeout: 150,
    }
    const server =
      protocol === 'grpc'
        ? new GrpcServer({ config: grpcServer({ endpoint: '127.0.0.1:0' }).parse({ tls }), ...options })
        : new HttpServer({ config: httpServer({ endpoint: '127.0.0.1:0' }).parse({ tls }), ...options })
    if (server instanceof HttpServer) await server.ready()
    const listeners = new Listeners()
    const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
    open.push(
      () => listeners.close(),
      () => server.stop(0),
    )
    let closed = 0
    const stall = (bytes: Buffer): Socket => {
      const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
      socket.on('error', () => {}).on('close', () => closed++)
      socket.resume()
      open.push(() => socket.destroy())
      return socket
    }
    // Nothing, and the first bytes of a ClientHello.
    for (let i = 0; i < 100; i++) stall(i % 2 === 0 ? Buffer.alloc(0) : Buffer.from([0x16, 3, 1, 2, 0, 1]))
    await until(() => expect(closed).toBe(100))
    const late = stall(Buffer.alloc(0))
    await once(late, 'connect')
    await new Promise(resolve => setTimeout(resolve, 20))
    const began = performance.now()
    await server.stop(20)
    await until(() => expect(closed).toBe(101))
    expect(performance.now() - began).toBeLessThan(120)
  },
)

test('every server listens on this machine only, unless it is told otherwise', () => {
  const endpoints = components.flatMap(({ kind, type, config }) =>
    endpointsIn(z.toJSONSchema(config, { io: 'input', unrepresentable: 'any', reused: 'inline', cycles: 'ref' })).map(
      endpoint => `${kind} ${type} ${endpoint}`,
    ),
  )
  expect(endpoints.length).toBeGreaterThanOrEqual(6)
  for (const endpoint of endpoints) expect(endpoint).toMatch(/ localhost:\d+$/)
})

/** Defaults of `endpoint` that are addresses to listen on, however deep. */
function endpointsIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]: [string, unknown]) => {
    const preset =
      key === 'endpoint' && typeof value === 'object' && value !== null && 'default' in value ? value.default : ''
    return typeof preset === 'string' && preset !== '' ? [preset] : endpointsIn(value)
  })
}

test.each<[string, Record<string, string>, number]>([
  ['nothing special', {}, 200],
  ['a name that was bound to this machine', { host: 'evil.example' }, 403],
  ['another origin', { origin: 'http://evil.example' }, 403],
  ['its own origin', { host: 'localhost:1', origin: 'http://localhost:1' }, 200],
  ['10,000 headers', many(10_000), 431],
  ['a header of 1 MiB', { large: 'x'.repeat(1 << 20) }, 431],
])('the admin server, asked with %s', async (_what, headers, status) => {
  const pages = { metrics: undefined, ready: () => ({ ready: true, phase: 'running' }), status: () => ({}) }
  const admin = await startAdmin('127.0.0.1:0', pages, new Listeners())
  open.push(() => admin.close())
  const answers = await Promise.all(
    ['/status', '/nothing'].map(
      path =>
        new Promise<number | string>(resolve => {
          const port = Number(admin.address.split(':').at(-1))
          const asking = request({ port, path, headers }, response => {
            response.resume()
            resolve(response.statusCode ?? 0)
          })
          asking.on('error', error => resolve(error.message)).end()
        }),
    ),
  )
  const cut = status === 431 ? ['read ECONNRESET', 'write EPIPE', 'write ECONNRESET'] : []
  expect([status, ...cut]).toContain(answers[0])
  expect([status === 200 ? 404 : status, ...cut]).toContain(answers[1])
})
