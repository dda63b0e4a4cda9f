/** One victim with healthy senders, which suffers attacks one after the other, and what is measured meanwhile. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Child, start } from '../../bench/processes.ts'
import { freePorts, listens } from '../../bench/processes.ts'
import { root } from '../../bench/kit.ts'
import { join } from 'node:path'
import { type Attack, hasEscapes } from './attack.ts'
import { Attacker } from './attacker.ts'
import { Healthy, type Told } from './healthy.ts'
import { goneWithin, limitMib, longestBlock, nearCalm, slowestHealthy } from './limits.ts'
import { type Held, Running } from './running.ts'
import { canary, type Victim, type VictimName, victims } from './victims.ts'

/** A destination that takes everything at once. */
export interface Sink {
  readonly port: number
  close(): Promise<unknown>
}

/** Starts it, as a process of its own. */
export async function startSink(): Promise<Sink> {
  const port = await freePorts()
  const child = start(process.execPath, [join(root, 'bench/sink.ts'), String(port)])
  await listens(port, child, 'the sink')
  return { port, close: () => child.stop() }
}

/** What was measured of one attack. */
export interface Suffered {
  readonly name: string
  readonly of: string
  /** What does not hold. */
  readonly faults: readonly string[]
  /** Whether all of that is about time, which a busy machine can make. */
  readonly onlyTime: boolean
  /** MiB at most. */
  readonly peak: number
  /** Milliseconds, of what the thread computed and of what passed. */
  readonly block: { readonly computed: number; readonly elapsed: number }
  /** Milliseconds of healthy requests before and meanwhile. */
  readonly calm: number
  readonly healthy: Told
  /** Seconds from the attacker's leaving until all was as before; undefined where that did not come. */
  readonly gone: number | undefined
  readonly took: number
  readonly heard: Readonly<Record<string, number>>
}

/** What there is without an attack. */
interface Calm extends Held {
  readonly p99: number
  /** Share of a core. */
  readonly cpu: number
}

/** How much time is taken for it. */
export interface Care {
  /** Milliseconds in which a victim gets used to its senders. */
  readonly settling: number
  /** Milliseconds in which it is watched before an attack. */
  readonly watching: number
  /** Milliseconds over which it is looked at what is left. */
  readonly looking: number
  /** Least milliseconds over which healthy requests are counted: of a few, one slow one would be more than one of 100. */
  readonly counting: number
  /** Seconds in which an attacker has to be gone from the victim. */
  readonly gone: number
  /** Milliseconds after which a healthy sender gives up. */
  readonly patience: number
  /** Seconds of CPU that the victim may use on one attack; no limit without it. */
  readonly work?: number
  /** Milliseconds of CPU for which the loop may be kept from all else. */
  readonly block: number
  /** Whether times that pass are held to their limits: they say little on a machine that does much else. */
  readonly latency: boolean
}

const thorough: Care = {
  settling: 1500,
  watching: 2000,
  looking: 500,
  counting: 3000,
  gone: goneWithin,
  patience: 10_000,
  block: longestBlock,
  latency: true,
}

/** In the normal suite, beside other tests and on any machine: what is computed is held to limits, not what passes. */
export const quick: Care = {
  settling: 300,
  watching: 300,
  looking: 100,
  counting: 0,
  gone: 60,
  patience: 60_000,
  work: 5,
  // Other tests share the caches and the cores: the same work takes more of the CPU there.
  block: 4 * longestBlock,
  latency: false,
}

export class Scene {
  readonly victim: VictimName
  readonly #running: Running
  readonly #healthy: Healthy
  readonly #bundle: string
  readonly #care: Care
  readonly #attacker = new Attacker()
  #calm: Calm = { p99: 0, cpu: 0, rss: 0, charged: 0, connections: 0 }

  private constructor(victim: VictimName, running: Running, healthy: Healthy, bundle: string, care: Care) {
    this.victim = victim
    this.#running = running
    this.#healthy = healthy
    this.#bundle = bundle
    this.#care = care
  }

  /** Starts a victim and its healthy senders, and looks at what is usual. */
  static async set(victim: VictimName, bundle: string, sink: number, care = thorough): Promise<Scene> {
    const running = await Running.start(victim, bundle, sink)
    const { headers }: Victim = victims[victim]
    const { grpc, http } = running.ports
    const healthy = new Healthy({ grpc, http, rate: 50, patience: care.patience, ...(headers && { headers }) })
    const scene = new Scene(victim, running, healthy, bundle, care)
    await delay(care.settling)
    await scene.#becalm()
    return scene
  }

