/** A batch is suspected for what is in it, not for its bad luck. */
import { expect, test } from 'vitest'
import { Odds } from '../../../pipelines/sending/doubt.ts'
import { makeEntry } from '../../../pipelines/sending/entry.ts'
import { Random } from '../../support/otlp.ts'

const fresh = () => makeEntry(undefined as never, 0, { since: 0 } as never, { initial_interval: 1 } as never)

/** Failures of one that is never taken, until it is suspected, beside others that are taken so often. */
function untilBlamed(share: number, others = 1): number {
  const random = new Random(7)
  const odds = new Odds()
  const poison = fresh()
  odds.follow(poison)
  for (;;) {
    for (let i = 0; i < others; i++) {
      if (random.next(1000) < share * 1000) odds.took()
      else odds.failed()
    }
    odds.failed()
    poison.failures++
    if (odds.blame(poison)) return poison.failures
    if (poison.failures > 1000) return Infinity
  }
}

test.each([
  [1, 10, 10],
  [0.9, 10, 10],
  [0.5, 18, 25],
  [0.2, 55, 75],
  [0, Infinity, Infinity],
])('where %d of the others are taken, it takes %d to %d failures', (share, least, most) => {
  const failures = untilBlamed(share, 4)
  expect(failures).toBeGreaterThanOrEqual(least)
  expect(failures).toBeLessThanOrEqual(most)
})

test('one other that was taken once is no proof', () => {
  const odds = new Odds()
  const poison = fresh()
  odds.follow(poison)
  odds.took()
  for (let i = 0; i < 15; i++) {
    odds.failed()
    poison.failures++
    expect(odds.blame(poison)).toBe(false)
  }
})

test.each([0.1, 0.25, 0.5, 0.9])('of 20,000 at a destination that takes %d of what it is sent, none', share => {
  const random = new Random(11)
  const odds = new Odds()
  const waiting = Array.from({ length: 50 }, fresh)
  for (let taken = 0; taken < 20_000;) {
    const place = random.next(waiting.length)
    const entry = waiting[place] ?? fresh()
    odds.follow(entry)
    if (random.next(1000) < share * 1000) {
      odds.took()
      waiting[place] = fresh()
      taken++
      continue
    }
    odds.failed()
    entry.failures++
    expect(odds.blame(entry)).toBe(false)
  }
})
