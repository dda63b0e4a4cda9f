import { Subject, type Subscription } from 'rxjs'
import { Batch } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import type { Budget } from '../../core/budget.ts'
import { type Clock, GuardedClock, type Timer, waitUntil } from '../../core/clock.ts'
import type { Downstream, Hold, Step } from '../../core/component.ts'
import { DeliveryError, InternalError, messageOf } from '../../core/errors.ts'
import type { HoldingPort } from '../../core/holding.ts'
import type { Journal } from '../../core/journal.ts'
import type { Logger } from '../../core/logger.ts'
import type { Share } from '../../core/share.ts'
import type { Status } from '../../core/status.ts'
import type { Reason } from '../../core/verdict.ts'
import { Holding, type HoldingTerms } from './holding.ts'
import type { Target } from './outlet.ts'

/** Shortest and longest wait before a step that ended is subscribed again, in milliseconds. */
const restartWaits = { min: 100, max: 30_000 }

/** Least milliseconds between two lines of the log about faults of one step. */
const faultPause = 1000

/** A request, or what is left of it, inside a step. */
interface Inside {
  share: Share
  items: number
}

/**
 * One step in a running graph. Keeps the part of every request that is inside, so that when the step fails exactly those
 * are refused; then subscribes to it again, with back-off. Nothing else notices.
 */
export class StepNode implements Target {
  readonly books: NodeBooks
  readonly #hold: Hold
  readonly #longest: number | undefined
  #stale: Timer | undefined
  readonly #make: () => Step
  readonly #time: Clock
  /** Time as the instance that runs has it. */
  #clock: GuardedClock | undefined
  readonly #journal: Journal
  readonly #log: Logger
  readonly #status: Status
  /** What a step that holds keeps. */
  readonly #holding: Holding
  /** What the step has been handed and not answered for yet: it has to before the call returns. */
  #unanswered = 0
  /** Parts it has answered for. */
  readonly #answered: Batch[] = []
  #outlet: Target | undefined
  /** What came out before there was anywhere to go. */
  #early: Batch[] = []
  #toldFault = -Infinity
  /** Why the step ended, while it is being handed something. */
  #failure: unknown
  #subject = new Subject<Batch>()
  #subscription: Subscription | undefined
  #running = false
  /** See `flushBy`. */
  #flushing = { isAwaited: true, answers: false }
  readonly #downstream: Downstream
  #unidle: (() => void) | undefined
  #stopping = false
  #wait = restartWaits.min
  #restart: NodeJS.Timeout | undefined
  #drained: (() => void) | undefined
  #unheld: (() => void) | undefined

  constructor(parts: {
    books: NodeBooks
    hold: Hold
    /** After so many milliseconds it keeps nothing that it has been given, if it says so. */
    longest: number | undefined
    make: () => Step
    clock: Clock
    journal: Journal
    log: Logger
    status: Status
    /** What lies behind it. */
    downstream: Downstream
    budget: () => Budget
  }) {
    this.books = parts.books
    this.#hold = parts.hold
    this.#longest = parts.longest
    this.#make = parts.make
    this.#time = parts.clock
    this.#journal = parts.journal
    this.#log = parts.log
    this.#status = parts.status
    this.#downstream = parts.downstream
    this.#holding = new Holding(this.#terms(parts.budget))
  }

