import { request, Agent } from 'node:http'
import { request as secureRequest } from 'node:https'
import { connect } from 'node:net'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { snappyCompress } from '@platformatic/wasm-utils/bundled'
import { afterEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import type { AdmissionLimits } from '../../net/admission.ts'
import { compress } from '../../net/compression.ts'
import { type Format, type HttpHandler, jsonFormat, protobufFormat } from '../../net/http-exchange.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { HttpServer } from '../../net/http-server.ts'
import { Listeners } from '../../net/listeners.ts'
import { decodeStatus } from '../../proto/status.ts'
import { authority, serverCert, serverKey } from './certificates.ts'
import { until } from '../support/until.ts'

const type = 'application/x-protobuf'
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface Setup {
  settings?: object
  limits?: Partial<AdmissionLimits>
  handler?: HttpHandler<{ peer: string }>
  budget?: Budget
  formats?: readonly Format[]
  /** A further path, for protobuf. */
  more?: string
}

async function serve(setup: Setup = {}) {
  const { settings = {}, limits, handler, budget = new Budget(256 << 20), formats = [protobufFormat] } = setup
  const listeners = new Listeners()
  const server = new HttpServer({
    config: httpServer({ endpoint: '127.0.0.1:0' }).parse(settings),
    budget,
    log: silent,
    connected: peer => ({ peer }),
    ...(limits ? { limits } : {}),
  })
  const echo: HttpHandler<{ peer: string }> = exchange => {
    budget.release(exchange.charge)
    exchange.reply(exchange.body)
  }
  server.register('/echo', formats, handler ?? echo)
  if (setup.more !== undefined) server.register(setup.more, [protobufFormat], echo)
  await server.ready()
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  cleanups.push(() => listeners.close())
  cleanups.push(() => server.stop(0))
  return { server, budget, port, url: `http://127.0.0.1:${port}/echo` }
}

async function send(url: string, body: Uint8Array | undefined, headers: Record<string, string> = {}, method = 'POST') {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': type, ...headers },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  })
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
}

const body = Buffer.from('a body that compresses, a body that compresses, a body that compresses')

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a few bytes', body],
  ['three megabytes', Buffer.alloc(3 << 20, 'abc')],
])('%s comes back, with and without a length', async (_what, bytes) => {
  const { port, url, budget } = await serve()
  expect((await send(url, bytes)).body.equals(bytes)).toBe(true)
  const chunked = await new Promise<Buffer>((resolve, reject) => {
    const outgoing = request({
      port,
      path: '/echo',
      method: 'POST',
      headers: { 'content-type': type, 'transfer-encoding': 'chunked' },
    })
    outgoing.on('error', reject).on('response', response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part)).on('end', () => resolve(Buffer.concat(parts)))
    })
    for (let at = 0; at < bytes.length; at += 700_000) outgoing.write(bytes.subarray(at, at + 700_000))
    outgoing.end()
  })
  expect(chunked.equals(bytes)).toBe(true)
  expect(budget.used).toBe(0)
})

test.each([
  ['identity', body],
  ['gzip', gzipSync(body)],
  ['GZIP', gzipSync(body)],
  ['deflate', deflateSync(body)],
  ['zlib', deflateSync(body)],
  ['zstd', zstdCompressSync(body)],
  ['snappy', snappyCompress(body)],
  ['snappy', await compress('x-snappy-framed', undefined, body)],
  ['x-snappy-framed', await compress('x-snappy-framed', undefined, body)],
])('content-encoding %s is read', async (encoding, packed) => {
  const { url, budget } = await serve()
  const answer = await send(url, packed, { 'content-encoding': encoding })
  expect(answer.status).toBe(200)
  expect(answer.body.equals(body)).toBe(true)
  expect(budget.used).toBe(0)
})

