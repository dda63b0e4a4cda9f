/** Appends records: everything that waits with one write and one sync. */
import type { Batch } from '../../core/batch.ts'
import { messageOf } from '../../core/errors.ts'
import { type Note, StorageError } from '../../core/storage.ts'
import type { LogClock, SteadyTime } from './clock.ts'
import { type FileOperations, isFull } from './files.ts'
import { Drafter } from './drafter.ts'
import { type Job, Jobs } from './jobs.ts'
import { assemble, type Group, type Pending } from './group.ts'
import type { Owner, Owners } from './owners.ts'
import type { Place } from './place.ts'
import { blockEnd, type Draft, recordSize } from './record.ts'
import { firstRecord, type HeaderFacts, type Segment } from './segment.ts'
import { merge, sparseRun } from './merge.ts'
import { Retry } from './retry.ts'
import { NoRoom, type Shelf } from './shelf.ts'
import { Upkeep } from './upkeep.ts'

/** At most so much is kept free in each segment for snapshots, without which nothing can be given back. */
const mostReserve = 64 * 1024
/** Milliseconds between snapshots that go with groups. */
const snapshotInterval = 20
/** Milliseconds to fill half a segment from which on the next is written ahead. */
const leisure = 10_000

export interface WriterTerms {
  readonly shelf: Shelf
  readonly owners: Owners
  /** Watched, see watched.ts. */
  readonly files: FileOperations
  readonly clock: LogClock
  readonly time: SteadyTime
  /** Prepares a segment before there is anything to write. */
  readonly isEager: boolean
  /** The next record's place. */
  readonly nextSeq: number
  /** Ends what the oldest segment has, to make room; undefined when there is none to give up. */
  readonly giveUpOldest: (() => Segment | undefined) | undefined
  /** Trouble came, or went. */
  onTrouble(trouble: StorageError | undefined): void
  /** Room came back. */
  onRoom(): void
}

