/** The segments of one directory: which are there, which is next, what is given back. */
import { join } from 'node:path'
import { elementAt } from '../../core/element-at.ts'
import { codeOf, type FileHandle, type FileOperations } from './files.ts'
import type { Recovered } from './recovery.ts'
import { firstRecord, freshMark, type HeaderFacts, Segment, segmentName } from './segment.ts'

/** Zeros are written in steps of this, so that what waits for its sync does not wait long. */
const zerosPerStep = 4 * 1024 * 1024
const zeros = 256 * 1024

/** A file that is there to become a segment. */
interface Spare {
  readonly number: number
  readonly path: string
  readonly size: number
}

/** A spare that is being made. */
interface Making extends Spare {
  readonly file: FileHandle
  written: number
}

/** No room for another segment. */
export class NoRoom extends Error {
  override name = 'NoRoom'
  /** It is our own limit that was reached, not the disk's. */
  readonly isOurs: boolean

  constructor(isOurs: boolean, message: string) {
    super(message)
    this.isOurs = isOurs
  }
}

export interface ShelfTerms {
  readonly directory: string
  readonly files: FileOperations
  readonly segmentSize: number
  readonly maxSize: number
  /** Off: nothing is synced. */
  readonly fsync: boolean
}

/** All methods that touch the disk are called one at a time. */
export class Shelf {
  readonly terms: ShelfTerms
  /** In the order of their records; the last may be the one that is written. */
  readonly segments: Segment[] = []
  /** Records with lower ones were written by a process before this one. */
  firstOwnSeq = 0
  #spare: Spare | undefined
  #making: Making | undefined
  #next = 1
  #zeros: Buffer | undefined

  constructor(terms: ShelfTerms) {
    this.terms = terms
  }

