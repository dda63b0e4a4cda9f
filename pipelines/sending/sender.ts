/** Attempts of one destination: how many at once, what a failure means, when to try again, when to give up. */
import { Chain } from '../../core/chain.ts'
import type { Sent } from '../../core/component.ts'
import type { DeliveryError } from '../../core/errors.ts'
import { Latency } from '../../core/latency.ts'
import type { TriedListener } from '../../core/trial.ts'
import { type Ages, agesOf, isPatient } from './ages.ts'
import { Alarm } from './alarm.ts'
import { type AttemptListener, fits, RunningAttempt } from './attempt.ts'
import { Circuit } from './circuit.ts'
import { Odds, suspectAfter } from './doubt.ts'
import * as ends from './ends.ts'
import { type Entry, halved, suspects } from './entry.ts'
import { Graves } from './graves.ts'
import { Idleness } from './idleness.ts'
import { Rejections } from './rejections.ts'
import type { SenderParts } from './sender-parts.ts'
import { Unsent } from './unsent.ts'

export class Sender {
  readonly #parts: SenderParts
  readonly #circuit: Circuit
  readonly #odds = new Odds()
  readonly #queue = new Unsent()
  readonly #inFlight = new Chain<RunningAttempt>()
  readonly #listener: AttemptListener
  readonly #graves: Graves
  readonly #rejections: Rejections
  readonly #probe = new Alarm(() => this.#pump())
  #stopped = false
  /** What is on disk is not sent any more. */
  #leaving = false
  #successor: Sender | undefined
  /** Who sent what comes here, and may not be done with the last of it. */
  #predecessor: Sender | undefined
  readonly #onIdle = new Idleness()
  /** Who waits for the next attempt to end. */
  #curious: TriedListener[] = []
  /** Time of the last success, in milliseconds since the epoch. */
  lastSuccess = 0
  /** Since the last success. */
  #lastFailure: DeliveryError | undefined
  readonly latency = new Latency()

