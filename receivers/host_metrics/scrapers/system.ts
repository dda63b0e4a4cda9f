import { defineScraper } from '../scraper.ts'

export const system = defineScraper({
  name: 'system',
  summary: 'How long the machine runs.',
  metrics: {
    'system.uptime': { description: 'Seconds the machine runs.', unit: 's', kind: 'gauge', fractional: true },
  },
  create() {
    return async ({ files, readings }) => {
      readings.record('system.uptime', Math.trunc(Number((await files.text('/proc/uptime')).split(' ')[0])))
    }
  },
})
