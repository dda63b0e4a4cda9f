import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { components } from '../support/components.ts'
import { loadPlan } from '../../plan/load.ts'
import type { Plan } from '../../plan/plan.ts'
import { type Definition, defineExtension } from '../../core/component.ts'
import { Listeners } from '../../net/listeners.ts'
import { type Admin, startAdmin } from '../../service/admin.ts'
import { configRoutes, reloadDocument } from '../../service/config-api.ts'
import { Reloads } from '../../service/reloads.ts'
import { tokenAccess } from '../../service/access.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'

const lock = defineExtension({
  type: 'lock',
  stability: 'stable',
  summary: 'Only one can have it.',
  signals: [],
  exclusive: true,
  config: z.strictObject({ x: z.number() }),
  examples: [],
  create: () => ({}),
})
const definitions: readonly Definition[] = [...components, lock]

const yaml = (more: { timeout?: string; lock?: number; level?: string; port?: number } = {}) => `
receivers: {otlp: {protocols: {grpc: }}}
processors: {batch: {timeout: ${more.timeout ?? '1s'}}}
exporters: {debug: }
extensions: {lock: {x: ${more.lock ?? 1}}}
service:
  extensions: [lock]
  telemetry:
    logs: {level: ${more.level ?? 'info'}}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: ${more.port ?? 8888}}}}}]}
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [debug]}}
`

/** Reloads of a graph that does what the test says. */
function setUp(
  start: (to: Plan) => Promise<void> = () => Promise.resolve(),
  applied = () => {},
  levels: (level: string) => void = () => {},
) {
  const read = (text: string, name: string) =>
    loadPlan({ sources: [], text: { name, text }, components: definitions, env: {} })
  const first = read(yaml(), 'kymo.yaml')
  const lines: Line[] = []
  const state = { source: yaml(), levels: [] as string[], isRunning: true, applied: 0, reloads: 0, aborted: 0 }
  const graph = {
    waiting: () => 55,
    plan: first.plan,
    async prepare(to: Plan) {
      state.reloads++
      await start(to)
      return {
        commit() {
          graph.plan = to
          return { over: Promise.resolve() }
        },
        async abort() {
          state.aborted++
          await Promise.resolve()
        },
      }
    },
  }
  const reloads = new Reloads({
    load: text => (text === undefined ? read(state.source, 'kymo.yaml') : read(text, 'request body')),
    first,
    deadline: 1000,
    applyTelemetry({ logs }) {
      levels(logs.level)
      state.levels.push(logs.level)
    },
    running: () => (state.isRunning ? graph : undefined),
    applied() {
      state.applied++
      applied()
    },
    log: keepingLogger(lines),
  })
  return { reloads, state, lines, graph }
}

test('what changed is taken over and told; the same again is unchanged', async () => {
  const { reloads, state, lines } = setUp()
  const before = reloads.hash
  state.source = yaml({ timeout: '2s' })
  const outcome = await reloads.request({ trigger: 'SIGHUP' })
  expect(outcome).toMatchObject({
    result: 'applied',
    plan: { components: [{ kind: 'processor', id: 'batch', action: 'restart' }], pipelines: [] },
    restart_needed: [],
  })
  expect(state).toMatchObject({ applied: 1, levels: ['info'] })
  expect(reloads.hash).not.toBe(before)
  expect(lines.at(-1)).toMatchObject({ level: 'info', fields: { changes: ['restart processor batch'] } })
  expect(await reloads.request({ trigger: 'SIGHUP' })).toMatchObject({ result: 'unchanged' })
  expect(state.reloads).toBe(1)
  expect(reloads.reloads).toEqual({ applied: 1, unchanged: 1, failed: 0, superseded: 0 })
})

