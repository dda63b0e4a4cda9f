import type { Batch } from '../core/batch.ts'
import type { RetryConfig } from '../core/sending.ts'
import { Backoff } from './backoff.ts'

/**
 * The room one batch takes in a queue, until the last piece of it ended. Also what its pieces have in common when it is
 * bisected: how many sends that may still cost, and whether anything of it was taken.
 */
export class Claim {
  readonly weight: number
  /** Sends that looking for the bad part may still cost. */
  sendsLeft = 0
  bisected = false
  delivered = false
  #pieces = 1
  readonly #onEnd: () => void

  constructor(weight: number, onEnd: () => void) {
    this.weight = weight
    this.#onEnd = onEnd
  }

  /** One piece became two. */
  split(): void {
    this.#pieces++
  }

  /** One piece ended; says whether it was the last. */
  end(): boolean {
    if (--this.#pieces > 0) return false
    this.#onEnd()
    return true
  }
}

/** One batch, or one piece of it, on its way to a destination. */
export interface Entry {
  readonly batch: Batch
  /** Place in the order of arrival. */
  readonly seq: number
  readonly claim: Claim
  /** When it came in, in milliseconds since the epoch. */
  readonly since: number
  /** Whether the senders were already told that it was taken. */
  readonly acknowledged: boolean
  readonly backoff: Backoff
  /** Attempts that failed in a way that is worth a retry. */
  failures: number
  /** When it was first tried, in milliseconds since the epoch; 0 before. */
  firstTried: number
  /** It failed again and again while others were taken: it is tried alone. */
  suspect: boolean
}

/** A new entry that was not tried yet. */
export function makeEntry(batch: Batch, seq: number, claim: Claim, acknowledged: boolean, retry: RetryConfig): Entry {
  const since = Date.now()
  return {
    batch,
    seq,
    claim,
    since,
    acknowledged,
    backoff: new Backoff(retry),
    failures: 0,
    firstTried: 0,
    suspect: false,
  }
}
