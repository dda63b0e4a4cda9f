/**
 * Sparse segments made one: records that nobody takes must not hold back files that are empty but for them. The records
 * keep their places in the order; the new segment says whose place it takes, so that a crash at any moment leaves either.
 */
import { crc32 } from 'node:zlib'
import { elementAt } from '../../core/element-at.ts'
import type { FileHandle } from './files.ts'
import type { Owner, Owners } from './owners.ts'
import {
  blockEnd,
  detailsAt,
  type Draft,
  encodeFront,
  type RecordFront,
  type SegmentMark,
  type Ownership,
  recordSize,
} from './record.ts'
import { encodeHeader, firstRecord, freshMark, Segment } from './segment.ts'
import type { Shelf } from './shelf.ts'
import { Walk, Window } from './walk.ts'

/** A segment of which less than this part lives is sparse. */
const sparse = 1 / 8
/** So many segments must be won, or so many files be made one, for it to be worth the while. */
const leastWon = 3
const mostFiles = 16
const chunk = 256 * 1024

interface Copied {
  readonly owner: Owner
  readonly ordinal: number
  readonly items: number
  readonly bytes: number
  readonly at: number
}

/** Neighbouring segments that are worth making one. */
export function sparseRun(shelf: Shelf): readonly Segment[] | undefined {
  const { segmentSize } = shelf.terms
  let run: Segment[] = []
  let size = 0
  let living = 0
  for (const segment of shelf.segments) {
    const { liveBytes } = segment
    const fits = living + liveBytes <= segmentSize / 4
    if (!segment.sealed || liveBytes > segment.size * sparse || !fits) {
      run = []
      size = 0
      living = 0
      continue
    }
    run.push(segment)
    size += segment.size
    living += liveBytes
    if (size - living >= (leastWon + 1) * segmentSize || run.length >= mostFiles) return run
  }
  return undefined
}

/**
 * Makes one segment of `run`. Called while nothing else is written. `settle` writes down what has ended: that is not
 * copied, and once the new segment counts nothing else tells of it.
 */
export async function merge(
  shelf: Shelf,
  owners: Owners,
  run: readonly Segment[],
  settle: () => Promise<void>,
): Promise<void> {
  const { files, fsync } = shelf.terms
  const { number, path } = shelf.freshFile()
  const mark = freshMark(number)
  const { firstSeq } = elementAt(run, 0)
  const file = await files.open(path, 'create')
  let end = firstRecord
  const copied: Copied[] = []
  try {
    await shelf.syncDirectory()
    for (const segment of run) end = await copyLiving(shelf, owners, segment, { file, mark, at: end, copied })
    if (fsync) await files.sync(file)
    await settle()
    // The header makes the file count, so it comes when everything else is there.
    const replaces = run.map(one => one.number)
    await files.write(file, [encodeHeader(mark, { firstSeq, ends: [], replaces })], 0)
    if (fsync) await files.sync(file)
  } catch (error) {
    await files.close(file).catch(() => {})
    await files.unlink(path).catch(() => {})
    throw error
  }
  await files.close(file)
  const merged = new Segment(files, { mark, path, firstSeq, size: blockEnd(end), end })
  merged.sealed = true
  // What ended meanwhile was counted where it stood before.
  for (const one of copied) if (!one.owner.hasEnded(one.ordinal)) merged.count(one.owner.number, one)
  shelf.replace(run, merged)
  for (const segment of run) await shelf.discard(segment)
  // From here on nothing needs to know what this one replaced.
  await shelf.syncDirectory()
}

interface Target {
  readonly file: FileHandle
  readonly mark: SegmentMark
  readonly at: number
  readonly copied: Copied[]
}

/** Copies what lives in `segment` and returns where that ends. */
async function copyLiving(shelf: Shelf, owners: Owners, segment: Segment, target: Target): Promise<number> {
  const { files } = shelf.terms
  let { at } = target
  const source = await segment.use()
  try {
    const walk = new Walk(new Window(files, source), segment.mark, firstRecord, chunk)
    for (;;) {
      const step = walk.stepNow(segment.end) ?? (await walk.step(segment.end))
      if (step.found === 'end') return at
      if (step.found === 'damage' || step.front.kind !== 'batch') continue
      const { front } = step
      const living = livingOwners(owners, front)
      if (living.length === 0) continue
      const draft: Draft = { ...front, details: detailsAt(step.bytes, 0, front) }
      const payload = Buffer.allocUnsafe(front.payloadLength)
      const read = await files.read(source, [payload], step.at + front.frontLength)
      // A damaged one is left as it is, with a checksum that says so: who reads it counts it.
      if (read < payload.length || crc32(payload) !== front.payloadCrc) payload.fill(0, read)
      const ownerships = living.map(({ owner, ordinal }) => ({ owner: owner.number, ordinal }))
      const place = { seq: front.seq, owners: ownerships, mark: target.mark }
      await files.write(target.file, [encodeFront(draft, place), payload], at)
      at += recordSize(draft, ownerships.length)
      const { items, payloadLength: bytes } = front
      for (const { owner, ordinal } of living) target.copied.push({ owner, ordinal, items, bytes, at: front.at })
    }
  } finally {
    await segment.release()
  }
}

function livingOwners(owners: Owners, front: RecordFront): { readonly owner: Owner; readonly ordinal: number }[] {
  const living: { owner: Owner; ordinal: number }[] = []
  for (const { owner: number, ordinal } of front.owners satisfies readonly Ownership[]) {
    const owner = owners.byNumber(number)
    if (owner !== undefined && !owner.hasEnded(ordinal)) living.push({ owner, ordinal })
  }
  return living
}
