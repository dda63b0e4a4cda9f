import { defineScraper } from '../scraper.ts'
import { numbersOf } from '../host-files.ts'

/** In vmstat(8)'s words: pages that were swapped, and what was read from and written to disks for pages. */
const operations = [
  ['pswpin', 'page_in', 'major'],
  ['pswpout', 'page_out', 'major'],
  ['pgpgin', 'page_in', 'minor'],
  ['pgpgout', 'page_out', 'minor'],
] as const

export const paging = defineScraper({
  name: 'paging',
  summary: 'Swap space, and faults of pages. Counts are the kernel’s; the Collector tells 4,096 times as many.',
  metrics: {
    'system.paging.usage': { description: 'Bytes of swap space by state.', unit: 'By', kind: 'sum' },
    'system.paging.utilization': {
      description: 'Share of the swap space by state, from 0 to 1.',
      unit: '1',
      kind: 'gauge',
      fractional: true,
      optional: true,
    },
    'system.paging.operations': { description: 'Operations of paging.', unit: '{operations}', kind: 'counter' },
    'system.paging.faults': { description: 'Faults of pages.', unit: '{faults}', kind: 'counter' },
  },
  create() {
    return async ({ files, readings }) => {
      const [, ...swaps] = await files.rows('/proc/swaps')
      for (const [device = '', , size, used] of swaps) {
        const total = Number(size) * 1024
        const states = { used: Number(used) * 1024, free: total - Number(used) * 1024 }
        for (const [state, value] of Object.entries(states)) {
          readings.record('system.paging.usage', value, { device, state })
          readings.record('system.paging.utilization', value / total, { device, state })
        }
      }
      const counts = numbersOf(await files.text('/proc/vmstat'))
      for (const [name, direction, type] of operations) {
        readings.record('system.paging.operations', counts.get(name), { direction, type })
      }
      const major = counts.get('pgmajfault')
      readings.record('system.paging.faults', major, { type: 'major' })
      readings.record('system.paging.faults', (counts.get('pgfault') ?? NaN) - (major ?? 0), { type: 'minor' })
    }
  },
})
