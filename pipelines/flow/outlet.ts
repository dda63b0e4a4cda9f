/** Where what a node hands on goes. Which targets a node has changes with the configuration. */
import type { Batch } from '../../core/batch.ts'
import type { EdgeBooks, NodeBooks } from '../../core/books.ts'
import type { Downstream } from '../../core/component.ts'
import { InternalError } from '../../core/errors.ts'

/** What a node hands its batches to. */
export interface Target {
  push(batch: Batch): void
}

/** Where several nodes hand their batches in, each by its name. */
export interface Inlet {
  /** `from` hands on to here from now on: the books show its edges before anything goes over them. */
  feed(from: NodeBooks): void
  push(batch: Batch, from: NodeBooks): void
}

/** The way into a pipeline. */
export interface Way extends Inlet, Downstream {
  /** Whether nothing may come in now, because something stands inside that nobody can be asked for again. */
  readonly closed: boolean
  /** Calls `listener` when that may no longer be so, until the returned function is called. */
  onRoom(listener: () => void): () => void
  /** Nothing comes from `from` any more: its senders that wait here are refused. */
  shut(from: NodeBooks): void
}

/** From one step to the next. */
export class Link implements Target {
  readonly #edge: EdgeBooks
  readonly #next: Target

  constructor(edge: EdgeBooks, next: Target) {
    this.#edge = edge
    this.#next = next
  }

  push(batch: Batch): void {
    this.#edge.carried += batch.items
    this.#next.push(batch)
  }
}

/** From one node into several pipelines, all of which get each batch. */
export class Ways implements Target, Downstream {
  readonly #from: NodeBooks
  #ways: readonly Way[] = []
  #unhear: readonly (() => void)[] = []
  readonly #idleListeners = new Set<() => void>()

  constructor(from: NodeBooks) {
    this.#from = from
  }

  get ways(): readonly Way[] {
    return this.#ways
  }

  get inFlight(): number {
    let inFlight = 0
    for (const way of this.#ways) inFlight += way.inFlight
    return inFlight
  }

  get closed(): boolean {
    return this.#ways.some(way => way.closed)
  }

  onIdle(listener: () => void): () => void {
    this.#idleListeners.add(listener)
    return () => this.#idleListeners.delete(listener)
  }

  /** Hands on to `ways` from now on; those that are none any more are shut. */
  set(ways: readonly Way[]): void {
    const before = this.#ways
    this.#ways = ways
    for (const way of before) if (!ways.includes(way)) way.shut(this.#from)
    for (const way of ways) way.feed(this.#from)
    for (const unhear of this.#unhear) unhear()
    this.#unhear = ways.map(way => way.onIdle(() => this.#heardIdle()))
  }

  #heardIdle(): void {
    if (this.inFlight === 0) for (const listener of this.#idleListeners) listener()
  }

  push(batch: Batch): void {
    const ways = this.#ways
    if (ways.length === 0) throw new InternalError('there is no pipeline to hand data on to')
    this.#from.doubled += batch.items * (ways.length - 1)
    for (let i = 1; i < ways.length; i++) batch.fork()
    for (const way of ways) way.push(batch, this.#from)
  }
}
