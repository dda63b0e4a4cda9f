import { mkdtempSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { ListenError, Listeners, parseEndpoint } from '../../net/listeners.ts'

let listeners = new Listeners()
afterEach(async () => {
  await listeners.close()
  listeners = new Listeners()
})

const says = (text: string) => (socket: Socket) => void socket.end(text)
const hears = (where: { port: number; host?: string } | { path: string }) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect(where)
    let text = ''
    socket.setEncoding('utf8').on('data', chunk => (text += String(chunk)))
    socket.on('end', () => resolve(text)).on('error', reject)
  })

test.each([
  ['127.0.0.1:4317', 'tcp', { host: '127.0.0.1', port: 4317 }],
  [':4317', 'tcp', { host: undefined, port: 4317 }],
  [':4317', 'tcp4', { host: '0.0.0.0', port: 4317 }],
  ['[::1]:4317', 'tcp', { host: '::1', port: 4317 }],
  ['localhost:0', 'tcp', { host: '127.0.0.1', port: 0 }],
  ['gateway.example:4318', 'tcp', { host: 'gateway.example', port: 4318 }],
  ['/run/kymo.sock', 'unix', { path: '/run/kymo.sock' }],
  ['unix:///run/kymo.sock', 'tcp', { path: '/run/kymo.sock' }],
  ['localhost', 'tcp', undefined],
  ['localhost:port', 'tcp', undefined],
  ['localhost:99999', 'tcp', undefined],
  ['::1:4317', 'tcp', undefined],
  ['', 'unix', undefined],
])('the endpoint %s over %s is read', (endpoint, transport, address) => {
  expect(parseEndpoint(endpoint, transport)).toEqual(address)
})

describe('while a configuration is exchanged', () => {
  test('a handler takes another one over without closing the port, and only the last one closes it', async () => {
    const first = await listeners.listen('127.0.0.1:0', says('first'), 'otlp')
    expect(await hears({ port: first.port })).toBe('first')
    listeners.stage(new Set(['otlp']))
    const second = await listeners.listen(first.address, says('second'), 'otlp')
    expect([first.replaced, second.replaced]).toEqual([false, false])
    expect(await hears({ port: first.port })).toBe('first')
    listeners.commit()
    expect([first.replaced, second.replaced]).toEqual([true, false])
    expect(await hears({ port: first.port })).toBe('second')
    await first.close()
    expect(await hears({ port: first.port })).toBe('second')
    await second.close()
    await expect(hears({ port: first.port })).rejects.toThrow('ECONNREFUSED')
  })

  test('a handler that gives up hands the port back to the one before', async () => {
    const first = await listeners.listen('127.0.0.1:0', says('first'), 'otlp')
    listeners.stage(new Set(['otlp']))
    const second = await listeners.listen(first.address, says('second'), 'otlp')
    listeners.abort()
    expect(await hears({ port: first.port })).toBe('first')
    await second.close()
    expect(await hears({ port: first.port })).toBe('first')
    expect(first.replaced).toBe(false)
  })

  test('a handler that gives up after it took the port hands it back, too', async () => {
    const first = await listeners.listen('127.0.0.1:0', says('first'), 'otlp')
    listeners.stage(new Set(['otlp']))
    const second = await listeners.listen(first.address, says('second'), 'otlp')
    listeners.commit()
    await second.close()
    expect(await hears({ port: first.port })).toBe('first')
    expect(first.replaced).toBe(false)
  })

  test('connections to a new port wait until it is clear whether somebody takes them', async () => {
    for (const comes of [true, false]) {
      listeners.stage(new Set())
      const fresh = await listeners.listen('127.0.0.1:0', says('fresh'), 'otlp')
      const heard = hears({ port: fresh.port }).catch(() => 'nothing')
      const gone = connect(fresh.port, '127.0.0.1')
      await expect.poll(() => listeners.connections).toBe(2)
      gone.resetAndDestroy()
      await expect.poll(() => listeners.connections).toBe(1)
      if (comes) listeners.commit()
      else {
        listeners.abort()
        await fresh.close()
      }
      expect(await heard).toBe(comes ? 'fresh' : '')
      await expect.poll(() => listeners.connections).toBe(0)
    }
  })

  test('of connections to a new port only so many wait', async () => {
    listeners.stage(new Set())
    const fresh = await listeners.listen('127.0.0.1:0', says('fresh'), 'otlp')
    const heard = Array.from({ length: 103 }, () => hears({ port: fresh.port }).catch(() => ''))
    await Promise.any(heard)
    await expect.poll(() => listeners.connections).toBe(100)
    listeners.commit()
    expect((await Promise.all(heard)).filter(text => text === 'fresh')).toHaveLength(100)
  })

  test('a port of one that leaves goes to another by a new name; two that change swap theirs', async () => {
    const a = await listeners.listen('127.0.0.1:0', says('a'), 'otlp/a')
    const b = await listeners.listen('127.0.0.1:0', says('b'), 'otlp/b')
    listeners.stage(new Set(['otlp/a', 'otlp/b']))
    await listeners.listen(b.address, says('new a'), 'otlp/a')
    await listeners.listen(a.address, says('new c'), 'otlp/c')
    expect([await hears({ port: a.port }), await hears({ port: b.port })]).toEqual(['a', 'b'])
    listeners.commit()
    await Promise.all([a.close(), b.close()])
    expect([await hears({ port: a.port }), await hears({ port: b.port })]).toEqual(['new c', 'new a'])
  })

  test('one address gives way to all of the machine, and back when that comes to nothing', async () => {
    const one = await listeners.listen('127.0.0.1:0', says('one'), 'otlp')
    const { port } = one
    await expect(listeners.listen(`0.0.0.0:${port}`, says('all'), 'otlp')).rejects.toThrow('the port is in use')
    listeners.stage(new Set(['otlp']))
    const never = await listeners.listen(`0.0.0.0:${port}`, says('never'), 'otlp')
    expect(await hears({ port })).toBe('one')
    listeners.abort()
    await never.close()
    expect(await hears({ port })).toBe('one')
    listeners.stage(new Set(['otlp']))
    const all = await listeners.listen(`0.0.0.0:${port}`, says('all'), 'otlp')
    listeners.commit()
    expect(await hears({ port })).toBe('all')
    expect(one.replaced).toBe(true)
    await all.close()
    expect(await hears({ port })).toBe('one')
    listeners.stage(new Set(['otlp']))
    const again = await listeners.listen(`0.0.0.0:${port}`, says('again'), 'otlp')
    listeners.commit()
    await one.close()
    expect(await hears({ port })).toBe('again')
    await again.close()
    await expect(hears({ port })).rejects.toThrow('ECONNREFUSED')
  })

  test('what was taken over is not there for a third, nor is what nobody gave up', async () => {
    const first = await listeners.listen('127.0.0.1:0', says('first'), 'otlp')
    await expect(listeners.listen(first.address, says('again'), 'otlp')).rejects.toThrow('otlp listens there already')
    listeners.stage(new Set(['otlp']))
    await listeners.listen(first.address, says('second'), 'otlp')
    await expect(listeners.listen(first.address, says('third'), 'otlp')).rejects.toThrow('otlp listens there already')
    listeners.abort()
    await expect(listeners.listen(first.address, says('fourth'), 'otlp')).rejects.toThrow('otlp listens there already')
  })
})

