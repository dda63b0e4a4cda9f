/** Queues on disk and dead letters through the admin server, on a storage in memory and a way in that does what tests say. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../core/batch.ts'
import { Books } from '../../core/books.ts'
import { Budget } from '../../core/budget.ts'
import { Delivery } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Journal } from '../../core/journal.ts'
import { Lease } from '../../core/lease.ts'
import { type DurableQueue, type Note, StorageError } from '../../core/storage.ts'
import { Listeners } from '../../net/listeners.ts'
import { encodeGroups } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { type Admin, startAdmin } from '../../service/admin.ts'
import { Queues } from '../../service/queues.ts'
import { keepingLogger, type Line } from '../support/kymo.ts'
import { names, spanNames, tracesRequest } from '../support/otlp-bytes.ts'
import { MemoryStorage } from '../support/storage.ts'

let storage: MemoryStorage
let queues: Queues
let admin: Admin
let books: Books
let lines: Line[]
/** What came in by way of each pipeline. */
let came: Map<string, Batch[]>
let behave: (batch: Batch) => void

const pages = { metrics: undefined, ready: () => ({ ready: true, phase: 'running' }), status: () => ({}) }

beforeEach(async () => {
  storage = new MemoryStorage()
  books = new Books()
  lines = []
  came = new Map()
  behave = batch => batch.accept()
  const pipeline = (id: string, signal: Signal, exporters: string[]) => ({
    id,
    signal,
    receivers: ['otlp'],
    processors: [],
    exporters,
  })
  const pipelines = [pipeline('traces/a', 'traces', ['other']), pipeline('traces/b', 'traces', ['sink', 'other'])]
  queues = new Queues({
    books,
    journal: new Journal(),
    budget: new Budget(1 << 30),
    log: keepingLogger(lines),
    storages: () => [{ id: 'disk', storage }],
    pipelines: () => pipelines,
    entrance: id => arrive(id),
    exporterEntrance: id => arrive(`exporter ${id}`),
  })
  admin = await startAdmin('127.0.0.1:0', { ...pages, routes: queues.routes }, new Listeners())
})
afterEach(async () => {
  queues.stopReplay()
  await admin.close()
  for (const { name, in: items, out } of books.nodes) expect({ name, items }).toEqual({ name, items: out })
})

function append(queue: DurableQueue, spans: readonly string[], note?: Note) {
  const request = readRequest('traces', tracesRequest([{ namespace: 'shop', spans }]))
  const from = { receiver: 'otlp', transport: 'grpc', peer: '10.0.0.7', metadata: new Map([['tenant', ['a']]]) }
  const lease = new Lease(new Budget(1 << 20), 0, request.items)
  const delivery = new Delivery(request.items, undefined)
  return queue.append(Batch.of('traces', request, { ...from, auth: undefined }, delivery, lease), note)
}

const because = (reason: string, owner = 'sink traces'): Note => ({ owner, reason, message: `no: ${reason}` })
const bury = (spans: readonly string[], reason = 'rejected', owner = 'sink traces') =>
  append(storage.deadLetters, spans, because(reason, owner))

/** A queue that an exporter had. */
async function orphan(owner: string, ...spans: string[][]) {
  const queue = storage.queue(owner)
  for (const one of spans) await append(queue, one)
  queue.close()
}

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

