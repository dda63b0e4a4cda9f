/** The OpenTelemetry Collector in front of Kymo and behind it, with everything both can compress with. */
import { afterEach, describe, expect, test } from 'vitest'
import { allSignals } from '../../proto/signals.ts'
import { everything } from '../support/everything.ts'
import { gateway, inOrder, throughGateway } from '../support/gateway.ts'
import { runKymo, type RunningKymo } from '../support/kymo.ts'
import { type Collector, otelcol, startCollector } from '../support/otelcol.ts'
import { itemsOf, type Item } from '../support/otlp-proto.ts'
import { grpcSend } from '../support/otlp-send.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
import { emitEverything } from '../support/sdk.ts'

if (otelcol === '') console.warn('skipped: OTELCOL names no Collector')

let kymo: RunningKymo
let collector: Collector
let backend: OtlpSink
afterEach(async () => {
  await kymo.stop()
  await collector.stop()
  await backend.close()
  expect(kymo.books.faults()).toEqual([])
  expect(kymo.budget.used).toBe(0)
  expect(backend.undecodable).toEqual([])
})

const compressions = ['none', 'gzip', 'snappy', 'zstd']
const ways = [
  ...compressions.map(compression => ['grpc', compression] as const),
  ...[...compressions, 'deflate', 'zlib'].map(compression => ['http', compression] as const),
]

/** Sends what the SDK says, and every field of OTLP, to `endpoint` and compares what comes out at the backend. */
async function sendAndCompare(endpoint: string): Promise<void> {
  const reference = await otlpSink()
  const target = (to: string) => ({ protocol: 'grpc' as const, endpoint: to, gzip: false })
  await emitEverything('shop', [target(endpoint), target(reference.grpcEndpoint)])
  for (const signal of allSignals) {
    const body = everything(signal)
    expect(await grpcSend(endpoint, signal, body)).toMatchObject({ code: 0 })
    const sent = [...reference.items(signal), ...itemsOf(signal, body)]
    await expect.poll(() => backend.items(signal).length, { timeout: 10_000 }).toBe(sent.length)
    expect(known(backend.items(signal))).toEqual(known(sent.map(throughGateway)))
  }
  await reference.close()
}

/** The Collector writes defaults out and leaves out what it does not know: both are as if they had not been said. */
const known = (items: readonly Item[]) => inOrder(JSON.parse(JSON.stringify(items), withoutDefaults) as Item[])

function withoutDefaults(this: unknown, key: string, value: unknown): unknown {
  if (key === 'entity_refs' || key === 'schema_url') return undefined
  if (key.endsWith('_value')) return value
  if (value === '' || value === 0 || value === '0' || value === '0x' || value === false) return undefined
  if (Array.isArray(value) && value.length === 0 && key !== 'values') return undefined
  if (['value', 'status', 'body', 'scope', 'positive', 'negative'].includes(key) && isEmpty(value)) return undefined
  return value
}

const isEmpty = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.values(value).every(one => one === undefined)

const settings = (protocol: string, endpoint: string, compression: string) =>
  protocol === 'grpc'
    ? `{endpoint: '${endpoint}', tls: {insecure: true}, compression: ${compression}}`
    : `{endpoint: 'http://${endpoint}', compression: ${compression}}`

describe.skipIf(otelcol === '')('the Collector', () => {
  test.each(ways)('behind Kymo, over %s with %s, receives everything', async (protocol, compression) => {
    backend = await otlpSink()
    collector = await startCollector('otlp', settings('grpc', backend.grpcEndpoint, 'none'))
    const exporter = protocol === 'grpc' ? 'otlp_grpc' : 'otlp_http'
    kymo = await runKymo(gateway([[exporter, settings(protocol, collector[protocol], compression)]]))
    await sendAndCompare(kymo.addresses[0])
  })

  test.each(ways)('before Kymo, over %s with %s, is understood', async (protocol, compression) => {
    backend = await otlpSink()
    kymo = await runKymo(gateway([['otlp_grpc', settings('grpc', backend.grpcEndpoint, 'none')]]))
    const to = kymo.addresses[protocol === 'grpc' ? 0 : 1]
    collector = await startCollector(protocol === 'grpc' ? 'otlp' : 'otlphttp', settings(protocol, to, compression))
    await sendAndCompare(collector.grpc)
  })
})
