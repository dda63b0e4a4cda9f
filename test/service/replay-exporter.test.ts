/** Dead letters of one exporter of a fan-out: they go to that one again, and the others get nothing twice. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DeliveryError } from '../../core/errors.ts'
import { silent } from '../../core/logger.ts'
import { StorageError } from '../../core/storage.ts'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { Queues } from '../../service/queues.ts'
import { type Behaviour, toyGraph, type ToyGraph, type ToyParts } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { diskOf, MemoryStorage } from '../support/storage.ts'

let storage: MemoryStorage
let toy: ToyGraph
let queues: Queues

const no: Behaviour = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'bad data'))
const yes: Behaviour = () => Promise.resolve(undefined)

function parts(loser: object = {}): ToyParts {
  const disk = diskOf(storage)
  return {
    exporters: { 'sink/good': {}, 'sink/bad': { sending_queue: { storage: 'disk', ...loser } } },
    components: { disk: { definition: disk }, filter: { definition: namespaceFilter } },
    pipelines: [{ processors: ['filter'], exporters: ['sink/good', 'sink/bad'] }],
  }
}

async function start(loser?: object): Promise<void> {
  toy = await toyGraph(parts(loser))
  const { books, journal, budget, graph } = toy
  queues = new Queues({
    books,
    journal,
    budget,
    log: silent,
    storages: () => [{ id: 'disk', storage }],
    pipelines: () => graph.pipelines,
    entrance: (id, from) => graph.entrance(id, from),
    exporterEntrance: (id, from) => graph.exporterEntrance(id, from),
  })
}

beforeEach(() => {
  storage = new MemoryStorage()
})
afterEach(async () => {
  queues.stopReplay()
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
  for (const { backlog, totals } of storage.queues.values()) {
    const { appended, ...ends } = totals
    expect(Object.values(ends).reduce((sum, n) => sum + n, backlog.items)).toBe(appended)
  }
})

const dead = () => storage.deadLetters.backlog.items
const node = (id: string) => toy.books.nodes.find(({ name }) => name.id === id)

/** `good` takes these spans, `bad` puts them aside. */
async function refused(...spans: string[]): Promise<void> {
  const before = dead()
  toy.sinks['sink/bad'].behave = no
  expect((await toy.push(tracesRequest([{ namespace: 'shop', spans }])).outcome).kind).toBe('success')
  await expect.poll(dead).toBe(before + spans.length)
  toy.sinks['sink/bad'].behave = yes
}

test('they go to their exporter alone, past the processors, marked as replayed', async () => {
  await start()
  await refused('1', '2')
  await refused('3')
  expect(await queues.replay({ exporter: 'sink/bad' })).toMatchObject({ state: 'done', replayed: 3, left: 0 })
  await expect.poll(() => toy.sinks['sink/bad'].all.toSorted()).toEqual(['1', '2', '3'])
  expect(toy.sinks['sink/good'].all.toSorted()).toEqual(['1', '2', '3'])
  expect(dead()).toBe(0)
  expect(storage.deadLetters.totals).toMatchObject({ appended: 3, handed_over: 3 })
  expect(node('replay')).toMatchObject({ in: 3, out: 3, answered: { accepted: 3 } })
  expect(node('filter')).toMatchObject({ in: 3, out: 3 })
  expect(node('sink/bad')).toMatchObject({ in: 6, delivered: 3, deadLettered: { total: 3 } })
  expect(toy.sinks['sink/bad'].batches.at(-1)?.context).toMatchObject({ receiver: 'replay', transport: 'replay' })
})

test('without it, through the pipeline, the others get them a second time', async () => {
  await start()
  await refused('1')
  await queues.replay({})
  await expect.poll(() => toy.sinks['sink/good'].all).toEqual(['1', '1'])
})

test('what another one put aside is only sent when it is named', async () => {
  await start()
  await refused('1')
  expect(await queues.replay({ exporter: 'sink/good' })).toMatchObject({ records: 0 })
  expect(await queues.replay({ exporter: 'sink/good', owner: 'sink/bad traces' })).toMatchObject({ replayed: 1 })
  await expect.poll(() => toy.sinks['sink/good'].all).toEqual(['1', '1'])
  expect(toy.sinks['sink/bad'].all).toEqual([])
})

