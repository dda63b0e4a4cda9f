import { zstdDecompressSync } from 'node:zlib'
import type * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { otlpGrpcExporter } from '../../exporters/otlp_grpc.ts'
import { Inflation } from '../../net/inflation.ts'
import { encodeResponse } from '../../proto/response.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { encodeStatus, GrpcCode, grpcCodeName } from '../../proto/status.ts'
import { batchOf, complaints, exporterOf, forever, onlyUntil, refusal } from '../support/exporting.ts'
import { answer, bareHttp2, failure, framed, type GrpcHandler, grpcJs } from '../support/grpc-peer.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop()
})

const body = tracesRequest([
  { namespace: 'shop', spans: ['a', 'b'] },
  { namespace: 'bank', spans: ['c'] },
])
const batch = batchOf(body)
const empty = Buffer.alloc(0)

function started(endpoint: string, config: object = {}, signals: readonly Signal[] = allSignals) {
  const made = exporterOf(otlpGrpcExporter, { endpoint, tls: { insecure: true }, ...config }, signals)
  open.push({ stop: () => made.exporter.stop?.() })
  return made
}

async function against(handler: GrpcHandler, config: object = {}) {
  const server = await grpcJs(handler)
  open.push(server)
  return { ...started(server.endpoint, config), server }
}

test.each(allSignals)('%s arrive byte for byte at the method of their own', async signal => {
  const seen: [string, string][] = []
  const { exporter } = await against((call, done) => {
    seen.push([call.getPath(), call.request.toString('hex')])
    done(null, empty)
  })
  // A name that is also a data point, so that the bytes are a request of each signal.
  const body = tracesRequest([{ namespace: 'shop', spans: ['\n\0'] }])
  const batch = batchOf(body, signal)
  expect(batch.items).toBe(1)
  expect(await exporter.send(batch, forever)).toBeUndefined()
  expect(seen).toEqual([[signals[signal].grpcPath, body.toString('hex')]])
})

test.each([
  ['gzip', { compression: 'gzip' }, 'gzip'],
  ['none', { compression: 'none' }, undefined],
  ['nothing', { compression: '' }, undefined],
  ['snappy', { compression: 'snappy' }, 'snappy'],
  ['zstd', { compression: 'zstd' }, 'zstd'],
  ['what is the default', {}, 'gzip'],
])('with %s the body is what it is announced as', async (_, config, encoding) => {
  let arrived: Promise<[unknown, Buffer]> | undefined
  const server = await bareHttp2((stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    arrived = new Promise(resolve => stream.on('end', () => resolve([headers['grpc-encoding'], Buffer.concat(chunks)])))
    answer(stream)
  })
  open.push(server)
  await started(server.endpoint, config).exporter.send(batch, forever)
  const [announced, frame] = (await arrived) ?? []
  expect(announced).toBe(encoding)
  expect(frame?.[0]).toBe(encoding === undefined ? 0 : 1)
  expect(frame?.readUInt32BE(1)).toBe((frame?.length ?? 0) - 5)
  const message = frame?.subarray(5) ?? empty
  const plain =
    encoding === undefined
      ? message
      : encoding === 'zstd'
        ? zstdDecompressSync(message)
        : new Inflation(encoding === 'snappy' ? 'x-snappy-framed' : 'gzip', message).runNow(1 << 20)
  expect(plain.toString('hex')).toBe(body.toString('hex'))
})

test('headers and the name of the program are sent', async () => {
  let seen: grpc.Metadata | undefined
  const { exporter } = await against(
    (call, done) => {
      seen = call.metadata
      done(null, empty)
    },
    { headers: { 'X-Key': 'k' }, user_agent: 'me' },
  )
  await exporter.send(batch, forever)
  expect(seen?.get('x-key')).toEqual(['k'])
  expect(seen?.get('user-agent')).toEqual(['me'])
})

test.each([
  ['rejected items are told of', encodeResponse(2, 'no name'), { rejected: 2, message: 'no name' }],
  ['a warning is told of', encodeResponse(0, 'old version'), { rejected: 0, message: 'old version' }],
  ['no more can be rejected than was sent', encodeResponse(99, ''), { rejected: 3, message: '' }],
  ['less than nothing is nothing', encodeResponse(-4, 'odd'), { rejected: 0, message: 'odd' }],
  ['a partial success without content is success', Buffer.from([0x0a, 0]), undefined],
])('partial success: %s', async (_, response, expected) => {
  const { exporter } = await against((_call, done) => done(null, response))
  expect(await exporter.send(batch, forever)).toEqual(expected)
})

