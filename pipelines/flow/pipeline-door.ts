import type { Batch } from '../../core/batch.ts'
import type { Books, NodeBooks } from '../../core/books.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import { FanOut } from './fanout.ts'
import { Link, type Way } from './outlet.ts'
import type { StepNode } from './step-node.ts'
import { Waiting } from './waiting.ts'

/** What a door is to know of its pipeline. */
export interface BehindDoor {
  readonly id: string
  /** Something stands at its end that nobody can be asked for again. */
  readonly closed: boolean
  /** Senders wait for room instead of being refused. */
  readonly waits: boolean
  onRoom(listener: () => void): () => void
}

/**
 * Where one source's batches enter a pipeline. It is shut while something stands at the pipeline's end that finds no room
 * and whose sender was answered already: then senders are refused, or wait where they are to wait for room.
 */
export class PipelineDoor implements Way {
  readonly #pipeline: BehindDoor
  readonly #source: NodeBooks
  readonly #books: Books
  readonly #journal: Journal
  readonly #waiting = new Waiting()
  /** The first step, or without steps a fan-out of its own. */
  #inside: Link | FanOut
  #unheld: (() => void) | undefined
  #isOpen = false
  #isShut = false

  constructor(pipeline: BehindDoor, source: NodeBooks, inside: StepNode | FanOut, books: Books, journal: Journal) {
    this.#pipeline = pipeline
    this.#source = source
    this.#books = books
    this.#journal = journal
    this.#inside = this.#way(inside)
  }

  /** What comes goes to `inside` from now on, and what waits here, too. */
  lead(inside: StepNode | FanOut): void {
    const before = this.#inside
    if (before === inside || (before instanceof Link && before.next === inside)) return
    const waiting = this.#held()
    const now = this.#way(inside)
    before.close()
    before.owe(-waiting)
    now.owe(waiting)
    this.#inside = now
    if (this.#isOpen) now.open()
    if (now instanceof FanOut) for (const batch of this.#waiting.takeAll()) now.enter(batch)
    else this.admit()
  }

  #way(inside: StepNode | FanOut): Link | FanOut {
    this.#unheld?.()
    this.#unheld = undefined
    if (inside instanceof FanOut) return inside
    const edge = this.#books.edge(this.#source, inside.books)
    this.#unheld = edge.holds(() => this.#held())
    return new Link(edge, inside)
  }

  leadsTo(inside: FanOut): boolean {
    return this.#inside === inside
  }

  get closed(): boolean {
    return this.#inside instanceof FanOut ? this.#inside.closed : this.#pipeline.closed
  }

  onRoom(listener: () => void): () => void {
    return this.#pipeline.onRoom(listener)
  }

  open(): void {
    this.#isOpen = true
    this.#isShut = false
    this.#inside.open()
  }

  close(): void {
    this.#isOpen = false
    this.#inside.close()
  }

  owe(items: number): void {
    this.#inside.owe(items)
  }

  push(batch: Batch): void {
    if (this.#inside instanceof FanOut) return this.#inside.enter(batch)
    if (this.#waiting.length === 0 && !this.closed) return this.#inside.push(batch)
    for (const gone of this.#waiting.takeWithdrawn()) this.#refuse(gone)
    if (this.#pipeline.waits && batch.refusable && !this.#isShut) this.#waiting.push(batch)
    else this.#refuse(batch)
  }

  /** There may be room again. */
  admit(): void {
    while (this.#waiting.length > 0 && !this.closed) {
      const batch = this.#waiting.shift()
      if (batch === undefined) return
      if (batch.withdrawn) this.#refuse(batch)
      else this.#inside.push(batch)
    }
  }

  shut(): void {
    this.#isShut = true
    for (const batch of this.#waiting.takeAll()) this.#refuse(batch)
  }

  /** Nothing is left of it, in the books neither. */
  discard(): void {
    this.close()
    this.shut()
    this.#unheld?.()
  }

  #held(): number {
    return this.#waiting.items
  }

  #refuse(batch: Batch): void {
    // Only before steps does anything wait here.
    if (this.#inside instanceof FanOut) return this.#inside.enter(batch)
    const { edge } = this.#inside
    const books = edge.to
    edge.carried += batch.items
    const text = `pipeline ${this.#pipeline.id} waits for room in its queues`
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
    batch.lose('pipeline_closed')
  }
}
