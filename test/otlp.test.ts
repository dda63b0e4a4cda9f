/** The whole way in one process: real SDKs, receiver, processors, exporters, and a backend that is not ours. */
import { afterEach, expect, test } from 'vitest'
import { allSignals } from '../proto/signals.ts'
import { everything } from './support/everything.ts'
import { gateway, inOrder, namespaces, throughGateway } from './support/gateway.ts'
import { runKymo, type RunningKymo } from './support/kymo.ts'
import { itemsOf } from './support/otlp-proto.ts'
import { type OtlpSink, otlpSink } from './support/otlp-sink.ts'
import { grpcSend, httpSend } from './support/otlp-send.ts'
import { emitEverything } from './support/sdk.ts'

let kymo: RunningKymo
const sinks: OtlpSink[] = []
const sink = async () => {
  const made = await otlpSink()
  sinks.push(made)
  return made
}
afterEach(async () => {
  const { lost } = await kymo.stop()
  await Promise.all(sinks.splice(0).map(one => one.close()))
  expect(lost).toBe(0)
  expect(kymo.books.faults()).toEqual([])
  expect(kymo.budget.used).toBe(0)
})

const ways = (['grpc', 'http'] as const).flatMap(protocol => [false, true].map(gzip => ({ protocol, gzip })))

test.each(ways)(
  'what the SDK sends over $protocol, gzip $gzip, arrives over both exporters as it was sent, enriched',
  async ({ protocol, gzip }) => {
    const [backend, reference] = [await sink(), await sink()]
    kymo = await runKymo(
      gateway([
        [
          'otlp_grpc',
          `{endpoint: '${backend.grpcEndpoint}', tls: {insecure: true}, compression: ${gzip ? 'gzip' : 'none'}}`,
        ],
        ['otlp_http', `{endpoint: '${backend.httpEndpoint}', compression: ${gzip ? 'gzip' : 'none'}}`],
      ]),
    )
    const endpoint = kymo.addresses[protocol === 'grpc' ? 0 : 1]
    await emitEverything('shop', [
      { protocol, endpoint, gzip },
      { protocol: 'grpc', endpoint: reference.grpcEndpoint, gzip: false },
    ])
    await emitEverything('kube-system', [{ protocol, endpoint, gzip }])
    for (const signal of allSignals) {
      const sent = reference.items(signal)
      expect(sent.length).toBeGreaterThan(10)
      const over = (transport: string) =>
        backend.received.filter(one => one.signal === signal && one.transport === transport).flatMap(one => one.items)
      await expect.poll(() => [over('grpc').length, over('http').length]).toEqual([sent.length, sent.length])
      const expected = inOrder(sent.map(throughGateway))
      expect(inOrder(over('grpc'))).toEqual(expected)
      expect(inOrder(over('http'))).toEqual(expected)
      expect(namespaces(over('grpc'))).toEqual(new Set(['shop']))
    }
    expect(backend.undecodable).toEqual([])
    for (const one of backend.received.filter(each => each.transport === 'http'))
      expect(one.encoding).toBe(gzip ? 'gzip' : '')
  },
)

test.each(allSignals)('every field that OTLP has for %s arrives, over gRPC and HTTP', async signal => {
  const backend = await sink()
  kymo = await runKymo(
    gateway([
      ['otlp_grpc', `{endpoint: '${backend.grpcEndpoint}', tls: {insecure: true}}`],
      ['otlp_http', `{endpoint: '${backend.httpEndpoint}'}`],
    ]),
  )
  const body = everything(signal)
  expect(await grpcSend(kymo.addresses[0], signal, body)).toMatchObject({ code: 0 })
  expect(await httpSend(kymo.addresses[1], signal, body)).toMatchObject({ status: 200 })
  expect(await grpcSend(kymo.addresses[0], signal, everything(signal, 'istio-system'))).toMatchObject({ code: 0 })
  const sent = itemsOf(signal, body)
  // Of a request of a system namespace only what says no namespace passes.
  const bare = sent.filter(one => Object.keys(one.resource).length === 0)
  const expected = inOrder([...sent, ...sent, ...bare].map(throughGateway))
  for (const transport of ['grpc', 'http']) {
    const received = () => backend.received.filter(one => one.transport === transport).flatMap(one => one.items)
    await expect.poll(() => received().length).toBe(expected.length)
    expect(inOrder(received())).toEqual(expected)
  }
})
