/** The timers of this thread on a clock that is moved, for as long as that is wanted. */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Turns of the loop in which what needs no time is through. */
const turns = 6

/** Lets all go on that waits for no timer. */
export async function settled(): Promise<void> {
  for (let i = 0; i < turns; i++) await nextTurn()
}

interface Due {
  readonly at: number
  readonly work: () => void
}

/** See above. Put in place by `begin`, taken away by `end`. */
export class MovedTimers {
  now = 0
  readonly #due = new Map<object, Due>()
  readonly #set = globalThis.setTimeout
  readonly #clear = globalThis.clearTimeout

  /** Timers that are set. */
  get size(): number {
    return this.#due.size
  }

  begin(): void {
    const set = (work: () => void, ms = 0): object => {
      const timer = { unref: () => timer, ref: () => timer }
      this.#due.set(timer, { at: this.now + ms, work })
      return timer
    }
    globalThis.setTimeout = set as typeof setTimeout
    globalThis.clearTimeout = timer => {
      // One that was set before is none of ours.
      if (typeof timer !== 'object' || !this.#due.delete(timer)) this.#clear(timer)
    }
  }

  end(): void {
    globalThis.setTimeout = this.#set
    globalThis.clearTimeout = this.#clear
  }

  /** Moves on by `ms`, with all that follows. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms
    await settled()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      const [timer, { at, work }] = next
      this.#due.delete(timer)
      this.now = at
      work()
      await settled()
    }
    this.now = end
    await settled()
  }

  #next(end: number): [object, Due] | undefined {
    let next: [object, Due] | undefined
    for (const one of this.#due) if (one[1].at <= end && (next === undefined || one[1].at < next[1].at)) next = one
    return next
  }
}
