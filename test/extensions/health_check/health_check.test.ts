import * as grpc from '@grpc/grpc-js'
import { afterEach, expect, test, vi } from 'vitest'
import type { Kind } from '../../../core/component.ts'
import type { ConfiguredPipeline } from '../../../core/configured.ts'
import type { Health } from '../../../core/health.ts'
import { type State, Status } from '../../../core/status.ts'
import { healthCheck } from '../../../extensions/health_check/health_check.ts'
import { complaintsOf, extensionOf } from '../../support/extending.ts'

const open: { stop(): unknown }[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const one of open.splice(0)) await one.stop()
})

/** Components by `kind id`, in state OK. */
class Fake implements Health {
  readonly version = '1.2.3'
  readonly started = Date.parse('2026-01-02T03:04:05Z')
  now = 'running'
  readonly statuses = new Map<string, Status>()

  constructor() {
    for (const name of ['receiver otlp', 'processor batch', 'exporter a', 'exporter b', 'extension health_check']) {
      const status = new Status()
      status.set('Starting')
      status.set('OK')
      this.statuses.set(name, status)
    }
  }

  phase(): string {
    return this.now
  }

  ready(): boolean {
    return this.now === 'running'
  }

  components() {
    return [...this.statuses].map(([name, status]) => {
      const [kind, id] = name.split(' ')
      return { kind: kind as Kind, id, type: id, pipeline: kind === 'processor' ? 'traces' : undefined, status }
    })
  }

  pipelines(): ConfiguredPipeline[] {
    return [
      { id: 'traces', signal: 'traces', receivers: ['otlp'], processors: ['batch'], exporters: ['a'] },
      { id: 'logs', signal: 'logs', receivers: ['otlp'], processors: [], exporters: ['b'] },
    ]
  }
}

async function running(config: object, health = new Fake()) {
  const one = extensionOf(healthCheck, { endpoint: '127.0.0.1:0', ...config }, { health })
  open.push(one)
  await one.extension.start?.()
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://${one.addresses[0]}${path}`, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) as unknown }
  }
  return { ...one, health, get }
}

test.each<[string, object, string]>([
  ['a path without a slash', { path: 'health' }, 'path: must start with `/`'],
  ['use_v2 without a protocol', { use_v2: true }, '`use_v2` needs `http` or `grpc`'],
  ['the page of the configuration', { http: { config: { enabled: true } } }, 'use `kymo print-config`'],
])('a configuration with %s is refused', (_what, config, message) => {
  expect(complaintsOf(healthCheck, config).join()).toContain(message)
})

test.each([
  ['starting', 503],
  ['running', 200],
  ['stopping', 503],
])('while %s, the answer is %i', async (phase, status) => {
  const { health, get } = await running({})
  health.now = phase
  const answer = await get('/')
  expect(answer.status).toBe(status)
  expect(answer.json()).toMatchObject(
    status === 200
      ? { status: 'Server available', upSince: '2026-01-02T03:04:05.000Z' }
      : { status: 'Server not available' },
  )
})

test('path and bodies are as configured, and nothing else is served', async () => {
  const config = {
    path: '/healthz',
    response_body: { healthy: 'fine', unhealthy: 'ill' },
    response_headers: { 'x-a': 'b' },
  }
  const { health, get } = await running(config)
  const answer = await get('/healthz?x=1')
  expect([answer.status, answer.text, answer.headers.get('x-a')]).toEqual([200, 'fine', 'b'])
  health.now = 'stopping'
  expect((await get('/healthz')).text).toBe('ill')
  expect((await get('/')).status).toBe(404)
  expect((await get('/healthz', { method: 'POST', body: 'x' })).status).toBe(405)
})

const v2 = (rules: object = {}) => ({ use_v2: true, component_health: rules, http: { endpoint: '127.0.0.1:0' } })
const permanent = { include_permanent_errors: true }
const recoverable = { include_recoverable_errors: true, recovery_duration: '30s' }

test.each<[State, object, number, number]>([
  ['OK', { ...permanent, ...recoverable }, 0, 200],
  ['RecoverableError', {}, 3600, 200],
  ['RecoverableError', recoverable, 10, 200],
  ['RecoverableError', recoverable, 40, 500],
  ['PermanentError', {}, 3600, 200],
  ['PermanentError', permanent, 0, 500],
  ['PermanentError', recoverable, 40, 200],
  ['FatalError', {}, 0, 500],
  ['Stopping', {}, 0, 503],
])('a component in state %s, with %j, after %i seconds: %i', async (state, rules, seconds, expected) => {
  const { health, get } = await running(v2(rules))
  const status = health.statuses.get('exporter a')
  if (state !== 'OK') status?.set(state, 'it is so')
  if (status !== undefined) status.since = Date.now() - seconds * 1000
  expect((await get('/status')).status).toBe(expected)
  // What is not in a pipeline does not concern it.
  expect((await get('/status?pipeline=traces')).status).toBe(expected)
  expect((await get('/status?pipeline=logs')).status).toBe(200)
})

