/** Somebody wants what waits to be tried now, and to hear what comes of it. */
import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
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

test('one is on its way while another configuration takes over: that is heard of when it ends', async () => {
  const answer = Promise.withResolvers<undefined>()
  await start(() => answer.promise)
  await push('a')
  await expect.poll(() => queue().inFlight).toBe(1)
  const tried = retried()
  const reload = toy.reload({ exporters: { sink: { retry_on_failure: { ...slow, initial_interval: '41s' } } } })
  await turn()
  answer.resolve(undefined)
  expect(await tried).toMatchObject({ failure: undefined, items: 1 })
  await reload
})

test('who waits for an attempt that never ends hears when it stops', async () => {
  await start(() => new Promise(() => {}))
  await push('a')
  await expect.poll(() => queue().inFlight).toBe(1)
  const tried = retried()
  await toy.graph.stop(50)
  expect(await tried).toBeUndefined()
})

test('what the destination had asked for is told until then, and nothing of it where it had not', async () => {
  await start(failing(120_000))
  await push('a')
  await expect.poll(() => queue().askedFor > 100_000).toBe(true)
  toy.sinks['sink'].behave = works
  await retried()
  await expect.poll(() => [toy.sinks['sink'].all, queue().askedFor]).toEqual([['a'], 0])
})

test.each([
  ['with an end of retries', { max_elapsed_time: '90s' }, [80_000, 90_000]],
  ['without', {}, undefined],
  ['where nothing is tried again', { enabled: false, max_elapsed_time: '90s' }, undefined],
] as const)('%s: until when the oldest is kept', async (_, more, between) => {
  toy = await toyGraph({ exporters: { sink: { retry_on_failure: { ...slow, ...more } } } })
  toy.sinks['sink'].behave = failing()
  expect(queue().expiresIn).toBeUndefined()
  await push('a')
  await expect.poll(attempts).toBe(1)
  await expect.poll(() => queue().inFlight).toBe(0)
  const [least = NaN, most = NaN] = between ?? []
  const expiresIn = queue().expiresIn
  if (between === undefined) expect(expiresIn).toBeUndefined()
  else expect([expiresIn !== undefined && expiresIn > least, (expiresIn ?? Infinity) <= most]).toEqual([true, true])
})

const operation = fc.constantFrom('push', 'retry', 'retry', 'works', 'fails', 'reload', 'turn')

test('whatever is asked for in the midst of attempts, reloads and a stop: each batch is taken once, and who asked hears once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), fc.boolean(), async (operations, isCut) => {
      const exporters = (n: number) => ({
        sink: { retry_on_failure: { ...slow, initial_interval: `${40 + n}s`, max_interval: '60s' } },
      })
      toy = await toyGraph({ exporters: exporters(0) })
      const sinks = [toy.sinks['sink']]
      const away: Behaviour = async () => {
        await turn()
        throw new DeliveryError('DELIVERY_BUSY', 'retry', 'come again', { retryAfter: 60_000 })
      }
      let behave = away
      for (const sink of sinks) sink.behave = (...of) => behave(...of)
      const pushed: string[] = []
      let asked = 0
      let heard = 0
      let reloads = 0
      for (const what of operations) {
        if (what === 'push') {
          pushed.push(`s${pushed.length}`)
          await push(pushed.at(-1) ?? '')
        } else if (what === 'retry') {
          asked++
          queue().retry(() => void heard++)
        } else if (what === 'reload') {
          await toy.reload({ exporters: exporters(++reloads) })
          sinks.push(toy.sinks['sink'])
          toy.sinks['sink'].behave = (...of) => behave(...of)
        } else if (what === 'turn') await turn()
        else behave = what === 'works' ? works : away
      }
      if (!isCut) {
        behave = works
        await expect
          .poll(() => {
            queue().retry(() => {})
            return sinks.flatMap(sink => sink.all).length
          })
          .toBe(pushed.length)
      }
      const { lost } = await toy.graph.stop(20)
      const taken = sinks.flatMap(sink => sink.all)
      expect(new Set(taken).size).toBe(taken.length)
      expect(taken.length + lost).toBe(pushed.length)
      expect(heard).toBe(asked)
      expect(toy.books.faults()).toEqual([])
      expect(toy.budget.used).toBe(0)
    }),
    { numRuns: 60 },
  )
})
