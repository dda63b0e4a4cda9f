/** The health service of gRPC, of which another configuration takes the port over: no call of a prober fails. */
import http2 from 'node:http2'
import { connect } from 'node:net'
import { connect as secureConnect } from 'node:tls'
import { afterEach, expect, test, vi } from 'vitest'
import { Budget, budgetKey } from '../../../core/budget.ts'
import { Host } from '../../../core/host.ts'
import { GrpcHealth } from '../../../extensions/health_check/grpc-health.ts'
import { CertificateStatus } from '../../../net/certificate-status.ts'
import { grpcServer } from '../../../net/grpc-server-keys.ts'
import { Listeners, listenersKey } from '../../../net/listeners.ts'
import { GrpcCode } from '../../../proto/status.ts'
import { serverCert, serverKey } from '../../net/certificates.ts'
import { componentContext } from '../../support/contexts.ts'
import { call, frame, statusOf } from '../../support/grpc-serving.ts'
import { until } from '../../support/until.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of open.splice(0).toReversed()) await close()
})

const schemes = ['http', 'https'] as const
type Scheme = (typeof schemes)[number]

/** A process in which one service after another has the same port: the one before serves, the one after does not. */
async function processOf(scheme: Scheme) {
  const listeners = new Listeners()
  const bound = vi.spyOn(listeners, 'listen')
  const host = new Host().provide(listenersKey, listeners).provide(budgetKey, new Budget(256 << 20))
  open.push(() => listeners.close())
  const start = async (endpoint: string, isServing: boolean): Promise<GrpcHealth> => {
    const tls = scheme === 'https' ? { tls: { cert_pem: serverCert, key_pem: serverKey } } : {}
    const config = grpcServer({ endpoint }).parse(tls)
    const context = componentContext({ id: 'health_check', host })
    const health = new GrpcHealth(config, context, () => isServing, new CertificateStatus(context.status))
    await health.start()
    return health
  }
  const before = await start('127.0.0.1:0', true)
  const { port } = await bound.mock.results[0].value
  /** As a reload does it. */
  const replace = async () => {
    listeners.stage(new Set(['health_check']))
    const after = await start(`127.0.0.1:${port}`, false)
    open.push(() => after.stop())
    listeners.commit()
    return { stopped: before.stop() }
  }
  return { port, listeners, replace }
}

/** A connection that is ready for calls. */
async function sessionOf(scheme: Scheme, port: number) {
  const client = http2.connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
  client.on('error', () => {})
  open.push(() => client.destroy())
  const gone = new Promise(resolve => client.once('goaway', resolve))
  await new Promise(resolve => client.once('remoteSettings', resolve))
  return { client, gone }
}

const check = { ':path': '/grpc.health.v1.Health/Check' }
const watch = { ':path': '/grpc.health.v1.Health/Watch' }
const nothing = frame(Buffer.alloc(0))
const serving = frame(Buffer.from([8, 1]))
const notServing = frame(Buffer.from([8, 2]))

test.each(schemes)(
  '%s: a connection that was just made when another takes over has its first call answered',
  async scheme => {
    const { port, replace } = await processOf(scheme)
    const [checking, watching] = [await sessionOf(scheme, port), await sessionOf(scheme, port)]
    const { stopped } = await replace()
    // Whatever was said when it stopped has come by now.
    for (const { client } of [checking, watching]) await new Promise(resolve => client.ping(resolve))
    const answers = await Promise.all([
      call(checking.client, nothing, check),
      // It is a stream, which this server does not speak, and says so.
      call(watching.client, nothing, watch),
    ])
    expect(answers.map(statusOf)).toEqual([GrpcCode.OK, GrpcCode.UNIMPLEMENTED])
    expect(answers.map(({ reset }) => reset)).toEqual([0, 0])
    expect(answers[0].body).toEqual(serving)
    // They are told to go with it.
    expect(await Promise.all([checking.gone, watching.gone])).toEqual([0, 0])
    await stopped
    expect((await call((await sessionOf(scheme, port)).client, nothing, check)).body).toEqual(notServing)
  },
)

test.each(schemes)(
  '%s: a connection that has called before is told to go, and calls that cross that are answered',
  async scheme => {
    const { port, replace } = await processOf(scheme)
    const { client, gone } = await sessionOf(scheme, port)
    expect((await call(client, nothing, check)).body).toEqual(serving)
    const { stopped } = await replace()
    const answer = await call(client, nothing, check)
    expect([answer.body, answer.reset]).toEqual([serving, 0])
    expect(await gone).toBe(0)
    await stopped
  },
)

test('a TLS handshake that has begun when another takes over comes to its end, and to a call', async () => {
  const { port, listeners, replace } = await processOf('https')
  const socket = connect(port, '127.0.0.1')
  open.push(() => socket.destroy())
  await until(() => expect(listeners.connections).toBe(1))
  const { stopped } = await replace()
  const secure = secureConnect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
  const client = http2.connect(`https://127.0.0.1:${port}`, { createConnection: () => secure })
  client.on('error', () => {})
  open.push(() => client.destroy())
  expect((await call(client, nothing, check)).body).toEqual(serving)
  await stopped
})

test.each(schemes)('%s: a connection that stays silent has a second', async scheme => {
  const { port, replace } = await processOf(scheme)
  // What a connection has for its first call counts from its beginning.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  const { client } = await sessionOf(scheme, port)
  const closed = new Promise(resolve => client.once('close', resolve))
  const { stopped } = await replace()
  await vi.advanceTimersByTimeAsync(990)
  await new Promise(resolve => client.ping(resolve))
  expect([client.closed, client.destroyed]).toEqual([false, false])
  await vi.advanceTimersByTimeAsync(10)
  await stopped
  await closed
})
