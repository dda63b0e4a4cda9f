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

/** What is heard of a request: that its bytes are none of its signal, or how its delivery ended. */
export type Answer =
  | Outcome
  /** `firstBytes`: how its body began. */
  | { readonly kind: 'malformed'; readonly message: string; readonly firstBytes: Buffer | undefined }

/** How what a source handed in ended for good: what became of it is known, or it has to be read again. */
export type Ended =
  /** Safe, or given up for a reason that the books have: nobody will ask for it again. */
  | { readonly again: false; readonly rejected: number; readonly lost: number; readonly reason: string | undefined }
  | { readonly again: true; readonly error: DeliveryError }

/** What became of some items for good; see `Ended`. */
export type Fate =
  /** A destination has them, or a disk, or a rule dropped them. */
  | { readonly kind: 'done' }
  | { readonly kind: 'rejected' | 'lost'; readonly reason: string }
  /** They were given up, but whoever can read them again should. */
  | { readonly kind: 'again'; readonly error: DeliveryError }

/** The fate of what all went well with. */
export const done: Fate = { kind: 'done' }

/** Who handed a request in. Both moments are told once each, later; neither implies the other. */
export interface Listener {
  /** What the sender is to hear; of how many items, where they were counted. */
  answered(answer: Answer, items?: number): void
  /** For a source that can read again: what it has handed in is settled for good. It costs something only where it is there. */
  ended?(end: Ended): void
}

/** What a request can be taken back by, as long as its sender waits. */
export interface Ticket {
  withdraw(error: DeliveryError): void
}

/** Hears of every outcome, for the books of the receiver. */
export interface OutcomeTally {
  tally(items: number, outcome: Outcome): void
}

const success: Outcome = { kind: 'success', warning: undefined }

/** What is known of the second moment of a delivery: whose items have not ended for good, and the worst of what became of the others. */
interface Watch {
  open: number
  rejected: number
  lost: number
  reason: string | undefined
  again: DeliveryError | undefined
}

/**
 * What a receiver waits on: one per request. Counts the items that have not ended yet; a fan-out adds what its further
 * branches carry. It ends exactly once, in a microtask, never inside a push. Where its listener asks for it, it also says
 * when all of it ended for good, which is another moment: what a queue in memory has taken is answered, and not safe.
 */
export class Delivery implements Ticket {
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
  /** Until it was answered. */
  #listener: Listener | undefined
  #withdrawn = false
  #tally: OutcomeTally | undefined
  /** Until it ended for good, where somebody asks for that. */
  #watch: Watch | undefined
  readonly #watcher: Listener | undefined

  /** Without a `listener` nobody waits (data that no sender stands behind). */
  constructor(items: number, listener: Listener | undefined) {
    this.items = items
    this.#open = items
    this.#total = items
    this.#listener = listener
    if (listener?.ended !== undefined) {
      this.#watcher = listener
      this.#watch = { open: items, rejected: 0, lost: 0, reason: undefined, again: undefined }
    }
    if (items > 0) return
    this.#end()
    this.#endForGood()
  }

  /** Items that have not ended. */
  get open(): number {
    return this.#open
  }

  /** Whether a refusal reaches somebody who can send again, or who gave up and will. */
  get refusable(): boolean {
    return this.#listener !== undefined || this.#withdrawn
  }

  /** Whether the sender gave up: what has not started to be sent need not be. */
  get withdrawn(): boolean {
    return this.#withdrawn
  }

  /** Why the whole is to be sent again, as soon as that is known; what was not pushed yet need not be. */
  get refusal(): DeliveryError | undefined {
    return this.#refused
  }

  /** Whether somebody waits for its end for good. */
  get watched(): boolean {
    return this.#watch !== undefined
  }

  /** Items that have not ended for good, where somebody waits for that. */
  get unsettled(): number {
    return this.#watch?.open ?? 0
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

  /** Its end for good waits for them, too. */
  forkEnd(items: number): void {
    if (this.#watch !== undefined) this.#watch.open += items
  }

  /** A destination (or its queue) has taken `items`. */
  accept(items: number, warning?: string): void {
    this.#accepted += items
    if (warning !== undefined) this.#warning ??= warning
    this.#settle(items)
  }

  /** Something of the request was passed over: its sender hears so beside success. */
  warn(warning: string): void {
    this.#warning ??= warning
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
    if (this.#listener === undefined) return
    this.#withdrawn = true
    this.#refused ??= error
    this.#end()
  }

  /** `items` ended for good; whoever was answered for them before. Only where it is `watched`. */
  settle(items: number, fate: Fate): void {
    const watch = this.#watch
    if (watch === undefined || items === 0) return
    if (fate.kind === 'again') watch.again ??= fate.error
    else if (fate.kind !== 'done') {
      watch[fate.kind] += items
      watch.reason ??= fate.reason
    }
    watch.open -= items
    if (watch.open > 0) return
    if (watch.open < 0)
      throw new InternalError(`delivery of ${this.items} items ended for good ${-watch.open} too many`)
    this.#endForGood()
  }

  #settle(items: number): void {
    this.#open -= items
    if (this.#open > 0) return
    if (this.#open < 0) throw new InternalError(`delivery of ${this.items} items ended ${-this.#open} items too many`)
    this.#end()
  }

  #end(): void {
    const listener = this.#listener
    if (listener === undefined) return
    this.#listener = undefined
    queueMicrotask(() => {
      const outcome = this.#outcome()
      if (this.record !== undefined) endRecord(this.record, outcome)
      this.#tally?.tally(this.items, outcome)
      listener.answered(outcome, this.items)
    })
  }

  #endForGood(): void {
    const watch = this.#watch
    if (watch === undefined) return
    this.#watch = undefined
    queueMicrotask(() => this.#watcher?.ended?.(endOf(watch, this.items)))
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

/** The worst of all branches; no more items than the sender sent. */
function endOf({ again, rejected, lost, reason }: Watch, items: number): Ended {
  if (again !== undefined) return { again: true, error: again }
  return { again: false, rejected: Math.min(items, rejected), lost: Math.min(items, lost), reason }
}