  #terms(budget: () => Budget): HoldingTerms {
    return {
      answers: () => this.#hold === 'state' || (this.#flushing.answers && !this.#isSlow),
      mayEmit: () => !this.#downstream.closed,
      now: () => this.#time.now(),
      budget,
      kept: batch => void this.#leave(batch),
      offer: (batch, next) => this.#offer(batch, next),
      made: items => void (this.books.created += items),
      end: (batch, reason) => this.end(batch, reason),
      malformed: () => this.books.reason('malformed', 'rejected'),
      refuse: (batch, error) => this.refuse(batch, error),
      consumed: (batch, isSettled) => this.#consumed(batch, isSettled),
      giveBack: (batch, error) => this.#giveBack(partsOf(batch), this.#asFailed(error)),
      fault: error => this.fault(error),
      stale: batch => {
        const error = new InternalError('it was kept for more than twice as long as the step declares')
        this.fault(error)
        this.#giveBack(partsOf(batch), this.#asFailed(error), 'stale')
      },
      failing: error => this.#subject.error(error),
    }
  }

  /** What a step is given that keeps data. */
  get holding(): HoldingPort {
    const holding = this.#holding
    const downstream = this.#downstream
    const isAwaited = (): boolean => this.#flushing.isAwaited || this.#isSlow
    return {
      get inFlight() {
        return downstream.inFlight
      },
      get isAwaited() {
        return isAwaited()
      },
      attach: (holder, emit) => {
        this.#unheld ??= this.books.holds(() => holding.items)
        this.#unidle ??= downstream.onIdle(() => holding.idle())
        return holding.attach(holder, emit)
      },
      join: held => holding.join(held),
      make: (signal, body, origin, settles = []) => holding.make(signal, body, origin, settles),
    }
  }

  /** Takes over what another instance kept in its place, which is handed nothing more and runs no more. */
  adopt(previous: StepNode): void {
    previous.#stopClock()
    this.#holding.adopt(previous.#holding)
  }

  /** Where its batches go from now on. */
  connect(outlet: Target): void {
    this.#outlet = outlet
    for (const batch of this.#early.splice(0)) this.#handOn(batch, outlet)
  }

  /**
   * Whether senders wait for what it hands on. Where they do not, the one that gathers first `answers` them: what it holds is
   * in the books like what a queue holds, and is parked, not refused, where there is no room.
   */
  flushBy(flushing: { readonly isAwaited: boolean; readonly answers: boolean }): void {
    this.#flushing = flushing
  }

  /** More than one batch on its way is a destination slower than its senders: then they are held back. */
  get #isSlow(): boolean {
    return this.#downstream.inFlight > 1
  }

  /** Time for the instance that is made. */
  get clock(): Clock {
    return (this.#clock ??= new GuardedClock(
      this.#time,
      error => this.fault(error),
      work => this.#holding.during(work),
    ))
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
    this.#holding.resume()
    const longest = this.#longest
    if (longest === undefined) return
    this.#stale ??= this.#time.every(longest, () => this.#holding.endStale(2 * longest))
  }

  push(batch: Batch): void {
    if (!this.#running) return this.#turnAway(batch)
    this.books.in += batch.items
    this.#offer(batch, one => this.#subject.next(one))
  }

  #turnAway(batch: Batch): void {
    const { books } = this
    const [reason, text] = this.#stopping ? ['stopping', 'stopping'] : ['restarting', 'being restarted']
    const code = this.#stopping ? 'DELIVERY_STOPPING' : 'DELIVERY_STEP_FAILED'
    const error = new DeliveryError(code, 'retry', `${books.name.id} is ${text}`)
    if (batch.refusable) {
      books.refused.of(reason).value += batch.items
      return batch.refuse(error)
    }
    // Its senders were answered by a step before this one.
    books.in += batch.items
    this.#giveBack(partsOf(batch), error)
  }

  /** Hands `batch` to `next`, which answers for all of it before it returns; what it does not answer for is ended. */
  #offer(batch: Batch, next: (batch: Batch) => void): void {
    this.#unanswered = batch.items
    next(batch)
    if (this.#unanswered > 0) {
      const error = this.#failure ?? new InternalError('the step did not answer for what it was given')
      if (this.#failure === undefined) this.fault(error)
      this.#giveBack(this.#restOf(batch), this.#asFailed(error))
    }
    this.#unanswered = 0
    this.#failure = undefined
    this.#answered.length = 0
  }

  /** What of `batch` was not answered for. */
  #restOf({ shares }: Batch): Inside[] {
    const answered = this.#answered.flatMap(part => part.shares.map(share => ({ ...share })))
    return shares.flatMap(share => {
      let left = share.items
      for (const one of answered) {
        if (one.delivery !== share.delivery || one.lease !== share.lease) continue
        const mine = Math.min(left, one.items)
        left -= mine
        one.items -= mine
      }
      return left === 0 ? [] : [{ share, items: left }]
    })
  }

  /** Ends a batch, or a part of it, for a reason. */
  end(batch: Batch, { kind, counter, tally }: Reason): void {
    this.#leave(batch)
    counter.value += batch.items
    tally?.add(batch.groups, this.#journal.shows(this.books.name))
    const what = kind === 'rule' ? 'dropped' : kind
    this.#journal.note(this.books.name, what, batch, counter.reason, undefined, { by: tally?.key })
    if (kind === 'rejected') batch.reject(`${this.books.name.id}: ${counter.reason}`)
    else if (kind === 'lost') batch.lose(counter.reason)
    else batch.drop()
  }

  /** Ends a batch of which other data was made. */
  consume(batch: Batch): void {
    this.#leave(batch)
    this.#consumed(batch, true)
  }

  #consumed(batch: Batch, isSettled: boolean): void {
    this.books.consumed += batch.items
    this.#journal.follow(this.books.name, 'consumed', batch)
    if (isSettled) batch.accept()
    else batch.replace()
  }

  refuse(batch: Batch, error: DeliveryError): void {
    this.#leave(batch)
    // Senders that were answered already cannot be asked to come again.
    if (!batch.refusable) return this.#giveBack(partsOf(batch), error)
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
    this.#giveBack(partsOf(batch), this.#asFailed(error))
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

  #asFailed(error: unknown): DeliveryError {
    if (error instanceof DeliveryError) return error
    const message = `${this.books.name.id}: ${messageOf(error)}`
    return new DeliveryError('DELIVERY_STEP_FAILED', 'retry', message, { cause: error })
  }

  /** Completes the step's input, waits until it has flushed or `deadline` passed, and refuses what is left. */
  async stop(deadline: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    if (this.#running) {
      const drained = new Promise<void>(resolve => (this.#drained = resolve))
      const timer = setTimeout(() => this.#drained?.(), waitUntil(deadline))
      this.#subject.complete()
      await drained
      clearTimeout(timer)
    }
    this.#running = false
    this.#stopClock()
    this.#subscription?.unsubscribe()
    this.#holding.giveBack(new DeliveryError('DELIVERY_STOPPING', 'retry', `${this.books.name.id} was stopped`))
    this.#stale?.cancel()
    this.#unidle?.()
    this.#unheld?.()
    this.#unidle = this.#unheld = undefined
  }

  /** Takes the batch out of what was not answered for; returns how many of its items were made by the step. */
  #leave(batch: Batch): number {
    const created = Math.max(0, batch.items - this.#unanswered)
    this.#unanswered -= batch.items - created
    if (this.#unanswered > 0) this.#answered.push(batch)
    return created
  }

  #emit(batch: Batch): void {
    this.books.created += this.#leave(batch)
    this.books.out += batch.items
    this.#wait = restartWaits.min
    this.#journal.follow(this.books.name, 'passed', batch)
    if (this.#outlet === undefined) this.#early.push(batch)
    else this.#handOn(batch, this.#outlet)
  }

  /** RxJS must not see a throw, or it would end the process outside of any handler. */
  #handOn(batch: Batch, outlet: Target): void {
    try {
      outlet.push(batch)
    } catch (error) {
      this.fault(error)
      batch.endRest(this.#asFailed(error))
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
      { error: what, items: this.#unanswered + this.#holding.items, wait: this.#wait },
      'step ended and is made anew; what it was handed is refused, what it kept is given to the new one',
    )
    this.#holding.forget(this.#asFailed(this.#failure))
    this.#restart = setTimeout(() => this.start(), this.#wait)
    this.#wait = Math.min(this.#wait * 2, restartWaits.max)
  }

  /** Back to the senders; lost where they were answered already. */
  #giveBack(parts: readonly Inside[], error: DeliveryError, lost = lossOf(error)): void {
    const { name } = this.books
    for (const { share, items } of parts) {
      const batch = new Batch(name.signal, [], items, share.origin, [{ ...share, items, groups: 0 }])
      const { refusable } = batch
      this.#journal.note(name, refusable ? 'returned' : 'lost', batch, error.code, error.message)
      if (refusable) this.books.returned.of(error.code).value += items
      else this.books.lost.of(lost).value += items
      batch.endRest(error)
    }
  }
}

const lossOf = ({ code }: DeliveryError): string => (code === 'DELIVERY_STOPPING' ? 'shutdown' : 'step_failed')

const partsOf = ({ shares }: Batch): Inside[] => shares.map(share => ({ share, items: share.items }))
