import type { Batch } from '../core/batch.ts'
import type { Books, EdgeBooks, NodeBooks } from '../core/books.ts'
import type { Downstream } from '../core/component.ts'
import type { Journal } from '../core/journal.ts'
import type { Signal } from '../proto/signals.ts'
import type { Sink } from './destination.ts'
import { FanOut } from './fanout.ts'
import { PipelineDoor } from './pipeline-door.ts'
import type { StepNode } from './step-node.ts'

/** The way into a pipeline; `edge` is undefined where a fan-out counts. */
export interface Way {
  readonly edge: EdgeBooks | undefined
  /** Whether nothing may come in now, because something stands inside that nobody can be asked for again. */
  closed(): boolean
  /** Calls `listener` when that may no longer be so. */
  onOpen(listener: () => void): void
  push(batch: Batch): void
}

/** Hands a batch to several pipelines. */
export function pushAll(ways: readonly Way[], batch: Batch): void {
  for (let i = 1; i < ways.length; i++) batch.fork()
  for (const way of ways) way.push(batch)
}

/** One entry of `service.pipelines`, running: processors in order, then a fan-out to all exporters. */
export class Pipeline implements Downstream {
  readonly id: string
  readonly signal: Signal
  readonly #books: Books
  readonly #journal: Journal
  readonly #idleListeners = new Set<() => void>()
  #steps: readonly StepNode[] = []
  #sinks: readonly Sink[] = []
  #fanOut: FanOut | undefined
  /** Without processors every source has a fan-out's edges of its own. */
  readonly #fanOuts: FanOut[] = []
  readonly #doors: PipelineDoor[] = []

  constructor(id: string, signal: Signal, books: Books, journal: Journal) {
    this.id = id
    this.signal = signal
    this.#books = books
    this.#journal = journal
  }

  connect(steps: readonly StepNode[], sinks: readonly Sink[]): void {
    this.#steps = steps
    this.#sinks = sinks
    for (let i = 0; i + 1 < steps.length; i++) {
      steps[i].connect(steps[i + 1], this.#books.edge(steps[i].books, steps[i + 1].books))
    }
    const last = steps.at(-1)
    if (last === undefined) return
    this.#fanOut = this.#makeFanOut(last.books)
    last.connect(this.#fanOut, undefined)
    if (sinks.every(sink => sink.accepts)) last.answerFirst(this.#fanOut)
  }

  /** The way in for one source. */
  entrance(source: NodeBooks): Way {
    const first = this.#steps.at(0)
    if (first === undefined) {
      const fanOut = this.#makeFanOut(source)
      return {
        edge: undefined,
        closed: () => fanOut.closed,
        onOpen: listener => fanOut.onOpen(listener),
        push: batch => fanOut.enter(batch),
      }
    }
    const edge = this.#books.edge(source, first.books)
    const door = new PipelineDoor(this.id, first, edge, this.#journal, {
      closed: () => this.#fanOut?.closed === true,
      waits: this.#sinks.some(sink => sink.blocks),
    })
    this.#doors.push(door)
    this.#fanOut?.onOpen(() => door.admit())
    return {
      edge,
      closed: () => this.#fanOut?.closed === true,
      onOpen: listener => this.#fanOut?.onOpen(listener),
      push: batch => door.push(batch),
    }
  }

  get inFlight(): number {
    return this.#fanOuts.reduce((sum, fanOut) => sum + fanOut.inFlight, 0)
  }

  onIdle(listener: () => void): () => void {
    this.#idleListeners.add(listener)
    return () => this.#idleListeners.delete(listener)
  }

  start(): void {
    for (const step of this.#steps.toReversed()) step.start()
  }

  /** Flushes the steps from the front to the back. */
  async stop(deadline: number): Promise<void> {
    for (const door of this.#doors) door.stop()
    for (const step of this.#steps) await step.stop(deadline)
  }

  /** Gives up what waits for room. */
  stopFanOuts(): void {
    for (const fanOut of this.#fanOuts) fanOut.stop()
  }

  #makeFanOut(from: NodeBooks): FanOut {
    const fanOut = new FanOut(
      this.#sinks.map(sink => ({ sink, edge: this.#books.edge(from, sink.books) })),
      this.#journal,
    )
    this.#fanOuts.push(fanOut)
    fanOut.onIdle(() => {
      if (this.inFlight === 0) for (const listener of this.#idleListeners) listener()
    })
    return fanOut
  }
}
