import type { Batch } from '../core/batch.ts'
import type { EdgeBooks } from '../core/books.ts'
import { DeliveryError } from '../core/errors.ts'
import type { Journal } from '../core/journal.ts'
import { Fifo } from './fifo.ts'
import type { StepNode } from './step-node.ts'

/**
 * Where one source's batches enter a pipeline. It is shut while something stands at the pipeline's end that finds no room
 * and whose sender was answered already: then senders are refused, or wait where they are to wait for room.
 */
export class PipelineDoor {
  readonly #pipeline: string
  readonly #first: StepNode
  readonly #edge: EdgeBooks
  readonly #journal: Journal
  readonly #end: { closed(): boolean; readonly waits: boolean }
  readonly #waiting = new Fifo<Batch>()
  #stopping = false

  constructor(
    pipeline: string,
    first: StepNode,
    edge: EdgeBooks,
    journal: Journal,
    end: { closed(): boolean; readonly waits: boolean },
  ) {
    this.#pipeline = pipeline
    this.#first = first
    this.#edge = edge
    this.#journal = journal
    this.#end = end
    edge.held = () => {
      let items = 0
      for (const batch of this.#waiting) items += batch.items
      return items
    }
  }

  push(batch: Batch): void {
    if (this.#waiting.length === 0 && !this.#end.closed()) return this.#enter(batch)
    for (const gone of this.#waiting.remove(one => one.withdrawn)) this.#refuse(gone)
    if (this.#end.waits && batch.refusable && !this.#stopping) this.#waiting.push(batch)
    else this.#refuse(batch)
  }

  /** There may be room again. */
  admit(): void {
    while (this.#waiting.length > 0 && !this.#end.closed()) {
      const batch = this.#waiting.shift()
      if (batch === undefined) return
      if (batch.withdrawn) this.#refuse(batch)
      else this.#enter(batch)
    }
  }

  /** Nothing waits any longer. */
  stop(): void {
    this.#stopping = true
    for (const batch of this.#waiting.remove(() => true)) this.#refuse(batch)
  }

  #enter(batch: Batch): void {
    this.#edge.carried += batch.items
    this.#first.push(batch)
  }

  #refuse(batch: Batch): void {
    const { books } = this.#first
    this.#edge.carried += batch.items
    const text = `pipeline ${this.#pipeline} waits for room in its queues`
    if (batch.refusable) {
      books.refused.of('pipeline_closed').value += batch.items
      this.#journal.note(books.name, 'refused', batch, 'pipeline_closed', undefined)
      batch.refuse(new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', text))
      return
    }
    // Made by Kymo itself, so that nobody can be asked for it again: it is lost, and the books say so.
    books.in += batch.items
    books.lost.of('pipeline_closed').value += batch.items
    this.#journal.note(books.name, 'lost', batch, 'pipeline_closed', text)
    batch.drop()
  }
}
