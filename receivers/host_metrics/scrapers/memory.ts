import { defineScraper, type Readings } from '../scraper.ts'
import { numbersOf } from '../host-files.ts'

const bytes = (description: string) => ({ description, unit: 'By', kind: 'sum', optional: true }) as const
const pages = (description: string) => ({ description, unit: '{page}', kind: 'sum', optional: true }) as const

const metrics = {
  'system.memory.usage': { description: 'Bytes of memory by what they are used for.', unit: 'By', kind: 'sum' },
  'system.memory.utilization': {
    description: 'Share of the memory by what it is used for, from 0 to 1.',
    unit: '1',
    kind: 'gauge',
    fractional: true,
    optional: true,
  },
  'system.memory.limit': bytes('Bytes of memory the machine has.'),
  'system.memory.page_size': { ...bytes('Bytes of a page of memory.'), kind: 'gauge' },
  'system.memory.linux.shared': bytes('Bytes of shared memory, those of tmpfs among them.'),
  'system.linux.memory.available': bytes('Bytes that new programs could have without swapping, as the kernel reckons.'),
  'system.linux.memory.dirty': bytes('Bytes that wait to be written to disks.'),
  'system.memory.linux.hugepages.limit': pages('Huge pages there are.'),
  'system.memory.linux.hugepages.page_size': bytes('Bytes of a huge page.'),
  'system.memory.linux.hugepages.reserved': pages('Huge pages that are promised and not yet used; they count as free.'),
  'system.memory.linux.hugepages.surplus': pages('Huge pages beyond those that were set aside.'),
  'system.memory.linux.hugepages.usage': pages('Huge pages by state.'),
  'system.memory.linux.hugepages.utilization': {
    description: 'Share of the huge pages by state, from 0 to 1.',
    unit: '1',
    kind: 'gauge',
    fractional: true,
    optional: true,
  },
} as const
type Name = keyof typeof metrics

export const memory = defineScraper({
  name: 'memory',
  summary: 'Memory of the machine.',
  metrics,
  create() {
    return async ({ files, readings }) => {
      const found = numbersOf(await files.text('/proc/meminfo'))
      // The file has kibibytes.
      const bytesOf = (name: string): number => (found.get(name) ?? NaN) * 1024
      const total = bytesOf('MemTotal')
      const reclaimable = bytesOf('SReclaimable')
      const free = bytesOf('MemFree')
      const buffered = bytesOf('Buffers')
      // What the kernel can give back of its own tables counts as cached, as `free` and the Collector have it.
      const cached = bytesOf('Cached') + (Number.isNaN(reclaimable) ? 0 : reclaimable)
      // Of old kernels it is not known what programs could have.
      const available = bytesOf('MemAvailable')
      const states = {
        used: total - (Number.isNaN(available) ? free + buffered + cached : available),
        free,
        buffered,
        cached,
        slab_reclaimable: reclaimable,
        slab_unreclaimable: bytesOf('SUnreclaim'),
      }
      for (const [state, value] of Object.entries(states)) {
        readings.record('system.memory.usage', value, { state })
        readings.record('system.memory.utilization', value / total, { state })
      }
      readings.record('system.memory.limit', total)
      readings.record('system.memory.linux.shared', bytesOf('Shmem'))
      readings.record('system.linux.memory.available', available)
      readings.record('system.linux.memory.dirty', bytesOf('Dirty'))
      readings.record('system.memory.linux.hugepages.page_size', bytesOf('Hugepagesize'))
      recordHugePages(readings, name => found.get(`HugePages_${name}`) ?? NaN)
      if (readings.wants('system.memory.page_size')) {
        readings.record('system.memory.page_size', await files.pageSize())
      }
    }
  },
})

function recordHugePages(readings: Readings<Name>, count: (name: string) => number): void {
  const limit = count('Total')
  readings.record('system.memory.linux.hugepages.limit', limit)
  readings.record('system.memory.linux.hugepages.reserved', count('Rsvd'))
  readings.record('system.memory.linux.hugepages.surplus', count('Surp'))
  const states = { free: count('Free'), used: limit - count('Free') }
  for (const [state, value] of Object.entries(states)) {
    const attributes = { 'system.memory.linux.hugepages.state': state }
    readings.record('system.memory.linux.hugepages.usage', value, attributes)
    // Without any there is no share.
    readings.record('system.memory.linux.hugepages.utilization', value / limit, attributes)
  }
}
