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
  readonly backoff: Backoff
  /** Attempts so far. */
  tries: number
  /** What the exporter wants to find at its next attempt. */
  memo: unknown
  /** Attempts that failed in a way that is worth a retry. */
  failures: number
  /** When it was first tried, in milliseconds since the epoch; 0 before. */
  firstTried: number
  /** What its destination had answered before it was tried: see `Odds`; negative before. */
  takenBefore: number
  failedBefore: number
  /** Nothing in it is malformed, as far as we can tell. */
  examined: boolean
  /** Not to be sent before then, as the destination asked; on the clock of `performance.now()`. */
  notBefore: number
  /** It failed again and again while others were taken: it is tried alone. */
  suspect: boolean
  /** It is not sent any more but put aside, for this reason. */
  condemned: { readonly error: DeliveryError; readonly reason: string } | undefined
}

/** A new entry that was not tried yet. */
export function makeEntry(batch: Batch, seq: number, claim: Claim, retry: RetryConfig): Entry {
  return {
    batch,
    seq,
    claim,
    since: claim.since,
    backoff: new Backoff(retry),
    tries: 0,
    memo: undefined,
    failures: 0,
    firstTried: 0,
    takenBefore: -1,
    failedBefore: 0,
    examined: false,
    notBefore: 0,
    suspect: false,
    condemned: undefined,
  }
}

/** What looking for the bad part of one batch may cost in sends, besides two per request in it. */
const searchSends = 64

/** How a batch is cut whose bad part is looked for. */
interface Bisecting {
  /** The pieces are tried alone. */
  readonly isSuspect?: boolean
  /** In as many sends as it takes. */
  readonly isUnbound?: boolean
}

/**
 * The halves of what an entry carries, as entries in its place. Where no sends are left for that, its requests, one by one, so
 * that a bad sender loses only its own data; undefined when it is not to be cut.
 */
export function bisect(entry: Entry, retry: RetryConfig, how: Bisecting = {}): Entry[] | undefined {
  const { claim, batch } = entry
  const requests = batch.shares.length
  if (!claim.bisected) {
    claim.bisected = true
    // Another send for each request is kept for the end.
    claim.sendsLeft += searchSends + requests
  }
  const { isSuspect = false, isUnbound = false } = how
  if (isUnbound || claim.sendsLeft >= 2) {
    const halves = halve(batch)
    if (halves === undefined) return undefined
    claim.sendsLeft -= 2
    return pieces(entry, halves, isSuspect, retry)
  }
  if (requests < 2) return undefined
  const each = batch.shares.map((_, i) => batch.sliceShares(i, i + 1))
  return pieces(entry, each, isSuspect, retry)
}

/** What is tried alone in place of a batch that failed again and again while others were taken; undefined: it is to be given up. */
export function suspects(entry: Entry, retry: RetryConfig): Entry[] | undefined {
  // Of one that was sent in part only its exporter knows what is left.
  const cut = entry.memo === undefined ? bisect(entry, retry, { isSuspect: true }) : undefined
  if (cut !== undefined || entry.suspect) return cut
  // What cannot be cut is tried once more.
  entry.suspect = true
  return [entry]
}

/** The halves of what no single send can carry. */
export function halved(entry: Entry, retry: RetryConfig): Entry[] | undefined {
  const halves = halve(entry.batch)
  return halves && pieces(entry, halves, false, retry)
}

function pieces(entry: Entry, batches: readonly Batch[], isSuspect: boolean, retry: RetryConfig): Entry[] {
  const { claim } = entry
  return batches.map((batch, i) => {
    if (i > 0) claim.split()
    const piece = makeEntry(batch, entry.seq, claim, retry)
    piece.suspect = isSuspect
    piece.examined = entry.examined
    piece.firstTried = isSuspect ? Date.now() : entry.firstTried
    return piece
  })
}
