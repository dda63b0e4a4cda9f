/** One directory of segments, and the queues that stand in it. */
import type { Batch } from '../../core/batch.ts'
import { InternalError } from '../../core/errors.ts'
import {
  type Amount,
  type Backlog,
  type DurableQueue,
  type Ending,
  type Note,
  type Orphan,
  type QueueTotals,
  type QueueView,
  StorageError,
  type Stored,
  type StoredRecord,
} from '../../core/storage.ts'
import type { Logger } from '../../core/logger.ts'
import { type LogClock, SteadyTime } from './clock.ts'
import { DiskRoom } from './disk-room.ts'
import type { FileOperations } from './files.ts'
import { type Owner, Owners } from './owners.ts'
import type { Place } from './place.ts'
import { Reader, type ReadRecord } from './reader.ts'
import { recover } from './recovery.ts'
import type { Segment } from './segment.ts'
import { Shelf } from './shelf.ts'
import { watched } from './watched.ts'
import { Writer } from './writer.ts'

/** Milliseconds between looks for what is too old. */
const expiryInterval = 600_000

export interface LogTerms {
  readonly directory: string
  readonly files: FileOperations
  readonly clock: LogClock
  readonly log: Logger
  readonly segmentSize: number
  readonly maxSize: number
  readonly fsync: boolean
  /** Milliseconds after which a write or sync counts as hanging. */
  readonly syncTimeout: number
  /** Prepares a file before there is anything to write. */
  readonly isEager: boolean
  /** When `maxSize` is reached, the oldest is given up in place of refusing the newest. */
  readonly isRing?: boolean
  /** Age from which on records are given up by the log itself, in milliseconds. */
  readonly expiry?: number
  /** A buffer for a payload that is read. */
  readonly allocate?: (size: number) => Buffer
  onTrouble?(trouble: StorageError | undefined): void
}

/** One directory of segments. */
export class Log {
  readonly time: SteadyTime
  readonly #terms: LogTerms
  readonly #shelf: Shelf
  readonly #disk: DiskRoom
  readonly #started: number
  #owners = new Owners()
  #writer: Writer | undefined
  #cancelExpiry: (() => void) | undefined
  #isClosing = false
  readonly #listeners = new Set<() => void>()

  private constructor(terms: LogTerms) {
    this.#terms = terms
    this.time = new SteadyTime(terms.clock)
    this.#started = this.time.now()
    const { directory, segmentSize, maxSize, fsync } = terms
    const files = watched(terms.files, terms.clock, terms.syncTimeout, what => this.#writer?.hangs(what))
    this.#shelf = new Shelf({ directory, files, segmentSize, maxSize, fsync })
    this.#disk = new DiskRoom(terms.files, directory, terms.clock)
  }

  /** Reads what the directory, which must be there, holds. */
  static async open(terms: LogTerms): Promise<Log> {
    const log = new Log(terms)
    await log.#open()
    return log
  }

  async #open(): Promise<void> {
    const { directory, files, segmentSize, clock, log, fsync } = this.#terms
    const found = await recover({
      directory,
      files,
      segmentSize,
      now: this.#started,
      fsync,
      readOnly: false,
      onFinding({ kind, path, at, bytes, records }) {
        if (kind === 'torn') log.warn({ path, at, bytes, records }, 'a record that was being written was cut off')
        else if (kind === 'unsynced') log.warn({ path }, 'the disk does not confirm what it holds')
        else log.error({ path, at, bytes, records }, 'records cannot be read and were passed over')
      },
    })
    if (fsync) await files.syncDirectory(directory)
    this.#owners = found.owners
    this.#shelf.adopt(found)
    const { segments } = this.#shelf
    this.#writer = new Writer({
      shelf: this.#shelf,
      owners: this.#owners,
      files: this.#shelf.terms.files,
      clock,
      time: this.time,
      isEager: this.#terms.isEager,
      giveUpOldest: this.#terms.isRing === true ? () => this.#giveUpOldest() : undefined,
      nextSeq: found.nextSeq,
      onTrouble: trouble => this.#terms.onTrouble?.(trouble),
      onRoom: () => {
        for (const listener of this.#listeners) listener()
      },
    })
    for (const segment of segments) if (segment.live.size === 0) this.#writer.emptied(segment)
    this.#writer.wake()
    await this.#disk.look()
    this.#warnOfDisk()
    if (this.#terms.expiry !== undefined) this.#expire(this.#terms.expiry)
  }