/** The one who writes to a directory. */
export class Writer {
  trouble: StorageError | undefined
  readonly #terms: WriterTerms
  readonly #upkeep: Upkeep
  readonly #drafter: Drafter
  readonly #reserve: number
  readonly #retry: Retry
  #waiting: Pending[] = []
  /** What waits, so that queues that append the same batch share a record. */
  readonly #shared = new WeakMap<Batch, Pending>()
  #flying: readonly Pending[] = []
  #active: Segment | undefined
  /** The header of the active segment, as long as it is not written. */
  #header: HeaderFacts | undefined
  #nextSeq: number
  #snapshotAt = -Infinity
  #begunAt = 0
  /** Version of the owners' state that is on disk. */
  #written = -1
  /** Something was appended since the last snapshot. */
  #hasAppended = false
  /** Where the last snapshot is. */
  #holder: Segment | undefined
  readonly #jobs = new Jobs({
    next: () => this.#nextJob(),
    isHung: () => this.#isHung,
    fail: error => this.#fail(error),
    idle: () => this.#onIdle?.(),
  })
  #isHung = false
  #isClosing = false
  #onIdle: (() => void) | undefined

  constructor(terms: WriterTerms) {
    this.#terms = terms
    this.#nextSeq = terms.nextSeq
    this.#drafter = new Drafter(terms.time)
    this.#reserve = Math.min(mostReserve, terms.shelf.terms.segmentSize >> 4)
    this.#retry = new Retry(terms.clock, () => this.wake())
    this.#upkeep = new Upkeep(terms.shelf, terms.clock, () => this.wake())
  }

  /** Appends a batch for an owner; see DurableQueue.append. */
  append(owner: Owner, batch: Batch, note: Note | undefined): Promise<Place> {
    if (this.#isClosing) return Promise.reject(new StorageError('closed', 'the storage is closed'))
    if (this.trouble !== undefined) {
      const { kind, message } = this.trouble
      return Promise.reject(new StorageError(kind, message))
    }
    const known = note === undefined ? this.#shared.get(batch) : undefined
    const shared = known?.isClosed === false ? known : undefined
    const pending = shared ?? this.#drafter.batch(batch, note)
    const { maxSize, directory } = this.#terms.shelf.terms
    if (recordSize(pending.draft, 1) + firstRecord + 2 * this.#reserve > maxSize) {
      const message = `a batch of ${batch.byteLength} bytes has no room under the \`max_size\` of \`${directory}\` (${maxSize})`
      return Promise.reject(new StorageError('full', message))
    }
    return new Promise((resolve, reject) => {
      pending.waiters.push({ owner, resolve, reject })
      if (shared !== undefined) return
      this.#waiting.push(pending)
      if (note === undefined) this.#shared.set(batch, pending)
      this.wake()
    })
  }

  /** An ending was counted; `emptied` has nothing left by it. */
  ended(emptied: Segment | undefined): void {
    const { owners } = this.#terms
    owners.version++
    // One that is still written to is empty only for now.
    if (emptied?.sealed === true) this.#upkeep.emptied(emptied, owners.version)
    this.#upkeep.arm()
  }

  /** A segment that was found at start has nothing that anybody needs. */
  emptied(segment: Segment): void {
    this.#upkeep.emptied(segment, this.#terms.owners.version)
    this.#upkeep.arm()
  }

  /** There may be something to do. */
  wake(): void {
    this.#jobs.wake()
  }

  /** What waits goes first, and after each group one piece of other work. */
  #nextJob(): Job | undefined {
    const { trouble } = this
    if (trouble !== undefined) {
      // What has become empty makes room. Waiting for its snapshot, which finds none, would only put off the next look.
      const isDue = this.#retry.isDue || (trouble.kind === 'full' && this.#freed() !== undefined)
      if (isDue && !this.#isClosing) return () => this.#probe(trouble)
      return trouble.kind === 'full' ? this.#chore() : undefined
    }
    if (this.#waiting.length === 0) return this.#chore()
    return async () => {
      await this.#commit()
      await this.#chore()?.()
    }
  }

  /** The next piece of work that nobody waits for. */
  #chore(): Job | undefined {
    const { shelf, owners } = this.#terms
    const upkeep = this.#upkeep
    const removable = upkeep.removable(this.#written, one => one === this.#active || one === this.#holder)
    if (removable !== undefined) return () => this.#remove(removable)
    if (this.#waiting.length === 0 && (upkeep.isDue || this.#isClosing)) {
      upkeep.disarm()
      const isBehind = this.#isClosing && this.#hasAppended
      if (isBehind || this.#written < owners.version) return () => this.#snapshot()
    }
    const run = this.#isClosing || this.trouble !== undefined ? undefined : sparseRun(shelf)
    if (run !== undefined) return () => merge(shelf, owners, run, () => this.#snapshot())
    return this.#wantsSpare() ? () => shelf.makeSpare() : undefined
  }

  /** Whether zeros are to be written ahead: not when so much is written that they would only be one more burden. */
  #wantsSpare(): boolean {
    const { shelf, clock, isEager } = this.#terms
    const active = this.#active
    if (this.#isClosing || this.trouble !== undefined || shelf.hasSpare) return false
    if (active === undefined) return isEager
    return active.end > active.size / 2 && clock.monotonic() - this.#begunAt > leisure
  }

  async #remove(segment: Segment): Promise<void> {
    await this.#upkeep.remove(segment)
    if (this.trouble?.kind === 'full') this.#retry.now()
    else this.#terms.onRoom()
  }

  async #commit(): Promise<void> {
    const group = await this.#build(false)
    if (group === undefined) return
    this.#flying = this.#waiting.splice(0, group.records.length)
    const segment = await this.#write(group)
    this.#flying = []
    for (const { waiter, place } of group.places) {
      const { owner, resolve } = waiter
      owner.appended(place.items)
      owner.count(place)
      segment.count(owner.number, place)
      resolve(place)
    }
  }

  /** A snapshot by itself. */
  async #snapshot(): Promise<void> {
    const group = await this.#build(true)
    if (group !== undefined) await this.#write(group)
  }

  /** What is to be written next, in a segment that is begun for it where it finds no room. */
  async #build(isSnapshot: boolean): Promise<Group | undefined> {
    for (;;) {
      const waiting = isSnapshot ? [] : this.#waiting
      if (!isSnapshot && waiting.length === 0) return undefined
      const segment = this.#active
      const snapshot = this.#snapshotFor(isSnapshot || segment === undefined)
      const [next] = waiting
      const first = next === undefined ? 0 : recordSize(next.draft, next.waiters.length)
      const least = first + (snapshot === undefined ? 0 : recordSize(snapshot.draft, 0))
      if (segment !== undefined) {
        const limit = segment.size - (isSnapshot ? 0 : this.#reserve)
        if (blockEnd(segment.end + least) <= limit) {
          return assemble({ segment, header: this.#header, seq: this.#nextSeq, snapshot, waiting, limit })
        }
      }
      await this.#begin(blockEnd(least) + 2 * this.#reserve)
    }
  }

  #snapshotFor(isWanted: boolean): { draft: Draft; version: number } | undefined {
    const { owners, clock } = this.#terms
    const { version } = owners
    const isNew = owners.registered > this.#written || this.#header !== undefined
    const isDue = version > this.#written && clock.monotonic() - this.#snapshotAt >= snapshotInterval
    if (!isWanted && !isNew && !isDue) return undefined
    return { draft: this.#drafter.snapshot(owners), version }
  }

  async #begin(least: number): Promise<void> {
    const { shelf } = this.#terms
    const segment = await this.#freshSegment(least)
    const before = this.#active
    if (before !== undefined) this.#seal(before, false)
    this.#header = shelf.factsFor(this.#nextSeq)
    shelf.segments.push(segment)
    this.#active = segment
    this.#begunAt = this.#terms.clock.monotonic()
    await segment.use(shelf.terms.fsync ? 'durable' : 'write')
  }

  async #freshSegment(least: number): Promise<Segment> {
    const { shelf, giveUpOldest } = this.#terms
    for (;;) {
      try {
        return await shelf.begin(this.#nextSeq, least)
      } catch (error) {
        const oldest = error instanceof NoRoom && error.isOurs ? giveUpOldest?.() : undefined
        if (oldest === undefined) throw error
        await this.#upkeep.remove(oldest)
      }
    }
  }

  #seal(segment: Segment, isRagged: boolean): void {
    segment.sealed = true
    segment.ragged = isRagged
    if (this.#active === segment) this.#active = undefined
    this.#header = undefined
    if (segment.live.size === 0) this.#upkeep.emptied(segment, this.#terms.owners.version)
    if (segment.inUse) segment.release().catch(() => {})
  }

  async #write(group: Group): Promise<Segment> {
    const { files, clock, shelf, owners } = this.#terms
    const segment = this.#active
    if (segment === undefined) throw new Error('no segment is open')
    const file = await segment.use()
    try {
      const at = this.#header === undefined ? segment.end : 0
      if (shelf.terms.fsync) await files.writeDurably(file, group.buffers, at)
      else await files.write(file, group.buffers, at)
    } finally {
      await segment.release()
    }
    if (this.#isHung) throw new Error('the disk took too long')
    this.#header = undefined
    segment.end = group.end
    this.#nextSeq = group.seq
    if (group.records.length > 0) this.#hasAppended = true
    if (group.version !== undefined) {
      this.#written = group.version
      this.#hasAppended = group.records.length > 0
      this.#snapshotAt = clock.monotonic()
      this.#upkeep.disarm()
      if (owners.version > group.version) this.#upkeep.arm()
    }
    this.#holder = segment
    return segment
  }

  /** Finds out whether the trouble has gone. */
  async #probe(trouble: StorageError): Promise<void> {
    this.#retry.isDue = false
    if (trouble.kind === 'full') await this.#findRoom()
    else await this.#snapshot()
    if (this.#isHung) return
    this.trouble = undefined
    this.#retry.reset()
    this.#terms.onTrouble(undefined)
    this.#terms.onRoom()
  }

  /** A segment of which nothing is left, whether or not that is on disk. */
  #freed(): Segment | undefined {
    return this.#upkeep.removable(Infinity, segment => segment === this.#active || segment === this.#holder)
  }

  async #findRoom(): Promise<void> {
    // Without room for a snapshot first: should the process die now, its totals will count what ended here as corrupt.
    const removable = this.#freed()
    if (removable !== undefined) await this.#upkeep.remove(removable)
    await this.#terms.shelf.findRoom()
  }

  /** The disk failed: what was to be written is refused, and after a while another segment is tried. */
  #fail(error: unknown): void {
    const isRoom = error instanceof NoRoom || isFull(error)
    // What a failed sync left behind is not known, so nothing is ever added to this segment.
    if (this.#active !== undefined && !(error instanceof NoRoom)) this.#seal(this.#active, true)
    const { directory } = this.#terms.shelf.terms
    const message = isRoom ? messageOf(error) : `writing to \`${directory}\` failed: ${messageOf(error)}`
    this.#refuseAll(new StorageError(isRoom ? 'full' : 'sick', message, { cause: error }))
    if (!this.#isHung) {
      this.#retry.later()
      return
    }
    this.#isHung = false
    this.#retry.now()
  }

  #refuseAll(trouble: StorageError): void {
    this.trouble = trouble
    this.#terms.onTrouble(trouble)
    const { kind, message, cause } = trouble
    const [flying, waiting] = [this.#flying, this.#waiting]
    this.#flying = []
    this.#waiting = []
    const refuse = (pending: Pending, maybeStored: boolean) => {
      pending.isClosed = true
      for (const { reject } of pending.waiters) reject(new StorageError(kind, message, { maybeStored, cause }))
    }
    for (const pending of flying) refuse(pending, true)
    for (const pending of waiting) refuse(pending, false)
  }

  /** An operation does not return: nobody is to wait for it. */
  hangs(what: string): void {
    this.#isHung = true
    this.#refuseAll(new StorageError('sick', `${what} in \`${this.#terms.shelf.terms.directory}\` does not return`))
    this.#onIdle?.()
  }

  /** Writes what waits and a last snapshot, unless the disk hangs. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#retry.cancel()
    if (!this.#isHung) {
      const idle = new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
      this.wake()
      await idle
    }
    this.#upkeep.disarm()
    if (this.#active !== undefined) this.#seal(this.#active, false)
    if (!this.#isHung) await this.#terms.shelf.close()
  }
}
