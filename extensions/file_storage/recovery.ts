/** Finds out what a directory holds, in one sequential pass with flat memory. */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { FileHandle, FileOperations } from './files.ts'
import { Owner, Owners } from './owners.ts'
import { blockEnd, detailsAt, type RecordFront } from './record.ts'
import { decodeHeader, firstRecord, type Header, Segment, segmentNumber } from './segment.ts'
import { Walk, Window } from './walk.ts'

/** Bytes read at once. */
const chunk = 1024 * 1024

/** Something that was found damaged. */
export interface Finding {
  /** `unsynced`: can be read, but the disk does not say that it has it. */
  readonly kind: 'torn' | 'corrupt' | 'unsynced'
  readonly path: string
  readonly at: number
  /** How many bytes were passed over, where that is known. */
  readonly bytes: number
  /** How many records were lost, where that is known. */
  readonly records: number
}

export interface RecoveryTerms {
  readonly directory: string
  readonly files: FileOperations
  readonly segmentSize: number
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Off: nothing is synced. */
  readonly fsync: boolean
  /** Changes nothing. */
  readonly readOnly: boolean
  onFinding(finding: Finding): void
}

/** What a directory holds. */
export interface Recovered {
  readonly owners: Owners
  readonly segments: Segment[]
  readonly spare: { readonly number: number; readonly path: string; readonly size: number } | undefined
  readonly nextNumber: number
  readonly nextSeq: number
}

interface Found {
  readonly segment: Segment
  readonly header: Header
  /** Whether `segment.end` was written down somewhere, or is just the end of the file. */
  isEndKnown: boolean
}

/** Something that cannot be read, and is either damaged or was never written to the end. */
interface Suspect {
  readonly at: number
  readonly bytes: number
  readonly records: number
  /** What is known of it. */
  readonly front?: RecordFront
}

/** What cannot be read, until it is known what that means. */
class Suspects {
  #list: Suspect[] = []
  readonly #onVerdict: (kind: 'torn' | 'corrupt', suspect: Suspect) => void

  constructor(onVerdict: (kind: 'torn' | 'corrupt', suspect: Suspect) => void) {
    this.#onVerdict = onVerdict
  }

  add(suspect: Suspect): void {
    this.#list.push(suspect)
  }

  /** So many records are missing in front of the one that comes now. */
  gap(records: number): void {
    const last = this.#list.at(-1)
    if (last !== undefined && last.front === undefined) this.#list[this.#list.length - 1] = { ...last, records }
  }

