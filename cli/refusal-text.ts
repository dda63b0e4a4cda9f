/** What was turned away, in the words of a terminal. */
import { count, printable, since } from './format.ts'

/** Requests that were turned away at one door, with one status and for one reason. */
export interface TurnedAwayDocument {
  readonly receiver: string
  readonly transport: string
  readonly status: string
  readonly reason: string
  readonly requests: number
}

/** For want of what senders are refused, as the admin server tells it. */
export interface ShortageDocument {
  readonly cause: string
  readonly since: string | null
  readonly last: string | null
  readonly requests: number
}

/** So many kinds stand in the line. */
const mostTold = 6

/** All of it, the most first. */
export function turnedAwayText(all: readonly TurnedAwayDocument[]): string {
  const sorted = all.toSorted((a, b) => b.requests - a.requests)
  const texts = sorted
    .slice(0, mostTold)
    .map(
      ({ receiver, transport, status, reason, requests }) =>
        `${count(requests)} ${reason} (${receiver}/${transport}${status === 'none' ? '' : ` ${status}`})`,
    )
  return [...texts, ...(sorted.length > mostTold ? [`${sorted.length - mostTold} more kinds`] : [])].join(', ')
}

/** That senders are refused now, and for want of what. */
export function shortageLines(shortages: readonly ShortageDocument[]): string[] {
  return shortages.map(
    ({ cause, since: from, last, requests }) =>
      `senders are refused since ${since(from)}: ${printable(cause)} (${count(requests)} requests, the last ${since(last)} ago)`,
  )
}
