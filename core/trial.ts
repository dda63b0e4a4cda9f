/** What an attempt came to that somebody asked for. */
import type { DeliveryError } from './errors.ts'

/** What came of it. */
export interface Tried {
  /** Undefined: the destination took what it was sent. */
  readonly failure: DeliveryError | undefined
  /** Milliseconds the attempt took. */
  readonly took: number
  /** Items that were tried. */
  readonly items: number
}

/** Hears of it; of undefined where nothing waits, or it stopped before. */
export type TriedListener = (tried: Tried | undefined) => void
