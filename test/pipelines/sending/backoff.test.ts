import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { sending } from '../../../core/sending.ts'
import { Backoff } from '../../../pipelines/sending/backoff.ts'

const retry = (config: object) => z.strictObject(sending()).parse({ retry_on_failure: config }).retry_on_failure
const exact = { initial_interval: '10ms', multiplier: 2, max_interval: '50ms', randomization_factor: 0 }
const waits = (backoff: Backoff, n: number) => Array.from({ length: n }, () => backoff.next())

test('waits grow by the multiplier up to the longest, and start again after a reset', () => {
  const backoff = new Backoff(retry(exact))
  expect(waits(backoff, 5)).toEqual([10, 20, 40, 50, 50])
  backoff.reset()
  expect(waits(backoff, 2)).toEqual([10, 20])
})

test('it is never shorter than what the destination asked for, and grows all the same', () => {
  const backoff = new Backoff(retry(exact))
  expect([backoff.next(500), backoff.next(0), backoff.next(15)]).toEqual([500, 20, 40])
})

test('each wait is spread around its value, and no two senders wait alike', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.1, max: 1, noNaN: true }), spread => {
      const backoff = new Backoff(retry({ ...exact, multiplier: 1, randomization_factor: spread }))
      const seen = waits(backoff, 50)
      for (const wait of seen) {
        expect(wait).toBeGreaterThanOrEqual(10 * (1 - spread))
        expect(wait).toBeLessThanOrEqual(10 * (1 + spread))
      }
      expect(new Set(seen).size).toBeGreaterThan(1)
    }),
  )
})
