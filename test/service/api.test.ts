import { afterEach, beforeEach, expect, test } from 'vitest'
import { DeliveryError } from '../../core/errors.ts'
import { Listeners } from '../../net/listeners.ts'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { resource } from '../../processors/resource.ts'
import { type Admin, startAdmin } from '../../service/admin.ts'
import { apiRoutes } from '../../service/api.ts'
import { Rates } from '../../service/rates.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

let toy: ToyGraph
let admin: Admin

beforeEach(async () => {
  toy = await toyGraph({
    exporters: { 'sink/a': {}, failing: { retry_on_failure: { initial_interval: '1h', max_interval: '1h' } } },
    components: {
      'namespace_filter/x': { definition: namespaceFilter },
      resource: { definition: resource, config: { attributes: [{ key: 'a', action: 'delete' }] } },
    },
    pipelines: [
      { processors: ['resource', 'namespace_filter/x'], exporters: ['sink/a', 'failing'] },
      { id: 'logs', processors: ['namespace_filter/x'], exporters: ['sink/a'] },
    ],
  })
  toy.sinks['failing'].behave = () => Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'come later'))
  const pages = { metrics: undefined, ready: () => ({ ready: true, phase: 'running' }), status: () => ({}) }
  const { books, journal, graph } = toy
  const routes = apiRoutes({
    books,
    journal,
    rates: new Rates(books, Date.now() - 10_000),
    pipelines: () => graph.pipelines,
    components: () => graph.components,
    exporters: () => graph.exporters(),
  })
  admin = await startAdmin('127.0.0.1:0', { ...pages, routes }, new Listeners())
})
afterEach(async () => {
  await admin.close()
  await toy.graph.stop(10)
  expect(toy.books.faults()).toEqual([])
})

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://${admin.address}${path}`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const push = (namespace: string, spans: number) =>
  toy.push(tracesRequest([{ namespace, spans: names('s', spans) }])).outcome

async function ids(query: string): Promise<number[]> {
  const { batches } = (await get(`/v1/batches?${query}`)).body as { batches: { items: number }[] }
  return batches.map(({ items }) => items)
}

test.each([
  ['dropped=true', [2, 1]],
  ['what=dropped&limit=1', [2]],
  ['component=namespace_filter/x&what=dropped', [2, 1]],
  ['component=namespace_filter%2Fx&reason=namespace_system', [2, 1]],
  ['component=failing&what=attempt_failed', [3]],
  ['receiver=toy&signal=traces&since=10m&until=2100-01-01', [3, 2, 1]],
  ['signal=logs', []],
  ['until=10m', []],
  ['since=2100-01-01T00:00:00%2B02:00', []],
  ['since=2100-01-01T00:00:00+02:00', []],
  ['reason=nothing_like_it', []],
  ['dropped=false&component=', [3, 2, 1]],
])('/v1/batches?%s finds what it says, newest first', async (query, items) => {
  await push('kube-system', 1)
  await push('kube-system', 2)
  await push('shop', 3)
  await expect.poll(() => toy.journal.find({ what: 'attempt_failed' }).length).toBe(1)
  // Which of the healthy ones are noted is a matter of chance; those here all had something happen.
  expect(await ids(query)).toEqual(items)
})

test('there being more is told', async () => {
  for (let i = 0; i < 3; i++) await push('kube-system', 1)
  expect((await get('/v1/batches?dropped=true&limit=2')).body['more']).toBe(true)
  expect((await get('/v1/batches?dropped=true&limit=3')).body['more']).toBeUndefined()
})

test('a reason that nothing was booked under is no error, but the nearest one is told', async () => {
  await push('kube-system', 1)
  const { status, body } = await get('/v1/batches?reason=namespace_sytem')
  expect(status).toBe(200)
  expect(body).toEqual({ batches: [], hint: 'did you mean `namespace_system`?' })
})

test.each([
  ['/v1/batches?droped=true', 400, 'no parameter `droped`', '`dropped`'],
  ['/v1/batches?dropped=yes', 400, '`yes`', '`true`'],
  ['/v1/batches?dropped=true&what=lost', 400, 'give one', undefined],
  ['/v1/batches?signal=trace', 400, '`trace` is no signal', '`traces`'],
  ['/v1/batches?what=delivred', 400, '`delivred`', '`delivered`'],
  ['/v1/batches?component=sink', 400, 'no component `sink`', '`sink/a`'],
  ['/v1/batches?receiver=sink/a', 400, 'no receiver `sink/a`', '`toy`'],
  ['/v1/batches?since=noon', 400, '`noon` is no time', '10m'],
  ['/v1/batches?since=2026-13-01T00:00:00Z', 400, 'is no time', '10m'],
  ['/v1/batches?limit=0', 400, 'from 1 to 1000', undefined],
  ['/v1/batches?limit=1&limit=2', 400, 'given twice', undefined],
  ['/v1/batches/x', 400, 'no id', 'numbers'],
  ['/v1/batches/999', 404, 'not in the journal', 'keeps the latest'],
  ['/v1/components?kind=exportr', 400, '`exportr`', '`exporter`'],
  ['/v1/components/sink/status', 404, 'no component `sink`', '`sink/a`'],
  ['/v1/components/toy/status?kind=exporter', 404, 'no exporter `toy`', 'ids'],
  ['/v1/components/sink/a', 404, 'no page', '/v1/components/sink/a/status'],
])('%s is answered %i and told what is wrong', async (path, code, error, hint) => {
  const { status, body } = await get(path)
  expect(status).toBe(code)
  expect(body['error']).toContain(error)
  if (hint !== undefined) expect(body['hint']).toContain(hint)
})

