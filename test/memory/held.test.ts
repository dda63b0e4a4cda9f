/** What a queue occupies: the bytes of the requests in it, and not much more. `HELD_REQUESTS` says how many there are. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bodies, floodGrpc, floodHttp, type Holder, holder } from '../support/held.ts'
import { groupCost } from '../../proto/group.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const asked = process.env['HELD_REQUESTS']
const requests = Number(asked ?? 4000)
/** The rest is for the long run only. */
const some = <T>(...all: readonly [quick: T[], long: T[]]): T[] => (asked === undefined ? all[0] : all.flat())
const size = 1500

let hole: Server
let kymo: Holder
const sockets = new Set<Socket>()
beforeEach(async () => {
  hole = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}).resume()
  })
  hole.listen(0, '127.0.0.1')
  await once(hole, 'listening')
})
afterEach(() => {
  kymo.close()
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  hole.close()
})

/** A Kymo whose one exporter sends to where nobody answers. */
async function start(processors: string, queue: string): Promise<void> {
  const { port } = hole.address() as AddressInfo
  kymo = await holder(`
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}
processors:
  batch: {timeout: 10ms}
  namespace_filter: {}
  resource: {attributes: [{key: k8s.cluster.name, value: prod-eu-1, action: upsert}]}
exporters: {otlp_http: {endpoint: 'http://127.0.0.1:${port}', timeout: 0, sending_queue: {${queue}}}}
service: {pipelines: {traces: {receivers: [otlp], processors: [${processors}], exporters: [otlp_http]}}}
`)
}

const queue = `queue_size: 1000000, num_consumers: 1`
const body = bodies(size, spans => tracesRequest([{ namespace: 'shop', spans }]))

test.each(
  some<[transport: string, gzip: boolean, processors: string]>(
    [
      ['gRPC', true, ''],
      ['HTTP', false, ''],
      ['gRPC, filtered, enriched and batched', true, 'namespace_filter, resource, batch'],
    ],
    [
      ['gRPC', false, ''],
      ['HTTP', true, ''],
      ['gRPC, filtered and enriched', false, 'namespace_filter, resource'],
    ],
  ),
)(
  `${requests} requests of ${size} bytes over %s (gzip %s) held in a queue occupy less than twice their bytes`,
  async (transport, gzip, processors) => {
    await start(processors, queue)
    const [grpc, http] = kymo.addresses
    const send = (count: number, from: number) =>
      transport === 'HTTP'
        ? floodHttp(http, count, n => body(n + from), gzip)
        : floodGrpc(grpc, count, n => body(n + from), gzip)
    // What code and connections take is there before.
    await send(1000, requests)
    const before = await kymo.measure()
    await send(requests, 0)
    const after = await kymo.measure()
    let bytes = 0
    for (let n = 0; n < requests; n++) bytes += body(n).length
    expect(after.faults).toEqual([])
    if (!processors.includes('batch')) expect(after.held - before.held).toBe(requests)
    const budget = after.budget - before.budget
    const memory = after.memory - after.pool - (before.memory - before.pool)
    expect(budget).toBeGreaterThanOrEqual(bytes)
    // Enriched, there is somewhat more than was sent; and each request has a group.
    expect(budget).toBeLessThan(1.1 * bytes + requests * groupCost)
    expect(memory).toBeLessThan(2 * budget)
    // What is charged is what the buffers take: memory that is not charged would not be bounded.
    const buffers = after.arrayBuffers - after.pool - (before.arrayBuffers - before.pool)
    expect(buffers).toBeLessThan(1.1 * budget)
  },
  180_000,
)

test.each(
  some<[transport: string, gzip: boolean]>(
    [
      ['gRPC', false],
      ['HTTP', true],
    ],
    [
      ['gRPC', true],
      ['HTTP', false],
    ],
  ),
)(
  'a 4 MiB request over %s (gzip %s) of which one item is kept occupies under 64 KiB once queued',
  async (transport, gzip) => {
    await start('namespace_filter', queue)
    const filling = bodies(4 << 20, spans => tracesRequest([{ namespace: 'kube-system', spans }]))(1)
    const kept = tracesRequest([{ namespace: 'shop', spans: ['kept'] }])
    const mixed = Buffer.concat([filling, kept])
    expect(mixed.length).toBeGreaterThan(4_190_000)
    const [grpc, http] = kymo.addresses
    const count = 40
    const send = () =>
      transport === 'HTTP' ? floodHttp(http, count, () => mixed, gzip) : floodGrpc(grpc, count, () => mixed, gzip)
    await send()
    const before = await kymo.measure()
    await send()
    const after = await kymo.measure()
    expect(after.held - before.held).toBe(count)
    expect((after.budget - before.budget) / count).toBeLessThan(1024)
    // What is not in the pool is in use.
    expect((after.arrayBuffers - after.pool - (before.arrayBuffers - before.pool)) / count).toBeLessThan(4096)
    expect((after.memory - after.pool - (before.memory - before.pool)) / count).toBeLessThan(64 * 1024)
  },
  60_000,
)
