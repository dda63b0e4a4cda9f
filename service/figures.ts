/** Figures of the process: time, CPU, memory. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { type Clock, machineClock, type Timer } from '../core/clock.ts'
import type { ProcessFigures } from '../telemetry/family.ts'

/** Milliseconds for which figures are good enough, so that one scrape reads them once. */
const fresh = 50

/**
 * Milliseconds between two looks at the loop: what a block may be longer than it is told. Each wakes the process up, which
 * is 30 microseconds: looking every ten milliseconds is half a percent of a core with nothing to do.
 */
const resolution = 50

/**
 * Milliseconds for which the loop is looked at after somebody has asked: longer than anybody pauses who asks again and again.
 * Where nobody asks, the looks are half of what a process does that has nothing to do.
 */
const interest = 300_000

/** Looks at the loop; another one in tests. */
export type LoopDelay = Pick<ReturnType<typeof monitorEventLoopDelay>, 'enable' | 'disable' | 'reset' | 'count' | 'max'>

/** Reads the figures, at most every few milliseconds. */
export class ProcessMeter {
  readonly #clock: Clock
  readonly #delay: LoopDelay
  #figures: ProcessFigures | undefined
  #at = -Infinity
  #loop = performance.eventLoopUtilization()
  #forgotten: Timer | undefined

  constructor(clock: Clock = machineClock, delay: LoopDelay = monitorEventLoopDelay({ resolution })) {
    this.#clock = clock
    this.#delay = delay
  }

  /** Looks at the loop no more. */
  stop(): void {
    this.#forgotten?.cancel()
    this.#delay.disable()
  }

  read(): ProcessFigures {
    const now = this.#clock.now()
    if (this.#figures !== undefined && now - this.#at < fresh) return this.#figures
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const before = this.#loop
    this.#loop = performance.eventLoopUtilization()
    this.#at = now
    // In nanoseconds from look to look, so that of each the pause that was meant has to be taken off.
    const longest = this.#delay.count === 0 ? 0 : Math.max(0, this.#delay.max / 1e6 - resolution)
    this.#delay.reset()
    this.#watch()
    this.#figures = {
      uptimeSeconds: process.uptime(),
      cpuSeconds: (user + system) / 1e6,
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      externalBytes: external,
      eventLoopUtilization: performance.eventLoopUtilization(this.#loop, before).utilization,
      eventLoopBlockMilliseconds: Math.round(longest * 1000) / 1000,
    }
    return this.#figures
  }

  /** Somebody asks. */
  #watch(): void {
    this.#forgotten?.cancel()
    this.#forgotten = this.#clock.after(interest, () => void this.#delay.disable())
    // Only after a reset: what it saw last is forgotten with it, or the pause until now would be a block.
    this.#delay.enable()
  }
}