  /** At start: it would be full long before `max_size` says so. */
  #warnOfDisk(): void {
    const { maxSize, directory, log, isRing } = this.#terms
    const { free } = this.#disk
    if (isRing === true || this.used + free >= maxSize) return
    const fields = { directory, max_size: maxSize, used: this.used, free }
    log.warn(
      fields,
      'the disk has less room than `max_size`: it will be full before; lower `max_size`, or give it a larger disk',
    )
  }

  get room(): number {
    return this.trouble === undefined ? this.#shelf.room : 0
  }

  /** No more than the disk had when it was asked last. */
  get roomOnDisk(): number {
    return this.trouble === undefined ? this.#shelf.roomWith(this.#disk.free) : 0
  }

  /** Asks the disk how much it has. */
  lookAtDisk(): Promise<void> {
    return this.#disk.look()
  }

  get trouble(): StorageError | undefined {
    return this.#writer?.trouble
  }

  /** Bytes on disk. */
  get used(): number {
    return this.#shelf.used
  }

  onRoom(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  queue(name: string): DurableQueue {
    const owner = this.#owners.ask(name)
    if (owner.taken) throw new StorageError('locked', `the queue of \`${name}\` is in use`)
    owner.taken = true
    return new Queue(owner, this.#readerOf(owner, this.#terms.allocate ?? Buffer.allocUnsafeSlow), {
      append: (batch, note) => this.#writing.append(owner, batch, note),
      end: (place, items, ending) => this.#end(owner, place, items, ending),
    })
  }

  #readerOf(owner: Owner, allocate: (size: number) => Buffer): Reader {
    const { log } = this.#terms
    return new Reader({
      shelf: this.#shelf,
      owner,
      allocate,
      started: this.#started,
      onCorrupt: (place, segment) => {
        const { items } = place
        log.error({ path: segment.path, queue: owner.name, items }, 'a record cannot be read and is given up')
        this.#end(owner, place, items, 'corrupt')
      },
      onDamage: (segment, at, bytes) =>
        log.error({ path: segment.path, at, bytes }, 'records cannot be read and were passed over'),
    })
  }

  list(): readonly QueueView[] {
    return [...this.#owners].map(({ name: owner, taken, backlog, totals }) => ({ owner, taken, backlog, totals }))
  }

  orphans(): readonly Orphan[] {
    const orphans: Orphan[] = []
    for (const owner of this.#owners) {
      if (!owner.taken && owner.records > 0) orphans.push({ owner: owner.name, ...owner.backlog })
    }
    return orphans
  }

  drop(name: string): void {
    const owner = this.#owners.byName(name)
    if (owner === undefined) return
    owner.endAll('handed_over')
    for (const segment of this.#shelf.segments) {
      if (segment.live.delete(owner.number) && segment.live.size === 0) this.#writing.ended(segment)
    }
    this.#writing.ended(undefined)
  }

  /** See Storage. */
  async expire(name: string, until: number): Promise<Amount> {
    const gone = { records: 0, items: 0, bytes: 0 }
    const owner = this.#owners.byName(name)
    if (owner === undefined) return gone
    const giveUp = (end: () => void): void => {
      const { records, items, bytes } = owner
      end()
      gone.records += records - owner.records
      gone.items += items - owner.items
      gone.bytes += bytes - owner.bytes
    }
    const isOrphan = (): boolean => !owner.taken && !this.#isClosing && owner.records > 0
    // Of most files nothing has to be read.
    if (isOrphan()) {
      for (const segment of this.#shelf.segments) {
        if (segment.newest <= until) giveUp(() => this.#endAllIn(segment, owner))
      }
    }
    // What is in them is not looked at, so that one buffer does.
    let room = Buffer.alloc(0)
    const reader = this.#readerOf(owner, size => {
      if (room.length < size) room = Buffer.allocUnsafeSlow(size)
      return room.subarray(0, size)
    })
    try {
      for (let last: ReadRecord | undefined; isOrphan();) {
        const record = await reader.next(last)
        // Somebody may have come while it was read.
        if (record === undefined || !isOrphan()) break
        if (record.at > until) {
          owner.since = record.at
          break
        }
        giveUp(() => this.#end(owner, record, record.items, 'lost'))
        last = record
      }
    } finally {
      await reader.pause()
    }
    return gone
  }

  #endAllIn(segment: Segment, owner: Owner): void {
    const live = segment.live.get(owner.number)
    if (live === undefined) return
    owner.endRange(live.first, live.last, live, 'lost')
    segment.live.delete(owner.number)
    this.#writing.ended(segment.live.size === 0 ? segment : undefined)
  }

  /** Writes what waits, and what ended. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#cancelExpiry?.()
    await this.#writer?.close()
  }

  get #writing(): Writer {
    if (this.#writer === undefined) throw new InternalError('the log is not open')
    return this.#writer
  }

  #end(owner: Owner, place: Place, items: number, ending: Ending | 'corrupt'): void {
    if (!owner.end(place, items, ending)) return
    const segment = this.#segmentOf(place)
    this.#writing.ended(segment?.discount(owner.number, place) ? segment : undefined)
  }

  /** Ends all that the oldest segment has. */
  #giveUpOldest(): Segment | undefined {
    const oldest = this.#shelf.segments.find(({ sealed, live }) => sealed && live.size > 0)
    if (oldest !== undefined) this.#giveUp(oldest, 'there is no room for them')
    return oldest
  }

  #giveUp(segment: Segment, why: string): void {
    let items = 0
    for (const [number, live] of segment.live) {
      items += live.items
      this.#owners.byNumber(number)?.endRange(live.first, live.last, live, 'lost')
    }
    segment.live.clear()
    this.#terms.log.error({ path: segment.path, items }, `the oldest records are given up: ${why}`)
    this.#writing.ended(segment)
  }

  /** Gives up what is too old, and looks again after a while. */
  #expire(expiry: number): void {
    const before = this.time.now() - expiry
    for (const segment of this.#shelf.segments) {
      if (segment.live.size > 0 && segment.newest < before) this.#giveUp(segment, 'they are too old')
    }
    this.#cancelExpiry = this.#terms.clock.after(Math.min(expiry, expiryInterval), () => this.#expire(expiry))
  }

  #segmentOf(place: Place): Segment | undefined {
    return this.#shelf.of(place.seq)
  }
}

