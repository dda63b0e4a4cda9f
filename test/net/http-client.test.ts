import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Canceller } from '../../core/cancellation.ts'
import { bodyLimit, HttpClient, HttpClientError, type HttpClientOptions } from '../../net/http-client.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

type Handler = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void

async function server(handler: Handler): Promise<{ url: URL; connections: () => number }> {
  let connections = 0
  const made = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handler(request, response, Buffer.concat(chunks)))
  })
  made.on('connection', () => connections++)
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  open.push(() => {
    made.closeAllConnections()
    made.close()
  })
  return {
    url: new URL(`http://127.0.0.1:${(made.address() as AddressInfo).port}/v1/x?y=1`),
    connections: () => connections,
  }
}

async function rawServer(onSocket: (socket: net.Socket) => void): Promise<URL> {
  const made = net.createServer(socket => {
    socket.on('error', () => {})
    open.push(() => socket.destroy())
    onSocket(socket)
  })
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  open.push(() => made.close())
  return new URL(`http://127.0.0.1:${(made.address() as AddressInfo).port}/`)
}

function client(options: HttpClientOptions = {}): HttpClient {
  const made = new HttpClient(options)
  open.push(() => made.close())
  return made
}

const body = Buffer.from('request')
const failed = (call: Promise<unknown>): Promise<HttpClientError> =>
  call.then(
    () => Promise.reject(new Error('the request succeeded')),
    (error: unknown) => (error instanceof HttpClientError ? error : Promise.reject(error as Error)),
  )

test('a request brings everything over, and its answer comes back', async () => {
  const { url } = await server((request, response, received) => {
    expect(request.method).toBe('POST')
    expect(request.url).toBe('/v1/x?y=1')
    expect(request.headers).toMatchObject({ 'x-key': 'k', 'content-length': '7' })
    response.writeHead(418, { 'content-type': 'text/tea', 'retry-after': '7' }).end(`got ${String(received)}`)
  })
  const answer = await client().post(url, { 'x-key': 'k' }, body, { timeout: 5000 })
  expect(answer).toMatchObject({ status: 418, truncated: false })
  expect(answer.headers).toMatchObject({ 'content-type': 'text/tea', 'retry-after': '7' })
  expect(String(answer.body)).toBe('got request')
})

test.each([
  // The first is not yet free when its answer is handed over.
  ['connections are kept', {}, 2],
  ['without keep-alive each request has its own', { keepAlive: false }, 20],
])('%s', async (_, options, expected) => {
  const { url, connections } = await server((_request, response) => response.end())
  const made = client(options)
  for (let i = 0; i < 20; i++) await made.post(url, {}, body)
  expect(connections()).toBe(expected)
})

test('an answer is had without sending a body', async () => {
  const { url } = await server((request, response, body) => {
    response.end(`${request.method} ${request.url} ${String(request.headers['x-key'])} ${body.length}`)
  })
  const client = new HttpClient()
  open.push(() => client.close())
  const answer = await client.get(url, { 'x-key': 'k' })
  expect(answer.body.toString()).toBe('GET /v1/x?y=1 k 0')
})

test('there are no more connections than allowed', async () => {
  const { url, connections } = await server((_request, response) => setTimeout(() => response.end(), 5))
  const made = client({ maxConnections: 2 })
  await Promise.all(Array.from({ length: 8 }, () => made.post(url, {}, body)))
  expect(connections()).toBe(2)
})

test('a redirect is an answer and is not followed', async () => {
  let requests = 0
  const { url } = await server((_request, response) => {
    requests++
    response.writeHead(307, { location: '/elsewhere' }).end()
  })
  expect(await client().post(url, {}, body)).toMatchObject({ status: 307 })
  expect(requests).toBe(1)
})

test('of a long answer only the beginning is read', async () => {
  const { url } = await server((_request, response) => response.end(Buffer.alloc(3 * bodyLimit, 'x')))
  const made = client()
  const answer = await made.post(url, {}, body)
  expect(answer).toMatchObject({ status: 200, truncated: true })
  expect(answer.body.length).toBe(bodyLimit)
  expect(await made.post(url, {}, body)).toMatchObject({ status: 200 })
})

test('an answer of just the limit is whole', async () => {
  const { url } = await server((_request, response) => response.end(Buffer.alloc(bodyLimit)))
  expect(await client().post(url, {}, body)).toMatchObject({ truncated: false })
})

test('an answer that never ends is ended by the timeout', async () => {
  const { url } = await server((_request, response) => {
    response.write('x')
  })
  expect(await failed(client().post(url, {}, body, { timeout: 40 }))).toMatchObject({ reason: 'timeout', sent: true })
})

