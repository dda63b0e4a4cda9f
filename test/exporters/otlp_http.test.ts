import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ConfigError } from '../../core/errors.ts'
import { otlpHttpExporter } from '../../exporters/otlp_http.ts'
import { encodingOf } from '../../net/compression.ts'
import { Inflation } from '../../net/inflation.ts'
import { encodeResponse } from '../../proto/response.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { encodeStatus } from '../../proto/status.ts'
import { batchOf, complaints, exporterOf, forever, refusal } from '../support/exporting.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const body = tracesRequest([
  { namespace: 'shop', spans: ['a', 'b'] },
  { namespace: 'bank', spans: ['c'] },
])
const batch = batchOf(body)
const protobuf = 'application/x-protobuf'

interface Seen {
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
interface Reply {
  readonly status?: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: Buffer | string
}

async function server(reply: Reply | undefined): Promise<{ url: string; seen: Seen[]; stop: () => void }> {
  const seen: Seen[] = []
  const made = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      seen.push({ url: request.url, headers: request.headers, body: Buffer.concat(chunks) })
      if (reply === undefined) request.socket.resetAndDestroy()
      else response.writeHead(reply.status ?? 200, reply.headers).end(reply.body)
    })
  })
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  const stop = (): void => {
    made.closeAllConnections()
    made.close()
  }
  open.push(stop)
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, seen, stop }
}

function started(config: object, only: readonly Signal[] = allSignals) {
  const made = exporterOf(otlpHttpExporter, config, only)
  open.push(() => made.exporter.stop?.())
  return made
}

async function against(reply: Reply | undefined, config: object = {}) {
  const { url, seen } = await server(reply)
  return { ...started({ endpoint: url, ...config }), url, seen }
}

test.each(allSignals)('%s arrive byte for byte at the path of their own', async signal => {
  // A name that is also a data point, so that the bytes are a request of each signal.
  const body = tracesRequest([{ namespace: 'shop', spans: ['\n\0'] }])
  const { exporter, seen } = await against({}, { compression: 'none' })
  expect(await exporter.send(batchOf(body, signal), forever)).toBeUndefined()
  expect(seen[0].url).toBe(signals[signal].path)
  expect(seen[0].body.toString('hex')).toBe(body.toString('hex'))
  expect(seen[0].headers).toMatchObject({ 'content-type': protobuf, 'user-agent': expect.stringMatching(/^kymo\/\d/) })
  expect(seen[0].headers).not.toHaveProperty('content-encoding')
})

test.each([
  ['what is the default', {}, 'gzip'],
  ['gzip', { compression: 'gzip', compression_params: { level: 9 } }, 'gzip'],
  ['deflate', { compression: 'deflate' }, 'deflate'],
  ['zlib', { compression: 'zlib' }, 'zlib'],
  ['zstd', { compression: 'zstd', compression_params: { level: 3 } }, 'zstd'],
  ['snappy', { compression: 'snappy' }, 'snappy'],
  ['x-snappy-framed', { compression: 'x-snappy-framed' }, 'x-snappy-framed'],
])('with %s the body is what it is announced as', async (_, config, encoding) => {
  const { exporter, seen } = await against({}, config)
  await exporter.send(batch, forever)
  expect(seen[0].headers['content-encoding']).toBe(encoding)
  const known = encodingOf(encoding)
  expect(known && new Inflation(known, seen[0].body).runNow(1 << 20).toString('hex')).toBe(body.toString('hex'))
})

test.each([
  ['a path in the endpoint is kept', (url: string) => ({ endpoint: `${url}/otlp` }), '/otlp/v1/traces'],
  ['a slash at its end is one', (url: string) => ({ endpoint: `${url}/otlp/` }), '/otlp/v1/traces'],
  ['a query is kept', (url: string) => ({ endpoint: `${url}/?tenant=a` }), '/v1/traces?tenant=a'],
  [
    'a URL for the signal is taken as it is',
    (url: string) => ({ endpoint: 'http://no.invalid', traces_endpoint: `${url}/in?x=1` }),
    '/in?x=1',
  ],
])('%s', async (_, config, path) => {
  const { url, seen } = await server({})
  await started(config(url)).exporter.send(batch, forever)
  expect(seen[0].url).toBe(path)
})

test('headers are sent, and a name and password in the URL are credentials', async () => {
  const { url, seen } = await server({ status: 401 })
  const { exporter } = started({ endpoint: url.replace('//', '//me:p%40ss@'), headers: { 'X-Scope-OrgID': 'shop' } })
  const error = await refusal(exporter.send(batch, forever))
  expect(seen[0].headers).toMatchObject({
    'x-scope-orgid': 'shop',
    authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
  })
  expect(error.message).not.toMatch(/p@ss|p%40ss|shop/)
})

