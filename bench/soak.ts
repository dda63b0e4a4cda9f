/**
 * Does memory grow? Steady load of all signals over both protocols for ten minutes after two of warm-up; resident memory is
 * sampled every five seconds, and the slope of a straight line through the samples is told.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { build, withKymo } from './bundle.ts'
import { findKit, grpcLoad, httpLoad, type Kit } from './kit.ts'
import { cpuOf, endChildrenWithUs, memoryOf, start } from './processes.ts'
import { writeSection } from './results.ts'

/** How to soak; minutes, and requests per second of each of the three signals. */
export interface SoakOptions {
  readonly minutes: number
  readonly warmUp: number
  readonly rate: number
  readonly bundle?: string
}

/** What came of it; MiB. */
export interface SoakFigures {
  readonly minutes: number
  /** MiB per minute. */
  readonly slope: number
  readonly first: number
  readonly last: number
  readonly peak: number
  readonly samples: number
  readonly requests: number
  readonly failed: number
  /** Share of one core, in per cent. */
  readonly cpu: number
}

/** Runs the load and samples. */
export async function soak(kit: Kit, { minutes, warmUp, rate, bundle }: SoakOptions): Promise<SoakFigures> {
  return withKymo(bundle === undefined ? {} : { bundle }, async ({ child, grpc, http }) => {
    const end = performance.now() + (warmUp + minutes) * 60_000
    const loads = [
      keepSending(['-c', '1', '-m', '4', `--rps=${rate}`, ...grpcLoad(kit, 'traces-gw', grpc)], end),
      keepSending(['-c', '1', `--rps=${rate}`, ...httpLoad(kit, 'logs-gw', http)], end),
      keepSending(['-c', '1', '-m', '4', `--rps=${rate}`, ...grpcLoad(kit, 'metrics-gw', grpc)], end),
    ]
    // A load that fails ends the run at once: the samples up to there say nothing.
    const [figures, ...sent] = await Promise.all([
      sample(child.pid, performance.now() + warmUp * 60_000, end),
      ...loads,
    ])
    const sum = (pick: (one: Sent) => number) => sent.reduce((all, one) => all + pick(one), 0)
    return { minutes, ...figures, requests: sum(one => one.requests), failed: sum(one => one.failed) }
  })
}

interface Sent {
  requests: number
  failed: number
}

/** Runs h2load again and again, half a minute each, so that connections come and go as they do in life. */
async function keepSending(args: string[], end: number): Promise<Sent> {
  const sent = { requests: 0, failed: 0 }
  for (;;) {
    const left = Math.round((end - performance.now()) / 1000)
    if (left < 1) return sent
    const child = start('h2load', ['-D', String(Math.min(30, left)), ...args])
    const late = setTimeout(() => void child.stop(1000), 60_000)
    const code = await child.ended.finally(() => clearTimeout(late))
    const counts = /(\d+) succeeded, (\d+) failed, (\d+) errored/.exec(child.output())
    if (code !== 0 || counts === null) throw new Error(`h2load ended with ${code}:\n${child.output()}`)
    sent.requests += Number(counts[1])
    sent.failed += Number(counts[2]) + Number(counts[3])
  }
}

async function sample(pid: number, from: number, end: number) {
  await delay(from - performance.now())
  const points: [minutes: number, mib: number][] = []
  const cpu = cpuOf(pid)
  const started = performance.now()
  while (performance.now() < end - 2500) {
    points.push([(performance.now() - started) / 60_000, memoryOf(pid).rss])
    await delay(Math.min(5000, Math.max(0, end - performance.now())))
  }
  const seconds = (performance.now() - started) / 1000
  return {
    slope: slopeOf(points),
    first: points[0][1],
    last: points[points.length - 1][1],
    peak: memoryOf(pid).peak,
    samples: points.length,
    cpu: (100 * (cpuOf(pid) - cpu)) / seconds,
  }
}

/** The slope of the straight line that is nearest to the points (least squares). */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (axis: 0 | 1) => points.reduce((sum, point) => sum + point[axis], 0) / points.length
  const [x0, y0] = [mean(0), mean(1)]
  let above = 0
  let below = 0
  for (const [x, y] of points) {
    above += (x - x0) * (y - y0)
    below += (x - x0) ** 2
  }
  return below === 0 ? 0 : above / below
}

if (import.meta.main) {
  endChildrenWithUs()
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      'warm-up': { type: 'string', default: '2' },
      rate: { type: 'string', default: '40' },
      bundle: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  })
  if (values.bundle === undefined) build()
  const figures = await soak(findKit(), {
    minutes: Number(values.minutes),
    warmUp: Number(values['warm-up']),
    rate: Number(values.rate),
    ...(values.bundle === undefined ? {} : { bundle: values.bundle }),
  })
  const { slope, first, last, peak, requests, failed, cpu } = figures
  const text =
    `${values.minutes} minutes after ${values['warm-up']} of warm-up, ${values.rate} requests a second of each signal ` +
    `(${requests} in all, ${failed} failed; ${cpu.toFixed(0)} % of a core): ${slope.toFixed(2)} MiB/minute ` +
    `(limit 1), resident ${first.toFixed(0)} MiB at first and ${last.toFixed(0)} at last, peak ${peak.toFixed(0)} MiB`
  console.log(text)
  console.log(JSON.stringify(figures))
  if (values.write) writeSection('soak', `${text}.`)
}
