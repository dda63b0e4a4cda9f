import { timerWait } from '../../core/clock.ts'
import type { Entry } from './entry.ts'

/** What waits for a time of its own to be tried again. */
export class Sleepers {
  readonly #timers = new Map<Entry, { readonly timer: NodeJS.Timeout; readonly due: number }>()

  get size(): number {
    return this.#timers.size
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.#timers.keys()
  }

  /** Calls `wake` after `wait` milliseconds, when it is no longer among these; unless it is taken before. */
  add(entry: Entry, wait: number, wake: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(entry)
      wake()
    }, timerWait(wait))
    this.#timers.set(entry, { timer, due: performance.now() + wait })
  }

  /** When the first of them is woken, on the clock of `performance`; undefined where there is none. */
  get next(): number | undefined {
    let next: number | undefined
    for (const { due } of this.#timers.values()) next = Math.min(next ?? due, due)
    return next
  }

  some(which: (entry: Entry) => boolean): boolean {
    for (const entry of this.#timers.keys()) if (which(entry)) return true
    return false
  }

  /** Takes out those that `which` says; they are not woken. */
  take(which: (entry: Entry) => boolean): Entry[] {
    const taken: Entry[] = []
    for (const [entry, { timer }] of this.#timers) {
      if (!which(entry)) continue
      clearTimeout(timer)
      this.#timers.delete(entry)
      taken.push(entry)
    }
    return taken
  }
}
