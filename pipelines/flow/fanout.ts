import type { Batch } from '../../core/batch.ts'
import type { Books, NodeBooks } from '../../core/books.ts'
import type { Downstream } from '../../core/component.ts'
import { elementAt } from '../../core/element-at.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import type { Sink } from '../sending/sink.ts'
import type { Inside } from './pipeline-door.ts'
import { Waiting } from './waiting.ts'

/** A destination that has no room, and why. */
interface Full {
  readonly sink: Sink
  readonly error: DeliveryError
}

/**
 * The end of a pipeline: hands each batch to all of its destinations. Room is reserved in all required ones before any
 * takes it, so that a sender's retry makes no duplicates.
 */
export class FanOut implements Downstream, Inside {
  #sinks: readonly Sink[] = []
  readonly #books: Books
  readonly #journal: Journal
  /** What waits for room: of senders that wait with it, or that were answered already and cannot be asked again. */
  readonly #waiting = new Waiting()
  readonly #idleListeners = new Set<() => void>()
  readonly #openListeners: (() => void)[] = []
  /** Undo what listening to the sinks did. */
  #unhear: readonly (() => void)[] = []
  #inFlight = 0
  #stopping = false
  /** Made once: functions made where sinks are exchanged would keep those that were there before. */
  readonly #admit = (): void => this.#admitWaiting()
  readonly #done = (): void => {
    this.#inFlight--
    this.#heardIdle()
  }
  readonly #heardIdle = (): void => {
    if (this.inFlight === 0) for (const listener of this.#idleListeners) listener()
  }

  constructor(books: Books, journal: Journal) {
    this.#books = books
    this.#journal = journal
  }

  get sinks(): readonly Sink[] {
    return this.#sinks
  }

  /** Hands to these sinks from now on, what waits here for room included. */
  connect(sinks: readonly Sink[]): void {
    const before = this.#sinks
    if (sinks.length === before.length && sinks.every((sink, i) => sink === before[i])) return
    for (const unhear of this.#unhear) unhear()
    this.#sinks = sinks
    this.#unhear = sinks.flatMap(sink => {
      const { behind } = sink
      return [sink.onRoom(this.#admit), ...(behind === undefined ? [] : [behind.onIdle(this.#heardIdle)])]
    })
    // The new ones may have room.
    this.#admitWaiting()
  }

  feed(from: NodeBooks): void {
    for (const { books } of this.#sinks) this.#books.edge(from, books)
  }

  /** Senders wait for room instead of being refused. */
  get waits(): boolean {
    return this.#sinks.some(sink => sink.blocks)
  }

  /** What is on its way behind connectors, too. */
  get inFlight(): number {
    let inFlight = this.#inFlight
    for (const { behind } of this.#sinks) inFlight += behind?.inFlight ?? 0
    return inFlight
  }

  onIdle(listener: () => void): () => void {
    this.#idleListeners.add(listener)
    return () => this.#idleListeners.delete(listener)
  }

  /** Something stands here that its sender cannot be asked for again: nothing more may come in before it. */
  get closed(): boolean {
    return this.#waiting.length > 0 && !this.#waiting.peek()?.refusable
  }

  /** Calls `listener` when this may no longer be closed. */
  onOpen(listener: () => void): void {
    this.#openListeners.push(listener)
  }

  /** Items that wait for room, all or those that came from `from`. */
  held(from?: NodeBooks): number {
    return this.#waiting.items(from)
  }

  push(batch: Batch, from: NodeBooks): void {
    if (this.#waiting.length > 0) for (const gone of this.#waiting.takeWithdrawn()) this.turnAway(gone.batch, gone.from)
    const full = this.#waiting.length > 0 ? this.#awaited() : this.#reserve(batch)
    if (full === undefined) this.#give(batch, from)
    else if (!this.#stopping && (full.sink.blocks || !batch.refusable)) this.#waiting.push(batch, from)
    else this.#refuse(batch, from, full)
  }

  /**
   * Ends a batch that has to find room here and may not wait for it. While something waits that nobody can be asked for
   * again, nothing more of that kind may come to wait: what a source makes (counts, telemetry of our own) would be without bound.
   */
  turnAway(batch: Batch, from: NodeBooks): void {
    if (batch.refusable) this.#refuse(batch, from, batch.withdrawn ? undefined : this.#awaited())
    else this.#lose(batch, from, 'queue_full')
  }

  /** Nothing waits for room any more: what does is refused, or given up where nobody can be asked. */
  stop(): void {
    this.#stopping = true
    this.#admitWaiting()
    for (const { batch, from } of this.#waiting.takeAll()) this.#refuse(batch, from, this.#awaited())
  }

  /** What is waited for while something waits. */
  #awaited(): Full {
    const sink = this.#sinks.find(one => one.blocks) ?? elementAt(this.#sinks, 0)
    const text = `the queue of exporter ${sink.id} is full, and others wait for room in it`
    return { sink, error: new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', text) }
  }

  /** Reserves room everywhere; undefined when that worked. */
  #reserve(batch: Batch): Full | undefined {
    const sinks = this.#sinks
    for (const sink of sinks) {
      const error = sink.required ? sink.reserve(batch) : undefined
      if (error === undefined) continue
      for (const other of sinks) {
        if (other === sink) break
        if (other.required) other.cancel(batch)
      }
      return { sink, error }
    }
    return undefined
  }

  /** `items` leave `from`, to each of the sinks. */
  #double(from: NodeBooks, items: number): readonly Sink[] {
    from.doubled += items * Math.max(0, this.#sinks.length - 1)
    return this.#sinks
  }

  #give(batch: Batch, from: NodeBooks): void {
    const sinks = this.#double(from, batch.items)
    for (let i = 1; i < sinks.length; i++) batch.fork()
    for (const sink of sinks) {
      this.#books.edge(from, sink.books).carried += batch.items
      if (sink.required || sink.reserve(batch) === undefined) {
        this.#inFlight++
        sink.take(batch, this.#done)
      } else {
        // `when_full: drop` was chosen: the sender hears nothing of it, the books do.
        this.#bookLost(batch, sink, 'queue_full')
        batch.lose('queue_full')
      }
    }
  }

  #refuse(batch: Batch, from: NodeBooks, full: Full | undefined): void {
    if (!batch.refusable) return this.#lose(batch, from, 'shutdown')
    for (const sink of this.#double(from, batch.items)) {
      this.#books.edge(from, sink.books).carried += batch.items
      const reason =
        full === undefined ? 'withdrawn' : sink === full.sink ? reasonOf(full.error) : 'other_destination_full'
      sink.books.refused.of(reason).value += batch.items
      this.#journal.note(sink.books.name, 'refused', batch, reason, undefined)
    }
    batch.refuse(full?.error ?? new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting'))
  }

  /** There is nobody to give it back to, so it is lost, and the books say so. */
  #lose(batch: Batch, from: NodeBooks, reason: 'shutdown' | 'queue_full'): void {
    for (const sink of this.#double(from, batch.items)) {
      this.#books.edge(from, sink.books).carried += batch.items
      this.#bookLost(batch, sink, reason)
    }
    if (reason === 'queue_full') batch.lose(reason)
    else batch.abandon(new DeliveryError('DELIVERY_STOPPING', 'retry', 'stopped while it waited for room'))
  }

  #bookLost(batch: Batch, { books }: Sink, reason: string): void {
    books.in += batch.items
    books.lost.of(reason).value += batch.items
    this.#journal.note(books.name, 'lost', batch, reason, undefined)
  }

  #admitWaiting(): void {
    for (let batch = this.#waiting.peek(); batch !== undefined; batch = this.#waiting.peek()) {
      if (!batch.withdrawn && this.#reserve(batch) !== undefined) return
      const first = this.#waiting.shift()
      if (first === undefined) return
      if (batch.withdrawn) this.turnAway(batch, first.from)
      else this.#give(batch, first.from)
      if (!this.closed) for (const listener of this.#openListeners) listener()
    }
  }
}

/** Why a sink took nothing, as the books call it. */
export function reasonOf({ code }: DeliveryError): string {
  return code === 'DELIVERY_STORAGE' ? 'storage' : code === 'DELIVERY_STOPPING' ? 'shutdown' : 'queue_full'
}
