import { expect, test } from 'vitest'
import { losePower } from './power-loss.ts'

test.each([1, 2, 3, 4])('what was acknowledged survives power loss at every moment of run %i', async seed => {
  const report = await losePower({ seed, steps: 60, variants: 2 })
  expect(report.failures).toEqual([])
  expect(report.recovered).toBeGreaterThan(1_000)
})

test.each([5, 6])('it does so when writes and syncs fail now and then, in run %i', async seed => {
  const report = await losePower({ seed, steps: 60, variants: 2, faults: 0.03 })
  expect(report.failures).toEqual([])
})

test('without syncs the same run loses what was acknowledged', async () => {
  const report = await losePower({ seed: 1, steps: 60, variants: 2, fsync: false })
  expect(report.failures.join('\n')).toContain('lost')
})
