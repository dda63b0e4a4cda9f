import type { NodeBooks } from '../../core/books.ts'
import type { Budget } from '../../core/budget.ts'
import type { Chronicle } from '../../core/chronicle.ts'
import type { Exporter } from '../../core/component.ts'
import type { Journal } from '../../core/journal.ts'
import type { Logger } from '../../core/logger.ts'
import type { SendingConfig } from '../../core/sending.ts'
import type { Status } from '../../core/status.ts'
import type { DurableQueue } from '../../core/storage.ts'

/** What the sender of a destination is made of. */
export interface SenderParts {
  readonly exporter: Exporter
  readonly config: SendingConfig
  readonly books: NodeBooks
  readonly journal: Journal
  readonly log: Logger
  readonly status: Status
  /** Keys of its configuration to look at when the destination denies it. */
  readonly credentials?: readonly string[]
  /** Where it is noted that the destination takes nothing, and that it does again. */
  readonly chronicle?: Chronicle | undefined
  /** Where what is made of a batch is charged. */
  readonly budget: () => Budget
  /** Attempts at the same time. */
  readonly consumers: number
  /** Batches leave one after the other, and none passes one that is tried again. */
  readonly ordered: boolean
  /** Where to put aside what the destination will never take; undefined where there is no such place. */
  readonly deadLetters?: () => DurableQueue | undefined
}
