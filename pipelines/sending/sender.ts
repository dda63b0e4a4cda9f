/** Attempts of one destination: how many at once, what a failure means, when to try again, when to give up. */
import type { Sent } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Latency } from '../../core/latency.ts'
import { type AttemptListener, fits, RunningAttempt } from './attempt.ts'
import { Circuit } from './circuit.ts'
import { endDelivered, endLeft, endLost, endRejected, endReturned, stopping, tooOld, withdrawn } from './ends.ts'
import { bisect, type Entry } from './entry.ts'
import { Fifo } from '../flow/fifo.ts'
import { Graves } from './graves.ts'
import type { SenderParts } from './sender-parts.ts'
import { Sleepers } from './sleepers.ts'

/** Failures of one batch after which it is suspected, if others were taken meanwhile. */
const suspectAfter = 10
/** What is said of data on disk. */
const keptTooLong = 'older than the storage keeps data (`max_age`)'
/** What looking for the bad part of one batch may cost in sends, besides two per request in it. */
const bisectSends = 64

const bySeq = (a: Entry, b: Entry): number => a.seq - b.seq

export class Sender {
  readonly #parts: SenderParts
  readonly #circuit: Circuit
  readonly #ready = new Fifo<Entry>()
  readonly #inFlight = new Map<Entry, RunningAttempt>()
  readonly #listener: AttemptListener
  readonly #sleeping = new Sleepers()
  readonly #graves: Graves
  #probe: NodeJS.Timeout | undefined
  /** Bisections in a row that found nothing a destination would take. */
  #futile = 0
  #stopped = false
  /** What is on disk is not sent any more. */
  #leaving = false
  #successor: Sender | undefined
  /** Who sent what comes here, and may not be done with the last of it. */
  #predecessor: Sender | undefined
  #onIdle: (() => void) | undefined
  /** Time of the last success, in milliseconds since the epoch. */
  lastSuccess = 0
  /** Since the last success. */
  #lastFailure: DeliveryError | undefined
  readonly latency = new Latency()

