/** Replays into a real graph: what the books say of them, whatever becomes of the data and of the graph meanwhile. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../core/batch.ts'
import { Budget } from '../../core/budget.ts'
import { Delivery } from '../../core/delivery.ts'
import { Lease } from '../../core/lease.ts'
import { silent } from '../../core/logger.ts'
import { batch } from '../../processors/batch.ts'
import { namespaceFilter } from '../../processors/namespace_filter.ts'
import { readRequest } from '../../proto/request.ts'
import { Queues } from '../../service/queues.ts'
import { toyGraph, type ToyGraph, type ToyParts } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { MemoryStorage } from '../support/storage.ts'

let storage: MemoryStorage
let toy: ToyGraph
let queues: Queues

const parts: ToyParts = {
  exporters: { 'sink/a': {}, 'sink/b': { sending_queue: { enabled: false } } },
  components: { filter: { definition: namespaceFilter }, batch: { definition: batch } },
  pipelines: [
    { processors: ['filter', 'batch'], exporters: ['sink/a'] },
    { id: 'traces/b', exporters: ['sink/b'] },
  ],
}

beforeEach(async () => {
  storage = new MemoryStorage()
  toy = await toyGraph(parts)
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
})
afterEach(async () => {
  queues.stopReplay()
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

function bury(owner: string, namespace: string, ...spans: string[]) {
  const request = readRequest('traces', tracesRequest([{ namespace, spans }]))
  const context = { receiver: 'otlp', transport: 'grpc', peer: undefined, metadata: undefined, auth: undefined }
  const lease = new Lease(new Budget(1 << 20), 0, request.items)
  const note = { owner, reason: 'rejected', message: 'no' }
  const aside = Batch.of('traces', request, context, new Delivery(request.items, undefined), lease)
  return storage.deadLetters.append(aside, note)
}

const node = () => toy.books.nodes.find(({ name }) => name.id === 'replay')

test('each record goes to the pipeline of its exporter, through its steps, and the books balance while others send', async () => {
  await bury('sink/a traces', 'shop', '1', '2')
  await bury('sink/b traces', 'shop', '3')
  await bury('sink/a traces', 'kube-system', '4')
  const own = toy.push(tracesRequest([{ namespace: 'shop', spans: ['own'] }]))
  expect(await queues.replay({})).toMatchObject({ state: 'done', records: 3, items: 4, replayed: 4, left: 0 })
  await own.outcome
  await expect.poll(() => toy.sinks['sink/a'].all.toSorted()).toEqual(['1', '2', 'own'])
  expect(toy.sinks['sink/b'].all.toSorted()).toEqual(['3', 'own'])
  expect(node()).toMatchObject({ in: 4, out: 4 })
  expect(toy.journal.find({ receiver: 'replay', what: 'dropped' })).toMatchObject([{ transport: 'replay', items: 1 }])
  expect(toy.books.faults()).toEqual([])
})

test('stopped while a destination does not answer: what is on its way may still arrive, the record stays', async () => {
  let release = (): void => {}
  toy.sinks['sink/b'].behave = () => new Promise(resolve => (release = () => resolve(undefined)))
  await bury('sink/b traces', 'shop', '1')
  const running = queues.replay({})
  await expect.poll(() => toy.sinks['sink/b'].attempts).toHaveLength(1)
  queues.stopReplay()
  expect(await running).toMatchObject({ state: 'stopped', left: 1 })
  release()
  await expect.poll(() => toy.sinks['sink/b'].all).toEqual(['1'])
  expect(storage.deadLetters.backlog.records).toBe(1)
})

test('after a reload a replay goes the way that there is now', async () => {
  await bury('sink/a traces', 'shop', '1')
  await bury('sink/b traces', 'shop', '2')
  await queues.replay({ limit: '1' })
  await (
    await toy.reload({ ...parts, pipelines: [{ exporters: ['sink/a'] }, { id: 'traces/c', exporters: ['sink/b'] }] })
  ).over
  await bury('sink/a traces', 'kube-system', '3')
  expect(await queues.replay({})).toMatchObject({ replayed: 2, left: 0 })
  await expect.poll(() => toy.sinks['sink/a'].all.toSorted()).toEqual(['1', '3'])
  expect(toy.sinks['sink/b'].all).toEqual(['2'])
  expect(node()?.retired).toBe(false)
})

test('a record that is no request any more stays where it is, and the others go', async () => {
  await bury('sink/a traces', 'shop', '1')
  await bury('sink/a traces', 'shop', '2')
  storage.records[0].payload.fill(0xff)
  expect(await queues.replay({})).toMatchObject({ records: 2, replayed: 1, left: 1, error: expect.any(String) })
  await expect.poll(() => toy.sinks['sink/a'].all).toEqual(['2'])
  expect(storage.deadLetters.backlog.records).toBe(1)
})