test('a connection that was accepted outlives the port', async () => {
  const sockets: Socket[] = []
  const binding = await listeners.listen('127.0.0.1:0', socket => void sockets.push(socket), 'otlp')
  const text = hears({ port: binding.port })
  while (sockets.length === 0) await new Promise(resolve => setImmediate(resolve))
  await binding.close()
  sockets[0].end('still here')
  expect(await text).toBe('still here')
})

test('a port of another component, or of another process, is an error that names address and component', async () => {
  const { address } = await listeners.listen('127.0.0.1:0', says('mine'), 'otlp/a')
  const twice = listeners.listen(address, says('yours'), 'otlp/b')
  await expect(twice).rejects.toThrow(ListenError)
  await expect(twice).rejects.toThrow(`otlp/b: cannot listen on ${address}: otlp/a listens there already`)
  const elsewhere = new Listeners().listen(address, says('theirs'), 'otlp')
  await expect(elsewhere).rejects.toThrow(`otlp: cannot listen on ${address}: the port is in use`)
})

test.each([
  ['nowhere', 'is no address'],
  ['192.0.2.1:0', 'this machine has no such address'],
])('listening on %s says what is wrong', async (endpoint, message) => {
  await expect(listeners.listen(endpoint, says(''), 'otlp')).rejects.toThrow(message)
})

test('a port that was closed can be opened again', async () => {
  const first = await listeners.listen('127.0.0.1:0', says('first'), 'otlp')
  await first.close()
  const again = await listeners.listen(first.address, says('again'), 'other')
  expect(await hears({ port: again.port })).toBe('again')
})

test('unix sockets and IPv6 are listened on', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'kymo-')), 'socket')
  await listeners.listen(path, says('unix'), 'otlp', 'unix')
  expect(await hears({ path })).toBe('unix')
  const { port, address } = await listeners.listen('[::1]:0', says('six'), 'otlp')
  expect(address).toBe(`[::1]:${port}`)
  expect(await hears({ port, host: '::1' })).toBe('six')
})

test('open connections are counted, of all ports, until they are closed', async () => {
  const sockets: Socket[] = []
  const one = await listeners.listen('127.0.0.1:0', socket => void sockets.push(socket), 'one')
  const other = await listeners.listen('127.0.0.1:0', socket => void sockets.push(socket), 'other')
  const clients = [connect(one.port, '127.0.0.1'), connect(other.port, '127.0.0.1')]
  for (const client of clients) client.on('error', () => {})
  await expect.poll(() => listeners.connections).toBe(2)
  sockets[0].destroy()
  await expect.poll(() => listeners.connections).toBe(1)
  for (const client of clients) client.destroy()
  sockets[1].destroy()
  await expect.poll(() => listeners.connections).toBe(0)
})