test('a wrong configuration changes nothing; all its errors are told, with their places', async () => {
  const { reloads, state, lines } = setUp()
  const before = reloads.hash
  state.source = yaml({ timeout: 'soon' }).replace('exporters: {debug: }', 'exporters: {debgu: }')
  const { result, errors = [] } = await reloads.request({ trigger: 'files' })
  expect(result).toBe('failed')
  expect(errors).toMatchObject([
    { file: 'kymo.yaml', line: 3, column: 31 },
    { file: 'kymo.yaml', line: 4, hint: expect.stringContaining('debug') },
    { file: 'kymo.yaml', line: 11 },
  ])
  expect(state).toMatchObject({ reloads: 0, applied: 0, levels: [] })
  expect(reloads).toMatchObject({ hash: before, lastWorked: false })
  expect(lines.filter(({ level }) => level === 'error')).toHaveLength(4)
  expect(reloadDocument(reloads)).toMatchObject({ last_reload: { ok: false, trigger: 'files', errors } })
  state.source = yaml()
  await reloads.request({ trigger: 'files' })
  expect(reloads.lastWorked).toBe(true)
})

test('what cannot start is told, and what runs is as it was', async () => {
  const { reloads, state, graph } = setUp(() => Promise.reject(new Error('port in use')))
  const before = graph.plan
  state.source = yaml({ timeout: '2s', level: 'debug' })
  expect(await reloads.request({ trigger: 'request' })).toMatchObject({
    result: 'failed',
    errors: [{ message: 'port in use' }],
  })
  expect(graph.plan).toBe(before)
  expect(state.levels).toEqual([])
})

test('what is ready is given up when the settings of own telemetry cannot be taken over, and the next may come', async () => {
  let fails = true
  const { reloads, state, graph } = setUp(undefined, undefined, () => {
    if (fails) throw new Error('no such level')
  })
  const before = graph.plan
  state.source = yaml({ timeout: '2s' })
  expect(await reloads.request({ trigger: 'request' })).toMatchObject({
    result: 'failed',
    errors: [{ message: 'no such level' }],
  })
  expect([graph.plan === before, state.aborted, state.applied]).toEqual([true, 1, 0])
  fails = false
  expect(await reloads.request({ trigger: 'request' })).toMatchObject({ result: 'applied' })
  expect([graph.plan === before, state.aborted, state.applied]).toEqual([false, 1, 1])
})

test('log levels change at once; other settings of own telemetry need a restart, and that is said', async () => {
  const { reloads, state } = setUp()
  state.source = yaml({ level: 'debug', port: 8889 })
  expect(await reloads.request({ trigger: 'SIGHUP' })).toMatchObject({
    result: 'unchanged',
    restart_needed: ['service::telemetry::metrics'],
  })
  expect(state.levels).toEqual(['debug'])
})

test('an extension of which there can only be one is not changed', async () => {
  const { reloads, state } = setUp()
  state.source = yaml({ lock: 2 })
  const { result, errors } = await reloads.request({ trigger: 'SIGHUP' })
  expect(result).toBe('failed')
  expect(errors).toMatchObject([
    { message: expect.stringContaining('extension lock cannot change'), hint: expect.any(String) },
  ])
  expect(state.reloads).toBe(0)
})

test('one at a time: of those that wait, the latest', async () => {
  const seen: unknown[] = []
  let release: (() => void) | undefined
  const { reloads } = setUp(to => {
    seen.push(to.processors.get('batch')?.config)
    return new Promise(resolve => (release = resolve))
  })
  const asked = ['2s', '3s', '4s'].map(timeout => reloads.request({ trigger: 'request', text: yaml({ timeout }) }))
  await expect.poll(() => release).toBeDefined()
  release?.()
  expect(await asked[1]).toEqual({ result: 'superseded' })
  await expect.poll(() => seen.length).toBe(2)
  release?.()
  expect((await Promise.all(asked)).map(({ result }) => result)).toEqual(['applied', 'superseded', 'applied'])
  expect(seen).toMatchObject([{ timeout: 2000 }, { timeout: 4000 }])
})

test('while it starts or stops nothing is reloaded', async () => {
  const { reloads, state } = setUp()
  state.isRunning = false
  expect(await reloads.request({ trigger: 'SIGHUP' })).toMatchObject({ result: 'refused' })
  expect(await reloads.request({ trigger: 'request', dryRun: true })).toMatchObject({ result: 'refused' })
  expect(reloads.last).toBeUndefined()
})

