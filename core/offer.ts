/** One request that is offered to the pipelines until they take it. */
import type { Timer } from './clock.ts'
import type { Answer, Ended, Listener, Ticket } from './delivery.ts'
import type { DeliveryError } from './errors.ts'

/** What an offer stands on. */
export interface OfferTerms {
  /** Lets the request in once. */
  enter(by: Listener): Ticket
  /** Keeps the request for `ms` milliseconds; undefined when it is not to be offered again. */
  pause(ms: number, then: () => void): Timer | undefined
  /** What was kept is not offered any more. */
  stayed(): void
  /** It was answered, for the last time. */
  answered(): void
  /** It has ended for good, or nobody asks for that and it was answered. */
  ended(): void
}

/** Waits between two offers of what was refused, in milliseconds. */
const waits = { first: 500, factor: 1.5, longest: 30_000 }

/** See above; then until it has ended for good. */
export class Offer {
  readonly #by: Listener
  readonly #terms: OfferTerms
  #wait = waits.first
  /** What it was refused with last, while it waits. */
  #kept: { readonly timer: Timer; readonly answer: Answer } | undefined
  #ticket: Ticket | undefined

  constructor(by: Listener, terms: OfferTerms) {
    this.#by = by
    this.#terms = terms
  }

  make(): void {
    this.#kept = undefined
    this.#ticket = this.#terms.enter(this.#by.ended === undefined ? new Attempt(this) : new WatchedAttempt(this))
  }

  /** What became of one attempt: the answer to it, and its end where that is known already. */
  answered(answer: Answer, end: Ended | undefined): void {
    // What a disk has already is not refused: it would come twice.
    if (answer.kind === 'refused' && end?.again !== false && this.#keep(answer, answer.retryAfter)) return
    this.#tell(answer, end)
  }

  ended(end: Ended): void {
    this.#terms.ended()
    this.#by.ended?.(end)
  }

  /** It will not be offered again. */
  stop(): void {
    const kept = this.#kept
    if (kept === undefined) return
    this.#kept = undefined
    kept.timer.cancel()
    this.#terms.stayed()
    this.#tell(kept.answer, undefined)
  }

  /** Nobody waits for it any more. */
  withdraw(error: DeliveryError): void {
    this.#ticket?.withdraw(error)
  }

  #keep(answer: Answer, retryAfter: number): boolean {
    const wait = Math.max(this.#wait, retryAfter)
    this.#wait = Math.min(this.#wait * waits.factor, waits.longest)
    const timer = this.#terms.pause(wait, () => this.make())
    if (timer !== undefined) this.#kept = { timer, answer }
    return timer !== undefined
  }

  #tell(answer: Answer, end: Ended | undefined): void {
    this.#terms.answered()
    this.#by.answered(answer)
    if (answer.kind === 'refused') this.ended(end ?? { again: true, error: answer.error })
    else if (end !== undefined) this.ended(end)
    else if (this.#by.ended === undefined) this.#terms.ended()
  }
}

/** One attempt, where nobody asks how it ends for good. */
class Attempt implements Listener {
  readonly #offer: Offer

  constructor(offer: Offer) {
    this.#offer = offer
  }

  answered(answer: Answer): void {
    this.#offer.answered(answer, undefined)
  }
}

/** One attempt. What it ended as counts once it is known whether it was taken; of one that was refused it counts for nothing. */
class WatchedAttempt implements Listener {
  readonly #offer: Offer
  #state: 'open' | 'taken' | 'refused' = 'open'
  #end: Ended | undefined

  constructor(offer: Offer) {
    this.#offer = offer
  }

  answered(answer: Answer): void {
    this.#state = answer.kind === 'refused' ? 'refused' : 'taken'
    this.#offer.answered(answer, this.#end)
  }

  ended(end: Ended): void {
    if (this.#state === 'open') this.#end = end
    else if (this.#state === 'taken') this.#offer.ended(end)
  }
}
