import { durationText } from '../../config/duration-text.ts'
import { timerWait } from '../../core/clock.ts'
import type { Batch } from '../../core/batch.ts'
import { Canceller } from '../../core/cancellation.ts'
import type { Chained } from '../../core/chain.ts'
import type { Attempt, Exporter, Sent } from '../../core/component.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import { without } from '../../core/parts.ts'
import type { Entry } from './entry.ts'
import type { SenderParts } from './sender-parts.ts'

/** Who hears what comes of attempts. Milliseconds are those since the attempt began. */
export interface AttemptListener {
  /** Part of the batch is done; it is no longer in the entry. */
  settled(entry: Entry, part: Batch, sent: Sent | undefined, took: number): void
  /** The attempt ended. Called once, after it was begun. */
  ended(attempt: RunningAttempt, failure: DeliveryError | undefined, sent: Sent | undefined, took: number): void
  /** Of data that counts as not sent, `items` were taken. */
  maybeTwice(items: number): void
  /** Whoever was told that the attempt is cancelled threw. */
  readonly fault: (error: unknown) => void
  /** What a destination said as it may be told: it may answer with what it was sent, keys and all. */
  tell(text: string): string
}

/** A batch that is being sent. */
export class RunningAttempt extends Canceller implements Attempt, Chained<RunningAttempt> {
  before: RunningAttempt | undefined
  after: RunningAttempt | undefined
  chain: object | undefined
  readonly entry: Entry
  readonly number: number
  /** Items it was begun with. */
  readonly items: number
  readonly #listener: AttemptListener
  readonly #began = performance.now()
  #timer: NodeJS.Timeout | undefined
  #expired: DeliveryError | undefined
  #isOver = false
  /** All of it counts as perhaps taken. */
  #isCounted = false
  /** Items said to be taken once it is cancelled, while nobody knows yet how the attempt ends. */
  #late = 0

  constructor(entry: Entry, listener: AttemptListener) {
    super(listener.fault)
    this.entry = entry
    this.items = entry.batch.items
    this.number = ++entry.tries
    this.#listener = listener
  }

  get isSuspect(): boolean {
    return this.entry.suspect
  }

  get memo(): unknown {
    return this.#isOver ? undefined : this.entry.memo
  }

  set memo(memo: unknown) {
    if (!this.#isOver) this.entry.memo = memo
  }

  /** Sends, for at most `timeout` milliseconds (0: no limit). The listener hears nothing of its end before this has returned. */
  begin(exporter: Exporter, timeout: number): void {
    if (timeout > 0) this.#timer = setTimeout(() => this.#expire(timeout), timerWait(timeout))
    try {
      exporter.send(this.entry.batch, this).then(
        sent => this.#end(undefined, sent),
        (error: unknown) => this.#fail(error),
      )
    } catch (error) {
      queueMicrotask(() => this.#fail(error))
    }
  }

  settle(part: Batch, sent?: Sent): void {
    const { entry } = this
    if (this.#isOver) {
      if (!this.#isCounted) this.#listener.maybeTwice(part.items)
      return
    }
    if (this.isCancelled) {
      this.#late += part.items
      return
    }
    entry.batch = without(entry.batch, part)
    this.#listener.settled(entry, part, this.#toldSent(sent), performance.now() - this.#began)
  }

  /** Nobody waits for it any more; whatever of it was not settled may have been taken. */
  giveUp(): void {
    this.#isOver = true
    this.#isCounted = true
    clearTimeout(this.#timer)
    this.#listener.maybeTwice(this.entry.batch.items)
    this.entry.batch.keepFromPool()
    this.cancel()
  }

  #expire(timeout: number): void {
    this.entry.batch.keepFromPool()
    const text = `no answer within ${durationText(timeout)} (\`timeout\`)`
    this.#expired = new DeliveryError('DELIVERY_TIMEOUT', 'retry', text, { maybeTaken: true })
    this.cancel(this.#expired)
    // The exporter knows more: whether anything was sent, and where to. It has this turn to say so.
    setImmediate(() => this.#end(this.#expired, undefined))
  }

  #fail(error: unknown): void {
    this.#end(error instanceof DeliveryError ? error : (this.#expired ?? asDeliveryError(error)), undefined)
  }

  #end(failure: DeliveryError | undefined, sent: Sent | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    if (failure !== undefined) {
      this.#isCounted = failure.maybeTaken
      this.#listener.maybeTwice(failure.maybeTaken ? this.entry.batch.items : this.#late)
    }
    this.#listener.ended(this, this.#toldFailure(failure), this.#toldSent(sent), performance.now() - this.#began)
  }

  #toldFailure(failure: DeliveryError | undefined): DeliveryError | undefined {
    if (failure === undefined) return undefined
    const message = this.#listener.tell(failure.message)
    if (message === failure.message) return failure
    const { code, kind, retryAfter, maybeTaken, isThrottled } = failure
    return new DeliveryError(code, kind, message, { retryAfter, maybeTaken, isThrottled })
  }

  #toldSent(sent: Sent | undefined): Sent | undefined {
    return sent && { ...sent, message: this.#listener.tell(sent.message) }
  }
}

/** Anything that is no DeliveryError is taken as worth a retry: nothing is lost by it. */
function asDeliveryError(error: unknown): DeliveryError {
  return new DeliveryError('INTERNAL', 'retry', error === undefined ? 'failed' : messageOf(error), { cause: error })
}

/** Whether one send can carry a batch, or what is left of one that was sent in part. What its exporter fails to look at is sent: the destination says what that is worth. */
export function fits({ exporter, books, log }: SenderParts, { batch, memo }: Entry): boolean {
  try {
    return memo !== undefined || exporter.fits?.(batch) !== false
  } catch (error) {
    books.internalFaults++
    log.error({ error: messageOf(error) }, 'exporter failed to say whether a batch fits')
    return true
  }
}
