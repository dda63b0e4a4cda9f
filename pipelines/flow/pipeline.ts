import type { Books, NodeBooks } from '../../core/books.ts'
import type { Downstream } from '../../core/component.ts'
import type { Journal } from '../../core/journal.ts'
import type { Signal } from '../../proto/signals.ts'
import type { Sink } from '../sending/destination.ts'
import { FanOut } from './fanout.ts'
import { Link, type Outlet, type Way } from './outlet.ts'
import { PipelineDoor } from './pipeline-door.ts'
import type { StepNode } from './step-node.ts'

/**
 * One entry of `service.pipelines`, running: processors in order, then a fan-out to all exporters. Stays when its
 * processors and exporters change; those that leave hand on what they hold to where they did, and what comes out of them
 * goes to the exporters as they are then.
 */
export class Pipeline implements Downstream {
  readonly id: string
  readonly signal: Signal
  readonly #books: Books
  readonly #journal: Journal
  readonly #idleListeners = new Set<() => void>()
  readonly #roomListeners = new Set<() => void>()
  #steps: readonly StepNode[] = []
  /** Still handing on what they hold. */
  readonly #leaving = new Set<StepNode>()
  #sinks: readonly Sink[] = []
  /** Where each step hands on to. */
  #outlets = new Map<NodeBooks, Outlet>()
  /** By whom they are fed: the last step, or without steps each source. */
  readonly #fanOuts = new Map<NodeBooks, FanOut>()
  readonly #doors = new Map<NodeBooks, PipelineDoor>()

  constructor(id: string, signal: Signal, books: Books, journal: Journal) {
    this.id = id
    this.signal = signal
    this.#books = books
    this.#journal = journal
  }

  /** Consists of these from now on. Returns the steps that have no place any more, for `retire`. */
  connect(steps: readonly StepNode[], sinks: readonly Sink[]): readonly StepNode[] {
    const leaving = this.#steps.filter(step => !steps.includes(step))
    for (const step of leaving) {
      step.leave()
      this.#leaving.add(step)
    }
    this.#steps = steps
    this.exchange(sinks)
    this.#chain(steps)
    const last = steps.at(-1)
    const end = last && this.#fanOutOf(last.books)
    for (const step of steps) {
      step.answerFirst(step === last && sinks.every(sink => sink.accepts) ? end : undefined)
    }
    for (const [source, door] of this.#doors) door.lead(steps.at(0) ?? this.#fanOutOf(source))
    this.sweep()
    return leaving
  }

  /** It is no pipeline any more: nothing new comes. Returns its steps, for `retire`. */
  leave(): readonly StepNode[] {
    for (const outlet of this.#outlets.values()) outlet.close()
    for (const step of this.#steps) {
      step.leave()
      this.#leaving.add(step)
    }
    return this.#steps
  }

  /** Hands to these sinks from now on. */
  exchange(sinks: readonly Sink[]): void {
    this.#sinks = sinks
    for (const [from, fanOut] of this.#fanOuts) fanOut.connect(this.#branches(from))
  }

  get sinks(): readonly Sink[] {
    return this.#sinks
  }

  /** Joins each step to the next, and the last to the fan-out. */
  #chain(steps: readonly StepNode[]): void {
    const before = this.#outlets
    const now = new Map<NodeBooks, Outlet>()
    steps.forEach((step, i) => {
      const old = before.get(step.books)
      if (i + 1 === steps.length) now.set(step.books, this.#fanOutOf(step.books))
      else if (old instanceof Link && old.next === steps[i + 1]) now.set(step.books, old)
      else now.set(step.books, new Link(this.#books.edge(step.books, steps[i + 1].books), steps[i + 1]))
    })
    this.#outlets = now
    for (const [from, outlet] of before) if (now.get(from) !== outlet) outlet.close()
    for (const step of steps) {
      const outlet = now.get(step.books)
      outlet?.open()
      if (outlet !== undefined) step.connect(outlet)
    }
  }

  /** The way in for one source, the same each time. */
  entrance(source: NodeBooks): Way {
    let door = this.#doors.get(source)
    if (door === undefined) {
      door = new PipelineDoor(this, source, this.#steps.at(0) ?? this.#fanOutOf(source), this.#books, this.#journal)
      this.#doors.set(source, door)
    }
    return door
  }

  get inFlight(): number {
    let inFlight = 0
    for (const fanOut of this.#fanOuts.values()) inFlight += fanOut.inFlight
    return inFlight
  }

  onIdle(listener: () => void): () => void {
    this.#idleListeners.add(listener)
    return () => this.#idleListeners.delete(listener)
  }

  get closed(): boolean {
    for (const fanOut of this.#fanOuts.values()) if (fanOut.closed) return true
    return false
  }

  get waits(): boolean {
    return this.#sinks.some(sink => sink.blocks)
  }

  onRoom(listener: () => void): () => void {
    this.#roomListeners.add(listener)
    return () => this.#roomListeners.delete(listener)
  }

  /** Items that wait at its end for room. */
  get waiting(): number {
    let items = 0
    for (const fanOut of this.#fanOuts.values()) items += fanOut.held()
    return items
  }

  start(): void {
    for (const step of this.#steps.toReversed()) step.start()
  }

  /** Lets steps that left hand on what they hold, from the front to the back. */
  async retire(steps: readonly StepNode[], deadline: number): Promise<void> {
    for (const step of steps) {
      await step.stop(deadline)
      this.#leaving.delete(step)
    }
    this.sweep()
  }

  /** Flushes the steps from the front to the back. */
  async stop(deadline: number): Promise<void> {
    for (const door of this.#doors.values()) door.shut()
    for (const step of this.#steps) await step.stop(deadline)
  }

  /** Gives up what waits for room. */
  stopFanOuts(): void {
    for (const fanOut of this.#fanOuts.values()) fanOut.stop()
  }

  /** Lets go of the ways in of sources that are none any more. */
  forget(isSource: (source: NodeBooks) => boolean): void {
    for (const [source, door] of this.#doors) {
      if (isSource(source)) continue
      door.discard()
      this.#doors.delete(source)
    }
    this.sweep()
  }

  /** Lets go of fan-outs that nothing comes to any more and that have nothing. */
  sweep(): void {
    if (this.#leaving.size > 0) return
    const last = this.#steps.at(-1)
    const doors = [...this.#doors.values()]
    for (const [from, fanOut] of this.#fanOuts) {
      if (from === last?.books || !fanOut.empty || doors.some(door => door.leadsTo(fanOut))) continue
      fanOut.discard()
      this.#fanOuts.delete(from)
    }
  }

  /** Nothing is left of it, in the books neither. */
  discard(): void {
    for (const door of this.#doors.values()) door.discard()
    for (const outlet of this.#outlets.values()) outlet.close()
    for (const fanOut of this.#fanOuts.values()) fanOut.discard()
  }

  #fanOutOf(from: NodeBooks): FanOut {
    const there = this.#fanOuts.get(from)
    if (there !== undefined) return there
    const fanOut = new FanOut(this.#branches(from), this.#journal)
    this.#fanOuts.set(from, fanOut)
    fanOut.onIdle(() => {
      if (this.inFlight === 0) for (const listener of this.#idleListeners) listener()
    })
    fanOut.onOpen(() => {
      for (const door of this.#doors.values()) door.admit()
      for (const listener of this.#roomListeners) listener()
    })
    return fanOut
  }

  #branches(from: NodeBooks) {
    return this.#sinks.map(sink => ({ sink, edge: this.#books.edge(from, sink.books) }))
  }
}
