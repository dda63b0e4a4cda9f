/**
 * What comes and goes with every request, the oldest first. A Map or a Set makes its table anew every few deletions, and the
 * one before points at the one after: once a table is old, each that follows grows old with it, and so does whatever stood in
 * it, until all of memory is looked through. Here what has left is pointed at by nothing, and points at nothing.
 */

/** What can stand in one chain; the chain alone writes here. */
export interface Chained<T> {
  before: T | undefined
  after: T | undefined
  chain: object | undefined
}

/** See above. */
export class Chain<T extends Chained<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The oldest. */
  get first(): T | undefined {
    return this.#first
  }

  /** Puts `one`, which stands in no chain, at the end. */
  add(one: T): void {
    const last = this.#last
    one.chain = this
    one.before = last
    if (last === undefined) this.#first = one
    else last.after = one
    this.#last = one
    this.#size++
  }

  has(one: T): boolean {
    return one.chain === this
  }

  /** Takes `one` out; false where it does not stand here. */
  delete(one: T): boolean {
    if (one.chain !== this) return false
    const { before, after } = one
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    one.chain = one.before = one.after = undefined
    this.#size--
    return true
  }

  /** Those that are here now. */
  all(): T[] {
    return [...this]
  }

  /** Takes out all; returns them. */
  clear(): T[] {
    const all = this.all()
    for (const one of all) this.delete(one)
    return all
  }

  /** The one that was given last may be taken out meanwhile, and no other. */
  *[Symbol.iterator](): Generator<T, void> {
    for (let one = this.#first; one !== undefined;) {
      const next: T | undefined = one.after
      yield one
      one = next
    }
  }
}
