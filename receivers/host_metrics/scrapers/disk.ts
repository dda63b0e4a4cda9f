import { defineScraper } from '../scraper.ts'
import { chooser, nameList } from '../name-filter.ts'

/** Bytes of what the kernel counts as a sector, whatever the disk has (Documentation/admin-guide/iostats.rst). */
const sector = 512

export const disk = defineScraper({
  name: 'disk',
  summary: 'Input and output of disks.',
  metrics: {
    'system.disk.io': { description: 'Bytes transferred.', unit: 'By', kind: 'counter' },
    'system.disk.operations': { description: 'Operations done.', unit: '{operations}', kind: 'counter' },
    'system.disk.merged': {
      description: 'Operations that were made one with another.',
      unit: '{operations}',
      kind: 'counter',
    },
    'system.disk.io_time': {
      description: 'Seconds in which a disk had something to do.',
      unit: 's',
      kind: 'counter',
      fractional: true,
    },
    'system.disk.operation_time': {
      description: 'Seconds that operations took.',
      unit: 's',
      kind: 'counter',
      fractional: true,
    },
    'system.disk.weighted_io_time': {
      description: 'Seconds in which a disk had something to do, times the operations that waited.',
      unit: 's',
      kind: 'counter',
      fractional: true,
    },
    'system.disk.pending_operations': { description: 'Operations that wait.', unit: '{operations}', kind: 'sum' },
  },
  keys: {
    include: nameList('devices', 'devices').optional().describe('Only these disks.'),
    exclude: nameList('devices', 'devices').optional().describe('Not these disks.'),
  },
  create({ include, exclude }) {
    const isChosen = chooser('devices', include, exclude)
    return async ({ files, readings }) => {
      // Columns: Documentation/admin-guide/iostats.rst of the kernel.
      for (const [, , device = '', ...columns] of await files.rows('/proc/diskstats')) {
        // A disk that was never used is none, as the Collector has it: loop devices, mostly.
        if (columns.length < 11 || !isChosen(device) || columns.slice(0, 11).every(column => Number(column) === 0))
          continue
        const [
          reads,
          readsMerged,
          readSectors,
          readMs,
          writes,
          writesMerged,
          writtenSectors,
          writeMs,
          pending,
          ms,
          weighted,
        ] = columns.map(Number) as [
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
        ]
        const read = { device, direction: 'read' }
        const write = { device, direction: 'write' }
        readings.record('system.disk.io', readSectors * sector, read)
        readings.record('system.disk.io', writtenSectors * sector, write)
        readings.record('system.disk.operations', reads, read)
        readings.record('system.disk.operations', writes, write)
        readings.record('system.disk.merged', readsMerged, read)
        readings.record('system.disk.merged', writesMerged, write)
        readings.record('system.disk.operation_time', readMs / 1000, read)
        readings.record('system.disk.operation_time', writeMs / 1000, write)
        readings.record('system.disk.io_time', ms / 1000, { device })
        readings.record('system.disk.weighted_io_time', weighted / 1000, { device })
        readings.record('system.disk.pending_operations', pending, { device })
      }
    }
  },
})
