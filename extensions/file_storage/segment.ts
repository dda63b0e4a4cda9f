/**
 * One file of the log. Its first block is a header that stands there twice (at 0 and at 2048), since everything else in
 * the file is found through it: magic, CRC-32 of what follows, length, nonce, facts as JSON. Records follow from 4096 on.
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { FileHandle, FileOperations } from './files.ts'
import { blockSize, type SegmentMark, nonceSize } from './record.ts'

const MAGIC = Buffer.from('KYMOLOG1')
const COPY = 2048
const TEXT = 24

/** Where the first record stands. */
export const firstRecord = blockSize
/** So many ends find room in a header. */
const mostEnds = 64

/** What the header of a segment says. */
export interface HeaderFacts {
  /** No record in it has a lower one: segments are in the order of these. */
  readonly firstSeq: number
  /** Where segments before it end: the one before, and those that are ragged. */
  readonly ends: readonly (readonly [segment: number, end: number, isRagged: 0 | 1])[]
  /** Segments whose records are in this one. */
  readonly replaces: readonly number[]
}

/** A header as it was read. */
export interface Header extends HeaderFacts {
  readonly mark: SegmentMark
}

/** The first block of a segment. */
export function encodeHeader(mark: SegmentMark, facts: HeaderFacts): Buffer {
  const ends = facts.ends.slice(-mostEnds)
  const text = Buffer.from(JSON.stringify([mark.segment, facts.firstSeq, ends, facts.replaces]))
  if (TEXT + text.length > COPY) throw new RangeError(`a header of ${text.length} bytes finds no room`)
  const out = Buffer.alloc(blockSize)
  for (const at of [0, COPY]) {
    MAGIC.copy(out, at)
    out.writeUInt32LE(text.length, at + 12)
    mark.nonce.copy(out, at + 16)
    text.copy(out, at + TEXT)
    out.writeUInt32LE(crc32(out.subarray(at + 12, at + TEXT + text.length)), at + 8)
  }
  return out
}

/** What the first block of a segment says; undefined when neither copy can be read. */
export function decodeHeader(block: Buffer): Header | undefined {
  return decodeCopy(block, 0) ?? decodeCopy(block, COPY)
}

function decodeCopy(block: Buffer, at: number): Header | undefined {
  if (block.length < at + TEXT || MAGIC.compare(block, at, at + MAGIC.length) !== 0) return undefined
  const end = at + TEXT + block.readUInt32LE(at + 12)
  if (end > at + COPY || end > block.length) return undefined
  if (crc32(block.subarray(at + 12, end)) !== block.readUInt32LE(at + 8)) return undefined
  const [segment, firstSeq, ends, replaces] = JSON.parse(block.toString('utf8', at + TEXT, end)) as [
    number,
    number,
    [number, number, 0 | 1][],
    number[],
  ]
  const nonce = Buffer.from(block.subarray(at + 16, at + 16 + nonceSize))
  return { mark: { nonce, segment }, firstSeq, ends, replaces }
}

/** The mark of a segment that is begun anew. */
export const freshMark = (segment: number): SegmentMark => ({ nonce: randomBytes(nonceSize), segment })

/** The file name of a segment. */
export const segmentName = (number: number): string => `${number.toString(16).padStart(16, '0')}.log`

/** The number in a file name; undefined when it is not a segment's. */
export function segmentNumber(name: string): number | undefined {
  return /^[0-9a-f]{16}\.log$/.test(name) ? Number.parseInt(name.slice(0, 16), 16) : undefined
}

/** What an owner still has in a segment. */
interface Live {
  records: number
  items: number
  bytes: number
  /** Its first and last record there. */
  readonly first: number
  last: number
}

/** A record as it is counted. */
interface Counted {
  readonly ordinal: number
  readonly items: number
  readonly bytes: number
  readonly at: number
}

/** A segment that has been begun. */
export class Segment {
  readonly mark: SegmentMark
  readonly path: string
  readonly firstSeq: number
  /** Size of the file. */
  size: number
  /** Where what is on disk for sure ends. */
  end: number
  /** Nothing is appended any more. */
  sealed = false
  /**
   * It does not end by itself: behind `end` there are records that were refused, or may be. As long as its file can come
   * up again, the headers of later segments have to say so.
   */
  ragged = false
  /** Its records stand in another segment now. */
  moved = false
  /** When its last record was appended, as far as it has not ended by the start. */
  newest = -Infinity
  /** By owner. */
  readonly live = new Map<number, Live>()
  readonly #files: FileOperations
  #handle: Promise<FileHandle> | undefined
  #uses = 0

  constructor(
    files: FileOperations,
    is: { readonly mark: SegmentMark; readonly path: string; readonly firstSeq: number; size: number; end: number },
  ) {
    this.#files = files
    this.mark = is.mark
    this.path = is.path
    this.firstSeq = is.firstSeq
    this.size = is.size
    this.end = is.end
  }

  get number(): number {
    return this.mark.segment
  }

  /** Whether somebody has its file open. */
  get inUse(): boolean {
    return this.#uses > 0
  }

  /** Bytes of payloads that have not ended; records of several owners count several times. */
  get liveBytes(): number {
    let bytes = 0
    for (const live of this.live.values()) bytes += live.bytes
    return bytes
  }

  count(owner: number, { ordinal, items, bytes, at }: Counted): void {
    if (at > this.newest) this.newest = at
    const live = this.live.get(owner)
    if (live === undefined) {
      this.live.set(owner, { records: 1, items, bytes, first: ordinal, last: ordinal })
      return
    }
    live.records++
    live.items += items
    live.bytes += bytes
    live.last = ordinal
  }

  /** A record of `owner` ended; true when it was the last one of all. */
  discount(owner: number, { items, bytes }: Pick<Counted, 'items' | 'bytes'>): boolean {
    const live = this.live.get(owner)
    if (live === undefined) return false
    live.records--
    live.items -= items
    live.bytes -= bytes
    if (live.records > 0) return false
    this.live.delete(owner)
    return this.live.size === 0
  }

  /** The open file, until `release`. */
  async use(how: 'read' | 'write' | 'durable' = 'read'): Promise<FileHandle> {
    this.#uses++
    this.#handle ??= this.#files.open(this.path, how)
    try {
      return await this.#handle
    } catch (error) {
      this.#uses--
      this.#handle = undefined
      throw error
    }
  }

  /** The user of before needs it no more. */
  async release(): Promise<void> {
    this.#uses--
    if (this.#uses > 0 || this.#handle === undefined) return
    const handle = this.#handle
    this.#handle = undefined
    await this.#files.close(await handle)
  }
}
