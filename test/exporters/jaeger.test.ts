import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import type { Logger } from '../../core/logger.ts'
import { addressOf, jaeger } from '../../exporters/jaeger.ts'
import { signals } from '../../proto/signals.ts'
import { GrpcCode } from '../../proto/status.ts'
import { authority, serverCert, serverKey } from '../net/certificates.ts'
import { batchOf, complaints, exporterOf, forever, refusal } from '../support/exporting.ts'
import { answer, bareHttp2, failure, grpcJs } from '../support/grpc-peer.ts'
import { type Line, keepingLogger } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { componentContext } from '../support/contexts.ts'

const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop()
})

const body = tracesRequest([{ namespace: 'shop', spans: ['a', 'b'] }])
const batch = batchOf(body)

function started(config: object) {
  const made = exporterOf(jaeger, config, ['traces'])
  open.push({ stop: () => made.exporter.stop?.() })
  return made.exporter
}

interface Seen {
  path: string | undefined
  headers: IncomingMessage['headers']
  body: Buffer
}

async function httpServer(status = 200, secure?: { key: string; cert: string }) {
  const seen: Seen[] = []
  const serve: Parameters<typeof createServer>[1] = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      seen.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks) })
      response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end()
    })
  }
  const server = secure ? createTlsServer(secure, serve) : createServer(serve)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  open.push({
    stop: () => {
      server.closeAllConnections()
      return new Promise(resolve => server.close(resolve))
    },
  })
  return { seen, port: (server.address() as AddressInfo).port }
}

describe('by default', () => {
  test('traces arrive byte for byte over gRPC, without TLS, compressed', async () => {
    const seen: [string, string, string][] = []
    const server = await grpcJs((call, done) => {
      seen.push([call.getPath(), call.request.toString('hex'), String(call.metadata.get('user-agent'))])
      done(null, Buffer.alloc(0))
    })
    open.push(server)
    expect(await started({ endpoint: server.endpoint }).send(batch, forever)).toBeUndefined()
    expect(seen).toEqual([[signals.traces.grpcPath, body.toString('hex'), expect.stringMatching(/kymo/i)]])
  })

  test('the frame says that it is gzip', async () => {
    let encoding: unknown
    const server = await bareHttp2((stream, headers) => {
      encoding = headers['grpc-encoding']
      answer(stream)
    })
    open.push(server)
    await started({ endpoint: server.endpoint }).send(batch, forever)
    expect(encoding).toBe('gzip')
  })
})

test('over HTTP they arrive at /v1/traces, with the headers that were set', async () => {
  const { seen, port } = await httpServer()
  const exporter = started({ protocol: 'http', endpoint: `127.0.0.1:${port}`, headers: { 'X-Key': 'k' } })
  expect(await exporter.send(batch, forever)).toBeUndefined()
  const [{ path, headers, body: sent }] = seen
  expect(path).toBe('/v1/traces')
  expect(headers).toMatchObject({ 'x-key': 'k', 'content-encoding': 'gzip', 'content-type': 'application/x-protobuf' })
  expect(gunzipSync(sent).toString('hex')).toBe(body.toString('hex'))
})

test.each([
  ['https:// in front', (port: number) => ({ endpoint: `https://127.0.0.1:${port}` })],
  ['a tls section', (port: number) => ({ endpoint: `127.0.0.1:${port}` })],
])('%s asks for TLS, and the certificate is checked', async (_, config) => {
  const { port, seen } = await httpServer(200, { key: serverKey, cert: serverCert })
  const trusting = started({ protocol: 'http', ...config(port), tls: { ca_pem: authority } })
  await trusting.send(batch, forever)
  expect(seen).toHaveLength(1)
  const error = await refusal(started({ protocol: 'http', ...config(port), tls: {} }).send(batch, forever))
  expect(error).toMatchObject({ kind: 'retry', code: 'DELIVERY_UNREACHABLE' })
})

const at = (config: object) => addressOf(jaeger.config.parse(config))

test.each([
  ['nothing', {}, 'localhost:4317'],
  ['only the protocol', { protocol: 'http' }, 'http://localhost:4318/v1/traces'],
  ['host and port', { endpoint: 'jaeger:4317' }, 'jaeger:4317'],
  ['host and port, over HTTP', { endpoint: 'jaeger:4318', protocol: 'http' }, 'http://jaeger:4318/v1/traces'],
  ['the same with TLS', { endpoint: 'jaeger:4318', protocol: 'http', tls: {} }, 'https://jaeger:4318/v1/traces'],
  [
    'a URL below a path',
    { endpoint: 'https://x.example/jaeger/', protocol: 'http' },
    'https://x.example/jaeger/v1/traces',
  ],
  ['the whole URL', { endpoint: 'http://j:4318/v1/traces', protocol: 'http' }, 'http://j:4318/v1/traces'],
  ['another port', { endpoint: 'jaeger:443', tls: {} }, 'jaeger:443'],
  ['a socket', { endpoint: 'unix:///run/jaeger.sock' }, 'unix:///run/jaeger.sock'],
])('%s leads where Jaeger listens', (_, config, address) => {
  expect(at(config)).toBe(address)
})