describe('over HTTP', () => {
  let admin: Admin | undefined
  afterEach(() => admin?.close())

  async function serve(env: NodeJS.ProcessEnv) {
    const parts = setUp()
    const pages = { metrics: undefined, ready: () => ({ ready: true, phase: 'running' }), status: () => ({}) }
    const routes = configRoutes(parts.reloads)
    admin = await startAdmin('127.0.0.1:0', { ...pages, routes, access: tokenAccess(env) }, new Listeners())
    const { address } = admin
    const ask = async (path: string, body?: string, headers: Record<string, string> = {}) => {
      const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/yaml' }
      const init = { method: 'POST', body: body ?? null, headers: { ...type, ...headers } }
      const response = await fetch(`http://${address}${path}`, init)
      return { status: response.status, told: (await response.json()) as Record<string, unknown> }
    }
    return { ...parts, ask, address }
  }
  const token = { authorization: 'Bearer t' }

  test.each<[string, string, string | undefined, Record<string, string>, number, string]>([
    ['a new one is taken over', '/v1/config', yaml({ timeout: '2s' }), token, 200, 'applied'],
    ['the plan is told', '/v1/config?dry_run=true', yaml({ timeout: '2s' }), token, 200, 'planned'],
    ['a wrong one is told', '/v1/config', 'receivers: [', token, 400, 'failed'],
    ['one that cannot be taken over is told', '/v1/config', yaml({ lock: 2 }), token, 409, 'failed'],
    ['the sources are read again', '/v1/reload', undefined, token, 200, 'unchanged'],
    ['without the token nothing is done', '/v1/config', yaml(), {}, 401, 'token'],
    ['nor are the sources read', '/v1/reload', undefined, {}, 401, 'token'],
    [
      'a page of another origin is turned away',
      '/v1/reload',
      undefined,
      { ...token, origin: 'http://evil' },
      403,
      'page',
    ],
    ['what forms send is not taken', '/v1/config', yaml(), { ...token, 'content-type': 'text/plain' }, 415, ''],
    ['an empty body is none', '/v1/config', ' ', token, 400, 'no configuration'],
    ['a question that is not known is told', '/v1/config?dryrun=true', yaml(), token, 400, 'dry_run'],
  ])('%s', async (_, path, body, headers, status, text) => {
    const { ask, state } = await serve({ KYMO_ADMIN_TOKEN: 't' })
    const answer = await ask(path, body, headers)
    expect(answer.status).toBe(status)
    expect(JSON.stringify(answer.told)).toContain(text)
    expect(state.reloads).toBe(text === 'applied' ? 1 : 0)
  })

  test('without a token in its environment nobody configures it; the sources may be read again from here', async () => {
    const { ask } = await serve({})
    expect(await ask('/v1/config', yaml(), token)).toMatchObject({ status: 403 })
    expect(await ask('/v1/reload')).toMatchObject({ status: 200, told: { result: 'unchanged' } })
  })

  test('what runs and how the last reload went can be asked', async () => {
    const { ask, address, reloads } = await serve({})
    await ask('/v1/reload')
    expect(await (await fetch(`http://${address}/v1/config`)).json()).toMatchObject({
      hash: reloads.hash,
      last_reload: { ok: true, result: 'unchanged', trigger: 'request' },
    })
  })
})

test('a fault on the way is told to whoever asked, and the next reload is another try', async () => {
  let faults = 1
  const { reloads, state, lines } = setUp(undefined, () => {
    if (faults-- > 0) throw new Error('out of nowhere')
  })
  state.source = yaml({ timeout: '2s' })
  expect(await reloads.request({ trigger: 'request' })).toEqual({
    result: 'failed',
    errors: [{ message: 'out of nowhere' }],
  })
  expect(lines).toContainEqual(
    expect.objectContaining({ level: 'error', fields: expect.objectContaining({ code: 'INTERNAL' }) }),
  )
  state.source = yaml({ timeout: '3s' })
  expect(await reloads.request({ trigger: 'request' })).toMatchObject({ result: 'applied' })
})