test('one batch is told by its id, with every event', async () => {
  await push('kube-system', 4)
  const [record] = toy.journal.find({ what: 'dropped' })
  const { body } = await get(`/v1/batches/${record.id}`)
  expect(body).toMatchObject({
    id: record.id,
    receiver: 'toy',
    transport: 'test',
    signal: 'traces',
    items: 4,
    answer: 'success',
  })
  expect(body['events']).toContainEqual({
    at: expect.stringMatching(/^2\d\d\d-.*Z$/),
    kind: 'processor',
    component: 'namespace_filter/x',
    pipeline: 'traces',
    what: 'dropped',
    items: 4,
    reason: 'namespace_system',
    sample: { 'k8s.namespace.name': 'kube-system' },
  })
})

test('one batch tells what it passed before anything was noted', async () => {
  // The first of a second is noted from its beginning, so that one tells it all itself.
  await push('shop', 1)
  await push('kube-system', 4)
  await push('shop', 2)
  const before = async (what: 'dropped' | 'attempt_failed', items: number) => {
    const record = toy.journal.find({ what }).find(one => one.items === items)
    return (await get(`/v1/batches/${record?.id}`)).body['passed_before']
  }
  expect(await before('dropped', 4)).toEqual([{ pipeline: 'traces', processors: ['resource'] }])
  await expect
    .poll(() => before('attempt_failed', 2))
    .toEqual([{ pipeline: 'traces', processors: ['resource', 'namespace_filter/x'] }])
  expect(await before('attempt_failed', 1)).toBeUndefined()
})

test('the status of an exporter: state, error, rates, time of exports, queue, last success', async () => {
  await push('shop', 30)
  await expect.poll(() => toy.sinks['sink/a'].all.length).toBe(30)
  await expect.poll(() => toy.books.nodes.find(node => node.name.id === 'failing')?.failedAttempts).toBe(1)
  const ok = await get('/v1/components/sink%2Fa/status')
  expect(ok.body).toMatchObject({ kind: 'exporter', id: 'sink/a', type: 'sink', state: 'OK' })
  expect(ok.body['last_error']).toBeUndefined()
  const parts = ok.body['parts'] as { signal: string }[]
  expect(parts.map(part => part.signal)).toEqual(['traces', 'logs'])
  expect(parts[0]).toMatchObject({
    items_per_second: { in: { last_1m: 3, last_5m: 3 }, delivered: { last_1m: 3 } },
    export_ms: { p50: expect.any(Number), p99: expect.any(Number) },
    queue: { size: 0, capacity: 1000, in_flight: 0, oldest_seconds: null },
    last_success: expect.stringMatching(/^2\d\d\d-/),
    attempts: 1,
    failed_attempts: 0,
  })
  expect(parts[1]).toMatchObject({ export_ms: { p50: null, p99: null }, last_success: null })

  const bad = await get('/v1/components/failing/status')
  expect(bad.body).toMatchObject({
    state: 'RecoverableError',
    since: expect.stringMatching(/^2\d\d\d-/),
    last_error: 'come later',
    last_error_at: expect.stringMatching(/^2\d\d\d-/),
    parts: [{ attempts: 1, failed_attempts: 1, queue: { size: 1, oldest_seconds: expect.any(Number) } }],
  })
})

test('the status of a processor: its pipelines, and what it dropped by reason', async () => {
  await push('kube-system', 4)
  const { body } = await get('/v1/components/namespace_filter/x/status')
  expect(body).toMatchObject({
    kind: 'processor',
    dropped: { namespace_system: 4 },
    items_per_second: { in: { last_1m: 0.4 }, out: { last_1m: 0 } },
    parts: [
      { pipeline: 'traces', state: 'OK', dropped: { namespace_system: 4 } },
      { pipeline: 'logs', state: 'OK', dropped: {} },
    ],
  })
})

test('all components are listed in the order of the flow, and by kind', async () => {
  const all = (await get('/v1/components')).body['components'] as { kind: string; id: string }[]
  expect(all.map(({ kind, id }) => `${kind} ${id}`)).toEqual([
    'receiver toy',
    'processor resource',
    'processor namespace_filter/x',
    'exporter sink/a',
    'exporter failing',
  ])
  const exporters = (await get('/v1/components?kind=exporter')).body['components'] as { id: string }[]
  expect(exporters.map(({ id }) => id)).toEqual(['sink/a', 'failing'])
})
