import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Idleness } from '../../../pipelines/sending/idleness.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test.each([
  ['soon', 300, 0],
  ['late', 3000, 1],
  ['never', Infinity, 1],
])('where it is reached %s, a wait is told %d ms on %d times, and ends', async (_, after, told) => {
  const idleness = new Idleness()
  const tell = vi.fn<() => void>()
  let over = 0
  const begun = Date.now()
  void idleness.wait(begun + 5000, tell).then(() => (over = Date.now() - begun))
  if (after < Infinity) setTimeout(() => idleness.reached(), after)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(over).toBe(Math.min(after, 5000))
  expect(tell).toHaveBeenCalledTimes(told)
})
