import type { ServerResponse } from 'node:http'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as secureConnect } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { httpServer } from '../../net/http-server-keys.ts'
import { Listeners } from '../../net/listeners.ts'
import { PortlessServer } from '../../net/portless-server.ts'
import { serverCert, serverKey } from './certificates.ts'

const listeners: Listeners[] = []
const clients: Socket[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  for (const one of listeners.splice(0)) await one.close()
})

/** A server that leaves requests open until the test answers. */
async function serve(settings: object = {}) {
  const responses: ServerResponse[] = []
  const errors: (string | undefined)[] = []
  const config = httpServer({ endpoint: '127.0.0.1:0' }).parse(settings)
  const server = new PortlessServer({
    config,
    limits: { requestTimeout: 10_000 },
    onTls: error => void errors.push(error),
  })
  server.node.on('request', (_, response) => void responses.push(response))
  server.open()
  const made = new Listeners()
  listeners.push(made)
  const { port } = await made.listen('127.0.0.1:0', server.accept, 'test')
  return { server, responses, errors, port }
}

/** A connection, what came over it, and whether it is over. */
function client(port: number, text = '') {
  const socket = connect(port, '127.0.0.1', () => socket.write(text))
  clients.push(socket)
  const state = { socket, heard: '', over: false }
  socket.on('data', chunk => (state.heard += String(chunk)))
  socket.on('error', () => {}).on('close', () => (state.over = true))
  return state
}

const asking = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

test('without a deadline a stop ends all connections at once, those with a request too', async () => {
  const { server, responses, port } = await serve()
  const [idle, busy] = [client(port), client(port, asking)]
  await expect.poll(() => [server.connections, responses.length]).toEqual([2, 1])
  void server.stop(0)
  await expect.poll(() => [idle.over, busy.over, server.connections]).toEqual([true, true, 0])
})

test('until the deadline requests that run may finish, and idle connections go at once', async () => {
  const { server, responses, port } = await serve()
  const [idle, busy] = [client(port), client(port, asking)]
  await expect.poll(() => [server.connections, responses.length]).toEqual([2, 1])
  const stopped = server.stop(10_000)
  await expect.poll(() => idle.over).toBe(true)
  expect(busy.over).toBe(false)
  responses[0].end('done')
  await expect.poll(() => busy.heard).toContain('done')
  await stopped
  expect(server.connections).toBe(0)
})

test('where another has taken over, an idle connection may send one more request', async () => {
  const { server, responses, port } = await serve()
  const idle = client(port)
  await expect.poll(() => server.connections).toBe(1)
  const stopped = server.stop(60_000, true)
  idle.socket.write(asking)
  await expect.poll(() => responses).toHaveLength(1)
  responses[0].end('done')
  await stopped
  expect(idle.heard).toContain('done')
  expect(idle.heard.toLowerCase()).toContain('connection: close')
})

test.each([false, true])(
  'answers that are still to come when it stops (another took over: %s) say that the last is the last',
  async replaced => {
    const { server, responses, port } = await serve()
    const one = client(port, asking + asking)
    await expect.poll(() => responses).toHaveLength(2)
    const stopped = server.stop(60_000, replaced)
    for (const response of responses) response.end('done')
    await stopped
    await expect.poll(() => one.over).toBe(true)
    const answers = one.heard.toLowerCase().split('http/1.1 200 ok').slice(1)
    expect(answers.map(text => text.includes('connection: close'))).toEqual([false, true])
    expect(answers.every(text => text.includes('done'))).toBe(true)
  },
)

/** More than the system takes before anybody reads it. */
const large = Buffer.alloc(32 << 20, 'x')

test.each(['HTTP', 'HTTPS'])(
  '%s: an answer that is still being written when it stops is no idle connection',
  async scheme => {
    const secure = scheme === 'HTTPS'
    const { server, responses, port } = await serve(secure ? { tls: { cert_pem: serverCert, key_pem: serverKey } } : {})
    const socket = secure ? secureConnect({ port, rejectUnauthorized: false }) : connect(port, '127.0.0.1')
    clients.push(socket)
    socket.write(asking)
    await expect.poll(() => responses).toHaveLength(1)
    responses[0].end(large)
    await once(socket, 'readable')
    const idle = secure ? secureConnect({ port, rejectUnauthorized: false }) : connect(port, '127.0.0.1')
    clients.push(idle)
    const gone = new Promise(resolve => idle.on('error', () => {}).once('close', resolve))
    await once(idle.resume(), secure ? 'secureConnect' : 'connect')
    await expect.poll(() => server.connections).toBe(2)
    const stopped = server.stop(60_000)
    // It has looked for idle ones by then, and found this one.
    await gone
    let bytes = 0
    socket.on('data', chunk => (bytes += chunk.length))
    await once(socket, 'close')
    await stopped
    expect(bytes).toBeGreaterThan(large.length)
  },
)

test('as long as there are no certificates no connection is taken, and why is told', async () => {
  const { server, errors, port } = await serve({ tls: { cert_file: '/none.pem', key_file: '/none.key' } })
  expect(errors).toEqual([expect.stringContaining('/none.pem')])
  const one = client(port, asking)
  await expect.poll(() => one.over).toBe(true)
  expect(server.connections).toBe(0)
  void server.stop(0)
})