  tell(kind: 'torn' | 'corrupt'): void {
    for (const suspect of this.#list.splice(0)) this.#onVerdict(kind, suspect)
  }
}

/** Position of a snapshot. */
interface Snapshot {
  readonly index: number
  readonly at: number
  readonly text: string
}

/** Reads the directory. */
export async function recover(terms: RecoveryTerms): Promise<Recovered> {
  const { found, unused, nextNumber } = await findSegments(terms)
  const spare = await sortOut(terms, unused)
  const snapshot = await lastSnapshot(terms, found)
  const owners = new Owners()
  if (snapshot !== undefined) for (const state of Owners.read(snapshot.text)) owners.put(new Owner(state))
  const scan = new Scan(terms, owners, snapshot)
  for (const [i, one] of found.entries()) await scan.segment(one, i, i === found.length - 1)
  scan.settle()
  const segments = found.map(one => one.segment)
  return { owners, segments, spare, nextNumber, nextSeq: scan.nextSeq }
}

/** The segments that were begun, in order, and the files that were not. */
async function findSegments(
  terms: RecoveryTerms,
): Promise<{ found: Found[]; unused: { path: string; number: number; size: number }[]; nextNumber: number }> {
  const { directory, files } = terms
  const all: Found[] = []
  const unused: { path: string; number: number; size: number }[] = []
  let nextNumber = 1
  for (const name of await files.list(directory)) {
    const number = segmentNumber(name)
    if (number === undefined) continue
    nextNumber = Math.max(nextNumber, number + 1)
    const path = join(directory, name)
    const file = await files.open(path, 'read')
    try {
      const size = await files.size(file)
      const header = await headerOf(files, file, number)
      if (header === undefined) unused.push({ path, number, size })
      else {
        const { mark, firstSeq } = header
        const segment = new Segment(files, { mark, path, firstSeq, size, end: size })
        segment.sealed = true
        // A merged one was complete before it counted.
        all.push({ segment, header, isEndKnown: header.replaces.length > 0 })
        for (const other of [...header.ends.map(([n]) => n), ...header.replaces])
          nextNumber = Math.max(nextNumber, other + 1)
      }
    } finally {
      await files.close(file)
    }
  }
  all.sort((a, b) => a.segment.firstSeq - b.segment.firstSeq || a.segment.number - b.segment.number)
  const replaced = new Set(all.flatMap(({ header }) => header.replaces))
  const found = all.filter(({ segment }) => !replaced.has(segment.number))
  for (const { segment } of all) {
    if (replaced.has(segment.number)) unused.push({ path: segment.path, number: segment.number, size: -1 })
  }
  limitEnds(found)
  return { found, unused, nextNumber }
}

/** Later segments know where earlier ones ended. */
function limitEnds(found: readonly Found[]): void {
  for (const [i, { header }] of found.entries()) {
    for (const [number, end, isRagged] of header.ends) {
      const earlier = found.slice(0, i).find(({ segment }) => segment.number === number)
      if (earlier === undefined) continue
      earlier.segment.end = Math.min(earlier.segment.end, Math.max(end, firstRecord))
      earlier.isEndKnown = true
      if (isRagged === 1) earlier.segment.ragged = true
    }
  }
}

async function headerOf(files: FileOperations, file: FileHandle, number: number): Promise<Header | undefined> {
  const block = Buffer.alloc(firstRecord)
  const read = await files.read(file, [block], 0)
  const header = decodeHeader(block.subarray(0, read))
  return header?.mark.segment === number ? header : undefined
}

/** One of the unused files becomes the spare, the others go. */
async function sortOut(
  { files, segmentSize, readOnly }: RecoveryTerms,
  unused: readonly { path: string; number: number; size: number }[],
): Promise<Recovered['spare']> {
  let spare: Recovered['spare']
  for (const one of unused) {
    if (spare === undefined && one.size === segmentSize) spare = one
    else if (!readOnly) await files.unlink(one.path)
  }
  return spare
}

/** The last snapshot of the directory: the first one looked for is in the last segment. */
async function lastSnapshot({ files }: RecoveryTerms, found: readonly Found[]): Promise<Snapshot | undefined> {
  for (const [index, { segment }] of [...found.entries()].toReversed()) {
    const file = await segment.use()
    try {
      let last: Snapshot | undefined
      const walk = new Walk(new Window(files, file), segment.mark, firstRecord, chunk)
      for (;;) {
        const step = walk.stepNow(segment.end) ?? (await walk.step(segment.end))
        if (step.found === 'end') break
        if (step.found === 'record' && step.front.kind === 'snapshot') {
          last = { index, at: step.at, text: detailsAt(step.bytes, 0, step.front).rest }
        }
      }
      if (last !== undefined) return last
    } finally {
      await segment.release()
    }
  }
  return undefined
}

/** Counts what has not ended. */
class Scan {
  nextSeq = 1
  readonly #terms: RecoveryTerms
  readonly #owners: Owners
  readonly #snapshot: Snapshot | undefined
  /** The last ordinal of each owner that was come upon. */
  readonly #seen = new Map<number, number>()

  constructor(terms: RecoveryTerms, owners: Owners, snapshot: Snapshot | undefined) {
    this.#terms = terms
    this.#owners = owners
    this.#snapshot = snapshot
  }

