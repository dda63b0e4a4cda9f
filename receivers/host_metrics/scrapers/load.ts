import * as z from 'zod'
import { defineScraper } from '../scraper.ts'
import { fieldsOf } from '../host-files.ts'

const average = (span: string) =>
  ({
    description: `Threads that ran or waited for a CPU, on average over ${span}.`,
    unit: '{thread}',
    kind: 'gauge',
    fractional: true,
  }) as const

export const load = defineScraper({
  name: 'load',
  summary: 'Load averages.',
  metrics: {
    'system.cpu.load_average.1m': average('a minute'),
    'system.cpu.load_average.5m': average('5 minutes'),
    'system.cpu.load_average.15m': average('15 minutes'),
  },
  keys: {
    cpu_average: z.boolean().default(false).describe('Divide by the number of logical CPUs.'),
  },
  create({ cpu_average }) {
    return async ({ files, readings }) => {
      const averages = fieldsOf(await files.text('/proc/loadavg')).map(Number)
      const cpus = cpu_average ? (await files.machine()).cpus : 1
      const spans = ['1m', '5m', '15m'] as const
      spans.forEach((span, i) => readings.record(`system.cpu.load_average.${span}`, (averages[i] ?? NaN) / cpus))
    }
  },
})
