import http2 from 'node:http2'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test, vi } from 'vitest'
import { body, call, cleanup, frame, grpcJs, path, serve, session, statusOf } from '../support/grpc-serving.ts'
import { attacker, frame as rawFrame, head, preface } from '../support/http2-frames.ts'
import { authority, clientCert, clientKey, serverCert, serverKey } from './certificates.ts'
import { until } from '../support/until.ts'

afterEach(cleanup)

test('a connection that is too old is ended gently: its call is answered, new calls find a new connection', async () => {
  const answers: (() => void)[] = []
  const { port, server } = await serve({
    settings: { keepalive: { server_parameters: { max_connection_age: '40ms', max_connection_age_grace: '10s' } } },
    handler: call => void answers.push(() => call.reply(Buffer.from('late'))),
  })
  const client = await session(port)
  const gone = new Promise(resolve => client.once('goaway', resolve))
  const answer = call(client, frame(body))
  expect(await gone).toBe(http2.constants.NGHTTP2_NO_ERROR)
  expect(server.connections).toBe(1)
  answers[0]()
  expect(statusOf(await answer)).toBe(0)
  await until(() => expect(server.connections).toBe(0))
})

test('calls go on without a failure while connections are replaced', async () => {
  const { port } = await serve({
    settings: { keepalive: { server_parameters: { max_connection_age: '20ms' } } },
    handler: call => call.reply(Buffer.from(call.peer)),
  })
  const send = grpcJs(port)
  const peers = new Set<string>()
  while (peers.size < 4) {
    for (const peer of await Promise.all(Array.from({ length: 5 }, () => send(body)))) peers.add(String(peer))
  }
})

test('a connection that was just made when another server took over has its first call answered, and is told to go with it', async () => {
  const { port, server } = await serve()
  const client = await session(port)
  const gone = new Promise(resolve => client.once('goaway', code => resolve(code)))
  const stopped = server.stop(5000, true)
  // Whatever was said when it stopped has come by now.
  for (let i = 0; i < 2; i++) await new Promise(resolve => client.ping(resolve))
  expect(client.closed).toBe(false)
  expect(statusOf(await call(client, frame(body)))).toBe(0)
  expect(await gone).toBe(http2.constants.NGHTTP2_NO_ERROR)
  await stopped
  expect(server.connections).toBe(0)
})

test('a connection that was just made and stays silent is told to go soon, and at once where nobody takes over', async () => {
  const going = (client: http2.ClientHttp2Session) => new Promise(resolve => client.once('goaway', resolve))
  const replaced = await serve()
  const first = await session(replaced.port)
  const told = going(first)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  try {
    void replaced.server.stop(5000, true)
    await vi.advanceTimersByTimeAsync(1000)
    expect(await told).toBe(http2.constants.NGHTTP2_NO_ERROR)
  } finally {
    vi.useRealTimers()
  }
  const { port, server } = await serve()
  const second = await session(port)
  const gone = going(second)
  await server.stop(5000)
  expect(await gone).toBe(http2.constants.NGHTTP2_NO_ERROR)
})

test('a connection that outstays the grace, or is idle, is closed', async () => {
  const { port, server } = await serve({
    settings: {
      keepalive: { server_parameters: { max_connection_age: '40ms', max_connection_age_grace: '40ms' } },
    },
    handler: () => {},
  })
  void call(await session(port), frame(body))
  await until(() => expect(server.connections).toBe(0))
  const idle = await serve({ settings: { keepalive: { server_parameters: { max_connection_idle: '40ms' } } } })
  await session(idle.port)
  await until(() => expect(idle.server.connections).toBe(0))
})

test('a client that pings too often is told to calm down, one that may ping is not', async () => {
  const strict = await serve()
  const client = await session(strict.port)
  const gone = new Promise(resolve => client.once('goaway', (code, _id, text) => resolve([code, String(text)])))
  for (let i = 0; i < 5; i++) client.ping(() => {})
  expect(await gone).toEqual([http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_pings'])
  const settings = { keepalive: { enforcement_policy: { min_time: '0s', permit_without_stream: true } } }
  const lenient = await session((await serve({ settings })).port)
  for (let i = 0; i < 5; i++) await new Promise(resolve => lenient.ping(resolve))
  expect(lenient.destroyed).toBe(false)
})

test('a client that opens and resets streams without end loses its connection', async () => {
  const { port, server } = await serve({ handler: () => {} })
  const client = await session(port)
  let sent = 0
  for (; sent < 5000 && !client.destroyed && !client.closed; sent++) {
    const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
    stream.on('error', () => {})
    stream.close(http2.constants.NGHTTP2_CANCEL)
    if (sent % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await until(() => expect(server.connections).toBe(0))
})

test('stop lets calls finish, within its deadline', async () => {
  const answers: (() => void)[] = []
  const { port, server } = await serve({ handler: call => void answers.push(() => call.reply(Buffer.alloc(0))) })
  const client = await session(port)
  const first = call(client, frame(body))
  await until(() => expect(answers).toHaveLength(1))
  const stopped = server.stop(5000)
  setTimeout(() => answers[0](), 20)
  await stopped
  expect(statusOf(await first)).toBe(0)
  expect(server.connections).toBe(0)

  const stuck = await serve({ handler: () => {} })
  const second = call(await session(stuck.port), frame(body))
  await until(() => expect(stuck.server.connections).toBe(1))
  await stuck.server.stop(30)
  expect((await second).headers[':status']).toBeUndefined()
})

const tls = { cert_pem: serverCert, key_pem: serverKey }
const trust = Buffer.from(authority)
test.each([
  ['TLS', tls, grpc.credentials.createSsl(trust), true],
  [
    'mutual TLS with a certificate',
    { ...tls, client_ca_file: 'ca.crt' },
    grpc.credentials.createSsl(trust, Buffer.from(clientKey), Buffer.from(clientCert)),
    true,
  ],
  ['mutual TLS without a certificate', { ...tls, client_ca_file: 'ca.crt' }, grpc.credentials.createSsl(trust), false],
])('%s', async (_what, settings, credentials, served) => {
  const file = join(mkdtempSync(join(tmpdir(), 'kymo-')), 'ca.crt')
  writeFileSync(file, authority)
  const { port } = await serve({
    settings: { tls: 'client_ca_file' in settings ? { ...settings, client_ca_file: file } : settings },
  })
  const sent = grpcJs(port, {}, credentials)(body, { deadline: Date.now() + 2000 })
  if (served) expect((await sent).equals(body)).toBe(true)
  else await expect(sent).rejects.toMatchObject({ code: 14 })
})

const begun = rawFrame(1, 4, 1, head(path))
test.each([
  ['half the head of a frame', begun.subarray(0, 5)],
  ['half the payload of a frame', begun.subarray(0, 12)],
  ['headers without their continuation', rawFrame(1, 0, 1, head(path))],
  ['half a frame that nobody knows', rawFrame(99, 0, 0, Buffer.alloc(9)).subarray(0, 12)],
  ['half a message', Buffer.concat([begun, rawFrame(0, 0, 1, Buffer.alloc(900)).subarray(0, 300)])],
])('%s does not keep a connection open', async (_what, bytes) => {
  const { port, server } = await serve({
    limits: { bodyTimeout: 60, sweep: 10 },
    settings: { keepalive: { server_parameters: { timeout: '40ms' } } },
  })
  const socket = attacker(port)
  socket.write(Buffer.concat([preface(), bytes]))
  await until(() => expect([server.connections, server.admission.refusals.slow > 0]).toEqual([0, true]))
  socket.destroy()
})
