import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DeliveryError } from '../../../core/errors.ts'
import { StorageError } from '../../../core/storage.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../../support/graph.ts'
import { names, tracesRequest } from '../../support/otlp-bytes.ts'
import { diskOf, MemoryStorage } from '../../support/storage.ts'

let storage: MemoryStorage
let toy: ToyGraph

beforeEach(() => {
  storage = new MemoryStorage()
})
afterEach(async () => {
  await toy.graph.stop(50)
  checkBooks()
})

/** Nothing is unaccounted for: in the books, in the queues on disk, in the memory budget. */
function checkBooks() {
  expect(toy.books.faults()).toEqual([])
  for (const { backlog, totals } of storage.queues.values()) {
    const { appended, ...ends } = totals
    expect(Object.values(ends).reduce((sum, n) => sum + n, backlog.items)).toBe(appended)
  }
  expect(toy.budget.used).toBe(0)
}

const fast = { initial_interval: '2ms', max_interval: '8ms' }
const never: Behaviour = () => new Promise(() => {})
const down: Behaviour = () => Promise.reject(new DeliveryError('DELIVERY_UNREACHABLE', 'retry', 'down'))
const request = (...spans: string[]) => tracesRequest([{ spans }])

/** A graph whose exporters keep their queues in `storage`; started again on the same storage, it goes on. */
async function durable(exporters: Record<string, object> = { sink: {} }): Promise<ToyGraph> {
  const disk = diskOf(storage)
  const withStorage = Object.entries(exporters).map(([id, queue]) => {
    const sending_queue = { storage: 'disk', ...queue }
    return [id, { sending_queue, retry_on_failure: fast }]
  })
  return toyGraph({ exporters: Object.fromEntries(withStorage), components: { disk: { definition: disk } } })
}

const booksOf = (id: string) => toy.books.nodes.find(({ name }) => name.kind === 'exporter' && name.id === id)!

describe('what is accepted', () => {
  test('senders hear success when it is on disk, not before', async () => {
    storage.slow = true
    toy = await durable()
    let heard = false
    const outcome = toy.push(request('a')).outcome.then(one => ((heard = true), one))
    await new Promise(resolve => setTimeout(resolve, 5))
    expect([heard, toy.sinks['sink'].attempts]).toEqual([false, []])
    expect(toy.books.faults()).toEqual([])
    storage.commit()
    expect((await outcome).kind).toBe('success')
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
  })

  test('destinations that share a storage share one record, and each ends it for itself', async () => {
    toy = await durable({ one: {}, two: {} })
    toy.sinks['two'].behave = never
    expect((await toy.push(request('a', 'b')).outcome).kind).toBe('success')
    await expect.poll(() => booksOf('one').delivered).toBe(2)
    expect(storage.records.map(({ left }) => [...left.keys()])).toEqual([['two traces']])
  })

  test('it survives: what a destination did not take is sent after the next start, once and in order', async () => {
    toy = await durable()
    toy.sinks['sink'].behave = down
    for (const name of names('s', 30)) expect((await toy.push(request(name)).outcome).kind).toBe('success')
    await toy.graph.stop(50)
    expect(booksOf('sink')).toMatchObject({ in: 30, out: 30 })
    checkBooks()
    toy = await durable()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(names('s', 30))
    expect(booksOf('sink')).toMatchObject({ recovered: 30, delivered: 30, in: 0 })
    expect(storage.reads).toBeGreaterThan(0)
  })

  test('what is not on disk is given back to its sender', async () => {
    toy = await durable()
    storage.slow = true
    const { outcome } = toy.push(request('a', 'b'))
    storage.trouble = new StorageError('sick', 'sync failed: EIO', { maybeStored: true })
    storage.commit()
    expect(await outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_STORAGE', maybeTaken: true } })
    expect(booksOf('sink').returned.total).toBe(2)
    expect(await toy.push(request('c')).outcome).toMatchObject({
      error: { message: 'the storage of exporter sink takes no data now' },
    })
    expect([...booksOf('sink').refused.all()]).toEqual([{ reason: 'storage', value: 1 }])
  })

  test('where nobody can be asked for it again, it is sent from memory', async () => {
    toy = await durable()
    storage.slow = true
    toy.pushUnattended(request('a'))
    storage.trouble = new StorageError('full', 'no space left')
    storage.commit()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
  })

  test('with `wait_for_result` the sender hears what the destination says, and the record ends with it', async () => {
    toy = await durable({ sink: { wait_for_result: true } })
    toy.sinks['sink'].behave = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'no'))
    expect((await toy.push(request('a')).outcome).kind).toBe('rejected')
    expect(storage.queue('other').backlog.records + storage.queues.get('sink traces')!.backlog.records).toBe(0)
  })

  test('a write that hangs does not keep the process from stopping', async () => {
    toy = await durable()
    storage.slow = true
    const { outcome } = toy.push(request('a'))
    toy.pushUnattended(request('b'))
    expect(await toy.graph.stop(20)).toEqual({ lost: 1 })
    expect((await outcome).kind).toBe('refused')
    storage.commit()
    await Promise.resolve()
  })

  test('what gets on disk while all stops is answered, also where the destination was to say what comes of it', async () => {
    toy = await durable({ sink: { wait_for_result: true } })
    storage.slow = true
    const { outcome } = toy.push(request('a'))
    const stopped = toy.graph.stop(200)
    await new Promise(resolve => setTimeout(resolve, 5))
    storage.commit()
    await stopped
    expect(await Promise.race([outcome, Promise.resolve({ kind: 'unanswered' })])).toHaveProperty(
      'kind',
      expect.stringMatching(/refused|success/),
    )
  })
})

