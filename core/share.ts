/** The part that one request has in a batch. */
import type { Context } from './context.ts'
import type { Delivery, Fate } from './delivery.ts'
import type { Lease } from './lease.ts'

/** What one request contributed to a batch: `groups` of the batch's groups, in order, which hold `items`. */
export interface Share {
  readonly delivery: Delivery
  readonly lease: Lease
  readonly items: number
  readonly groups: number
  /** Where it came from, whatever it was merged with. */
  readonly origin: Context
  /** The sender was told that these were taken: what becomes of them it does not hear any more. */
  readonly answered: boolean
  /** They are on disk: a source behind them has been told. */
  readonly safe: boolean
}

/** What came whole from one sender, who waits. */
export function shareOf(delivery: Delivery, lease: Lease, items: number, groups: number, origin: Context): Share {
  return { delivery, lease, items, groups, origin, answered: false, safe: false }
}

/** What one of several requests has of a batch that was stored. */
export interface StoredShare {
  readonly items: number
  readonly groups: number
}

/** Those of a batch of so many items and groups, if they add up to it; else all of it as one. */
export function sharesIn(stored: readonly StoredShare[], items: number, groups: number): readonly StoredShare[] {
  const sumOf = (key: keyof StoredShare): number => stored.reduce((sum, one) => sum + one[key], 0)
  return sumOf('items') === items && sumOf('groups') === groups ? stored : [{ items, groups }]
}

/** Whether a source waits for the end of these. */
export const isWatched = ({ delivery, safe }: Share): boolean => delivery.watched && !safe

/** `items` of these ended for good: lets a source hear, where one asks. */
export function settle(share: Share, items: number, fate: Fate): void {
  if (isWatched(share)) share.delivery.settle(items, fate)
}

/** Requests that came in one buffer, which stand side by side: it is kept for all of them or for none. */
export function runsByLease(shares: readonly Share[]): (readonly [Share, ...Share[]])[] {
  const runs: [Share, ...Share[]][] = []
  for (const share of shares) {
    const last = runs.at(-1)
    if (last?.[0].lease === share.lease) last.push(share)
    else runs.push([share])
  }
  return runs
}