async function get(path: string): Promise<Answer> {
  const response = await fetch(`http://${admin.address}${path}`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`http://${admin.address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const arrive = (where: string) => (batch: Batch) => {
  came.set(where, [...(came.get(where) ?? []), batch])
  behave(batch)
}
const arrived = (pipeline: string) => (came.get(pipeline) ?? []).flatMap(one => spanNames(encodeGroups(one.groups)))
const dead = () => storage.deadLetters.backlog

test('queues are told with owner, size, age and what became of the rest; dead letters are counted by owner and reason', async () => {
  const queue = storage.queue('sink traces')
  const first = await append(queue, names('a', 3))
  await append(queue, names('b', 2))
  queue.end(first, 3, 'delivered')
  await orphan('old/x traces', names('c', 4))
  await bury(['d', 'e'])
  await bury(['f'])
  await bury(['g'], 'too_large', 'other traces')
  const { status, body } = await get('/v1/queues')
  expect(status).toBe(200)
  expect(body).toMatchObject({
    storages: [{ id: 'disk', state: 'ok', max_age_seconds: 3600 }],
    queues: [
      {
        storage: 'disk',
        owner: 'sink traces',
        exporter: 'sink',
        signal: 'traces',
        running: true,
        orphan: false,
        records: 1,
        items: 2,
        bytes: expect.any(Number),
        oldest: expect.stringMatching(/^2\d\d\d-/),
        oldest_age_seconds: expect.any(Number),
        totals: { appended: 5, delivered: 3, lost: 0 },
      },
      { owner: 'old/x traces', exporter: 'old/x', running: false, orphan: true, items: 4 },
    ],
    dead_letters: [
      {
        storage: 'disk',
        records: 3,
        items: 4,
        by: [
          { owner: 'sink traces', reason: 'rejected', signal: 'traces', records: 2, items: 3 },
          { owner: 'other traces', reason: 'too_large', records: 1, items: 1 },
        ],
      },
    ],
  })
  expect(JSON.stringify(body)).not.toContain('cut')
})

test('a storage that takes nothing says why', async () => {
  storage.trouble = new StorageError('full', 'no room on the disk')
  expect((await get('/v1/queues')).body['storages']).toMatchObject([{ state: 'full', error: 'no room on the disk' }])
})

test.each([
  ['', ['1', '2', '3']],
  ['owner=other%20traces', ['3']],
  ['owner=other+traces', ['3']],
  ['reason=too_large', ['3']],
  ['seq=2', ['2']],
  ['seq=2-9', ['2', '3']],
  ['signal=logs', []],
  ['until=10m', []],
  ['since=10m&storage=disk', ['1', '2', '3']],
  ['limit=2', ['1', '2', 'more']],
])('/v1/dead-letters?%s finds what it says, oldest first', async (query, expected) => {
  await bury(['1'])
  await bury(['2'])
  await bury(['3'], 'too_large', 'other traces')
  const { body } = await get(`/v1/dead-letters?${query}`)
  const { dead_letters, more } = body as { dead_letters: { seq: number }[]; more?: boolean }
  expect([...dead_letters.map(({ seq }) => String(seq)), ...(more === true ? ['more'] : [])]).toEqual(expected)
})

test('a dead letter tells why, and what kind of data it is', async () => {
  await bury(['1', '2'])
  const { dead_letters } = (await get('/v1/dead-letters')).body as { dead_letters: object[] }
  expect(dead_letters).toEqual([
    {
      storage: 'disk',
      seq: 1,
      at: expect.stringMatching(/^2\d\d\d-/),
      owner: 'sink traces',
      reason: 'rejected',
      message: 'no: rejected',
      signal: 'traces',
      items: 2,
      bytes: expect.any(Number),
      sample: { 'k8s.namespace.name': 'shop' },
    },
  ])
})

test('a replay goes into the first pipeline that has the exporter, marked, with what was known of the sender', async () => {
  for (let i = 0; i < 9; i++) await bury(names(`${i}-`, 2))
  const { status, body } = await post('/v1/dead-letters/replay', {})
  expect({ status, body }).toMatchObject({
    status: 200,
    body: { state: 'done', records: 9, items: 18, replayed: 18, rejected: 0, left: 0 },
  })
  expect(arrived('traces/b').toSorted()).toEqual(Array.from({ length: 9 }, (_, i) => names(`${i}-`, 2)).flat())
  const [{ context }] = came.get('traces/b') ?? []
  expect(context).toMatchObject({ receiver: 'replay', transport: 'replay', peer: '10.0.0.7' })
  expect(context.metadata?.get('tenant')).toEqual(['a'])
  expect(dead().records).toBe(0)
  expect(storage.deadLetters.totals.handed_over).toBe(18)
  const node = books.nodes.find(({ name }) => name.id === 'replay')
  expect(node?.answered.accepted).toBe(18)
})

test.each([
  [{ pipeline: 'traces/a' }, 'traces/a', ['1', '2', '3', '4']],
  [{ owner: 'other traces' }, 'traces/a', ['4']],
  [{ reason: 'too_large' }, 'traces/b', ['3']],
  [{ seq: 2 }, 'traces/b', ['2']],
  [{ seq: '2-3' }, 'traces/b', ['2', '3']],
  [{ limit: 1 }, 'traces/b', ['1']],
  [{ since: '10m', until: '5m' }, 'traces/b', []],
  [{ exporter: 'sink', reason: 'too_large' }, 'exporter sink', ['3']],
])('a replay of %j takes these and leaves the others', async (body, pipeline, expected) => {
  await bury(['1'])
  await bury(['2'])
  await bury(['3'], 'too_large')
  await bury(['4'], 'rejected', 'other traces')
  expect((await post('/v1/dead-letters/replay', body)).body).toMatchObject({ items: expected.length, left: 0 })
  expect(arrived(pipeline)).toEqual(expected)
  expect(dead().records).toBe(4 - expected.length)
})

test('what is put aside again during a replay is not replayed by it', async () => {
  await bury(['1'])
  await bury(['2'])
  behave = batch => {
    void bury(spanNames(encodeGroups(batch.groups)), 'rejected')
    batch.accept()
  }
  expect((await post('/v1/dead-letters/replay', {})).body).toMatchObject({ records: 2, replayed: 2, state: 'done' })
  expect(dead()).toMatchObject({ records: 2, items: 2 })
})

test('what is refused is tried again', async () => {
  await bury(['1', '2'])
  let times = 0
  behave = batch =>
    ++times < 3 ? batch.refuse(new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'full')) : batch.accept()
  expect((await post('/v1/dead-letters/replay', {})).body).toMatchObject({ replayed: 2, left: 0, state: 'done' })
  expect(times).toBe(3)
})

test.each<[string, (batch: Batch) => void, object, number]>([
  [
    'refused until it gives up: all stays',
    batch => batch.refuse(new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'the queue is full')),
    { state: 'gave_up', replayed: 0, rejected: 0, left: 4, error: 'the queue is full' },
    4,
  ],
  [
    'rejected again where nobody puts it aside: it stays',
    batch => batch.reject('still bad'),
    { state: 'done', replayed: 0, rejected: 4, left: 0 },
    4,
  ],
  [
    'rejected in part: that is told',
    batch => batch.acceptInPart(1, 'bad'),
    { state: 'done', replayed: 3, rejected: 1, left: 0 },
    0,
  ],
])('%s', async (_, how, report, left) => {
  await bury(names('s', 4))
  behave = how
  expect((await post('/v1/dead-letters/replay', { patience: '50ms' })).body).toMatchObject(report)
  expect(dead().items).toBe(left)
})

test('one replay at a time; it can be looked at, and stopped, and what it has not got rid of stays', async () => {
  for (let i = 0; i < 6; i++) await bury([`${i}`])
  behave = () => {}
  const running = post('/v1/dead-letters/replay', {})
  await expect.poll(() => came.get('traces/b')?.length).toBe(4)
  expect((await post('/v1/dead-letters/replay', {})).status).toBe(409)
  expect((await post('/v1/queues/drop', { dead_letters: true })).status).toBe(409)
  expect((await get('/v1/dead-letters/replay/state')).body).toMatchObject({ state: 'running', records: 4 })
  for (const batch of (came.get('traces/b') ?? []).slice(0, 1)) batch.accept()
  await post('/v1/dead-letters/replay/stop', {})
  // Those that are still on their way end without anybody waiting.
  expect((await running).body).toMatchObject({ state: 'stopped' })
  expect(dead().records).toBe(5)
})

test('an orphan can be replayed too, and is nobody else’s meanwhile', async () => {
  await orphan('gone traces', ['1'], ['2'])
  expect(await post('/v1/dead-letters/replay', { queue: 'gone traces' })).toMatchObject({ status: 400 })
  expect((await post('/v1/dead-letters/replay', { queue: 'gone traces', pipeline: 'traces/a' })).body).toMatchObject({
    replayed: 2,
    left: 0,
  })
  expect(arrived('traces/a')).toEqual(['1', '2'])
  expect(storage.list()).toMatchObject([{ owner: 'gone traces', taken: false, backlog: { records: 0 } }])
})

test.each([
  [{}, 400, 'exporter `gone`', '`traces/a`, `traces/b`'],
  [{ pipeline: 'traces/c' }, 400, 'no pipeline `traces/c`', 'did you mean'],
  [{ reson: 'rejected' }, 400, 'no parameter `reson`', '`reason`'],
  [{ limit: 0 }, 400, 'no whole number', undefined],
  [{ seq: 'x' }, 400, 'no place', '17-40'],
  [{ since: 'noon' }, 400, 'no time', '10m'],
  [{ patience: 'long' }, 400, 'no duration', '30s'],
  [{ storage: 'dsk' }, 404, 'no storage `dsk`', '`disk`'],
  [{ queue: 'gon traces' }, 404, 'no queue `gon traces`', 'did you mean `gone traces`?'],
  [[], 400, 'JSON object', undefined],
  [{ owner: ['a'] }, 400, '`owner` is neither', undefined],
])('a replay of %j is answered %i, and nothing is sent', async (body, code, error, hint) => {
  await orphan('gone traces', ['0'])
  await bury(['1'], 'rejected', 'gone traces')
  const answer = await post('/v1/dead-letters/replay', body)
  expect(answer.status).toBe(code)
  expect(answer.body['error']).toContain(error)
  if (hint !== undefined) expect(answer.body['hint']).toContain(hint)
  expect(came.size).toBe(0)
  expect(dead().records).toBe(1)
})

test('an orphan is dropped; a queue that an exporter sends is not', async () => {
  storage.queue('sink traces')
  await orphan('gone traces', names('a', 3), names('b', 2))
  expect(await post('/v1/queues/drop', { queue: 'sink traces' })).toMatchObject({ status: 409 })
  expect(await post('/v1/queues/drop', {})).toMatchObject({ status: 400 })
  expect(await post('/v1/queues/drop', { queue: 'nobody' })).toMatchObject({ status: 404 })
  expect(storage.orphans()).toHaveLength(1)
  expect((await post('/v1/queues/drop', { queue: 'gone traces', storage: 'disk' })).body).toMatchObject({
    dropped: { records: 2, items: 5 },
  })
  expect(storage.orphans()).toEqual([])
})

test('dead letters in a range are dropped', async () => {
  await bury(['1'])
  await bury(['2'], 'too_large')
  const { body } = await post('/v1/queues/drop', { dead_letters: true, reason: 'too_large' })
  expect(body).toMatchObject({ dropped: { records: 1, items: 1 } })
  expect(dead().records).toBe(1)
})

test.each([
  ['dead_letters=true', ['1', '2']],
  ['dead_letters=true&reason=too_large', ['2']],
  ['queue=gone+traces', ['3', '4']],
])('export of %s writes OTLP/JSON, a request a line, and keeps all', async (query, expected) => {
  await bury(['1'])
  await bury(['2'], 'too_large')
  await orphan('gone traces', ['3'], ['4'])
  const response = await fetch(`http://${admin.address}/v1/queues/export?${query}`)
  const text = await response.text()
  const spans = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[] })
    .map(({ resourceSpans: [{ scopeSpans }] }) => scopeSpans[0].spans[0].name)
  expect(spans).toEqual(expected)
  expect(dead().records).toBe(2)
  expect(storage.orphans()).toMatchObject([{ owner: 'gone traces', records: 2 }])
})

