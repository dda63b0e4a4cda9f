/** One process as the kernel tells about it. */
import type { Attributes } from '../../../proto/metric-write.ts'
import { fieldsOf, type HostFiles, numbersOf } from '../host-files.ts'
import type { Readings } from '../scraper.ts'
import type { Machine, ProcessAttribute, ProcessMetric } from './process-metrics.ts'

/** Told what of a process could not be read. */
export type Failed = (what: string, error: unknown) => void

/** The kernel keeps so many characters of a name. */
const nameMost = 15
/** Switches between threads, as the kernel names them, and the type they are told as. */
const switches = [
  ['voluntary_ctxt_switches', 'voluntary'],
  ['nonvoluntary_ctxt_switches', 'involuntary'],
] as const

/** A process that was there when it was looked at. */
export class OneProcess {
  readonly id: number
  readonly name: string
  /** When it began: ticks since the machine was started. */
  readonly startTicks: number
  /** Ticks of CPU: user, system, waiting for disks. */
  readonly ticks: readonly number[]
  readonly #files: HostFiles
  /** Fields of /proc/PID/stat from the third on (proc_pid_stat(5)). */
  readonly #stat: readonly string[]
  readonly #command: readonly string[]
  #statusText: Promise<string> | undefined

  private constructor(files: HostFiles, id: number, name: string, stat: readonly string[], command: readonly string[]) {
    this.#files = files
    this.#stat = stat
    this.#command = command
    this.id = id
    this.name = name
    this.startTicks = this.#field(22)
    this.ticks = [this.#field(14), this.#field(15), this.#field(42)]
  }

  /** Reads what all of it needs; undefined where the process has ended, or cannot be read at all. */
  static async read(files: HostFiles, id: number, failed: Failed): Promise<OneProcess | undefined> {
    try {
      const text = await files.names(`/proc/${id}/stat`)
      const begin = text.indexOf('(')
      const end = text.lastIndexOf(')')
      const command = await commandOf(files, id)
      const name = wholeName(text.slice(begin + 1, end), command[0])
      return new OneProcess(files, id, name, fieldsOf(text.slice(end + 1)), command)
    } catch (error) {
      if (!hasEnded(error)) failed('name', error)
      return undefined
    }
  }

  /** The field of that number, counted from one. */
  #field(number: number): number {
    return Number(this.#stat[number - 3])
  }

  async record(readings: Readings<ProcessMetric>, machine: Machine, failed: Failed): Promise<void> {
    await this.#recordMemory(readings, machine, failed)
    readings.record('process.threads', this.#field(20))
    readings.record('process.paging.faults', this.#field(10), { type: 'minor' })
    readings.record('process.paging.faults', this.#field(12), { type: 'major' })
    await this.#recordTransfers(readings, failed)
    if (readings.wants('process.open_file_descriptors')) {
      const open = await this.#tried('open files', this.#files.list(`/proc/${this.id}/fd`), failed)
      readings.record('process.open_file_descriptors', open?.length)
    }
    if (readings.wants('process.signals_pending')) {
      const status = await this.#tried('signals', this.#status(), failed)
      readings.record('process.signals_pending', pendingIn(status))
    }
    if (readings.wants('process.context_switches')) await this.#recordSwitches(readings, failed)
  }

  /** Not of /proc/PID/stat, which lags behind by some pages per thread. */
  async #recordMemory(readings: Readings<ProcessMetric>, machine: Machine, failed: Failed): Promise<void> {
    if (!readings.wants('process.memory.usage', 'process.memory.virtual', 'process.memory.utilization')) return
    const text = await this.#tried('memory', this.#files.text(`/proc/${this.id}/statm`), failed)
    if (text === undefined) return
    const [virtual = NaN, resident = NaN] = fieldsOf(text).map(pages => Number(pages) * machine.page)
    readings.record('process.memory.usage', resident)
    readings.record('process.memory.virtual', virtual)
    readings.record('process.memory.utilization', (resident / machine.memory) * 100)
  }

  async #recordTransfers(readings: Readings<ProcessMetric>, failed: Failed): Promise<void> {
    if (!readings.wants('process.disk.io', 'process.disk.operations')) return
    const text = await this.#tried('io', this.#files.text(`/proc/${this.id}/io`), failed)
    if (text === undefined) return
    const counts = numbersOf(text)
    readings.record('process.disk.io', counts.get('rchar'), { direction: 'read' })
    readings.record('process.disk.io', counts.get('wchar'), { direction: 'write' })
    readings.record('process.disk.operations', counts.get('syscr'), { direction: 'read' })
    readings.record('process.disk.operations', counts.get('syscw'), { direction: 'write' })
  }

  /** The kernel counts them by thread. */
  async #recordSwitches(readings: Readings<ProcessMetric>, failed: Failed): Promise<void> {
    const threads = await this.#tried('threads', this.#files.list(`/proc/${this.id}/task`), failed)
    if (threads === undefined) return
    const sums = new Map<string, number>()
    for (const thread of threads) {
      const path = `/proc/${this.id}/task/${thread}/status`
      const status = await this.#tried('threads', this.#files.text(path), failed)
      const counts = numbersOf(status ?? '')
      for (const [name] of switches) sums.set(name, (sums.get(name) ?? 0) + (counts.get(name) ?? 0))
    }
    for (const [name, type] of switches) readings.record('process.context_switches', sums.get(name), { type })
  }

  /** What it is told apart by; `told` says which of it. */
  async attributes(told: (name: ProcessAttribute) => boolean, machine: Machine, failed: Failed): Promise<Attributes> {
    const { id, name } = this
    const read: readonly (readonly [ProcessAttribute, () => unknown])[] = [
      ['process.pid', () => BigInt(id)],
      ['process.parent_pid', () => BigInt(this.#field(4))],
      ['process.executable.name', () => name],
      ['process.executable.path', () => this.#program(failed)],
      ['process.command', () => this.#command[0] ?? ''],
      ['process.command_line', () => this.#command.join(' ')],
      ['process.owner', () => this.#owner(machine, failed)],
      ['process.cgroup', () => this.#controlGroup(failed)],
    ]
    const found: Record<string, string | bigint> = {}
    for (const [attribute, value] of read) {
      const one = told(attribute) ? await value() : undefined
      if (one !== undefined) found[attribute] = one as string | bigint
    }
    return found
  }

  /** Threads of the kernel have none, which is no failure. */
  #program(failed: Failed): Promise<string> {
    return this.#files.link(`/proc/${this.id}/exe`).catch((error: unknown) => {
      if (!hasEnded(error)) failed('exe', error)
      return ''
    })
  }

  async #owner({ users }: Machine, failed: Failed): Promise<string | undefined> {
    const status = await this.#tried('user', this.#status(), failed)
    const uid = /^Uid:\s+(\d+)/m.exec(status ?? '')?.[1]
    if (uid === undefined) return undefined
    const user = users?.get(uid)
    if (user === undefined) failed('user', new Error(`/etc/passwd names no user ${uid}`))
    return user
  }

  async #controlGroup(failed: Failed): Promise<string | undefined> {
    const text = await this.#tried('cgroup', this.#files.names(`/proc/${this.id}/cgroup`), failed)
    return text?.trim()
  }

  /** Read once, for all that stands in it. */
  #status(): Promise<string> {
    return (this.#statusText ??= this.#files.text(`/proc/${this.id}/status`))
  }

  /** One that has ended meanwhile is no failure. */
  #tried<T>(what: string, reading: Promise<T>, failed: Failed): Promise<T | undefined> {
    return reading.catch((error: unknown) => {
      if (!hasEnded(error)) failed(what, error)
      return undefined
    })
  }
}

const hasEnded = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Arguments, which end with NUL each. Those of others may be hidden. */
async function commandOf(files: HostFiles, id: number): Promise<string[]> {
  const text = await files.names(`/proc/${id}/cmdline`).catch(() => '')
  return text === '' ? [] : text.replace(/\0+$/, '').split('\0')
}

/** A name of which the kernel has only the beginning may stand whole in the command. */
function wholeName(name: string, command: string | undefined): string {
  if (name.length < nameMost || command === undefined) return name
  const last = command.slice(command.lastIndexOf('/') + 1)
  return last.startsWith(name) ? last : name
}

/** Signals that wait for the process as a whole: a bit each. */
function pendingIn(status: string | undefined): number | undefined {
  const bits = /^ShdPnd:\s+([0-9a-f]+)/m.exec(status ?? '')?.[1]
  return bits === undefined ? undefined : BigInt(`0x${bits}`).toString(2).replaceAll('0', '').length
}
