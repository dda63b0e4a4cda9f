/** Attempts of one destination: how many at once, what a failure means, when to try again, when to give up. */
import type { Batch } from '../core/batch.ts'
import type { Exporter, Sent } from '../core/component.ts'
import type { NodeBooks } from '../core/books.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'
import type { Journal } from '../core/journal.ts'
import { Latency } from '../core/latency.ts'
import type { Logger } from '../core/logger.ts'
import type { SendingConfig } from '../core/sending.ts'
import type { Status } from '../core/status.ts'
import { Circuit } from './circuit.ts'
import { type Entry, makeEntry } from './entry.ts'
import { Fifo } from './fifo.ts'
import { halve } from './halve.ts'

/** Failures of one batch after which it is suspected, if others were taken meanwhile. */
const suspectAfter = 10
/** What looking for the bad part of one batch may cost in sends, besides two per request in it. */
const bisectSends = 64

export interface SenderParts {
  readonly exporter: Exporter
  readonly config: SendingConfig
  readonly books: NodeBooks
  readonly journal: Journal
  readonly log: Logger
  readonly status: Status
  /** Attempts at the same time. */
  readonly consumers: number
}

export class Sender {
  readonly #parts: SenderParts
  readonly #circuit: Circuit
  readonly #ready = new Fifo<Entry>()
  readonly #inFlight = new Map<Entry, AbortController>()
  readonly #sleeping = new Map<Entry, NodeJS.Timeout>()
  #probe: NodeJS.Timeout | undefined
  /** Bisections in a row that found nothing a destination would take. */
  #futile = 0
  #stopped = false
  #onIdle: (() => void) | undefined
  /** Time of the last success, in milliseconds since the epoch. */
  lastSuccess = 0
  readonly latency = new Latency()

