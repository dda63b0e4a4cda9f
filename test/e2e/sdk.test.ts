/** Real SDKs in numbers, through a Kymo process, and through two in a row with everything they compress with. */
import { afterEach, describe, expect, test } from 'vitest'
import { allSignals } from '../../proto/signals.ts'
import { gateway, inOrder, namespaces, throughGateway } from '../support/gateway.ts'
import { freePort, type KymoProcess, runKymo, spawnKymo } from '../support/kymo.ts'
import { type OtlpSink, otlpSink } from '../support/otlp-sink.ts'
import { emitEverything, type SdkTarget } from '../support/sdk.ts'

let kymo: KymoProcess | undefined
const sinks: OtlpSink[] = []
afterEach(async () => {
  kymo?.child.kill('SIGKILL')
  await kymo?.ended
  await Promise.all(sinks.splice(0).map(sink => sink.close()))
})
const sink = async () => {
  const made = await otlpSink()
  sinks.push(made)
  return made
}

/** Everything that was sent, compared with what came, signal by signal. */
async function compare(reference: OtlpSink, backend: OtlpSink, times = 1): Promise<void> {
  for (const signal of allSignals) {
    const sent = reference.items(signal)
    await expect.poll(() => backend.items(signal).length, { timeout: 30_000 }).toBe(sent.length * times)
    const expected = sent.map(throughGateway)
    expect(inOrder(backend.items(signal))).toEqual(inOrder(Array.from({ length: times }, () => expected).flat()))
    expect(namespaces(backend.items(signal))).not.toContain('kube-system')
  }
  expect(backend.undecodable).toEqual([])
}

const ways = (['grpc', 'http'] as const).flatMap(protocol => [false, true].map(gzip => ({ protocol, gzip })))

test.each(ways)('a process takes 2,000 of each over $protocol, gzip $gzip, from several senders', async way => {
  const [backend, reference] = [await sink(), await sink()]
  const [grpc, http] = [await freePort(), await freePort()]
  const yaml = gateway(
    [['otlp_grpc', `{endpoint: '${backend.grpcEndpoint}', tls: {insecure: true}}`]],
    [`127.0.0.1:${grpc}`, `127.0.0.1:${http}`],
  )
  const admin = '[{pull: {exporter: {prometheus: {host: localhost, port: 0}}}}]'
  kymo = spawnKymo(['run', '--config', `yaml:${yaml}`, '--set', `service.telemetry.metrics.readers=${admin}`])
  await kymo.until('everything is ready')
  const target: SdkTarget = { ...way, endpoint: `127.0.0.1:${way.protocol === 'grpc' ? grpc : http}` }
  const direct: SdkTarget = { protocol: 'grpc', endpoint: reference.grpcEndpoint, gzip: false }
  await Promise.all([
    ...['shop', 'payments', 'default', 'web'].map(namespace => emitEverything(namespace, [target, direct], 500)),
    emitEverything('kube-system', [target], 100),
  ])
  await compare(reference, backend)
  kymo.child.kill('SIGTERM')
  expect(await kymo.ended).toBe(0)
})

describe('through two Kymos', () => {
  test.each(['none', 'gzip', 'zstd', 'snappy', 'deflate', 'zlib', 'x-snappy-framed'])(
    'that compress with %s, over both protocols, data is as it was',
    async compression => {
      const [backend, reference] = [await sink(), await sink()]
      const second = await runKymo(
        gateway([['otlp_grpc', `{endpoint: '${backend.grpcEndpoint}', tls: {insecure: true}, compression: none}`]]),
      )
      const [grpc, http] = second.addresses
      const overGrpc = ['none', 'gzip', 'zstd', 'snappy'].includes(compression)
      const first = await runKymo(
        gateway([
          ...(overGrpc
            ? [['otlp_grpc', `{endpoint: '${grpc}', tls: {insecure: true}, compression: ${compression}}`] as const]
            : []),
          ['otlp_http', `{endpoint: 'http://${http}', compression: ${compression}}`],
        ]),
      )
      await emitEverything('shop', [
        { protocol: 'grpc', endpoint: first.addresses[0], gzip: true },
        { protocol: 'grpc', endpoint: reference.grpcEndpoint, gzip: false },
      ])
      await compare(reference, backend, overGrpc ? 2 : 1)
      await first.stop()
      await second.stop()
      for (const each of [first, second]) {
        expect(each.books.faults()).toEqual([])
        expect(each.budget.used).toBe(0)
        expect(each.lines.filter(line => line.level === 'error')).toEqual([])
      }
    },
  )
})
