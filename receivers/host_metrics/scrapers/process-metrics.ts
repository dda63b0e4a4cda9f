/** What is told of a process, and what it takes to tell it. */
const counter = (description: string, unit: string) => ({ description, unit, kind: 'counter' }) as const
const optionalSum = (description: string, unit: string) => ({ description, unit, kind: 'sum', optional: true }) as const
const gauge = (description: string, unit: string) =>
  ({ description, unit, kind: 'gauge', fractional: true, optional: true }) as const

/** What of a process can be taken. */
export const processMetrics = {
  'process.cpu.time': { ...counter('Seconds of CPU by state.', 's'), fractional: true },
  'process.cpu.utilization': gauge('Share of all CPUs since the scrape before by state, from 0 to 1.', '1'),
  'process.memory.usage': { description: 'Bytes of physical memory.', unit: 'By', kind: 'sum' },
  'process.memory.virtual': { description: 'Bytes of virtual memory.', unit: 'By', kind: 'sum' },
  'process.memory.utilization': gauge('Percent of the physical memory of the machine.', '1'),
  'process.disk.io': counter('Bytes read and written, those of caches and pipes among them.', 'By'),
  'process.disk.operations': { ...counter('Calls that read and write.', '{operations}'), optional: true },
  'process.paging.faults': { ...counter('Faults of pages.', '{faults}'), optional: true },
  'process.threads': optionalSum('Threads.', '{threads}'),
  'process.open_file_descriptors': optionalSum('Open file descriptors.', '{count}'),
  'process.signals_pending': optionalSum('Signals that wait for the process.', '{signals}'),
  'process.context_switches': { ...counter('MetricSwitches between threads.', '{count}'), optional: true },
  'process.uptime': gauge('Seconds the process runs.', 's'),
} as const
/** Its name. */
export type ProcessMetric = keyof typeof processMetrics

/** What a process is told apart by, and whether it is told unless said otherwise. */
export const processAttributes = {
  'process.pid': true,
  'process.parent_pid': true,
  'process.executable.name': true,
  'process.executable.path': true,
  'process.command': true,
  'process.command_line': true,
  'process.owner': true,
  'process.cgroup': false,
} as const
/** Its name. */
export type ProcessAttribute = keyof typeof processAttributes

/** What the figures of a process are measured by. */
export interface Machine {
  readonly booted: number
  readonly cpus: number
  /** Bytes of memory, and of a page of it. */
  readonly memory: number
  readonly page: number
  /** Names of users by number; undefined where they cannot be read. */
  readonly users: ReadonlyMap<string, string> | undefined
}
