import type { Batch } from '../../core/batch.ts'
import type { Books } from '../../core/books.ts'
import type { Downstream } from '../../core/component.ts'
import type { Journal } from '../../core/journal.ts'
import type { Signal } from '../../proto/signals.ts'
import type { Sink } from '../sending/sink.ts'
import type { Flushing } from '../../plan/who-waits.ts'
import { FanOut } from './fanout.ts'
import { Link, type Target, type Way } from './outlet.ts'
import { FirstStep, PipelineDoor } from './pipeline-door.ts'
import type { StepNode } from './step-node.ts'
import { type Tap, tapped, type TapSide } from './tapped.ts'

/**
 * One entry of `service.pipelines`, running: a door, processors in order, then a fan-out to all exporters. Stays when its
 * processors and exporters change; those that leave hand on what they hold to where they did, and what comes out of them
 * goes to the exporters as they are then.
 */
export class Pipeline implements Downstream {
  readonly id: string
  readonly signal: Signal
  readonly #books: Books
  readonly #journal: Journal
  readonly #end: FanOut
  readonly #door: PipelineDoor
  #steps: readonly StepNode[] = []
  /** Who looks on, by side and step. */
  readonly #taps = { in: new Map<StepNode, readonly Tap[]>(), out: new Map<StepNode, readonly Tap[]>() }
  /** Takes what waits here out of the books. */
  #unheld: (() => void) | undefined

  constructor(id: string, signal: Signal, books: Books, journal: Journal) {
    this.id = id
    this.signal = signal
    this.#books = books
    this.#journal = journal
    this.#end = new FanOut(books, journal)
    this.#door = new PipelineDoor(this.#end)
  }

  /** Consists of these from now on. Returns the steps that have no place any more, for `retire`. */
  connect(steps: readonly StepNode[], sinks: readonly Sink[], flushing: Flushing): readonly StepNode[] {
    const leaving = this.#steps.filter(step => !steps.includes(step))
    const end = this.#end
    this.#unheld ??= this.#books.waits(from => this.#door.held(from) + end.held(from))
    this.#steps = steps
    this.exchange(sinks)
    const { isAwaited, answeredBy } = flushing
    for (const step of steps) step.flushBy({ isAwaited, answers: step.books.name.id === answeredBy })
    for (const taps of Object.values(this.#taps)) taps.clear()
    this.#lay()
    return leaving
  }

  /** These look at what `step` is handed, or hands on, from now on, and no others; until other steps are connected. */
  tap(step: StepNode, side: TapSide, taps: readonly Tap[]): void {
    this.#taps[side].set(step, taps)
    this.#lay()
  }

  /** Leads from the door to the end: past whoever looks on, where somebody does. */
  #lay(): void {
    const end = this.#end
    const steps = this.#steps
    const into = (step: StepNode): Target => tapped(this.#taps.in.get(step) ?? [], step)
    steps.forEach((step, i) => {
      const { books } = step
      const next = steps.at(i + 1)
      if (next === undefined) end.feed(books)
      const way =
        next === undefined
          ? { push: (batch: Batch) => end.push(batch, books) }
          : new Link(this.#books.edge(books, next.books), into(next))
      step.connect(tapped(this.#taps.out.get(step) ?? [], way))
    })
    const first = steps.at(0)
    this.#door.lead(first === undefined ? end : new FirstStep(this.id, first, into(first), this.#books, this.#journal))
  }

  /** Hands to these sinks from now on. */
  exchange(sinks: readonly Sink[]): void {
    this.#end.connect(sinks)
  }

  get steps(): readonly StepNode[] {
    return this.#steps
  }

  get sinks(): readonly Sink[] {
    return this.#end.sinks
  }

  /** The way in, for every source. */
  get way(): Way {
    return this.#door
  }

  get inFlight(): number {
    return this.#end.inFlight
  }

  onIdle(listener: () => void): () => void {
    return this.#end.onIdle(listener)
  }

  get closed(): boolean {
    return this.#end.closed
  }

  /** Items that wait for room, at its end and in front of it. */
  get waiting(): number {
    return this.#end.held() + this.#door.held()
  }

  start(): void {
    for (const step of this.#steps.toReversed()) step.start()
  }

  /** Lets steps that left hand on what they hold, from the front to the back. */
  async retire(steps: readonly StepNode[], deadline: number): Promise<void> {
    for (const step of steps) await step.stop(deadline)
  }

  /** Flushes the steps from the front to the back. */
  async stop(deadline: number): Promise<void> {
    this.#door.stop()
    await this.retire(this.#steps, deadline)
  }

  /** Gives up what waits for room. */
  stopFanOut(): void {
    this.#end.stop()
    this.#door.giveUp()
  }

  /** Nothing is left of it, in the books neither. */
  discard(): void {
    this.#door.giveUp()
    this.#end.connect([])
    this.#unheld?.()
  }
}
