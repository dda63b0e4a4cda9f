/** Senders of garbage beside healthy ones: nothing of theirs is lost, and none of their calls ends without an answer. */
import { expect, test } from 'vitest'
import { parameter, tell } from './figures.ts'
import { garbage } from './garbage.ts'

test('100,000 bodies of garbage harm nobody', async () => {
  const {
    account,
    garbage: answers,
    healthy,
    rejected,
    sends,
    faults,
    ...figures
  } = await garbage(parameter('KYMO_FAULTS_BODIES', 100_000))
  const { calm, peak, p50, p99, seconds } = figures
  tell('Senders of garbage', [
    `Three healthy senders with 1,000 items a second each; garbage for ${seconds.toFixed(0)} s, answered:`,
    `${Object.entries(answers)
      .map(([what, count]) => `${count} ${what}`)
      .join(', ')}.`,
    `Of the healthy ${account.acknowledged} items were acknowledged, **${account.missing} missing**; requests: ${JSON.stringify(healthy)}; p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms.`,
    `The destination had ${sends.all} requests and could not decode ${sends.refused}; rejected: ${JSON.stringify(rejected)}.`,
    `Resident ${calm.toFixed(0)} MiB in calm, at most ${peak.toFixed(0)} MiB: ${(peak - calm).toFixed(0)} more, where 150 are the goal.`,
  ])
  expect(faults).toEqual([])
  expect(account).toMatchObject({ missing: 0, harmed: 0, strangers: 0 })
  expect(healthy).toMatchObject({ rejected: 0, unknown: 0, unreached: 0 })
  expect(p99).toBeLessThan(100)
  expect(Object.keys(rejected)).toEqual(['malformed'])
  // All that is refused is found by our own check: once with it, once without.
  expect(sends.afterOne).toBe(1)
})