test('a server that does not answer is a timeout, perhaps taken', async () => {
  const { url } = await server(() => {})
  expect(await failed(client().post(url, {}, body, { timeout: 40 }))).toMatchObject({ reason: 'timeout', sent: true })
})

test('a request can be given up, and one that was given up is not started', async () => {
  const cancellation = new Canceller()
  const { url } = await server(() => cancellation.cancel(new Error('enough')))
  const made = client()
  expect(await failed(made.post(url, {}, body, { cancellation }))).toMatchObject({
    reason: 'aborted',
    sent: true,
  })
  expect(await failed(made.post(url, {}, body, { cancellation }))).toMatchObject({
    reason: 'aborted',
    sent: false,
  })
})

test('nobody there: not sent', async () => {
  const { url } = await server(() => {})
  await open.pop()?.()
  const error = await failed(client().post(url, {}, body, { timeout: 5000 }))
  expect(error).toMatchObject({ reason: 'unreachable', sent: false })
  expect(error.message).toContain('ECONNREFUSED')
})

test('a name that does not exist: not sent', async () => {
  const error = await failed(client().post(new URL('http://no-such-host.invalid:4318/'), {}, body, { timeout: 5000 }))
  expect(error.sent).toBe(false)
})

test('a connection that breaks before the answer: perhaps taken', async () => {
  const url = await rawServer(socket => socket.once('data', () => socket.resetAndDestroy()))
  expect(await failed(client().post(url, {}, body))).toMatchObject({ reason: 'unreachable', sent: true })
})

test('an answer that is no HTTP: perhaps taken', async () => {
  const url = await rawServer(socket => socket.once('data', () => socket.end('SSH-2.0-x\r\n')))
  expect(await failed(client().post(url, {}, body))).toMatchObject({ reason: 'unreachable', sent: true })
})

test('an answer that is cut off still says its status', async () => {
  const url = await rawServer(socket =>
    socket.once('data', () => socket.end('HTTP/1.1 503 no\r\ncontent-length: 100\r\n\r\nwait')),
  )
  const answer = await client().post(url, {}, body)
  expect(answer).toMatchObject({ status: 503, truncated: true })
  expect(String(answer.body)).toBe('wait')
})

test('a connection that cannot be made in time is given up', async () => {
  // TLS that never begins.
  const url = await rawServer(() => {})
  const error = await failed(
    client({ tls: () => ({}), connectTimeout: 30 }).post(new URL(`https://${url.host}/`), {}, body, { timeout: 5000 }),
  )
  expect(error).toMatchObject({ reason: 'unreachable', sent: false })
  expect(error.message).toContain('no connection within 30ms')
})

test('TLS that cannot be had fails the request, and nothing goes off when the time to connect is over', async () => {
  const uncaught: unknown[] = []
  const hear = (error: unknown) => uncaught.push(error)
  process.on('uncaughtException', hear)
  const broken = () => {
    throw new Error('ca.pem cannot be read')
  }
  const sent = client({ tls: broken, connectTimeout: 10 }).post(new URL('https://127.0.0.1:1/'), {}, body, {
    timeout: 5000,
  })
  await expect(sent).rejects.toThrow(/ca\.pem cannot be read/)
  await new Promise(resolve => setTimeout(resolve, 30))
  process.off('uncaughtException', hear)
  expect(uncaught).toEqual([])
})

test('a plain server behind https:// is told of', async () => {
  const { url } = await server((_request, response) => response.end())
  const error = await failed(client().post(new URL(`https://${url.host}/`), {}, body, { timeout: 5000 }))
  expect(error.message).toContain('does not speak TLS')
})

test('a proxy is asked for the server', async () => {
  const { url } = await server((_request, response, received) => response.end(received))
  const asked: (string | undefined)[] = []
  const proxy = http.createServer()
  proxy.on('connect', (request: IncomingMessage, socket: net.Socket) => {
    asked.push(request.url)
    const onward = net.connect(Number(url.port), url.hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [socket, onward]) end.on('error', () => {})
    open.push(() => socket.destroy())
  })
  proxy.on('request', (request, response) => {
    asked.push(new URL(request.url ?? '').host)
    request.pipe(
      http.request(request.url ?? '', { method: 'POST', headers: request.headers }, answer => answer.pipe(response)),
    )
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  open.push(() => proxy.close())
  const made = client({ proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  expect(String((await made.post(url, {}, body)).body)).toBe('request')
  expect(asked).toEqual([url.host])
})

test('a closed client sends nothing', async () => {
  const { url } = await server((_request, response) => response.end())
  const made = new HttpClient()
  await made.post(url, {}, body)
  await made.close()
  expect(await failed(made.post(url, {}, body))).toMatchObject({ reason: 'aborted', sent: false })
})
