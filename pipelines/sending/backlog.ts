import { waitUntil } from '../../core/clock.ts'
import type { Batch } from '../../core/batch.ts'
import { Chain, type Chained } from '../../core/chain.ts'
import type { NodeBooks } from '../../core/books.ts'
import type { Budget } from '../../core/budget.ts'
import { done } from '../../core/delivery.ts'
import { DeliveryError, messageOf } from '../../core/errors.ts'
import type { GatherSettings } from '../../core/gathering.ts'
import type { Journal } from '../../core/journal.ts'
import type { Logger } from '../../core/logger.ts'
import type { QueueConfig } from '../../core/sending.ts'
import { type DurableQueue, type Storage, StorageError, type Stored, type StoredRecord } from '../../core/storage.ts'
import type { QueuePolicy } from '../../plan/queue-policy.ts'
import { Claim, type Endings } from './claim.ts'
import { batchOf } from './stored-batch.ts'

/** Bytes of payload that wait in memory, ready to be sent; the rest is on disk only. */
const windowBytes = 16 * 1024 * 1024
/** What a record takes there beside its payload. */
const recordCost = 1024
/** Milliseconds after a failed read until the next. */
const readAgain = 1000

/** What a backlog needs of its destination. */
export interface BacklogParts {
  readonly config: QueueConfig
  readonly policy: QueuePolicy
  readonly books: NodeBooks
  readonly journal: Journal
  readonly log: Logger
  readonly budget: Budget
  /** How what is sent on is put together in the place of a step; undefined where nothing is. */
  readonly gathered: () => GatherSettings | undefined
  /** Sends a batch on, in the order of the calls. */
  readonly send: (batch: Batch, claim: Claim) => void
  /** Room may have come back. */
  readonly onRoom: () => void
}

/** A batch that is being written. */
class Committing implements Chained<Committing> {
  before: Committing | undefined
  after: Committing | undefined
  chain: object | undefined
  readonly batch: Batch

  constructor(batch: Batch) {
    this.batch = batch
  }
}

/**
 * A destination's queue on disk. Batches are committed before their senders are answered. What there is room for stays in
 * memory, to be sent; the rest is read back in order once there is.
 */
export class Backlog {
  readonly #queue: DurableQueue
  readonly #storage: Storage
  #parts: BacklogParts
  /** Batches that are being written. */
  readonly #committing = new Chain<Committing>()
  readonly #unlisten: () => void
  /** Room promised to batches that are not committed yet: in units of `sizer`, and in bytes. */
  #reserved = { size: 0, bytes: 0 }
  /** Places of the records that are in memory. */
  readonly #window = new Set<number>()
  #windowItems = 0
  #windowBytes = 0
  /** The last record that was taken into memory in the order of the log. */
  #behind: Stored | undefined
  /** Records that are on disk only, and not expected by anybody but the reader. */
  #onDisk: number
  /** Grows whenever a record is left on disk, so that a reader that found nothing knows whether to look again. */
  #left = 0
  #corrupt: number
  #reading = false
  #stopped = false
  #again: NodeJS.Timeout | undefined
  #idle: (() => void) | undefined

  constructor(queue: DurableQueue, storage: Storage, parts: BacklogParts) {
    this.#queue = queue
    this.#storage = storage
    this.#parts = parts
    this.#onDisk = queue.backlog.records
    this.#corrupt = queue.totals.corrupt
    this.#unlisten = storage.onRoom(() => this.#parts.onRoom())
  }

  /** What is on disk, in units of `sizer`, and what is promised. */
  get size(): number {
    const { records, items, bytes } = this.#queue.backlog
    const { sizer } = this.#parts.config
    return this.#reserved.size + (sizer === 'requests' ? this.#batches(records) : sizer === 'items' ? items : bytes)
  }

