/**
 * What cumulative series said last, to take differences from. What a batch brings counts only once the batch was taken:
 * until then it stands beside what was known, so that a batch that is sent again gives the same differences.
 */

import { endless, type Room, textCost } from '../../proto/room.ts'

/** Nothing is known, or nothing that it goes on from. */
export const FIRST = 0
/** It goes on from what is known. */
export const NEXT = 1
/** As old as what is known, or older. */
export const OLD = 2
/** It began anew after what is known: all it says is new. */
export const RESET = 3

/** How a point stands to what is known of its series. */
export type Relation = typeof FIRST | typeof NEXT | typeof OLD | typeof RESET

/** What is known of one series. */
export class Series<More> {
  /** Times in nanoseconds; -1 where nothing is known. */
  time = -1
  start = 0
  value = 0
  /** Whatever else is known of it. */
  more: More | undefined = undefined
  /** When it was last heard of, in milliseconds. */
  seen = -Infinity
  // What the batch of that number says.
  batch = 0
  newTime = 0
  newStart = 0
  newValue = 0
  newMore: More | undefined = undefined
  /** Bytes taken for whatever else is known of it. */
  cost = 0
}

/** Bytes of a series, of a group of them, and of the entry that leads to either, besides their names. */
const seriesCost = 300
const groupCost = 700

/** All series of one exporter, of one kind. */
export class Differences<More = undefined> {
  readonly #groups = new Map<string, Map<string, Series<More>>>()
  /** Milliseconds after which a series that was not heard of is forgotten. */
  lifetime: number
  readonly #now: () => number
  readonly #room: Room
  #batch = 0
  #touched: Series<More>[] = []
  #swept: number

  /**
   * @param lifetime milliseconds after which a series that was not heard of is forgotten
   * @param now milliseconds since some moment
   * @param room where memory for series is taken
   */
  constructor(lifetime: number, now: () => number, room: Room = endless) {
    this.lifetime = lifetime
    this.#room = room
    this.#now = now
    this.#swept = now()
  }

  /** Begins a batch; what an earlier one brought and was not committed is forgotten. Gives its number. */
  begin(): number {
    this.#touched = []
    return ++this.#batch
  }

  /** The series with that name in a group; undefined where there is no memory for another one. */
  series(group: string, name: string): Series<More> | undefined {
    let names = this.#groups.get(group)
    const known = names?.get(name)
    if (known !== undefined) return known
    if (!this.#room.grow(seriesCost + textCost(name))) return undefined
    if (names === undefined) {
      if (!this.#room.grow(groupCost + textCost(group))) {
        this.#room.shrink(seriesCost + textCost(name))
        return undefined
      }
      this.#groups.set(group, (names = new Map()))
    }
    const series = new Series<More>()
    names.set(name, series)
    return series
  }

  /** Makes room for whatever else is to be known of a series: what was, and what the batch says. */
  fits(series: Series<More>, bytes: number): boolean {
    const more = 2 * bytes - series.cost
    if (more > 0 && !this.#room.grow(more)) return false
    series.cost += Math.max(0, more)
    return true
  }

  /** How a point stands to what is known. */
  relation(series: Series<More>, start: number, time: number): Relation {
    const mine = series.batch === this.#batch
    const known = mine ? series.newTime : series.time
    if (known < 0) return FIRST
    if (time <= known) return OLD
    // A start that is not known says nothing; one that is the point's time says only where counting stands.
    if (start === 0) return NEXT
    if (start === time) return FIRST
    const began = mine ? series.newStart : series.start
    // One that is not later is that of what was counted so far, too.
    if (start <= began || (began === 0 && start < known)) return NEXT
    return start >= known ? RESET : FIRST
  }

  /** What the series said last. */
  value(series: Series<More>): number {
    return series.batch === this.#batch ? series.newValue : series.value
  }

  more(series: Series<More>): More | undefined {
    return series.batch === this.#batch ? series.newMore : series.more
  }

  /** Notes what the series says now. One that does not say when it began has begun when it was known to, as long as it goes on. */
  note(series: Series<More>, start: number, time: number, value: number, more?: More): void {
    const before = series.batch === this.#batch ? series.newStart : series.start
    const goesOn = start === 0 && value >= this.value(series)
    if (series.batch !== this.#batch) {
      series.batch = this.#batch
      this.#touched.push(series)
    }
    series.newStart = goesOn ? before : start
    series.newTime = time
    series.newValue = value
    series.newMore = more
  }

  /** Makes what the batch of that number brought the last that is known, and forgets what was not heard of for long. */
  commit(batch: number): void {
    const now = this.#now()
    if (batch === this.#batch) {
      for (const series of this.#touched) {
        series.time = series.newTime
        series.start = series.newStart
        series.value = series.newValue
        series.more = series.newMore
        series.batch = 0
        series.seen = now
      }
      this.#touched = []
    }
    // Only here: while nothing is taken nothing is forgotten, so that a batch sent again stays what it was.
    if (now - this.#swept > this.lifetime / 2) this.#sweep(now)
  }

  #sweep(now: number): void {
    this.#swept = now
    for (const [group, names] of this.#groups) {
      for (const [name, series] of names) {
        if (now - series.seen <= this.lifetime) continue
        names.delete(name)
        this.#room.shrink(seriesCost + textCost(name) + series.cost)
      }
      if (names.size > 0) continue
      this.#groups.delete(group)
      this.#room.shrink(groupCost + textCost(group))
    }
  }

  /** How many series are known. */
  get size(): number {
    let size = 0
    for (const names of this.#groups.values()) size += names.size
    return size
  }
}
