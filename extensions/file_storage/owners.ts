/** Whose records a log has, and which of them have ended: kept in memory, and in the log as snapshots. */
import { type Backlog, type Ending, endings, type QueueTotals } from '../../core/storage.ts'
import { Spans } from './spans.ts'

type Counts = { -readonly [K in keyof QueueTotals]: number }

const none = (): Counts => ({
  appended: 0,
  corrupt: 0,
  delivered: 0,
  rejected: 0,
  dead_lettered: 0,
  lost: 0,
  returned: 0,
  handed_over: 0,
})

/** A record as its owner counts it. */
export interface Counted {
  readonly ordinal: number
  readonly items: number
  readonly bytes: number
  readonly at: number
}

/** A record of which some items have ended. */
interface Part {
  left: number
  readonly counts: { [K in Ending]?: number }
}

/** What a snapshot says of one owner. */
export interface OwnerState {
  readonly number: number
  readonly name: string
  readonly low: number
  readonly runs: readonly number[]
  readonly totals: QueueTotals
}

/** One destination and signal. Its records are counted from 1 on: the ordinals. */
export class Owner {
  readonly number: number
  readonly name: string
  /** The ordinal of its last record. */
  last = 0
  /** Somebody uses its queue. */
  taken = false
  recovered = 0
  records = 0
  items = 0
  bytes = 0
  /** No record that has not ended is older than this. */
  since: number | undefined
  readonly #ended: Spans
  /** Of records that ended as a whole: only these are kept in the log, since the others come again after a restart. */
  readonly #totals: Counts
  readonly #partial = new Map<number, Part>()

  constructor(state: Pick<OwnerState, 'number' | 'name'> & Partial<OwnerState>) {
    this.number = state.number
    this.name = state.name
    this.#ended = new Spans(state.low, state.runs)
    this.#totals = { ...none(), ...state.totals }
    this.last = state.runs?.at(-1) ?? state.low ?? 0
  }

  get state(): OwnerState {
    const { number, name } = this
    return { number, name, low: this.#ended.low, runs: this.#ended.runs, totals: this.#totals }
  }

  get backlog(): Backlog {
    const { records, items, bytes } = this
    return { records, items, bytes, oldest: records === 0 ? undefined : this.since }
  }

  get totals(): QueueTotals {
    const totals = { ...this.#totals }
    for (const { counts } of this.#partial.values()) for (const kind of endings) totals[kind] += counts[kind] ?? 0
    return totals
  }

  hasEnded(ordinal: number): boolean {
    return this.#ended.has(ordinal)
  }

  /** A record was appended, or found at start. */
  count(record: Counted): void {
    if (this.records === 0 || this.since === undefined || record.at < this.since) this.since = record.at
    if (record.ordinal > this.last) this.last = record.ordinal
    this.records++
    this.items += record.items
    this.bytes += record.bytes
  }

  /** As many items were appended. */
  appended(items: number): void {
    this.#totals.appended += items
  }

  /** `items` of a record ended; true when that was the last of it. */
  end(record: Counted, items: number, ending: Ending | 'corrupt'): boolean {
    const { ordinal } = record
    if (this.#ended.has(ordinal)) return false
    const partial = this.#partial.get(ordinal)
    const left = partial?.left ?? record.items
    const ended = ending === 'corrupt' ? left : Math.min(items, left)
    this.items -= ended
    if (ended < left && ending !== 'corrupt') {
      const kept = partial ?? { left, counts: {} }
      kept.left -= ended
      kept.counts[ending] = (kept.counts[ending] ?? 0) + ended
      if (partial === undefined) this.#partial.set(ordinal, kept)
      return false
    }
    this.#totals[ending] += ended
    if (partial !== undefined) {
      for (const kind of endings) this.#totals[kind] += partial.counts[kind] ?? 0
      this.#partial.delete(ordinal)
    }
    if (ordinal === this.#ended.low + 1) this.since = Math.max(this.since ?? record.at, record.at)
    this.#ended.add(ordinal)
    this.records--
    this.bytes -= record.bytes
    return true
  }

  /** Ordinals that are not in the log: their records ended, or are gone. */
  gone(from: number, to: number): void {
    if (to >= from) this.#ended.add(from, to)
  }

  /** All it has from one ordinal to another ended: `had` together, before parts of it may have. */
  endRange(from: number, to: number, had: Pick<Backlog, 'records' | 'items' | 'bytes'>, ending: Ending): void {
    let left = had.items
    for (const [ordinal, { counts }] of this.#partial) {
      if (ordinal < from || ordinal > to) continue
      this.#partial.delete(ordinal)
      for (const kind of endings) {
        this.#totals[kind] += counts[kind] ?? 0
        left -= counts[kind] ?? 0
      }
    }
    this.#totals[ending] += left
    this.#ended.add(from, to)
    this.items -= left
    this.records -= had.records
    this.bytes -= had.bytes
  }

  /** Everything it has ended. */
  endAll(ending: Ending): void {
    this.#totals[ending] += this.items
    for (const { counts } of this.#partial.values()) for (const kind of endings) this.#totals[kind] += counts[kind] ?? 0
    this.#partial.clear()
    this.#ended.add(1, this.last)
    this.items = 0
    this.records = 0
    this.bytes = 0
  }

  /**
   * Makes the totals agree with what was found at start: items that the totals say must be there and are not were in
   * records that are gone. Returns how many.
   */
  settle(): number {
    const { appended, corrupt } = this.#totals
    let missing = appended - corrupt - this.items
    for (const kind of endings) missing -= this.#totals[kind]
    if (missing > 0) this.#totals.corrupt += missing
    else this.#totals.appended -= missing
    return Math.max(0, missing)
  }
}

/** All owners of a log. */
export class Owners {
  readonly #byNumber = new Map<number, Owner>()
  readonly #byName = new Map<string, Owner>()
  #next = 1
  /** Grows with everything that a snapshot would say differently. */
  version = 0
  /** The version from which on a record may need to be read with a snapshot: a new owner. */
  registered = 0

  byName(name: string): Owner | undefined {
    return this.#byName.get(name)
  }

  byNumber(number: number): Owner | undefined {
    return this.#byNumber.get(number)
  }

  // Not first: without semicolons it would go on with the field before it.
  [Symbol.iterator](): Iterator<Owner> {
    return this.#byNumber.values()
  }

  /** The owner of this name, made if there is none. */
  ask(name: string): Owner {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const owner = new Owner({ number: this.#next, name })
    this.put(owner)
    this.registered = ++this.version
    return owner
  }

  /** Takes an owner as it was found in the log, in place of one of its number. */
  put(owner: Owner): void {
    const before = this.#byNumber.get(owner.number)
    if (before !== undefined) this.#byName.delete(before.name)
    this.#byNumber.set(owner.number, owner)
    this.#byName.set(owner.name, owner)
    this.#next = Math.max(this.#next, owner.number + 1)
  }

  /** What a snapshot says. */
  get snapshot(): string {
    return JSON.stringify([...this].map(({ state: s }) => [s.number, s.name, s.low, s.runs, s.totals]))
  }

  /** What a snapshot said. */
  static read(snapshot: string): OwnerState[] {
    const rows = JSON.parse(snapshot) as [number, string, number, number[], QueueTotals][]
    return rows.map(([number, name, low, runs, totals]) => ({ number, name, low, runs, totals }))
  }
}
