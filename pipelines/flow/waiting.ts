import type { Batch } from '../../core/batch.ts'
import { Fifo } from './fifo.ts'

/** So many are looked through without a thought. */
const few = 16

/** Batches that wait for room, first come, first served. */
export class Waiting {
  readonly #batches = new Fifo<Batch>()
  /** How many have to wait for all of them to be looked through again. */
  #lookAt = few

  get length(): number {
    return this.#batches.length
  }

  get items(): number {
    let items = 0
    for (const batch of this.#batches) items += batch.items
    return items
  }

  push(batch: Batch): void {
    this.#batches.push(batch)
  }

  peek(): Batch | undefined {
    return this.#batches.peek()
  }

  shift(): Batch | undefined {
    const batch = this.#batches.shift()
    if (this.length * 4 < this.#lookAt) this.#nextLook()
    return batch
  }

  /** Takes out all. */
  takeAll(): Batch[] {
    this.#lookAt = few
    return this.#batches.remove(() => true)
  }

  /**
   * Takes out what nobody waits for any more: at the front, where those stand who gave up after the same time, and
   * everywhere once twice as many wait as when that was last looked for. So each that comes costs the same, however many wait.
   */
  takeWithdrawn(): Batch[] {
    const gone: Batch[] = []
    for (let first = this.peek(); first?.withdrawn; first = this.peek()) {
      gone.push(first)
      this.shift()
    }
    if (this.length < this.#lookAt) return gone
    for (const batch of this.#batches.remove(one => one.withdrawn)) gone.push(batch)
    this.#nextLook()
    return gone
  }

  #nextLook(): void {
    this.#lookAt = Math.max(few, 2 * this.length)
  }
}