  constructor(parts: SenderParts) {
    this.#parts = parts
    this.#circuit = new Circuit(parts.config.retry_on_failure)
    this.#listener = {
      ...ends.attemptEnds(parts),
      ended: (attempt, failure, sent, took) => this.#heard(attempt, failure, sent, took),
    }
    this.#graves = new Graves(parts, {
      buried: (entry, reason) => {
        this.#ended(entry, reason !== 'suspect')
        this.#pump()
      },
      notBuried: entry => {
        if (!this.#passOn(entry)) this.#sleep(entry, entry.backoff.next())
        this.#pump()
      },
    })
    this.#rejections = new Rejections(parts, this.#graves, {
      again: entries => void (this.#queue.putBack(entries) && this.#pumpLater()),
      later: entry => this.#sleep(entry, entry.backoff.next()),
      ended: (entry, isRefused) => {
        this.#ended(entry, isRefused)
        this.#pumpLater()
      },
    })
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Entries that wait, in the queue or for a retry. */
  get waiting(): number {
    return this.#queue.size
  }

  get idle(): boolean {
    return this.waiting + this.#inFlight.size + this.#graves.size + this.#rejections.size === 0
  }

  /** Items that are here, whatever is done with them. */
  held(): number {
    let items = 0
    for (const entry of this.#all()) items += entry.batch.items
    return items
  }

  /** Since when what is here waits, and until when. */
  ages(): Ages {
    return agesOf(this.#all(), this.#parts.config.retry_on_failure)
  }

  *#all(): Generator<Entry> {
    for (const { entry } of this.#inFlight) yield entry
    for (const entries of [this.#queue, this.#graves, this.#rejections]) yield* entries
  }

  send(entry: Entry): void {
    if (this.#successor !== undefined) return this.#successor.#takeOver([entry])
    this.#queue.push(entry)
    if (this.#circuit.open && entry.claim.expires < Infinity) this.#expireFirst()
    this.#pump()
  }

  /** Another one sends what waits here, and what fails here from now on. */
  handOver(successor: Sender): void {
    this.#successor = successor
    // Who waits for an attempt that is under way hears of that one.
    if (this.#inFlight.size === 0) successor.#curious.push(...this.#curious.splice(0))
    if (this.#parts.ordered) successor.#predecessor = this
    successor.#takeOver(this.#takeWaiting())
  }

  /** All that waits for its turn, in no order. */
  #takeWaiting(): Entry[] {
    return [...this.#queue.take(() => true), ...this.#rejections.release()]
  }

  /** Sends what another one was to send: what that one's exporter has made of it is not this one's. */
  #takeOver(entries: readonly Entry[]): void {
    if (this.#successor !== undefined) return this.#successor.#takeOver(entries)
    for (const entry of entries) {
      if (entry.memo !== undefined) this.#parts.books.maybeTwice += entry.batch.items
      entry.memo = undefined
      this.#odds.forget(entry)
      if (this.#stopped && !this.#passOn(entry)) this.#giveUp(entry, ends.stopping(), 'shutdown')
    }
    if (this.#stopped) return
    this.#queue.merge(entries)
    this.#pump()
  }

  /** Whether something is being sent that came before all that is here. */
  #isPreceded(): boolean {
    const before = this.#predecessor
    if (before === undefined) return false
    if (before.#inFlight.size > 0 || before.#isPreceded()) return true
    this.#predecessor = undefined
    return false
  }

  /** There is a connection, or there may be one now: what waits because there was none is tried. */
  reached(): void {
    const code = this.#lastFailure?.code
    if (this.#stopped || (code !== 'DELIVERY_UNREACHABLE' && code !== 'DELIVERY_TIMEOUT')) return
    this.#circuit.hurry(performance.now())
    this.#queue.wake(entry => !entry.suspect && isPatient(entry))
    this.#probe.clear()
    this.#pumpLater()
  }

  /** Tries now what waits, whatever it waits for. `listener` hears of the next attempt that ends. */
  retry(listener: TriedListener): void {
    if (this.#successor !== undefined) return this.#successor.retry(listener)
    if (this.#stopped || this.waiting + this.#inFlight.size === 0) return listener(undefined)
    this.#curious.push(listener)
    this.#circuit.skip()
    this.#queue.wake(() => true)
    this.#probe.clear()
    this.#pumpLater()
  }

  /** Milliseconds until an attempt goes out by itself; undefined where nothing waits for one. */
  get nextAttempt(): number | undefined {
    const now = performance.now()
    const next = this.#queue.next(now)
    return next === undefined || this.#stopped ? undefined : Math.max(next - now, this.#circuit.wait(now))
  }

  /** Ends what waits for an answer that nobody waits for any more. */
  purge(): void {
    for (const entry of this.#queue.take(({ batch }) => batch.withdrawn)) this.#giveBack(entry, ends.withdrawn())
  }

  /** Gives up what waits at the front and is too old by now. Not all that waits is looked at: this is asked for each that comes. */
  #expireFirst(): void {
    const now = performance.now()
    for (let first = this.#queue.peek(); first !== undefined; first = this.#queue.peek()) {
      if (first.claim.expires > now) return
      this.#queue.shift()
      this.#expire(first, ends.keptTooLong)
    }
  }

  /** Gives up what waits and is too old by now. */
  expire(): void {
    const now = performance.now()
    for (const entry of this.#queue.take(({ claim }) => claim.expires <= now)) this.#expire(entry, ends.keptTooLong)
  }

  /**
   * Resolves when everything ended, or at the deadline, when the rest is given up; what is on disk is left there, as far as
   * it is not being sent. Returns the items lost.
   */
  async stop(deadline: number): Promise<number> {
    this.#leaving = true
    this.#queue.merge(this.#rejections.release())
    this.#leave([...this.#queue])
    this.#queue.wake(() => true)
    this.#pump()
    if (!this.idle) await this.#onIdle.wait(deadline, () => ends.tellWait(this.#parts, this.held(), this.#lastFailure))
    this.#stopped = true
    this.#probe.clear()
    for (const listener of this.#curious.splice(0)) listener(undefined)
    const before = this.#parts.books.lost.total
    const attempts = this.#inFlight.clear()
    const underWay = [...this.#graves.giveUp(), ...this.#rejections.giveUp(), ...attempts.map(({ entry }) => entry)]
    const left = [...underWay, ...this.#takeWaiting()].sort((a, b) => a.seq - b.seq)
    for (const attempt of attempts) attempt.giveUp()
    for (const entry of left) {
      if (!this.#passOn(entry)) this.#giveUp(entry, ends.stopping(), 'shutdown')
    }
    if (this.#successor !== undefined) this.#successor.#pump()
    return this.#parts.books.lost.total - before
  }

  /** What is on disk stays there: it is handed on to whoever opens the queue next. */
  #leave(entries: readonly Entry[]): void {
    const left = new Set(entries.filter(({ claim }) => claim.durable))
    if (left.size === 0) return
    this.#queue.take(entry => left.has(entry))
    for (const entry of left) ends.endLeft(this.#parts, entry)
  }

  /** What would have to be tried again is a successor's, or stays on disk; says whether it is dealt with. */
  #passOn(entry: Entry): boolean {
    if (this.#successor !== undefined) this.#successor.#takeOver([entry, ...this.#rejections.release()])
    else if (this.#leaving && entry.claim.durable) this.#leave([entry])
    else return false
    return true
  }

  /** What calls may be in the midst of something. */
  readonly #pumpLater = (): void => queueMicrotask(() => this.#pump())

  #pump(): void {
    if (this.#stopped) return
    const wait = this.#circuit.wait(performance.now())
    if (wait > 0) return this.#probe.set(wait)
    const { consumers, ordered, config } = this.#parts
    if (this.#isPreceded()) return
    const limit = this.#circuit.open || ordered ? 1 : consumers
    while (this.#inFlight.size < limit && !this.#awaitsRetry()) {
      const entry = this.#queue.shift()
      if (entry === undefined) break
      if (entry.batch.withdrawn) this.#giveBack(entry, ends.withdrawn())
      else if (entry.condemned !== undefined) this.#graves.bury(entry, entry.condemned.error, entry.condemned.reason)
      else if (fits(this.#parts, entry) || !this.#queue.putBack(halved(entry, config.retry_on_failure)))
        this.#attempt(entry)
    }
    if (this.#leaving && this.idle) this.#onIdle.reached()
  }

  /** Whether something waits for a retry that nothing may pass; what is suspected does not, or it would stop the rest for good. */
  #awaitsRetry(): boolean {
    const { ordered } = this.#parts
    return ordered && this.#queue.someAsleep(entry => entry.failures < suspectAfter && !entry.suspect)
  }

  #attempt(entry: Entry): void {
    const { exporter, config, books } = this.#parts
    if (entry.firstTried === 0) entry.firstTried = Date.now()
    this.#odds.follow(entry)
    books.attempts++
    const attempt = new RunningAttempt(entry, this.#listener)
    this.#inFlight.add(attempt)
    attempt.begin(exporter, config.timeout)
  }

  #heard(attempt: RunningAttempt, failure: DeliveryError | undefined, sent: Sent | undefined, took: number): void {
    const { entry } = attempt
    this.#inFlight.delete(attempt)
    const curious = this.#curious.splice(0)
    // Of what was settled there is nothing left that could have failed.
    if (failure === undefined || entry.batch.shares.length === 0) {
      this.latency.record(took)
      this.#succeeded(entry, sent, took)
    } else this.#failed(entry, failure, took)
    for (const listener of curious) listener({ failure, took, items: attempt.items })
    this.#pump()
    if (this.#successor !== undefined) this.#successor.#pump()
  }

  #succeeded(entry: Entry, sent: Sent | undefined, took: number): void {
    const { status } = this.#parts
    ends.endDelivered(this.#parts, entry, sent, took)
    this.lastSuccess = Date.now()
    this.#odds.took()
    this.#lastFailure = undefined
    if (this.#circuit.succeeded()) ends.tellClosed(this.#parts)
    status.worked()
    this.#ended(entry)
    this.#rejections.succeeded()
    // What waits for its own retry goes out, except what is suspected to be the cause.
    if (this.#queue.asleep > 0) this.#queue.wake(one => one.failures < 3 && !one.suspect && isPatient(one))
  }

  #failed(entry: Entry, error: DeliveryError, took: number): void {
    const { books, journal } = this.#parts
    books.failedAttempts++
    journal.note(books.name, 'attempt_failed', entry.batch, error.code, error.message, { took })
    this.#lastFailure = error
    switch (error.kind) {
      case 'retry':
        this.#retry(entry, error)
        return
      case 'too_large':
      case 'rejected':
        this.#rejections.refused(entry, error, error.kind)
        return
      case 'denied':
        this.#parts.status.demand = ends.demandOf(this.#parts)
        // It is the exporter's configuration that is wrong, not the data: what is kept here waits until that is mended, and who
        // waits for the answer is to come again.
        if (entry.batch.answered) return this.#retry(entry, error)
        this.#parts.status.set('RecoverableError', error.message)
        this.#giveBack(entry, error)
    }
  }

  #retry(entry: Entry, error: DeliveryError): void {
    const { config, status } = this.#parts
    const { enabled, max_elapsed_time } = config.retry_on_failure
    const now = performance.now()
    const { retryAfter } = error
    this.#odds.failed()
    const opened = this.#circuit.failed(now, retryAfter, error.isThrottled)
    entry.notBefore = now + (retryAfter ?? 0)
    const answer = ends.withDelay(error)
    status.set('RecoverableError', answer)
    if (entry.batch.withdrawn) return this.#giveBack(entry, ends.withdrawn())
    if (this.#passOn(entry)) return
    if (!enabled) return this.#giveUp(entry, error, error.kind === 'denied' ? 'denied' : 'not_retried')
    if (now >= entry.claim.expires) return this.#expire(entry, ends.keptTooLong)
    // Where nothing was taken meanwhile it may be the destination: that is looked for soon.
    const longest = this.lastSuccess > entry.firstTried ? Infinity : this.#circuit.longest
    const wait = Math.max(Math.min(entry.backoff.next(), longest), retryAfter ?? 0)
    if (max_elapsed_time > 0 && Date.now() + wait - entry.firstTried > max_elapsed_time) {
      return this.#expire(entry, 'no success within `max_elapsed_time`')
    }
    entry.failures++
    if (opened) {
      ends.tellOpened(this.#parts, answer)
      this.#queue.wake(isPatient)
      this.#pump()
    }
    const isProbed = this.#circuit.open && !this.#blocks(entry, error)
    if (isProbed && retryAfter === undefined) return void this.#queue.putBack([entry])
    if (!isProbed && this.#odds.blame(entry)) return this.#doubt(entry, wait)
    this.#sleep(entry, wait)
  }

  /** In order, the first is all that is ever tried: when answers to it are all there is to go by, others have to be tried as well. */
  #blocks(entry: Entry, error: DeliveryError): boolean {
    return this.#parts.ordered && error.code === 'DELIVERY_BUSY' && entry.failures >= 2 * suspectAfter
  }

  #sleep(entry: Entry, wait: number): void {
    this.#queue.sleep(entry, wait, () => this.#pump())
  }

  /** A batch that fails while others are taken is cut down to what fails; that is then given up. */
  #doubt(entry: Entry, wait: number): void {
    const rest = suspects(entry, this.#parts.config.retry_on_failure)
    if (rest?.[0] === entry) return this.#sleep(entry, wait)
    if (this.#queue.putBack(rest)) return
    const error = ends.suspected(entry.failures)
    if (!this.#graves.bury(entry, error, 'suspect')) this.#giveUp(entry, error, 'suspect')
  }

  /** Ends what will not be sent: lost if its senders think it is taken, else theirs again. */
  #giveUp(entry: Entry, error: DeliveryError, reason: string): void {
    if (!entry.batch.answered) return this.#giveBack(entry, error)
    ends.endLost(this.#parts, entry, error, reason)
    this.#ended(entry)
  }

  /** Gives up what waited as long as it may. Where the destination denies all, that is the reason. */
  #expire(entry: Entry, limit: string): void {
    const last = this.#lastFailure
    this.#giveUp(entry, ends.tooOld(limit, last), last?.kind === 'denied' ? 'denied' : 'expired')
  }

  #giveBack(entry: Entry, error: DeliveryError): void {
    ends.endReturned(this.#parts, entry, error)
    this.#ended(entry)
  }

  /** `isRefused`: the destination has seen it and does not want it. */
  #ended({ claim }: Entry, isRefused = false): void {
    this.#rejections.ended(claim, claim.end(), isRefused)
  }
}