  /** Bytes of files that hold records, and of the spare. */
  get used(): number {
    let bytes = (this.#spare?.size ?? 0) + (this.#making?.size ?? 0)
    for (const { size } of this.segments) bytes += size
    return bytes
  }

  /** Bytes that may still become records. */
  get room(): number {
    const last = this.segments.at(-1)
    const open = last === undefined || last.sealed ? 0 : last.size - last.end
    return Math.max(0, this.terms.maxSize - this.used + open + (this.#spare?.size ?? 0) + (this.#making?.size ?? 0))
  }

  /** The same, with a disk that has `free` bytes left: a segment is only begun where there are as many as it may take. */
  roomWith(free: number): number {
    const { segmentSize } = this.terms
    const last = this.segments.at(-1)
    const open = last === undefined || last.sealed ? 0 : Math.min(free, last.size - last.end)
    const more = Math.floor(Math.max(0, free - open) / segmentSize) * segmentSize
    return Math.min(this.room, open + more + (this.#spare?.size ?? 0))
  }

  get hasSpare(): boolean {
    return this.#spare !== undefined
  }

  /** Takes up what was found at start. */
  adopt(found: Pick<Recovered, 'segments' | 'spare' | 'nextNumber' | 'nextSeq'>): void {
    this.segments.push(...found.segments)
    this.#spare = found.spare
    this.#next = found.nextNumber
    this.firstOwnSeq = found.nextSeq
  }

  /** The segment that a record stands in; undefined when it is gone. */
  of(seq: number): Segment | undefined {
    const { segments } = this
    let [from, to] = [0, segments.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (elementAt(segments, middle).firstSeq <= seq) from = middle + 1
      else to = middle
    }
    return segments[from - 1]
  }

  /** Number and path of a file that is not there yet. */
  freshFile(): { readonly number: number; readonly path: string } {
    const number = this.#next++
    return { number, path: join(this.terms.directory, segmentName(number)) }
  }

  /** Puts one segment in the place of several neighbours. */
  replace(run: readonly Segment[], merged: Segment): void {
    this.segments.splice(this.segments.indexOf(elementAt(run, 0)), run.length, merged)
    for (const segment of run) {
      segment.moved = true
      segment.live.clear()
    }
  }

  /**
   * Takes one step towards a spare; whether it is there now.
   * @throws NoRoom, and what the disk throws; what was made until then is given back
   */
  async makeSpare(): Promise<boolean> {
    if (this.#spare !== undefined) return true
    const making = (this.#making ??= await this.#beginSpare())
    try {
      const size = Math.min(zerosPerStep, making.size - making.written)
      const { files } = this.terms
      await files.write(making.file, this.#zerosOf(size), making.written)
      await this.#sync(making.file)
      making.written += size
      if (making.written < making.size) return false
      await files.close(making.file)
      await this.syncDirectory()
    } catch (error) {
      this.#making = undefined
      await this.#giveBack(making.file, making.path)
      throw error
    }
    this.#making = undefined
    this.#zeros = undefined
    this.#spare = { number: making.number, path: making.path, size: making.size }
    return true
  }

  /** @throws NoRoom when there is none for another segment */
  async findRoom(): Promise<void> {
    if (this.#spare === undefined) await this.#demandRoom(this.terms.segmentSize)
  }

  async #beginSpare(): Promise<Making> {
    const { files, segmentSize } = this.terms
    await this.#demandRoom(segmentSize)
    const { number, path } = this.freshFile()
    const file = await files.open(path, 'create')
    return { number, path, size: segmentSize, file, written: 0 }
  }

  async #demandRoom(size: number): Promise<void> {
    const { files, directory, maxSize } = this.terms
    if (this.used + size > maxSize) {
      throw new NoRoom(true, `\`${directory}\` has reached \`max_size\` (${maxSize} bytes)`)
    }
    // Asked first, so that a disk that is nearly full is not filled to the last byte only to find out.
    const free = await files.free(directory)
    if (free < size) throw new NoRoom(false, `the disk of \`${directory}\` has ${free} bytes left of ${size} needed`)
  }

  async #giveBack(file: FileHandle, path: string): Promise<void> {
    const { files } = this.terms
    await files.close(file).catch(() => {})
    await files.unlink(path).catch(() => {})
  }

  /**
   * Begins a segment, with room for `least` bytes of records: the spare, or a file without bytes. Zeros that are there
   * save each write the change of metadata, which counts when writes are small; when much is written they only cost.
   * Its header is not written.
   */
  async begin(firstSeq: number, least: number): Promise<Segment> {
    const { files, segmentSize } = this.terms
    const spare = this.#spare
    if (spare !== undefined && firstRecord + least <= spare.size) {
      this.#spare = undefined
      return this.#started(spare.number, spare.path, spare.size, firstSeq)
    }
    const size = Math.max(segmentSize, firstRecord + least)
    await this.#demandRoom(size)
    const { number, path } = this.freshFile()
    const file = await files.open(path, 'create')
    try {
      await files.truncate(file, size)
      await this.syncDirectory()
    } catch (error) {
      await this.#giveBack(file, path)
      throw error
    }
    await files.close(file)
    return this.#started(number, path, size, firstSeq)
  }

  #started(number: number, path: string, size: number, firstSeq: number): Segment {
    return new Segment(this.terms.files, { mark: freshMark(number), path, firstSeq, size, end: firstRecord })
  }

  /** What the header of a segment that begins at `firstSeq` says of those before. */
  factsFor(firstSeq: number): HeaderFacts {
    const before = this.segments
    const ends = before.filter((one, i) => one.ragged || i === before.length - 1)
    return { firstSeq, ends: ends.map(({ number, end, ragged }) => [number, end, ragged ? 1 : 0]), replaces: [] }
  }

  /** Gives back the file of a segment of which nothing is needed, or keeps it as the spare. */
  async discard(segment: Segment): Promise<void> {
    const { files, segmentSize } = this.terms
    const isWanted = this.#spare === undefined && this.#making === undefined
    if (isWanted && segment.size === segmentSize && !segment.ragged && !segment.moved && !segment.inUse) {
      this.#forget(segment)
      const { number, path } = this.freshFile()
      await files.rename(segment.path, path)
      await this.syncDirectory()
      this.#spare = { number, path, size: segment.size }
      return
    }
    // A ragged one is forgotten only when it cannot come up again.
    if (!segment.ragged) this.#forget(segment)
    await files.unlink(segment.path).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    if (!segment.ragged) return
    await this.syncDirectory()
    this.#forget(segment)
  }

  #forget(segment: Segment): void {
    const i = this.segments.indexOf(segment)
    if (i >= 0) this.segments.splice(i, 1)
  }

  async close(): Promise<void> {
    const making = this.#making
    this.#making = undefined
    if (making !== undefined) await this.#giveBack(making.file, making.path)
  }

  async syncDirectory(): Promise<void> {
    if (this.terms.fsync) await this.terms.files.syncDirectory(this.terms.directory)
  }

  async #sync(file: FileHandle): Promise<void> {
    if (this.terms.fsync) await this.terms.files.sync(file)
  }

  #zerosOf(size: number): Buffer[] {
    const block = (this.#zeros ??= Buffer.alloc(zeros))
    const list: Buffer[] = []
    for (let left = size; left > 0; left -= zeros) list.push(left < zeros ? block.subarray(0, left) : block)
    return list
  }
}
