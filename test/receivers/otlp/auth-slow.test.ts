/** Senders of whom it takes a while to tell whether they may come in. */
import { connect } from 'node:net'
import { Metadata } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { AuthError, type Identity, type ServerAuthenticator, serverAuthenticatorKey } from '../../../core/auth.ts'
import { offered } from '../../../core/capability.ts'
import { GrpcCode } from '../../../proto/status.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { grpcSender, httpSend, receive } from '../../support/receiving.ts'
import { until } from '../../support/until.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const body = tracesRequest([{ spans: ['a'] }])
const alice: Identity = new Map([['username', 'alice']])

/** One question that was asked. */
interface Asked {
  readonly peer: string
  readonly cancelled: () => boolean
  readonly answer: (identity: Identity) => void
  readonly fail: (error: unknown) => void
}

/** A receiver whose authenticator answers when it is told to. */
async function guarded() {
  const asked: Asked[] = []
  const server: ServerAuthenticator = {
    authenticate(_header, peer) {
      const { promise: identity, resolve, reject } = Promise.withResolvers<Identity>()
      let isCancelled = false
      asked.push({ peer, cancelled: () => isCancelled, answer: resolve, fail: reject })
      return { identity, cancel: () => (isCancelled = true) }
    },
  }
  const auth = { authenticator: 'slow' }
  const running = await receive({
    grpc: { auth },
    http: { auth },
    extensions: { slow: { offers: [offered(serverAuthenticatorKey, () => server)] } },
  })
  const client = grpcSender(running.grpcPort)
  open.push(running.stop, client.close)
  const next = async (): Promise<Asked> => {
    await until(() => expect(asked).toHaveLength(1))
    return asked[0]
  }
  const gone = () => until(() => expect(running.budget.used).toBe(0))
  return { ...running, asked, client, next, gone }
}

const protocols = ['grpc', 'http'] as const
type Protocol = (typeof protocols)[number]

/** What the sender of `body` hears, as one word. */
async function send(
  { client, httpPort }: Awaited<ReturnType<typeof guarded>>,
  protocol: Protocol,
  message = body,
): Promise<string> {
  if (protocol === 'http') {
    const { status } = await httpSend(httpPort, message)
    return { 200: 'in', 401: 'denied', 503: 'again' }[status] ?? String(status)
  }
  const { status } = await client.send(message, { metadata: new Metadata() })
  const words: Record<number, string> = {
    0: 'in',
    [GrpcCode.UNAUTHENTICATED]: 'denied',
    [GrpcCode.UNAVAILABLE]: 'again',
  }
  return words[status] ?? String(status)
}

test.each(protocols)(
  'over %s who may come in comes in once that is known, and nothing is made of the body before',
  async protocol => {
    const running = await guarded()
    const heard = send(running, protocol)
    const { answer, peer } = await running.next()
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(running.batches).toEqual([])
    answer(alice)
    expect(await heard).toBe('in')
    expect(running.batches.map(({ context }) => context.auth)).toEqual([alice])
    await running.gone()
  },
)

const endings: [word: string, reason: string, error: Error][] = [
  ['denied', 'denied', new AuthError('no', 'Key')],
  ['again', 'unready', new Error('secret reasons')],
]

test.each(protocols.flatMap(protocol => endings.map(ending => [protocol, ...ending] as const)))(
  'over %s a check that comes to nothing is heard as "%s" and counted as %s; nothing of the body stays',
  async (protocol, word, reason, error) => {
    const running = await guarded()
    for (const size of [1, 4 << 20]) {
      const heard = send(running, protocol, tracesRequest([{ spans: ['a'.repeat(size)] }]))
      const { fail } = await running.next()
      fail(error)
      expect(await heard).toBe(word)
      running.asked.length = 0
    }
    expect(running.batches).toEqual([])
    expect(running.refused(reason)).toBe(2)
    await running.gone()
  },
)

test('over HTTP a body stays where it is until it is known whether anybody wants it', async () => {
  const running = await guarded()
  const heard = send(running, 'http', tracesRequest([{ spans: ['a'.repeat(16 << 20)] }]))
  const { answer } = await running.next()
  await new Promise(resolve => setTimeout(resolve, 100))
  // What a request costs, what was read of it, and what Node reads ahead.
  expect(running.budget.used).toBeGreaterThanOrEqual(4096 + 65_536)
  expect(running.budget.used).toBeLessThan(3 * 65_536)
  answer(alice)
  expect(await heard).toBe('in')
  await running.gone()
})

test('over gRPC a message is charged as it comes', async () => {
  const running = await guarded()
  const size = 2 << 20
  const heard = send(running, 'grpc', tracesRequest([{ spans: ['a'.repeat(size)] }]))
  const { answer } = await running.next()
  await until(() => expect(running.budget.used).toBeGreaterThan(size))
  expect(running.batches).toEqual([])
  answer(alice)
  expect(await heard).toBe('in')
  await running.gone()
})

test.each([
  ['with its body', body.length],
  ['before its body', 60_000_000],
])('over HTTP a sender that leaves %s ends the check', async (_when, length) => {
  const running = await guarded()
  const socket = connect(running.httpPort, '127.0.0.1')
  socket.on('error', () => {})
  open.push(() => socket.destroy())
  const head = `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: ${length}\r\n\r\n`
  socket.write(Buffer.concat([Buffer.from(head), body]))
  const { cancelled, answer } = await running.next()
  socket.destroy()
  await until(() => expect(cancelled()).toBe(true))
  // Too late.
  answer(alice)
  await running.gone()
  expect(running.batches).toEqual([])
})

test.each([
  ['leaves', (stop: () => void) => setTimeout(stop, 50), {}],
  ['has a deadline', () => {}, { deadline: 300 }],
])('over gRPC a sender that %s ends the check', async (_what, then, { deadline }: { deadline?: number }) => {
  const running = await guarded()
  const heard = running.client.send(body, deadline === undefined ? {} : { deadline: Date.now() + deadline })
  const { cancelled, fail } = await running.next()
  then(() => running.client.close())
  if (deadline === undefined) await running.stop()
  await until(() => expect(cancelled()).toBe(true))
  fail(new Error('too late'))
  expect((await heard).status).not.toBe(0)
  await running.gone()
  expect(running.batches).toEqual([])
})

test('over HTTP who is turned away with a body that was not read can send again on the same connection or another', async () => {
  const running = await guarded()
  for (const word of ['denied', 'in', 'denied', 'in']) {
    const heard = send(running, 'http')
    const { answer, fail } = await running.next()
    if (word === 'in') answer(alice)
    else fail(new AuthError('no'))
    expect(await heard).toBe(word)
    running.asked.length = 0
  }
  expect(running.batches).toHaveLength(2)
})
