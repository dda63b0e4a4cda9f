/**
 * Reloads under load: `node test/faults/reloads.ts --reloads 1000`. Senders over gRPC, HTTP and TLS keep account of every
 * item while the configuration is exchanged again and again: unchanged, other certificates, other settings of receivers,
 * processors and exporters, exporters and pipelines that come and go, wrong ones and ones that cannot start.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { answers, type Child, freePorts, start } from '../../bench/processes.ts'
import { serverCert, serverKey } from '../net/certificates.ts'
import { Random } from '../support/otlp.ts'
import { Destination } from './destination.ts'
import { freshClient, type FreshKind } from './fresh.ts'
import type { Shape } from './ids.ts'
import { scratch } from './kymo.ts'
import { type Account, Ledger } from './ledger.ts'
import { type Client, LoadSender } from './senders.ts'
import { kinds, next, type Ports, Settings, wanted } from './settings.ts'

const token = 'a token for these runs only'

export interface ReloadRun {
  readonly reloads: number
  readonly seed?: number
  /** Requests a second of each sender. */
  readonly rate?: number
  /** Milliseconds between two reloads. */
  readonly pause?: number
  /** Requests a second of each kind of sender that has a connection for each of them; none without it. */
  readonly fresh?: number
  /** Queues are on disk. */
  readonly durable?: boolean
  /** Arguments of Node that run Kymo. */
  readonly program?: readonly string[]
  readonly tell?: (line: string) => void
}

export interface ReloadEnding {
  readonly account: Account
  /** By what was asked for: how often. */
  readonly results: Readonly<Record<string, number>>
  /** Reloads that ended otherwise than they should have. */
  readonly unexpected: readonly string[]
  /** Attempts of senders by what they heard; those with fresh connections apart. */
  readonly heard: Readonly<Record<string, number>>
  readonly fresh: Readonly<Record<string, number>>
  /** What was heard besides success, once each. */
  readonly said: readonly string[]
  readonly faults: readonly string[]
  /** Lost items by reason, over all nodes. */
  readonly lost: number
  /** Least squares over the last third, in bytes a reload. */
  readonly slope: { readonly heap: number; readonly rss: number }
  readonly memory: { readonly heap: number; readonly rss: number }
  /** Milliseconds from request to answer. */
  readonly took: { readonly median: number; readonly most: number }
  readonly exit: number | null
  readonly seconds: number
}

const senders: readonly { transport: 'grpc' | 'http'; tls?: true; shape: Shape }[] = [
  { transport: 'grpc', shape: { signal: 'traces', items: 10, size: 100 } },
  { transport: 'http', shape: { signal: 'logs', items: 10, size: 100 } },
  { transport: 'grpc', tls: true, shape: { signal: 'traces', items: 5, size: 200 } },
]

/** Senders of which each request has a connection of its own. */
const freshSenders: readonly { kind: FreshKind; shape: Shape }[] = [
  { kind: 'grpc', shape: { signal: 'traces', items: 5, size: 100 } },
  { kind: 'grpc-tls', shape: { signal: 'traces', items: 5, size: 100 } },
  { kind: 'grpc-js', shape: { signal: 'logs', items: 5, size: 100 } },
  { kind: 'http', shape: { signal: 'traces', items: 5, size: 100 } },
]

/** The process, and what is asked of it. */
class Reloaded {
  readonly #child: Child
  readonly #file: string
  readonly ports: Ports
  readonly folder: string
  readonly took: number[] = []

  private constructor(child: Child, file: string, ports: Ports, folder: string) {
    this.#child = child
    this.#file = file
    this.ports = ports
    this.folder = folder
  }

  static async start(settings: Settings, sink: number, program: readonly string[]): Promise<Reloaded> {
    const [grpc, tls] = [await freePorts(), await freePorts()]
    const ports = { grpc, http: grpc + 1, tls, admin: tls + 1, sink }
    const folder = scratch('reloads')
    const file = join(folder, 'kymo.yaml')
    writeFileSync(join(folder, 'cert.pem'), serverCert)
    writeFileSync(join(folder, 'key.pem'), serverKey)
    writeFileSync(file, settings.text(ports, folder))
    const args = [...program, 'run', '--config', file, '--shutdown-timeout', '10s']
    const child = start(process.execPath, args, { KYMO_ADMIN_TOKEN: token })
    await answers(ports.admin, '/health/ready', child, 'kymo')
    return new Reloaded(child, file, ports, folder)
  }

