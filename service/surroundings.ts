/** `/v1/process`: what the process is and what it may take. For whoever looks into it from afar; read when it is asked for. */
import { readFileSync } from 'node:fs'
import { availableParallelism, hostname, loadavg, release, totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { ownSelf } from '../core/ownership.ts'

/** Reads a file; undefined where there is none, or where it may not be read. */
export type TryRead = (path: string) => string | undefined

const tryRead: TryRead = path => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Variables of which the names are told; values may be secrets, and are not. */
const toldVariables = /^(?:KYMO|NODE|OTEL|UV|MALLOC|GOMEMLIMIT|K8S|KUBERNETES_SERVICE)_/

/** What the process is, and in what it runs. */
export function processDocument(read: TryRead = tryRead): object {
  const { versions, platform, arch, pid, execArgv, env } = process
  const { user, system } = process.cpuUsage()
  const limit = process.constrainedMemory()
  return {
    pid,
    user: ownSelf()?.uid ?? null,
    host: hostname(),
    node: versions.node,
    v8: versions.v8,
    openssl: versions.openssl,
    platform,
    arch,
    kernel: release(),
    node_options: execArgv,
    variables: Object.keys(env)
      .filter(name => toldVariables.test(name))
      .toSorted(),
    cpus: availableParallelism(),
    load: loadavg(),
    cpu_seconds: (user + system) / 1e6,
    memory: {
      machine_bytes: totalmem(),
      /** Of the container, where it has a limit. */
      constrained_bytes: limit > 0 && limit < totalmem() ? limit : null,
      heap_limit_bytes: getHeapStatistics().heap_size_limit,
      used: process.memoryUsage(),
    },
    cgroup: cgroupOf(read),
    limits: limitsOf(read('/proc/self/limits') ?? ''),
  }
}

const cgroupFiles = [
  'memory.max',
  'memory.high',
  'memory.current',
  'memory.events',
  'cpu.max',
  'cpu.stat',
  'pids.max',
] as const
const oldFiles = { 'memory.max': 'memory/memory.limit_in_bytes', 'cpu.max': 'cpu/cpu.cfs_quota_us' } as const

/** What the control group allows and counts, by the name of its file, as the kernel writes it. */
export function cgroupOf(read: TryRead): Record<string, string> {
  const own = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/'
  const found: Record<string, string> = {}
  for (const name of cgroupFiles) {
    // In a container with a name space of its own the group is the root.
    const text = read(`/sys/fs/cgroup${own === '/' ? '' : own}/${name}`) ?? read(`/sys/fs/cgroup/${name}`)
    if (text !== undefined) found[name] = text.trim()
  }
  for (const [name, path] of Object.entries(oldFiles)) {
    const text = name in found ? undefined : read(`/sys/fs/cgroup/${path}`)
    if (text !== undefined) found[path] = text.trim()
  }
  return found
}

/** `/proc/self/limits` by name: what the process has, and what it may raise that to. */
export function limitsOf(text: string): Record<string, { soft: string; hard: string; unit: string | null }> {
  const limits: Record<string, { soft: string; hard: string; unit: string | null }> = {}
  for (const line of text.split('\n').slice(1)) {
    const [name, soft, hard, unit] = line.trim().split(/ {2,}/)
    if (name !== undefined && soft !== undefined && hard !== undefined)
      limits[name] = { soft, hard, unit: unit ?? null }
  }
  return limits
}
