/**
 * The memory that data may take, in bytes. Data in flight is charged when it arrives and given back when the last holder lets
 * go; what components keep beside it is charged through accounts.
 */

import type { Account } from './account.ts'
import { HostKey } from './host.ts'
import { BufferPool } from './pool.ts'
import { Pressure } from './pressure.ts'
import { Turns } from './turns.ts'

/** Called when room may have come back. */
type Waiter = () => void

/** One budget per process. It is asked at the door; what is already inside charges it whatever it says. */
export class Budget {
  /** Bytes that may be held at once. */
  limit: number
  /** Bytes held now, by data in flight and by accounts. */
  used = 0
  /** Bytes of those that accounts hold: what is kept beside the data. */
  kept = 0
  /** The accounts that are in use. */
  readonly accounts = new Set<Account>()
  /** The most that was ever held. */
  peak = 0
  /** How often the door was closed because of this budget. */
  refusals = 0
  /** Set by the sampler of resident memory: while true nothing new is taken, whatever the sum says. */
  pressed = false
  /** Buffers of bodies, to be used again. What lies idle in it is not charged; it is bounded by itself. */
  readonly pool = new BufferPool()
  /** Time is shared out beside memory: what a large request takes of it goes in turns. */
  readonly turns = new Turns()
  /** Who can let go of data when memory is short. */
  readonly pressure = new Pressure(this)

  readonly #waiters = new Set<Waiter>()
  #alarm = Infinity
  #ring: (() => void) | undefined

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

  /** Bytes that data in flight holds. */
  get inFlight(): number {
    return this.used - this.kept
  }

  /** Whether data in flight takes more than half of what it may; what is in no hurry waits then. */
  get crowded(): boolean {
    return this.inFlight > (this.limit - this.kept) / 2
  }

  /** Charges `bytes` of an account if there is room: all of them get half of the budget, so that data still comes in. */
  tryKeep(bytes: number): boolean {
    if (this.pressed || this.kept + bytes > this.limit / 2 || this.used + bytes > this.limit) return false
    this.kept += bytes
    this.charge(bytes)
    return true
  }

  /** Gives `bytes` of an account back. */
  letGo(bytes: number): void {
    this.kept -= bytes
    this.release(bytes)
  }

  /** Charges `bytes` that exist already. */
  charge(bytes: number): void {
    this.used += bytes
    if (this.used > this.peak) this.peak = this.used
    if (this.used > this.#alarm) this.#wake()
    this.pressure.charged()
  }

  /**
   * Calls `ring` once, at the first charge from which on more than `bytes` more than now are held. For one who looks now and
   * then, and sooner when there is something to see; the one before is forgotten.
   */
  onGrowth(bytes: number, ring: () => void): void {
    this.#alarm = this.used + bytes
    this.#ring = ring
  }

  #wake(): void {
    this.#alarm = Infinity
    this.#ring?.()
  }

  /** Gives `bytes` back. */
  release(bytes: number): void {
    this.used -= bytes
    this.pressure.released(bytes)
    if (this.#waiters.size > 0) for (const waiter of this.#waiters) waiter()
  }

  /** Calls `waiter` after each release, until the returned function is called. */
  onRelease(waiter: Waiter): () => void {
    this.#waiters.add(waiter)
    return () => this.#waiters.delete(waiter)
  }
}

/** The memory budget of the process. */
export const budgetKey = new HostKey<Budget>('memory budget')
