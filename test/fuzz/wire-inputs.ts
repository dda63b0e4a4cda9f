/** Requests as they are sent: bodies that are mutated, and heads, framing and compression that lie about them. */
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFramed, compressSnappy } from '../../net/snappy.ts'
import { type Signal, signals } from '../../proto/signals.ts'
import { frame } from '../support/http2-frames.ts'
import { Random } from '../support/otlp.ts'
import { inputsOf } from './functions.ts'
import { blind } from './mutate-bytes.ts'

/** One request, ready to be sent. */
export interface WireInput {
  readonly surface: 'grpc' | 'http'
  readonly signal: Signal
  readonly path: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** Written one by one. */
  readonly chunks: readonly Buffer[]
  /** How it ends: as it should, with trailers, by a reset in the middle. */
  readonly ending: 'end' | 'trailers' | 'reset'
}

const compressors: Record<string, (body: Buffer) => Buffer> = {
  gzip: body => gzipSync(body, { level: 1 }),
  deflate: body => deflateSync(body, { level: 1 }),
  zstd: body => zstdCompressSync(body),
  snappy: compressSnappy,
  'x-snappy-framed': compressFramed,
}
const encodings = Object.keys(compressors)
const wrongEncodings = ['br', 'identity', 'GZIP', 'gzip, gzip', '', 'zlib', 'x-gzip', 'none', 'compress', 'snappy ']

/** Far more bytes than they look like, of each kind; made once. */
function bombs(): Record<string, Buffer> {
  const zeros = Buffer.alloc(80 << 20)
  return Object.fromEntries(
    encodings.map(name => [name, compressors[name](name === 'snappy' ? zeros.subarray(0, 8 << 20) : zeros)]),
  )
}

/** Makes input `index` of the sockets: always the same. */
export function wireInputs(seed: number): (index: number) => WireInput {
  const protobuf = inputsOf('protobuf', seed)
  const json = inputsOf('json', seed)
  const bomb = bombs()
  return index => {
    const random = new Random(seed * 0x51ed270b + index * 0x2545f491)
    const surface = index % 2 === 0 ? 'grpc' : 'http'
    const asJson = surface === 'http' && index % 4 === 3
    const { signal, body } = (asJson ? json : protobuf)(index)
    const encoded = encode(random, body, bomb)
    const ending = random.chance(25) ? random.pick(['trailers', 'reset'] as const) : 'end'
    const made = surface === 'grpc' ? grpc(random, signal, encoded) : http(random, signal, encoded, asJson)
    return { surface, signal, ending, ...made }
  }
}

interface Encoded {
  readonly body: Buffer
  /** What the head says; undefined for nothing. */
  readonly name: string | undefined
}

function encode(random: Random, body: Buffer, bomb: Record<string, Buffer>): Encoded {
  if (random.chance(2)) return { body, name: random.chance(40) ? random.pick(wrongEncodings) : undefined }
  const name = random.pick(encodings)
  if (random.chance(1500)) return { body: bomb[name], name }
  let packed = compressors[name](body)
  if (random.chance(2)) packed = blind(random, packed, body)
  if (random.chance(8)) packed = Buffer.concat([packed, compressors[random.pick(encodings)](body)])
  return { body: packed, name: random.chance(12) ? random.pick([...encodings, ...wrongEncodings]) : name }
}

const grpcTypes = [
  'application/grpc+proto',
  'application/grpc;x',
  'application/grpc-web',
  'application/json',
  'application/grpc+json',
  '',
]
const timeouts = ['1H', '99999999n', '5S', '1m', '0n', '-1S', '1', 'x', '123456789S', '100u', '1s']

function grpc(random: Random, signal: Signal, { body, name }: Encoded) {
  const headers: Record<string, string> = { 'content-type': 'application/grpc', te: 'trailers' }
  if (name !== undefined) headers['grpc-encoding'] = name
  if (random.chance(20)) headers['content-type'] = random.pick(grpcTypes)
  if (random.chance(12)) headers['grpc-timeout'] = random.pick(timeouts)
  oddHeaders(random, headers)
  let path: string = signals[signal].grpcPath
  if (random.chance(30))
    path = random.pick([`${path}x`, '/', '*', `/${'x'.repeat(300)}`, signals.logs.grpcPath, '//a/%zz?x=1'])
  const prefix = Buffer.alloc(5)
  prefix[0] = name === undefined || name === 'identity' ? 0 : 1
  prefix.writeUInt32BE(body.length, 1)
  if (random.chance(10)) prefix[0] = random.pick([0, 1, 2, 128, 255])
  if (random.chance(10)) {
    const wrong = [0, body.length - 1, body.length + 1, body.length * 2, 0x7fffffff, 0xffffffff, 5 << 20]
    prefix.writeUInt32BE(Math.max(0, random.pick(wrong)), 1)
  }
  let framed: Buffer = Buffer.concat([prefix, body])
  // Two messages in one call, nothing at all, half a prefix.
  if (random.chance(30)) framed = Buffer.concat([framed, framed])
  if (random.chance(30)) framed = framed.subarray(0, random.next(8))
  const method = random.chance(60) ? random.pick(['GET', 'PUT', 'OPTIONS', 'HEAD', 'post']) : 'POST'
  return { path, method, headers, chunks: cut(random, framed) }
}

