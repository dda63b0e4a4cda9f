/** A storage in memory that keeps what it was given when its users come and go, for tests of those users. */
import * as z from 'zod'
import { defineExtension, type ExtensionDefinition } from '../../core/component.ts'
import type { Batch } from '../../core/batch.ts'
import { offered } from '../../core/capability.ts'
import {
  type Amount,
  type Backlog,
  type Checkpoints,
  type DurableQueue,
  type Ending,
  type Note,
  type Orphan,
  type QueueTotals,
  type QueueView,
  type Storage,
  StorageError,
  type Stored,
  type StoredRecord,
  storageKey,
} from '../../core/storage.ts'
import { encodeGroups } from '../../proto/group.ts'

interface Kept extends StoredRecord {
  readonly left: Map<string, number>
}

/** The queue of one owner. */
class MemoryQueue implements DurableQueue {
  readonly owner: string
  readonly #storage: MemoryStorage
  recovered = 0
  open = false
  readonly totals: { -readonly [K in keyof QueueTotals]: number } = {
    appended: 0,
    corrupt: 0,
    delivered: 0,
    rejected: 0,
    dead_lettered: 0,
    lost: 0,
    returned: 0,
    handed_over: 0,
  }

  constructor(owner: string, storage: MemoryStorage) {
    this.owner = owner
    this.#storage = storage
  }

  get backlog(): Backlog {
    const mine = this.records()
    return {
      records: mine.length,
      items: mine.reduce((sum, { items }) => sum + items, 0),
      bytes: mine.reduce((sum, { bytes }) => sum + bytes, 0),
      oldest: mine[0]?.at,
    }
  }

  records(): Kept[] {
    return this.#storage.records.filter(({ left }) => left.has(this.owner))
  }

  append(batch: Batch, note?: Note): Promise<Stored> {
    return this.#storage.append(this, batch, note)
  }

  async next(after: Stored | undefined): Promise<StoredRecord | undefined> {
    this.#storage.reads++
    const found = this.records().find(({ seq }) => seq > (after?.seq ?? 0))
    await Promise.resolve()
    if (found === undefined || !this.#storage.corrupt.has(found.seq)) return found
    this.totals.corrupt += found.items
    found.left.delete(this.owner)
    return this.next(found)
  }

  end({ seq }: Stored, items: number, ending: Ending): void {
    const record = this.#storage.records.find(one => one.seq === seq)
    const left = record?.left.get(this.owner)
    if (record === undefined || left === undefined || left < items)
      throw new Error(`record ${seq} has not ${items} items`)
    this.totals[ending] += items
    if (left === items) record.left.delete(this.owner)
    else record.left.set(this.owner, left - items)
  }

  close(): void {
    this.open = false
  }
}

/** The checkpoints of one owner: those on disk, and those on their way there. */
class MemoryCheckpoints implements Checkpoints {
  readonly #storage: MemoryStorage
  readonly stored = new Map<string, Buffer>()
  readonly #latest = new Map<string, Buffer>()
  open = true

  constructor(storage: MemoryStorage) {
    this.#storage = storage
  }

  /** What was there before. */
  take(key: string, value: Buffer): void {
    this.stored.set(key, value)
    this.#latest.set(key, value)
  }

  get keys(): Iterable<string> {
    return this.#latest.keys()
  }

  get(key: string): Buffer | undefined {
    return this.#latest.get(key)
  }

  async put(key: string, value: Buffer): Promise<void> {
    if (!this.open) throw new StorageError('closed', 'the checkpoints are closed')
    const copy = Buffer.from(value)
    this.#latest.set(key, copy)
    try {
      await this.#storage.written()
      this.stored.set(key, copy)
    } catch (error) {
      const before = this.stored.get(key)
      if (before !== undefined) this.#latest.set(key, before)
      else this.#latest.delete(key)
      throw error
    }
  }

  delete(key: string): void {
    this.#latest.delete(key)
    this.stored.delete(key)
  }

  close(): void {
    this.open = false
  }
}

/** See above. */
export class MemoryStorage implements Storage {
  maxAge = 3_600_000
  /** How far its clock is ahead of the system's. */
  ahead = 0
  room = Infinity
  trouble: StorageError | undefined
  /** What is written waits until `commit` while this is set. */
  slow = false
  reads = 0
  /** Records that cannot be read back. */
  readonly corrupt = new Set<number>()
  readonly records: Kept[] = []
  readonly queues = new Map<string, MemoryQueue>()
  readonly deadLetters: DurableQueue = this.queue('dead-letters')
  readonly marks = new Map<string, MemoryCheckpoints>()
  readonly #waiting: (() => void)[] = []
  readonly #listeners = new Set<() => void>()
  readonly #shared = new WeakMap<Batch, Kept>()
  #seq = 0

