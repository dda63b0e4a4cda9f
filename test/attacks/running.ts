/** The process under attack: the bundle as it ships, started with one of the configurations, and what is measured of it. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeOptions } from '../../bench/bundle.ts'
import { answers, type Child, cpuOf, environment, freePorts, memoryOf } from '../../bench/processes.ts'
import { Watch } from '../faults/confined.ts'
import { adminToken, canary, type Ports, type Victim, type VictimName, victims, writeConfig } from './victims.ts'
import { endedAt } from './limits.ts'

/** Milliseconds of the longest block of the loop: what passed, and what the thread computed of it. */
export interface Block {
  elapsed: number
  computed: number
}

/** What it holds at a moment. */
export interface Held {
  /** MiB. */
  readonly rss: number
  /** Bytes. */
  readonly charged: number
  readonly connections: number
}

/** Characters of its output that are kept. */
const mostOutput = 4 << 20

/** A running victim. */
export class Running {
  readonly ports: Ports
  readonly folder: string
  readonly config: string
  readonly child: Child
  readonly #watch: Watch
  #block: Block = { elapsed: 0, computed: 0 }
  #heard = performance.now()
  #exit: string | undefined
  #died = Infinity
  #output = ''

  private constructor(ports: Ports, folder: string, config: string, bundle: string, victim: Victim) {
    this.ports = ports
    this.folder = folder
    this.config = config
    const watching = join(import.meta.dirname, 'loop-watch.mjs')
    const args = [...nodeOptions(bundle), '--import', watching, bundle, 'run', '--config', config]
    const env = { DBPW: canary, ...victim.env }
    const started = spawn(process.execPath, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: environment(env),
    })
    started.on('message', (worst: Block) => {
      this.#heard = performance.now()
      this.#block.elapsed = Math.max(this.#block.elapsed, worst.elapsed)
      this.#block.computed = Math.max(this.#block.computed, worst.computed)
    })
    for (const stream of [started.stdout, started.stderr]) {
      stream?.setEncoding('latin1').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-mostOutput)
      })
    }
    // One whose loop hangs does not notice that nobody is there any more.
    const abandon = () => started.kill('SIGKILL')
    process.once('exit', abandon)
    const ended = new Promise<number | null>(resolve => {
      started.on('close', (code, signal) => {
        process.off('exit', abandon)
        this.#died = performance.now()
        this.#exit = code === null ? `ended by ${signal}` : `ended with ${code}`
        resolve(code)
      })
    })
    this.child = {
      pid: started.pid ?? 0,
      output: () => this.#output,
      ended,
      async stop(patience = 5000) {
        started.kill('SIGTERM')
        const insist = setTimeout(() => started.kill('SIGKILL'), patience)
        return ended.finally(() => clearTimeout(insist))
      },
    }
    this.#watch = new Watch(this.child.pid, endedAt)
  }

  static async start(name: VictimName, bundle: string, sink: number): Promise<Running> {
    const folder = mkdtempSync(join(tmpdir(), 'kymo-attacks-'))
    mkdirSync(join(folder, 'work'))
    const [otlp, tls, admin, page] = [await freePorts(), await freePorts(), await freePorts(), await freePorts()]
    const ports = { grpc: otlp, http: otlp + 1, grpcTls: tls, httpTls: tls + 1, admin, page, sink }
    const running = new Running(ports, folder, writeConfig(name, ports, folder), bundle, victims[name])
    await answers(admin, '/health/ready', running.child, 'kymo')
    return running
  }

  /** How it ended, if it did. */
  get gone(): string | undefined {
    return this.#watch.killed ? `ended at ${endedAt} MiB, so that the machine goes on` : this.#exit
  }

  /** What it wrote since the last time. */
  takeOutput(): string {
    const output = this.#output
    this.#output = ''
    return output
  }

  /** Forgets the highest figures. */
  forget(): void {
    this.#block = { elapsed: 0, computed: 0 }
    // The kernel's own peak, from here on.
    if (this.gone === undefined) writeFileSync(`/proc/${this.child.pid}/clear_refs`, '5')
    this.#watch.peak = 0
  }

  /** Resolves when it has told of its loop anew, or has ended, or after so many milliseconds. */
  async told(milliseconds: number): Promise<boolean> {
    const before = this.#heard
    const from = performance.now()
    while (this.#heard === before && this.gone === undefined && performance.now() - from < milliseconds) await delay(10)
    return this.#heard !== before
  }

  /** The longest block since `forget`; one that goes on counts, too. */
  block(): Block {
    const silent = Math.min(this.#died, performance.now()) - this.#heard
    // Told of every 100 ms; on a busy machine not to the moment.
    if (silent < 1000) return this.#block
    return { elapsed: Math.max(this.#block.elapsed, silent), computed: Math.max(this.#block.computed, silent) }
  }

  /** MiB, at most, since `forget`. */
  peak(): number {
    return this.gone === undefined ? Math.max(this.#watch.peak, memoryOf(this.child.pid).peak) : this.#watch.peak
  }

  /** CPU seconds so far. */
  cpu(): number {
    return this.gone === undefined ? cpuOf(this.child.pid) : Number.NaN
  }

  /** What it holds; undefined where it does not say within a second. */
  async held(): Promise<Held | undefined> {
    try {
      const signal = AbortSignal.timeout(1000)
      const headers = { authorization: `Bearer ${adminToken}` }
      const response = await fetch(`http://127.0.0.1:${this.ports.admin}/metrics`, { signal, headers })
      const text = await response.text()
      const read = (name: string) =>
        Number(new RegExp(`^${name}(?:\\{\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
      return {
        rss: memoryOf(this.child.pid).rss,
        charged: read('kymo_memory_budget_used_bytes'),
        connections: read('kymo_connections'),
      }
    } catch {
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#watch.stop()
    if (this.#exit === undefined) {
      process.kill(this.child.pid, 'SIGKILL')
      await this.child.ended
    }
    await delay(0)
    rmSync(this.folder, { recursive: true, force: true })
  }
}
