import type { Memory } from '../proto/growing.ts'
import { NoRoomError } from '../proto/purse.ts'
import type { Budget } from './budget.ts'
import { BufferPool } from './pool.ts'

/** The pool of a budget where each buffer is charged before it is made. Whoever keeps one takes its charge over. */
export class PaidMemory implements Memory {
  readonly #budget: Budget

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** @throws NoRoomError where the budget has no room */
  take(size: number): Buffer {
    if (!this.#budget.tryCharge(BufferPool.cost(size))) throw new NoRoomError()
    return this.#budget.pool.take(size)
  }

  give(buffer: Buffer): void {
    this.#budget.release(BufferPool.cost(buffer.length))
    this.#budget.pool.give(buffer)
  }
}