test('it stays a dead letter until the queue of the exporter has it on disk', async () => {
  await start()
  await refused('1')
  storage.slow = true
  const running = queues.replay({ exporter: 'sink/bad' })
  await expect.poll(() => node('sink/bad')?.held()).toBe(1)
  expect([dead(), toy.sinks['sink/bad'].all]).toEqual([1, []])
  expect(toy.books.faults()).toEqual([])
  storage.commit()
  expect(await running).toMatchObject({ replayed: 1 })
  expect(dead()).toBe(0)
})

test('an exporter whose queue takes nothing refuses: it is tried again, and in the end stays where it is', async () => {
  await start({ when_full: 'drop' })
  await refused('1')
  storage.trouble = new StorageError('full', 'no room')
  const report = await queues.replay({ exporter: 'sink/bad', patience: '50ms' })
  expect(report).toMatchObject({ state: 'gave_up', left: 1, error: 'the storage of exporter sink/bad is full' })
  expect(dead()).toBe(1)
  expect(node('sink/bad')?.lost.total).toBe(0)
  expect(toy.books.faults()).toEqual([])
  storage.recover()
  expect(await queues.replay({ exporter: 'sink/bad' })).toMatchObject({ replayed: 1 })
  await expect.poll(() => toy.sinks['sink/bad'].all).toEqual(['1'])
})

test('it stays until it is delivered where success is only said then', async () => {
  await start({ wait_for_result: true })
  await toy.push(tracesRequest([{ namespace: 'shop', spans: ['1'] }])).outcome
  const note = { owner: 'sink/bad traces', reason: 'rejected', message: 'no' }
  await storage.deadLetters.append(toy.sinks['sink/good'].batches[0], note)
  toy.sinks['sink/bad'].behave = no
  expect(await queues.replay({ exporter: 'sink/bad' })).toMatchObject({ rejected: 1, replayed: 0 })
  expect(dead()).toBe(1)
  toy.sinks['sink/bad'].behave = yes
  expect(await queues.replay({ exporter: 'sink/bad' })).toMatchObject({ replayed: 1 })
  expect(dead()).toBe(0)
})

test('after a reload they go to the exporter that there is now, or stay when there is none', async () => {
  await start()
  await refused('1')
  await queues.replay({ exporter: 'sink/bad' })
  await refused('2')
  await (
    await toy.reload(parts({ num_consumers: 3 }))
  ).over
  expect(await queues.replay({ exporter: 'sink/bad' })).toMatchObject({ replayed: 1 })
  await expect.poll(() => toy.sinks['sink/bad'].all).toEqual(['2'])
  await refused('3')
  await (
    await toy.reload({ ...parts(), pipelines: [{ exporters: ['sink/good'] }] })
  ).over
  await expect(queues.replay({ exporter: 'sink/bad' })).rejects.toThrow('no pipeline here has exporter `sink/bad`')
  expect(dead()).toBe(1)
})

test('what an exporter left behind that was renamed goes to the new one alone', async () => {
  await start()
  const queue = storage.queue('sink/old traces')
  await toy.push(tracesRequest([{ namespace: 'shop', spans: ['1'] }])).outcome
  await queue.append(toy.sinks['sink/good'].batches[0])
  queue.close()
  expect(await queues.replay({ exporter: 'sink/good', queue: 'sink/old traces' })).toMatchObject({ replayed: 1 })
  await expect.poll(() => toy.sinks['sink/good'].all).toEqual(['1', '1'])
  expect(toy.sinks['sink/bad'].all).toEqual(['1'])
})

test.each([
  [{ exporter: 'sink/bed' }, 'no pipeline here has exporter `sink/bed`', 'did you mean `sink/bad`?'],
  [{ exporter: 'filter' }, 'no pipeline here has exporter `filter`', '`sink/good`, `sink/bad`'],
  [{ exporter: 'sink/bad', pipeline: 'traces' }, 'name `pipeline` or `exporter`, not both', 'past all pipelines'],
])('a replay of %j is refused', async (words, message, hint) => {
  await start()
  await refused('1')
  await expect(queues.replay(words)).rejects.toMatchObject({ message, hint: expect.stringContaining(hint) })
  expect(dead()).toBe(1)
})
