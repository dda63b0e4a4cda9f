/** Pages of which another configuration takes the port over: nobody who is being answered hears that it was cut off. */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { connect as plainConnect, type Socket } from 'node:net'
import { connect as secureConnect } from 'node:tls'
import { afterEach, expect, test, vi } from 'vitest'
import { Host } from '../../core/host.ts'
import { PageListener } from '../../extensions/page-listener.ts'
import { pageServer } from '../../net/http-server-keys.ts'
import { Listeners, listenersKey } from '../../net/listeners.ts'
import { textPage } from '../../net/page-server.ts'
import { serverCert, serverKey } from '../net/certificates.ts'
import { componentContext } from '../support/contexts.ts'
import { until } from '../support/until.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of open.splice(0).toReversed()) await close()
})

const schemes = ['http', 'https'] as const
type Scheme = (typeof schemes)[number]

/** More than the system takes before anybody reads it. */
const large = 32 << 20

/** A process in which one listener after another has the same port. Pages say whose they are. */
async function processOf(scheme: Scheme) {
  const listeners = new Listeners()
  const bound = vi.spyOn(listeners, 'listen')
  const host = new Host().provide(listenersKey, listeners)
  open.push(() => listeners.close())
  const slow = Promise.withResolvers<void>()
  const asked: string[] = []
  const listen = async (endpoint: string, name: string): Promise<PageListener> => {
    const tls = scheme === 'https' ? { tls: { cert_pem: serverCert, key_pem: serverKey } } : {}
    const config = pageServer({ endpoint }).parse(tls)
    const listener = new PageListener(config, componentContext({ id: 'pages', host }), path => {
      asked.push(path)
      if (path === '/large') return textPage(200, 'x'.repeat(large))
      if (path === '/never') return new Promise(() => {})
      if (path === '/slow') return slow.promise.then(() => textPage(200, name))
      return textPage(200, name)
    })
    await listener.start()
    return listener
  }
  const before = await listen('127.0.0.1:0', 'before')
  const { port } = await bound.mock.results[0].value
  /** As a reload does it. */
  const replace = async () => {
    listeners.stage(new Set(['pages']))
    const after = await listen(`127.0.0.1:${port}`, 'after')
    open.push(() => after.stop())
    listeners.commit()
    return { stopped: before.stop() }
  }
  return { port, before, asked, slow, replace }
}

/** A client that keeps one connection. */
function clientOf(scheme: Scheme, port: number) {
  const options = { keepAlive: true, maxSockets: 1 }
  const agent = scheme === 'https' ? new SecureAgent({ ...options, rejectUnauthorized: false }) : new Agent(options)
  open.push(() => agent.destroy())
  const send = scheme === 'https' ? secureRequest : request
  const ask = (path: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      send({ host: '127.0.0.1', port, path, agent }, resolve).on('error', reject).end()
    })
  return { ask, get: async (path: string) => heard(await ask(path)) }
}

async function heard(response: IncomingMessage) {
  let text = ''
  response.on('data', chunk => (text += String(chunk)))
  await once(response, 'end')
  return { text, connection: response.headers.connection }
}

/** A connection that has asked nothing, and whether it is over. */
async function silent(scheme: Scheme, port: number) {
  const socket: Socket =
    scheme === 'https' ? secureConnect({ port, rejectUnauthorized: false }) : plainConnect(port, '127.0.0.1')
  open.push(() => socket.destroy())
  const closed = new Promise(resolve => socket.on('error', () => {}).once('close', resolve))
  const state = { socket, closed, isOver: false }
  void closed.then(() => (state.isOver = true))
  await once(socket.resume(), scheme === 'https' ? 'secureConnect' : 'connect')
  return state
}

test.each(schemes)('%s: a page that is half written when another takes over arrives whole', async scheme => {
  const { port, replace } = await processOf(scheme)
  const answer = await clientOf(scheme, port).ask('/large')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  const { stopped } = await replace()
  expect((await heard(answer)).text).toHaveLength(large)
  // It may ask once more, which it does not.
  await vi.advanceTimersByTimeAsync(1000)
  await stopped
})

test.each(schemes)('%s: a page that is being made when another takes over is answered, as the last', async scheme => {
  const { port, asked, slow, replace } = await processOf(scheme)
  const answer = clientOf(scheme, port).get('/slow')
  await until(() => expect(asked).toEqual(['/slow']))
  const { stopped } = await replace()
  slow.resolve()
  expect(await answer).toEqual({ text: 'before', connection: 'close' })
  await stopped
})

test.each(schemes)(
  '%s: a connection that was kept asks once more, hears that it was the last time, and finds the new one',
  async scheme => {
    const { port, replace } = await processOf(scheme)
    const { get } = clientOf(scheme, port)
    expect(await get('/')).toEqual({ text: 'before', connection: 'keep-alive' })
    const { stopped } = await replace()
    expect(await get('/')).toEqual({ text: 'before', connection: 'close' })
    await stopped
    expect(await get('/')).toEqual({ text: 'after', connection: 'keep-alive' })
  },
)

/** A connection that has asked for a page that never comes. */
async function stalled(scheme: Scheme, port: number, asked: readonly string[]) {
  const one = await silent(scheme, port)
  one.socket.write('GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await until(() => expect(asked).toContain('/never'))
  return one
}

test.each(schemes)('%s: who asks nothing more has a second, and so has a page that does not come', async scheme => {
  const { port, asked, replace } = await processOf(scheme)
  const both = [await silent(scheme, port), await stalled(scheme, port, asked)]
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  const { stopped } = await replace()
  await vi.advanceTimersByTimeAsync(990)
  // What was said to them by then has come once a page has been fetched over another connection.
  expect((await clientOf(scheme, port).get('/')).text).toBe('after')
  expect(both.map(({ isOver }) => isOver)).toEqual([false, false])
  await vi.advanceTimersByTimeAsync(10)
  await stopped
  await Promise.all(both.map(({ closed }) => closed))
})

test.each(schemes)(
  '%s: where nobody takes over, who asks nothing goes at once, and what runs has a second',
  async scheme => {
    const { port, asked, slow, before } = await processOf(scheme)
    const quiet = await silent(scheme, port)
    const answer = clientOf(scheme, port).get('/slow')
    await until(() => expect(asked).toEqual(['/slow']))
    const one = await stalled(scheme, port, asked)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const stopped = before.stop()
    await quiet.closed
    slow.resolve()
    expect(await answer).toEqual({ text: 'before', connection: 'close' })
    await vi.advanceTimersByTimeAsync(990)
    expect(one.isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(10)
    await stopped
    await one.closed
  },
)
