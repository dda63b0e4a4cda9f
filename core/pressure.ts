/**
 * Memory is short: who holds data that could be let go of is asked to. Between two turns of the event loop, never while
 * something is taken or charged.
 */
import type { Budget } from './budget.ts'

/** Somebody who holds data. */
export interface Pressed {
  /** Bytes that are held. */
  readonly bytes: number
  /** Should let go of about so many. */
  press(bytes: number): void
}

/** Part of the budget from which on holders are asked, and down to which. */
const begins = 0.85
const ends = 0.7

/** The holders of one budget. */
export class Pressure {
  readonly #budget: Budget
  readonly #holders = new Set<Pressed>()
  #due: NodeJS.Immediate | undefined
  /** Bytes that were asked for and have not come back yet: what was emitted is still held by who sends it. */
  #asked = 0

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** Bytes of all that is held. */
  get held(): number {
    let bytes = 0
    for (const holder of this.#holders) bytes += holder.bytes
    return bytes
  }

  /** Asks `holder`, too, until the returned function is called. */
  join(holder: Pressed): () => void {
    this.#holders.add(holder)
    return () => this.#holders.delete(holder)
  }

  /** Something was charged. */
  charged(): void {
    if (this.#holders.size === 0 || this.#due !== undefined) return
    if (this.#budget.used > this.#budget.limit * begins) this.#due = setImmediate(() => this.#ask())
  }

  /** `bytes` came back. */
  released(bytes: number): void {
    if (this.#asked > 0) this.#asked = Math.max(0, this.#asked - bytes)
  }

  #ask(): void {
    this.#due = undefined
    const { used, limit } = this.#budget
    if (used <= limit * begins) return
    const need = used - limit * ends - this.#asked
    if (need <= 0) return
    this.#asked += need
    for (const [holder, bytes] of sharesOf(need, [...this.#holders])) holder.press(bytes)
  }
}

/** Who is to give how much: those above an equal share of what is held, by what they have above it. */
export function sharesOf(need: number, holders: readonly Pressed[]): readonly (readonly [Pressed, number])[] {
  const all = holders.map(holder => [holder, holder.bytes] as const).filter(([, bytes]) => bytes > 0)
  const held = all.reduce((sum, [, bytes]) => sum + bytes, 0)
  const left = Math.max(0, held - need)
  // What each may keep, so that together they keep what is left: the small ones all of theirs.
  let keep = left / Math.max(1, all.length)
  for (let i = 0; i < all.length; i++) {
    const small = all.filter(([, bytes]) => bytes <= keep)
    const rest = all.length - small.length
    if (rest === 0) break
    const next = (left - small.reduce((sum, [, bytes]) => sum + bytes, 0)) / rest
    if (next <= keep) break
    keep = next
  }
  return all.filter(([, bytes]) => bytes > keep).map(([holder, bytes]) => [holder, bytes - keep] as const)
}