  constructor(parts: SenderParts) {
    this.#parts = parts
    this.#circuit = new Circuit(parts.config.retry_on_failure)
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  get idle(): boolean {
    return this.#ready.length === 0 && this.#inFlight.size === 0 && this.#sleeping.size === 0
  }

  /** Items in the queue, waiting for a retry, and being sent. */
  held(): number {
    let items = 0
    for (const entry of this.#ready) items += entry.batch.items
    for (const entry of this.#inFlight.keys()) items += entry.batch.items
    for (const entry of this.#sleeping.keys()) items += entry.batch.items
    return items
  }

  /** When the oldest entry came in, in milliseconds since the epoch. */
  oldest(): number | undefined {
    let oldest = this.#ready.peek()?.since ?? Infinity
    for (const entry of this.#inFlight.keys()) oldest = Math.min(oldest, entry.since)
    for (const entry of this.#sleeping.keys()) oldest = Math.min(oldest, entry.since)
    return oldest === Infinity ? undefined : oldest
  }

  send(entry: Entry): void {
    this.#ready.push(entry)
    this.#pump()
  }

  /** Ends what waits for an answer that nobody waits for any more. */
  purge(): void {
    const unwanted = (entry: Entry): boolean => !entry.acknowledged && entry.batch.withdrawn
    for (const entry of this.#ready.remove(unwanted)) this.#giveBack(entry, withdrawn())
    for (const [entry, timer] of this.#sleeping) {
      if (!unwanted(entry)) continue
      clearTimeout(timer)
      this.#sleeping.delete(entry)
      this.#giveBack(entry, withdrawn())
    }
  }

  /** Resolves when everything ended, or at the deadline, when the rest is given up. Returns the items lost. */
  async stop(deadline: number): Promise<number> {
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
    const left = [...this.#inFlight.keys(), ...this.#sleeping.keys(), ...this.#ready].sort((a, b) => a.seq - b.seq)
    for (const [entry, abort] of this.#inFlight) {
      entry.batch.keepFromPool()
      abort.abort()
    }
    for (const timer of this.#sleeping.values()) clearTimeout(timer)
    this.#inFlight.clear()
    this.#sleeping.clear()
    this.#ready.remove(() => true)
    const stopping = new DeliveryError('DELIVERY_STOPPING', 'retry', 'stopped before the destination had it')
    for (const entry of left) this.#giveUp(entry, stopping, 'shutdown')
    return this.#parts.books.lost.total - before
  }

  #pump(): void {
    if (this.#stopped) return
    const wait = this.#circuit.wait(Date.now())
    if (wait > 0) {
      this.#probe ??= setTimeout(() => {
        this.#probe = undefined
        this.#pump()
      }, wait)
      return
    }
    const limit = this.#circuit.open ? 1 : this.#parts.consumers
    while (this.#inFlight.size < limit) {
      const entry = this.#ready.shift()
      if (entry === undefined) break
      if (!entry.acknowledged && entry.batch.withdrawn) this.#giveBack(entry, withdrawn())
      else this.#attempt(entry)
    }
    if (this.#onIdle !== undefined && this.idle) this.#onIdle()
  }

  #attempt(entry: Entry): void {
    const { exporter, config, books } = this.#parts
    const abort = new AbortController()
    this.#inFlight.set(entry, abort)
    if (entry.firstTried === 0) entry.firstTried = Date.now()
    books.attempts++
    const began = performance.now()
    let late: DeliveryError | undefined
    const end = (error: unknown, sent: Sent | undefined): void => {
      clearTimeout(timer)
      // After a timeout or a stop the entry is no longer this attempt's.
      if (this.#inFlight.get(entry) !== abort) return
      this.#inFlight.delete(entry)
      if (error === undefined) {
        const took = performance.now() - began
        this.latency.record(took)
        this.#succeeded(entry, sent, took)
      } else {
        const failure = error instanceof DeliveryError ? error : (late ?? asDeliveryError(error))
        this.#failed(entry, failure, performance.now() - began)
      }
      this.#pump()
    }
    const timer =
      config.timeout > 0
        ? setTimeout(() => {
            entry.batch.keepFromPool()
            const text = `no answer within ${config.timeout} ms`
            late = new DeliveryError('DELIVERY_TIMEOUT', 'retry', text, { maybeTaken: true })
            abort.abort(late)
            // The exporter knows more: whether anything was sent, and where to. It has this turn to say so.
            setImmediate(() => end(late, undefined))
          }, config.timeout)
        : undefined
    try {
      exporter.send(entry.batch, abort.signal).then(
        sent => end(undefined, sent),
        error => end(error ?? new Error('failed'), undefined),
      )
    } catch (error) {
      queueMicrotask(() => end(error ?? new Error('failed'), undefined))
    }
  }

  #succeeded(entry: Entry, sent: Sent | undefined, took: number): void {
    const { books, journal, status, log } = this.#parts
    const { batch, claim } = entry
    journal.follow(books.name, 'delivered', batch, took)
    const rejected = Math.min(sent?.rejected ?? 0, batch.items)
    books.delivered += batch.items - rejected
    this.lastSuccess = Date.now()
    claim.delivered = true
    if (sent !== undefined && (rejected > 0 || sent.message !== '')) {
      books.rejected.of('partial_success').value += rejected
      if (rejected > 0) journal.note(books.name, 'rejected', batch, 'partial_success', sent.message)
      log.warn({ rejected, of: batch.items, message: sent.message }, 'destination took the batch in part')
    }
    if (entry.acknowledged) batch.release()
    else acceptInPart(batch, rejected, sent?.message)
    if (this.#circuit.succeeded()) log.info({}, 'destination takes data again')
    status.set('OK')
    this.#ended(entry)
    if (this.#sleeping.size > 0) this.#wakeUnsuspected()
  }

  #failed(entry: Entry, error: DeliveryError, took: number): void {
    const { books, journal } = this.#parts
    books.failedAttempts++
    journal.note(books.name, 'attempt_failed', entry.batch, error.code, error.message, took)
    if (error.maybeTaken) books.maybeTwice += entry.batch.items
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
        this.#parts.status.set('RecoverableError', error.message)
        this.#reject(entry, error, 'denied')
    }
  }

  #retry(entry: Entry, error: DeliveryError): void {
    const { config, status, log } = this.#parts
    const { enabled, max_elapsed_time } = config.retry_on_failure
    const now = Date.now()
    const opened = this.#circuit.failed(now, error.retryAfter)
    status.set('RecoverableError', error.message)
    if (!entry.acknowledged && entry.batch.withdrawn) return this.#giveBack(entry, withdrawn())
    if (!enabled) return this.#giveUp(entry, error, 'not_retried')
    const wait = entry.backoff.next(error.retryAfter)
    if (max_elapsed_time > 0 && now + wait - entry.firstTried > max_elapsed_time) {
      const text = `no success within \`max_elapsed_time\`; the last answer was: ${error.message}`
      return this.#giveUp(entry, new DeliveryError('DELIVERY_EXPIRED', 'retry', text), 'expired')
    }
    entry.failures++
    if (opened) {
      log.warn({ error: error.message }, 'destination takes nothing: probing, the queue stands')
      this.#wakeAll()
    }
    if (this.#circuit.open) return this.#putBack([entry])
    if (entry.failures >= suspectAfter && this.#doubt(entry)) return
    this.#sleeping.set(
      entry,
      setTimeout(() => {
        this.#sleeping.delete(entry)
        this.#putBack([entry])
        this.#pump()
      }, wait),
    )
  }

  /** A batch that fails while others are taken is cut down to what fails; that is then given up. Says whether it is dealt with. */
  #doubt(entry: Entry): boolean {
    if (this.lastSuccess <= entry.firstTried) return false
    if (this.#bisect(entry, Infinity, true)) return true
    const text = `failed ${entry.failures} times while the destination took other data`
    this.#giveUp(entry, new DeliveryError('DELIVERY_SUSPECT', 'retry', text), 'suspect')
    return true
  }

  /** Sends the halves of a batch instead of it, as long as that may cost more sends. */
  #bisect(entry: Entry, sends: number, suspect = false): boolean {
    const { claim } = entry
    if (!claim.bisected) {
      claim.bisected = true
      claim.sendsLeft = sends
    }
    if (claim.sendsLeft < 2) return false
    const halves = halve(entry.batch)
    if (halves === undefined) return false
    claim.sendsLeft -= 2
    claim.split()
    const pieces = halves.map(batch => {
      const piece = makeEntry(batch, entry.seq, claim, entry.acknowledged, this.#parts.config.retry_on_failure)
      piece.suspect = suspect
      piece.firstTried = suspect ? Date.now() : entry.firstTried
      return piece
    })
    this.#putBack(pieces)
    return true
  }

  #reject(entry: Entry, error: DeliveryError, reason: string): void {
    const { books, journal, log } = this.#parts
    const { batch } = entry
    books.rejected.of(reason).value += batch.items
    journal.note(books.name, 'rejected', batch, reason, error.message)
    log.error({ items: batch.items, code: error.code, error: error.message }, 'destination rejected data for good')
    if (entry.acknowledged) batch.release()
    else batch.reject(error.message)
    this.#ended(entry)
  }

  /** Ends what will not be sent: lost if its senders think it is taken, else theirs again. */
  #giveUp(entry: Entry, error: DeliveryError, reason: string): void {
    const { books, journal, log } = this.#parts
    if (!entry.acknowledged) return this.#giveBack(entry, error)
    books.lost.of(reason).value += entry.batch.items
    journal.note(books.name, 'lost', entry.batch, reason, error.message)
    log.error({ items: entry.batch.items, reason, error: error.message }, 'data lost: not delivered and given up')
    entry.batch.release()
    this.#ended(entry)
  }

  #giveBack(entry: Entry, error: DeliveryError): void {
    const { books, journal } = this.#parts
    books.returned.of(error.code).value += entry.batch.items
    journal.note(books.name, 'returned', entry.batch, error.code, error.message)
    entry.batch.refuse(error)
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
    const woken = [...this.#sleeping.keys()].filter(which).sort((a, b) => a.seq - b.seq)
    for (const entry of woken) {
      clearTimeout(this.#sleeping.get(entry))
      this.#sleeping.delete(entry)
      this.#putBack([entry])
    }
  }

  /** Into the queue again, at the place in the order of arrival. */
  #putBack(entries: readonly Entry[]): void {
    const [{ seq }] = entries
    this.#ready.insert(entries, other => other.seq < seq)
  }
}

function withdrawn(): DeliveryError {
  return new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender stopped waiting')
}

/** Anything that is no DeliveryError is taken as worth a retry: nothing is lost by it. */
function asDeliveryError(error: unknown): DeliveryError {
  return new DeliveryError('INTERNAL', 'retry', messageOf(error), { cause: error })
}

/** One request: its sender hears how many were rejected. Several: nobody knows whose they were, all hear a warning. */
function acceptInPart(batch: Batch, rejected: number, message: string | undefined): void {
  if (rejected === 0 || batch.shares.length > 1) {
    batch.accept(message === undefined || message === '' ? undefined : message)
    return
  }
  const [{ delivery, items }] = batch.shares
  delivery.reject(rejected, message ?? 'rejected by the destination')
  if (items > rejected) delivery.accept(items - rejected)
  batch.release()
}