  constructor(parts: SenderParts) {
    this.#parts = parts
    this.#circuit = new Circuit(parts.config.retry_on_failure)
    this.#listener = {
      settled: ({ claim, acknowledged }, batch, sent, took) =>
        endDelivered(parts, { batch, claim, acknowledged }, sent, took),
      ended: (attempt, failure, sent, took) => this.#heard(attempt, failure, sent, took),
      maybeTwice: items => void (parts.books.maybeTwice += items),
    }
    this.#graves = new Graves(parts, {
      buried: entry => {
        this.#ended(entry)
        this.#pump()
      },
      notBuried: entry => {
        if (!this.#passOn(entry)) this.#sleep(entry, entry.backoff.next())
        this.#pump()
      },
    })
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Entries that wait, in the queue or for a retry. */
  get waiting(): number {
    return this.#ready.length + this.#sleeping.size
  }

  get idle(): boolean {
    return this.waiting + this.#inFlight.size + this.#graves.size === 0
  }

  /** Items in the queue, waiting for a retry, and being sent. */
  held(): number {
    let items = 0
    for (const entry of this.#ready) items += entry.batch.items
    for (const entry of this.#inFlight.keys()) items += entry.batch.items
    for (const entry of this.#sleeping) items += entry.batch.items
    for (const entry of this.#graves) items += entry.batch.items
    return items
  }

  /** When the oldest entry came in, in milliseconds since the epoch. */
  oldest(): number | undefined {
    let oldest = this.#ready.peek()?.since ?? Infinity
    for (const entry of this.#inFlight.keys()) oldest = Math.min(oldest, entry.since)
    for (const entry of this.#sleeping) oldest = Math.min(oldest, entry.since)
    return oldest === Infinity ? undefined : oldest
  }

  send(entry: Entry): void {
    if (this.#successor !== undefined) return this.#successor.#takeOver([entry])
    this.#ready.push(entry)
    if (this.#circuit.open && entry.claim.expires < Infinity) this.#expireFirst()
    this.#pump()
  }

  /** Another one sends what waits here, and what fails here from now on. */
  handOver(successor: Sender): void {
    this.#successor = successor
    if (this.#parts.ordered) successor.#predecessor = this
    successor.#takeOver([...this.#sleeping.take(() => true), ...this.#ready.remove(() => true)])
  }

  /** Sends what another one was to send: what that one's exporter has made of it is not this one's. */
  #takeOver(entries: readonly Entry[]): void {
    if (this.#successor !== undefined) return this.#successor.#takeOver(entries)
    for (const entry of entries) {
      entry.memo = undefined
      if (this.#stopped && !this.#passOn(entry)) this.#giveUp(entry, stopping(), 'shutdown')
    }
    if (this.#stopped) return
    this.#ready.merge(entries.toSorted(bySeq), bySeq)
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

  /** Ends what waits for an answer that nobody waits for any more. */
  purge(): void {
    const unwanted = (entry: Entry): boolean => !entry.acknowledged && entry.batch.withdrawn
    for (const entry of this.#ready.remove(unwanted)) this.#giveBack(entry, withdrawn())
    for (const entry of this.#sleeping.take(unwanted)) this.#giveBack(entry, withdrawn())
  }

  /** Gives up what waits at the front and is too old by now. Not all that waits is looked at: this is asked for each that comes. */
  #expireFirst(): void {
    const now = performance.now()
    for (let first = this.#ready.peek(); first !== undefined; first = this.#ready.peek()) {
      if (first.claim.expires > now) return
      this.#ready.shift()
      this.#expire(first, keptTooLong)
    }
  }

  /** Gives up what waits and is too old by now. */
  expire(): void {
    const now = performance.now()
    const old = (entry: Entry): boolean => entry.claim.expires <= now
    for (const entry of [...this.#ready.remove(old), ...this.#sleeping.take(old)]) this.#expire(entry, keptTooLong)
  }

  /**
   * Resolves when everything ended, or at the deadline, when the rest is given up; what is on disk is left there, as far as
   * it is not being sent. Returns the items lost.
   */
  async stop(deadline: number): Promise<number> {
    this.#leaving = true
    this.#leave([...this.#sleeping, ...this.#ready])
    this.#wakeAll()
    if (!this.idle) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()))
        this.#onIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#stopped = true
    clearTimeout(this.#probe)
    const before = this.#parts.books.lost.total
    const underWay = [...this.#inFlight.keys(), ...this.#graves.giveUp()]
    const waiting = [...this.#sleeping.take(() => true), ...this.#ready.remove(() => true)]
    const left = [...underWay, ...waiting].sort(bySeq)
    for (const attempt of this.#inFlight.values()) attempt.giveUp()
    this.#inFlight.clear()
    for (const entry of left) {
      if (!this.#passOn(entry)) this.#giveUp(entry, stopping(), 'shutdown')
    }
    if (this.#successor !== undefined) this.#successor.#pump()
    return this.#parts.books.lost.total - before
  }

  /** What is on disk stays there: it is handed on to whoever opens the queue next. */
  #leave(entries: readonly Entry[]): void {
    const left = new Set(entries.filter(({ claim }) => claim.durable))
    if (left.size === 0) return
    this.#ready.remove(entry => left.has(entry))
    this.#sleeping.take(entry => left.has(entry))
    for (const entry of left) endLeft(this.#parts, entry)
  }

  /** What would have to be tried again is a successor's, or stays on disk; says whether it is dealt with. */
  #passOn(entry: Entry): boolean {
    if (this.#successor !== undefined) this.#successor.#takeOver([entry])
    else if (this.#leaving && entry.claim.durable) this.#leave([entry])
    else return false
    return true
  }

  #pump(): void {
    if (this.#stopped) return
    const wait = this.#circuit.wait(performance.now())
    if (wait > 0) {
      this.#probe ??= setTimeout(() => {
        this.#probe = undefined
        this.#pump()
      }, wait)
      return
    }
    const { consumers, ordered } = this.#parts
    if (this.#isPreceded()) return
    const limit = this.#circuit.open || ordered ? 1 : consumers
    while (this.#inFlight.size < limit && !this.#awaitsRetry()) {
      const entry = this.#ready.shift()
      if (entry === undefined) break
      if (!entry.acknowledged && entry.batch.withdrawn) this.#giveBack(entry, withdrawn())
      else if (entry.condemned !== undefined) this.#graves.bury(entry, entry.condemned.error, entry.condemned.reason)
      else if (fits(this.#parts, entry.batch) || !this.#bisect(entry, Infinity)) this.#attempt(entry)
    }
    if (this.#onIdle !== undefined && this.idle) this.#onIdle()
  }

  /** Whether something waits for a retry that nothing may pass; what is suspected does not, or it would stop the rest for good. */
  #awaitsRetry(): boolean {
    const { ordered } = this.#parts
    return ordered && this.#sleeping.some(entry => entry.failures < suspectAfter && !entry.suspect)
  }

  #attempt(entry: Entry): void {
    const { exporter, config, books } = this.#parts
    if (entry.firstTried === 0) entry.firstTried = Date.now()
    books.attempts++
    const attempt = new RunningAttempt(entry, this.#listener)
    this.#inFlight.set(entry, attempt)
    attempt.begin(exporter, config.timeout)
  }

  #heard(attempt: RunningAttempt, failure: DeliveryError | undefined, sent: Sent | undefined, took: number): void {
    const { entry } = attempt
    this.#inFlight.delete(entry)
    // Of what was settled there is nothing left that could have failed.
    if (failure === undefined || entry.batch.shares.length === 0) {
      this.latency.record(took)
      this.#succeeded(entry, sent, took)
    } else this.#failed(entry, failure, took)
    this.#pump()
    if (this.#successor !== undefined) this.#successor.#pump()
  }

  #succeeded(entry: Entry, sent: Sent | undefined, took: number): void {
    const { status, log } = this.#parts
    endDelivered(this.#parts, entry, sent, took)
    this.lastSuccess = Date.now()
    this.#lastFailure = undefined
    if (this.#circuit.succeeded()) log.info({}, 'destination takes data again')
    status.set('OK')
    this.#ended(entry)
    if (this.#sleeping.size > 0) this.#wakeUnsuspected()
  }

  #failed(entry: Entry, error: DeliveryError, took: number): void {
    const { books, journal } = this.#parts
    books.failedAttempts++
    journal.note(books.name, 'attempt_failed', entry.batch, error.code, error.message, took)
    this.#lastFailure = error
    switch (error.kind) {
      case 'retry':
        this.#retry(entry, error)
        return
      case 'too_large':
        // Each piece is half of it: the number of sends is bounded by its items.
        if (!this.#bisect(entry, Infinity)) this.#reject(entry, error, 'too_large')
        return
      case 'rejected':
        if (!this.#bisect(entry, (bisectSends + 2 * entry.batch.shares.length) >> this.#futile)) {
          this.#reject(entry, error, 'rejected')
        }
        return
      case 'denied':
        // It is the exporter's configuration that is wrong, not the data: what is kept here waits until that is mended.
        if (entry.acknowledged) return this.#retry(entry, error)
        this.#parts.status.set('RecoverableError', error.message)
        this.#reject(entry, error, 'denied')
    }
  }

  #retry(entry: Entry, error: DeliveryError): void {
    const { config, status, log } = this.#parts
    const { enabled, max_elapsed_time } = config.retry_on_failure
    const now = Date.now()
    const opened = this.#circuit.failed(performance.now(), error.retryAfter)
    status.set('RecoverableError', error.message)
    if (!entry.acknowledged && entry.batch.withdrawn) return this.#giveBack(entry, withdrawn())
    if (this.#passOn(entry)) return
    if (!enabled) return this.#giveUp(entry, error, error.kind === 'denied' ? 'denied' : 'not_retried')
    if (performance.now() >= entry.claim.expires) return this.#expire(entry, keptTooLong)
    const wait = entry.backoff.next(error.retryAfter)
    if (max_elapsed_time > 0 && now + wait - entry.firstTried > max_elapsed_time) {
      return this.#expire(entry, 'no success within `max_elapsed_time`')
    }
    entry.failures++
    if (opened) {
      log.warn({ error: error.message }, 'destination takes nothing: probing, the queue stands')
      this.#wakeAll()
    }
    if (this.#circuit.open && !this.#blocks(entry, error)) return this.#putBack([entry])
    if (entry.failures >= suspectAfter && this.#doubt(entry)) return
    this.#sleep(entry, wait)
  }

  /** In order, the first is all that is ever tried: when answers to it are all there is to go by, others have to be tried as well. */
  #blocks(entry: Entry, error: DeliveryError): boolean {
    return this.#parts.ordered && error.code === 'DELIVERY_BUSY' && entry.failures >= 2 * suspectAfter
  }

  #sleep(entry: Entry, wait: number): void {
    this.#sleeping.add(entry, wait, () => {
      this.#putBack([entry])
      this.#pump()
    })
  }

  /** A batch that fails while others are taken is cut down to what fails; that is then given up. Says whether it is dealt with. */
  #doubt(entry: Entry): boolean {
    if (this.lastSuccess <= entry.firstTried) return false
    if (this.#bisect(entry, Infinity, true)) return true
    const text = `failed ${entry.failures} times while the destination took other data`
    const error = new DeliveryError('DELIVERY_SUSPECT', 'retry', text)
    if (!this.#graves.bury(entry, error, 'suspect')) this.#giveUp(entry, error, 'suspect')
    return true
  }

  /** Sends the halves of a batch instead of it, as long as that may cost more sends. */
  #bisect(entry: Entry, sends: number, suspect = false): boolean {
    const pieces = bisect(entry, sends, suspect, this.#parts.config.retry_on_failure)
    if (pieces !== undefined) this.#putBack(pieces)
    return pieces !== undefined
  }

  #reject(entry: Entry, error: DeliveryError, reason: string): void {
    if (this.#graves.bury(entry, error, reason)) return
    endRejected(this.#parts, entry, error, reason)
    this.#ended(entry)
  }

  /** Ends what will not be sent: lost if its senders think it is taken, else theirs again. */
  #giveUp(entry: Entry, error: DeliveryError, reason: string): void {
    if (entry.acknowledged) endLost(this.#parts, entry, error, reason)
    else endReturned(this.#parts, entry, error)
    this.#ended(entry)
  }

  /** Gives up what waited as long as it may. Where the destination denies all, that is the reason. */
  #expire(entry: Entry, limit: string): void {
    const last = this.#lastFailure
    this.#giveUp(entry, tooOld(limit, last), last?.kind === 'denied' ? 'denied' : 'expired')
  }

  #giveBack(entry: Entry, error: DeliveryError): void {
    endReturned(this.#parts, entry, error)
    this.#ended(entry)
  }

  #ended(entry: Entry): void {
    const { claim } = entry
    if (!claim.end() || !claim.bisected) return
    // Where bisecting finds nothing that is taken, the destination refuses everything: look less far the next time.
    this.#futile = claim.delivered ? 0 : Math.min(this.#futile + 1, 6)
  }

  /** The destination takes data: what waits for its own retry goes out, except what is suspected to be the cause. */
  #wakeUnsuspected(): void {
    this.#wake(entry => entry.failures < 3 && !entry.suspect)
  }

  #wakeAll(): void {
    this.#wake(() => true)
    this.#pump()
  }

  #wake(which: (entry: Entry) => boolean): void {
    this.#ready.merge(this.#sleeping.take(which).sort(bySeq), bySeq)
  }

  /** Into the queue again, at the place in the order of arrival. */
  #putBack(entries: readonly Entry[]): void {
    const [{ seq }] = entries
    this.#ready.insert(entries, other => other.seq < seq)
  }
}
