/** Where what a node hands on goes, and the account of it. Which outlet a node has changes with the configuration. */
import type { Batch } from '../../core/batch.ts'
import type { EdgeBooks } from '../../core/books.ts'
import { InternalError } from '../../core/errors.ts'
import type { StepNode } from './step-node.ts'

/** What a node hands its batches to. */
export interface Target {
  push(batch: Batch): void
}

/** Where a node hands all to that it hands on, while it is open. */
export interface Outlet extends Target {
  /** All that the node hands on is due here from now on. */
  open(): void
  close(): void
  /** `items` come besides: an instance of the node that was replaced still hands on to where it used to. */
  owe(items: number): void
}

/** The way into a pipeline. */
export interface Way extends Outlet {
  /** Whether nothing may come in now, because something stands inside that nobody can be asked for again. */
  readonly closed: boolean
  /** Calls `listener` when that may no longer be so, until the returned function is called. */
  onRoom(listener: () => void): () => void
  /** Nothing comes any more: senders that wait here are refused. */
  shut(): void
}

/** From one step to the next. */
export class Link implements Outlet {
  readonly next: StepNode
  readonly edge: EdgeBooks
  #end: (() => void) | undefined

  constructor(edge: EdgeBooks, next: StepNode) {
    this.edge = edge
    this.next = next
  }

  open(): void {
    this.#end ??= this.edge.begin()
  }

  close(): void {
    this.#end?.()
    this.#end = undefined
  }

  owe(items: number): void {
    this.edge.owe(items)
  }

  push(batch: Batch): void {
    this.edge.carried += batch.items
    this.next.push(batch)
  }
}

/** Into several pipelines, all of which get each batch. */
export class Ways implements Outlet {
  #ways: readonly Way[] = []
  #isOpen = false

  get ways(): readonly Way[] {
    return this.#ways
  }

  /** Hands on to `ways` from now on; those that are none any more are shut. */
  set(ways: readonly Way[]): void {
    const before = this.#ways
    this.#ways = ways
    for (const way of before) {
      if (ways.includes(way)) continue
      way.close()
      way.shut()
    }
    if (this.#isOpen) this.open()
  }

  open(): void {
    this.#isOpen = true
    for (const way of this.#ways) way.open()
  }

  close(): void {
    this.#isOpen = false
    for (const way of this.#ways) way.close()
  }

  owe(items: number): void {
    for (const way of this.#ways) way.owe(items)
  }

  push(batch: Batch): void {
    const ways = this.#ways
    if (ways.length === 0) throw new InternalError('there is no pipeline to hand data on to')
    for (let i = 1; i < ways.length; i++) batch.fork()
    for (let i = 0; i < ways.length; i++) ways[i].push(batch)
  }
}