test.each<[string, number, Uint8Array, Record<string, string>]>([
  ['a body over the limit', 413, Buffer.alloc((1 << 20) + 1), {}],
  ['a gzip bomb', 413, gzipSync(Buffer.alloc(20 << 20)), { 'content-encoding': 'gzip' }],
  ['a deflate bomb', 413, deflateSync(Buffer.alloc(20 << 20)), { 'content-encoding': 'deflate' }],
  ['a body that is no gzip', 400, body, { 'content-encoding': 'gzip' }],
  ['an encoding nobody knows', 415, body, { 'content-encoding': 'br' }],
])('%s is answered %i with a status as protobuf', async (_what, status, bytes, headers) => {
  const { url, budget } = await serve({ settings: { max_request_body_size: 1 << 20 } })
  const answer = await send(url, bytes, headers)
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe(type)
  expect(answer.headers.get('retry-after')).toBeNull()
  expect(decodeStatus(answer.body)?.message).toMatch(/larger than|no valid gzip|not supported/)
  expect((await send(url, body)).status).toBe(200)
  await until(() => expect(budget.used).toBe(0))
  expect(budget.peak).toBeLessThan(4 << 20)
})

test('a chunked body over the limit is answered 413 while it is still being sent', async () => {
  const { port } = await serve({ settings: { max_request_body_size: 100_000 } })
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', chunk => (answer += String(chunk)))
  socket.on('error', () => {})
  socket.write(`POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`)
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`
  const sending = setInterval(() => socket.writable && socket.write(chunk), 1)
  await new Promise(resolve => socket.on('end', resolve))
  clearInterval(sending)
  expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  expect(answer).toContain('connection: close')
})

test('the answer to a refused body reaches a sender that reads it only after it has sent', async () => {
  const { port } = await serve({ settings: { max_request_body_size: 100_000 } })
  const socket = connect({ port, host: '127.0.0.1' })
  socket.pause()
  socket.on('error', () => {})
  const head = `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: 900000\r\n\r\n`
  socket.write(head)
  for (let i = 0; i < 9; i++) {
    socket.write(Buffer.alloc(100_000))
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  let answer = ''
  socket.setEncoding('latin1').on('data', chunk => (answer += String(chunk)))
  socket.resume()
  await new Promise(resolve => socket.on('close', resolve))
  expect(answer).toMatch(/^HTTP\/1\.1 413 /)
})

test('without room the request is refused before its body, with a time to come again', async () => {
  const budget = new Budget(1 << 20)
  const { url } = await serve({ budget })
  budget.charge(budget.limit)
  const answer = await send(url, body)
  expect(answer.status).toBe(503)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(decodeStatus(answer.body)?.code).toBe(14)
  budget.release(budget.limit)
  expect((await send(url, body)).status).toBe(200)
})

test.each([
  ['another path', 'POST', '/other', type, 404],
  ['another method', 'GET', '/echo', type, 405],
  ['another method with a body', 'PUT', '/echo', type, 405],
  ['JSON', 'POST', '/echo', 'application/json', 415],
  ['no content type', 'POST', '/echo', '', 415],
])('%s is refused in words', async (_what, method, path, contentType, status) => {
  const { port } = await serve()
  const bytes = method === 'GET' ? undefined : body
  const answer = await send(`http://127.0.0.1:${port}${path}`, bytes, { 'content-type': contentType }, method)
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe('text/plain')
  if (status === 415) expect(String(answer.body)).toContain('application/x-protobuf')
  if (status === 405) expect(answer.headers.get('allow')).toBe('POST')
})

test('a content type with parameters and a path with a query are fine', async () => {
  const { url } = await serve()
  expect((await send(`${url}?a=b`, body, { 'content-type': `${type}; charset=utf-8` })).status).toBe(200)
})