test('export in protobuf writes each request after its length', async () => {
  await bury(['1', '2'])
  await bury(['3'])
  const response = await fetch(`http://${admin.address}/v1/queues/export?dead_letters=true&format=protobuf`)
  const bytes = Buffer.from(await response.arrayBuffer())
  const found: string[] = []
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    found.push(...spanNames(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at))))
  }
  expect(found).toEqual(['1', '2', '3'])
})

test('a record that is no OTLP is exported as it is', async () => {
  await bury(['1'])
  const [record] = storage.records
  storage.records[0] = { ...record, payload: Buffer.from([0x0a, 0x05, 0x12, 0x03, 0x12, 0x01, 0x38]) }
  const response = await fetch(`http://${admin.address}/v1/queues/export?dead_letters=true`)
  expect(JSON.parse(await response.text())).toMatchObject({
    kymo_unreadable: expect.any(String),
    seq: 1,
    signal: 'traces',
    payload: Buffer.from([0x0a, 0x05, 0x12, 0x03, 0x12, 0x01, 0x38]).toString('base64'),
  })
})

test.each([
  ['a web page', { origin: 'http://evil.example' }, 403],
  ['a form', { 'content-type': 'text/plain' }, 415],
])('%s can drop nothing', async (_, headers, code) => {
  await bury(['1'])
  const { status } = await post('/v1/queues/drop', { dead_letters: true }, headers)
  expect(status).toBe(code)
  expect(dead().records).toBe(1)
})

