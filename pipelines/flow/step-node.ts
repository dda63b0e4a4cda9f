import { Subject, type Subscription } from 'rxjs'
import { Batch, type Context } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import { type Clock, GuardedClock } from '../../core/clock.ts'
import type { ComponentContext, Downstream, Hold, ProcessorContext, Step } from '../../core/component.ts'
import { DeliveryError, InternalError, messageOf } from '../../core/errors.ts'
import type { Lease } from '../../core/lease.ts'
import type { Journal } from '../../core/journal.ts'
import type { Logger } from '../../core/logger.ts'
import type { Share } from '../../core/share.ts'
import type { Status } from '../../core/status.ts'
import type { Reason } from '../../core/verdict.ts'
import type { Signal } from '../../proto/signals.ts'
import type { Outlet, Target } from './outlet.ts'

/** Shortest and longest wait before a step that ended is subscribed again, in milliseconds. */
const restartWaits = { min: 100, max: 30_000 }

/** Least milliseconds between two lines of the log about faults of one step. */
const faultPause = 1000

/** A request, or what is left of it, inside a step. */
interface Inside {
  share: Share
  readonly context: Context
  items: number
}

/**
 * One step in a running graph. Keeps the part of every request that is inside, so that when the step fails exactly those
 * are refused; then subscribes to it again, with back-off. Nothing else notices.
 */
export class StepNode implements Target {
  readonly books: NodeBooks
  readonly #hold: Hold
  readonly #make: () => Step
  readonly #time: Clock
  /** Time as the instance that runs has it. */
  #clock: GuardedClock | undefined
  readonly #journal: Journal
  readonly #log: Logger
  readonly #status: Status
  /** What a step that holds has. */
  readonly #inside = new Map<Lease, Inside>()
  /** What a step that does not hold has been handed and not answered for yet: it has to before the call returns. */
  #unanswered = 0
  /** Parts it has answered for. */
  readonly #answered: Batch[] = []
  #outlet: Outlet | undefined
  /** What came out before there was anywhere to go. */
  #early: Batch[] = []
  #toldFault = -Infinity
  /** Why the step ended, while it is being handed something. */
  #failure: unknown
  /** Another instance has taken its place, or none: what it hands on goes where it went. */
  #isLeaving = false
  #subject = new Subject<Batch>()
  #subscription: Subscription | undefined
  #running = false
  /** Senders may be answered when the step has their data; see `answerFirst`. */
  #answersAhead: Downstream | undefined
  #stopping = false
  #wait = restartWaits.min
  #restart: NodeJS.Timeout | undefined
  #drained: (() => void) | undefined
  #unheld: (() => void) | undefined

  constructor(parts: {
    books: NodeBooks
    hold: Hold
    make: () => Step
    clock: Clock
    journal: Journal
    log: Logger
    status: Status
  }) {
    this.books = parts.books
    this.#hold = parts.hold
    this.#make = parts.make
    this.#time = parts.clock
    this.#journal = parts.journal
    this.#log = parts.log
    this.#status = parts.status
  }

