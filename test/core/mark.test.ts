import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Ended } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Mark, type PositionStore } from '../../core/mark.ts'

const well: Ended = { again: false, rejected: 0, lost: 0, reason: undefined }
const failed: Ended = { again: true, error: new DeliveryError('DELIVERY_STEP_FAILED', 'retry', 'failed') }
const turn = () => new Promise(resolve => setImmediate(resolve))
const late = new Promise<never>(() => {})

/** A store whose writes end when they are told to. */
class SlowStore implements PositionStore {
  readonly puts: number[] = []
  readonly #waiting: PromiseWithResolvers<void>[] = []

  put(_: string, value: Buffer): Promise<void> {
    this.puts.push(Number(value))
    const one = Promise.withResolvers<void>()
    this.#waiting.push(one)
    return one.promise
  }

  async commit(error?: Error): Promise<void> {
    for (const one of this.#waiting.splice(0))
      if (error === undefined) one.resolve()
      else one.reject(error)
    await turn()
  }
}

function marking(store?: PositionStore) {
  const told: unknown[] = []
  const mark = new Mark(0, {
    store,
    key: 'file',
    encode: position => Buffer.from(String(position)),
    onAgain: error => told.push(error.message),
    onFailure: error => told.push(error),
  })
  return { mark, told }
}

test('the position moves on once everything before it has ended', () => {
  const { mark } = marking()
  const [first, second] = [mark.begin(10, 2), mark.begin(20, 1)]
  second(well)
  first(well)
  expect(mark.position).toBe(0)
  first({ ...well, rejected: 1 })
  expect([mark.position, mark.open]).toEqual([20, 0])
  mark.begin(30, 0)
  expect(mark.position).toBe(30)
})

test('what has to be read again is told, and nothing moves any more', () => {
  const { mark, told } = marking()
  const [first, second, third] = [mark.begin(10, 1), mark.begin(20, 1), mark.begin(30, 1)]
  first(well)
  second(failed)
  third(well)
  expect([mark.position, told]).toEqual([10, ['failed']])
})

test('one write at a time, and the newest position wins', async () => {
  const store = new SlowStore()
  const { mark } = marking(store)
  for (const position of [10, 20, 30]) mark.begin(position, 1)(well)
  expect(store.puts).toEqual([10])
  await store.commit()
  expect(store.puts).toEqual([10, 30])
  await store.commit()
  mark.begin(40, 1)(well)
  expect(store.puts).toEqual([10, 30, 40])
})

test('a write that fails is told, and the next position is written', async () => {
  const store = new SlowStore()
  const { mark, told } = marking(store)
  mark.begin(10, 1)(well)
  await store.commit(new Error('full'))
  expect(told).toEqual([new Error('full')])
  mark.begin(20, 1)(well)
  expect(store.puts).toEqual([10, 20])
})

test('closing waits for what was read, and for the write', async () => {
  const store = new SlowStore()
  const { mark } = marking(store)
  const end = mark.begin(10, 1)
  let isClosed = false
  void mark.close(late).then(() => (isClosed = true))
  await turn()
  expect(isClosed).toBe(false)
  end(well)
  await turn()
  expect([isClosed, store.puts]).toEqual([false, [10]])
  await store.commit()
  expect(isClosed).toBe(true)
})

test('what ends after the deadline moves nothing', async () => {
  const store = new SlowStore()
  const { mark } = marking(store)
  const end = mark.begin(10, 1)
  await mark.close(Promise.resolve())
  end(well)
  expect([mark.position, store.puts]).toEqual([0, []])
})

test('in whatever order the ends come, the position is before the first that is open', () => {
  const orders = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 20 }).chain(sizes =>
    fc.record({
      sizes: fc.constant(sizes),
      order: fc.shuffledSubarray(
        sizes.flatMap((size, i) => Array.from({ length: size }, () => i)),
        { minLength: 0 },
      ),
    }),
  )
  fc.assert(
    fc.property(orders, ({ sizes, order }) => {
      const { mark } = marking()
      const left = [...sizes]
      const ends = sizes.map((size, i) => mark.begin(i + 1, size))
      for (const i of order) {
        ends[i](well)
        left[i]--
        const open = left.findIndex(one => one > 0)
        expect(mark.position).toBe(open < 0 ? sizes.length : open)
      }
    }),
  )
})

test('after something has to be read again nothing is waited for', async () => {
  const { mark } = marking()
  const [first] = [mark.begin(10, 1), mark.begin(20, 1)]
  first(failed)
  await mark.close(late)
  expect(mark.position).toBe(0)
})