  /** By request or by signal; what came of it. */
  async reload(text: string, way: 'text' | 'sources' | 'signal'): Promise<string> {
    const from = performance.now()
    if (way !== 'text') writeFileSync(this.#file, text)
    const result = way === 'signal' ? await this.#signal() : await this.#ask(way, text)
    this.took.push(performance.now() - from)
    return result
  }

  async #ask(way: 'text' | 'sources', text: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.ports.admin}/v1/${way === 'text' ? 'config' : 'reload'}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, ...(way === 'text' ? { 'content-type': 'application/yaml' } : {}) },
      body: way === 'text' ? text : null,
    })
    const { result, errors } = (await response.json()) as { result?: string; errors?: unknown }
    return result === 'failed'
      ? `failed ${response.status} ${JSON.stringify(errors)}`
      : (result ?? `${response.status}`)
  }

  async #signal(): Promise<string> {
    const before = await this.#last()
    process.kill(this.#child.pid, 'SIGHUP')
    for (;;) {
      await delay(5)
      const { at, result } = await this.#last()
      if (at !== before.at) return result
    }
  }

  async #last(): Promise<{ at: string; result: string }> {
    const { last_reload: last } = (await this.get('/v1/config')) as {
      last_reload: { at: string; result: string } | null
    }
    return last ?? { at: '', result: '' }
  }

  async get(path: string): Promise<unknown> {
    return (await fetch(`http://127.0.0.1:${this.ports.admin}${path}`)).json()
  }

  /** Bytes. */
  async memory(): Promise<{ heap: number; rss: number }> {
    const text = await (await fetch(`http://127.0.0.1:${this.ports.admin}/metrics`)).text()
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
    return { heap: value('otelcol_process_runtime_heap_alloc_bytes'), rss: value('otelcol_process_memory_rss') }
  }

  stop(): Promise<number | null> {
    return this.#child.stop(30_000)
  }

  output(): string {
    return this.#child.output()
  }
}

interface Book {
  readonly held: number
  readonly lost: Readonly<Record<string, number>>
}

/** Lets it happen. */
export async function reloads(run: ReloadRun): Promise<ReloadEnding> {
  const { reloads: count, seed = 1, rate = 60, pause = 20, fresh = 0, durable = false, tell = () => {} } = run
  const built = process.env['KYMO_BUNDLE'] ?? join(import.meta.dirname, '../../cli/main.ts')
  const { program = ['--max-semi-space-size=4', built] } = run
  const from = performance.now()
  const ledger = new Ledger()
  const destination = await Destination.start(ledger)
  const settings = new Settings(durable)
  const kymo = await Reloaded.start(settings, destination.grpc, program)
  try {
    const load = senders.map(one => {
      const port = one.tls === true ? kymo.ports.tls : kymo.ports[one.transport]
      return new LoadSender({ ...one, ledger, port, rate, mostWait: 50 }).start()
    })
    const oneOff = (fresh === 0 ? [] : freshSenders).map(({ kind, shape }) => {
      const transport = kind === 'http' ? 'http' : 'grpc'
      const port = kind === 'grpc-tls' ? kymo.ports.tls : kymo.ports[transport]
      const client = (port: number): Client => freshClient(kind, port)
      const options = {
        ledger,
        port,
        transport,
        shape,
        client,
        rate: fresh,
        mostWait: 50,
      } as const
      return new LoadSender({ ...options, concurrency: 32 }).start()
    })
    await delay(200)
    const { results, unexpected, samples } = await exchange(kymo, settings, destination, { count, seed, pause, tell })
    destination.behave = () => ({ does: 'take' })
    await delay(200)
    await Promise.all([...load, ...oneOff].map(one => one.stop()))
    const { books, books_faults: faults } = await drained(kymo)
    const memory = await kymo.memory()
    const exit = await kymo.stop()
    const took = kymo.took.toSorted((a, b) => a - b)
    return {
      account: ledger.account(),
      results,
      unexpected,
      heard: sumOf(load),
      fresh: sumOf(oneOff),
      said: [...load, ...oneOff].flatMap(({ said }) => [...said].map(([what, text]) => `${what}: ${text}`)),
      faults,
      lost: books.reduce((sum, { lost }) => sum + Object.values(lost).reduce((a, b) => a + b, 0), 0),
      slope: { heap: slopeOf(samples.map(one => one.heap)), rss: slopeOf(samples.map(one => one.rss)) },
      memory,
      took: { median: took[took.length >> 1], most: took.at(-1) ?? 0 },
      exit,
      seconds: (performance.now() - from) / 1000,
    }
  } catch (error) {
    throw new Error(`kymo wrote:\n${kymo.output()}`, { cause: error })
  } finally {
    await kymo.stop()
    await destination.close()
  }
}

function sumOf(senders: readonly LoadSender[]): Record<string, number> {
  const heard = { success: 0, refused: 0, rejected: 0, unknown: 0, unreached: 0 }
  for (const { counts } of senders) {
    for (const what of Object.keys(heard) as (keyof typeof heard)[]) heard[what] += counts[what]
  }
  return heard
}

