/** Child processes of a benchmark: started, watched, and ended by their own id, whatever happens. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A running child. */
export interface Child {
  readonly pid: number
  /** What it wrote on standard error and output, the last part of it. */
  output(): string
  /** Resolves when it has ended, to its exit code; null after a signal. */
  readonly ended: Promise<number | null>
  /** Asks it to end, insists after `patience` milliseconds, and waits until it is gone. */
  stop(patience?: number): Promise<number | null>
}

/** Lets Ctrl-C and SIGTERM end the benchmark in order, so that no child is left behind. */
export function endChildrenWithUs(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
}

/** The environment of children: the same Node first on the path. */
export function environment(more: Record<string, string> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, ...more }
}

/** Starts `command`; it ends with this process at the latest. */
export function start(command: string, args: readonly string[], env: Record<string, string> = {}): Child {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(env) })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-16_384)
    })
  }
  // SIGINT, because a Python program cleans up after that and not after SIGTERM.
  const abandon = () => child.kill('SIGINT')
  process.once('exit', abandon)
  const ended = endOf(child, command).finally(() => process.off('exit', abandon))
  // Whoever cares awaits it; until then a failure is no unhandled rejection.
  ended.catch(() => undefined)
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ended,
    async stop(patience = 30_000) {
      child.kill('SIGTERM')
      const insist = setTimeout(() => child.kill('SIGKILL'), patience)
      return ended.finally(() => clearTimeout(insist))
    },
  }
}

function endOf(child: ChildProcess, command: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('close', code => resolve(code))
    child.once('error', error => reject(new Error(`cannot start \`${command}\`: ${error.message}`, { cause: error })))
  })
}

/** Waits until `child` ends, at most `seconds`; anything but exit code 0 is an error that shows what it wrote. */
export async function finish(child: Child, what: string, seconds: number): Promise<string> {
  const late = setTimeout(() => void child.stop(5000), seconds * 1000)
  const code = await child.ended.finally(() => clearTimeout(late))
  if (code === 0) return child.output()
  throw new Error(`${what} ended with ${code ?? 'a signal'} (at most ${seconds} s were given):\n${child.output()}`)
}

/** Waits until `path` of a local server answers with 200; milliseconds since `from`. */
export async function answers(port: number, path: string, child: Child, what: string, from = performance.now()) {
  let gone = false
  const end = () => (gone = true)
  child.ended.then(end, end)
  while (performance.now() - from < 20_000) {
    if (gone) throw new Error(`${what} ended at once:\n${child.output()}`)
    const ok = await fetch(`http://127.0.0.1:${port}${path}`).then(
      async response => (await response.text()) !== undefined && response.ok,
      () => false,
    )
    if (ok) return performance.now() - from
    await delay(2)
  }
  throw new Error(`${what} did not answer on port ${port} within 20 s:\n${child.output()}`)
}

/** Waits until somebody listens on `port`. */
export async function listens(port: number, child: Child, what: string): Promise<void> {
  const from = performance.now()
  // By connecting: to bind the port would take it away from whom it is meant for.
  while (!(await connects(port))) {
    if (performance.now() - from > 10_000) throw new Error(`${what} does not listen on ${port}:\n${child.output()}`)
    await delay(20)
  }
}

/** A port `p` with `p + 1` free as well. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

/** Waits a minute for the ports to be free, then throws: somebody else's server would be measured. */
export async function needPorts(...ports: number[]): Promise<void> {
  const from = performance.now()
  for (const port of ports) {
    while (!(await isFree(port))) {
      if (performance.now() - from > 60_000)
        throw new Error(`port ${port} is taken, and the comparison needs it; \`ss -ltnp\` tells by whom`)
      await delay(500)
    }
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Memory of a process in MiB: resident now, and its peak. */
export function memoryOf(pid: number): { rss: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
  return { rss: read('VmRSS'), peak: read('VmHWM') }
}

/** CPU seconds a process has used. */
export function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  // A tick is 10 ms on every Linux that Node runs on.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Runs the program that a file is: what it cannot do it says in a line, and ends with 1. */
export async function program(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
