import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import * as z from 'zod'
import { sending } from '../../../core/sending.ts'
import { Gatherer } from '../../../pipelines/sending/gather.ts'
import { batchOf, namesOf, spans } from '../../support/batches.ts'
import { names, tracesRequest } from '../../support/otlp-bytes.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function gatherer(batch: object, more: { idle?: boolean; sizer?: string } = {}) {
  const { sizer = 'items', idle = false } = more
  const parsed = z.strictObject(sending()).parse({ sending_queue: { sizer, queue_size: 1_000_000, batch } })
  const queue = parsed.sending_queue
  const state = { idle }
  const flushed: string[][] = []
  const made = new Gatherer<string>(
    queue,
    queue.batch!,
    () => state.idle,
    gathered => flushed.push(gathered.flatMap(one => namesOf(one.batch))),
  )
  const add = (...batch: string[]) => made.add({ batch: spans(batch), token: batch.join() })
  return { made, flushed, state, add }
}

test('goes out at min_size', () => {
  const { add, flushed, made } = gatherer({ min_size: 3 })
  add('a', 'b')
  expect([flushed.length, made.held()]).toEqual([0, 2])
  add('c', 'd')
  expect(flushed).toEqual([['a', 'b', 'c', 'd']])
  expect([made.held(), vi.getTimerCount()]).toEqual([0, 0])
})

test('goes out after flush_timeout, counted from the first', () => {
  const { add, flushed } = gatherer({ min_size: 100, flush_timeout: '200ms' })
  add('a')
  vi.advanceTimersByTime(150)
  add('b')
  vi.advanceTimersByTime(49)
  expect(flushed).toEqual([])
  vi.advanceTimersByTime(1)
  expect(flushed).toEqual([['a', 'b']])
  add('c')
  vi.advanceTimersByTime(199)
  expect(flushed).toHaveLength(1)
})

test('with nothing being sent it goes out at the end of the turn, what came together together', () => {
  const { add, flushed } = gatherer({ min_size: 100 }, { idle: true })
  add('a')
  add('b')
  expect(flushed).toEqual([])
  vi.runOnlyPendingTimers()
  expect(flushed).toEqual([['a', 'b']])
  expect(vi.getTimerCount()).toBe(0)
})

test('when what was being sent has ended it goes out at the end of that turn', () => {
  const { made, add, flushed, state } = gatherer({ min_size: 100 })
  add('a')
  state.idle = true
  made.flushSoon()
  expect(flushed).toEqual([])
  vi.advanceTimersByTime(0)
  expect(flushed).toEqual([['a']])
  made.flushSoon()
  expect(vi.getTimerCount()).toBe(0)
})

test('sizes are bytes when the queue counts bytes', () => {
  const one = spans(['a']).byteLength
  const { add, flushed } = gatherer({ min_size: 2 * one }, { sizer: 'bytes' })
  add('a')
  expect(flushed).toEqual([])
  add('b')
  expect(flushed).toEqual([['a', 'b']])
})

test('each combination of metadata is gathered apart, names in any case', () => {
  const { made, flushed } = gatherer({ min_size: 2, partition: { metadata_keys: ['X-Tenant'] } })
  const add = (name: string, tenant?: string) =>
    made.add({
      batch: batchOf(tracesRequest([{ spans: [name] }]), { ...(tenant && { metadata: { 'x-tenant': tenant } }) }),
      token: name,
    })
  add('a1', 'a')
  add('b1', 'b')
  add('n1')
  add('n2')
  add('b2', 'b')
  expect(flushed).toEqual([
    ['n1', 'n2'],
    ['b1', 'b2'],
  ])
  made.flush()
  expect(flushed.at(-1)).toEqual(['a1'])
})

test('what is taken out is gone, from books and from what is sent', () => {
  const { made, add, flushed } = gatherer({ min_size: 100 })
  add('a')
  add('b')
  expect(made.remove(one => one.token === 'a').map(one => one.token)).toEqual(['a'])
  expect(made.held()).toBe(1)
  made.flush()
  expect(flushed).toEqual([['b']])
})

test('when all was taken out nothing is sent', () => {
  const { made, add, flushed } = gatherer({ min_size: 100 })
  add(...names('a', 5))
  made.remove(() => true)
  vi.advanceTimersByTime(1000)
  expect(flushed).toEqual([])
})

test('what was taken out does not count towards min_size', () => {
  const { made, add, flushed } = gatherer({ min_size: 3 })
  add('a', 'b')
  made.remove(() => true)
  add('c')
  expect(flushed).toEqual([])
  expect(made.held()).toBe(1)
})

test('what cuts is max_size, in the unit of the sizer', () => {
  expect(gatherer({ min_size: 1, max_size: 5 }).made).toMatchObject({ maxItems: 5, maxBytes: undefined })
  expect(gatherer({ min_size: 1, max_size: 5 }, { sizer: 'bytes' }).made).toMatchObject({ maxBytes: 5 })
  expect(gatherer({ min_size: 1 }).made).toMatchObject({ maxItems: undefined, maxBytes: undefined })
})
