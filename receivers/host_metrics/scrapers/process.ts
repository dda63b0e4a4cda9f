import * as z from 'zod'
import { duration } from '../../../core/fields.ts'
import type { Attributes } from '../../../proto/metric-write.ts'
import { defineScraper, Readings } from '../scraper.ts'
import type { HostFiles } from '../host-files.ts'
import { chooser, nameList } from '../name-filter.ts'
import { OneProcess } from './one-process.ts'
import {
  type Machine,
  processAttributes,
  type ProcessAttribute,
  type ProcessMetric,
  processMetrics,
} from './process-metrics.ts'

const attributeSwitches = z.strictObject(
  Object.fromEntries(
    Object.entries(processAttributes).map(([name, isOn]) => {
      const enabled = z.boolean().default(isOn).describe('Whether it is told.')
      return [name, z.strictObject({ enabled }).prefault({}).describe(`The attribute \`${name}\`.`)]
    }),
  ) as Record<ProcessAttribute, z.ZodPrefault<z.ZodObject<{ enabled: z.ZodDefault<z.ZodBoolean> }>>>,
)

const mute = (what: string) =>
  z.boolean().default(false).describe(`Do not tell in the log that ${what} cannot be read.`)

/** Processes that are read at the same time. */
const atOnce = 8
const ticksPerSecond = 100

/** Seconds of CPU by state, and when they were read. */
interface Spent {
  readonly at: number
  readonly seconds: readonly number[]
}
const states = ['user', 'system', 'wait'] as const

export const process = defineScraper({
  name: 'process',
  summary: 'Each process, as a resource of its own.',
  metrics: processMetrics,
  keys: {
    include: nameList('names', 'processes').optional().describe('Only processes of these names.'),
    exclude: nameList('names', 'processes').optional().describe('No processes of these names.'),
    resource_attributes: attributeSwitches.prefault({}).describe('Attributes that are switched on or off.'),
    scrape_process_delay: duration().prefault('0s').describe('How long a process must have run before it is told.'),
    mute_process_all_errors: mute('anything of a process'),
    mute_process_name_error: mute('the name of a process'),
    mute_process_exe_error: mute('where the program of a process stands'),
    mute_process_io_error: mute('what a process reads and writes'),
    mute_process_user_error: mute('the user of a process'),
    mute_process_cgroup_error: mute('the control group of a process'),
  },
  create(keys) {
    const isChosen = chooser('names', keys.include, keys.exclude)
    let before = new Map<string, Spent>()
    const muted = new Set(
      (['name', 'exe', 'io', 'user', 'cgroup'] as const).filter(
        what => keys.mute_process_all_errors || keys[`mute_process_${what}_error`],
      ) as string[],
    )
    const told = (name: ProcessAttribute): boolean => keys.resource_attributes[name].enabled
    return async scrape => {
      const { files, times } = scrape
      const now = new Map<string, Spent>()
      const machine = await machineOf(files, told('process.owner'))
      const failed = (what: string, error: unknown): void => {
        if (!muted.has(what) && !keys.mute_process_all_errors) scrape.failed(`${what} of a process`, error)
      }
      const one = async (id: number): Promise<void> => {
        const found = await OneProcess.read(files, id, failed)
        if (found === undefined || !isChosen(found.name)) return
        const start = machine.booted + (found.startTicks / ticksPerSecond) * 1000
        if (times.now - start < keys.scrape_process_delay) return
        const readings = new Readings<ProcessMetric>(processMetrics, scrape.switches)
        const key = `${id} ${found.startTicks}`
        const spent = { at: times.now, seconds: found.ticks.map(ticks => ticks / ticksPerSecond) }
        now.set(key, spent)
        recordTimes(readings, spent, before.get(key), machine.cpus)
        readings.record('process.uptime', (times.now - start) / 1000)
        await found.record(readings, machine, failed)
        const resource: Attributes = await found.attributes(told, machine, failed)
        scrape.add(resource, readings, { start, now: times.now })
      }
      const ids = await files.processes()
      for (let i = 0; i < ids.length; i += atOnce) await Promise.all(ids.slice(i, i + atOnce).map(one))
      before = now
    }
  },
})

async function machineOf(files: HostFiles, withUsers: boolean): Promise<Machine> {
  const [{ booted, cpus }, meminfo, page, users] = await Promise.all([
    files.machine(),
    files.text('/proc/meminfo'),
    files.pageSize(),
    withUsers ? usersOf(files) : undefined,
  ])
  if (booted === undefined) throw new Error(`${files.at('/proc/stat')} does not say when the machine was started`)
  return {
    booted,
    cpus,
    memory: Number(/^MemTotal:\s+(\d+)/m.exec(meminfo)?.[1] ?? NaN) * 1024,
    page,
    users,
  }
}

function recordTimes(readings: Readings<ProcessMetric>, now: Spent, was: Spent | undefined, cpus: number): void {
  states.forEach((state, i) => {
    const seconds = now.seconds[i] ?? NaN
    readings.record('process.cpu.time', seconds, { state })
    if (was === undefined) return
    const elapsed = (now.at - was.at) / 1000
    readings.record('process.cpu.utilization', (seconds - (was.seconds[i] ?? NaN)) / elapsed / cpus, { state })
  })
}

/** Names by number; what cannot be read names nobody. */
async function usersOf(files: HostFiles): Promise<ReadonlyMap<string, string>> {
  const lines = (await files.names('/etc/passwd').catch(() => '')).split('\n').map(line => line.split(':'))
  return new Map(lines.map(([name = '', , uid = '']) => [uid, name]))
}
