import { once } from 'node:events'
import http2 from 'node:http2'
import { connect } from 'node:net'
import { Metadata } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { requestCost } from '../../../net/admission.ts'
import { components } from '../../support/components.ts'
import { ConfigErrors, loadConfig } from '../../../config/load.ts'
import {
  AuthError,
  clientAuthenticatorKey,
  type ServerAuthenticator,
  serverAuthenticatorKey,
} from '../../../core/auth.ts'
import { offered } from '../../../core/capability.ts'
import type { Extension } from '../../../core/component.ts'
import { signals } from '../../../proto/signals.ts'
import { decodeStatus, GrpcCode } from '../../../proto/status.ts'
import { runKymo } from '../../support/kymo.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { grpcSender, httpSend, receive, type ReceivingOptions } from '../../support/receiving.ts'
import { until } from '../../support/until.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const body = tracesRequest([{ spans: ['a'] }])
const alice = new Map([['username', 'alice']])

/** Lets `alice` in, and cannot tell of `later`. */
const server: ServerAuthenticator = {
  authenticate(header) {
    const key = header('authorization')
    if (key === 'later') throw new Error('secret reasons')
    if (key !== 'alice') throw new AuthError('the key is wrong', 'Key realm="test"')
    return alice
  },
}
const auth = { authenticator: 'keys' }

async function guarded(options: ReceivingOptions = {}) {
  const running = await receive({
    ...options,
    grpc: { auth, ...options.grpc },
    http: { auth, ...options.http },
    extensions: { keys: { offers: [offered(serverAuthenticatorKey, () => server)] } },
  })
  const client = grpcSender(running.grpcPort)
  open.push(running.stop, client.close)
  const overGrpc = (key?: string) => {
    const metadata = new Metadata()
    if (key !== undefined) metadata.set('authorization', key)
    return client.send(body, { metadata })
  }
  const overHttp = (key?: string) => httpSend(running.httpPort, body, { headers: key ? { authorization: key } : {} })
  return { ...running, overGrpc, overHttp }
}

test('who has the key comes in over both protocols, and later components know who it was', async () => {
  const { overGrpc, overHttp, batches } = await guarded()
  expect((await overGrpc('alice')).status).toBe(0)
  expect((await overHttp('alice')).status).toBe(200)
  expect(batches.map(({ context }) => context.auth)).toEqual([alice, alice])
  expect(batches.map(({ context }) => context.metadata)).toEqual([undefined, undefined])
})

test('with `include_metadata` both are there', async () => {
  const { overGrpc, overHttp, batches } = await guarded({
    grpc: { include_metadata: true },
    http: { include_metadata: true },
  })
  await overGrpc('alice')
  await overHttp('alice')
  for (const { context } of batches) {
    expect(context.auth).toBe(alice)
    expect(context.metadata?.get('authorization')).toEqual(['alice'])
  }
  expect(batches).toHaveLength(2)
})

