import type { RetryConfig } from '../../core/sending.ts'

/** Waits between attempts: exponential, spread at random, never shorter than what the destination asked for. */
export class Backoff {
  readonly #config: RetryConfig
  #next: number

  constructor(config: RetryConfig) {
    this.#config = config
    this.#next = config.initial_interval
  }

  /** Milliseconds to wait now; the next wait is longer. */
  next(atLeast = 0): number {
    const { randomization_factor: spread, multiplier, max_interval } = this.#config
    const wait = this.#next * (1 + spread * (2 * Math.random() - 1))
    this.#next = Math.min(this.#next * multiplier, max_interval)
    return Math.max(wait, atLeast)
  }

  reset(): void {
    this.#next = this.#config.initial_interval
  }
}
