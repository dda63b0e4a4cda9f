/** The load of the benchmark of destinations: requests whose times and values are new each time they are sent. */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { jsonToProtobuf } from '../proto/json-read.ts'
import { protobufToJson } from '../proto/json-write.ts'
import { signals } from '../proto/signals.ts'
import type { Kit } from './kit.ts'

/** How many senders there are; each has resources of its own and one request under way. */
export const senders = 8

/** What one sender sends again and again. */
export interface Load {
  readonly path: string
  /** Data points or log records of a request. */
  readonly items: number
  /** What a backend that keeps one value a series gets of a request: histograms count with all their series. */
  readonly samples: number
  /** The request of each sender. */
  readonly bodies: readonly Body[]
}

/** A request, and where in it to write what is new. */
interface Body {
  readonly bytes: Buffer
  readonly times: readonly number[]
  readonly values: readonly number[]
  /** Last buckets of histograms, and their counts. */
  readonly buckets: readonly number[]
  readonly counts: readonly number[]
}

// Any eight bytes that stand for something else nowhere.
const timeMark = 0x7a3c_91e5_5d20_b64fn
const bucketMark = 0x6b15_d7f2_3e94_8ca1n
const countMark = 0x4f82_6ad9_b17c_53e3n
const valueMark = 7.281_639_450_172_643e-51

/** What the buckets of the comparison's histograms hold besides the last. */
export const otherBuckets = 165

function offsetsOf(bytes: Buffer, mark: Buffer): number[] {
  const found: number[] = []
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 8)) found.push(at)
  return found
}

function bodyOf(message: string, json: unknown): Body {
  const bytes = jsonToProtobuf(message, Buffer.from(JSON.stringify(json)))
  const value = Buffer.alloc(8)
  value.writeDoubleLE(valueMark)
  const whole = (mark: bigint) => offsetsOf(bytes, encoded(mark))
  const [times, buckets, counts] = [whole(timeMark), whole(bucketMark), whole(countMark)]
  return { bytes, times, values: offsetsOf(bytes, value), buckets, counts }
}

function encoded(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

const time = String(timeMark)

/** A point of a request of metrics as OTLP/JSON, as far as it is looked at. */
interface Point {
  timeUnixNano: string
  startTimeUnixNano: string
  asDouble?: number
  sum?: number
  count?: string
  bucketCounts?: string[]
}

interface MetricsJson {
  resourceMetrics: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] }
    scopeMetrics: { metrics: { sum?: { dataPoints: Point[] }; histogram?: { dataPoints: Point[] } }[] }[]
  }[]
}

/** The comparison's metrics (20 resources with 13 metrics of five points), under other names for each sender. */
export function metricsLoad(kit: Kit): Load {
  const { request: message, path } = signals.metrics
  const plain = protobufToJson(message, readFileSync(join(kit.payloads, 'metrics-gw.bin'))).toString()
  const start = String(BigInt(Date.now()) * 1_000_000n)
  const bodies: Body[] = []
  let items = 0
  let samples = 0
  let histograms = 0
  for (let sender = 0; sender < senders; sender++) {
    items = samples = histograms = 0
    const json = JSON.parse(plain) as MetricsJson
    for (const { resource, scopeMetrics } of json.resourceMetrics) {
      for (const { value } of resource.attributes)
        if (value.stringValue !== undefined) value.stringValue = value.stringValue.replace('svc-', `svc-${sender}-`)
      const metrics = scopeMetrics.flatMap(scope => scope.metrics)
      for (const point of metrics.flatMap(({ sum, histogram }) => (sum ?? histogram)?.dataPoints ?? [])) {
        point.startTimeUnixNano = start
        point.timeUnixNano = time
        if (point.asDouble !== undefined) point.asDouble = valueMark
        items++
        samples++
        if (point.bucketCounts === undefined) continue
        histograms++
        point.sum = valueMark
        point.count = String(countMark)
        point.bucketCounts.splice(-1, 1, String(bucketMark))
        // Besides buckets, a histogram has the series `_sum` and `_count`.
        samples += point.bucketCounts.length + 1
      }
    }
    const body = bodyOf(message, json)
    const { times, values, buckets, counts } = body
    if (times.length !== items || values.length !== items || counts.length + buckets.length !== 2 * histograms)
      throw new Error(`places to write: ${times.length} times, ${values.length} values, ${counts.length} counts`)
    bodies.push(body)
  }
  return { path, items, samples, bodies }
}

