import { request as httpRequest } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { Listeners } from '../../net/listeners.ts'
import { type Admin, startAdmin } from '../../service/admin.ts'
import type { AdminPages } from '../../service/admin-pages.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

async function admin(pages: Partial<AdminPages> = {}, listeners = new Listeners()): Promise<Admin> {
  const started = await startAdmin(
    '127.0.0.1:0',
    {
      metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
      ready: () => ({ ready: true, phase: 'running' }),
      status: () => ({ process: { phase: 'running' } }),
      ...pages,
    },
    listeners,
  )
  open.push(started)
  return started
}

test.each([
  ['/metrics', 200, 'up 1'],
  ['/health/live', 200, 'live'],
  ['/health/ready', 200, 'ready'],
  ['/status', 200, '"phase":"running"'],
  ['/', 200, '/health/live'],
  ['/nothing', 404, '/status'],
])('GET %s answers %i', async (path, code, text) => {
  const { address } = await admin()
  const response = await fetch(`http://${address}${path}`)
  expect(response.status).toBe(code)
  expect(await response.text()).toContain(text)
})

test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('%s is not answered', async method => {
  const { address } = await admin()
  const response = await fetch(`http://${address}/status`, { method })
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe('GET')
})

test('is not ready while starting or stopping, but live', async () => {
  const { address } = await admin({ ready: () => ({ ready: false, phase: 'stopping' }) })
  const ready = await fetch(`http://${address}/health/ready`)
  expect(ready.status).toBe(503)
  expect(await ready.json()).toEqual({ status: 'not ready', phase: 'stopping' })
  expect((await fetch(`http://${address}/health/live`)).status).toBe(200)
})

test('without metrics there is no page of them, and health is still told', async () => {
  const { address } = await admin({ metrics: undefined })
  expect((await fetch(`http://${address}/metrics`)).status).toBe(404)
  expect((await fetch(`http://${address}/health/ready`)).status).toBe(200)
})

test('a port in use is told with address, owner and the key to change', async () => {
  const { address } = await admin()
  await expect(startAdmin(address, { metrics: undefined } as AdminPages, new Listeners())).rejects.toThrow(
    new RegExp(
      `admin server: cannot listen on ${address}: the port is in use.*service\\.telemetry\\.metrics\\.readers`,
    ),
  )
})

test('closing lets what was asked be answered', async () => {
  const asked = Promise.withResolvers<void>()
  const page = Promise.withResolvers<{ contentType: string; text: string }>()
  const { address, close } = await admin({
    metrics() {
      asked.resolve()
      return page.promise
    },
  })
  const answer = fetch(`http://${address}/metrics`)
  await asked.promise
  const closed = close()
  page.resolve({ contentType: 'text/plain', text: 'up 1\n' })
  const response = await answer
  expect([response.headers.get('connection'), await response.text()]).toEqual(['close', 'up 1\n'])
  await closed
})

test('closing does not wait for connections that stay open', async () => {
  const { address, close } = await admin()
  const [host, port] = address.split(':')
  const ended = new Promise<void>(resolve => {
    // A client that keeps its connection.
    const client = httpRequest({ host, port, path: '/health/live', headers: { connection: 'keep-alive' } })
    client.on('response', response => response.resume())
    client.on('close', resolve)
    client.on('error', () => resolve())
    client.end()
  })
  await close()
  await ended
  await expect(fetch(`http://${address}/health/live`)).rejects.toThrow()
})
