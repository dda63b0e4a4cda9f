/** The bundle under test: built, started with the benchmark's configuration, timed, stopped. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { root } from './kit.ts'
import { answers, type Child, freePorts, listens, median, memoryOf, start } from './processes.ts'

/** Where `npm run build` puts it. */
export const bundlePath = join(root, 'dist/kymo.mjs')

/** The configuration of the comparison. */
export const configPath = join(root, 'bench/filter-enrich.yaml')

/** The same with an edit of every item. */
export const attributesPath = join(root, 'bench/attributes.yaml')

/** The same with Kymo's own telemetry in pipelines of its own. */
export const ownPath = join(root, 'bench/own-telemetry.yaml')

/** Builds the bundle anew. */
export function build(): void {
  const rolldown = join(root, 'node_modules/rolldown/bin/cli.mjs')
  const args = [rolldown, '-c', 'rolldown.config.ts', '--log-level', 'warn']
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error('the bundle could not be built; `npm run build` shows why')
}

/** The options of Node that the bundle's first line asks for: it is measured as it is shipped. */
export function nodeOptions(bundle: string): string[] {
  const [first] = readFileSync(bundle, 'utf8').split('\n', 1)
  return /^#!.*\bnode (.+)$/.exec(first)?.[1].split(' ') ?? []
}

/** A running Kymo. */
export interface Kymo {
  readonly child: Child
  readonly grpc: number
  readonly http: number
  readonly admin: number
  /** Milliseconds from its start to ready. */
  readonly readyAfter: number
}

/** What differs from `npm start -- --config bench/filter-enrich.yaml`. */
export interface KymoOptions {
  readonly bundle?: string
  /** Another configuration than that of the comparison. */
  readonly config?: string
  /** Options of Node. */
  readonly node?: readonly string[]
  /** Where the destination is. */
  readonly sink?: number
  /** Arguments of Kymo, such as `--set`. */
  readonly args?: readonly string[]
}

/** Starts the bundle on free ports and waits until it is ready. */
export async function startKymo({
  bundle = bundlePath,
  config = configPath,
  node = [],
  args = [],
  sink = 1,
}: KymoOptions = {}): Promise<Kymo> {
  const grpc = await freePorts()
  const admin = await freePorts()
  const env = {
    GRPC_PORT: String(grpc),
    HTTP_PORT: String(grpc + 1),
    ADMIN_PORT: String(admin),
    SINK_PORT: String(sink),
  }
  const from = performance.now()
  const child = start(
    process.execPath,
    [...nodeOptions(bundle), ...node, bundle, 'run', '--config', config, ...args],
    env,
  )
  try {
    const readyAfter = await answers(admin, '/health/ready', child, 'kymo', from)
    return { child, grpc, http: grpc + 1, admin, readyAfter }
  } catch (error) {
    await child.stop()
    throw error
  }
}

/** Starts a destination on a free port. */
export async function startSink(): Promise<{ child: Child; port: number }> {
  const port = await freePorts()
  const child = start(process.execPath, [join(root, 'bench/sink.ts'), String(port)])
  await listens(port, child, 'the sink')
  return { child, port }
}

/** Runs `use` with a sink and a Kymo, and ends both. */
export async function withKymo<T>(options: KymoOptions, use: (kymo: Kymo) => Promise<T>): Promise<T> {
  const sink = await startSink()
  try {
    const kymo = await startKymo({ ...options, sink: sink.port })
    try {
      return await use(kymo)
    } finally {
      await kymo.child.stop()
    }
  } finally {
    await sink.child.stop()
  }
}

/** What a start costs. */
export interface StartFigures {
  /** Milliseconds to ready: median and the longest. */
  readonly ready: number
  readonly longest: number
  /** MiB resident two seconds later, with nothing to do. */
  readonly idle: number
}

/** Starts and stops the bundle `times` times. */
export async function measureStart(times: number, bundle?: string): Promise<StartFigures> {
  const ready: number[] = []
  const idle: number[] = []
  for (let i = 0; i < times; i++) {
    const kymo = await startKymo(bundle === undefined ? {} : { bundle })
    ready.push(kymo.readyAfter)
    await delay(2000)
    idle.push(memoryOf(kymo.child.pid).rss)
    await kymo.child.stop()
  }
  return { ready: median(ready), longest: Math.max(...ready), idle: median(idle) }
}