test('an answer of success that cannot be read is a success with a warning, so that nothing is sent twice', async () => {
  const { exporter } = await against((_call, done) => done(null, Buffer.from('<html>')))
  expect(await exporter.send(batch, forever)).toMatchObject({
    rejected: 0,
    message: expect.stringMatching(/cannot be read/),
  })
})

const outcomes: Record<string, [code: string, kind: string, maybeTaken: boolean]> = {
  CANCELLED: ['DELIVERY_BUSY', 'retry', true],
  UNKNOWN: ['DELIVERY_REJECTED', 'rejected', false],
  INVALID_ARGUMENT: ['DELIVERY_REJECTED', 'rejected', false],
  DEADLINE_EXCEEDED: ['DELIVERY_TIMEOUT', 'retry', true],
  NOT_FOUND: ['DELIVERY_DENIED', 'denied', false],
  ALREADY_EXISTS: ['DELIVERY_REJECTED', 'rejected', false],
  PERMISSION_DENIED: ['DELIVERY_DENIED', 'denied', false],
  RESOURCE_EXHAUSTED: ['DELIVERY_TOO_LARGE', 'too_large', false],
  FAILED_PRECONDITION: ['DELIVERY_REJECTED', 'rejected', false],
  ABORTED: ['DELIVERY_BUSY', 'retry', false],
  OUT_OF_RANGE: ['DELIVERY_BUSY', 'retry', false],
  UNIMPLEMENTED: ['DELIVERY_DENIED', 'denied', false],
  INTERNAL: ['DELIVERY_REJECTED', 'rejected', false],
  UNAVAILABLE: ['DELIVERY_BUSY', 'retry', false],
  DATA_LOSS: ['DELIVERY_BUSY', 'retry', false],
  UNAUTHENTICATED: ['DELIVERY_DENIED', 'denied', false],
}

test.each(
  Object.values(GrpcCode)
    .filter(code => code !== 0)
    .map(code => [grpcCodeName(code), code] as const),
)('%s from the server means what the specification says', async (name, status) => {
  const { exporter, server } = await against((_call, done) => done(failure(status, 'because')))
  const error = await refusal(exporter.send(batch, forever))
  const [code, kind, maybeTaken] = outcomes[name]
  expect(error).toMatchObject({ code, kind, maybeTaken, retryAfter: undefined })
  expect(error.message).toBe(`${server.endpoint}: ${name}: because`)
})

test.each([
  ['RESOURCE_EXHAUSTED', 8, 1500, { code: 'DELIVERY_BUSY', kind: 'retry', retryAfter: 1500 }],
  ['UNAVAILABLE', 14, 20, { code: 'DELIVERY_BUSY', kind: 'retry', retryAfter: 20 }],
  ['INVALID_ARGUMENT', 3, 20, { kind: 'rejected' }],
  ['UNAVAILABLE for years', 14, 1e12, { kind: 'retry', retryAfter: 24 * 3_600_000 }],
])('%s with RetryInfo', async (_, code, retryDelay, expected) => {
  const details = encodeStatus({ code, message: '', retryDelay })
  const { exporter } = await against((_call, done) => done(failure(code, 'x', details)))
  expect(await refusal(exporter.send(batch, forever))).toMatchObject(expected)
})

