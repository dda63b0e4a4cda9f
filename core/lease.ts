import type { Budget } from './budget.ts'
import { InternalError } from './errors.ts'

/**
 * The charge for one buffer that slices of batches point into. It counts the items whose bytes may still be read; when
 * the last of them ended, the buffer's bytes go back to the budget. Counting items, not holders, means that filters and
 * splits need no bookkeeping: each part gives back as many as it carries.
 */
export class Lease {
  /** Bytes of the buffer that stays alive as long as this lease. */
  bytes: number
  readonly #budget: Budget
  #items: number
  #buffer: Buffer | undefined

  /**
   * Takes over a charge of `bytes` that was made on `budget` when they arrived. A `buffer` that nobody else has goes back to
   * the budget's pool at the end.
   */
  constructor(budget: Budget, bytes: number, items: number, buffer?: Buffer) {
    this.#budget = budget
    this.bytes = bytes
    this.#items = items
    this.#buffer = buffer
  }

  /** Items that still hold the buffer. */
  get items(): number {
    return this.#items
  }

  /** Further holders of `items` (fan-out). */
  hold(items: number): void {
    this.#items += items
  }

  /** `items` need the buffer no more. */
  release(items: number): void {
    this.#items -= items
    if (this.#items > 0) return
    if (this.#items < 0) throw new InternalError(`lease released ${-this.#items} items too many`)
    this.#budget.release(this.bytes)
    this.bytes = 0
    if (this.#buffer !== undefined) this.#budget.pool.give(this.#buffer)
    this.#buffer = undefined
  }

  /** Somebody may read the buffer even after all items ended (an attempt that was given up, not ended): it is not used again. */
  keepFromPool(): void {
    this.#buffer = undefined
  }

  /** Charges `bytes` more that live as long as the buffer: edited resources. */
  grow(bytes: number): void {
    this.bytes += bytes
    this.#budget.charge(bytes)
  }

  /** A lease of its own for `items` of this one, which were copied into an exact buffer of `bytes`. */
  copy(bytes: number, items: number): Lease {
    this.#budget.charge(bytes)
    this.release(items)
    return new Lease(this.#budget, bytes, items)
  }
}
