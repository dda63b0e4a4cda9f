import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { BufferPool } from '../../core/pool.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test.each([1024, 1025, 4759, 40_000, 1_000_003])('memory of %i bytes is used again once it is given back', size => {
  const pool = new BufferPool()
  const first = pool.take(size)
  pool.give(first)
  expect(pool.idle).toBe(BufferPool.cost(size))
  const second = pool.take(size)
  expect(second.buffer).toBe(first.buffer)
  expect([second.length, pool.idle]).toEqual([size, 0])
})

test.each([
  ['a very small one', () => Buffer.allocUnsafeSlow(1023)],
  ['one of more than is pooled', () => Buffer.allocUnsafeSlow(8 * 2 ** 20 + 1)],
  ["a piece of Node's own pool", () => Buffer.allocUnsafe(1024)],
  ['a piece of a larger memory', () => Buffer.from(new ArrayBuffer(4096), 0, 2048)],
  ['one whose memory is no size that is handed out', () => Buffer.from(new ArrayBuffer(1025))],
])('what did not come from it is not taken: %s', (_, make) => {
  const pool = new BufferPool()
  pool.give(make())
  expect(pool.idle).toBe(0)
})

test('what is larger than it keeps is freed at once, if it has its memory for itself', () => {
  const size = 8 * 2 ** 20 + 1
  const pool = new BufferPool()
  const own = pool.take(size)
  const shared = Buffer.from(new ArrayBuffer(2 * size), 0, size)
  for (const buffer of [own, shared]) pool.give(buffer)
  expect([own.length, shared.length, pool.idle]).toEqual([0, size, 0])
})

test('what an inflater made, of a byte more than it is long, is freed at once', () => {
  const pool = new BufferPool()
  const body = Buffer.from(new ArrayBuffer(4 * 2 ** 20 + 1), 0, 4 * 2 ** 20)
  pool.give(body)
  expect([body.length, pool.idle]).toEqual([0, 0])
})

test('what a burst of small requests left is let go of when nobody needs it', () => {
  const pool = new BufferPool()
  const burst = Array.from({ length: 1000 }, () => pool.take(4759))
  for (const body of burst) pool.give(body)
  expect(pool.idle).toBe(1000 * BufferPool.cost(4759))
  // One at a time goes on.
  for (let second = 0; second < 15; second++) {
    pool.give(pool.take(4759))
    vi.advanceTimersByTime(1000)
  }
  expect(pool.idle).toBeLessThanOrEqual(BufferPool.cost(4759))
})
