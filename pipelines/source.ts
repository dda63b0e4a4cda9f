import type { Batch } from '../core/batch.ts'
import type { NodeBooks } from '../core/books.ts'
import type { Journal } from '../core/journal.ts'
import { type Pipeline, pushAll, type Way } from './pipeline.ts'

/** Where the batches of one receiver and signal enter the graph: all pipelines that name the receiver get each of them. */
export class Source {
  readonly books: NodeBooks
  readonly #ways: readonly Way[]
  readonly #journal: Journal

  constructor(books: NodeBooks, pipelines: readonly Pipeline[], journal: Journal) {
    this.#journal = journal
    this.books = books
    this.#ways = pipelines.map(pipeline => pipeline.entrance(books))
  }

  push(batch: Batch): void {
    this.books.in += batch.items
    this.books.out += batch.items
    const answers = this.books.answersTo(batch.context.transport)
    for (const { delivery } of batch.shares) delivery.reportTo(answers)
    this.#journal.received(this.books.name, batch)
    pushAll(this.#ways, batch)
  }
}
