/** Since when entries wait, and until when. */
import type { Entry } from './entry.ts'

/** Whether it need not wait for a time that the destination asked for. */
export const isPatient = (entry: Entry): boolean => entry.notBefore <= performance.now()

/** What is told of all that a sender has. */
export interface Ages {
  /** When the oldest came in, in milliseconds since the epoch; undefined where there is none. */
  readonly oldest: number | undefined
}

/** Looks at each of them. */
export function agesOf(entries: Iterable<Entry>): Ages {
  let oldest = Infinity
  for (const { since } of entries) oldest = Math.min(oldest, since)
  return { oldest: oldest === Infinity ? undefined : oldest }
}
