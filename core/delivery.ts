import { type DeliveryError, InternalError } from './errors.ts'
import { endRecord, type JournalRecord } from './journal.ts'

/** How a delivery ended, in items of the sender's request. See the table in DESIGN.md, "Batch, lease, delivery". */
export type Outcome =
  /** All accepted, or dropped by rule. A warning says what a destination rejected of a batch of many senders. */
  | { readonly kind: 'success'; readonly warning: string | undefined }
  /** Some rejected, the rest accepted: success with partial_success. */
  | { readonly kind: 'partial'; readonly rejected: number; readonly reason: string }
  /** All rejected: the sender's data is bad, or no destination takes it. */
  | { readonly kind: 'rejected'; readonly reason: string }
  /** Any refused: the whole is to be sent again, not sooner than `retryAfter` milliseconds. */
  | {
      readonly kind: 'refused'
      readonly error: DeliveryError
      readonly retryAfter: number
      readonly mayBeSentTwice: number
    }

/** Hears of every outcome, for the books of the receiver. */
export interface OutcomeTally {
  tally(items: number, outcome: Outcome): void
}

const success: Outcome = { kind: 'success', warning: undefined }

/**
 * What a receiver waits on: one per request. Counts the items that have not ended yet; a fan-out adds what its further
 * branches carry. It ends exactly once, in a microtask, never inside a push.
 */
export class Delivery {
  /** Items of the request. */
  readonly items: number
  /** What the journal keeps of it, once something is worth keeping. */
  record: JournalRecord | undefined
  #open: number
  #total: number
  #accepted = 0
  #rejected = 0
  #reason: string | undefined
  #warning: string | undefined
  #refused: DeliveryError | undefined
  #retryAfter = 0
  #onEnd: ((outcome: Outcome) => void) | undefined
  #withdrawn = false
  #tally: OutcomeTally | undefined

  /** `onEnd` hears the outcome once; without it nobody waits (data that no sender stands behind). */
  constructor(items: number, onEnd: ((outcome: Outcome) => void) | undefined) {
    this.items = items
    this.#open = items
    this.#total = items
    this.#onEnd = onEnd
    if (items === 0) this.#end()
  }

  /** Items that have not ended. */
  get open(): number {
    return this.#open
  }

  /** Whether a refusal reaches somebody who can send again, or who gave up and will. */
  get refusable(): boolean {
    return this.#onEnd !== undefined || this.#withdrawn
  }

  /** Whether the sender gave up: what has not started to be sent need not be. */
  get withdrawn(): boolean {
    return this.#withdrawn
  }

  /** Why the whole is to be sent again, as soon as that is known; what was not pushed yet need not be. */
  get refusal(): DeliveryError | undefined {
    return this.#refused
  }

  /** Lets `tally` hear the outcome too. */
  reportTo(tally: OutcomeTally): void {
    this.#tally = tally
  }

  /** A further branch carries `items` of this delivery. */
  fork(items: number): void {
    this.#open += items
    this.#total += items
  }

  /** A destination (or its queue) has taken `items`. */
  accept(items: number, warning?: string): void {
    this.#accepted += items
    if (warning !== undefined) this.#warning ??= warning
    this.#settle(items)
  }

  /** A rule of the configuration dropped `items`: no error, the sender hears success. */
  drop(items: number): void {
    this.#settle(items)
  }

  /** `items` will never be taken. */
  reject(items: number, reason: string): void {
    this.#rejected += items
    this.#reason ??= reason
    this.#settle(items)
  }

  /** `items` were not taken and may be sent again. */
  refuse(items: number, error: DeliveryError): void {
    this.#refused ??= error
    this.#retryAfter = Math.max(this.#retryAfter, error.retryAfter ?? 0)
    this.#settle(items)
  }

  /** The sender's deadline passed or it hung up: it hears (if it can) that all is refused. */
  withdraw(error: DeliveryError): void {
    if (this.#onEnd === undefined) return
    this.#withdrawn = true
    this.#refused ??= error
    this.#end()
  }

  #settle(items: number): void {
    this.#open -= items
    if (this.#open > 0) return
    if (this.#open < 0) throw new InternalError(`delivery of ${this.items} items ended ${-this.#open} items too many`)
    this.#end()
  }

  #end(): void {
    const onEnd = this.#onEnd
    if (onEnd === undefined) return
    this.#onEnd = undefined
    queueMicrotask(() => {
      const outcome = this.#outcome()
      if (this.record !== undefined) endRecord(this.record, outcome)
      this.#tally?.tally(this.items, outcome)
      onEnd(outcome)
    })
  }

  #outcome(): Outcome {
    if (this.#refused !== undefined) {
      const mayBeSentTwice = Math.min(this.items, this.#accepted)
      return { kind: 'refused', error: this.#refused, retryAfter: this.#retryAfter, mayBeSentTwice }
    }
    if (this.#rejected > 0) {
      const reason = this.#reason ?? 'rejected'
      if (this.#rejected >= this.#total) return { kind: 'rejected', reason }
      return { kind: 'partial', rejected: Math.min(this.items, this.#rejected), reason }
    }
    return this.#warning === undefined ? success : { kind: 'success', warning: this.#warning }
  }
}
