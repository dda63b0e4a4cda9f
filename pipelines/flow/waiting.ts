import type { Batch } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import { Fifo } from './fifo.ts'

/** So many are looked through without a thought. */
const few = 16

/** A batch that waits, and who handed it in. */
interface Queued {
  readonly batch: Batch
  readonly from: NodeBooks
}

/** Batches that wait for room, first come, first served. */
export class Waiting {
  readonly #queue = new Fifo<Queued>()
  /** How many have to wait for all of them to be looked through again. */
  #lookAt = few

  get length(): number {
    return this.#queue.length
  }

  /** Items that wait, all or those that `from` handed in. */
  items(from?: NodeBooks): number {
    let items = 0
    for (const one of this.#queue) if (from === undefined || one.from === from) items += one.batch.items
    return items
  }

  push(batch: Batch, from: NodeBooks): void {
    this.#queue.push({ batch, from })
  }

  /** The batch that is next. */
  peek(): Batch | undefined {
    return this.#queue.peek()?.batch
  }

  shift(): Queued | undefined {
    const first = this.#queue.shift()
    if (this.length * 4 < this.#lookAt) this.#nextLook()
    return first
  }

  /** Takes out all, or those that `from` handed in. */
  takeAll(from?: NodeBooks): Queued[] {
    const all = this.#queue.remove(one => from === undefined || one.from === from)
    this.#nextLook()
    return all
  }

  /**
   * Takes out what nobody waits for any more: at the front, where those stand who gave up after the same time, and
   * everywhere once twice as many wait as when that was last looked for. So each that comes costs the same, however many wait.
   */
  takeWithdrawn(): Queued[] {
    const gone: Queued[] = []
    for (let first = this.#queue.peek(); first?.batch.withdrawn; first = this.#queue.peek()) {
      gone.push(first)
      this.shift()
    }
    if (this.length < this.#lookAt) return gone
    for (const one of this.#queue.remove(({ batch }) => batch.withdrawn)) gone.push(one)
    this.#nextLook()
    return gone
  }

  #nextLook(): void {
    this.#lookAt = Math.max(few, 2 * this.length)
  }
}
