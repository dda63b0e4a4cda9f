/** Since when entries wait, and until when. */
import type { RetryConfig } from '../../core/sending.ts'
import type { Entry } from './entry.ts'

/** Whether it need not wait for a time that the destination asked for. */
export const isPatient = (entry: Entry): boolean => entry.notBefore <= performance.now()

/** What is told of all that a sender has. */
export interface Ages {
  /** When the oldest came in, in milliseconds since the epoch; undefined where there is none. */
  readonly oldest: number | undefined
  /** Milliseconds until the first of it is given up for its age; undefined where nothing is. */
  readonly expiresIn: number | undefined
  /** Milliseconds for which the destination has asked to be left alone with some of it yet; 0 where it has not. */
  readonly askedFor: number
}

/** Looks at each of them. */
export function agesOf(entries: Iterable<Entry>, retry: RetryConfig): Ages {
  const { enabled, max_elapsed_time: limit } = retry
  const times = { wall: Date.now(), even: performance.now() }
  let oldest = Infinity
  let expiresIn = Infinity
  let askedFor = 0
  for (const { since, claim, firstTried, notBefore } of entries) {
    oldest = Math.min(oldest, since)
    askedFor = Math.max(askedFor, notBefore - times.even)
    expiresIn = Math.min(expiresIn, claim.expires - times.even)
    // Of what was never tried nobody knows: that time begins with the first attempt.
    if (enabled && limit > 0 && firstTried > 0) expiresIn = Math.min(expiresIn, firstTried + limit - times.wall)
  }
  return { oldest: known(oldest), expiresIn: known(Math.max(0, expiresIn)), askedFor }
}

/** The sooner of two such times, of which either may not be known. */
export const sooner = (a: number | undefined, b: number | undefined): number | undefined =>
  known(Math.min(a ?? Infinity, b ?? Infinity))

const known = (time: number): number | undefined => (time === Infinity ? undefined : time)