  /** Where its batches go from now on. */
  connect(outlet: Outlet): void {
    this.#outlet = outlet
    for (const batch of this.#early.splice(0)) this.#handOn(batch, outlet)
  }

  /**
   * It has no place any more: it is handed nothing, and what it holds goes where it went until now. `stop` is to follow.
   */
  leave(): void {
    this.#isLeaving = true
  }

  /**
   * All that is behind it counts as accepted once it is queued, so senders need not wait while the step gathers: what it
   * holds is in the books like what a queue holds, and is parked, not refused, where there is no room.
   */
  answerFirst(downstream: Downstream | undefined): void {
    this.#answersAhead = downstream
  }

  /** The step keeps `batch`: where its senders need not wait for what is behind it, they are answered now. */
  custody(batch: Batch): Batch {
    // More than one batch on its way is a destination slower than its senders: then they are held back.
    if (this.#answersAhead === undefined || this.#answersAhead.inFlight > 1) return batch
    const mine = batch.taken()
    for (const share of mine.shares) {
      const inside = this.#inside.get(share.lease)
      if (inside !== undefined) inside.share = share
    }
    return mine
  }

  /** Time for the instance that is made. */
  get clock(): Clock {
    return (this.#clock ??= new GuardedClock(this.#time, error => this.fault(error)))
  }

  #stopClock(): void {
    this.#clock?.stop()
    this.#clock = undefined
  }

  start(): void {
    this.#subject = new Subject<Batch>()
    let step: Step
    try {
      step = this.#make()
      this.#subscription = step(this.#subject).subscribe({
        next: batch => this.#emit(batch),
        error: (error: unknown) => this.#ended(error),
        complete: () => this.#ended(undefined),
      })
    } catch (error) {
      this.#ended(error)
      return
    }
    if (this.#subscription.closed) return
    this.#running = true
    this.#status.set('Starting')
    this.#status.set('OK')
  }

  push(batch: Batch): void {
    if (!this.#running) {
      this.books.refused.of(this.#stopping ? 'stopping' : 'restarting').value += batch.items
      const text = `${this.books.name.id} is ${this.#stopping ? 'stopping' : 'being restarted'}`
      batch.refuse(new DeliveryError(this.#stopping ? 'DELIVERY_STOPPING' : 'DELIVERY_STEP_FAILED', 'retry', text))
      return
    }
    this.books.in += batch.items
    if (this.#hold === 'none') return this.#pass(batch)
    let mine = batch.compacted()
    if (this.#hold === 'state') mine = mine.taken()
    for (const share of mine.shares) this.#enter(share, mine)
    this.#subject.next(mine)
  }

  /** Through a step that answers before the call returns; what it does not answer for is ended. */
  #pass(batch: Batch): void {
    this.#unanswered = batch.items
    this.#subject.next(batch)
    if (this.#unanswered > 0) {
      const error = this.#failure ?? new InternalError('the step did not answer for what it was given')
      if (this.#failure === undefined) this.fault(error)
      this.#giveBack(this.#restOf(batch), this.#failed(error))
    }
    this.#unanswered = 0
    this.#failure = undefined
    this.#answered.length = 0
  }

  /** What of `batch` was not answered for. */
  #restOf({ shares, context }: Batch): Inside[] {
    const answered = this.#answered.flatMap(part => part.shares.map(share => ({ ...share })))
    return shares.flatMap(share => {
      let left = share.items
      for (const one of answered) {
        if (one.delivery !== share.delivery || one.lease !== share.lease) continue
        const mine = Math.min(left, one.items)
        left -= mine
        one.items -= mine
      }
      return left === 0 ? [] : [{ share, context, items: left }]
    })
  }

  /** Lets the step that runs now count what it holds, in place of the one before it. */
  holds(count: () => number): void {
    this.#unheld?.()
    this.#unheld = this.books.holds(count)
  }

  /** Ends a batch, or a part of it, for a reason. */
  end(batch: Batch, { kind, counter }: Reason): void {
    this.#leave(batch)
    counter.value += batch.items
    const what = kind === 'rule' ? 'dropped' : kind
    this.#journal.note(this.books.name, what, batch, counter.reason, undefined)
    if (kind === 'rejected') batch.reject(`${this.books.name.id}: ${counter.reason}`)
    else if (kind === 'lost') batch.lose(counter.reason)
    else batch.drop()
  }

  /** Ends a batch of which other data was made. */
  consume(batch: Batch): void {
    this.#leave(batch)
    this.books.consumed += batch.items
    this.#journal.follow(this.books.name, 'consumed', batch)
    batch.accept()
  }

  refuse(batch: Batch, error: DeliveryError): void {
    this.#leave(batch)
    this.books.returned.of(error.code).value += batch.items
    this.#journal.note(this.books.name, 'returned', batch, error.code, error.message)
    batch.refuse(error)
  }

  /**
   * Ends a batch on which the step threw: back to its senders; lost where they were answered already. A DeliveryError is no
   * fault but a refusal.
   */
  fail(batch: Batch, error: unknown): void {
    const refused = error instanceof DeliveryError
    if (!refused) this.fault(error)
    this.#leave(batch)
    const { context } = batch
    this.#giveBack(
      batch.shares.map(share => ({ share, context, items: share.items })),
      refused ? error : this.#failed(error),
    )
  }

  /** A fault of the step, or of what it handed on to: counted, and told now and then. */
  fault(error: unknown): void {
    this.books.internalFaults++
    const now = performance.now()
    if (now - this.#toldFault < faultPause) return
    this.#toldFault = now
    const stack = error instanceof Error ? error.stack : undefined
    this.#log.error({ error: messageOf(error), stack, faults: this.books.internalFaults }, 'step failed')
  }

  #failed(error: unknown): DeliveryError {
    const message = `${this.books.name.id}: ${messageOf(error)}`
    return new DeliveryError('DELIVERY_STEP_FAILED', 'retry', message, { cause: error })
  }

  /** Completes the step's input, waits until it has flushed or `deadline` passed, and refuses what is left. */
  async stop(deadline: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    if (this.#running) {
      const drained = new Promise<void>(resolve => (this.#drained = resolve))
      const timer = setTimeout(() => this.#drained?.(), Math.max(0, deadline - Date.now()))
      this.#subject.complete()
      await drained
      clearTimeout(timer)
    }
    this.#running = false
    this.#stopClock()
    this.#subscription?.unsubscribe()
    this.#giveBackInside(new DeliveryError('DELIVERY_STOPPING', 'retry', `${this.books.name.id} was stopped`))
    this.#unheld?.()
    this.#unheld = undefined
  }

  #enter(share: Share, { context }: Batch): void {
    const inside = this.#inside.get(share.lease)
    if (inside === undefined) this.#inside.set(share.lease, { share, items: share.items, context })
    else inside.items += share.items
  }

  /** Takes the batch out of what is inside; returns how many of its items were made by the step. */
  #leave(batch: Batch): number {
    if (this.#hold === 'none') {
      const created = Math.max(0, batch.items - this.#unanswered)
      this.#unanswered -= batch.items - created
      if (this.#unanswered > 0) this.#answered.push(batch)
      return created
    }
    let created = 0
    for (const { lease, items } of batch.shares) {
      const inside = this.#inside.get(lease)
      if (inside === undefined) created += items
      else if (inside.items > items) inside.items -= items
      else {
        created += items - inside.items
        this.#inside.delete(lease)
      }
    }
    return created
  }

  #emit(batch: Batch): void {
    this.books.created += this.#leave(batch)
    this.books.out += batch.items
    if (this.#isLeaving) {
      this.books.apart += batch.items
      this.#outlet?.owe(batch.items)
    }
    this.#wait = restartWaits.min
    this.#journal.follow(this.books.name, 'passed', batch)
    if (this.#outlet === undefined) this.#early.push(batch)
    else this.#handOn(batch, this.#outlet)
  }

  /** RxJS must not see a throw, or it would end the process outside of any handler. */
  #handOn(batch: Batch, outlet: Outlet): void {
    try {
      outlet.push(batch)
    } catch (error) {
      this.fault(error)
      batch.endRest(this.#failed(error))
    }
  }

  /** The step errored or completed: by itself while running, or because its input did. */
  #ended(error: unknown): void {
    if (this.#stopping) {
      if (error !== undefined) this.#log.warn({ error: messageOf(error) }, 'step failed while stopping')
      this.#drained?.()
      return
    }
    this.#running = false
    this.#stopClock()
    const what = error === undefined ? 'completed by itself' : messageOf(error)
    this.#failure = error ?? new InternalError(what)
    this.#status.set('RecoverableError', what)
    this.#log.error(
      { error: what, items: this.#itemsInside(), wait: this.#wait },
      'step ended; refusing what it held and restarting it',
    )
    this.#giveBackInside(this.#failed(this.#failure))
    this.#restart = setTimeout(() => this.start(), this.#wait)
    this.#wait = Math.min(this.#wait * 2, restartWaits.max)
  }

  #itemsInside(): number {
    let items = this.#unanswered
    for (const share of this.#inside.values()) items += share.items
    return items
  }

  #giveBackInside(error: DeliveryError): void {
    const inside = [...this.#inside.values()]
    this.#inside.clear()
    this.#giveBack(inside, error)
  }

  /** Back to the senders; lost where they were answered already. */
  #giveBack(parts: readonly Inside[], error: DeliveryError): void {
    const { name } = this.books
    for (const { share, items, context } of parts) {
      const batch = new Batch(name.signal, [], items, context, [{ ...share, items, groups: 0 }])
      const { refusable } = batch
      this.#journal.note(name, refusable ? 'returned' : 'lost', batch, error.code, error.message)
      if (refusable) this.books.returned.of(error.code).value += items
      else this.books.lost.of(error.code === 'DELIVERY_STOPPING' ? 'shutdown' : 'step_failed').value += items
      batch.endRest(error)
    }
  }
}

/** What a step is given of the node it runs in. */
export function processorContext(
  node: StepNode,
  place: { readonly id: string; readonly signal: Signal; readonly downstream: Downstream },
): Omit<ProcessorContext, Exclude<keyof ComponentContext, 'clock'>> {
  return {
    pipeline: place.id,
    signal: place.signal,
    clock: node.clock,
    downstream: place.downstream,
    reason: (name, kind) => node.books.reason(name, kind),
    end: (batch, reason) => node.end(batch, reason),
    fail: (batch, error) => node.fail(batch, error),
    fault: error => node.fault(error),
    refuse: (batch, error) => node.refuse(batch, error),
    custody: batch => node.custody(batch),
    holds: count => node.holds(count),
  }
}