  async segment(found: Found, index: number, isLast: boolean): Promise<void> {
    const { segment, isEndKnown } = found
    this.nextSeq = Math.max(this.nextSeq, segment.firstSeq)
    const file = await segment.use()
    try {
      const walk = new Walk(new Window(this.#terms.files, file), segment.mark, firstRecord, chunk)
      const good = await this.#walkThrough(found, index, isLast ? file : undefined, walk)
      if (!isEndKnown) {
        segment.end = blockEnd(good)
        segment.ragged = true
      }
    } finally {
      await segment.release()
    }
    if (segment.ragged && !this.#terms.readOnly) await this.#finish(segment)
  }

  /** Counts the records of a segment, with their checksums if `whole` is its file; where the last good one ends. */
  async #walkThrough(found: Found, index: number, whole: FileHandle | undefined, walk: Walk): Promise<number> {
    const { segment, header, isEndKnown } = found
    const suspects = new Suspects((kind, { at, bytes, records, front }) => {
      this.#terms.onFinding({ kind, path: segment.path, at, bytes, records })
      // What was appended for sure is in the books, though it is lost.
      if (kind === 'corrupt' && front !== undefined) this.#mourn(front, index, at)
    })
    let lastSeq = segment.firstSeq - 1
    let good = firstRecord
    for (;;) {
      const step = walk.stepNow(segment.end) ?? (await walk.step(segment.end))
      if (step.found === 'end') {
        const bytes = isEndKnown ? segment.end - step.at : 0
        if (step.torn || bytes > 0) suspects.add({ at: step.at, bytes, records: 0 })
        suspects.tell(isEndKnown ? 'corrupt' : 'torn')
        return good
      }
      if (step.found === 'damage') {
        suspects.add({ at: step.at, bytes: step.bytes, records: 0 })
        continue
      }
      const { at, front } = step
      if (header.replaces.length === 0) suspects.gap(Math.max(0, front.seq - lastSeq - 1))
      // Only the last group that was written may be torn.
      if (front.isFirst) suspects.tell('corrupt')
      const isBatch = front.kind === 'batch'
      this.nextSeq = Math.max(this.nextSeq, front.seq + (isBatch ? 1 : 0))
      const isWhole =
        !isBatch || whole === undefined || (await this.#isWhole(walk, whole, at + front.frontLength, front))
      if (isWhole) good = walk.at
      else suspects.add({ at, bytes: front.span, records: 1, front })
      if (!isBatch) continue
      lastSeq = front.seq
      this.#count(segment, front, index, at, isWhole)
    }
  }

  /**
   * Cuts off what stands behind the last record that counts. What was read may be in memory only, if the process before
   * died in the middle of a write: from here on it counts, so it is made sure.
   */
  async #finish(segment: Segment): Promise<void> {
    const { files, fsync } = this.#terms
    const file = await segment.use('write')
    try {
      if (segment.end < segment.size) await files.truncate(file, segment.end)
      segment.size = Math.min(segment.size, segment.end)
      if (fsync) await files.sync(file)
      segment.ragged = false
    } catch {
      this.#terms.onFinding({ kind: 'unsynced', path: segment.path, at: firstRecord, bytes: segment.end, records: 0 })
    } finally {
      await segment.release()
    }
  }

  async #isWhole(walk: Walk, file: FileHandle, start: number, front: RecordFront): Promise<boolean> {
    const { payloadLength, payloadCrc } = front
    const here = walk.window.at(start)
    if (here.length >= payloadLength) return crc32(here.subarray(0, payloadLength)) === payloadCrc
    let crc = 0
    const room = Buffer.allocUnsafe(Math.min(chunk, payloadLength))
    for (let done = 0; done < payloadLength;) {
      const part = room.subarray(0, Math.min(room.length, payloadLength - done))
      const read = await this.#terms.files.read(file, [part], start + done)
      if (read === 0) return false
      crc = crc32(part.subarray(0, read), crc)
      done += read
    }
    return crc === payloadCrc
  }

  /** Whether the last snapshot does not know of what stands there. */
  #isNew(index: number, at: number): boolean {
    const snapshot = this.#snapshot
    return snapshot === undefined || index > snapshot.index || (index === snapshot.index && at > snapshot.at)
  }

  #mourn(front: RecordFront, index: number, at: number): void {
    if (!this.#isNew(index, at)) return
    for (const { owner } of front.owners) this.#owners.byNumber(owner)?.appended(front.items)
  }

  #count(segment: Segment, front: RecordFront, index: number, at: number, isWhole: boolean): void {
    const { items, payloadLength: bytes } = front
    const isNew = this.#isNew(index, at)
    for (const { owner: number, ordinal } of front.owners) {
      let owner = this.#owners.byNumber(number)
      if (owner === undefined) {
        owner = new Owner({ number, name: `unknown/${number}` })
        this.#owners.put(owner)
      }
      const seen = this.#seen.get(number) ?? 0
      if (ordinal <= seen) continue
      owner.gone(seen + 1, isWhole ? ordinal - 1 : ordinal)
      this.#seen.set(number, ordinal)
      owner.last = Math.max(owner.last, ordinal)
      if (!isWhole) continue
      if (isNew) owner.appended(items)
      if (owner.hasEnded(ordinal)) continue
      const counted = { ordinal, items, bytes, at: Math.min(front.at, this.#terms.now) }
      owner.count(counted)
      segment.count(number, counted)
    }
  }

  /** Makes the owners' books agree with what was found. */
  settle(): void {
    for (const owner of this.#owners) {
      owner.gone((this.#seen.get(owner.number) ?? 0) + 1, owner.last)
      owner.settle()
      owner.recovered = owner.items
    }
  }
}
