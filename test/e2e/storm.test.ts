/**
 * Bad weather: many senders of all sizes, a backend that answers everything a backend can, memory that is used again.
 * What was answered with success arrives, unharmed, once where no attempt left it open whether it had arrived.
 */
import { afterEach, expect, test } from 'vitest'
import { createHash } from 'node:crypto'
import { runKymo, type RunningKymo } from '../support/kymo.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { grpcSender, httpSend } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
import { Random } from '../support/otlp.ts'

let kymo: RunningKymo
let sink: OtlpSink
afterEach(async () => {
  await kymo.stop(5000)
  await sink.close()
  expect(kymo.books.faults()).toEqual([])
  expect(kymo.budget.used).toBe(0)
  expect(sink.undecodable).toEqual([])
})

const digest = (text: string) => createHash('sha1').update(text).digest('hex').slice(0, 12)
/** A span whose name says what it must be: number, filling, digest of both. */
function spanName(n: number, size: number): string {
  const filling = digest(String(n))
    .repeat(Math.ceil(size / 12))
    .slice(0, size)
  return `${n}|${filling}|${digest(`${n}${filling}`)}`
}
/** The number of a span, or an error where one byte of it is another. */
function numberOf(name: string): number {
  const [n, filling, sum] = name.split('|')
  if (digest(`${n}${filling}`) !== sum) throw new Error(`span ${n} is not what was sent`)
  return Number(n)
}

interface Storm {
  readonly transport: 'gRPC' | 'HTTP'
  readonly processors: string
  readonly exporter: string
  readonly seed: number
  /** Milliseconds that senders over gRPC wait at most. */
  readonly patience: number
}

/** Lets it happen; returns the numbers that were accepted and those that arrived. */
async function weather({ transport, processors, exporter, seed, patience }: Storm) {
  const random = new Random(seed)
  sink = await otlpSink()
  let calm = false
  sink.answer = async ({ count }) => {
    const what = calm ? 9 : random.next(10)
    if (what === 0) return { code: 14, message: 'later', retryDelay: random.next(30) }
    if (what === 1) return { code: 14, message: 'now' }
    if (what === 2 && count > 3) return { code: 8, message: 'too large' }
    if (what === 3) await new Promise(resolve => setTimeout(resolve, random.next(20)))
    if (what === 4 && random.chance(4)) await new Promise(resolve => setTimeout(resolve, 150))
    return undefined
  }
  const type = transport === 'gRPC' ? 'otlp_grpc' : 'otlp_http'
  const to =
    transport === 'gRPC'
      ? `endpoint: '${sink.grpcEndpoint}', tls: {insecure: true}`
      : `endpoint: '${sink.httpEndpoint}'`
  kymo = await runKymo(`
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}
processors:
  namespace_filter: {}
  resource: {attributes: [{key: k8s.cluster.name, value: prod-eu-1, action: upsert}]}
  batch: {timeout: 5ms, send_batch_max_size: 300, send_batch_size: 200}
exporters:
  ${type}: {${to}, timeout: 100ms, retry_on_failure: {initial_interval: 2ms, max_interval: 20ms}, ${exporter}}
service: {pipelines: {traces: {receivers: [otlp], processors: [${processors}], exporters: [${type}]}}}
`)
  const [grpc, http] = kymo.addresses
  const clients = [grpcSender(grpc), grpcSender(grpc, { gzip: true })]
  const accepted = new Set<number>()
  let next = 0
  const sender = async () => {
    while (next < 12_000) {
      const spans: string[] = []
      const numbers: number[] = []
      for (let left = 1 + random.next(20); left > 0; left--) {
        numbers.push(next)
        spans.push(spanName(next++, random.pick([5, 40, 300, 5000, 40_000])))
      }
      const cut = random.next(spans.length + 1)
      const body = tracesRequest([
        { namespace: 'kube-system', spans: ['dropped'] },
        { namespace: 'shop', spans: spans.slice(0, cut) },
        { spans: spans.slice(cut) },
      ])
      const how = random.next(4)
      const taken =
        how < 2
          ? (await clients[how].send('traces', body, patience)).code === 0
          : (await httpSend(http, 'traces', body, { gzip: how === 2 })).status === 200
      if (taken) for (const n of numbers) accepted.add(n)
    }
  }
  await Promise.all(Array.from({ length: 24 }, sender))
  calm = true
  const books = kymo.books.nodes.find(node => node.name.kind === 'exporter')!
  await expect.poll(() => books.held(), { timeout: 60_000 }).toBe(0)
  for (const client of clients) client.close()
  const names = sink.items('traces').map(one => String(one.item['name']))
  expect(names.includes('dropped')).toBe(!processors.includes('namespace_filter'))
  const arrived = names.filter(name => name !== 'dropped').map(numberOf)
  expect(books.failedAttempts).toBeGreaterThan(5)
  expect(books.lost.total + books.rejected.total).toBe(0)
  return { accepted, arrived, sent: next, books }
}

test.each<Omit<Storm, 'patience' | 'exporter'>>([
  { transport: 'gRPC', processors: 'batch', seed: 1 },
  { transport: 'gRPC', processors: 'namespace_filter, resource, batch', seed: 2 },
  { transport: 'HTTP', processors: 'namespace_filter, resource, batch', seed: 3 },
  { transport: 'HTTP', processors: '', seed: 4 },
])('over $transport, through "$processors": nothing that was accepted is lost, harmed or made up', async storm => {
  const exporter = 'sending_queue: {num_consumers: 4, queue_size: 100000}'
  const { accepted, arrived, sent, books } = await weather({ ...storm, exporter, patience: 60_000 })
  expect(accepted.size).toBe(sent)
  expect(new Set(arrived)).toEqual(accepted)
  expect(arrived.length - accepted.size).toBeLessThanOrEqual(books.maybeTwice)
})

test.each<Omit<Storm, 'patience' | 'processors'>>([
  { transport: 'gRPC', exporter: 'sending_queue: {enabled: false}', seed: 5 },
  { transport: 'HTTP', exporter: 'sending_queue: {wait_for_result: true, num_consumers: 4}', seed: 6 },
  { transport: 'gRPC', exporter: 'sending_queue: {queue_size: 5, num_consumers: 2}', seed: 7 },
  { transport: 'HTTP', exporter: 'sending_queue: {queue_size: 5, num_consumers: 2, block_on_overflow: true}', seed: 8 },
])('senders that lose patience, over $transport with $exporter: what was accepted arrives', async storm => {
  const { accepted, arrived, sent } = await weather({ ...storm, processors: 'namespace_filter, batch', patience: 40 })
  expect(accepted.size).toBeGreaterThan(0)
  const there = new Set(arrived)
  expect([...accepted].filter(n => !there.has(n))).toEqual([])
  for (const n of there) expect(n).toBeLessThan(sent)
})
