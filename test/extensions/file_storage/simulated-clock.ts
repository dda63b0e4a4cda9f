import type { LogClock } from '../../../extensions/file_storage/clock.ts'

/** Time that passes when the test says so. */
export class SimulatedClock implements LogClock {
  #now = 0
  /** What somebody set the machine's clock to. */
  wallOffset = 1_700_000_000_000
  readonly #timers = new Set<{ readonly at: number; readonly call: () => void }>()

  wall(): number {
    return this.wallOffset + this.#now
  }

  monotonic(): number {
    return this.#now
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Lets `ms` pass, and calls what is due then. */
  pass(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers) {
      if (timer.at > this.#now) continue
      this.#timers.delete(timer)
      timer.call()
    }
  }
}
