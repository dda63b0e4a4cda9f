/** Kymo as a process of its own, with a configuration of the test, that can be killed and started again on its ports. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, type Child, cpuOf, freePorts, memoryOf, start } from '../../bench/processes.ts'
import { program } from '../support/bundle.ts'

/** A folder of its own. */
export const scratch = (name: string): string => mkdtempSync(join(tmpdir(), `kymo-faults-${name}-`))

/** Where a Kymo listens; the same over its restarts. */
export interface Ports {
  readonly grpc: number
  readonly http: number
  readonly admin: number
}

/** The numbers of one node, as the status document has them. */
export interface Account {
  readonly kind: string
  readonly id: string
  readonly signal: string
  readonly in: number
  readonly recovered: number
  readonly out: number
  readonly delivered: number
  readonly held: number
  readonly dropped: Readonly<Record<string, number>>
  readonly rejected: Readonly<Record<string, number>>
  readonly dead_lettered: Readonly<Record<string, number>>
  readonly lost: Readonly<Record<string, number>>
  readonly returned: Readonly<Record<string, number>>
  readonly refused: Readonly<Record<string, number>>
  readonly answered?: { readonly accepted: number; readonly rejected: number; readonly refused: number }
  readonly attempts?: number
  readonly failed_attempts?: number
  readonly maybe_twice: number
  readonly unaccounted: number
}

/** The parts of the status document that the tests read. */
export interface StatusDocument {
  readonly memory: { readonly rss_bytes: number; readonly limit_bytes: number; readonly pressed: boolean }
  readonly components: readonly { kind: string; id: string; state: string; last_error?: string }[]
  readonly queues: readonly { readonly exporter: string; readonly in_flight: number }[]
  readonly books: readonly Account[]
  readonly books_faults: readonly string[]
}

/** All of what `counts` has, whatever the reason. */
export const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, n) => sum + n, 0)

async function somePorts(): Promise<Ports> {
  // These two belong to the benchmark.
  const pair = async (): Promise<number> => {
    const port = await freePorts()
    return port >= 14_316 && port <= 14_319 ? pair() : port
  }
  const grpc = await pair()
  return { grpc, http: grpc + 1, admin: await pair() }
}

/** What stands in a configuration beside receivers, admin server and the pipelines of the test. */
export interface Plan {
  readonly exporters: Readonly<Record<string, object>>
  readonly processors?: Readonly<Record<string, object>>
  readonly extensions?: Readonly<Record<string, object>>
  /** Exporters of each pipeline; all without it. */
  readonly pipelines?: Readonly<Record<string, readonly string[]>>
  readonly connectors?: Readonly<Record<string, object>>
  /** Receivers of a pipeline, where they are others than `otlp`. */
  readonly receivers?: Readonly<Record<string, readonly string[]>>
  /** Processors of a pipeline, where they are not all. */
  readonly steps?: Readonly<Record<string, readonly string[]>>
}

/** How a process is started. */
export interface StartOptions {
  /** `--shutdown-timeout`. */
  readonly shutdown?: string
  /** A command that runs the command behind it, as the same process. */
  readonly prefix?: readonly string[]
  /** Whether to wait until it is ready. */
  readonly wait?: boolean
}

/** A place where Kymo runs, again and again. */
export class Site {
  readonly ports: Ports
  readonly folder: string
  readonly #config: string
  #current: Child | undefined
  #gone = false

  private constructor(ports: Ports, folder: string) {
    this.ports = ports
    this.folder = folder
    this.#config = join(folder, 'kymo.yaml')
  }

  static async make(plan: Plan, folder = scratch('site')): Promise<Site> {
    const site = new Site(await somePorts(), folder)
    site.configure(plan)
    return site
  }

