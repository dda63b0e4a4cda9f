/**
 * A destination over HTTP that reads each body, answers at once and, when asked at `/count`, says what has arrived. Bodies
 * are decoded only then, a part of them, so that counting takes no time from what is measured.
 * usage: node bench/destinations-sink.ts PORT remote_write|loki|datadog
 */
import { createServer, type IncomingMessage } from 'node:http'
import { gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import protobuf from 'protobufjs'
import { inflateSnappy, snappySize } from '../net/snappy.ts'

/** What arrived since the last `/reset`. */
export interface Arrived {
  readonly requests: number
  /** Bytes as they came. */
  readonly bytes: number
  /** Samples, lines or log records in bodies that were decoded, and how many all must have by their share of the bytes. */
  readonly decoded: number
  readonly items: number
  /** Attributes of a line or a log, labels of a sample: in all that was decoded. */
  readonly labels: number
  /** The first body that could not be decoded. */
  readonly broken: string
}

/** A body that is kept for decoding. */
interface Kept {
  readonly body: Buffer
  readonly encoding: string
  readonly size: number
}

interface Counts {
  items: number
  labels: number
}

// As published: prometheus/prompb (remote write 1.0) and grafana/loki's push.proto.
const { root } = protobuf.parse(`
syntax = "proto3";
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
message WriteRequest { repeated TimeSeries timeseries = 1; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message Entry { Timestamp timestamp = 1; string line = 2; repeated Label structuredMetadata = 3; }
message Stream { string labels = 1; repeated Entry entries = 2; }
message PushRequest { repeated Stream streams = 1; }
`)

interface WriteRequest {
  timeseries: { labels: { name: string; value: string }[]; samples: unknown[] }[]
}
interface PushRequest {
  streams: { labels: string; entries: { line: string; structuredMetadata: unknown[] }[] }[]
}

/** How each kind of body is read, on which path it comes, and what is answered. */
const kinds: Record<string, { path: string; status: number; count(body: Buffer, counts: Counts): void }> = {
  remote_write: {
    path: '/api/v1/write',
    status: 204,
    count(body, counts) {
      const { timeseries } = root.lookupType('WriteRequest').decode(body) as unknown as WriteRequest
      for (const { labels, samples } of timeseries) {
        // How often it is repeated is each exporter's own choice.
        if (labels.some(({ name, value }) => name === '__name__' && value === 'target_info')) continue
        counts.items += samples.length
        counts.labels += labels.length
      }
    },
  },
  loki: {
    path: '/loki/api/v1/push',
    status: 204,
    count(body, counts) {
      const { streams } = root.lookupType('PushRequest').decode(body) as unknown as PushRequest
      for (const { entries } of streams) {
        counts.items += entries.length
        for (const entry of entries) counts.labels += entry.structuredMetadata.length
      }
    },
  },
  datadog: {
    path: '/api/v2/logs',
    status: 202,
    count(body, counts) {
      const logs = JSON.parse(body.toString()) as Record<string, unknown>[]
      counts.items += logs.length
      for (const log of logs) counts.labels += Object.keys(log).length
    },
  },
}

const [port, name] = process.argv.slice(2)
const kind = kinds[name]
if (kind === undefined)
  throw new Error(`no kind of sink is called \`${name}\`; there are ${Object.keys(kinds).join(', ')}`)

let kept: Kept[] = []
let every = 1
let requests = 0
let bytes = 0
let size = 0

/** How large a body is when inflated, where it says so; to scale what was decoded. */
function plainSize(body: Buffer, encoding: string): number {
  if (encoding === 'snappy') return snappySize(body) ?? body.length
  if (encoding === 'gzip') return body.readUInt32LE(body.length - 4)
  return body.length
}

function inflated({ body, encoding }: Kept): Buffer {
  if (encoding === 'snappy') return inflateSnappy(body, 1 << 30)
  if (encoding === 'gzip') return gunzipSync(body)
  if (encoding === 'deflate') return inflateSync(body)
  if (encoding === 'zstd') return zstdDecompressSync(body)
  return body
}

function received(body: Buffer, header: string | undefined): void {
  // Loki's push body is snappy without saying so.
  const encoding = header ?? (name === 'loki' ? 'snappy' : '')
  const plain = plainSize(body, encoding)
  bytes += body.length
  size += plain
  if (requests++ % every !== 0) return
  kept.push({ body, encoding, size: plain })
  if (kept.length < 96) return
  // Thinned out evenly, however long the run is.
  kept = kept.filter((_, i) => i % 2 === 0)
  every *= 2
}

function arrived(): Arrived {
  const counts = { items: 0, labels: 0 }
  let known = 0
  let broken = ''
  for (const one of kept) {
    try {
      kind.count(inflated(one), counts)
      known += one.size
    } catch (error) {
      broken ||= String(error)
    }
  }
  const items = known === 0 ? 0 : Math.round((counts.items * size) / known)
  return { requests, bytes, decoded: counts.items, items, labels: counts.labels, broken }
}

function reset(): void {
  kept = []
  every = 1
  requests = bytes = size = 0
}

function read(message: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = []
  message.on('data', (chunk: Buffer) => chunks.push(chunk))
  message.on('end', () => done(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)))
  message.on('error', () => undefined)
}

createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://sink')
  read(request, body => {
    if (pathname === kind.path) {
      received(body, request.headers['content-encoding'])
      response.writeHead(kind.status).end()
    } else response.writeHead(200, { 'content-type': 'application/json' }).end(asked(pathname))
  })
}).listen(Number(port), '127.0.0.1')

/** What is answered to anything but data. */
function asked(pathname: string): string {
  if (pathname === '/requests') return String(requests)
  if (pathname === '/count') return JSON.stringify(arrived())
  if (pathname === '/reset') reset()
  return '{"valid":true}'
}
