/**
 * Time as components are told it: they read no clock and set no timer themselves, so that a test can move it, and so that
 * what they throw in a timer ends no process.
 */
import { Chain, type Chained } from './chain.ts'
import { HostKey } from './host.ts'

/** What a timer does. The next run waits until what it returns has ended; a rejection is a throw. */
export type TimedWork = () => void | Promise<void>

/** Something that will happen. */
export interface Timer {
  /** It will not. Does nothing once it has. */
  cancel(): void
}

/** Time of one machine, or of a test. */
export interface Clock {
  /** Milliseconds since some moment; nobody sets it. For ages, waits and decisions. */
  now(): number
  /** Milliseconds since the epoch; somebody may set it. For what is written into data. */
  wall(): number
  /** Runs `work` at the end of this turn of the event loop. */
  soon(work: TimedWork): Timer
  /** Runs `work` every `ms` milliseconds; where it was late it runs once. */
  every(ms: number, work: TimedWork): Timer
  /** Runs `work` once, `ms` milliseconds from now. */
  after(ms: number, work: TimedWork): Timer
}

/** The clock of the process. */
export const clockKey = new HostKey<Clock>('clock')

/** The longest that a timer of Node waits, in milliseconds: about 25 days. */
const longestWait = 2 ** 31 - 1

/** So long a timer waits of `ms` milliseconds. What is longer than it can would be over at once. */
export const timerWait = (ms: number): number => Math.min(ms, longestWait)

/** So long one waits until `deadline`, in milliseconds since the epoch; 0 when that is over. */
export const waitUntil = (deadline: number): number => timerWait(Math.max(0, deadline - Date.now()))

/** The clock of this machine. Its timers keep no process alive. */
export const machineClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  soon(work) {
    const immediate = setImmediate(() => void work())
    return { cancel: () => clearImmediate(immediate) }
  },
  every(ms, work) {
    const timer = setInterval(() => void work(), timerWait(ms)).unref()
    return { cancel: () => clearInterval(timer) }
  },
  after(ms, work) {
    const timer = setTimeout(() => void work(), timerWait(ms)).unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Waits `ms` milliseconds; false when `stopping` is aborted before. */
export function pause(clock: Clock, ms: number, stopping: AbortSignal): Promise<boolean> {
  if (stopping.aborted) return Promise.resolve(false)
  return new Promise(resolve => {
    const end = (): void => {
      timer.cancel()
      stopping.removeEventListener('abort', end)
      resolve(!stopping.aborted)
    }
    const timer = clock.after(ms, end)
    stopping.addEventListener('abort', end)
  })
}

/** What `work` comes to, within `ms` milliseconds. What takes longer goes on, but nobody waits for it. @throws Error saying `late` */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>, late: string): Promise<T> {
  const done = new AbortController()
  const tooLong = pause(clock, ms, done.signal).then((isLate): T | Promise<T> => {
    if (isLate) throw new Error(late)
    return work
  })
  try {
    return await Promise.race([work, tooLong])
  } finally {
    done.abort()
  }
}

/** One timer of a component. */
class GuardedTimer implements Timer, Chained<GuardedTimer> {
  before: GuardedTimer | undefined
  after: GuardedTimer | undefined
  chain: object | undefined
  readonly #among: Chain<GuardedTimer>
  readonly #inner: Timer

  constructor(among: Chain<GuardedTimer>, inner: Timer) {
    this.#among = among
    this.#inner = inner
  }

  cancel(): void {
    this.#among.delete(this)
    this.#inner.cancel()
  }
}

/**
 * A clock for one component: what its timers throw goes to `onFault`, what they do does not overlap, and all of them end
 * with `stop`.
 */
export class GuardedClock implements Clock {
  readonly #clock: Clock
  readonly #onFault: (error: unknown) => void
  readonly #around: (work: TimedWork) => void | Promise<void>
  readonly #timers = new Chain<GuardedTimer>()
  #isStopped = false

  /** `around` runs work, where something is to be done before and after it. */
  constructor(
    clock: Clock,
    onFault: (error: unknown) => void,
    around: (work: TimedWork) => void | Promise<void> = work => work(),
  ) {
    this.#clock = clock
    this.#onFault = onFault
    this.#around = around
  }

  now(): number {
    return this.#clock.now()
  }

  wall(): number {
    return this.#clock.wall()
  }

  soon(work: TimedWork): Timer {
    return this.#once(work, run => this.#clock.soon(run))
  }

  after(ms: number, work: TimedWork): Timer {
    return this.#once(work, run => this.#clock.after(ms, run))
  }

  every(ms: number, work: TimedWork): Timer {
    let isBusy = false
    const done = (): void => {
      isBusy = false
    }
    const run = (): void => {
      if (isBusy) return
      isBusy = true
      this.#run(work, done)
    }
    return this.#keep(this.#clock.every(ms, run))
  }

  /** Ends all timers; none is set any more. */
  stop(): void {
    this.#isStopped = true
    for (const timer of this.#timers.clear()) timer.cancel()
  }

  #once(work: TimedWork, set: (run: () => void) => Timer): Timer {
    const timer = this.#keep(
      set(() => {
        this.#timers.delete(timer)
        this.#run(work, nothing)
      }),
    )
    return timer
  }

  #keep(inner: Timer): GuardedTimer {
    const timer = new GuardedTimer(this.#timers, inner)
    if (this.#isStopped) inner.cancel()
    else this.#timers.add(timer)
    return timer
  }

  #run(work: TimedWork, done: () => void): void {
    try {
      const ends = this.#around(work)
      if (ends === undefined) return done()
      ends.then(done, (error: unknown) => {
        done()
        this.#onFault(error)
      })
    } catch (error) {
      done()
      this.#onFault(error)
    }
  }
}

function nothing(): void {}