  get now(): number {
    return Date.now() + this.ahead
  }

  get roomOnDisk(): number {
    return this.room
  }

  async lookAtDisk(): Promise<void> {}

  queue(owner: string): DurableQueue {
    const queue = this.queues.get(owner) ?? new MemoryQueue(owner, this)
    this.queues.set(owner, queue)
    if (queue.open) throw new StorageError('locked', `${owner} is in use`)
    queue.open = true
    queue.recovered = queue.backlog.items
    return queue
  }

  /** Lets what waits be on disk, or fail. */
  commit(): void {
    for (const end of this.#waiting.splice(0)) end()
  }

  /** There is room again, or whatever else stood in the way is gone. */
  recover(): void {
    this.trouble = undefined
    for (const listener of this.#listeners) listener()
  }

  list(): readonly QueueView[] {
    const mine = [...this.queues.values()].filter(queue => queue !== this.deadLetters)
    return mine.map(({ owner, open: taken, backlog, totals }) => ({ owner, taken, backlog, totals }))
  }

  orphans(): readonly Orphan[] {
    const left = [...this.queues.values()].filter(({ open, backlog }) => !open && backlog.records > 0)
    return left.map(({ owner, backlog }) => ({ owner, ...backlog }))
  }

  drop(owner: string): void {
    const queue = this.queues.get(owner)
    for (const record of queue?.records() ?? []) queue?.end(record, record.items, 'handed_over')
  }

  async expire(owner: string, until: number): Promise<Amount> {
    await Promise.resolve()
    const queue = this.queues.get(owner)
    const gone = { records: 0, items: 0, bytes: 0 }
    for (const record of queue?.records() ?? []) {
      if (queue?.open !== false || record.at > until) break
      const items = record.left.get(owner) ?? 0
      queue.end(record, items, 'lost')
      gone.records++
      gone.items += items
      gone.bytes += record.bytes
    }
    return gone
  }

  async checkpoints(owner: string): Promise<Checkpoints> {
    await Promise.resolve()
    const marks = this.marks.get(owner)
    if (marks?.open === true) throw new StorageError('locked', `the checkpoints of ${owner} are in use`)
    const again = new MemoryCheckpoints(this)
    this.marks.set(owner, again)
    for (const [key, value] of marks?.stored ?? []) again.take(key, value)
    return again
  }

  /** Resolves when what is put now is on disk, or fails. */
  written(): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => (this.trouble === undefined ? resolve() : reject(this.trouble))
      if (this.slow) this.#waiting.push(end)
      else queueMicrotask(end)
    })
  }

  onRoom(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  append(queue: MemoryQueue, batch: Batch, note: Note | undefined): Promise<Stored> {
    const { promise, resolve, reject } = Promise.withResolvers<Stored>()
    const end = (): void => {
      if (this.trouble !== undefined) return reject(this.trouble)
      // What is put aside has a record of its own.
      let record = note === undefined ? this.#shared.get(batch) : undefined
      if (record === undefined) {
        record = kept(batch, ++this.#seq, note)
        if (note === undefined) this.#shared.set(batch, record)
        this.records.push(record)
      }
      record.left.set(queue.owner, record.items)
      queue.totals.appended += record.items
      resolve(record)
    }
    if (this.slow) this.#waiting.push(end)
    else queueMicrotask(end)
    return promise
  }
}

function kept(batch: Batch, seq: number, note: Note | undefined): Kept {
  const { signal, items, context, shares } = batch
  const payload = encodeGroups(batch.groups)
  return { seq, items, bytes: payload.length, at: Date.now(), signal, context, shares, note, payload, left: new Map() }
}

/** The extension `disk`, which offers `storage`. */
export const diskOf = (storage: Storage): ExtensionDefinition =>
  defineExtension({
    type: 'disk',
    stability: 'stable',
    summary: 'Keeps what a test gives.',
    signals: [],
    config: z.strictObject({}),
    examples: [],
    offers: [storageKey],
    create: () => ({ offers: [offered(storageKey, () => storage)] }),
  })