const types = {
  json: ['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON', 'application/json;charset=latin1'],
  protobuf: ['application/x-protobuf', 'application/x-protobuf; a=b', 'Application/X-Protobuf '],
  wrong: [
    'text/plain',
    'application/protobuf',
    'application',
    '',
    ';',
    'application/json, application/x-protobuf',
    'a/b/c',
    'multipart/form-data',
  ],
}

function http(random: Random, signal: Signal, { body, name }: Encoded, asJson: boolean) {
  const own = asJson ? types.json : types.protobuf
  const other = asJson ? types.protobuf : types.json
  const headers: Record<string, string> = { 'content-type': random.pick(own) }
  if (random.chance(25)) headers['content-type'] = random.pick([...other, ...types.wrong])
  if (name !== undefined) headers['content-encoding'] = name
  oddHeaders(random, headers)
  if (random.chance(3)) headers['transfer-encoding'] = 'chunked'
  else headers['content-length'] = String(body.length)
  let path: string = signals[signal].path
  if (random.chance(30))
    path = random.pick([
      `${path}/`,
      `${path}?a=b`,
      '/',
      '/v1',
      '/%zz',
      `/${'x'.repeat(5000)}`,
      '//v1/logs',
      '/v1/logs#x',
    ])
  const method = random.chance(60) ? random.pick(['GET', 'PUT', 'OPTIONS', 'DELETE', 'PATCH']) : 'POST'
  return { path, method, headers, chunks: cut(random, body) }
}

function oddHeaders(random: Random, headers: Record<string, string>): void {
  if (random.chance(30)) headers['x-long'] = 'x'.repeat(random.pick([10, 1000, 9000, 20_000, 70_000]))
  if (random.chance(200)) for (let i = 0; i < 2500; i++) headers[`x-${i}`] = 'v'
  if (random.chance(30)) headers['origin'] = random.pick(['http://evil', 'null', '*', 'x'.repeat(500)])
  if (random.chance(30)) headers['authorization'] = random.pick(['Basic !', 'Bearer x', 'Basic', ''])
  if (random.chance(30)) headers['x-scope-orgid'] = 'a, b'
}

/** The bytes in one piece, mostly; else in some. */
function cut(random: Random, bytes: Buffer): Buffer[] {
  if (!random.chance(4)) return [bytes]
  const parts: Buffer[] = []
  let at = 0
  for (let left = random.next(4); left > 0; left--) {
    const end = at + random.next(bytes.length - at + 1)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return [...parts, bytes.subarray(at)]
}

/** A connection's bytes, HTTP/1.1 or HTTP/2, that are mutated as such. */
export function rawConnection(random: Random, { signal, path, chunks }: WireInput): { h2: boolean; bytes: Buffer } {
  const body = Buffer.concat(chunks).subarray(0, 5000)
  const h2 = random.chance(2)
  const bytes = h2 ? http2Bytes(signal, body) : http1Bytes(path, body)
  let mutated = bytes
  for (let left = 1 + random.next(4); left > 0; left--) mutated = blind(random, mutated, bytes)
  return { h2, bytes: mutated }
}

function http1Bytes(path: string, body: Buffer): Buffer {
  const head = (more: string) => `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${more}\r\n\r\n`
  return Buffer.concat([
    Buffer.from(head(`content-length: ${body.length}`)),
    body,
    Buffer.from(head('transfer-encoding: chunked\r\nexpect: 100-continue')),
    Buffer.from(`${body.length.toString(16)};x=y\r\n`),
    body,
    Buffer.from('\r\n0\r\ntrailer: x\r\n\r\n'),
  ])
}

const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])

function http2Bytes(signal: Signal, body: Buffer): Buffer {
  const head = Buffer.concat([
    literal(':method', 'POST'),
    literal(':scheme', 'http'),
    literal(':path', signals[signal].grpcPath),
    literal(':authority', 'a'),
    literal('content-type', 'application/grpc'),
    literal('te', 'trailers'),
  ])
  const calls = [1, 3, 5].map(stream => {
    const prefix = Buffer.alloc(5)
    prefix.writeUInt32BE(body.length, 1)
    const split = head.length >> 1
    const headers =
      stream === 3
        ? [frame(1, 0, stream, head.subarray(0, split)), frame(9, 4, stream, head.subarray(split))]
        : [frame(1, 4, stream, head)]
    return Buffer.concat([
      ...headers,
      frame(0, 1, stream, Buffer.concat([prefix, body])),
      frame(8, 0, 0, Buffer.from([0, 0, 9, 9])),
    ])
  })
  const ping = frame(6, 0, 0, Buffer.alloc(8, 1))
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(4, 0, 0, Buffer.alloc(0)),
    ...calls,
    ping,
  ])
}