describe('how much is in memory', () => {
  test.each([
    [{ queue_size: 2 }, 2],
    [{ queue_size: 2, when_full: 'spill' }, 2],
  ])('with %j the rest is on disk only, and is read back in order', async (queue, most) => {
    toy = await durable({ sink: { num_consumers: 1, ...queue } })
    let go: (() => void) | undefined
    const gate = new Promise<undefined>(resolve => (go = () => resolve(undefined)))
    toy.sinks['sink'].behave = () => gate
    for (const name of names('s', 20)) expect((await toy.push(request(name)).outcome).kind).toBe('success')
    const lease = request('s0').length
    expect(toy.budget.used).toBeLessThanOrEqual(most * (lease + 1))
    expect(toy.books.faults()).toEqual([])
    go?.()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(names('s', 20))
  })

  test('`when_full: refuse` bounds what is on disk, too', async () => {
    toy = await durable({ sink: { queue_size: 3, when_full: 'refuse' } })
    toy.sinks['sink'].behave = never
    const outcomes = await Promise.all(names('s', 5).map(name => toy.push(request(name)).outcome))
    expect(outcomes.map(({ kind }) => kind)).toEqual(['success', 'success', 'success', 'refused', 'refused'])
    expect(booksOf('sink').refused.of('queue_full').value).toBe(2)
  })

  test('a storage without room refuses, and takes again once there is some', async () => {
    toy = await durable()
    storage.room = 0
    expect(await toy.push(request('a')).outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_STORAGE' } })
    toy.pushUnattended(request('b'))
    expect(toy.sinks['sink'].all).toEqual([])
    storage.room = Infinity
    storage.recover()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['b'])
  })

  test('a record that cannot be read is lost with that reason; the others arrive', async () => {
    toy = await durable()
    toy.sinks['sink'].behave = down
    for (const name of names('s', 3)) await toy.push(request(name)).outcome
    await toy.graph.stop(20)
    storage.corrupt.add(storage.records[1].seq)
    toy = await durable()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['s0', 's2'])
    expect([...booksOf('sink').lost.all()]).toEqual([{ reason: 'corrupt', value: 1 }])
  })

  test('what is older than the storage keeps data is given up', async () => {
    storage.maxAge = 15
    toy = await durable()
    toy.sinks['sink'].behave = down
    await toy.push(request('a')).outcome
    await expect.poll(() => booksOf('sink').lost.of('expired').value).toBe(1)
  })
})

describe('what a destination does not take', () => {
  test('until when the oldest is kept is told, of what is in memory and of what is on disk only', async () => {
    toy = await durable({ sink: { queue_size: 1, sizer: 'requests' } })
    toy.sinks['sink'].behave = never
    const figures = () => toy.graph.exporters()[0]
    expect(figures()?.expiresIn).toBeUndefined()
    await toy.push(request('a')).outcome
    await toy.push(request('b')).outcome
    const { expiresIn = 0, spills, queueSize } = figures() ?? {}
    expect([expiresIn > storage.maxAge - 60_000, expiresIn <= storage.maxAge, spills, queueSize]).toEqual([
      true,
      true,
      true,
      2,
    ])
    storage.ahead = storage.maxAge - 1000
    expect(figures()?.expiresIn).toBeLessThan(1001)
  })

  const rejects: Behaviour = () => Promise.reject(new DeliveryError('DELIVERY_REJECTED', 'rejected', 'cannot decode'))

  test('is put aside with its reason', async () => {
    toy = await durable()
    toy.sinks['sink'].behave = rejects
    expect((await toy.push(request('a', 'b')).outcome).kind).toBe('success')
    await expect.poll(() => booksOf('sink').deadLettered.total).toBe(2)
    const grave = storage.queues.get('dead-letters')!
    expect(grave.records().map(({ note }) => note)).toEqual(
      Array.from({ length: 2 }, () => ({ owner: 'sink traces', reason: 'rejected', message: 'cannot decode' })),
    )
  })

  test('waits while there is no place to put it aside', async () => {
    toy = await durable()
    toy.sinks['sink'].behave = rejects
    storage.slow = true
    const { outcome } = toy.push(request('a'))
    storage.commit()
    await outcome
    await expect.poll(() => booksOf('sink').attempts).toBe(1)
    storage.trouble = new StorageError('full', 'no space left')
    await expect.poll(() => (storage.commit(), booksOf('sink').held())).toBe(1)
    storage.recover()
    await expect.poll(() => (storage.commit(), booksOf('sink').deadLettered.total)).toBe(1)
    expect(booksOf('sink').attempts).toBe(1)
  })

  test('is kept while it is the exporter that is refused', async () => {
    toy = await durable()
    toy.sinks['sink'].behave = () => Promise.reject(new DeliveryError('DELIVERY_DENIED', 'denied', '401: wrong key'))
    await toy.push(request('a')).outcome
    await expect.poll(() => booksOf('sink').failedAttempts).toBeGreaterThan(2)
    const exporter = toy.graph.components.find(({ kind }) => kind === 'exporter')
    expect(exporter?.status).toMatchObject({ state: 'RecoverableError', lastError: '401: wrong key' })
    toy.sinks['sink'].behave = () => Promise.resolve(undefined)
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
  })

  test('of several batches sent as one, the sums are right', async () => {
    toy = await durable({ sink: { batch: { min_size: 12, flush_timeout: '5s' } } })
    toy.sinks['sink'].behave = () => Promise.resolve({ rejected: 5, message: 'five of them' })
    await Promise.all(['a', 'b', 'c'].map(name => toy.push(request(...names(name, 4))).outcome))
    await expect.poll(() => booksOf('sink').delivered).toBe(7)
    expect(storage.queues.get('sink traces')!.totals).toMatchObject({ appended: 12, delivered: 7, rejected: 5 })
  })
})
