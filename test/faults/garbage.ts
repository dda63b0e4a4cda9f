/**
 * Senders of garbage beside healthy ones, through `batch`, to a destination that decodes all of a request or refuses it:
 * `node test/faults/garbage.ts 100000`.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { brokenItems, healthyItem, requestOfItems } from '../support/broken.ts'
import { Random } from '../support/otlp.ts'
import { decode, listOf, type Plain } from '../support/otlp-proto.ts'
import { Watch } from './confined.ts'
import type { Shape } from './ids.ts'
import { Site } from './kymo.ts'
import { type Account, Ledger } from './ledger.ts'
import { type Client, grpcClient, type Heard, httpClient, LoadSender, quantile } from './senders.ts'

const shape: Shape = { signal: 'traces', items: 20, size: 200 }
const marker = Buffer.from('kymo faults!').toString('hex')

/** What came of it. */
export interface GarbageFigures {
  readonly account: Account
  /** What garbage was answered, and what healthy requests were, by kind. */
  readonly garbage: Readonly<Record<string, number>>
  readonly healthy: Readonly<Record<string, number>>
  /** Why the exporter's items were rejected, and what of them was mended. */
  readonly rejected: Readonly<Record<string, number>>
  /** Requests that the destination had, those it could not decode, and the most that followed one rejection until something was taken. */
  readonly sends: { readonly all: number; readonly refused: number; readonly afterOne: number }
  readonly faults: readonly string[]
  /** MiB. */
  readonly calm: number
  readonly peak: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly seconds: number
}

/** A destination that decodes everything, and refuses what it cannot. */
class Decoder {
  readonly ledger: Ledger
  all = 0
  refused = 0
  afterOne = 0
  #since = 0
  readonly #server: Server

  constructor(ledger: Ledger) {
    this.ledger = ledger
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const isRead = this.#read(Buffer.concat(chunks))
        response.writeHead(isRead ? 200 : 400, { 'content-type': 'application/x-protobuf' }).end()
      })
    })
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #read(body: Buffer): boolean {
    this.all++
    let request: Plain
    try {
      request = decode('traces', body)
    } catch {
      this.refused++
      this.afterOne = Math.max(this.afterOne, ++this.#since)
      return false
    }
    this.#since = 0
    for (const group of listOf(request, 'resource_spans')) {
      for (const scope of listOf(group, 'scope_spans')) for (const span of listOf(scope, 'spans')) this.#see(span)
    }
    return true
  }

  #see({ trace_id, span_id }: Plain): void {
    if (typeof trace_id !== 'string' || typeof span_id !== 'string' || !trace_id.includes(marker)) return
    const id = Buffer.from(span_id.replace(/^0x/, ''), 'hex')
    this.ledger.saw(id.readUInt32BE(0), id.readUInt32BE(4), true)
  }
}

/** Bodies of garbage: those of protobuf, and of JSON. */
function bodies(random: Random): { protobuf: Buffer[]; json: Buffer[]; bombs: Buffer[] } {
  const broken = brokenItems('traces').map(({ bytes }) => bytes)
  const whole = requestOfItems('garbage', [healthyItem('traces', 'beside')])
  const protobuf = broken.flatMap(bytes => [
    requestOfItems('garbage', [bytes]),
    requestOfItems('garbage', [healthyItem('traces', 'beside'), bytes]),
  ])
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.from(whole)
    // Cut short, or with bytes that are others.
    if (i % 2 === 0) protobuf.push(bytes.subarray(0, 1 + random.next(bytes.length - 1)))
    else {
      for (let n = 0; n < 3; n++) bytes[random.next(bytes.length)] = random.next(256)
      protobuf.push(bytes)
    }
  }
  protobuf.push(Buffer.concat([Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07]), Buffer.alloc(64)]))
  const text = JSON.stringify({
    resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'beside', startTimeUnixNano: '1' }] }] }],
  })
  const json = Array.from({ length: 100 }, (_, i) =>
    Buffer.from(i % 2 === 0 ? text.slice(0, 1 + random.next(text.length - 1)) : text.replace('"1"', `{"x":${i}}`)),
  )
  json.push(Buffer.alloc(50_000, '['), Buffer.from(`{"resourceSpans":[${'{},'.repeat(20_000)}{}]}`))
  const bombs = [gzipSync(Buffer.alloc(32 << 20)), gzipSync(Buffer.alloc(4 << 20, Buffer.from([0x0a, 0])))]
  return { protobuf, json, bombs }
}