/** The reloads, one after the other. */
async function exchange(
  kymo: Reloaded,
  settings: Settings,
  destination: Destination,
  { count, seed, pause, tell }: { count: number; seed: number; pause: number; tell: (line: string) => void },
) {
  const random = new Random(seed)
  const results: Record<string, number> = {}
  const unexpected: string[] = []
  const samples: { heap: number; rss: number }[] = []
  for (let i = 0; i < count; i++) {
    const kind = kinds[i < kinds.length ? i : random.next(kinds.length)]
    // The destination takes nothing now and then, for a while.
    if (i % 25 === 10) destination.behave = () => ({ does: 'fail', grpc: 14, http: 503 })
    if (i % 25 === 13) destination.behave = () => ({ does: 'take', after: i % 2 === 0 ? 0 : 15 })
    const way = (['sources', 'text', 'signal'] as const)[random.next(3)]
    const result = await kymo.reload(next(settings, kind, kymo), way)
    const key = `${kind} ${result.split(' ')[0]}`
    results[key] = (results[key] ?? 0) + 1
    if (!result.startsWith(wanted(kind))) unexpected.push(`${i} ${kind}: ${result}`)
    if (i % 10 === 0) samples.push(await kymo.memory())
    if (i % 100 === 99) tell(`${i + 1} reloads, ${Math.round((samples.at(-1)?.rss ?? 0) / 2 ** 20)} MiB`)
    await delay(pause)
  }
  return { results, unexpected, samples }
}

async function drained(kymo: Reloaded): Promise<{ books: readonly Book[]; books_faults: readonly string[] }> {
  for (let i = 0; ; i++) {
    const status = (await kymo.get('/status')) as { books: readonly Book[]; books_faults: readonly string[] }
    if (i > 1000 || status.books.every(({ held }) => held === 0)) return status
    await delay(20)
  }
}

/** How much a value grows with each reload, over the last third of samples that are ten reloads apart. */
function slopeOf(samples: readonly number[]): number {
  const last = samples.slice(Math.floor((samples.length * 2) / 3))
  const n = last.length
  const meanX = (n - 1) / 2
  const meanY = last.reduce((sum, y) => sum + y, 0) / n
  let above = 0
  let below = 0
  for (const [x, y] of last.entries()) {
    above += (x - meanX) * (y - meanY)
    below += (x - meanX) ** 2
  }
  return below === 0 ? 0 : above / below / 10
}

/** What was found, in lines. */
export function reloadLines(ending: ReloadEnding): string[] {
  const { account, heard, fresh, results, slope, memory, took, seconds, faults, unexpected, said, exit, lost } = ending
  const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`
  return [
    `${seconds.toFixed(0)} s; ${account.items} items sent, ${account.acknowledged} acknowledged, of which **${account.missing}** are missing.`,
    `Connections refused: **${heard['unreached']}**, requests without an answer: **${heard['unknown']}**, rejected: ${heard['rejected']},`,
    `refused with "come again": ${heard['refused']}, success: ${heard['success']}. Items that arrived twice: ${account.doubled}, of which`,
    `${account.doubledByKymo} more often than their sender sent them. Items booked as lost: ${lost}; books that do not balance: ${faults.length}.`,
    `With a connection for each request: ${JSON.stringify(fresh)}.`,
    `From request to answer: median ${took.median.toFixed(0)} ms, longest ${took.most.toFixed(0)} ms. Memory: ${mebibytes(memory.rss)} resident,`,
    `${mebibytes(memory.heap)} heap; growth a reload: ${(slope.rss / 1024).toFixed(1)} KiB resident, ${(slope.heap / 1024).toFixed(1)} KiB heap. Exit code ${exit}.`,
    ...Object.entries(results).map(([what, times]) => `- ${what}: ${times}`),
    ...unexpected.map(text => `- unexpected: ${text}`),
    ...faults.map(text => `- books: ${text}`),
    ...said.map(text => `- heard: ${text}`),
  ]
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      reloads: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '60' },
      pause: { type: 'string', default: '20' },
      fresh: { type: 'string', default: '0' },
      durable: { type: 'boolean', default: false },
    },
  })
  const ending = await reloads({
    reloads: Number(values.reloads),
    seed: Number(values.seed),
    rate: Number(values.rate),
    pause: Number(values.pause),
    fresh: Number(values.fresh),
    durable: values.durable,
    tell: line => console.log(line),
  })
  console.log(reloadLines(ending).join('\n'))
  const { account, faults, unexpected } = ending
  const unheard = [ending.heard, ending.fresh].map(heard => (heard['unreached'] ?? 0) + (heard['unknown'] ?? 0))
  const bad = account.missing + account.doubledByKymo + unheard[0] + unheard[1]
  process.exit(bad + faults.length + unexpected.length === 0 ? 0 : 1)
}
