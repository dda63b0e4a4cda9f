/**
 * A process with a limit of memory. Where a control group is handed to us (`KYMO_FAULTS_CGROUP`, a directory we may write),
 * the kernel enforces it. Else, where we may have a mount namespace, the process reads the limit of a group that is not
 * there, and is killed by a watch as the kernel would; what it took at most is the kernel's own figure either way.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { memoryOf } from '../../bench/processes.ts'

/** How a limit is set here. */
export interface Confinement {
  readonly how: string
  /** What stands before the command. */
  readonly prefix: readonly string[]
  /** Whether Kymo finds the limit by itself; else it has to be told. */
  readonly found: boolean
}

const controlGroups = '/sys/fs/cgroup'

/** A limit of `mib` for the next process; its files go below `folder`. */
export function confine(mib: number, folder: string): Confinement {
  const handed = process.env['KYMO_FAULTS_CGROUP']
  if (handed !== undefined) return inGroup(handed, mib)
  const memory = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
    .find(([, controllers]) => controllers === 'memory' || controllers === '')
  const may = spawnSync('unshare', ['-m', 'true']).status === 0
  if (memory === undefined || !may) return { how: 'the memory_limiter, and a watch', prefix: [], found: false }
  const [, controllers, path] = memory
  const base = controllers === '' ? controlGroups : join(controlGroups, 'memory')
  const pretended = join(folder, 'cgroup')
  const file = controllers === '' ? 'memory.max' : 'memory.limit_in_bytes'
  for (const directory of [pretended, join(pretended, path)]) {
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, file), `${mib * 1024 * 1024}\n`)
    writeFileSync(
      join(directory, file === 'memory.max' ? 'memory.high' : 'memory.soft_limit_in_bytes'),
      `${mib * 1024 * 1024}\n`,
    )
  }
  const script = 'mount --bind "$0" "$1" && shift && exec "$@"'
  return {
    how: 'a control group that only Kymo sees, and a watch',
    prefix: ['unshare', '-m', 'sh', '-c', script, pretended, base],
    found: true,
  }
}

function inGroup(group: string, mib: number): Confinement {
  const v2 = existsSync(join(group, 'memory.max'))
  writeFileSync(join(group, v2 ? 'memory.max' : 'memory.limit_in_bytes'), String(mib * 1024 * 1024))
  const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
  return { how: 'a control group', prefix: ['sh', '-c', script, group], found: true }
}

/** Watches a process, and kills it when it is over the limit. */
export class Watch {
  /** Seconds since the start and MiB, a few a second. */
  readonly samples: [seconds: number, mib: number][] = []
  peak = 0
  killed = false
  readonly #began = performance.now()
  readonly #timer: NodeJS.Timeout

  constructor(pid: number, limit = Infinity, interval = 50) {
    let turn = 0
    this.#timer = setInterval(() => {
      try {
        const { rss, peak } = memoryOf(pid)
        this.peak = Math.max(this.peak, peak)
        if (turn++ % 5 === 0) this.samples.push([(performance.now() - this.#began) / 1000, rss])
        if (rss <= limit || this.killed) return
        this.killed = true
        process.kill(pid, 'SIGKILL')
      } catch {
        clearInterval(this.#timer)
      }
    }, interval)
  }

  /** What was seen, in words. */
  told(): string {
    const every = Math.max(1, Math.floor(this.samples.length / 40))
    const seen = this.samples
      .filter((_, i) => i % every === 0)
      .map(([at, mib]) => `${at.toFixed(0)} s ${mib.toFixed(0)}`)
    return `${this.killed ? 'killed for its memory' : 'it ended'}; MiB: ${seen.join(', ')}; at the highest ${this.peak.toFixed(1)}`
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
