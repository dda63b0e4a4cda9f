import type { Batch } from '../../core/batch.ts'
import type { Context } from '../../core/context.ts'
import type { NodeBooks } from '../../core/books.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import { type Target, type Way, Ways } from './outlet.ts'
import { type Tap, tapped } from './tapped.ts'

/**
 * Where the batches of one receiver and signal enter the graph: all pipelines that name the receiver get each of them.
 * Stays when the receiver is replaced by a new instance of itself.
 */
export class Source {
  readonly books: NodeBooks
  readonly #journal: Journal
  readonly #ways: Ways
  /** The ways, and who looks on in front of them. */
  #out: Target
  #state: 'new' | 'connected' | 'closed' = 'new'
  /** What came before there was anywhere to go. */
  #early: Batch[] = []

  constructor(books: NodeBooks, journal: Journal) {
    this.books = books
    this.#journal = journal
    this.#out = this.#ways = new Ways(books)
  }

  /** Hands on to `ways` from now on, what came before that included. */
  connect(ways: readonly Way[]): void {
    this.#ways.set(ways)
    this.#state = 'connected'
    for (const batch of this.#early.splice(0)) this.push(batch)
  }

  /** These look at what comes from here from now on, and no others. */
  tap(taps: readonly Tap[]): void {
    this.#out = tapped(taps, this.#ways)
  }

  /** Nothing comes from here any more. */
  close(): void {
    this.#state = 'closed'
    this.#ways.set([])
    for (const batch of this.#early.splice(0)) this.#turnAway(batch)
  }

  push(batch: Batch): void {
    if (this.#state === 'closed') return this.#turnAway(batch)
    if (this.#state === 'new') return void this.#early.push(batch)
    this.books.in += batch.items
    this.books.out += batch.items
    this.#begin(batch)
    this.#out.push(batch)
  }

  /** Something of a request from there was passed over. */
  remark(from: Context, note: string): void {
    const { name } = this.books
    this.#journal.remark(name, name.signal, from, 'unknown_keys', note)
  }

  #begin(batch: Batch): void {
    const answers = this.books.answersTo(batch.context.transport)
    for (const { delivery } of batch.shares) delivery.reportTo(answers)
    this.#journal.received(this.books.name, batch)
  }

  /** It never came to be part of the graph. */
  #turnAway(batch: Batch): void {
    const { books } = this
    const stopping = new DeliveryError('DELIVERY_STOPPING', 'retry', `receiver ${books.name.id} is stopping`)
    this.#begin(batch)
    if (batch.refusable) {
      books.refused.of('stopping').value += batch.items
      batch.refuse(stopping)
      return
    }
    books.in += batch.items
    books.lost.of('shutdown').value += batch.items
    batch.abandon(stopping)
  }
}