test('a signal in a pipeline without a URL is an error of the configuration', () => {
  const config = { traces_endpoint: 'http://x/v1/traces' }
  expect(() => started(config, ['traces'])).not.toThrow()
  expect(() => started(config, ['traces', 'logs'])).toThrow(ConfigError)
  expect(() => started(config, ['logs'])).toThrow(/`logs_endpoint`/)
})

test.each([
  [
    'rejected items',
    { headers: { 'content-type': protobuf }, body: encodeResponse(2, 'no name') },
    { rejected: 2, message: 'no name' },
  ],
  [
    'a warning',
    { headers: { 'content-type': protobuf }, body: encodeResponse(0, 'old') },
    { rejected: 0, message: 'old' },
  ],
  ['full success', { headers: { 'content-type': protobuf }, body: '' }, undefined],
  ['no content', { status: 204 }, undefined],
  ['accepted', { status: 202, headers: { 'content-type': 'text/plain' }, body: 'ok' }, undefined],
  [
    'a partial success of another type, which is not looked at',
    { headers: { 'content-type': 'application/json' }, body: '{"partialSuccess":{"rejectedSpans":"2"}}' },
    undefined,
  ],
  [
    'a type with parameters',
    { headers: { 'content-type': 'Application/X-Protobuf; charset=utf-8' }, body: encodeResponse(1, '') },
    { rejected: 1, message: '' },
  ],
  [
    'a text that a small server calls HTML',
    { headers: { 'content-type': 'text/html; charset=utf-8' }, body: 'ok' },
    undefined,
  ],
])('success with %s', async (_, reply, expected) => {
  const { exporter } = await against(reply)
  expect(await exporter.send(batch, forever)).toEqual(expected)
})

test('an answer of success that cannot be read is a success with a warning', async () => {
  const { exporter } = await against({ headers: { 'content-type': protobuf }, body: '<html>' })
  expect(await exporter.send(batch, forever)).toMatchObject({
    rejected: 0,
    message: expect.stringMatching(/cannot be read/),
  })
})

test.each([
  [429, 'DELIVERY_BUSY', 'retry', false],
  [502, 'DELIVERY_BUSY', 'retry', true],
  [503, 'DELIVERY_BUSY', 'retry', false],
  [504, 'DELIVERY_BUSY', 'retry', true],
  [413, 'DELIVERY_TOO_LARGE', 'too_large', false],
  [401, 'DELIVERY_DENIED', 'denied', false],
  [403, 'DELIVERY_DENIED', 'denied', false],
  [404, 'DELIVERY_DENIED', 'denied', false],
  [405, 'DELIVERY_DENIED', 'denied', false],
  [400, 'DELIVERY_REJECTED', 'rejected', false],
  [408, 'DELIVERY_REJECTED', 'rejected', false],
  [415, 'DELIVERY_REJECTED', 'rejected', false],
  [422, 'DELIVERY_REJECTED', 'rejected', false],
  [500, 'DELIVERY_REJECTED', 'rejected', false],
  [501, 'DELIVERY_REJECTED', 'rejected', false],
])('HTTP %i is %s: %s', async (status, code, kind, maybeTaken) => {
  const { exporter, url } = await against({
    status,
    headers: { 'content-type': protobuf },
    body: encodeStatus({ code: 3, message: 'because' }),
  })
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code, kind, maybeTaken, retryAfter: undefined })
  expect(error.message).toBe(`${url}/v1/traces: HTTP ${status}: because`)
})

test.each([
  ['seconds', { 'retry-after': '2' }, '', 2000],
  ['nothing', {}, '', undefined],
  ['nonsense', { 'retry-after': 'soon' }, '', undefined],
  ['RetryInfo', { 'content-type': protobuf }, encodeStatus({ code: 14, message: '', retryDelay: 300 }), 300],
])('how long to wait is taken from %s', async (_, headers, content, expected) => {
  const { exporter } = await against({ status: 503, headers, body: content })
  expect((await refusal(exporter.send(batch, forever))).retryAfter).toBe(expected)
})

test('how long to wait is taken from a date', async () => {
  const { exporter } = await against({
    status: 429,
    headers: { 'retry-after': new Date(Date.now() + 60_000).toUTCString() },
  })
  const { retryAfter } = await refusal(exporter.send(batch, forever))
  expect(retryAfter).toBeGreaterThan(58_000)
  expect(retryAfter).toBeLessThanOrEqual(60_000)
})

