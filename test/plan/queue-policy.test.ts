/** What is told of a queue, for every combination of its keys, held against what the graph does with it. */
import { expect, test } from 'vitest'
import type { Ended, Outcome } from '../../core/delivery.ts'
import { explain } from '../../plan/explain.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'
import { diskOf, MemoryStorage } from '../support/storage.ts'

const enabled = [true, false]
const storages = [undefined, 'disk']
const waits = [true, false]
const blocks = [true, false]
const fulls = [undefined, 'refuse', 'drop', 'spill'] as const

const matrix = enabled.flatMap(enabled =>
  storages.flatMap(storage =>
    waits.flatMap(wait_for_result =>
      blocks.flatMap(block_on_overflow =>
        fulls
          .filter(when_full => when_full !== 'spill' || storage !== undefined)
          .map(when_full => ({ enabled, storage, wait_for_result, block_on_overflow, when_full })),
      ),
    ),
  ),
)
const cases = matrix.map(keys => [JSON.stringify(keys), keys] as const)

const body = tracesRequest([{ spans: ['a'] }])

async function running(keys: object): Promise<{ toy: ToyGraph; storage: MemoryStorage; answer: () => void }> {
  const storage = new MemoryStorage()
  storage.slow = true
  const disk = diskOf(storage)
  const toy = await toyGraph({
    exporters: { sink: { sending_queue: { queue_size: 1, num_consumers: 1, ...keys } }, other: {} },
    components: { disk: { definition: disk } },
  })
  const { promise, resolve } = Promise.withResolvers<undefined>()
  toy.sinks['sink'].behave = () => promise
  return { toy, storage, answer: () => resolve(undefined) }
}

const silence = (): Promise<'nothing'> => new Promise(resolve => setTimeout(resolve, 20, 'nothing'))

/** What a sender has heard once everything that can happen without the outside has happened. */
async function heard({ outcome }: { outcome: Promise<Outcome> }): Promise<Outcome['kind'] | 'nothing'> {
  return Promise.race([outcome.then(({ kind }) => kind), silence()])
}

/** The same of a source that asks when its data is safe. */
async function settled({ ended }: { ended: Promise<Ended> }): Promise<'again' | 'safe' | 'nothing'> {
  return Promise.race([ended.then(({ again }) => (again ? 'again' : 'safe')), silence()])
}

test.each(cases)('when a sender hears success is what is told: %s', async (_, keys) => {
  const { toy, storage, answer } = await running(keys)
  const told = explain(toy.plan)
  const { success } = told.exporters[0]
  expect(told.receivers[0].answers).toContainEqual(expect.objectContaining({ by: 'sink', success }))
  const pushed = toy.push(body)
  const before = await heard(pushed)
  const safe = [await settled(pushed)]
  storage.slow = false
  storage.commit()
  const committed = await heard(pushed)
  safe.push(await settled(pushed))
  answer()
  const answered = await heard(pushed)
  safe.push(await settled(pushed))
  // Neither moment implies the other: what is on disk is safe, whatever its sender still waits for.
  const isOnDisk = keys.enabled && keys.storage !== undefined
  expect(safe).toEqual(isOnDisk ? ['nothing', 'safe', 'safe'] : ['nothing', 'nothing', 'safe'])
  expect([before, committed, answered]).toEqual(
    {
      accepted: ['success', 'success', 'success'],
      durable: ['nothing', 'success', 'success'],
      delivered: ['nothing', 'nothing', 'success'],
    }[success],
  )
  await toy.graph.stop(0)
  expect(toy.books.faults()).toEqual([])
})

const withQueue = cases.filter(([, keys]) => keys.enabled)

test.each(withQueue)('what a full queue does is what is told: %s', async (_, keys) => {
  const { toy, storage, answer } = await running(keys)
  storage.slow = false
  const [sink] = explain(toy.plan).exporters
  await heard(toy.push(body))
  await heard(toy.push(body))
  // Two records: the second found no room in a queue of one, and yet it is there.
  expect(sink.when_full === 'spill').toBe(storage.records.length === 2)
  if (sink.when_full === 'spill') storage.room = 0
  const last = toy.push(body)
  const atLast = sink.when_full === 'spill' ? sink.when_storage_full : sink.when_full
  expect(await heard(last)).toBe({ refuse: 'refused', wait: 'nothing', drop: 'success' }[atLast as 'refuse'])
  const room = sink.when_full === 'spill' ? 2 : 1
  expect(sink.stops.some(({ stopped }) => stopped.includes('other'))).toBe(atLast !== 'drop')
  expect(toy.sinks['other'].taken).toHaveLength(atLast === 'drop' ? 3 : room)
  answer()
  await toy.graph.stop(0)
  expect(toy.books.faults()).toEqual([])
})
