/** The memory that data in flight may take, in bytes: charged when bytes arrive, given back when the last holder lets go. */

import { BufferPool } from './pool.ts'

/** Called when room may have come back. */
type Waiter = () => void

/** One budget per process. It is asked at the door; what is already inside charges it whatever it says. */
export class Budget {
  /** Bytes that may be held at once. */
  limit: number
  /** Bytes held now. */
  used = 0
  /** The most that was ever held. */
  peak = 0
  /** How often the door was closed because of this budget. */
  refusals = 0
  /** Set by the sampler of resident memory: while true nothing new is taken, whatever the sum says. */
  pressed = false
  /** Buffers of bodies, to be used again. What lies idle in it is not charged; it is bounded by itself. */
  readonly pool = new BufferPool()

  readonly #waiters = new Set<Waiter>()

  constructor(limit: number) {
    this.limit = limit
  }

  /** Charges `bytes` if there is room for them, and says whether there was. */
  tryCharge(bytes: number): boolean {
    if (this.pressed || this.used + bytes > this.limit) {
      this.refusals++
      return false
    }
    this.charge(bytes)
    return true
  }

  /** Charges `bytes` that exist already. */
  charge(bytes: number): void {
    this.used += bytes
    if (this.used > this.peak) this.peak = this.used
  }

  /** Gives `bytes` back. */
  release(bytes: number): void {
    this.used -= bytes
    if (this.#waiters.size > 0) for (const waiter of this.#waiters) waiter()
  }

  /** Calls `waiter` after each release, until the returned function is called. */
  onRelease(waiter: Waiter): () => void {
    this.#waiters.add(waiter)
    return () => this.#waiters.delete(waiter)
  }
}
