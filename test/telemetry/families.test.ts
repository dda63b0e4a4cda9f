/** How what several processes count becomes what all of them did. */
import { expect, test } from 'vitest'
import { ownFamilies } from '../../telemetry/families.ts'

test.each(ownFamilies.map(family => [family.name, family] as const))('%s says how it adds up', (name, family) => {
  const { adds, type, labels } = family
  expect(['sum', 'max', 'each']).toContain(adds)
  // What is counted is counted in one of them: all of it is the sum. That a process runs is no count.
  if (type === 'counter') expect(adds).toBe(name === 'otelcol_process_uptime' ? 'max' : 'sum')
  // Moments, ages, shares, quantiles and what is always 1 mean nothing added up.
  else if (/_(?:seconds|ms|utilization|info|uptime)$/.test(name) || labels.includes('quantile'))
    expect(adds).not.toBe('sum')
  // That label is for those of which each process has its own.
  expect(labels).not.toContain('worker')
})