test.each([
  ['that hangs up', (stream: { session?: { destroy(): void } | undefined }) => stream.session?.destroy()],
  ['that resets the stream', (stream: { close(code: number): void }) => stream.close(2)],
])('a server %s is unreachable: a retry, perhaps taken', async (_, act) => {
  const server = await bareHttp2(stream => act(stream))
  open.push(server)
  const error = await refusal(started(server.endpoint).exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry', maybeTaken: true })
})

test('a server that is away at start is unreachable, and start does not fail', async () => {
  const server = await grpcJs((_call, done) => done(null, empty))
  await server.stop()
  const { exporter, budget } = started(server.endpoint)
  await exporter.start?.()
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry', maybeTaken: false })
  expect(error.message).toContain(server.endpoint)
  expect(budget.used).toBe(0)
})

test('a server that is silent times out: a retry, perhaps taken', async () => {
  const { exporter } = await against(() => {}, { timeout: '40ms' })
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_TIMEOUT', kind: 'retry', maybeTaken: true })
})

test('a web server is no OTLP server', async () => {
  const server = await bareHttp2(stream => {
    stream.respond({ ':status': 200, 'content-type': 'text/html' })
    stream.end('<h1>log in</h1>')
  })
  open.push(server)
  const error = await refusal(started(server.endpoint).exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_DENIED', kind: 'denied' })
  expect(error.message).toContain('<h1>log in</h1>')
})

test('a batch that was given up leaves nothing behind', async () => {
  const abort = new AbortController()
  const { exporter, budget } = await against(() => abort.abort())
  const error = await refusal(exporter.send(batch, onlyUntil(abort.signal)))
  expect(error).toMatchObject({ kind: 'retry', maybeTaken: true })
  expect(budget.used).toBe(0)
})

test('the body is charged while it is in flight', async () => {
  let used = 0
  const { exporter, budget } = await against(
    (_call, done) => {
      used = budget.used
      done(null, empty)
    },
    { compression: 'none' },
  )
  await exporter.send(batch, forever)
  expect(used).toBe(body.length + 5)
  expect(budget.used).toBe(0)
})

test('a message of the server shows no header of ours', async () => {
  const { exporter } = await against((_call, done) => done(failure(16, 'wrong key')), {
    headers: { authorization: 'Bearer topsecret' },
  })
  const error = await refusal(exporter.send(batch, forever))
  expect(JSON.stringify([error.message, error.cause, String(error.stack)])).not.toContain('topsecret')
})

test.each([
  ['no endpoint', {}, [/^endpoint: `endpoint` is missing/]],
  ['an endpoint without a port', { endpoint: 'gateway' }, [/^endpoint: .*has no port/]],
  ['a misspelt key', { endpoint: 'a:1', compresion: 'gzip' }, [/compresion/]],
  ['a compression there is not', { endpoint: 'a:1', compression: 'lz4' }, [/^compression: /]],
  ['an authenticator without an id', { endpoint: 'a:1', auth: {} }, [/^auth.authenticator: .*is missing/]],
  [
    'a reserved header',
    { endpoint: 'a:1', headers: { te: 'x', 'grpc-timeout': '1' } },
    [/^headers.te: /, /^headers.grpc-timeout: /],
  ],
  ['a header that is none', { endpoint: 'a:1', headers: { 'a b': 'x' } }, [/^headers.a b: .*no name/]],
  ['a value with a line break', { endpoint: 'a:1', headers: { a: 'x\ny' } }, [/^headers.a: .*cannot carry/]],
  [
    'several at once',
    { endpoint: 'a', balancer_name: 'x', timeout: 'y' },
    [/^endpoint: /, /^balancer_name: /, /^timeout: /],
  ],
])('%s is refused', (_, config, expected) => {
  const found = complaints(otlpGrpcExporter, config)
  expect(found).toHaveLength(expected.length)
  for (const pattern of expected) expect(found.some(text => pattern.test(text))).toBe(true)
})

test.each([
  [
    'all keys of the Collector',
    {
      endpoint: 'https://a:1',
      compression: 'zstd',
      headers: { a: 'b' },
      balancer_name: 'pick_first',
      authority: 'x',
      wait_for_ready: true,
      read_buffer_size: 524288,
      write_buffer_size: 524288,
      user_agent: 'u',
      keepalive: { time: '20s', timeout: '5s', permit_without_stream: true },
      tls: { insecure_skip_verify: true },
      timeout: '10s',
      sending_queue: { enabled: false },
      retry_on_failure: { enabled: false },
      auth: null,
      middlewares: [],
    },
  ],
  ['sections without content', { endpoint: 'a:1', headers: null, tls: null, keepalive: null, sending_queue: {} }],
  ['headers as a list', { endpoint: 'a:1', headers: [{ name: 'a', value: 'b' }] }],
])('%s are accepted', (_, config) => {
  expect(complaints(otlpGrpcExporter, config)).toEqual([])
})

test('a message beyond 32 KiB in many frames arrives whole', async () => {
  const large = tracesRequest([{ spans: Array.from({ length: 5000 }, (_, i) => `span ${i}`) }])
  let arrived: Buffer = empty
  const { exporter } = await against(
    (call, done) => {
      arrived = call.request
      done(null, framed(empty).subarray(5))
    },
    { compression: 'none' },
  )
  await exporter.send(batchOf(large), forever)
  expect(arrived.equals(large)).toBe(true)
})
