/** Reads what one owner still has, from record to record. */
import { crc32 } from 'node:zlib'
import type { Context } from '../../core/context.ts'
import { messageOf } from '../../core/errors.ts'
import { StorageError, type StoredRecord } from '../../core/storage.ts'
import type { Owner } from './owners.ts'
import type { Place } from './place.ts'
import { decodeContext, decodeMeta, detailsAt, type RecordFront } from './record.ts'
import { firstRecord, type Segment } from './segment.ts'
import type { Shelf } from './shelf.ts'
import { Walk, Window } from './walk.ts'

/** Small records are read many at once; large ones by themselves, with the front of the next. */
const aheadOfSmall = 256 * 1024
const aheadOfLarge = 16 * 1024
const large = 64 * 1024

export interface ReaderTerms {
  readonly shelf: Shelf
  readonly owner: Owner
  /** A buffer for a payload. */
  allocate(size: number): Buffer
  /** What was appended before this process cannot be younger than its start. */
  readonly started: number
  /** A record cannot be read. */
  onCorrupt(place: Place, segment: Segment): void
  /** Bytes that are no record were passed over. */
  onDamage(segment: Segment, at: number, bytes: number): void
}

const unreadable = ({ path }: Segment, error: unknown): StorageError =>
  new StorageError('sick', `\`${path}\` cannot be read: ${messageOf(error)}`, { cause: error })

/** A record as it is read, with its place. */
export type ReadRecord = StoredRecord & Place

/** One per queue; one call at a time. */
export class Reader {
  readonly #terms: ReaderTerms
  #segment: Segment | undefined
  #walk: Walk | undefined
  /** Where the walk stood when it was given up, and how it read. */
  #at = firstRecord
  #ahead = aheadOfSmall
  /** The record that the position stands behind. */
  #last: number | undefined
  /** The last record that was come upon. */
  #seen = -1
  #context: { readonly text: string; readonly context: Context } | undefined

  constructor(terms: ReaderTerms) {
    this.#terms = terms
  }

  /** The first record behind `after` that has not ended. */
  async next(after: Place | undefined): Promise<ReadRecord | undefined> {
    try {
      return await this.#next(after)
    } catch (error) {
      // What was read in part must not be taken for what stands there.
      const segment = this.#segment
      await this.pause()
      this.#segment = undefined
      this.#last = undefined
      throw segment === undefined || error instanceof StorageError ? error : unreadable(segment, error)
    }
  }

  async #next(after: Place | undefined): Promise<ReadRecord | undefined> {
    const { owner } = this.#terms
    await this.#goTo(after)
    for (;;) {
      const segment = this.#segment
      if (segment === undefined) return undefined
      if (segment.moved) {
        await this.#seek()
        continue
      }
      if (!segment.live.has(owner.number)) {
        if (await this.#leave(segment)) continue
        return undefined
      }
      const walk = this.#walk ?? (await this.#open(segment))
      if (walk === undefined) continue
      const step = walk.stepNow(segment.end) ?? (await walk.step(segment.end))
      if (step.found === 'damage') this.#terms.onDamage(segment, step.at, step.bytes)
      else if (step.found === 'record') {
        const { front, bytes } = step
        const isNew = front.kind === 'batch' && front.seq > this.#seen
        if (!isNew) continue
        this.#seen = front.seq
        const place = this.#placeOf(front, segment, walk.at)
        if (place === undefined) continue
        const record = await this.#read(step.at, front, bytes, place, walk, segment)
        this.#last = front.seq
        if (record !== undefined) return record
      } else if (!(await this.#leave(segment))) return undefined
    }
  }

  /** Goes on to the next segment; false where more may come into this one. */
  async #leave(segment: Segment): Promise<boolean> {
    const { shelf, owner } = this.#terms
    if (!segment.sealed && shelf.segments.at(-1) === segment) {
      // Until more comes it holds no memory.
      await this.pause()
      return false
    }
    const next = shelf.segments.find(one => one !== segment && one.firstSeq >= segment.firstSeq && isWanted(one, owner))
    await this.#enter(next, firstRecord)
    return true
  }

  /** Where the record stands, if it is the owner's and has not ended. */
  #placeOf(front: RecordFront, segment: Segment, next: number): Place | undefined {
    const { owner, started } = this.#terms
    const mine = front.owners.find(one => one.owner === owner.number)
    if (mine === undefined || owner.hasEnded(mine.ordinal)) return undefined
    const { seq, items, payloadLength: bytes } = front
    const at = seq < this.#terms.shelf.firstOwnSeq ? Math.min(front.at, started) : front.at
    return { seq, items, bytes, at, ordinal: mine.ordinal, segment: segment.number, next }
  }

