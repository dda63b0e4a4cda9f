import type { Batch } from '../../core/batch.ts'
import type { DeliveryError } from '../../core/errors.ts'
import type { RetryConfig } from '../../core/sending.ts'
import { Backoff } from './backoff.ts'
import type { Claim } from './claim.ts'
import { halve } from './halve.ts'

/** One batch, or one piece of it, on its way to a destination. */
export interface Entry {
  /** What of it was not settled. */
  batch: Batch
  /** Place in the order of arrival. */
  readonly seq: number
  readonly claim: Claim
  /** When it came in, in milliseconds since the epoch. */
  readonly since: number
  /** Whether the senders were already told that it was taken. */
  readonly acknowledged: boolean
  readonly backoff: Backoff
  /** Attempts so far. */
  tries: number
  /** What the exporter wants to find at its next attempt. */
  memo: unknown
  /** Attempts that failed in a way that is worth a retry. */
  failures: number
  /** When it was first tried, in milliseconds since the epoch; 0 before. */
  firstTried: number
  /** It failed again and again while others were taken: it is tried alone. */
  suspect: boolean
  /** It is not sent any more but put aside, for this reason. */
  condemned: { readonly error: DeliveryError; readonly reason: string } | undefined
}

/** A new entry that was not tried yet. */
export function makeEntry(batch: Batch, seq: number, claim: Claim, acknowledged: boolean, retry: RetryConfig): Entry {
  return {
    batch,
    seq,
    claim,
    since: claim.since,
    acknowledged,
    backoff: new Backoff(retry),
    tries: 0,
    memo: undefined,
    failures: 0,
    firstTried: 0,
    suspect: false,
    condemned: undefined,
  }
}

/** The halves of what an entry carries, as entries in its place; undefined when it is not to be cut: one item, or no sends left. */
export function bisect(entry: Entry, sends: number, suspect: boolean, retry: RetryConfig): Entry[] | undefined {
  const { claim } = entry
  if (!claim.bisected) {
    claim.bisected = true
    claim.sendsLeft = sends
  }
  if (claim.sendsLeft < 2) return undefined
  const halves = halve(entry.batch)
  if (halves === undefined) return undefined
  claim.sendsLeft -= 2
  claim.split()
  return halves.map(batch => {
    const piece = makeEntry(batch, entry.seq, claim, entry.acknowledged, retry)
    piece.suspect = suspect
    piece.firstTried = suspect ? Date.now() : entry.firstTried
    return piece
  })
}
