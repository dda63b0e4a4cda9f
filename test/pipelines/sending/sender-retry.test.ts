/** Somebody wants what waits to be tried now, and to hear what comes of it. */
import { afterEach, expect, test } from 'vitest'
import { DeliveryError } from '../../../core/errors.ts'
import type { Tried } from '../../../core/trial.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

/** Long enough that nothing is tried by itself while a test runs. */
const slow = { initial_interval: '40s', max_interval: '40s', randomization_factor: 0 }
const start = async (behave: Behaviour, more: object = {}) => {
  toy = await toyGraph({
    exporters: { sink: { retry_on_failure: slow, sending_queue: { num_consumers: 1, ...more } } },
  })
  toy.sinks['sink'].behave = behave
}
const queue = () => {
  const found = toy.graph.exporters().find(({ id }) => id === 'sink')
  if (found === undefined) throw new Error('there is no queue')
  return found
}
const retried = () => new Promise<Tried | undefined>(resolve => queue().retry(resolve))
const push = (...spans: string[]) => toy.push(tracesRequest([{ spans }])).outcome
const failing =
  (retryAfter?: number, isThrottled = false): Behaviour =>
  () =>
    Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'come again', { retryAfter, isThrottled }))
const works: Behaviour = () => Promise.resolve(undefined)
const attempts = () => toy.books.nodes.find(node => node.name.kind === 'exporter')?.attempts

test('nothing waits: there is nothing to try, and no next attempt', async () => {
  await start(works)
  await push('a')
  await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
  expect([queue().nextAttempt, await retried()]).toEqual([undefined, undefined])
})

test.each([
  ['a batch that sleeps', failing()],
  ['a destination that asked for two minutes', failing(120_000)],
  ['a destination that wants nothing at all for two minutes', failing(120_000, true)],
])('%s: it is tried at once; when the destination is back all of it goes', async (_, behave) => {
  await start(behave)
  await push('a')
  await push('b')
  await expect.poll(() => (queue().nextAttempt ?? 0) > 30_000).toBe(true)
  const before = attempts() ?? 0
  expect(await retried()).toMatchObject({ failure: { message: 'come again' }, items: 1 })
  expect(attempts()).toBeGreaterThan(before)
  await expect.poll(() => (queue().nextAttempt ?? 0) > 30_000).toBe(true)
  toy.sinks['sink'].behave = works
  expect(await retried()).toMatchObject({ failure: undefined, items: 1 })
  await expect.poll(() => toy.sinks['sink'].all.toSorted()).toEqual(['a', 'b'])
  expect(queue().nextAttempt).toBeUndefined()
})

test('a destination that is known to take nothing: its probe goes out at once', async () => {
  await start(failing(undefined))
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await push(name)
  await expect.poll(attempts).toBeGreaterThanOrEqual(5)
  await expect.poll(() => (queue().nextAttempt ?? 0) > 1000).toBe(true)
  toy.sinks['sink'].behave = works
  expect(await retried()).toMatchObject({ failure: undefined })
  await expect.poll(() => toy.sinks['sink'].all.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

test('one is on its way: that is heard of when it ends; all who asked hear', async () => {
  const answer = Promise.withResolvers<undefined>()
  await start(() => answer.promise)
  await push('a')
  await expect.poll(() => queue().inFlight).toBe(1)
  const both = Promise.all([retried(), retried()])
  expect(attempts()).toBe(1)
  answer.resolve(undefined)
  expect(await both).toMatchObject([{ failure: undefined }, { failure: undefined }])
})

test('who waits for an attempt that never ends hears when it stops', async () => {
  await start(() => new Promise(() => {}))
  await push('a')
  await expect.poll(() => queue().inFlight).toBe(1)
  const tried = retried()
  await toy.graph.stop(50)
  expect(await tried).toBeUndefined()
})
