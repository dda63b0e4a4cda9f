import { defineScraper, type Readings } from '../scraper.ts'
import { fieldsOf, type HostFiles } from '../host-files.ts'

const metrics = {
  'system.cpu.time': {
    description: 'Seconds each logical CPU spent in each state.',
    unit: 's',
    kind: 'counter',
    fractional: true,
  },
  'system.cpu.utilization': {
    description: 'Share of the time since the scrape before that each logical CPU spent in each state, from 0 to 1.',
    unit: '1',
    kind: 'gauge',
    fractional: true,
    optional: true,
  },
  'system.cpu.logical.count': { description: 'Logical CPUs.', unit: '{cpu}', kind: 'sum', optional: true },
  'system.cpu.physical.count': { description: 'Physical CPUs.', unit: '{cpu}', kind: 'sum', optional: true },
  'system.cpu.frequency': {
    description: 'Current frequency of each logical CPU, in hertz.',
    unit: 'Hz',
    kind: 'gauge',
    fractional: true,
    optional: true,
  },
} as const
type Name = keyof typeof metrics

/** Columns of /proc/stat, by the state they are told as; in ticks of a hundredth of a second (proc_stat(5)). */
const states = ['user', 'nice', 'system', 'idle', 'wait', 'interrupt', 'softirq', 'steal'] as const
const ticksPerSecond = 100

/** Ticks by state, and of all columns. */
interface Times {
  readonly ticks: readonly number[]
  readonly total: number
}

export const cpu = defineScraper({
  name: 'cpu',
  summary: 'Time of the CPUs.',
  metrics,
  create() {
    let before = new Map<string, Times>()
    return async ({ files, readings }) => {
      const now = await timesOf(files)
      for (const [cpu, { ticks }] of now) {
        states.forEach((state, i) => {
          readings.record('system.cpu.time', (ticks[i] ?? NaN) / ticksPerSecond, { cpu, state })
        })
      }
      if (readings.wants('system.cpu.utilization')) recordShares(readings, before, now)
      before = now
      if (readings.wants('system.cpu.logical.count')) readings.record('system.cpu.logical.count', now.size)
      if (readings.wants('system.cpu.physical.count')) {
        readings.record('system.cpu.physical.count', await physicalCount(files))
      }
      if (readings.wants('system.cpu.frequency')) await recordFrequencies(readings, files)
    }
  },
})

async function timesOf(files: HostFiles): Promise<Map<string, Times>> {
  const times = new Map<string, Times>()
  for (const [, name = '', rest = ''] of (await files.text('/proc/stat')).matchAll(/^(cpu\d+) (.*)$/gm)) {
    const ticks = fieldsOf(rest).map(Number)
    times.set(name, { ticks, total: ticks.reduce((sum, one) => sum + one, 0) })
  }
  return times
}

function recordShares(readings: Readings<Name>, before: Map<string, Times>, now: Map<string, Times>): void {
  for (const [cpu, { ticks, total }] of now) {
    const was = before.get(cpu)
    if (was === undefined) continue
    const elapsed = total - was.total
    states.forEach((state, i) => {
      const spent = (ticks[i] ?? 0) - (was.ticks[i] ?? 0)
      readings.record('system.cpu.utilization', elapsed > 0 ? spent / elapsed : 0, { cpu, state })
    })
  }
}

/** Cores, however many threads each has: those that share one tell the same list. */
async function physicalCount(files: HostFiles): Promise<number> {
  const folder = '/sys/devices/system/cpu'
  const cores = new Set<string>()
  for (const name of await files.list(folder)) {
    if (!/^cpu\d+$/.test(name)) continue
    const topology = `${folder}/${name}/topology`
    const list = await files
      .text(`${topology}/core_cpus_list`)
      .catch(() => files.text(`${topology}/thread_siblings_list`))
    cores.add(list.trim())
  }
  return cores.size
}

async function recordFrequencies(readings: Readings<Name>, files: HostFiles): Promise<void> {
  let cpu = ''
  for (const line of (await files.text('/proc/cpuinfo')).split('\n')) {
    const [, key, value = ''] = /^(processor|cpu MHz)\s*:\s*(.*)$/.exec(line) ?? []
    if (key === 'processor') cpu = `cpu${value}`
    if (key === 'cpu MHz') readings.record('system.cpu.frequency', Number(value) * 1e6, { cpu })
  }
}
