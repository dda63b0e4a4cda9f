import type { Batch } from '../../core/batch.ts'
import type { EdgeBooks } from '../../core/books.ts'
import type { Downstream } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import type { Journal } from '../../core/journal.ts'
import type { Sink } from '../sending/destination.ts'
import type { Outlet } from './outlet.ts'
import { Waiting } from './waiting.ts'

/** A destination that has no room, and why. */
interface Full {
  readonly sink: Sink
  readonly error: DeliveryError
}

interface Branch {
  readonly sink: Sink
  readonly edge: EdgeBooks
}

/** A branch in use. */
interface Connected extends Branch {
  /** Undoes what connecting it did. */
  readonly ends: readonly (() => void)[]
  /** While the fan-out is open. */
  due: (() => void) | undefined
}

/**
 * The end of a pipeline: hands each batch to all of its destinations. Room is reserved in all required ones before any
 * takes it, so that a sender's retry makes no duplicates.
 */
export class FanOut implements Downstream, Outlet {
  #branches: readonly Connected[] = []
  readonly #journal: Journal
  /** What waits for room: of senders that wait with it, or that were answered already and cannot be asked again. */
  readonly #waiting = new Waiting()
  readonly #idleListeners = new Set<() => void>()
  readonly #openListeners: (() => void)[] = []
  #inFlight = 0
  #isOpen = false
  #stopping = false
  /** Made once: functions made where sinks are exchanged would keep those that were there before. */
  readonly #count = (): number => this.held()
  readonly #admit = (): void => this.#admitWaiting()
  readonly #done = (): void => {
    this.#inFlight--
    if (this.#inFlight === 0) for (const listener of this.#idleListeners) listener()
  }

  constructor(branches: readonly Branch[], journal: Journal) {
    this.#journal = journal
    this.connect(branches)
  }