  async #read(
    at: number,
    front: RecordFront,
    bytes: Buffer,
    place: Place,
    walk: Walk,
    segment: Segment,
  ): Promise<ReadRecord | undefined> {
    const { context, rest } = detailsAt(bytes, 0, front)
    const length = front.payloadLength
    const payload = this.#terms.allocate(length)
    const start = at + front.frontLength
    const have = bytes.copy(payload, 0, front.frontLength, front.frontLength + length)
    walk.ahead = length >= large ? aheadOfLarge : aheadOfSmall
    const ahead = Math.max(0, Math.min(walk.ahead, segment.end - start - length))
    const isWhole = have === length || (await walk.window.through(start + have, payload.subarray(have), ahead))
    if (!isWhole || crc32(payload) !== front.payloadCrc) {
      this.#terms.onCorrupt(place, segment)
      return undefined
    }
    const { shares, note } = decodeMeta(rest)
    if (this.#context?.text !== context) this.#context = { text: context, context: decodeContext(context) }
    return { ...place, signal: front.signal, context: this.#context.context, shares, note, payload }
  }

  /** Takes the position behind `after`. */
  async #goTo(after: Place | undefined): Promise<void> {
    const { shelf } = this.#terms
    const isThere = this.#segment !== undefined && shelf.segments.includes(this.#segment)
    if (isThere && after !== undefined && after.seq === this.#last) return
    this.#last = after?.seq
    this.#seen = after?.seq ?? -1
    const segment = after && shelf.of(after.seq)
    if (after === undefined || segment?.number !== after.segment) await this.#seek()
    else await this.#enter(segment, after.next)
  }

  /** Takes the position where the first record behind the last one seen stands, or before. */
  async #seek(): Promise<void> {
    const { shelf } = this.#terms
    await this.#enter(shelf.of(this.#seen) ?? shelf.segments[0], firstRecord)
  }

  async #enter(segment: Segment | undefined, at: number): Promise<void> {
    if (this.#segment !== segment) await this.pause()
    this.#segment = segment
    this.#at = at
    if (this.#walk !== undefined) this.#walk.at = at
  }

  async #open(segment: Segment): Promise<Walk | undefined> {
    const { shelf, owner } = this.#terms
    try {
      const window = new Window(shelf.terms.files, await segment.use())
      this.#walk = new Walk(window, segment.mark, this.#at, this.#ahead)
      return this.#walk
    } catch (error) {
      if (segment.live.has(owner.number)) throw unreadable(segment, error)
      // It was given back in this moment, so that nothing of it was needed, or stands elsewhere.
      return undefined
    }
  }

  /** Lets go of the file and the memory; the position stays known. */
  async pause(): Promise<void> {
    const segment = this.#segment
    if (this.#walk === undefined || segment === undefined) return
    this.#at = this.#walk.at
    this.#ahead = this.#walk.ahead
    this.#walk = undefined
    await segment.release()
  }
}

/** Whether an owner has something in a segment, or may have soon. */
const isWanted = (segment: Segment, owner: Owner): boolean => !segment.sealed || segment.live.has(owner.number)
