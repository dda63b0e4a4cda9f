/** What is tried against an admin server, with somebody beside it who only wants to know how things are. */
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Listeners } from '../../net/listeners.ts'
import { tokenAccess } from '../../service/access.ts'
import { type AdminLimits, startAdmin } from '../../service/admin.ts'
import type { AdminPages } from '../../service/admin-pages.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const limits: AdminLimits = { most: 64, headersTimeout: 10_000, requestTimeout: 30_000, answerWithin: 60_000 }

async function serve(endpoint: string, pages: Partial<AdminPages> = {}, changed: Partial<AdminLimits> = {}) {
  const acted: string[] = []
  const large = 'x'.repeat(32 << 20)
  async function* endless() {
    for (;;) yield Buffer.alloc(1 << 16)
  }
  const admin = await startAdmin(
    endpoint,
    {
      metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
      ready: () => ({ ready: true, phase: 'running' }),
      status: () => ({ fine: true }),
      routes: [
        { path: '/v1/reload', stake: 'action', take: async () => ({ code: acted.push('reload') && 200, body: {} }) },
        { path: '/v1/large', answer: () => ({ large }) },
        { path: '/v1/flow', flow: () => ({ contentType: 'text/plain', chunks: endless() }) },
      ],
      ...pages,
    },
    new Listeners(),
    { ...limits, ...changed },
  )
  open.push(() => admin.close())
  return { port: Number(admin.address.split(':').at(-1)), acted }
}

interface Answer {
  readonly status: number | undefined
  readonly text: string
  readonly headers: NodeJS.Dict<string | string[]>
}

function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, response => {
      let text = ''
      response.on('data', chunk => (text += String(chunk)))
      response.on('end', () => resolve({ status: response.statusCode, text, headers: response.headers }))
    })
    asking.on('error', reject).end()
  })
}

/** A connection that sends `text`, and when it is over. */
function client(port: number, text = ''): { socket: Socket; over: Promise<void>; heard: () => string } {
  let heard = ''
  const socket = connect(port, '127.0.0.1', () => socket.write(text))
  open.push(() => socket.destroy())
  socket.on('data', chunk => (heard += String(chunk)))
  socket.on('error', () => {})
  return { socket, heard: () => heard, over: new Promise(resolve => socket.on('close', () => resolve())) }
}

test.each([
  ['/status', {}],
  ['/metrics', {}],
  ['/health/live', {}],
  ['/', {}],
  ['/nothing', {}],
  ['/%', {}],
  ['/status', { host: 'evil.com' }],
  ['/v1/reload', {}],
])('%s with %j is neither guessed, kept, framed nor told on', async (path, headers) => {
  const { port } = await serve('127.0.0.1:0')
  expect((await ask(port, path, headers)).headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'content-security-policy': expect.stringContaining("default-src 'none'"),
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
  })
})

describe('a server on all addresses', () => {
  const evil = (port: number) => ({ host: `evil.com:${port}`, origin: `http://evil.com:${port}` })

  test.each(['/status', '/metrics', '/'])('tells no page of the internet that was bound to it %s', async path => {
    const { port } = await serve('0.0.0.0:0')
    const { status, text } = await ask(port, path, evil(port))
    expect([status, text]).toEqual([403, expect.stringMatching(/not called evil.com.*--admin-host/)])
    expect((await ask(port, path)).status).toBe(200)
    expect((await ask(port, path, { host: 'otel-collector:8888' })).status).toBe(200)
  })

  test('answers probes, whatever they call it', async () => {
    const { port } = await serve('0.0.0.0:0')
    for (const path of ['/health/live', '/health/ready?full']) {
      expect((await ask(port, path, { host: 'lb.example.com' })).status).toBe(200)
    }
    expect((await ask(port, '/health/live/../../status', { host: 'lb.example.com' })).status).toBe(403)
  })

  test('is called by the names of its list', async () => {
    const { port } = await serve('0.0.0.0:0', { names: ['kymo.example.com'] })
    expect((await ask(port, '/status', { host: 'kymo.example.com' })).status).toBe(200)
    expect((await ask(port, '/status', { host: 'other.example.com' })).status).toBe(403)
  })

  test('changes nothing without a token, here neither, and says how to set one', async () => {
    const { port, acted } = await serve('0.0.0.0:0')
    const { status, text } = await ask(port, '/v1/reload', {}, 'POST')
    expect([status, text]).toEqual([403, expect.stringMatching(/KYMO_ADMIN_TOKEN/)])
    expect(acted).toEqual([])
  })

  test('changes what whoever has the token wants, unless a page asks', async () => {
    const { port, acted } = await serve('0.0.0.0:0', { access: tokenAccess({ KYMO_ADMIN_TOKEN: 's3cret' }) })
    const token = { authorization: 'Bearer s3cret' }
    expect((await ask(port, '/v1/reload', {}, 'POST')).status).toBe(401)
    expect((await ask(port, '/v1/reload', { ...token, ...evil(port) }, 'POST')).status).toBe(403)
    expect(acted).toEqual([])
    expect((await ask(port, '/v1/reload', token, 'POST')).status).toBe(200)
    expect(acted).toEqual(['reload'])
  })
})

