/** A clock that a test moves. */
import type { Clock, TimedWork, Timer } from '../../core/clock.ts'

interface Due {
  at: number
  readonly order: number
  readonly every: number
  readonly work: TimedWork
}

/** Time stands until `advance`. */
export class MovableClock implements Clock {
  #now = 0
  #order = 0
  readonly #due = new Set<Due>()

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  soon(work: TimedWork): Timer {
    return this.after(0, work)
  }

  after(ms: number, work: TimedWork): Timer {
    return this.#set(ms, 0, work)
  }

  every(ms: number, work: TimedWork): Timer {
    return this.#set(ms, ms, work)
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#due.size
  }

  /** Moves time on: one timer at a time, each with all that follows from it. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settled()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = Math.max(this.#now, next.at)
      if (next.every > 0) next.at = this.#now + next.every
      else this.#due.delete(next)
      await next.work()
      await settled()
    }
    this.#now = end
  }

  /** Sets time forward at once: what was due meanwhile runs once. */
  async jump(ms: number): Promise<void> {
    this.#now += ms
    await this.advance(0)
  }

  #set(ms: number, every: number, work: TimedWork): Timer {
    const due = { at: this.#now + ms, order: this.#order++, every, work }
    this.#due.add(due)
    return { cancel: () => void this.#due.delete(due) }
  }

  #next(end: number): Due | undefined {
    let next: Due | undefined
    for (const one of this.#due) {
      if (one.at > end) continue
      if (next === undefined || one.at < next.at || (one.at === next.at && one.order < next.order)) next = one
    }
    return next
  }
}

/** Everything that was begun and waits for nothing but its turn. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
