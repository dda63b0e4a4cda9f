import { once } from 'node:events'
import http2 from 'node:http2'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type grpc from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { Canceller } from '../../core/cancellation.ts'
import { compressFramed } from '../../net/snappy.ts'
import { encodeStatus, GrpcCode } from '../../proto/status.ts'
import { client, failed, frame, kept, path } from '../support/grpc-client-runs.ts'
import { answer, bareHttp2, failure, framed, grpcJs } from '../support/grpc-peer.ts'

test('a call brings the request and the answer over unchanged', async () => {
  const seen: { body: Buffer; metadata: grpc.Metadata; deadline: unknown }[] = []
  const server = kept(
    await grpcJs((call, done) => {
      seen.push({ body: call.request, metadata: call.metadata, deadline: call.getDeadline() })
      done(null, Buffer.from('answer'))
    }),
  )
  const before = Date.now()
  const made = client(server.endpoint, { headers: { 'x-key': 'secret', 'x-bytes-bin': '\u00ff' } })
  expect(String(await made.call(path, frame, { timeout: 5000 }))).toBe('answer')
  expect(String(seen[0].body)).toBe('request')
  expect(seen[0].metadata.get('user-agent')).toEqual(['kymo/test'])
  expect(seen[0].metadata.get('x-key')).toEqual(['secret'])
  expect(seen[0].metadata.get('x-bytes-bin')).toEqual([Buffer.from('\u00ff')])
  expect(Number(seen[0].deadline) - before).toBeGreaterThan(4500)
  expect(Number(seen[0].deadline) - before).toBeLessThan(6000)
})

test('a request and an answer of megabytes go through', async () => {
  const server = kept(
    await grpcJs((call, done) => done(null, call.request.subarray(0, 4_000_000)), {
      options: { 'grpc.max_receive_message_length': -1 },
    }),
  )
  const body = Buffer.alloc(20_000_000, 'x')
  expect((await client(server.endpoint).call(path, framed(body))).length).toBe(4_000_000)
})

test('compressed requests are announced', async () => {
  const server = kept(await grpcJs((call, done) => done(null, call.request)))
  const made = client(server.endpoint, { compression: 'gzip' })
  expect(String(await made.call(path, framed(gzipSync('hello'), 1)))).toBe('hello')
})

const delayed = encodeStatus({ code: 8, message: 'slow down', retryDelay: 1500 })

test.each([
  ['a status', { code: 3, details: 'bad data' }, { code: 3, message: 'bad data' }],
  ['a text beyond ASCII', { code: 9, details: 'é 100% – 🙂' }, { code: 9, message: 'é 100% – 🙂' }],
  ['RetryInfo', { code: 8, details: 'slow down', status: delayed }, { code: 8, retryDelay: 1500 }],
  [
    'details that are garbage',
    { code: 14, details: 'x', status: Buffer.from('<html>') },
    { code: 14, retryDelay: undefined },
  ],
])(
  '%s of the server reaches the caller',
  async (_, { code, details, status }: { code: number; details: string; status?: Buffer }, expected) => {
    const server = kept(await grpcJs((_call, done) => done(failure(code, details, status))))
    const error = await failed(client(server.endpoint).call(path, frame))
    expect(error).toMatchObject({ ...expected, answered: 'grpc', sent: true })
  },
)

test('an unknown method is UNIMPLEMENTED', async () => {
  const server = kept(await grpcJs((_call, done) => done(null, Buffer.alloc(0))))
  expect((await failed(client(server.endpoint).call('/no/such', frame))).status).toBe('UNIMPLEMENTED')
})

test('a deadline ends the call and the stream', async () => {
  let cancelled: Promise<unknown> | undefined
  const server = kept(
    await grpcJs(call => {
      cancelled = once(call, 'cancelled')
    }),
  )
  const error = await failed(client(server.endpoint).call(path, frame, { timeout: 60 }))
  expect(error).toMatchObject({ code: GrpcCode.DEADLINE_EXCEEDED, sent: true, answered: 'no' })
  await cancelled
})

test('giving up ends the call and the stream', async () => {
  const cancellation = new Canceller()
  let cancelled: Promise<unknown> | undefined
  const server = kept(
    await grpcJs(call => {
      cancelled = once(call, 'cancelled')
      cancellation.cancel(new Error('enough'))
    }),
  )
  const made = client(server.endpoint)
  const error = await failed(made.call(path, frame, { cancellation }))
  expect(error).toMatchObject({ code: GrpcCode.CANCELLED, message: 'enough', sent: true })
  await cancelled
  expect(await failed(made.call(path, frame, { cancellation }))).toMatchObject({ code: 1, sent: false })
})

test('a refused stream is sent again, but not for ever', async () => {
  let refusals = 3
  let seen = 0
  const server = kept(
    await bareHttp2(stream => {
      seen++
      if (refusals-- > 0) stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
      else answer(stream)
    }),
  )
  const made = client(server.endpoint)
  await made.call(path, frame)
  expect(seen).toBe(4)
  refusals = Number.POSITIVE_INFINITY
  expect(await failed(made.call(path, frame))).toMatchObject({ code: GrpcCode.UNAVAILABLE, sent: false })
})

test.each([
  ['a reset with CANCEL', http2.constants.NGHTTP2_CANCEL, GrpcCode.CANCELLED],
  ['a reset with ENHANCE_YOUR_CALM', http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, GrpcCode.RESOURCE_EXHAUSTED],
  ['a reset with INTERNAL_ERROR', http2.constants.NGHTTP2_INTERNAL_ERROR, GrpcCode.INTERNAL],
])('%s is a failure that nobody answered for', async (_, rstCode, code) => {
  const server = kept(await bareHttp2(stream => stream.close(rstCode)))
  expect(await failed(client(server.endpoint).call(path, frame))).toMatchObject({ code, sent: true, answered: 'no' })
})

