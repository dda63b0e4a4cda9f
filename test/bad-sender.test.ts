/** One sender whose data is broken inside, merged with others: what it costs them is nothing. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { allSignals, type Signal } from '../proto/signals.ts'
import { brokenItems, decodes, healthyItem, requestOfItems } from './support/broken.ts'
import { runKymo, type RunningKymo } from './support/kymo.ts'
import { names } from './support/otlp-bytes.ts'
import { attributesOf, listOf, type Plain } from './support/otlp-proto.ts'
import { grpcSend, httpSend } from './support/otlp-send.ts'
import { type OtlpSink, otlpSink } from './support/otlp-sink.ts'

let kymo: RunningKymo | undefined
let sink: OtlpSink
beforeEach(async () => {
  sink = await otlpSink()
})
afterEach(async () => {
  await kymo?.stop(500)
  await sink.close()
  expect(kymo?.books.faults() ?? []).toEqual([])
  expect(kymo?.budget.used ?? 0).toBe(0)
  kymo = undefined
})

/** The name that a healthy item carries. */
function nameOf({ item }: { item: Plain }): string {
  const { gauge } = item
  const holder = gauge === undefined ? item : listOf(gauge as Plain, 'data_points')[0]
  return String(attributesOf(holder)['name'])
}

async function start(transport: string, signal: Signal, exporter: string, processors: string): Promise<RunningKymo> {
  const to =
    transport === 'grpc'
      ? `otlp_grpc: {endpoint: '${sink.grpcEndpoint}', tls: {insecure: true}, ${exporter}}`
      : `otlp_http: {endpoint: '${sink.httpEndpoint}', ${exporter}}`
  return runKymo(`
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}
processors:
  batch: {timeout: 60s}
exporters: {${to}}
service: {pipelines: {${signal}: {receivers: [otlp], processors: [${processors}], exporters: [otlp_${transport}]}}}
`)
}

describe.each(allSignals)('%s', signal => {
  const broken = brokenItems(signal)

  test.each(broken)('no decoder reads an item that is broken $where', ({ bytes }) => {
    expect(decodes(signal, bytes)).toBe(false)
    expect(decodes(signal, healthyItem(signal, 'x'))).toBe(true)
  })

  test.each([
    ['over gRPC, by the batch processor', 'grpc', 'sending_queue: {num_consumers: 1, wait_for_result: true}', 'batch'],
    ['over HTTP, by the batch processor', 'http', 'sending_queue: {num_consumers: 1, wait_for_result: true}', 'batch'],
    [
      'over gRPC, by the queue of the exporter, senders waiting',
      'grpc',
      'sending_queue: {num_consumers: 1, wait_for_result: true, batch: {flush_timeout: 60s, min_size: 100000}}',
      '',
    ],
  ])(
    'a sender whose items are broken at every depth, merged with three healthy ones %s: all but the broken items arrive',
    async (_, transport, exporter, processors) => {
      const { promise: held, resolve: release } = Promise.withResolvers<undefined>()
      sink.answer = () => held
      const { addresses, books } = (kymo = await start(transport, signal, exporter, processors))
      const send = (service: string, items: readonly Buffer[]) => {
        const body = requestOfItems(service, items)
        return service === 'b'
          ? httpSend(addresses[1], signal, body, { gzip: true })
          : grpcSend(addresses[0], signal, body)
      }
      // While this one is being sent, the others gather.
      const first = send('first', [healthyItem(signal, 'first')])
      await expect.poll(() => sink.attempts.length).toBe(1)
      const healthy = (name: string) => names(`${name}-`, 20).map(one => healthyItem(signal, one))
      const answers = [
        send('a', healthy('a')),
        send('b', healthy('b')),
        // Its own healthy items stand between the broken ones.
        send(
          'broken',
          broken.flatMap(({ bytes }, i) => [bytes, healthyItem(signal, `own-${i}`)]),
        ),
        send('c', healthy('c')),
      ]
      const sent = 61 + 2 * broken.length
      const receiver = books.nodes.find(node => node.name.kind === 'receiver')!
      await expect.poll(() => receiver.in).toBe(sent)
      release(undefined)
      const arrived = () => sink.received.flatMap(one => one.items.map(nameOf))
      const exporterBooks = books.nodes.find(node => node.name.kind === 'exporter')!
      await expect.poll(() => exporterBooks.delivered + exporterBooks.rejected.total).toBe(sent)
      await Promise.all([first, ...answers])

      expect(sink.undecodable[0].includes('a-19') && sink.undecodable[0].includes('c-19')).toBe(true)
      const healthyNames = ['first', ...['a', 'b', 'c'].flatMap(name => names(`${name}-`, 20))]
      const own = broken.map((_, i) => `own-${i}`)
      // Beside them what was mended: text that is no UTF-8 is no reason to lose an item.
      const others = arrived().filter(name => !healthyNames.includes(name) && !own.includes(name))
      expect(
        arrived()
          .filter(name => !others.includes(name))
          .toSorted(),
      ).toEqual([...healthyNames, ...own].toSorted())
      expect(others.length).toBe(exporterBooks.mended)
      // None but the broken items are gone, and that cost one send more.
      const { malformed, ...else_ } = Object.fromEntries(
        [...exporterBooks.rejected.all()].map(({ reason, value }) => [reason, value]),
      )
      expect(Object.values(else_).reduce((sum, value) => sum + value, 0)).toBe(0)
      expect(malformed + exporterBooks.mended).toBe(broken.length)
      expect(exporterBooks.attempts).toBe(3)
      // The journal has whose they were, and at the door they are known from now on.
      const [record] = kymo.journal.find({ reason: 'malformed' })
      expect(record).toMatchObject({ receiver: 'otlp', peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/) })
      const again = requestOfItems('broken', [broken[0].bytes])
      expect(await grpcSend(addresses[0], signal, again)).toMatchObject({ code: 3 })
      expect(await httpSend(addresses[1], signal, again, {})).toMatchObject({ status: 400 })
      expect(exporterBooks.attempts).toBe(3)
      if (!exporter.includes('wait_for_result')) return
      const [a, b, bad, c] = await Promise.all(answers)
      expect([a, c]).toMatchObject([{ code: 0, partial: undefined }, { code: 0 }])
      expect(b).toMatchObject({ status: 200, partial: undefined })
      expect(bad).toMatchObject({ code: 0, partial: { rejected: String(malformed) } })
    },
  )
})
