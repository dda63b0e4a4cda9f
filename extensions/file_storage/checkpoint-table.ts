/** The checkpoints of one owner in memory: what is on disk, what is being written, what waits. */
import type { Account } from '../../core/account.ts'
import { StorageError } from '../../core/storage.ts'
import type { CheckpointEntry } from './checkpoint-file.ts'

/** What a key costs beside its text and value: two buffers, and its place in the table. */
const perKey = 512

/** What is to become of a key; without a value it is deleted. */
interface Change {
  readonly value: Buffer | undefined
  /** All who put the key since the last write hear of it at once. */
  readonly done: PromiseWithResolvers<void> | undefined
}

interface Row {
  readonly key: string
  /** On disk for sure. */
  kept: Buffer | undefined
  flying: Change | undefined
  waiting: Change | undefined
  /** Bytes that are charged. */
  room: number
}

/** Newest of what is said of a row. */
const latest = ({ kept, flying, waiting }: Row): Buffer | undefined => {
  const change = waiting ?? flying
  return change === undefined ? kept : change.value
}

/** A table of one row a key. */
export class CheckpointTable {
  readonly #rows = new Map<string, Row>()
  readonly #waiting = new Set<Row>()
  #flying: Row[] = []
  readonly #account: Account
  readonly #owner: string

  constructor(owner: string, account: Account) {
    this.#owner = owner
    this.#account = account
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0
  }

  *keys(): Iterable<string> {
    for (const row of this.#rows.values()) if (latest(row) !== undefined) yield row.key
  }

  get(key: string): Buffer | undefined {
    const row = this.#rows.get(key)
    return row && latest(row)
  }

  /** Takes what was read at the start; `value` is copied. @throws StorageError when there is no memory for it */
  load(key: string, value: Buffer | undefined): void {
    if (value !== undefined) this.#rowFor(key, value).kept = copyOf(value)
    else if (this.#rows.has(key)) this.#forget(this.#rows.get(key))
  }

  /** @throws StorageError when there is no memory for it */
  put(key: string, value: Buffer): Promise<void> {
    const row = this.#rowFor(key, value)
    const done = row.waiting?.done ?? Promise.withResolvers<void>()
    row.waiting = { value: copyOf(value), done }
    this.#waiting.add(row)
    return done.promise
  }

  delete(key: string): void {
    const row = this.#rows.get(key)
    if (row === undefined) return
    row.waiting = { value: undefined, done: row.waiting?.done }
    this.#waiting.add(row)
  }

  /** What is on disk for sure, to be written anew. */
  *kept(): Iterable<CheckpointEntry> {
    for (const { key, kept } of this.#rows.values()) if (kept !== undefined) yield { key, value: kept }
  }

  /** How many keys are on disk for sure. */
  get size(): number {
    let size = 0
    for (const { kept } of this.#rows.values()) if (kept !== undefined) size++
    return size
  }

  /** Takes what waits, as long as `take` wants more. */
  fly(take: (entry: CheckpointEntry) => boolean): void {
    for (const row of this.#waiting) {
      const change = row.waiting
      this.#waiting.delete(row)
      if (change === undefined) continue
      row.waiting = undefined
      row.flying = change
      this.#flying.push(row)
      if (!take({ key: row.key, value: change.value })) return
    }
  }

  /** What flew is on disk. */
  landed(): void {
    for (const row of this.#flying.splice(0)) {
      const { flying } = row
      row.flying = undefined
      row.kept = flying?.value
      if (row.kept === undefined && row.waiting === undefined) this.#forget(row)
      flying?.done?.resolve()
    }
  }

  /** Nothing of what waits or flies will be written. What was deleted is left out when all is written anew. */
  refuse(errorOf: (maybeStored: boolean) => StorageError): void {
    const rows = new Set([...this.#flying, ...this.#waiting])
    this.#flying = []
    this.#waiting.clear()
    for (const row of rows) {
      const { flying, waiting } = row
      row.flying = undefined
      row.waiting = undefined
      const last = waiting ?? flying
      if (last !== undefined && last.value === undefined) row.kept = undefined
      if (row.kept === undefined) this.#forget(row)
      flying?.done?.reject(errorOf(true))
      waiting?.done?.reject(errorOf(false))
    }
  }

  /** Forgets everything. */
  clear(): void {
    for (const row of this.#rows.values()) this.#account.shrink(row.room)
    this.#rows.clear()
  }

  #rowFor(key: string, value: Buffer): Row {
    const found = this.#rows.get(key)
    const row = found ?? { key, kept: undefined, flying: undefined, waiting: undefined, room: 0 }
    // A key that stays as large as it is needs nothing: where there is no memory for more, it goes on.
    const more = perKey + Buffer.byteLength(key) + 2 * value.length - row.room
    if (more > 0) {
      if (!this.#account.grow(more)) {
        const message = `no memory for the checkpoints of \`${this.#owner}\`: all that is kept beside the data has half of the budget`
        throw new StorageError('full', message)
      }
      row.room += more
    }
    if (found === undefined) this.#rows.set(key, row)
    return row
  }

  #forget(row: Row | undefined): void {
    if (row === undefined || this.#rows.get(row.key) !== row) return
    this.#rows.delete(row.key)
    this.#account.shrink(row.room)
  }
}

/** In memory of its own: a part of a pooled buffer would keep all of it. */
function copyOf(value: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(value.length)
  value.copy(copy)
  return copy
}