  /** Batches that so many records are: where they are gathered behind this, those of the least size. */
  #batches(records: number): number {
    const gathered = this.#parts.gathered()
    if (gathered === undefined) return records
    const { items, bytes } = this.#queue.backlog
    const size = gathered.sizer === 'items' ? items : bytes
    return Math.min(records, Math.ceil(size / Math.max(1, gathered.least)))
  }

  get oldest(): number | undefined {
    return this.#queue.backlog.oldest
  }

  /** Milliseconds until the oldest is older than the storage keeps data; undefined where there is none. */
  get expiresIn(): number | undefined {
    const { maxAge, now } = this.#storage
    return this.oldest === undefined ? undefined : Math.max(0, this.oldest + maxAge - now)
  }

  /** Items that are being written or on disk only. */
  held(): number {
    let items = this.#queue.backlog.items - this.#windowItems
    for (const { batch } of this.#committing) items += batch.items
    return items
  }

  /** Why a batch of this size cannot be taken now; undefined when it can. */
  full(batch: Batch, size: number): DeliveryError | undefined {
    const { config, policy } = this.#parts
    const { trouble, room } = this.#storage
    const { id } = this.#parts.books.name
    if (trouble !== undefined) return refusal(id, trouble)
    if (this.#reserved.bytes + batch.byteLength > room) {
      return refusal(id, new StorageError('full', 'it has reached its size limit'))
    }
    const used = this.size
    if (policy.whenFull === 'spill' || used + size <= config.queue_size || used === 0) return undefined
    return new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', `the queue of exporter ${id} is full`)
  }

  reserve(batch: Batch, size: number): void {
    this.#reserved.size += size
    this.#reserved.bytes += batch.byteLength
  }

  cancel(batch: Batch, size: number): void {
    this.#reserved.size -= size
    this.#reserved.bytes -= batch.byteLength
  }

  /** Writes a batch for which room is reserved; `done` is called when that ended, well or not. */
  take(batch: Batch, size: number, done: () => void): void {
    const committing = new Committing(batch)
    this.#committing.add(committing)
    const end = (then: () => void): void => {
      this.cancel(batch, size)
      // A stop may have given it up already.
      if (this.#committing.delete(committing)) then()
      done()
      if (this.#committing.size === 0) this.#idle?.()
    }
    this.#queue.append(batch).then(
      record => end(() => this.#committed(batch, record)),
      (error: unknown) => end(() => this.#notCommitted(batch, error)),
    )
  }

  /** Reads back what is on disk, as far as there is room for it in memory. */
  read(): void {
    if (this.#reading || this.#stopped || this.#onDisk === 0 || !this.#roomInMemory) return
    this.#reading = true
    void this.#readOn().finally(() => (this.#reading = false))
  }

  /** Resolves when all is sent, or at the deadline. */
  async drained(deadline: number): Promise<void> {
    await this.#until(() => this.#queue.backlog.records === 0 && this.#committing.size === 0, deadline)
  }

  /** Nothing is read any more, and what is being written may end until the deadline. */
  async stop(deadline: number): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#again)
    await this.#until(() => this.#committing.size === 0, deadline)
    const error = new DeliveryError('DELIVERY_STOPPING', 'retry', 'stopped while it was written to disk')
    for (const { batch } of this.#committing.clear()) {
      batch.keepFromPool()
      this.#refuse(batch, error, 'shutdown')
    }
  }

  /** After `stop`, and after what is in memory ended: what is left on disk is for whoever opens the queue next. */
  close(): void {
    this.#unlisten()
    const left = this.held()
    this.#parts.books.out += left
    // What was in memory, too, is there as well.
    const { items } = this.#queue.backlog
    if (items > 0) this.#parts.log.info({ items, queue: this.#queue.owner }, 'data stays on disk, to be sent later')
    this.#queue.close()
  }

  /** From now on another destination sends what is here. */
  moveTo(parts: BacklogParts): void {
    this.#parts = parts
    this.read()
  }

  get #roomInMemory(): boolean {
    const { config, budget } = this.#parts
    if (this.#window.size === 0) return true
    if (this.#windowBytes >= windowBytes || budget.crowded) return false
    const isCounted = config.sizer === 'requests' && this.#parts.gathered() === undefined
    return !isCounted || this.#window.size < config.queue_size
  }

  #committed(batch: Batch, record: Stored): void {
    const waits = this.#parts.policy.success === 'delivered'
    const safe = waits ? batch.secured() : batch.secured().taken()
    if (!waits) {
      if (this.#stopped || this.#onDisk > 0 || !this.#roomInMemory) {
        safe.release(done)
        this.#onDisk++
        this.#left++
        this.read()
        return
      }
      this.#behind = record
    }
    this.#parts.send(safe.compacted(), this.#claim(record))
  }

  /** The account of one record that is in memory now. */
  #claim(record: Stored): Claim {
    this.#window.add(record.seq)
    this.#windowItems += record.items
    this.#windowBytes += record.bytes + recordCost
    const end = (endings: Endings | undefined): void => {
      this.#window.delete(record.seq)
      this.#windowItems -= record.items
      this.#windowBytes -= record.bytes + recordCost
      for (const [ending, items] of endings ?? []) if (items > 0) this.#queue.end(record, items, ending)
      this.#parts.onRoom()
      this.read()
      this.#idle?.()
    }
    const { maxAge, now } = this.#storage
    return new Claim(end, { record, expires: performance.now() + record.at + maxAge - now })
  }

  #notCommitted(batch: Batch, error: unknown): void {
    // The write may still go on.
    batch.keepFromPool()
    this.#refuse(batch, refusal(this.#parts.books.name.id, error), 'storage')
  }

  /** Back to the senders. Where there are none, it is sent from memory, like the data of a queue without storage. */
  #refuse(batch: Batch, error: DeliveryError, reason: string): void {
    const { books, journal, send } = this.#parts
    if (!batch.refusable && !this.#stopped) {
      send(batch.taken(), new Claim(() => {}))
      return
    }
    if (batch.refusable) {
      books.returned.of(error.code).value += batch.items
      journal.note(books.name, 'returned', batch, error.code, error.message)
    } else {
      books.lost.of(reason).value += batch.items
      journal.note(books.name, 'lost', batch, reason, error.message)
    }
    batch.refuse(error)
  }

  async #readOn(): Promise<void> {
    while (!this.#stopped && this.#onDisk > 0 && this.#roomInMemory) {
      const left = this.#left
      let record: StoredRecord | undefined
      try {
        record = await this.#queue.next(this.#behind)
      } catch (error) {
        this.#parts.log.warn({ error: messageOf(error), queue: this.#queue.owner }, 'the queue on disk cannot be read')
        this.#again = setTimeout(() => this.read(), readAgain).unref()
        return
      }
      this.#countCorrupt()
      // A stop came first: the record stays where it is.
      if (this.#stopped) return
      if (record !== undefined) this.#resume(record)
      else if (left === this.#left) this.#onDisk = 0
    }
  }

  #resume(record: StoredRecord): void {
    this.#behind = record
    // One that its sender waits for is in memory already.
    if (this.#window.has(record.seq)) return
    this.#onDisk = Math.max(0, this.#onDisk - 1)
    let batch: Batch
    try {
      batch = batchOf(record, this.#parts.budget)
    } catch (error) {
      this.#lose(record, 'corrupt', messageOf(error))
      return
    }
    this.#parts.send(batch.taken(), this.#claim(record))
  }

  #lose(record: Stored, reason: string, message: string): void {
    const { books, log } = this.#parts
    books.lost.of(reason).value += record.items
    log.error({ items: record.items, queue: this.#queue.owner, error: message }, `data lost: ${reason} on disk`)
    this.#queue.end(record, record.items, 'lost')
  }

  /** What the storage could not read back, it has taken out of the backlog. */
  #countCorrupt(): void {
    const { corrupt } = this.#queue.totals
    this.#parts.books.lost.of('corrupt').value += corrupt - this.#corrupt
    this.#corrupt = corrupt
  }

  #until(ended: () => boolean, deadline: number): Promise<void> {
    if (ended()) return Promise.resolve()
    return new Promise(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        this.#idle = undefined
        resolve()
      }
      const timer = setTimeout(end, waitUntil(deadline))
      this.#idle = () => {
        if (ended()) end()
      }
    })
  }
}

/** What senders hear: which disk it is and what is wrong with it is told by the log and the status of the extension. */
function refusal(exporter: string, error: unknown): DeliveryError {
  const known = error instanceof StorageError ? error : undefined
  const text = `the storage of exporter ${exporter} ${known?.kind === 'full' ? 'is full' : 'takes no data now'}`
  return new DeliveryError('DELIVERY_STORAGE', 'retry', text, { maybeTaken: known?.maybeStored ?? false, cause: error })
}
