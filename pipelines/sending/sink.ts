import type { Batch } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import type { Downstream } from '../../core/component.ts'
import type { DeliveryError } from '../../core/errors.ts'

/** What a fan-out hands batches to. Room is reserved in all of them before any is given the batch. */
export interface Sink {
  readonly id: string
  readonly books: NodeBooks
  /** Room is needed before the others get the batch; otherwise what finds no room is dropped. */
  readonly required: boolean
  /** Senders wait for room instead of being refused. */
  readonly blocks: boolean
  /** What it hands on to, of which somebody in front of it may wait for the end. */
  readonly behind?: Downstream | undefined
  /** Reserves room for `batch`, to be followed by `take` or `cancel`; or says why there is none. */
  reserve(batch: Batch): DeliveryError | undefined
  cancel(batch: Batch): void
  /** Takes a batch for which room is reserved; `done` is called once when nothing of it is left here, or it is on disk. */
  take(batch: Batch, done: () => void): void
  /** Calls `listener` when room came back, until the returned function is called. */
  onRoom(listener: () => void): () => void
}
