import { defineScraper } from '../scraper.ts'
import { numbersOf } from '../host-files.ts'

/** What the letters of the kernel are told as (proc_pid_stat(5)). */
const states: Readonly<Record<string, string>> = {
  R: 'running',
  S: 'sleeping',
  D: 'blocked',
  I: 'idle',
  T: 'stopped',
  t: 'stopped',
  W: 'paging',
  Z: 'zombies',
}

/** Processes that are read at the same time. */
const atOnce = 8

export const processes = defineScraper({
  name: 'processes',
  summary: 'How many processes there are.',
  metrics: {
    'system.processes.count': { description: 'Processes by state.', unit: '{processes}', kind: 'sum' },
    'system.processes.created': { description: 'Processes that were made.', unit: '{processes}', kind: 'counter' },
  },
  create() {
    return async ({ files, readings }) => {
      const counts = new Map<string, number>()
      const ids = await files.processes()
      for (let i = 0; i < ids.length; i += atOnce) {
        const some = ids.slice(i, i + atOnce).map(id => files.text(`/proc/${id}/stat`).catch(() => undefined))
        for (const stat of await Promise.all(some)) {
          // One that has ended meanwhile is none.
          if (stat === undefined) continue
          const status = states[stat.charAt(stat.lastIndexOf(')') + 2)] ?? 'unknown'
          counts.set(status, (counts.get(status) ?? 0) + 1)
        }
      }
      // The kernel counts these two itself, by threads, in one look.
      const whole = numbersOf(await files.text('/proc/stat'))
      counts.set('running', whole.get('procs_running') ?? 0)
      counts.set('blocked', whole.get('procs_blocked') ?? 0)
      for (const [status, count] of counts) readings.record('system.processes.count', count, { status })
      readings.record('system.processes.created', whole.get('processes'))
    }
  },
})
