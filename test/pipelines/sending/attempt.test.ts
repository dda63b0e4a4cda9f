import { afterEach, expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { type Attempt } from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { partsOf } from '../../../core/parts.ts'
import { encodeGroups, type Group } from '../../../proto/group.ts'
import { toyGraph, type ToyGraph } from '../../support/graph.ts'
import { spanNames, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(50)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const fast = { initial_interval: '1ms', max_interval: '2ms' }
const waiting = { retry_on_failure: fast, sending_queue: { wait_for_result: true } }
const namesOf = (groups: readonly Group[]) => spanNames(encodeGroups(groups))
const books = () => toy.books.nodes.find(node => node.name.kind === 'exporter')!
const three = tracesRequest([{ spans: ['a'] }, { spans: ['b', 'b'] }, { spans: ['c'] }])
const byName = (batch: Batch) => partsOf(batch, group => namesOf([group])[0])
const busy = () => new DeliveryError('DELIVERY_BUSY', 'retry', 'busy')
/** Settles the part of that name. */
const settle = (batch: Batch, attempt: Attempt, name: string, rejected = 0): void => {
  const part = byName(batch).get(name)
  if (part !== undefined) attempt.settle(part, rejected > 0 ? { rejected, message: 'in part' } : undefined)
}

test('what was settled is not sent again, and the sender hears the sum', async () => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  const seen: (readonly [string[], number])[] = []
  toy.sinks['sink'].behave = (batch, _, attempt) => {
    seen.push([namesOf(batch.groups), attempt.number])
    if (attempt.number === 3) return Promise.resolve(undefined)
    settle(batch, attempt, attempt.number === 1 ? 'b' : 'c', attempt.number === 1 ? 1 : 0)
    return Promise.reject(busy())
  }
  expect(await toy.push(three).outcome).toMatchObject({ kind: 'partial', rejected: 1 })
  expect(seen).toEqual([
    [['a', 'b', 'b', 'c'], 1],
    [['a', 'c'], 2],
    [['a'], 3],
  ])
  expect([books().delivered, books().rejected.total, books().maybeTwice]).toEqual([3, 1, 0])
})

test('where all is settled nothing is left to fail', async () => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  toy.sinks['sink'].behave = (batch, _, attempt) => {
    for (const part of byName(batch).values()) attempt.settle(part)
    return Promise.reject(busy())
  }
  expect(await toy.push(three).outcome).toEqual({ kind: 'success', warning: undefined })
  expect([books().attempts, books().delivered, books().failedAttempts]).toEqual([1, 4, 0])
})

test.each(['its time is up', 'all stops'])(
  'an exporter that throws as it hears that %s: the attempt ends all the same',
  async why => {
    const timeout = why === 'all stops' ? '0s' : '5ms'
    toy = await toyGraph({ exporters: { sink: { ...waiting, retry_on_failure: { enabled: false }, timeout } } })
    toy.sinks['sink'].behave = (_batch, _signal, attempt) => {
      attempt.watch({
        cancelled() {
          throw new Error('mine')
        },
      })
      return new Promise(() => {})
    }
    const { outcome } = toy.push(three)
    await expect.poll(() => books().attempts).toBe(1)
    if (why === 'all stops') await toy.graph.stop(5)
    expect((await outcome).kind).toBe('refused')
    expect([books().internalFaults, books().maybeTwice]).toEqual([1, 4])
  },
)

test('what is bisected is the rest', async () => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  const sends: string[][] = []
  toy.sinks['sink'].behave = (batch, _, attempt) => {
    const names = namesOf(batch.groups)
    sends.push(names)
    settle(batch, attempt, 'b')
    return names.includes('c')
      ? Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'bad'))
      : Promise.resolve(undefined)
  }
  expect(await toy.push(three).outcome).toMatchObject({ kind: 'partial', rejected: 1 })
  expect(sends).toEqual([['a', 'b', 'b', 'c'], ['a'], ['c']])
})

test('a memo is found at the next attempt of the same batch, and not at pieces of it', async () => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  const seen: unknown[] = []
  toy.sinks['sink'].behave = (batch, _, attempt) => {
    seen.push(attempt.memo)
    attempt.memo = `${batch.items}`
    if (attempt.number === 1 && batch.items === 4) return Promise.reject(busy())
    if (batch.items === 4) attempt.memo = undefined
    return batch.items === 4
      ? Promise.reject(new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', 'no'))
      : Promise.resolve(undefined)
  }
  expect((await toy.push(three).outcome).kind).toBe('success')
  expect(seen).toEqual([undefined, '4', undefined, undefined])
})

