import type { Batch } from '../../core/batch.ts'
import type { Books, NodeBooks } from '../../core/books.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import type { FanOut } from './fanout.ts'
import type { Inlet, Target, Way } from './outlet.ts'
import type { StepNode } from './step-node.ts'
import { Waiting } from './waiting.ts'

/** What stands behind a door. What the door does not let in it books as its own. */
export interface Inside extends Inlet {
  /** Ends a batch that may not come in. */
  turnAway(batch: Batch, from: NodeBooks): void
}

/**
 * Where batches enter a pipeline, from all of its sources. It is shut while something stands at the pipeline's end that
 * finds no room and whose sender was answered already: then senders are refused, or wait where they are to wait for room.
 */
export class PipelineDoor implements Way {
  readonly #end: FanOut
  readonly #waiting = new Waiting()
  readonly #listeners = new Set<() => void>()
  #inside: Inside
  #isShut = false

  constructor(end: FanOut) {
    this.#end = end
    this.#inside = end
    end.onOpen(() => {
      this.#admit()
      for (const listener of this.#listeners) listener()
    })
  }

  /** What comes goes to `inside` from now on, and what waits here, too. */
  lead(inside: Inside): void {
    this.#inside = inside
    this.#admit()
  }

  feed(from: NodeBooks): void {
    this.#inside.feed(from)
  }

  get closed(): boolean {
    return this.#end.closed
  }

  get inFlight(): number {
    return this.#end.inFlight
  }

  onIdle(listener: () => void): () => void {
    return this.#end.onIdle(listener)
  }

  onRoom(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Items that wait here, all or those of `from`. */
  held(from?: NodeBooks): number {
    return this.#waiting.items(from)
  }

  push(batch: Batch, from: NodeBooks): void {
    if (this.#waiting.length === 0 && !this.closed) return this.#inside.push(batch, from)
    for (const gone of this.#waiting.takeWithdrawn()) this.#inside.turnAway(gone.batch, gone.from)
    // What a sender was told is taken waits in any case: nobody would send it again.
    const waits = batch.answered || (this.#end.waits && batch.refusable && !this.#isShut)
    if (waits) this.#waiting.push(batch, from)
    else this.#inside.turnAway(batch, from)
  }

  shut(from: NodeBooks): void {
    this.#sendAway(from)
  }

  /** No sender waits here any more. */
  stop(): void {
    this.#isShut = true
    this.#sendAway()
  }

  /** Nothing waits here any more: what nobody can be asked for again is given up. */
  giveUp(): void {
    this.#isShut = true
    for (const { batch, from } of this.#waiting.takeAll()) this.#inside.turnAway(batch, from)
  }

  /** Refuses those who wait; what was answered stays until there is room. */
  #sendAway(from?: NodeBooks): void {
    const waiting = this.#waiting.takeAll(from)
    for (const one of waiting) {
      if (one.batch.answered) this.#waiting.push(one.batch, one.from)
      else this.#inside.turnAway(one.batch, one.from)
    }
  }

  /** There may be room again. */
  #admit(): void {
    while (!this.closed) {
      const first = this.#waiting.shift()
      if (first === undefined) return
      if (first.batch.withdrawn) this.#inside.turnAway(first.batch, first.from)
      else this.#inside.push(first.batch, first.from)
    }
  }
}

/** The first step of a pipeline, as what stands behind its door. */
export class FirstStep implements Inside {
  readonly #pipeline: string
  readonly #step: StepNode
  readonly #in: Target
  readonly #books: Books
  readonly #journal: Journal

  /** `into` is the step, with whoever looks on in front of it. */
  constructor(pipeline: string, step: StepNode, into: Target, books: Books, journal: Journal) {
    this.#pipeline = pipeline
    this.#step = step
    this.#in = into
    this.#books = books
    this.#journal = journal
  }

  feed(from: NodeBooks): void {
    this.#books.edge(from, this.#step.books)
  }

  push(batch: Batch, from: NodeBooks): void {
    this.#books.edge(from, this.#step.books).carried += batch.items
    this.#in.push(batch)
  }

  turnAway(batch: Batch, from: NodeBooks): void {
    const { books } = this.#step
    this.#books.edge(from, books).carried += batch.items
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
    batch.lose('pipeline_closed')
  }
}