test('a server of this machine changes nothing for a proxy on it', async () => {
  const { port, acted } = await serve('127.0.0.1:0')
  for (const name of ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']) {
    expect((await ask(port, '/v1/reload', { [name]: 'x' }, 'POST')).status).toBe(403)
  }
  expect(acted).toEqual([])
  expect((await ask(port, '/v1/reload', {}, 'POST')).status).toBe(200)
})

test.each([
  ['token', '/status', 401],
  ['token', '/', 401],
  ['token', '/v1/large', 401],
  ['token', '/v1/flow', 401],
  ['token', '/metrics', 401],
  ['token', '/health/live', 200],
  ['token', '/health/ready', 200],
  ['token-except-metrics', '/metrics', 200],
  ['token-except-metrics', '/status', 401],
] as const)('with `%s`, %s is answered %i without the token', async (reading, path, status) => {
  const { port } = await serve('127.0.0.1:0', { access: tokenAccess({ KYMO_ADMIN_TOKEN: 's3cret' }, reading) })
  expect((await ask(port, path)).status).toBe(status)
  if (path !== '/v1/flow') expect((await ask(port, path, { authorization: 'Bearer s3cret' })).status).toBe(200)
})

test('heads that never end are over, and whoever asks meanwhile is answered', async () => {
  const { port } = await serve('127.0.0.1:0', {}, { headersTimeout: 200 })
  const slow = Array.from({ length: 64 }, () => client(port, 'GET /status HTTP/1.1\r\nhost: localhost\r\nx-a: '))
  const drip = setInterval(() => slow.forEach(({ socket }) => socket.writable && socket.write('a')), 20)
  try {
    expect((await ask(port, '/status')).status).toBe(200)
    await Promise.all(slow.map(({ over }) => over))
  } finally {
    clearInterval(drip)
  }
})

test('connections that only stand there make room for who asks something', async () => {
  const { port } = await serve('127.0.0.1:0', {}, { most: 4 })
  const idle = Array.from({ length: 20 }, () => client(port))
  expect((await ask(port, '/status')).status).toBe(200)
  await Promise.all(idle.slice(0, 10).map(({ over }) => over))
})

test.each([
  [
    'a body that never comes',
    'POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/yaml\r\ncontent-length: 9\r\n\r\n',
    '408',
  ],
  ['a head that is too large', `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`, '431'],
  ['no HTTP', 'hello?\r\n\r\n', '400'],
])('%s is answered and ends', async (_, text, status) => {
  const { port } = await serve('127.0.0.1:0', {}, { headersTimeout: 200, requestTimeout: 400 })
  const { over, heard } = client(port, text)
  await over
  expect(heard()).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
})

test('an answer that is not taken is over, also when a byte is taken now and then', async () => {
  const { port } = await serve('127.0.0.1:0', {}, { answerWithin: 300 })
  const { socket, over } = client(port)
  socket.pause()
  socket.write('GET /v1/large HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const sip = setInterval(() => socket.read(1), 50)
  await expect.poll(() => socket.bytesRead, { timeout: 60_000 }).toBeGreaterThan(0)
  await new Promise(resolve => setTimeout(resolve, 1000))
  clearInterval(sip)
  socket.resume()
  await over
  expect(socket.bytesRead).toBeLessThan(32 << 20)
}, 90_000)