test.each([
  [
    'a message in JSON',
    { 'content-type': 'application/json' },
    '{"code":3,"message":"bad span"}',
    /HTTP 400: bad span$/,
  ],
  ['JSON of another shape', { 'content-type': 'application/json' }, '{"error":"x"}', /HTTP 400: {"error":"x"}$/],
  ['broken JSON', { 'content-type': 'application/json' }, '{', /HTTP 400: {$/],
  [
    'a text with line breaks',
    { 'content-type': 'text/plain' },
    'line 1\n\u001b[31mline 2',
    /HTTP 400: line 1 \[31mline 2$/,
  ],
  ['a Status that is none', { 'content-type': protobuf }, '<h1>', /HTTP 400: <h1>$/],
  ['a text of megabytes', {}, 'x'.repeat(2_000_000), /HTTP 400: x{300}$/],
  ['nothing', {}, '', /HTTP 400$/],
])('the message of an error shows %s', async (_, headers, content, expected) => {
  const { exporter } = await against({ status: 400, headers, body: content })
  expect((await refusal(exporter.send(batch, forever))).message).toMatch(expected)
})

test('a redirect is not followed, and says where to', async () => {
  const { exporter, seen } = await against({ status: 308, headers: { location: 'https://new.example/v1/traces' } })
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_DENIED', kind: 'denied' })
  expect(error.message).toContain('https://new.example/v1/traces')
  expect(seen).toHaveLength(1)
})

test('a server that is away at start is unreachable, and start does not fail', async () => {
  const { url, stop } = await server({})
  stop()
  const { exporter, budget } = started({ endpoint: url })
  await exporter.start?.()
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry', maybeTaken: false })
  expect(error.message).toContain(url)
  expect(budget.used).toBe(0)
})

test('a server that hangs up after the request is unreachable, perhaps taken', async () => {
  const { exporter } = await against(undefined)
  expect(await refusal(exporter.send(batch, forever))).toMatchObject({
    code: 'DELIVERY_UNREACHABLE',
    kind: 'retry',
    maybeTaken: true,
  })
})

test('a server that is silent times out: a retry, perhaps taken', async () => {
  const silent = http.createServer(() => {})
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  open.push(() => {
    silent.closeAllConnections()
    silent.close()
  })
  const { exporter, budget } = started({
    endpoint: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    timeout: '40ms',
  })
  const sending = refusal(exporter.send(batch, forever))
  await expect.poll(() => budget.used, { interval: 1 }).toBeGreaterThan(0)
  expect(await sending).toMatchObject({ code: 'DELIVERY_TIMEOUT', kind: 'retry', maybeTaken: true })
  expect(budget.used).toBe(0)
})

test.each([
  ['no endpoint at all', {}, [/^endpoint: `endpoint` is missing/]],
  ['an endpoint without a scheme', { endpoint: 'gateway:4318' }, [/^endpoint: .*has no scheme/]],
  ['another scheme', { endpoint: 'grpc://gateway:4318' }, [/^endpoint: .*only http/]],
  ['an endpoint that is no URL', { logs_endpoint: 'http://' }, [/^logs_endpoint: .*is no URL/]],
  ['another encoding', { endpoint: 'http://a', encoding: 'yaml' }, [/^encoding: /]],
  ['lz4', { endpoint: 'http://a', compression: 'lz4' }, [/^compression: .*lz4/]],
  [
    'a level that gzip has not',
    { endpoint: 'http://a', compression_params: { level: 10 } },
    [/^compression_params.level: `gzip` has levels/],
  ],
  [
    'a level for snappy',
    { endpoint: 'http://a', compression: 'snappy', compression_params: { level: 1 } },
    [/no levels/],
  ],
  ['cookies', { endpoint: 'http://a', cookies: { enabled: true } }, [/^cookies: /]],
  ['an authenticator without an id', { endpoint: 'http://a', auth: {} }, [/^auth.authenticator: .*is missing/]],
  ['middlewares', { endpoint: 'http://a', middlewares: [{ id: 'x' }] }, [/^middlewares: /]],
])('%s is refused', (_, config, expected) => {
  const found = complaints(otlpHttpExporter, config)
  expect(found).toHaveLength(expected.length)
  for (const pattern of expected) expect(found.some(text => pattern.test(text))).toBe(true)
})

test('all other keys of the Collector are accepted', () => {
  const config = {
    endpoint: 'https://a/',
    proxy_url: 'http://proxy:3128',
    tls: { insecure: false },
    headers: { a: 'b' },
    compression: 'zstd',
    compression_params: { level: 3 },
    timeout: '30s',
    read_buffer_size: 0,
    write_buffer_size: 524288,
    max_idle_conns: 100,
    max_idle_conns_per_host: 0,
    max_conns_per_host: 5,
    idle_conn_timeout: '90s',
    disable_keep_alives: false,
    force_attempt_http2: true,
    http2_read_idle_timeout: '0s',
    http2_ping_timeout: '15s',
    cookies: null,
    middlewares: null,
    auth: null,
    encoding: 'proto',
    profiles_endpoint: 'http://a/p',
    sending_queue: { queue_size: 5 },
    retry_on_failure: { enabled: true },
  }
  expect(complaints(otlpHttpExporter, config)).toEqual([])
})