  get child(): Child {
    return this.#running.child
  }

  /** Whether it still runs. */
  get alive(): boolean {
    return this.#running.gone === undefined
  }

  async #becalm(): Promise<void> {
    await this.#healthy.tell()
    const cpu = this.#running.cpu()
    const from = performance.now()
    await delay(this.#care.watching)
    const { p99 } = await this.#healthy.tell()
    const share = (this.#running.cpu() - cpu) / ((performance.now() - from) / 1000)
    const held = await this.#running.held()
    if (held !== undefined) this.#calm = { ...held, p99, cpu: share }
  }

  /** Lets one attack happen. */
  async suffer(attack: Attack): Promise<Suffered> {
    const running = this.#running
    const { ports, folder, config } = running
    running.takeOutput()
    await this.#healthy.tell()
    running.forget()
    const target = { ports, folder, config, bundle: this.#bundle }
    let from = performance.now()
    let before = running.cpu()
    const begun = () => {
      from = performance.now()
      before = running.cpu()
      running.forget()
    }
    const seen = await this.#attacker.send(attack, target, begun, running.child.ended)
    const gone = await this.#gone()
    const block = { ...running.block() }
    const usual = (this.#calm.cpu * (performance.now() - from)) / 1000
    const work = running.cpu() - before - usual
    await delay(Math.max(0, from + this.#care.counting - performance.now()))
    const healthy = await this.#healthy.tell()
    const peak = running.peak()
    const late = gone === undefined ? [await this.#remains()] : []
    const output = running.takeOutput()
    const faults = [
      ...seen.faults,
      ...(running.gone === undefined ? [] : [`the process ${running.gone}`]),
      ...(output.includes(canary) ? ['its output shows a value of the environment'] : []),
      ...(hasEscapes(output) ? ['its output has escape codes'] : []),
      ...(peak > limitMib ? [`${peak.toFixed(0)} MiB resident`] : []),
    ]
    const failed = Object.entries(healthy.failed)
      .toSorted((a, b) => b[1] - a[1])
      .slice(0, 4)
      .map(([what, times]) => `healthy senders heard ${times} x ${what}`)
    const slow = [
      ...(block.computed > this.#care.block ? [`the loop was blocked for ${block.computed.toFixed(0)} ms`] : []),
      ...(work > (this.#care.work ?? Infinity) ? [`${work.toFixed(1)} s of CPU`] : []),
      ...(this.#care.latency && healthy.p99 > slowestHealthy ? [`healthy p99 ${healthy.p99.toFixed(0)} ms`] : []),
    ]
    return {
      name: attack.name,
      of: attack.of,
      faults: [...faults, ...slow, ...failed, ...late],
      onlyTime: faults.length === 0 && failed.length === 0 && late.length === 0,
      peak,
      block,
      calm: this.#calm.p99,
      healthy,
      gone,
      took: seen.took,
      heard: seen.heard,
    }
  }

  /** Seconds until all is as it was before. */
  async #gone(): Promise<number | undefined> {
    const from = performance.now()
    const since = () => (performance.now() - from) / 1000
    while (since() < this.#care.gone && this.alive) {
      const at = since()
      if ((await this.#left(this.#care.looking)).length === 0) return at
    }
    return undefined
  }

  /** What is above calm, over so many milliseconds. */
  async #left(milliseconds: number): Promise<string[]> {
    const cpu = this.#running.cpu()
    const from = performance.now()
    await delay(milliseconds)
    const share = (this.#running.cpu() - cpu) / ((performance.now() - from) / 1000)
    const held = await this.#running.held()
    if (held === undefined) return ['no answer']
    const { rss, charged, connections } = this.#calm
    return [
      ...(held.rss > rss + nearCalm.rss ? [`${held.rss.toFixed(0)} MiB resident (${rss.toFixed(0)} before)`] : []),
      ...(held.charged > charged + nearCalm.charged ? [`${(held.charged / 2 ** 20).toFixed(1)} MiB charged`] : []),
      ...(held.connections > connections + nearCalm.connections ? [`${held.connections} connections`] : []),
      ...(this.#care.latency && share > this.#calm.cpu + nearCalm.cpu
        ? [`${(share * 100).toFixed(0)} % of a core`]
        : []),
    ]
  }

  async #remains(): Promise<string> {
    if (!this.alive) return 'gone itself'
    return `${this.#care.gone} s after the attacker left: ${(await this.#left(this.#care.looking)).join(', ')}`
  }

  async close(): Promise<void> {
    this.#attacker.close()
    this.#healthy.close()
    await this.#running.close()
  }
}
