import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { AuthError, type Identity, type ServerAuthenticator } from '../../core/auth.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { Listeners } from '../../net/listeners.ts'
import { PageServer, textPage } from '../../net/page-server.ts'
import { serverCert, serverKey } from './certificates.ts'
import { until } from '../support/until.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

async function serve(settings: object = {}, authenticator?: ServerAuthenticator) {
  const listeners = new Listeners()
  const config = httpServer({ endpoint: '127.0.0.1:0' }).parse(settings)
  const page = (path: string, query: URLSearchParams, headers: IncomingHttpHeaders) => {
    if (path === '/page') return textPage(200, `page ${query.get('q') ?? ''}`)
    if (path === '/bytes') return { ...textPage(200, ''), body: Buffer.from([0, 255]), headers: { vary: 'accept' } }
    if (path === '/later') return Promise.resolve(textPage(200, `for ${headers['user-agent'] ?? ''}`))
    if (path === '/large') return { ...textPage(200, ''), body: Buffer.alloc(64 << 20) }
    return path === '/broken' ? Promise.reject(new Error('broken')) : undefined
  }
  const server = new PageServer({ config, authenticator, page })
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  open.push(
    () => listeners.close(),
    () => server.stop(),
  )
  return port
}

function get(port: number, headers: Record<string, string> = {}, method = 'GET', path = '/page?q=1') {
  return new Promise<{ status: number | undefined; text: string; headers: NodeJS.Dict<string | string[]> }>(
    (resolve, reject) => {
      const asking = request({ port, path, method, headers }, response => {
        let text = ''
        response.on('data', chunk => (text += String(chunk)))
        response.on('end', () => resolve({ status: response.statusCode, text, headers: response.headers }))
      })
      asking.on('error', reject).end()
    },
  )
}

test('a page is served, to be read and not to be kept', async () => {
  const answer = await get(await serve())
  expect(answer).toMatchObject({ status: 200, text: 'page 1', headers: { 'cache-control': 'no-store' } })
})

test.each([
  ['/bytes', { status: 200, text: '\u0000\ufffd', headers: { vary: 'accept', 'content-length': '2' } }],
  ['/later', { status: 200, text: 'for test', headers: { 'content-length': '8' } }],
  ['/broken', { status: 500, text: 'internal error' }],
])('%s is answered', async (path, expected) => {
  expect(await get(await serve(), { 'user-agent': 'test' }, 'GET', path)).toMatchObject(expected)
})

test('who does not read a page does not keep it', async () => {
  const socket = connect({ port: await serve({ write_timeout: '100ms' }) })
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.write('GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n')
  socket.pause()
  setTimeout(() => socket.resume(), 1000)
  await closed
  expect(socket.bytesRead).toBeLessThan(64 << 20)
})

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('%s is not answered', async method => {
  expect(await get(await serve(), {}, method)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
})

test('HEAD has no body', async () => {
  expect(await get(await serve(), {}, 'HEAD')).toMatchObject({ status: 200, text: '' })
})

test.each([
  ['a rebound name', { host: 'evil.example' }, 403],
  ['another origin', { origin: 'http://evil.example' }, 403],
  ['an origin that is allowed', { origin: 'http://friend.example' }, 200],
])('%s is answered %i', async (_what, headers, status) => {
  const port = await serve({ cors: { allowed_origins: ['http://friend.example'] } })
  expect((await get(port, headers)).status).toBe(status)
})

const withKey: ServerAuthenticator = {
  authenticate(header) {
    const key = header('authorization')
    if (key === 'later') throw new Error('the file /secret/place cannot be read')
    if (key !== 'key') throw new AuthError('no key', 'Key')
    return new Map()
  },
}

test.each([
  ['key', 200, 'page 1', undefined],
  ['other', 401, 'no key', 'Key'],
  ['later', 503, 'credentials cannot be checked at the moment', undefined],
])('with authentication, %s is answered %i', async (authorization, status, text, challenge) => {
  const answer = await get(await serve({}, withKey), { authorization })
  expect(answer).toMatchObject({ status, text })
  expect(answer.headers['www-authenticate']).toBe(challenge)
})

test('who takes a while to be known waits for the page as long', async () => {
  const asked: PromiseWithResolvers<Identity>[] = []
  const cancel = vi.fn()
  const port = await serve(
    {},
    {
      authenticate() {
        const one = Promise.withResolvers<Identity>()
        asked.push(one)
        return { identity: one.promise, cancel }
      },
    },
  )
  const next = () => until(() => expect(asked).toHaveLength(1)).then(() => asked.splice(0)[0])
  const welcome = get(port)
  ;(await next()).resolve(new Map())
  expect(await welcome).toMatchObject({ status: 200, text: 'page 1' })
  const stranger = get(port)
  ;(await next()).reject(new AuthError('no key', 'Key'))
  expect(await stranger).toMatchObject({ status: 401, text: 'no key' })
  expect(cancel).not.toHaveBeenCalled()
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /page HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await next()
  socket.destroy()
  await until(() => expect(cancel).toHaveBeenCalledOnce())
})

test('a head that is too large is answered 431', async () => {
  expect((await get(await serve(), { large: 'x'.repeat(40_000) })).status).toBe(431)
})

test('with certificates that are not there yet, connections are closed; with good ones pages are served', async () => {
  const later = await serve({ tls: { cert_file: '/nowhere.crt', key_file: '/nowhere.key' } })
  const socket = connect(later, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise(resolve => socket.on('close', resolve))
  const { request: secureRequest } = await import('node:https')
  const port = await serve({ tls: { cert_pem: serverCert, key_pem: serverKey } })
  const status = await new Promise((resolve, reject) => {
    const asking = secureRequest({ port, path: '/page', rejectUnauthorized: false }, response => {
      response.resume()
      resolve(response.statusCode)
    })
    asking.on('error', reject).end()
  })
  expect(status).toBe(200)
})