test('who may not act may not take the data either, but may ask how things are', async () => {
  await admin.close()
  const denial = { code: 403, message: 'not you', hint: 'go' } as const
  const access = (_: unknown, stake: string) => (stake === 'reading' ? undefined : denial)
  admin = await startAdmin('127.0.0.1:0', { ...pages, access, routes: queues.routes }, new Listeners())
  await bury(['1'])
  expect(await get('/v1/queues/export?dead_letters=true')).toMatchObject({ status: 403, body: { error: 'not you' } })
  expect(await post('/v1/queues/drop', { dead_letters: true })).toMatchObject({ status: 403 })
  expect(await post('/v1/dead-letters/replay', {})).toMatchObject({ status: 403 })
  expect(await get('/v1/queues')).toMatchObject({ status: 200 })
  expect(dead().records).toBe(1)
})

test('orphans are told in the log with the commands that help', async () => {
  await orphan('otlp/x traces', names('a', 3))
  queues.reportOrphans()
  expect(lines).toMatchObject([{ level: 'warn', fields: { storage: 'disk', queue: 'otlp/x traces', items: 3 } }])
  const { todo } = lines[0].fields
  for (const text of ["--queue 'otlp/x traces'", 'queue export', 'queue drop', 'sending_queue.storage: disk']) {
    expect(todo).toContain(text)
  }
})
