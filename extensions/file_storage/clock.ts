/** Time as the log sees it. */
import { timerWait } from '../../core/clock.ts'

/** What tells time, so that a test can. */
export interface LogClock {
  /** Milliseconds since the epoch; somebody may set it. */
  wall(): number
  /** Milliseconds since some moment; nobody sets it. */
  monotonic(): number
  /** Calls `then` after `ms`, until the returned function is called. Does not keep the process alive. */
  after(ms: number, then: () => void): () => void
}

/** The clock of this machine. */
export const realClock: LogClock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, timerWait(ms)).unref()
    return () => clearTimeout(timer)
  },
}

/** Time that never goes back while the process lives, whatever is done to the machine's clock. */
export class SteadyTime {
  readonly #clock: LogClock
  readonly #start: number
  readonly #from: number

  constructor(clock: LogClock) {
    this.#clock = clock
    this.#start = clock.wall()
    this.#from = clock.monotonic()
  }

  /** Milliseconds since the epoch, as of the clock at the start. */
  now(): number {
    return Math.round(this.#start + this.#clock.monotonic() - this.#from)
  }
}
