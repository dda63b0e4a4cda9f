import type { Batch } from '../core/batch.ts'
import type { NodeBooks } from '../core/books.ts'
import { type Pipeline, pushAll, type Way } from './pipeline.ts'

/** Where the batches of one receiver and signal enter the graph: all pipelines that name the receiver get each of them. */
export class Source {
  readonly books: NodeBooks
  readonly #ways: readonly Way[]

  constructor(books: NodeBooks, pipelines: readonly Pipeline[]) {
    this.books = books
    this.#ways = pipelines.map(pipeline => pipeline.entrance(books))
  }

  push(batch: Batch): void {
    this.books.in += batch.items
    this.books.out += batch.items
    for (const { delivery } of batch.shares) delivery.reportTo(this.books)
    pushAll(this.#ways, batch)
  }
}