test('one bad component of many shows, whatever the order', async () => {
  const { health, get } = await running(v2({ ...permanent }))
  health.statuses.get('exporter b')?.set('PermanentError', 'gone')
  health.statuses.get('exporter a')?.set('RecoverableError', 'away')
  const answer = await get('/status')
  expect(answer.status).toBe(500)
  expect(answer.json()).toMatchObject({ healthy: false, status: 'StatusPermanentError', error: 'gone' })
})

test.each([
  ['starting', 'StatusStarting'],
  ['stopping', 'StatusStopping'],
])('while %s the answer is 503, however the components are', async (phase, status) => {
  const { health, get } = await running(v2())
  health.now = phase
  const answer = await get('/status')
  expect(answer.status).toBe(503)
  expect(answer.json()).toMatchObject({ healthy: false, status })
})

test('verbose shows pipelines and components, by the names of the Collector', async () => {
  const { health, get } = await running(v2())
  health.statuses.get('exporter a')?.set('RecoverableError', 'away')
  const concise = (await get('/status')).json()
  expect(concise).toEqual({
    start_time: '2026-01-02T03:04:05.000Z',
    healthy: true,
    status: 'StatusRecoverableError',
    error: 'away',
    status_time: expect.any(String),
  })
  const verbose = (await get('/status?verbose')).json()
  const ok = { healthy: true, status: 'StatusOK', status_time: expect.any(String) }
  const away = { ...ok, status: 'StatusRecoverableError', error: 'away' }
  expect(verbose).toEqual({
    ...(concise as object),
    components: {
      extensions: { ...ok, components: { 'extension:health_check': ok } },
      'pipeline:traces': {
        ...away,
        components: { 'receiver:otlp': ok, 'processor:batch': ok, 'exporter:a': away },
      },
      'pipeline:logs': { ...ok, components: { 'receiver:otlp': ok, 'exporter:b': ok } },
    },
  })
  expect((await get('/status?pipeline=logs&verbose=true')).json()).toMatchObject({ components: { 'exporter:b': ok } })
  expect((await get('/status?pipeline=nothing')).status).toBe(404)
})

test('the page of the status can be elsewhere, or nowhere', async () => {
  const elsewhere = await running({ use_v2: true, http: { endpoint: '127.0.0.1:0', status: { path: '/h' } } })
  expect((await elsewhere.get('/h')).status).toBe(200)
  expect((await elsewhere.get('/status')).status).toBe(404)
  const nowhere = await running({ use_v2: true, http: { endpoint: '127.0.0.1:0', status: { enabled: false } } })
  expect((await nowhere.get('/status')).status).toBe(404)
})

test('over gRPC the process and each pipeline say whether they serve', async () => {
  const config = { use_v2: true, component_health: permanent, grpc: { endpoint: '127.0.0.1:0' } }
  const { addresses, health, budget } = await running(config)
  const client = new grpc.Client(addresses[0], grpc.credentials.createInsecure())
  open.push({ stop: () => client.close() })
  const raw = (bytes: Buffer) => bytes
  const check = (request: Buffer) =>
    new Promise<number | string>(resolve =>
      client.makeUnaryRequest('/grpc.health.v1.Health/Check', raw, raw, request, (error, answer) =>
        resolve(error ? (grpc.status[error.code] ?? '') : (answer?.[1] ?? 0)),
      ),
    )
  const named = (name: string) => Buffer.concat([Buffer.from([0x0a, name.length]), Buffer.from(name)])
  expect(await check(Buffer.alloc(0))).toBe(1)
  expect(await check(named('traces'))).toBe(1)
  expect(await check(named('nothing'))).toBe('NOT_FOUND')
  expect(await check(Buffer.from([0x0a, 100, 1]))).toBe('INVALID_ARGUMENT')
  health.statuses.get('exporter a')?.set('PermanentError')
  expect(await check(Buffer.alloc(0))).toBe(2)
  expect(await check(named('traces'))).toBe(2)
  expect(await check(named('logs'))).toBe(1)
  expect(budget.used).toBe(0)
})
