/** A gibibyte on disk: memory stays flat while it comes and goes, and it goes about as fast as data does at all. */
import { expect, test } from 'vitest'
import { parameter, tell } from './figures.ts'
import { durable } from './modes.ts'
import { outage } from './outage.ts'

const mib = parameter('KYMO_FAULTS_QUEUED', 1024)

test.skipIf(!durable).each([
  ['', false],
  [', with a kill in the middle', true],
])(`${mib} MiB queued on disk during an outage%s`, async (how, restart) => {
  const figures = await outage(mib, restart)
  const { queued, items, idle, busy, filling, draining, normal, drained, normalPerCpu, drainedPerCpu } = figures
  const thousands = (n: number) => `${(n / 1000).toFixed(0)} k`
  tell(`${mib} MiB queued during an outage${how}`, [
    `${items} spans, ${queued.toFixed(0)} MiB. Resident: ${idle.toFixed(0)} MiB idle, ${busy.toFixed(0)} under that load without an outage; filling took ${filling.seconds.toFixed(0)} s, at most **${filling.peak.toFixed(0)} MiB**,`,
    `slope ${(filling.slope * 1024).toFixed(1)} MiB for each GiB queued; draining took ${draining.seconds.toFixed(0)} s, at most **${draining.peak.toFixed(0)} MiB**,`,
    `slope ${(draining.slope * 1024).toFixed(1)} MiB for each GiB. Drained at ${thousands(drained)} items a second, **${((100 * drained) / normal).toFixed(0)} %** of the ${thousands(normal)} that go through`,
    `the same queue without an outage (by CPU second ${thousands(drainedPerCpu)} and ${thousands(normalPerCpu)}).`,
    `${figures.missing} acknowledged items missing, ${figures.doubledByKymo} doubled${restart ? `; ready ${figures.restarted.toFixed(0)} ms after the start` : ''}.`,
  ])
  expect(figures.missing).toBe(0)
  expect(drained / normal).toBeGreaterThan(0.6)
  // Flat: what is queued is not in memory.
  expect(Math.max(filling.slope, draining.slope)).toBeLessThan(0.05)
  expect(Math.max(filling.peak, draining.peak)).toBeLessThan(busy + 64)
})
