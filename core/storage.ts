/**
 * What a storage extension offers. To queues: a log on disk that several destinations read, each at its own pace. What was
 * appended survives `kill -9` and power loss; what a destination has not ended is there after a restart. To receivers that
 * can read again: a place for how far they have read.
 */
import type { Signal } from '../proto/signals.ts'
import type { Batch } from './batch.ts'
import type { Context } from './context.ts'
import { Capability } from './capability.ts'
import type { StoredShare } from './share.ts'

/** Why a storage cannot take or give what it should. */
export type StorageTrouble =
  /** No room: the disk, or `max_size`. It passes when room comes back. */
  | 'full'
  /** A write or sync failed, or hangs: nothing can be promised until one works again. */
  | 'sick'
  | 'closed'
  /** Another process has the directory. */
  | 'locked'

/** The storage cannot take or give what it should. */
export class StorageError extends Error {
  override name = 'StorageError'
  readonly kind: StorageTrouble
  /** Whether what was to be appended may be on disk nevertheless, and come up after a restart. */
  readonly maybeStored: boolean

  constructor(kind: StorageTrouble, message: string, more: { maybeStored?: boolean; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.kind = kind
    this.maybeStored = more.maybeStored ?? false
  }
}

/** Why a record was put aside, kept with it. */
export interface Note {
  /** `exporter id` and signal that did not get rid of it. */
  readonly owner: string
  /** As in the books: rejected, too_large, denied, suspect. */
  readonly reason: string
  /** What the destination said. */
  readonly message: string
}

/** One record of a queue. */
export interface Stored {
  /** Place in the log: grows from record to record, also over restarts. */
  readonly seq: number
  readonly items: number
  /** Size of the payload. */
  readonly bytes: number
  /** When it was appended, in milliseconds since the epoch; never later than now. */
  readonly at: number
}

/** One record as it is read back. */
export interface StoredRecord extends Stored {
  readonly signal: Signal
  readonly context: Context
  /** Items and groups of each request the batch was made of, in order: bisecting starts along these boundaries. */
  readonly shares: readonly StoredShare[]
  readonly note: Note | undefined
  /** An OTLP request, in a buffer of its own. */
  readonly payload: Buffer
}

/** What became of a record in the end, as the books call it; `handed_over` is what an operator exported or moved. */
export const endings = ['delivered', 'rejected', 'dead_lettered', 'lost', 'returned', 'handed_over'] as const
/** One of the endings. */
export type Ending = (typeof endings)[number]

/** Items since the queue was made, over all restarts: appended = the sum of all endings + corrupt + backlog. */
export interface QueueTotals extends Readonly<Record<Ending, number>> {
  readonly appended: number
  /** Items of records that could not be read back. */
  readonly corrupt: number
}

/** An amount of records. */
export interface Amount {
  readonly records: number
  readonly items: number
  readonly bytes: number
}

/** How much a queue has that has not ended, and since when (milliseconds since the epoch). */
export interface Backlog extends Amount {
  readonly oldest: number | undefined
}

/** What one destination and signal still has to send. */
export interface DurableQueue {
  readonly owner: string
  readonly backlog: Backlog
  readonly totals: QueueTotals
  /** Items that were found at start, for the books. */
  readonly recovered: number
  /**
   * Appends a batch. Resolves, in the order of the calls, when it is on disk: one sync serves all appends that wait.
   * Queues of one storage that append the same batch in the same turn share one record. The caller keeps the batch's
   * bytes as they are until this ends, and after it failed keeps them from being used again (`keepFromPool`): a write
   * may still be reading them.
   * @throws StorageError
   */
  append(batch: Batch, note?: Note): Promise<Stored>
  /**
   * The first record after `after` (from the beginning without it) that has not ended; undefined when there is none now.
   * A record that cannot be read is counted as corrupt, reported, and passed over. One call at a time.
   * @throws StorageError
   */
  next(after: Stored | undefined): Promise<StoredRecord | undefined>
  /**
   * The destination is done with the record; `items` of it ended as `ending`, and as many calls come as there are pieces
   * with different endings. When all items ended it is not read again, also after a restart; that is written soon, not at
   * once: after a crash what ended in the last moments may be read again.
   */
  end(record: Stored, items: number, ending: Ending): void
  /** Nobody uses it any more; it stays in the storage, and `queue` gives it again. */
  close(): void
}

/** One queue, for those who only look. */
export interface QueueView {
  readonly owner: string
  /** Somebody uses it. */
  readonly taken: boolean
  readonly backlog: Backlog
  readonly totals: QueueTotals
}

/** A queue on disk that no destination of the configuration owns. */
export interface Orphan extends Backlog {
  readonly owner: string
}

/** No key of a checkpoint is longer, in bytes of UTF-8. */
export const longestCheckpointKey = 4 * 1024
/** No value of a checkpoint is larger, in bytes. */
export const largestCheckpoint = 64 * 1024

/**
 * Small values by key, of one owner: how far something was read. They are in memory as long as somebody uses them, and
 * charged to the budget. What is on disk is never older than what was put and acknowledged.
 */
export interface Checkpoints {
  /** The keys that have a value now. */
  readonly keys: Iterable<string>
  /**
   * What was put last, on disk or on its way there, and not to be changed. When a write fails it is again what is on disk
   * for sure.
   */
  get(key: string): Buffer | undefined
  /**
   * Keeps a copy of `value`. Resolves when it, or what was put for the key after it, is on disk: all that waits is written
   * at once, and while one write is on its way only the newest value of each key waits. After it failed, the value may be
   * on disk nevertheless.
   * @throws StorageError, RangeError when key or value are too large
   */
  put(key: string, value: Buffer): Promise<void>
  /** Written with the next write. Nobody hears of it: after a crash the key may be there again. */
  delete(key: string): void
  /** Nobody uses it any more: what waits is still written. It stays in the storage, and `checkpoints` gives it again. */
  close(): void
}

/** One directory of logs. */
export interface Storage {
  /** How long records are kept for a destination that does not take them, in milliseconds. */
  readonly maxAge: number
  /** Now, in milliseconds since the epoch, on the clock that `at` of records is of: it runs evenly whatever is done to the system's. */
  readonly now: number
  /** Room left for payloads, in bytes, before appends are refused as full. */
  readonly room: number
  /** The same as people are told it: no more than the disk had when it was last looked at. */
  readonly roomOnDisk: number
  /** Why appends are refused now; undefined while it is well. */
  readonly trouble: StorageError | undefined
  /** What was put aside, of all destinations; undefined when that is turned off. */
  readonly deadLetters: DurableQueue | undefined
  /**
   * The queue of `owner` (exporter id, a space, the signal), made or found. One user at a time.
   * @throws StorageError
   */
  queue(owner: string): DurableQueue
  /** Every queue there is, those of owners that have nothing left included. */
  list(): readonly QueueView[]
  /** Queues with a backlog that nobody has asked for. */
  orphans(): readonly Orphan[]
  /** Ends all that an orphan has as `handed_over`. */
  drop(owner: string): void
  /**
   * Ends as `lost` what an orphan has that was appended at `until` or before, as long as nobody asks for its queue.
   * Resolves to how much that was.
   * @throws StorageError when it cannot be read
   */
  expire(owner: string, until: number): Promise<Amount>
  /**
   * The checkpoints of `owner` (receiver id), made or found. One user at a time. Those that cannot be read are told in the
   * log, and are not there.
   * @throws StorageError
   */
  checkpoints(owner: string): Promise<Checkpoints>
  /** Asks the disk how much it has, for `roomOnDisk`. Never rejects; a disk that hangs does not answer. */
  lookAtDisk(): Promise<void>
  /** Calls `listener` when room came back or trouble went, until the returned function is called. */
  onRoom(listener: () => void): () => void
}

/** The key of extensions that keep data on disk. */
export const storageKey = new Capability<Storage>('storage')
