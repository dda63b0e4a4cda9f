/** Batches that are sent in several requests, of which some are taken and some are not. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { inflateSnappy } from '../../../net/snappy.ts'
import { prometheusRemoteWrite } from '../../../exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { Attempts, batchOf, exporterOf, refusal } from '../../support/exporting.ts'
import { encode } from '../../support/otlp.ts'
import { decodeRequest } from '../../support/remote-write.ts'
import { gauge, point, requestOf } from '../../support/remote-write-reference.ts'

let server: Server
/** Bodies as they came. */
let seen: string[]
/** What the second body is answered, whenever it comes; undefined: as the others. */
let status: number | undefined
let close: () => Promise<void>

beforeEach(async () => {
  seen = []
  taken = []
  answer = undefined
  status = undefined
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      seen.push(body.toString('base64'))
      const own = answer?.(body)
      if (own !== undefined) {
        if (own === 204) taken.push(body)
        response.writeHead(own, { 'x-prometheus-remote-write-samples-written': '9' }).end()
        return
      }
      const isSecond = new Set(seen).size > 1 && seen.at(-1) === [...new Set(seen)][1]
      response.writeHead(isSecond ? (status ?? 204) : 204).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  await close()
  server.closeAllConnections()
  server.close()
})

const messages = { 1: 'prometheus.WriteRequest', 2: 'io.prometheus.write.v2.Request' } as const

/** What a body has to say to its answer; undefined: nothing. */
let answer: ((body: Buffer) => number) | undefined
/** What is spoken. */
let version: 1 | 2
/** Bodies that were answered 204. */
let taken: Buffer[]

/** The attribute of each point in a body. */
const samplesOf = (body: Buffer): string[] =>
  decodeRequest(version, inflateSnappy(body, 1 << 20)).series.flatMap(({ labels }) =>
    labels.filter(([name]) => name === 'i').map(([, value]) => value),
  )

function running(spoken: 1 | 2 = 1, lanes = 1) {
  version = spoken
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/write`
  const config = {
    endpoint,
    max_batch_size_bytes: 200,
    max_batch_request_parallelism: lanes,
    protobuf_message: messages[spoken],
  }
  const made = exporterOf(prometheusRemoteWrite, config, ['metrics'])
  void made.exporter.start?.()
  close = async () => made.exporter.stop?.()
  const points = Array.from({ length: 8 }, (_, i) => point(1000, { as_double: i }, { i: `${i}` }))
  const batch = batchOf(encode('ExportMetricsServiceRequest', requestOf([gauge('a', points)])), 'metrics')
  return { ...made, attempts: new Attempts(batch) }
}

/** How often each body came, in the order of the first. */
const times = (): number[] => [...Map.groupBy(seen, body => body).values()].map(list => list.length)

test('those that were taken are not sent again', async () => {
  const { exporter, attempts, budget } = running()
  status = 503
  const error = await refusal(attempts.send(exporter))
  expect([error.kind, error.maybeTaken]).toEqual(['retry', false])
  await refusal(attempts.send(exporter))
  expect(times()).toEqual([1, 2])
  status = undefined
  expect(await attempts.send(exporter)).toBeUndefined()
  expect(times().slice(0, 3)).toEqual([1, 3, 1])
  expect(
    times()
      .slice(2)
      .every(count => count === 1),
  ).toBe(true)
  expect(budget.inFlight).toBe(0)
})

test('what is refused for good is given up alone', async () => {
  const { exporter, attempts } = running()
  status = 400
  const sent = await attempts.send(exporter)
  expect(sent?.reasons).toEqual({ rejected: sent?.rejected })
  expect(sent?.rejected).toBeGreaterThan(0)
  expect(sent?.rejected).toBeLessThan(8)
  expect(times().every(count => count === 1)).toBe(true)
})

test('what fails again and again is given up alone, once the batch is suspected', async () => {
  const { exporter, attempts } = running()
  status = 503
  await refusal(attempts.send(exporter))
  attempts.isSuspect = true
  const sent = await attempts.send(exporter)
  expect(sent?.reasons).toEqual({ suspect: sent?.rejected })
  expect(times().slice(0, 3)).toEqual([1, 2, 1])
})

test.each([
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
] as const)(
  'what is too large of %i.0 after others were taken is cut, down to one point, over %i lanes',
  async (...how) => {
    const { exporter, attempts, budget } = running(...how)
    // Of the first is taken what comes, of all others no more than one point at a time.
    let first = true
    answer = body => {
      if (first || samplesOf(body).length === 1) {
        first = false
        return 204
      }
      return 413
    }
    expect(await attempts.send(exporter)).toBeUndefined()
    expect(taken.flatMap(samplesOf).toSorted()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
    expect(seen.length).toBeGreaterThan(taken.length)
    expect(budget.inFlight).toBe(0)
  },
)

test('a point that is too large alone is given up alone', async () => {
  const { exporter, attempts } = running()
  let first = true
  answer = body => {
    if (first || !samplesOf(body).includes('7')) {
      first = false
      return 204
    }
    return 413
  }
  expect(await attempts.send(exporter)).toMatchObject({ rejected: 1, reasons: { rejected: 1 } })
  expect(taken.flatMap(samplesOf).toSorted()).toEqual(['0', '1', '2', '3', '4', '5', '6'])
})
