/** One run of the benchmark of destinations: a program under load, its CPU time, and what arrived of the load. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeOptions } from './bundle.ts'
import type { DestinationCase } from './destinations-cases.ts'
import { type Load, type Sent, sendFor } from './destinations-load.ts'
import { readPage } from './destinations-page.ts'
import type { Arrived } from './destinations-sink.ts'
import { root } from './kit.ts'
import { answers, type Child, cpuOf, freePorts, listens, memoryOf, start } from './processes.ts'

/** How long a run lasts. */
export interface Seconds {
  readonly warm: number
  readonly measured: number
}

/** What came of a run. */
export interface DestinationRun {
  readonly requests: number
  readonly failed: number
  /** Data points or log records per CPU second. */
  readonly speed: number
  readonly cpu: number
  readonly wall: number
  readonly idle: number
  readonly peak: number
  /** Arrived of what was sent, in per cent. */
  readonly arrived: number
  /** What a sample, a line or a log carries there, on average. */
  readonly labels: number
  /** Bytes for each data point or log record; of a page, once it is read. */
  readonly bytes: number
  /** Why the work is not that which was asked for; empty when it is. */
  readonly wrong: string
}

/** The ports of a run. */
interface Ports {
  readonly http: number
  readonly admin: number
  readonly page: number
  readonly sink: number
}

/** A program under test. */
export interface Program {
  readonly name: string
  start(which: DestinationCase, ports: Ports): Promise<Child>
}

const environmentOf = ({ http, admin, page, sink }: Ports, which: DestinationCase) => ({
  HTTP_PORT: String(http),
  ADMIN_PORT: String(admin),
  PAGE_PORT: String(page),
  SINK_PORT: String(sink),
  ...which.env,
})

/** Kymo's bundle; `node` are further options of Node. */
export const kymo = (bundle: string, node: readonly string[] = []): Program => ({
  name: 'Kymo',
  async start(which, ports) {
    const args = [...nodeOptions(bundle), ...node, bundle, 'run', '--config', which.config]
    const child = start(process.execPath, args, environmentOf(ports, which))
    await answers(ports.admin, '/health/ready', child, 'kymo').catch(stopped(child))
    return child
  },
})

/** The Collector, which is built when it is not there yet; without metrics of its own. */
export function collector(): Program {
  const build = join(root, 'bench/peer-destinations.sh')
  const binary = execFileSync(build, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2] }).trim()
  return {
    name: 'the Collector',
    async start(which, ports) {
      const args = ['--config', which.config, '--set=service::telemetry::metrics::level=none']
      const child = start(binary, args, { ...environmentOf(ports, which), GOMAXPROCS: '2' })
      await listens(ports.http, child, 'the Collector').catch(stopped(child))
      return child
    },
  }
}

const stopped = (child: Child) => async (error: unknown) => {
  await child.stop(5000)
  throw error
}

/** Runs `program` under the case's load. */
export async function runDestination(
  program: Program,
  which: DestinationCase,
  load: Load,
  seconds: Seconds,
): Promise<DestinationRun> {
  const ports = {
    http: await freePorts(),
    admin: await freePorts(),
    page: await freePorts(),
    sink: await freePorts(),
  }
  const sink = which.sink === undefined ? undefined : await startSink(which.sink, ports.sink)
  try {
    const child = await program.start(which, ports)
    try {
      const found = await measure(child, which, load, ports, seconds)
      const said = found.wrong === '' ? '' : child.output().trim()
      return said === '' ? found : { ...found, wrong: `${found.wrong}; it said: ${said.split('\n').at(-1)}` }
    } catch (error) {
      throw new Error(`${program.name}, ${which.name}: ${String(error)}\n${child.output()}`, { cause: error })
    } finally {
      await child.stop()
    }
  } finally {
    await sink?.stop()
  }
}

async function startSink(kind: string, port: number): Promise<Child> {
  const child = start(process.execPath, [join(root, 'bench/destinations-sink.ts'), String(port), kind])
  await listens(port, child, 'the sink').catch(stopped(child))
  return child
}

async function measure(
  child: Child,
  which: DestinationCase,
  load: Load,
  ports: Ports,
  seconds: Seconds,
): Promise<DestinationRun> {
  await delay(1000)
  const idle = memoryOf(child.pid).rss
  await send(which, load, ports, seconds.warm, 1)
  await settled(which, ports)
  if (which.sink !== undefined) await ask(ports.sink, '/reset')
  const [before, from] = [cpuOf(child.pid), performance.now()]
  const sent = await send(which, load, ports, seconds.measured, 1_000_000)
  const wall = (performance.now() - from) / 1000
  await settled(which, ports)
  const cpu = cpuOf(child.pid) - before
  const found = await check(which, load, ports, sent)
  return {
    requests: sent.ok,
    failed: sent.failed,
    speed: (sent.ok * load.items) / cpu,
    cpu,
    wall,
    idle,
    peak: memoryOf(child.pid).peak,
    ...found,
  }
}

/** Sends, and reads the page meanwhile as a scraper does, at the same moments of each run. */
async function send(
  which: DestinationCase,
  load: Load,
  { http, page }: Ports,
  seconds: number,
  from: number,
): Promise<Sent> {
  const ended = new AbortController()
  const scraping = async () => {
    for (let at = 2500; at < seconds * 1000; at += 5000) {
      await delay(at === 2500 ? 2500 : 5000, undefined, { signal: ended.signal })
      await readPage(page)
    }
  }
  // Awaited below; a failure before that is not unhandled.
  const scraped = which.sink === undefined ? scraping() : Promise.resolve()
  scraped.catch(() => undefined)
  try {
    const sent = await sendFor(load, http, seconds, from)
    await scraped
    return sent
  } finally {
    ended.abort()
  }
}

const ask = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`).then(answer => answer.text())

/** Waits until nothing more arrives. */
async function settled(which: DestinationCase, { sink }: Ports): Promise<void> {
  if (which.sink === undefined) return delay(800)
  let before = ''
  for (let quiet = 0; quiet < 3; quiet++) {
    await delay(300)
    const now = await ask(sink, '/requests')
    if (now !== before) quiet = -1
    before = now
  }
}

type Found = Pick<DestinationRun, 'arrived' | 'labels' | 'bytes' | 'wrong'>

/** Compares what arrived with what was sent. */
async function check(which: DestinationCase, load: Load, ports: Ports, { ok, failed, last }: Sent): Promise<Found> {
  const wrong = failed > 0 ? [`${failed} requests failed`] : []
  if (which.sink === undefined) {
    const page = await readPage(ports.page, last)
    const expected = load.samples * load.bodies.length
    if (page.samples !== expected) wrong.push(`${page.samples} samples on the page instead of ${expected}`)
    if (page.stale > 0) wrong.push(`${page.stale} values on the page are not the last that were sent`)
    const arrived = (100 * page.samples) / expected
    return { arrived, labels: page.labels, bytes: page.bytes / expected, wrong: wrong.join('; ') }
  }
  const text = await ask(ports.sink, '/count')
  const { items, bytes, labels, decoded, broken } = JSON.parse(text) as Arrived
  const arrived = (100 * items) / (ok * load.samples)
  if (broken !== '') wrong.push(`a body could not be decoded: ${broken}`)
  // Counted from a part of the bodies, so it is not exact.
  if (Math.abs(arrived - 100) > 2) wrong.push(`${arrived.toFixed(1)} % of what was sent arrived`)
  return { arrived, labels: labels / decoded, bytes: bytes / (ok * load.items), wrong: wrong.join('; ') }
}