/** A queue as it is listed. */
export interface QueueState {
  readonly owner: string
  readonly backlog: Backlog
  readonly totals: QueueTotals
}

/** What a list says of an owner. */
export const queueState = ({ name, backlog, totals }: Owner): QueueState => ({ owner: name, backlog, totals })

/** What a queue asks its log to do. */
interface QueueActions {
  append(batch: Batch, note: Note | undefined): Promise<Place>
  end(place: Place, items: number, ending: Ending): void
}

class Queue implements DurableQueue {
  readonly #owner: Owner
  readonly #reader: Reader
  readonly #actions: QueueActions

  constructor(owner: Owner, reader: Reader, actions: QueueActions) {
    this.#owner = owner
    this.#reader = reader
    this.#actions = actions
  }

  get owner(): string {
    return this.#owner.name
  }

  get backlog(): Backlog {
    return this.#owner.backlog
  }

  get totals(): QueueTotals {
    return this.#owner.totals
  }

  get recovered(): number {
    return this.#owner.recovered
  }

  append(batch: Batch, note?: Note): Promise<Stored> {
    return this.#actions.append(batch, note)
  }

  next(after: Stored | undefined): Promise<StoredRecord | undefined> {
    return this.#reader.next(after && placeOf(after))
  }

  end(record: Stored, items: number, ending: Ending): void {
    this.#actions.end(placeOf(record), items, ending)
  }

  close(): void {
    this.#owner.taken = false
    this.#reader.pause().catch(() => {})
  }
}

/** What a queue is handed back was handed out by one. */
function placeOf(stored: Stored): Place {
  if (!('ordinal' in stored)) throw new InternalError('a record was handed in that no queue gave out')
  return stored as Place
}
