/** What a step says of a batch. The step only says it; its node books it and tells the senders. */
import type { Batch } from './batch.ts'
import type { Counter } from './books.ts'
import type { ValueTally } from './value-tally.ts'

/** What it means that items end for a reason. */
export type ReasonKind =
  /** A rule of the configuration dropped them: the sender hears success. */
  | 'rule'
  /** They will never be taken, by anybody: the sender hears so. */
  | 'rejected'
  /** They were given up although they were good. */
  | 'lost'

/** Why items end in a step; made once, by `ProcessorContext.reason`. */
export interface Reason {
  readonly kind: ReasonKind
  readonly counter: Counter
  /** Counts by value of the resource attribute that decided, where one does. */
  readonly tally?: ValueTally | undefined
}

/** A part of a batch that ends, and why. It may carry counts and no data. */
export interface EndedPart {
  readonly batch: Batch
  readonly reason: Reason
}

/** What becomes of one batch: its parts together are all of it. A step that ends nothing returns the batch alone. */
export interface Verdict {
  readonly passes: Batch | undefined
  readonly ends: readonly EndedPart[]
}