test('a path that takes two formats answers each in its own, and another path takes only its own', async () => {
  const { server, port, url } = await serve({ formats: [protobufFormat, jsonFormat], more: '/plain' })
  for (const [format, sent] of [
    [jsonFormat.type, 'application/JSON ; charset="utf-8"'],
    [type, type],
  ]) {
    const answer = await send(url, body, { 'content-type': sent })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, format])
    const empty = await send(url, undefined, { 'content-type': sent })
    expect([empty.status, empty.headers.get('content-type')]).toEqual([200, format])
    const tooLarge = await send(url, Buffer.alloc(server.admission.maxBody + 1), { 'content-type': sent })
    expect([tooLarge.status, tooLarge.headers.get('content-type')]).toEqual([413, format])
  }
  const other = await send(`http://127.0.0.1:${port}/plain`, body, { 'content-type': 'application/json' })
  expect([other.status, String(other.body)]).toEqual([
    415,
    '415 content type application/json is not supported; send application/x-protobuf',
  ])
  await until(() => expect(server.admission.budget.used).toBe(0))
})

test('an error has its status, and Retry-After in whole seconds', async () => {
  const { url } = await serve({ handler: e => e.fail(503, { code: 14, message: 'come again', retryDelay: 1200 }) })
  const answer = await send(url, body)
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe('2')
  expect(decodeStatus(answer.body)).toEqual({ code: 14, message: 'come again', retryDelay: 1200 })
})

test('what a handler throws is answered 500 and the next request is served', async () => {
  let first = true
  const { url } = await serve({
    handler: exchange => {
      if (!first) return exchange.reply(Buffer.alloc(0))
      first = false
      throw new Error('a fault')
    },
  })
  expect((await send(url, body)).status).toBe(500)
  expect((await send(url, body)).status).toBe(200)
})

test('a sender that goes away is told to the handler, and what it sent is given back', async () => {
  const cancelled = vi.fn<() => void>()
  const { port, budget, server } = await serve({
    handler: exchange => {
      budget.release(exchange.charge)
      exchange.onCancel = cancelled
    },
  })
  const head = `POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: 5\r\n\r\n`
  const whole = connect(port, '127.0.0.1', () => whole.write(`${head}12345`))
  const half = connect(port, '127.0.0.1', () => half.write(`${head}12`))
  await until(() => expect(server.connections).toBe(2))
  await until(() => expect(budget.used).toBeGreaterThan(0))
  setTimeout(() => {
    whole.destroy()
    half.destroy()
  }, 20)
  await until(() => expect(cancelled).toHaveBeenCalledOnce())
  await until(() => expect(server.connections).toBe(0))
  expect(budget.used).toBe(0)
  expect(server.admission.open).toBe(0)
})

test('a body that stalls is answered 503 and its connection ends', async () => {
  const { port, budget } = await serve({ limits: { sweep: 10, rateGrace: 30 } })
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', chunk => (answer += String(chunk)))
  socket.write(`POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: 5000\r\n\r\nx`)
  await new Promise(resolve => socket.on('close', resolve))
  expect(answer).toMatch(/^HTTP\/1\.1 503 /)
  await until(() => expect(budget.used).toBe(0))
})

test('an answer that takes longer than write_timeout is 503', async () => {
  const cancelled = vi.fn<() => void>()
  const { url, budget } = await serve({
    settings: { write_timeout: '30ms' },
    limits: { sweep: 10 },
    handler: exchange => {
      budget.release(exchange.charge)
      exchange.onCancel = cancelled
    },
  })
  expect((await send(url, body)).status).toBe(503)
  expect(cancelled).toHaveBeenCalledOnce()
})

test('metadata has the request headers', async () => {
  let seen: Map<string, string[]> | undefined
  const { url, port } = await serve({
    handler: exchange => {
      seen = exchange.metadata()
      exchange.reply(Buffer.alloc(0))
    },
  })
  await send(url, body, { 'X-Tenant': 'a' })
  expect(seen?.get('x-tenant')).toEqual(['a'])
  expect(seen?.get('host')).toEqual([`127.0.0.1:${port}`])
})

test('configured headers are on every answer', async () => {
  const { url } = await serve({ settings: { response_headers: { 'x-served-by': 'kymo' } } })
  expect((await send(url, body)).headers.get('x-served-by')).toBe('kymo')
  expect((await send(url, undefined, {}, 'GET')).headers.get('x-served-by')).toBe('kymo')
})