  /** Hands to these sinks from now on, what waits here for room included. */
  connect(branches: readonly Branch[]): void {
    const before = this.#branches
    if (branches.length === before.length && branches.every(({ sink }, i) => sink === before[i].sink)) return
    const waiting = this.held()
    for (const { edge, ends, due } of before) {
      due?.()
      edge.owe(-waiting)
      for (const end of ends) end()
    }
    this.#branches = branches.map(({ sink, edge }) => {
      edge.owe(waiting)
      const ends = [edge.holds(this.#count), sink.onRoom(this.#admit)]
      return { sink, edge, ends, due: this.#isOpen ? edge.begin() : undefined }
    })
    // The new ones may have room.
    this.#admitWaiting()
  }

  open(): void {
    this.#isOpen = true
    for (const branch of this.#branches) branch.due ??= branch.edge.begin()
  }

  close(): void {
    this.#isOpen = false
    for (const branch of this.#branches) {
      branch.due?.()
      branch.due = undefined
    }
  }

  owe(items: number): void {
    for (const { edge } of this.#branches) edge.owe(items)
  }

  /** Nobody hands it anything, nothing is here, and nothing of it is on its way. */
  get empty(): boolean {
    return !this.#isOpen && this.#inFlight === 0 && this.#waiting.length === 0
  }

  get sinks(): readonly Sink[] {
    return this.#branches.map(({ sink }) => sink)
  }

  /** Nothing is left of it, in the books neither. */
  discard(): void {
    this.close()
    for (const { ends } of this.#branches) for (const end of ends) end()
    this.#branches = []
  }

  get inFlight(): number {
    return this.#inFlight
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

  /** Items that wait for room. */
  held(): number {
    return this.#waiting.items
  }

  /**
   * Takes a batch of a source. While something waits that nobody can be asked for again, nothing more of that kind may come
   * to wait: what a source makes (counts, telemetry of our own) would be without bound.
   */
  enter(batch: Batch): void {
    if (this.closed && !batch.refusable) this.#lose(batch, 'queue_full')
    else this.push(batch)
  }

  push(batch: Batch): void {
    if (this.#waiting.length > 0) for (const gone of this.#waiting.takeWithdrawn()) this.#refuse(gone, undefined)
    const full = this.#waiting.length > 0 ? this.#awaited() : this.#reserve(batch)
    if (full === undefined) this.#give(batch)
    else if (!this.#stopping && (full.sink.blocks || !batch.refusable)) this.#waiting.push(batch)
    else this.#refuse(batch, full)
  }

  /** Nothing waits for room any more: what does is refused, or given up where nobody can be asked. */
  stop(): void {
    this.#stopping = true
    this.#admitWaiting()
    for (const batch of this.#waiting.takeAll()) this.#refuse(batch, this.#awaited())
  }

  /** What is waited for while something waits. */
  #awaited(): Full {
    const { sink } = this.#branches.find(branch => branch.sink.blocks) ?? this.#branches[0]
    const text = `the queue of exporter ${sink.id} is full, and others wait for room in it`
    return { sink, error: new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', text) }
  }

  /** Reserves room everywhere; undefined when that worked. */
  #reserve(batch: Batch): Full | undefined {
    for (let i = 0; i < this.#branches.length; i++) {
      const { sink } = this.#branches[i]
      const error = sink.required ? sink.reserve(batch) : undefined
      if (error === undefined) continue
      for (const { sink: other } of this.#branches.slice(0, i)) if (other.required) other.cancel(batch)
      return { sink, error }
    }
    return undefined
  }

  #give(batch: Batch): void {
    for (let i = 1; i < this.#branches.length; i++) batch.fork()
    for (const { sink, edge } of this.#branches) {
      edge.carried += batch.items
      if (sink.required || sink.reserve(batch) === undefined) {
        this.#inFlight++
        sink.take(batch, this.#done)
      } else {
        // `when_full: drop` was chosen: the sender hears nothing of it, the books do.
        sink.books.in += batch.items
        sink.books.lost.of('queue_full').value += batch.items
        this.#journal.note(sink.books.name, 'lost', batch, 'queue_full', undefined)
        batch.lose('queue_full')
      }
    }
  }

  #refuse(batch: Batch, full: Full | undefined): void {
    if (!batch.refusable) return this.#lose(batch, 'shutdown')
    for (const { sink, edge } of this.#branches) {
      edge.carried += batch.items
      const reason =
        full === undefined ? 'withdrawn' : sink === full.sink ? reasonOf(full.error) : 'other_destination_full'
      sink.books.refused.of(reason).value += batch.items
      this.#journal.note(sink.books.name, 'refused', batch, reason, undefined)
    }
    batch.refuse(full?.error ?? new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting'))
  }

  /** There is nobody to give it back to, so it is lost, and the books say so. */
  #lose(batch: Batch, reason: 'shutdown' | 'queue_full'): void {
    for (const { sink, edge } of this.#branches) {
      edge.carried += batch.items
      sink.books.in += batch.items
      sink.books.lost.of(reason).value += batch.items
      this.#journal.note(sink.books.name, 'lost', batch, reason, undefined)
    }
    if (reason === 'queue_full') batch.lose(reason)
    else batch.abandon(new DeliveryError('DELIVERY_STOPPING', 'retry', 'stopped while it waited for room'))
  }

  #admitWaiting(): void {
    for (let batch = this.#waiting.peek(); batch !== undefined; batch = this.#waiting.peek()) {
      if (!batch.withdrawn && this.#reserve(batch) !== undefined) return
      this.#waiting.shift()
      if (batch.withdrawn) this.#refuse(batch, undefined)
      else this.#give(batch)
      if (!this.closed) for (const listener of this.#openListeners) listener()
    }
  }
}

/** Why a sink took nothing, as the books call it. */
export function reasonOf({ code }: DeliveryError): string {
  return code === 'DELIVERY_STORAGE' ? 'storage' : code === 'DELIVERY_STOPPING' ? 'shutdown' : 'queue_full'
}