/** Log records of 20 resources, 50 of each, with eight attributes. */
export function logsLoad(): Load {
  const { request: message, path } = signals.logs
  const [resources, records] = [20, 50]
  const bodies = Array.from({ length: senders }, (_, sender) => {
    const resourceLogs = Array.from({ length: resources }, (_, r) => ({
      resource: { attributes: attributesOf(resourceAttributes(sender, r)) },
      scopeLogs: [
        {
          scope: { name: 'kymo.bench', version: '1.0.0' },
          logRecords: Array.from({ length: records }, (_, i) => logRecord(sender, r * records + i)),
        },
      ],
    }))
    return bodyOf(message, { resourceLogs })
  })
  const items = resources * records
  const [first] = bodies
  if (first.times.length !== 2 * items) throw new Error(`${items} records, yet ${first.times.length} times to write`)
  return { path, items, samples: items, bodies }
}

const attributesOf = (values: Record<string, string | number>) =>
  Object.entries(values).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string'
        ? { stringValue: value }
        : Number.isInteger(value)
          ? { intValue: String(value) }
          : { doubleValue: value },
  }))

const resourceAttributes = (sender: number, r: number) => ({
  'service.name': `svc-${sender}-${r}`,
  'service.version': '1.2.3',
  'deployment.environment.name': 'production',
  'k8s.namespace.name': ['checkout', 'payments', 'cart', 'search'][r % 4],
  'k8s.pod.name': `svc-${sender}-${r}-7d9f8b6c5-x${r}zq`,
  'k8s.node.name': `node-${r % 3}`,
  'telemetry.sdk.language': 'nodejs',
  'process.pid': 1000 + r,
})

const hex = (length: number, seed: number) => {
  let text = ''
  for (let n = seed * 2_654_435_761 + 97; text.length < length; n = (n * 1_664_525 + 1_013_904_223) % 2 ** 32)
    text += Math.floor(n % 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return text.slice(0, length)
}

const logRecord = (sender: number, i: number) => ({
  timeUnixNano: time,
  observedTimeUnixNano: time,
  severityNumber: i % 17 === 0 ? 17 : 9,
  severityText: i % 17 === 0 ? 'ERROR' : 'INFO',
  body: {
    stringValue: `request served method=GET path=/api/v1/items/${i} status=200 duration_ms=${i % 97} bytes=${i * 13}`,
  },
  attributes: attributesOf({
    'log.file.path': `/var/log/pods/svc-${sender}/${i % 4}.log`,
    'log.iostream': 'stdout',
    'thread.id': i % 16,
    'http.request.method': 'GET',
    'url.path': `/api/v1/items/${i}`,
    'http.response.status_code': i % 17 === 0 ? 500 : 200,
    'client.address': `10.0.${i % 255}.${i % 13}`,
    'duration.ms': (i % 97) + 0.25,
  }),
  traceId: hex(32, sender * 1000 + i + 1),
  spanId: hex(16, sender * 1000 + i + 7),
})

/** What became of a load. */
export interface Sent {
  /** Requests that were answered with success, and others. */
  readonly ok: number
  readonly failed: number
  /** The value in each sender's last request. */
  readonly last: readonly number[]
}

/** Sends for `seconds`; values go on from `from`, so that no two requests carry the same. */
export async function sendFor(load: Load, port: number, seconds: number, from: number): Promise<Sent> {
  const agent = new Agent({ keepAlive: true, maxSockets: senders })
  const end = performance.now() + seconds * 1000
  const last: number[] = []
  let ok = 0
  let failed = 0
  const sender = async (body: Body, which: number) => {
    for (let value = from; performance.now() < end; value++) {
      renew(body, value)
      last[which] = value
      if ((await post(agent, port, load.path, body.bytes)) === 200) ok++
      else failed++
    }
  }
  await Promise.all(load.bodies.map(sender)).finally(() => agent.destroy())
  return { ok, failed, last }
}

function renew({ bytes, times, values, buckets, counts }: Body, value: number): void {
  const time = encoded(BigInt(Date.now()) * 1_000_000n)
  const [bucket, count] = [encoded(BigInt(value)), encoded(BigInt(value + otherBuckets))]
  for (const at of times) bytes.set(time, at)
  for (const at of values) bytes.writeDoubleLE(value, at)
  for (const at of buckets) bytes.set(bucket, at)
  for (const at of counts) bytes.set(count, at)
}

function post(agent: Agent, port: number, path: string, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-protobuf', 'content-length': body.length }
    const call = request({ agent, port, path, host: '127.0.0.1', method: 'POST', headers }, response => {
      response.on('error', reject).on('end', () => resolve(response.statusCode ?? 0))
      response.resume()
    })
    call.on('error', reject)
    call.end(body)
  })
}
