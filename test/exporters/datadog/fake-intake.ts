/** Datadog's intakes as far as tests need them: bodies are decoded by protobufjs from the published messages, not by us. */
import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import protobuf from 'protobufjs'

const { root } = protobuf.parse(
  `syntax = "proto3";
  message MetricPayload {
    message MetricPoint { double value = 1; int64 timestamp = 2; }
    message Resource { string type = 1; string name = 2; }
    message MetricSeries {
      repeated Resource resources = 1; string metric = 2; repeated string tags = 3; repeated MetricPoint points = 4;
      int32 type = 5; string unit = 6; string source_type_name = 7; int64 interval = 8; }
    repeated MetricSeries series = 1; }
  message SketchPayload {
    message CommonMetadata { string agent_version = 1; }
    message Sketch {
      message Dogsketch {
        int64 ts = 1; int64 cnt = 2; double min = 3; double max = 4; double avg = 5; double sum = 6;
        repeated sint32 k = 7; repeated uint32 n = 8; }
      string metric = 1; string host = 2; repeated string tags = 4; repeated Dogsketch dogsketches = 7; }
    repeated Sketch sketches = 1; CommonMetadata metadata = 2; }`,
  { keepCase: true },
)

/** One value of a series. */
export interface SeriesValue {
  readonly metric: string
  readonly type: number
  readonly value: number
  readonly seconds: number
  readonly tags: readonly string[]
  readonly host: string | undefined
}

/** One sketch. */
export interface SketchValue {
  readonly metric: string
  readonly host: string
  readonly tags: readonly string[]
  readonly seconds: number
  readonly count: number
  readonly min: number
  readonly max: number
  readonly avg: number
  readonly sum: number
  /** Key and count of each bin. */
  readonly bins: readonly (readonly [key: number, count: number])[]
}

/** A request as it came. */
export interface Seen {
  readonly method: string | undefined
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Inflated. */
  readonly body: Buffer
}

export interface Reply {
  readonly status?: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

/** What was sent there. */
export class FakeIntake {
  readonly seen: Seen[] = []
  readonly #server: http.Server
  /** What is answered; without one, what the real ones say when they take it. */
  answer: (seen: Seen) => Reply | undefined = () => undefined

  constructor() {
    this.#server = http.createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const path = request.url ?? ''
        const body = inflated(request.headers['content-encoding'], Buffer.concat(chunks))
        const seen = { method: request.method, path, headers: request.headers, body }
        this.seen.push(seen)
        const reply = this.answer(seen) ?? {}
        const usual = path === '/api/v1/validate' ? 200 : 202
        response.writeHead(reply.status ?? usual, { 'content-type': 'application/json', ...reply.headers })
        response.end(reply.body ?? '{}')
      })
    })
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  /** Requests to a path. */
  to(path: string): Seen[] {
    return this.seen.filter(one => one.path === path)
  }

  /** Entries of all logs. */
  get logs(): Record<string, unknown>[] {
    return this.to('/api/v2/logs').flatMap(({ body }) => JSON.parse(body.toString()) as Record<string, unknown>[])
  }

  get series(): SeriesValue[] {
    return this.to('/api/v2/series').flatMap(({ body }) => seriesOf(body))
  }

  get sketches(): SketchValue[] {
    return this.to('/api/beta/sketches').flatMap(({ body }) => sketchesOf(body))
  }
}

function inflated(encoding: string | undefined, body: Buffer): Buffer {
  if (encoding === undefined) return body
  return encoding === 'gzip' ? gunzipSync(body) : zstdDecompressSync(body)
}

function decoded(message: string, body: Buffer): Record<string, Record<string, unknown>[]> {
  const reader = protobuf.Reader.create(body)
  reader.discardUnknown = false
  const type = root.lookupType(message)
  const value = type.decode(reader)
  // What the published messages do not have must not be there.
  if (JSON.stringify(value).includes('$unknowns')) throw new Error('fields the schema does not have')
  return type.toObject(value, { longs: Number, arrays: true })
}

/** The values of a MetricPayload. */
export function seriesOf(body: Buffer): SeriesValue[] {
  return decoded('MetricPayload', body)['series'].map(one => {
    const [point, ...more] = one['points'] as { value?: number; timestamp: number }[]
    const [resource] = one['resources'] as { type: string; name: string }[]
    if (more.length > 0) throw new Error('more than one point')
    if (resource !== undefined && resource.type !== 'host') throw new Error(`resource of type ${resource.type}`)
    return {
      metric: one['metric'] as string,
      type: one['type'] as number,
      value: point.value ?? 0,
      seconds: point.timestamp,
      tags: one['tags'] as string[],
      host: resource?.name,
    }
  })
}

/** The sketches of a SketchPayload. */
export function sketchesOf(body: Buffer): SketchValue[] {
  return decoded('SketchPayload', body)['sketches'].map(one => {
    const [dog] = one['dogsketches'] as Record<string, number>[] & { k: number[]; n: number[] }[]
    return {
      metric: one['metric'] as string,
      host: (one['host'] ?? '') as string,
      tags: one['tags'] as string[],
      seconds: dog['ts'],
      count: dog['cnt'],
      min: dog['min'],
      max: dog['max'],
      avg: dog['avg'],
      sum: dog['sum'],
      bins: dog.k.map((key, i) => [key, dog.n[i]] as const),
    }
  })
}