const cors = {
  allowed_origins: ['https://*.example.com'],
  allowed_headers: ['x-tenant'],
  exposed_headers: ['x-id'],
  max_age: 600,
}
test.each([
  ['https://shop.example.com', 'https://shop.example.com'],
  ['https://example.com.evil.org', null],
  ['https://shop-example-com', null],
])('a page from %s may send: %s', async (origin, allowed) => {
  const { url } = await serve({ settings: { cors } })
  const preflight = await send(url, undefined, { origin, 'access-control-request-method': 'POST' }, 'OPTIONS')
  expect(preflight.status).toBe(204)
  expect(preflight.headers.get('access-control-allow-origin')).toBe(allowed)
  expect(preflight.headers.get('access-control-max-age')).toBe(allowed && '600')
  if (allowed) expect(preflight.headers.get('access-control-allow-headers')).toContain('x-tenant')
  const answer = await send(url, body, { origin })
  expect(answer.headers.get('access-control-allow-origin')).toBe(allowed)
  expect(answer.headers.get('access-control-allow-credentials')).toBe(allowed && 'true')
})

test('connections are kept for further requests, unless turned off', async () => {
  const twice = async (settings: object) => {
    const { port, server } = await serve({ settings })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set<number | undefined>()
    for (let i = 0; i < 2; i++) {
      await new Promise<void>((resolve, reject) => {
        const outgoing = request({ port, agent, path: '/echo', method: 'POST', headers: { 'content-type': type } })
        outgoing.on('response', response => {
          ports.add(response.socket.localPort)
          response.resume().on('end', resolve)
        })
        outgoing.on('error', reject).end(body)
      })
    }
    agent.destroy()
    await until(() => expect(server.connections).toBe(0))
    return ports.size
  }
  expect(await twice({})).toBe(1)
  expect(await twice({ keep_alives_enabled: false })).toBe(2)
})

test('a head that never ends is answered 408', async () => {
  const { port } = await serve({ settings: { read_header_timeout: '60ms' } })
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', chunk => (answer += String(chunk)))
  socket.write('POST /echo HTTP/1.1\r\nhost: x\r\nx-')
  await new Promise(resolve => socket.on('close', resolve))
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
})

test('an idle connection is closed', async () => {
  const { port, server } = await serve({ settings: { idle_timeout: '30ms' } })
  const agent = new Agent({ keepAlive: true })
  await new Promise<void>(resolve => {
    const outgoing = request({ port, agent, path: '/echo', method: 'POST', headers: { 'content-type': type } })
    outgoing.on('response', response => response.resume().on('end', () => resolve())).end(body)
  })
  expect(server.connections).toBe(1)
  await until(() => expect(server.connections).toBe(0))
  agent.destroy()
})

test('stop lets requests finish, within its deadline, and ends idle connections', async () => {
  const answers: (() => void)[] = []
  const { url, server } = await serve({ handler: e => void answers.push(() => e.reply(Buffer.from('late'))) })
  const first = send(url, body)
  await until(() => expect(answers).toHaveLength(1))
  setTimeout(() => answers[0](), 20)
  await server.stop(5000)
  expect(String((await first).body)).toBe('late')
  expect(server.connections).toBe(0)

  const stuck = await serve({ handler: () => {} })
  const second = send(stuck.url, body)
  second.catch(() => {})
  await until(() => expect(stuck.server.connections).toBe(1))
  await stuck.server.stop(30)
  await expect(second).rejects.toThrow()
})

test('over TLS', async () => {
  const { port } = await serve({ settings: { tls: { cert_pem: serverCert, key_pem: serverKey } } })
  const status = await new Promise((resolve, reject) => {
    const outgoing = secureRequest({
      port,
      host: 'localhost',
      ca: authority,
      path: '/echo',
      method: 'POST',
      headers: { 'content-type': type },
    })
    outgoing.on('response', response => resolve(response.resume().statusCode)).on('error', reject)
    outgoing.end(body)
  })
  expect(status).toBe(200)
})
