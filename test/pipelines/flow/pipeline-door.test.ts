import { afterEach, expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { Books } from '../../../core/books.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { forward } from '../../../connectors/forward.ts'
import { Journal } from '../../../core/journal.ts'
import { FanOut } from '../../../pipelines/flow/fanout.ts'
import { PipelineDoor } from '../../../pipelines/flow/pipeline-door.ts'
import type { Sink } from '../../../pipelines/sending/sink.ts'
import { batch } from '../../../processors/batch.ts'
import { batchOf } from '../../support/batches.ts'
import { toyGraph, type ToyGraph } from '../../support/graph.ts'
import { names, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const span = (name: string) => tracesRequest([{ spans: [name] }])
const turn = () => new Promise(resolve => setTimeout(resolve, 5))
/** One exporter behind a batch step; the exporter stands still until the returned function is called. */
async function standing(queue: object): Promise<() => void> {
  toy = await toyGraph({
    exporters: { sink: { sending_queue: { queue_size: 1, num_consumers: 1, ...queue } } },
    components: { batch: { definition: batch, config: { timeout: '1ms' } } },
    pipelines: [{ processors: ['batch'], exporters: ['sink'] }],
  })
  const waiting: (() => void)[] = []
  toy.sinks['sink'].behave = () => new Promise(resolve => waiting.push(() => resolve(undefined)))
  return () => {
    toy.sinks['sink'].behave = () => Promise.resolve(undefined)
    for (const one of waiting.splice(0)) one()
  }
}

test('behind a batch step, a destination that accepts what it queues keeps no sender waiting', async () => {
  const release = await standing({ queue_size: 10 })
  for (const name of ['a', 'b', 'c']) expect((await toy.push(span(name)).outcome).kind).toBe('success')
  expect(toy.books.faults()).toEqual([])
  release()
  await expect.poll(() => toy.sinks['sink'].all.toSorted()).toEqual(['a', 'b', 'c'])
})

test('with wait_for_result the sender waits for the destination, through the batch step', async () => {
  const release = await standing({ wait_for_result: true })
  const { outcome, delivery } = toy.push(span('a'))
  await turn()
  expect(delivery.open).toBe(1)
  release()
  expect((await outcome).kind).toBe('success')
})

test('what was answered and finds no room is parked, the door is shut and senders refused; nothing answered is lost', async () => {
  const release = await standing({})
  const kinds: Record<string, string> = {}
  for (let i = 0; i < 8; i++) {
    kinds[`s${i}`] = (await toy.push(span(`s${i}`)).outcome).kind
    await turn()
  }
  expect(Object.values(kinds)).toContain('refused')
  expect(toy.books.faults()).toEqual([])
  const step = toy.books.nodes.find(node => node.name.kind === 'processor')
  expect(step?.refused.of('pipeline_closed').value).toBe(Object.values(kinds).filter(kind => kind === 'refused').length)
  release()
  const answered = Object.keys(kinds).filter(name => kinds[name] === 'success')
  await expect.poll(() => toy.sinks['sink'].all.toSorted()).toEqual(answered.toSorted())
  expect((await toy.push(span('again')).outcome).kind).toBe('success')
})

test('with block_on_overflow senders wait at the shut door and go in, in order, when there is room', async () => {
  const release = await standing({ block_on_overflow: true })
  const pushed = []
  for (let i = 0; i < 8; i++) {
    pushed.push(toy.push(span(`s${i}`)))
    await turn()
  }
  expect(pushed.at(-1)?.delivery.open).toBe(1)
  expect(toy.books.faults()).toEqual([])
  release()
  for (const one of pushed) expect((await one.outcome).kind).toBe('success')
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'])
})

test('at a stop, what was answered and waits in front of a connector goes through it before that stops', async () => {
  toy = await toyGraph({
    exporters: {
      sink: {
        sending_queue: { queue_size: 1, num_consumers: 1, block_on_overflow: true },
        retry_on_failure: { initial_interval: '1ms', max_interval: '2ms' },
      },
    },
    components: {
      batch: { definition: batch, config: { timeout: '1ms', send_batch_size: 3 } },
      forward: { definition: forward },
    },
    pipelines: [
      { id: 'traces', processors: ['batch'], exporters: ['forward'] },
      { id: 'traces/behind', receivers: ['forward'], exporters: ['sink'] },
    ],
  })
  let moods = 0
  toy.sinks['sink'].behave = () =>
    moods++ < 2 ? Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'later')) : Promise.resolve(undefined)
  const pushed = names('s', 8).map(name => toy.push(span(name)))
  expect(await toy.graph.stop(5000)).toEqual({ lost: 0 })
  for (const one of pushed) expect((await one.outcome).kind).toBe('success')
  expect(toy.sinks['sink'].all.toSorted()).toEqual(names('s', 8))
})

test('at a stop, what waits at the door is refused and what was answered and cannot be sent is booked as lost', async () => {
  await standing({ block_on_overflow: true })
  const pushed = []
  for (let i = 0; i < 6; i++) {
    pushed.push(toy.push(span(`s${i}`)))
    await turn()
  }
  await toy.graph.stop(20)
  const kinds = await Promise.all(pushed.map(async one => (await one.outcome).kind))
  const lost = toy.books.nodes.reduce((sum, node) => sum + node.lost.total, 0)
  expect(lost).toBe(kinds.filter(kind => kind === 'success').length)
})

test('what was answered waits at the shut door, and is given up only with all the rest', () => {
  const books = new Books()
  const node = (id: string) => books.node({ kind: 'exporter', id, pipeline: '', signal: 'traces' })
  const taken: Batch[] = []
  let hasRoom = false
  let opened = (): void => {}
  const sink: Sink = {
    id: 'sink',
    books: node('sink'),
    required: true,
    blocks: false,
    reserve: () => (hasRoom ? undefined : new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'full')),
    cancel: () => {},
    take: (one, done) => {
      taken.push(one)
      one.accept()
      done()
    },
    onRoom: listener => {
      opened = listener
      return () => {}
    },
  }
  const end = new FanOut(books, new Journal())
  end.connect([sink])
  const door = new PipelineDoor(end)
  const from = node('connector')
  const push = (name: string) => door.push(batchOf(span(name)).taken(), from)
  push('shuts it')
  expect(door.closed).toBe(true)
  push('waits')
  door.stop()
  expect([door.held(), end.held()]).toEqual([1, 1])
  hasRoom = true
  opened()
  expect(taken.length).toBe(2)
  hasRoom = false
  push('shuts it')
  push('waits')
  end.stop()
  door.giveUp()
  expect([door.held(), end.held(), taken.length]).toEqual([0, 0, 2])
  expect(sink.books.lost.total).toBe(2)
})