/** Sends so many bodies over a few connections, and counts what is answered. */
async function pour(ports: { grpc: number; http: number }, count: number): Promise<Record<string, number>> {
  const random = new Random(7)
  const { protobuf, json, bombs } = bodies(random)
  const clients = {
    protobuf: httpClient(ports.http),
    json: httpClient(ports.http, { 'content-type': 'application/json' }),
    bombs: httpClient(ports.http, { 'content-encoding': 'gzip' }),
  }
  const calls = Array.from({ length: 4 }, () => grpcClient(ports.grpc))
  const answers: Record<string, number> = {}
  let sent = 0
  const note = (what: string, heard: Heard): void => {
    const key = `${what}: ${heard.what}${'code' in heard ? ` ${heard.code}` : ''}`
    answers[key] = (answers[key] ?? 0) + 1
  }
  const one = async (lane: number): Promise<void> => {
    const dice = random.next(1000)
    const pick = (of: readonly Buffer[]): Buffer => of[random.next(of.length)]
    const send = async (what: string, client: Client, body: Buffer): Promise<void> =>
      note(what, await client.send('traces', body, 20_000))
    if (dice < 2) await send('bomb', clients.bombs, pick(bombs))
    else if (dice < 450) await send('protobuf', clients.protobuf, pick(protobuf))
    else if (dice < 750) await send('JSON', clients.json, pick(json))
    else await send('gRPC', calls[lane % calls.length], pick(protobuf))
  }
  // Before anybody is known at the door: what is framed and no more, so that it reaches the destination.
  const deep = brokenItems('traces').map(({ bytes }) => requestOfItems('garbage', [bytes]))
  const first = deep.map(async body => note('first', await calls[0].send('traces', body, 20_000)))
  await Promise.all(first)
  const lanes = Array.from({ length: 32 }, async (_, lane) => {
    while (sent < count) {
      sent++
      await one(lane)
    }
  })
  await Promise.all(lanes)
  for (const client of [...Object.values(clients), ...calls]) client.close()
  return answers
}

/** Lets it happen. */
export async function garbage(count: number): Promise<GarbageFigures> {
  const ledger = new Ledger()
  const decoder = new Decoder(ledger)
  const endpoint = `http://127.0.0.1:${await decoder.listen()}`
  const exporter = { endpoint, compression: 'none', retry_on_failure: { initial_interval: '50ms' } }
  const site = await Site.make({
    exporters: { otlp_http: exporter },
    processors: { batch: { send_batch_size: 512, timeout: '200ms' } },
    pipelines: { traces: ['otlp_http'] },
  })
  try {
    await site.start()
    const load = (['grpc', 'http', 'grpc'] as const).map(transport =>
      new LoadSender({ ledger, port: site.ports[transport], transport, shape, rate: 1000 / shape.items }).start(),
    )
    const before = new Watch(site.pid)
    await delay(3000)
    before.stop()
    const watch = new Watch(site.pid)
    const from = performance.now()
    const answers = await pour(site.ports, count)
    const seconds = (performance.now() - from) / 1000
    await delay(1000)
    watch.stop()
    await Promise.all(load.map(one => one.stop()))
    const { books_faults: faults } = await site.drained(60_000)
    const books = await site.exporter('otlp_http')
    const healthy = { success: 0, refused: 0, rejected: 0, unknown: 0, unreached: 0 }
    for (const { counts } of load) {
      for (const what of Object.keys(healthy) as (keyof typeof healthy)[]) healthy[what] += counts[what]
    }
    const took = load.flatMap(one => one.took)
    const { all, refused, afterOne } = decoder
    return {
      account: ledger.account(),
      garbage: answers,
      healthy,
      rejected: books.rejected,
      sends: { all, refused, afterOne },
      faults,
      calm: Math.max(...before.samples.map(([, rss]) => rss)),
      peak: Math.max(...watch.samples.map(([, rss]) => rss)),
      p50: quantile(took, 0.5),
      p99: quantile(took, 0.99),
      seconds,
    }
  } finally {
    await site.close()
    decoder.close()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(JSON.stringify(await garbage(Number(process.argv[2] ?? 10_000)), undefined, 2))
}