  /** Writes the configuration that the next start uses. */
  configure(plan: Plan): void {
    const { exporters, processors = {}, extensions = {}, connectors = {}, receivers = {}, steps = {}, pipelines } = plan
    const { grpc, http, admin } = this.ports
    const endpoint = (port: number) => ({ endpoint: `127.0.0.1:${port}` })
    const names = pipelines ?? { traces: Object.keys(exporters), logs: Object.keys(exporters) }
    const config = {
      receivers: { otlp: { protocols: { grpc: endpoint(grpc), http: endpoint(http) } } },
      processors,
      exporters,
      extensions,
      connectors,
      service: {
        extensions: Object.keys(extensions),
        telemetry: {
          metrics: { readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: admin } } } }] },
        },
        pipelines: Object.fromEntries(
          Object.entries(names).map(([name, exporters]) => [
            name,
            { receivers: receivers[name] ?? ['otlp'], processors: steps[name] ?? Object.keys(processors), exporters },
          ]),
        ),
      },
    }
    writeFileSync(this.#config, JSON.stringify(config, null, 2))
  }

  get child(): Child {
    if (this.#current === undefined) throw new Error('kymo does not run')
    return this.#current
  }

  /** Whether it ended without being asked. */
  get gone(): boolean {
    return this.#gone
  }

  get pid(): number {
    return this.child.pid
  }

  /** Starts the process; resolves when it is ready, to the milliseconds that took. */
  async start({ shutdown, prefix = [], wait = true }: StartOptions = {}): Promise<number> {
    const from = performance.now()
    const late = shutdown === undefined ? [] : ['--shutdown-timeout', shutdown]
    const [command, ...args] = [...prefix, process.execPath, ...program(), 'run', '--config', this.#config, ...late]
    const child = start(command, args)
    this.#current = child
    this.#gone = false
    const end = () => {
      if (this.#current === child) this.#gone = true
    }
    child.ended.then(end, end)
    return wait ? answers(this.ports.admin, '/health/ready', child, 'kymo', from) : 0
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    const { child } = this
    process.kill(child.pid, 'SIGKILL')
    await child.ended
    this.#current = undefined
  }

  /** Asks it to end; its exit code and how many milliseconds it took. */
  async terminate(patience = 60_000): Promise<{ code: number | null; took: number; output: string }> {
    const { child } = this
    const from = performance.now()
    const code = await child.stop(patience)
    this.#current = undefined
    return { code, took: performance.now() - from, output: child.output() }
  }

  /** Ends whatever runs, and leaves nothing behind. */
  async close(): Promise<void> {
    if (this.#current !== undefined && !this.#gone) await this.kill().catch(() => {})
    rmSync(this.folder, { recursive: true, force: true })
  }

  async status(): Promise<StatusDocument> {
    const response = await fetch(`http://127.0.0.1:${this.ports.admin}/status`)
    return (await response.json()) as StatusDocument
  }

  /** The account of an exporter, of one signal. */
  async exporter(id: string, signal = 'traces'): Promise<Account> {
    const { books } = await this.status()
    const found = books.find(one => one.kind === 'exporter' && one.id === id && one.signal === signal)
    if (found === undefined) throw new Error(`no books of exporter ${id} for ${signal}`)
    return found
  }

  /** Waits until no node holds anything. */
  async drained(milliseconds = 30_000): Promise<StatusDocument> {
    const from = performance.now()
    for (;;) {
      const status = await this.status()
      const held = status.books.reduce((sum, one) => sum + one.held, 0)
      if (held === 0) return status
      if (performance.now() - from > milliseconds)
        throw new Error(`${held} items are still held after ${milliseconds} ms:\n${this.child.output()}`)
      await new Promise(resolve => setTimeout(resolve, 25))
    }
  }

  /** MiB: now and at the highest. */
  memory(): { rss: number; peak: number } {
    return memoryOf(this.pid)
  }

  cpu(): number {
    return cpuOf(this.pid)
  }

  config(): string {
    return readFileSync(this.#config, 'utf8')
  }
}
