import { Fifo } from '../flow/fifo.ts'
import type { Entry } from './entry.ts'
import { Sleepers } from './sleepers.ts'

const bySeq = (a: Entry, b: Entry): number => a.seq - b.seq

/** What waits to be sent: for its turn, in the order of arrival, or asleep until a time of its own. */
export class Unsent {
  readonly #ready = new Fifo<Entry>()
  readonly #sleeping = new Sleepers()

  get size(): number {
    return this.#ready.length + this.#sleeping.size
  }

  get asleep(): number {
    return this.#sleeping.size
  }

  *[Symbol.iterator](): Generator<Entry> {
    yield* this.#ready
    yield* this.#sleeping
  }

  /** When the first is to go out, on the clock of `performance`: `now` where one waits for nothing but its turn. */
  next(now: number): number | undefined {
    return this.#ready.length > 0 ? now : this.#sleeping.next
  }

  /** Behind all that wait for their turn. */
  push(entry: Entry): void {
    this.#ready.push(entry)
  }

  /** Whose turn it is. */
  peek(): Entry | undefined {
    return this.#ready.peek()
  }

  /** The same, taken out. */
  shift(): Entry | undefined {
    return this.#ready.shift()
  }

  /** Takes out those that `which` says, awake or asleep, in no order. */
  take(which: (entry: Entry) => boolean): Entry[] {
    return [...this.#ready.remove(which), ...this.#sleeping.take(which)]
  }

  /** Each at its place in the order of arrival. */
  merge(entries: readonly Entry[]): void {
    this.#ready.merge(entries.toSorted(bySeq), bySeq)
  }

  /** Into the queue again, at the place in the order of arrival, if there is anything; says whether there is. */
  putBack(entries: readonly Entry[] | undefined): boolean {
    const first = entries?.[0]
    if (entries === undefined || first === undefined) return false
    this.#ready.insert(entries, other => other.seq < first.seq)
    return true
  }

  /** Has it wait `wait` milliseconds before it waits for its turn, which `woken` hears of. */
  sleep(entry: Entry, wait: number, woken: () => void): void {
    this.#sleeping.add(entry, wait, () => {
      this.putBack([entry])
      woken()
    })
  }

  /** Those that `which` says wait for their turn at once. */
  wake(which: (entry: Entry) => boolean): void {
    this.merge(this.#sleeping.take(which))
  }

  /** Whether one is asleep that `which` says. */
  someAsleep(which: (entry: Entry) => boolean): boolean {
    return this.#sleeping.some(which)
  }
}
