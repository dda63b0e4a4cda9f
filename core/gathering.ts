/** Requests that are put together into larger batches, wherever that is done: by a step, or behind the queue of a destination. */
import { apartKey, headersApart } from './apart.ts'
import type { Context } from './context.ts'
import type { Clock, Timer } from './clock.ts'

/** What is put together, as the configuration says. */
export interface GatherSettings {
  /** Size from which on a batch leaves. */
  readonly least: number
  /** Size above which it is cut; 0 never cuts. */
  readonly most: number
  readonly sizer: 'items' | 'bytes'
  /** Milliseconds that the first may wait for more; 0 hands everything on as it comes. */
  readonly timeout: number
  /** Names of request metadata, of which each combination is put together apart. */
  readonly keys: readonly string[]
  /** How many combinations there may be at a time; 0 sets no limit. */
  readonly mostKeys: number
}

/** What gathering does with requests, in words. */
export function gatheringText({ least, timeout, sizer }: Pick<GatherSettings, 'least' | 'timeout' | 'sizer'>): string {
  if (timeout === 0) return 'requests on as they come'
  const size = least > 0 && least < Infinity ? `of ${least} ${sizer}, or ` : ''
  return `requests into larger batches: ${size}of what there is after ${timeout} ms`
}

/** What a gatherer has to know of where it stands. */
export interface GatherTerms<T> {
  readonly clock: Clock
  /** Whether nothing of what it handed on is on its way. */
  readonly isIdle: () => boolean
  /** Whether somebody waits for what comes now to leave. */
  readonly isAwaited: () => boolean
  /** In the unit of the sizer. */
  readonly sizeOf: (one: T) => number
  /** They leave, in the order in which they came. */
  readonly flushed: (gathered: T[], key: string) => void
}

/** Least milliseconds between two batches while several senders are busy, unless size or timeout say otherwise. */
const pace = 2

/** What is gathered for one combination of metadata. */
interface Lot<T> {
  all: T[]
  size: number
  isAwaited: boolean
  timer: Timer | undefined
}

/**
 * What requests must have in common to be put together, as text; '' where they need nothing: what the settings name, and what
 * is `needed` of each behind.
 */
export function keyOf({ keys }: GatherSettings, context: Context, needed: readonly string[]): string {
  if (keys.length === 0) return apartKey(needed, context)
  return apartKey([...new Set([...headersApart(keys), ...needed])], context)
}

/**
 * Gathers until size or timeout. Where somebody waits it follows Nagle: with nothing on its way what is there leaves at the
 * end of the turn, so that what arrived together goes out together; otherwise when that has ended.
 */
export class Gatherer<T> {
  readonly settings: GatherSettings
  readonly #terms: GatherTerms<T>
  /** The oldest first. */
  readonly #lots = new Map<string, Lot<T>>()
  /** Of how many somebody waits. */
  #awaited = 0
  #soon: Timer | undefined
  /** Whether the last that left was made of several requests, and when that was. */
  #crowded = false
  #flushedAt = 0

  constructor(settings: GatherSettings, terms: GatherTerms<T>) {
    this.settings = settings
    this.#terms = terms
  }

  /** Combinations of metadata of which something is here. */
  get combinations(): number {
    return this.#lots.size
  }

  has(key: string): boolean {
    return this.#lots.has(key)
  }

  /** Takes one in, among those with the same `keyOf`. Where there are too many combinations, the oldest leaves. */
  add(key: string, one: T): void {
    const { least, timeout } = this.settings
    const { clock, sizeOf, isIdle, isAwaited } = this.#terms
    const lot = this.#lots.get(key) ?? this.#open(key)
    lot.all.push(one)
    lot.size += sizeOf(one)
    if (timeout === 0 || lot.size >= least) return this.#flush(key, lot)
    if (!lot.isAwaited && isAwaited()) {
      lot.isAwaited = true
      this.#awaited++
    }
    if (lot.isAwaited && isIdle()) this.idle()
    else lot.timer ??= clock.after(timeout, () => this.#flush(key, lot))
  }

  /**
   * Nothing is on its way any more: what somebody waits for leaves at the end of this turn. After a batch of several requests
   * more are about to come: then not sooner than `pace` after that one. A lone sender is never kept waiting.
   */
  idle(): void {
    if (this.#soon !== undefined || this.#awaited === 0) return
    const { clock } = this.#terms
    const wait = this.#crowded ? this.#flushedAt + pace - clock.now() : 0
    const flush = (): void => {
      this.#soon = undefined
      for (const [key, lot] of this.#lots) if (lot.isAwaited) this.#flush(key, lot)
    }
    this.#soon = wait <= 0 ? clock.soon(flush) : clock.after(wait, flush)
  }

  /** All of it leaves. */
  flush(): void {
    for (const [key, lot] of this.#lots) this.#flush(key, lot)
  }

  /** Takes out what `unwanted` says. */
  remove(unwanted: (one: T) => boolean): T[] {
    const removed: T[] = []
    for (const lot of this.#lots.values()) {
      const kept = lot.all.filter(one => !unwanted(one) || (removed.push(one), false))
      if (kept.length === lot.all.length) continue
      lot.all = kept
      lot.size = kept.reduce((size, one) => size + this.#terms.sizeOf(one), 0)
    }
    return removed
  }

  /** Everything that is here. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const { all } of this.#lots.values()) yield* all
  }

  #open(key: string): Lot<T> {
    const { mostKeys } = this.settings
    if (mostKeys > 0 && this.#lots.size >= mostKeys) {
      const [oldest] = this.#lots
      if (oldest !== undefined) this.#flush(...oldest)
    }
    const lot: Lot<T> = { all: [], size: 0, isAwaited: false, timer: undefined }
    this.#lots.set(key, lot)
    return lot
  }

  #flush(key: string, lot: Lot<T>): void {
    if (this.#lots.get(key) !== lot) return
    this.#lots.delete(key)
    lot.timer?.cancel()
    if (lot.isAwaited) this.#awaited--
    const { all } = lot
    // A table that the map had before may know the lot for long (see `Chain`): not what was in it.
    lot.all = []
    lot.timer = undefined
    if (all.length === 0) return
    this.#crowded = all.length > 1
    this.#flushedAt = this.#terms.clock.now()
    this.#terms.flushed(all, key)
  }
}

/** What can be cut by items: a batch, or a handle of one. */
interface Cuttable<Self> {
  readonly items: number
  cut(items: number): readonly [head: Self, rest: Self | undefined]
}

/**
 * In parts of `most` items, of which only the last has fewer. Cut in the middle first: a cut copies what is behind it, and
 * done from the front many parts would take the square of their number.
 */
export function inParts<T extends Cuttable<T>>(whole: T, most: number): readonly T[] {
  if (whole.items <= most) return [whole]
  const [head, rest] = whole.cut(most * Math.ceil(whole.items / most / 2))
  return rest === undefined ? [head] : [...inParts(head, most), ...inParts(rest, most)]
}