test.each(['too_large', 'rejected'] as const)('a batch with a memo is not cut: what is %s of it ends', async kind => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  toy.sinks['sink'].behave = (_batch, _, attempt) => {
    attempt.memo = 'in part'
    return Promise.reject(new DeliveryError('DELIVERY_REJECTED', kind, 'no'))
  }
  expect((await toy.push(three).outcome).kind).toBe('rejected')
  expect([books().attempts, books().rejected.of(kind).value]).toEqual([1, 4])
})

test('a batch with a memo that fails while others are taken is suspected whole, and its exporter is told', async () => {
  toy = await toyGraph({ exporters: { sink: { retry_on_failure: fast } } })
  const told: boolean[] = []
  toy.sinks['sink'].behave = (batch, _, attempt) => {
    if (namesOf(batch.groups)[0] !== 'a') return Promise.resolve(undefined)
    told.push(attempt.isSuspect)
    if (attempt.isSuspect) return Promise.resolve({ rejected: 1, message: 'given up', reasons: { suspect: 1 } })
    attempt.memo = 'in part'
    return Promise.reject(busy())
  }
  await toy.push(three).outcome
  while (books().rejected.total === 0) {
    await toy.push(tracesRequest([{ spans: ['other'] }])).outcome
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(told.filter(Boolean)).toEqual([true])
  expect(told.length).toBeGreaterThanOrEqual(11)
  expect([books().rejected.of('suspect').value, books().lost.total]).toEqual([1, 0])
})

test('what is said to be no part of it fails that attempt alone', async () => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  toy.sinks['sink'].behave = async (batch, _, attempt) => {
    if (attempt.number === 1) attempt.settle(batch.cut(2)[0])
    return undefined
  }
  expect((await toy.push(three).outcome).kind).toBe('success')
  expect([books().attempts, books().failedAttempts, books().delivered]).toEqual([2, 1, 4])
})

test.each([
  ['and nobody knows whether the rest was', true, 4],
  ['and the rest was not', false, 2],
])('what is settled after the abort goes out again and may arrive twice, %s', async (_, maybeTaken, twice) => {
  toy = await toyGraph({ exporters: { sink: { ...waiting, timeout: '5ms' } } })
  toy.sinks['sink'].behave = (batch, abort, attempt) =>
    new Promise((resolve, reject) => {
      if (attempt.number > 1) return resolve(undefined)
      abort.addEventListener('abort', () => {
        settle(batch, attempt, 'b')
        attempt.memo = 'late'
        reject(new DeliveryError('DELIVERY_TIMEOUT', 'retry', 'late', { maybeTaken }))
      })
    })
  expect((await toy.push(three).outcome).kind).toBe('success')
  expect(toy.sinks['sink'].attempts.map(names => names.length)).toEqual([4, 4])
  expect([books().delivered, books().maybeTwice]).toEqual([4, twice])
})

test('what is in flight when there is no more time is lost, and may have arrived', async () => {
  toy = await toyGraph({ exporters: { sink: {} } })
  let settleLate = (): void => {}
  toy.sinks['sink'].behave = (batch, _, attempt) => {
    settle(batch, attempt, 'a')
    settleLate = () => settle(batch, attempt, 'b')
    return new Promise(() => {})
  }
  await toy.push(three).outcome
  await expect.poll(() => books().delivered).toBe(1)
  expect(await toy.graph.stop(5)).toEqual({ lost: 3 })
  settleLate()
  expect([books().lost.of('shutdown').value, books().maybeTwice, books().delivered]).toEqual([3, 3, 1])
})

test.each([
  ['negative', -3],
  ['no number', NaN],
  ['more than there is', 9],
])('a count of rejected items that is %s does not unbalance the books', async (_, rejected) => {
  toy = await toyGraph({ exporters: { sink: waiting } })
  toy.sinks['sink'].behave = () => Promise.resolve({ rejected, message: '' })
  await toy.push(three).outcome
  expect(books().delivered + books().rejected.total).toBe(4)
})
