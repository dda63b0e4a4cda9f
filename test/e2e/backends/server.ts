/**
 * Real backends as released: programs in `BACKENDS_DIR/bin`, started on free ports of 127.0.0.1 with a folder of their
 * own. Tests of one that is not installed are skipped, and say so.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe } from 'vitest'
import { type Child, freePorts, start } from '../../../bench/processes.ts'

/** Where the programs are. */
const programs = join(process.env['BACKENDS_DIR'] ?? join(homedir(), '.cache/telemetry-backends'), 'bin')

/** The path of an installed program. */
export const program = (name: string): string => join(programs, name)

/** Those of `names` that are not installed. */
export const missing = (...names: string[]): string[] => names.filter(name => !existsSync(program(name)))

/** What stands in the titles of skipped tests, for whoever adds them up. */
export const skippedMark = 'SKIPPED, not in BACKENDS_DIR:'

/** Tests against backends; without one of them they are skipped, with the reason in the title. */
export function describeBackends(names: readonly string[], title: string, tests: () => void): void {
  const absent = missing(...names)
  if (absent.length === 0) describe(title, tests)
  else describe.skip(`${title} [${skippedMark} ${absent.join(', ')}]`, tests)
}

/** Ports that are free, two and two next to each other; none of those the benchmark has. */
export async function ports(count: number): Promise<number[]> {
  const found: number[] = []
  while (found.length < count) {
    const port = await freePorts()
    if (port < 14_300 || port > 14_400) found.push(port, port + 1)
  }
  return found
}

/** A folder of a backend. */
export const dataFolder = (name: string): string => mkdtempSync(join(tmpdir(), `kymo-e2e-${name}-`))

/** How a backend is run. */
export interface Run {
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Record<string, string>
  /** What answers with 200 once it can be used. */
  readonly ready: { readonly port: number; readonly path: string }
  /** `name:password` that everybody needs, the test too. */
  readonly credentials?: string | undefined
  /** Its data, kept over restarts and removed at the end. */
  readonly folder: string
}

/** A backend that can be killed and started again. */
export class Server {
  run: Run
  #child: Child | undefined

  constructor(run: Run) {
    this.run = run
  }

  get folder(): string {
    return this.run.folder
  }

  get url(): string {
    return `http://127.0.0.1:${this.run.ready.port}`
  }

  /** What it wrote last. */
  output(): string {
    return this.#child?.output() ?? ''
  }

  /** Resolves when it is ready, to the milliseconds that took. */
  async start(): Promise<number> {
    const { name, args, env = {}, ready } = this.run
    const from = performance.now()
    // Some look around where they are started.
    const child = start('env', ['-C', this.run.folder, program(name), ...args], env)
    this.#child = child
    let ended = false
    const end = () => (ended = true)
    child.ended.then(end, end)
    while (performance.now() - from < 30_000) {
      if (ended) throw new Error(`${name} ended at once:\n${child.output()}`)
      if (await this.#answers(ready.path)) return performance.now() - from
      await delay(20)
    }
    throw new Error(`${name} did not answer on port ${ready.port} within 30 s:\n${child.output()}`)
  }

  async #answers(path: string): Promise<boolean> {
    try {
      const response = await fetch(this.url + path, { headers: this.#headers() })
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false
    }
  }

  #headers(): Record<string, string> {
    const { credentials } = this.run
    return credentials === undefined ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    process.kill(child.pid, 'SIGKILL')
    await child.ended
  }

  /** Kills it for good: nothing here needs it to end in order. */
  async close(): Promise<void> {
    await this.kill()
    rmSync(this.run.folder, { recursive: true, force: true })
  }

  /** A GET whose answer is JSON; anything but a 2xx is an error that shows the answer. */
  async get<T>(path: string, query: Readonly<Record<string, string>> = {}, port = this.run.ready.port): Promise<T> {
    const url = `http://127.0.0.1:${port}${path}${Object.keys(query).length > 0 ? `?${new URLSearchParams(query).toString()}` : ''}`
    const response = await fetch(url, { headers: this.#headers() })
    const text = await response.text()
    if (!response.ok) throw new Error(`${url}: HTTP ${response.status}: ${text}`)
    return JSON.parse(text) as T
  }
}