test.each([undefined, 'bob', 'alice '.repeat(2)])(
  'the key %j does not come in, and leaves nothing behind',
  async key => {
    const { overGrpc, httpPort, overHttp, batches, budget } = await guarded()
    expect(await overGrpc(key)).toMatchObject({ status: GrpcCode.UNAUTHENTICATED, message: 'the key is wrong' })
    const answer = await overHttp(key)
    expect(answer.status).toBe(401)
    expect(decodeStatus(answer.body)).toEqual({ code: GrpcCode.UNAUTHENTICATED, message: 'the key is wrong' })
    const response = await fetch(`http://127.0.0.1:${httpPort}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { authorization: key }) },
      body: '{}',
    })
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Key realm="test"'])
    expect(await response.json()).toMatchObject({ message: 'the key is wrong' })
    expect(batches).toEqual([])
    await until(() => expect(budget.used).toBe(0))
  },
)

test('when it cannot be told who sends, the sender is asked to come again, and not told why', async () => {
  const { overGrpc, overHttp, batches } = await guarded()
  const answer = await overGrpc('later')
  expect(answer.status).toBe(GrpcCode.UNAVAILABLE)
  expect(decodeStatus(answer.details ?? Buffer.alloc(0))?.retryDelay).toBe(1000)
  expect(answer.message).not.toContain('secret')
  const overHttpAnswer = await overHttp('later')
  expect([overHttpAnswer.status, overHttpAnswer.retryAfter]).toEqual([503, '1'])
  expect(overHttpAnswer.message).not.toContain('secret')
  expect(batches).toEqual([])
})

test('over HTTP the answer comes before the body has', async () => {
  const { httpPort, budget } = await guarded()
  const socket = connect(httpPort, '127.0.0.1')
  open.push(() => socket.destroy())
  const type = 'content-type: application/x-protobuf'
  socket.write(`POST /v1/traces HTTP/1.1\r\nhost: x\r\n${type}\r\ncontent-length: 60000000\r\n\r\nfew bytes`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(String(answer)).toMatch(/^HTTP\/1.1 401 /)
  expect(String(answer)).toContain('www-authenticate: Key realm="test"')
  // The request costs until its answer is taken; of the body nothing is charged.
  expect(budget.used).toBeLessThan(requestCost + 1000)
  socket.destroy()
  await until(() => expect(budget.used).toBe(0))
})

test('over gRPC the answer comes before the message has', async () => {
  const { grpcPort, budget } = await guarded()
  const session = http2.connect(`http://127.0.0.1:${grpcPort}`)
  session.on('error', () => {})
  open.push(() => session.destroy())
  const stream = session.request({
    ':method': 'POST',
    ':path': signals.traces.grpcPath,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.on('error', () => {})
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  expect(Number(headers['grpc-status'])).toBe(GrpcCode.UNAUTHENTICATED)
  expect(budget.used).toBe(0)
})

test.each<[string, string[], number]>([
  ['one that is named', ['Authorization'], 200],
  ['one that is not', [], 401],
])('a key as a parameter of the URL: %s', async (_what, request_params, status) => {
  const { httpPort } = await guarded({ http: { auth: { ...auth, request_params } } })
  expect((await httpSend(httpPort, body, { path: '/v1/traces?Authorization=alice' })).status).toBe(status)
})

test('browsers may ask whether they may send without a key, but not send', async () => {
  const { httpPort } = await guarded({ http: { cors: { allowed_origins: ['http://page'] } } })
  const url = `http://127.0.0.1:${httpPort}/v1/traces`
  const origin = { origin: 'http://page', 'access-control-request-method': 'POST' }
  const preflight = await fetch(url, { method: 'OPTIONS', headers: origin })
  expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([204, 'http://page'])
  expect((await httpSend(httpPort, body, { headers: origin })).status).toBe(401)
})

test.each<[string, Record<string, Extension>, string]>([
  ['is not running', {}, 'otlp: the extension keys is not running; configure it'],
  [
    'only sends',
    { keys: { offers: [offered(clientAuthenticatorKey, () => ({ headers: () => ({}) }))] } },
    'otlp: the extension keys is no server authenticator; it is a client authenticator',
  ],
])('an extension that %s is told at the start, with both ids', async (_what, extensions, message) => {
  await expect(receive({ http: { auth }, extensions })).rejects.toThrow(message)
})

const yaml = (authenticator: string, started: string) => `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0', auth: {authenticator: ${authenticator}}}}}}
exporters: {debug: {}}
extensions: {basicauth: {htpasswd: {inline: 'a:b'}}}
service: {extensions: [${started}], pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`

test.each([
  ['basicaut', 'basicauth', /basicaut/, 'basicauth'],
  ['basicauth', '', /basicauth.*not started/, 'service::extensions'],
])(
  'an authenticator %s beside the started extensions [%s] is an error of the configuration',
  (id, started, message, hint) => {
    try {
      loadConfig({ sources: [`yaml:${yaml(id, started)}`], components, env: {} })
      expect.unreachable()
    } catch (error) {
      if (!(error instanceof ConfigErrors)) throw error
      expect(error.errors).toHaveLength(1)
      expect(error.errors[0]).toMatchObject({ code: 'CONFIG_REFERENCE', message: expect.stringMatching(message) })
      expect(error.errors[0].hint).toContain(hint)
      expect(error.errors[0].position?.line).toBe(2)
    }
  },
)

test.each(['otlp_grpc', 'otlp_http'])('from one Kymo to another with a password, over %s', async type => {
  const protocol = type === 'otlp_grpc' ? 'grpc' : 'http'
  const front = await runKymo(`
receivers: {otlp: {protocols: {${protocol}: {endpoint: '127.0.0.1:0', auth: {authenticator: basicauth}}}}}
exporters: {nop: {}}
extensions: {basicauth: {htpasswd: {inline: 'shop:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='}}}
service: {extensions: [basicauth], pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}`)
  open.push(() => front.stop())
  const endpoint = `${type === 'otlp_http' ? 'http://' : ''}${front.addresses[0]}`
  const sendWith = async (password: string) => {
    const back = await runKymo(`
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
exporters: {${type}: {endpoint: '${endpoint}', tls: {insecure: true}, auth: {authenticator: basicauth/client}, sending_queue: {enabled: false}}}
extensions: {basicauth/client: {client_auth: {username: shop, password: ${password}}}}
service: {extensions: [basicauth/client], pipelines: {traces: {receivers: [otlp], exporters: [${type}]}}}`)
    open.push(() => back.stop(200))
    const abort = AbortSignal.timeout(1000)
    return httpSend(Number(back.addresses[0].split(':').at(-1)), body, { abort }).then(
      ({ status }) => status,
      () => 'refused',
    )
  }
  expect(await sendWith('secret')).toBe(200)
  expect(await sendWith('wrong')).not.toBe(200)
  const [node] = front.books.nodes.filter(({ name }) => name.kind === 'receiver')
  expect(node.in).toBe(1)
})
