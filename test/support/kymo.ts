/** Kymo as its users have it: a configuration, then a service in this process or a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { components } from './components.ts'
import { loadPlan } from '../../plan/load.ts'
import { Account } from '../../core/account.ts'
import { Books } from '../../core/books.ts'
import { Budget, budgetKey } from '../../core/budget.ts'
import { machineClock } from '../../core/clock.ts'
import { Host } from '../../core/host.ts'
import { Journal } from '../../core/journal.ts'
import type { LogFields, Logger } from '../../core/logger.ts'
import { MemoryPlan, memoryPlanKey } from '../../core/memory.ts'
import { Suspects, suspectsKey } from '../../core/standing.ts'
import { type Accept, type Binding, Listeners, listenersKey } from '../../net/listeners.ts'
import { Graph } from '../../pipelines/graph/graph.ts'
import { SelfReport, selfReportKey } from '../../telemetry/self-report.ts'
import { program } from './bundle.ts'

const mebibyte = 1024 * 1024

/** One line of the log. */
export interface Line {
  readonly level: string
  readonly message: string
  readonly fields: LogFields
}

/** A graph that runs in this process, with everything real but the process around it. */
export interface RunningKymo {
  readonly graph: Graph
  readonly books: Books
  readonly journal: Journal
  readonly budget: Budget
  readonly lines: Line[]
  /** `127.0.0.1:port` of the listeners, in the order they were opened. */
  readonly addresses: readonly string[]
  stop(deadline?: number): Promise<{ lost: number }>
}

/** Ports as they were opened, so that a configuration may say 0. */
export class NotedListeners extends Listeners {
  readonly addresses: string[] = []

  override async listen(endpoint: string, accept: Accept, owner: string, transport?: string): Promise<Binding> {
    const binding = await super.listen(endpoint, accept, owner, transport)
    this.addresses.push(binding.address)
    return binding
  }
}

/** A logger that keeps its lines. */
export function keepingLogger(lines: Line[]): Logger {
  const write = (level: string) => (fields: LogFields, message: string) => void lines.push({ level, message, fields })
  const log: Logger = {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: () => log,
  }
  return log
}

/** Loads `yaml` as the command line does and runs its graph. */
export async function runKymo(yaml: string, memory = 1024 * mebibyte): Promise<RunningKymo> {
  const { plan } = loadPlan({ sources: [`yaml:${yaml}`], components, env: {} })
  const budget = new Budget(memory)
  const books = new Books()
  const listeners = new NotedListeners()
  const lines: Line[] = []
  const facts = { physical: 4 * memory, container: undefined, baseline: 0, young: 0, windows: 0 }
  const suspects = new Suspects(machineClock, new Account(budget, 'service', 'suspects'))
  const host = new Host()
    .provide(budgetKey, budget)
    .provide(suspectsKey, suspects)
    .provide(listenersKey, listeners)
    .provide(memoryPlanKey, new MemoryPlan(budget, facts))
    .provide(selfReportKey, new SelfReport({}, 'test'))
  const journal = new Journal()
  const graph = new Graph(plan, { host, log: keepingLogger(lines), books, journal })
  await graph.start()
  return {
    graph,
    books,
    journal,
    budget,
    lines,
    addresses: listeners.addresses,
    stop: async (deadline = 2000) => {
      const stopped = await graph.stop(deadline)
      await listeners.close()
      suspects.close()
      return stopped
    },
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** A Kymo that runs by itself. */
export interface KymoProcess {
  readonly child: ChildProcess
  /** Everything on standard error so far. */
  log(): string
  output(): string
  /** The parsed lines of the log. */
  lines(): Record<string, unknown>[]
  /** Waits for a text on standard error. */
  until(text: string, milliseconds?: number): Promise<void>
  /** Exit code, once it has ended. */
  readonly ended: Promise<number | null>
}

/** Starts `kymo` with these arguments. */
export function spawnKymo(args: readonly string[], env: NodeJS.ProcessEnv = {}): KymoProcess {
  const child = spawn(process.execPath, [...program(), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  let output = ''
  const waiting = new Set<() => void>()
  child.stderr.on('data', chunk => {
    log += String(chunk)
    for (const look of waiting) look()
  })
  child.stdout.on('data', chunk => (output += String(chunk)))
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  return {
    child,
    ended,
    log: () => log,
    output: () => output,
    lines: () =>
      log
        .split('\n')
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line) as Record<string, unknown>),
    until: (text, milliseconds = 60_000) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => {
          clearTimeout(timer)
          waiting.delete(look)
          if (error) reject(error)
          else resolve()
        }
        const look = () => log.includes(text) && end()
        const timer = setTimeout(() => end(new Error(`no \`${text}\` in the log:\n${log}`)), milliseconds)
        waiting.add(look)
        void ended.then(code => end(log.includes(text) ? undefined : new Error(`ended with ${code}:\n${log}`)))
        look()
      }),
  }
}
