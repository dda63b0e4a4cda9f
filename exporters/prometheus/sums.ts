/** What deltas had added up to in series that have left the page: a counter that comes back goes on from there. */
import { type Room, textCost } from '../../proto/room.ts'
import type { Bounds, ExponentialHistogram, Histogram, Summary } from './states.ts'
import type { Series } from './table.ts'

/** Bytes of what is kept of a series besides its key and its state, a little more than measured. */
const sumCost = 300

/** What is kept of one series. */
interface Sum {
  readonly value: number
  readonly start: number
  readonly time: number
  readonly updated: number
  readonly state: Histogram | ExponentialHistogram | Summary | undefined
  readonly bounds: Bounds | undefined
  readonly cost: number
}

/** The sums of one table. They take what memory nobody else needs: the one that left first goes first. */
export class Sums {
  readonly #room: Room
  readonly #sums = new Map<string, Sum>()

  constructor(room: Room) {
    this.#room = room
  }

  get size(): number {
    return this.#sums.size
  }

  /** Keeps the sum of a series that has just left and gave back what it took, if there is room for it. */
  keep(series: Series, state: Series['state'], bounds: Bounds | undefined): void {
    const key = keyOf(series)
    this.#drop(key)
    const cost = sumCost + textCost(key) + (state?.cost ?? 0)
    // Older ones make room; they may be the last that have these bounds.
    const needed = (): number => cost + (bounds?.users === 0 ? bounds.cost : 0)
    while (!this.#room.grow(needed())) if (!this.dropOldest()) return
    if (bounds !== undefined) bounds.users++
    const { value, start, time, updated } = series
    this.#sums.set(key, { value, start, time, updated, state, bounds, cost })
  }

  /** Lets a new series go on from its sum; `fits` says whether there is room for a state of so many bytes. */
  resume(series: Series, fits: (bytes: number) => boolean): void {
    const key = keyOf(series)
    const sum = this.#sums.get(key)
    if (sum === undefined) return
    this.#sums.delete(key)
    this.#room.shrink(sum.cost)
    if (sum.state !== undefined && !fits(sum.state.cost)) return this.#unshare(sum.bounds)
    series.value = sum.value
    series.start = sum.start
    series.time = sum.time
    series.updated = sum.updated
    series.state = sum.state
    series.bounds = sum.bounds
    series.isSum = true
  }

  /** Lets go of the oldest sum. False where there is none. */
  dropOldest(): boolean {
    for (const key of this.#sums.keys()) return this.#drop(key)
    return false
  }

  #drop(key: string): boolean {
    const sum = this.#sums.get(key)
    if (sum === undefined) return false
    this.#sums.delete(key)
    this.#room.shrink(sum.cost)
    this.#unshare(sum.bounds)
    return true
  }

  #unshare(bounds: Bounds | undefined): void {
    if (bounds !== undefined && --bounds.users === 0) this.#room.shrink(bounds.cost)
  }
}

const keyOf = ({ family, labels }: Series): string => `${family.type} ${family.name} ${labels}`