test.each([
  ['the port of the old protocol', { endpoint: 'jaeger:14250' }, /14250 .* before OTLP; it takes OTLP on 4317/],
  ['the port of Thrift', { endpoint: 'jaeger:14268' }, /14268 .* before OTLP; it takes OTLP on 4317/],
  [
    'the URL of Thrift',
    { endpoint: 'http://jaeger:14268/api/traces', protocol: 'http' },
    /path of a protocol that Jaeger had before OTLP/,
  ],
  ['its port over HTTP', { endpoint: 'http://jaeger:14268', protocol: 'http' }, /it takes OTLP on 4318/],
  ['the port of the agent', { endpoint: 'jaeger:6831' }, /agent, which is no more/],
  ['the port of the pages', { endpoint: 'jaeger:16686' }, /pages and queries; it takes OTLP on 4317/],
  ['the port of HTTP with gRPC', { endpoint: 'jaeger:4318' }, /set `protocol: http`, or use its port 4317/],
  ['the port of gRPC with HTTP', { endpoint: 'jaeger:4317', protocol: 'http' }, /set `protocol: grpc`/],
  ['no port', { endpoint: 'jaeger' }, /has no port/],
  ['no port over HTTP', { endpoint: 'jaeger', protocol: 'http' }, /has no port/],
  ['another scheme', { endpoint: 'ftp://jaeger:1', protocol: 'http' }, /only http:\/\/ and https:\/\//],
  ['no URL', { endpoint: 'http://', protocol: 'http' }, /is no URL/],
  ['a key of gRPC with HTTP', { protocol: 'http', keepalive: {} }, /^keepalive: .*set `protocol: grpc`/],
  ['a key of HTTP with gRPC', { proxy_url: 'http://proxy:1' }, /^proxy_url: .*set `protocol: http`/],
  ['a header that the protocol sets', { headers: { 'grpc-timeout': '1S' } }, /is set by the protocol itself/],
])('%s is told with what to do', (_, config, complaint) => {
  expect(complaints(jaeger, config)).toEqual([expect.stringMatching(complaint)])
})

test('a key of the other protocol that says what is the default is no mistake', () => {
  expect(complaints(jaeger, { wait_for_ready: false, idle_conn_timeout: '90s' })).toEqual([])
})

test.each([
  ['grpc', 4 << 20],
  ['http', 20 << 20],
])('over %s no request is larger than what Jaeger takes by default', (protocol, most) => {
  const exporter = started({ protocol })
  const [name] = names('s'.repeat(most / 2), 1)
  const half = batchOf(tracesRequest([{ spans: [name] }]))
  const whole = batchOf(tracesRequest([{ spans: [name, name] }]))
  expect([half.byteLength < most, whole.byteLength > most]).toEqual([true, true])
  expect(exporter.fits?.(half)).toBe(true)
  expect(exporter.fits?.(whole)).toBe(false)
})

test.each([
  ['a wrong token over gRPC', GrpcCode.UNAUTHENTICATED, 'denied'],
  ['a message that is too large', GrpcCode.RESOURCE_EXHAUSTED, 'too_large'],
  ['a Jaeger that is busy', GrpcCode.UNAVAILABLE, 'retry'],
  ['bytes that it cannot read', GrpcCode.INVALID_ARGUMENT, 'rejected'],
])('%s means %s', async (_, code, kind) => {
  const server = await grpcJs((_call, done) => done(failure(code, 'because')))
  open.push(server)
  const error = await refusal(started({ endpoint: server.endpoint }).send(batch, forever))
  expect(error.kind).toBe(kind)
  expect(error.message).toContain('because')
})

test.each([
  [401, 'denied'],
  [403, 'denied'],
  [413, 'too_large'],
  [429, 'retry'],
  [503, 'retry'],
  [400, 'rejected'],
])('over HTTP %i means %s', async (status, kind) => {
  const { port } = await httpServer(status)
  const error = await refusal(started({ protocol: 'http', endpoint: `127.0.0.1:${port}` }).send(batch, forever))
  expect(error.kind).toBe(kind)
})

test.each([
  ['a token over a plain connection', { endpoint: 'jaeger:4317', headers: { authorization: 'x' } }, 1],
  ['the same over HTTP', { endpoint: 'http://j:4318', protocol: 'http', headers: { authorization: 'x' } }, 1],
  ['a token over TLS', { endpoint: 'https://jaeger:4317', headers: { authorization: 'x' } }, 0],
  ['a token that stays on the machine', { headers: { authorization: 'x' } }, 0],
  ['no token', { endpoint: 'jaeger:4317' }, 0],
])('%s: %#', async (_, config, warnings) => {
  const lines: Line[] = []
  const log: Logger = keepingLogger(lines)
  const context = componentContext({ id: 'jaeger', log })
  const made = jaeger.create(jaeger.config.parse(config), { ...context, signals: new Set(['traces']) })
  await made.stop?.()
  expect(lines.map(({ message }) => message)).toEqual(
    Array.from({ length: warnings }, () => expect.stringMatching(/without TLS/) as string),
  )
  expect(JSON.stringify(lines)).not.toContain('"x"')
})
