import { expect, test } from 'vitest'
import { loseCheckpoints } from './checkpoint-power-loss.ts'

test.each([1, 2, 3])('what is read back after power loss at any moment of run %i is never too old', async seed => {
  const report = await loseCheckpoints({ seed, steps: 40, variants: 2, lives: 2 })
  expect(report.failures).toEqual([])
  expect(report.read).toBeGreaterThan(1_000)
  expect(report.begun).toBeGreaterThan(10)
})

test.each([5, 6])('it is not when the disk fails now and then either, in run %i', async seed => {
  const report = await loseCheckpoints({ seed, steps: 40, variants: 2, lives: 2, faults: 0.03 })
  expect(report.failures).toEqual([])
})

test.each([8, 9])('without syncs it is not after the end of the process, in run %i', async seed => {
  const report = await loseCheckpoints({
    seed,
    steps: 40,
    variants: 1,
    lives: 3,
    fsync: false,
    isKill: true,
    faults: 0.03,
  })
  expect(report.failures).toEqual([])
})

test('without syncs power loss makes it older than what was acknowledged', async () => {
  const report = await loseCheckpoints({ seed: 1, steps: 40, variants: 2, lives: 1, fsync: false })
  expect(report.failures.join('\n')).toContain('older than')
})