test.each([
  ['a gateway that is overloaded', 503, 'text/html', 'UNAVAILABLE'],
  ['a gateway without its server', 502, 'text/html', 'UNAVAILABLE'],
  ['too many requests', 429, 'text/plain', 'UNAVAILABLE'],
  ['wrong credentials', 401, 'text/plain', 'UNAUTHENTICATED'],
  ['what is forbidden', 403, 'text/plain', 'PERMISSION_DENIED'],
  ['no such path', 404, 'text/html', 'UNIMPLEMENTED'],
  ['a bad request', 400, 'text/html', 'INTERNAL'],
  ['a fault', 500, 'text/html', 'UNKNOWN'],
  ['a page with success', 200, 'text/html', 'UNKNOWN'],
])('%s of a server that is not gRPC (%i, %s) is %s', async (_, status, contentType, name) => {
  const server = kept(
    await bareHttp2(stream => {
      stream.respond({ ':status': status, 'content-type': contentType })
      stream.end('<h1>hello\nthere</h1>')
    }),
  )
  const error = await failed(client(server.endpoint).call(path, frame))
  expect(error).toMatchObject({ status: name, answered: 'http' })
  expect(error.message).toContain(`HTTP ${status}`)
  expect(error.message).toContain('<h1>hello there</h1>')
})

test.each([
  [
    'only trailers',
    { headers: { 'grpc-status': '5', 'grpc-message': 'who%20knows%3F' }, end: true },
    { code: 5, message: 'who knows?' },
  ],
  ['headers that say it, and an empty end', { headers: { 'grpc-status': '5' }, end: false }, { code: 5 }],
  ['a status that is no number', { headers: { 'grpc-status': 'x' }, end: true }, { code: 2 }],
  ['a status beyond those known', { headers: { 'grpc-status': '77' }, end: true }, { code: 2 }],
  [
    'a broken percent-encoding',
    { headers: { 'grpc-status': '5', 'grpc-message': '50%, %zz' }, end: true },
    { message: '50%, %zz' },
  ],
  ['no status at all', { headers: {}, end: true }, { code: 13, answered: 'no', sent: true }],
])('an answer of %s', async (_, { headers, end }, expected) => {
  const server = kept(
    await bareHttp2(stream => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...headers }, { endStream: end })
      if (!end) stream.end()
    }),
  )
  expect(await failed(client(server.endpoint).call(path, frame))).toMatchObject(expected)
})

test.each([
  ['compressed with gzip', framed(gzipSync('answer'), 1), { 'grpc-encoding': 'gzip' }, 'answer'],
  // The Collector answers with the compression of the request.
  ['compressed with zstd', framed(zstdCompressSync('answer'), 1), { 'grpc-encoding': 'zstd' }, 'answer'],
  ['compressed with snappy', framed(compressFramed(Buffer.from('answer')), 1), { 'grpc-encoding': 'snappy' }, 'answer'],
  ['compressed with what was not offered', framed(Buffer.from('x'), 1), { 'grpc-encoding': 'br' }, /`br`/],
  [
    'that inflates to more than the limit',
    framed(gzipSync(Buffer.alloc(5_000_000)), 1),
    { 'grpc-encoding': 'gzip' },
    /cannot be inflated/,
  ],
  [
    'of more compressed bytes than any answer needs',
    framed(gzipSync(Buffer.alloc(100_000), { level: 0 }), 1),
    { 'grpc-encoding': 'gzip' },
    /cannot be inflated/,
  ],
  [
    'of thousands of frames of zstd',
    framed(Buffer.concat(Array.from({ length: 3000 }, () => zstdCompressSync('x'))), 1),
    { 'grpc-encoding': 'zstd' },
    /cannot be inflated/,
  ],
  ['longer than the limit', framed(Buffer.alloc(4_200_000)), {}, /longer than/],
  ['with a prefix that lies', Buffer.from([0, 0, 0, 0, 9, 1]), {}, /prefix says 9 of 1/],
  ['cut off in its prefix', Buffer.from([0, 0]), {}, /cut off/],
  ['without any message', Buffer.alloc(0), {}, ''],
])('an answer %s', async (_, message, headers, expected) => {
  const server = kept(await bareHttp2(stream => answer(stream, { message, headers })))
  const call = client(server.endpoint).call(path, frame)
  if (typeof expected === 'string') expect(String(await call)).toBe(expected)
  else expect((await failed(call)).message).toMatch(expected)
})

test.each([
  ['10,000 headers', Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`h${i}`, 'v']))],
  ['headers of 100 KiB', Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`h${i}`, 'x'.repeat(1000)]))],
])('an answer with %s is an error, and the next call is made', async (_what, more) => {
  let isHostile = true
  const server = kept(
    await bareHttp2(stream => {
      const headers = isHostile ? more : {}
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0', ...headers },
        { endStream: true },
      )
    }),
  )
  const made = client(server.endpoint)
  expect(await failed(made.call(path, frame, { timeout: 20_000 }))).toBeInstanceOf(Error)
  isHostile = false
  expect(String(await made.call(path, frame))).toBe('')
})

test('a server that answers without reading all ends the call', async () => {
  const server = kept(
    await bareHttp2(stream => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true })
    }),
  )
  const made = client(server.endpoint)
  const big = framed(Buffer.alloc(10_000_000))
  expect(await failed(made.call(path, big))).toMatchObject({ code: GrpcCode.PERMISSION_DENIED })
  expect(await failed(made.call(path, big))).toMatchObject({ code: GrpcCode.PERMISSION_DENIED })
})
