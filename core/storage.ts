/**
 * What a storage extension offers to queues: a log on disk that several destinations read, each at its own pace. What was
 * appended survives `kill -9` and power loss; what a destination has not acknowledged is there after a restart.
 */
import type { Signal } from '../proto/signals.ts'
import type { Context } from './batch.ts'

/** The storage cannot take or give what it should: full, sick, closed, or held by another process. */
export class StorageError extends Error {
  override name = 'StorageError'
  /** `full` may pass when space comes back; `sick` needs an operator (a sync failed or hangs). */
  readonly kind: 'full' | 'sick' | 'closed' | 'locked'

  constructor(kind: StorageError['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }
}

/** What is written of one batch. */
export interface Storable {
  readonly signal: Signal
  /** Spans, log records or data points. */
  readonly items: number
  readonly context: Context
  /** Size of the payload in bytes. */
  readonly byteLength: number
  /** Writes the payload, an OTLP request, at `at` and returns where it ends. Called once, before `append` returns. */
  write(out: Buffer, at: number): number
  /** Items of each request the batch was made of, in order: bisecting starts along these boundaries. */
  readonly shares: readonly { readonly items: number; readonly groups: number }[]
}

/** One record as it is read back. */
export interface StoredRecord {
  /** Place in the log; grows. */
  readonly seq: number
  readonly signal: Signal
  readonly items: number
  readonly context: Context
  /** When it was appended, in milliseconds since the epoch. */
  readonly at: number
  readonly shares: readonly { readonly items: number; readonly groups: number }[]
  /** An OTLP request, in a buffer of its own. */
  readonly payload: Buffer
}

/** What one destination and signal still has to send. */
export interface DurableQueue {
  readonly owner: string
  /** Not acknowledged: how much there is, and since when (milliseconds since the epoch). */
  readonly backlog: {
    readonly records: number
    readonly items: number
    readonly bytes: number
    readonly oldest: number | undefined
  }
  /** Items that were found at start, for the books. */
  readonly recovered: number
  /** The next record that was not read yet, in order; undefined when there is none now. */
  next(): Promise<StoredRecord | undefined>
  /** The destination is done with the record: delivered, rejected, given up. It is not read again, also after a restart. */
  ack(seq: number): void
  /** Calls `listener` when there may be a next record. */
  onMore(listener: () => void): void
}

/** A queue on disk that no destination of the configuration owns. */
export interface Orphan {
  readonly owner: string
  readonly records: number
  readonly items: number
  readonly bytes: number
  readonly oldest: number
}

/** One directory of logs. */
export interface Storage {
  /** The queue of `owner` (`exporter id` and signal), made or found. One caller per owner. */
  queue(owner: string): DurableQueue
  /**
   * Appends one record for all of `owners`. Resolves when it is on disk: one sync serves all appends that wait.
   * @throws StorageError
   */
  append(record: Storable, owners: readonly DurableQueue[]): Promise<void>
  /** Room left, in bytes, before appends are refused as full. */
  readonly room: number
  /** Why appends are refused now; undefined while it is well. */
  readonly trouble: StorageError | undefined
  orphans(): readonly Orphan[]
}
