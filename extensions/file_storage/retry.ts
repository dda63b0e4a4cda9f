/** When a disk that failed is tried again. */
import type { LogClock } from './clock.ts'

const firstDelay = 1_000
const longestDelay = 30_000

/** After each failure in a row the wait is twice as long. */
export class Retry {
  /** The disk is to be tried now. */
  isDue = false
  readonly #clock: LogClock
  readonly #wake: () => void
  #delay = firstDelay
  #cancel: (() => void) | undefined

  constructor(clock: LogClock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  /** It failed. */
  later(): void {
    this.cancel()
    this.#cancel = this.#clock.after(this.#delay, () => this.now())
    this.#delay = Math.min(2 * this.#delay, longestDelay)
  }

  /** There is a reason to try at once. */
  now(): void {
    this.cancel()
    this.isDue = true
    this.#wake()
  }

  /** It works. */
  reset(): void {
    this.#delay = firstDelay
  }

  cancel(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
