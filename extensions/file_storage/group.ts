/** Records that are written at once. */
import type { StorageError } from '../../core/storage.ts'
import type { Owner } from './owners.ts'
import type { Payload } from './payload.ts'
import type { Place } from './place.ts'
import { blockEnd, blockSize, type Draft, encodeFront, type Ownership, recordSize } from './record.ts'
import { encodeHeader, type HeaderFacts, type Segment } from './segment.ts'

/** A group is no larger than this, unless one record is: its copy into the kernel takes time. */
const mostBytes = 8 * 1024 * 1024
const mostSlices = 1000

/** Who waits for a record, for one of its owners. */
export interface Waiter {
  readonly owner: Owner
  readonly resolve: (place: Place) => void
  readonly reject: (error: StorageError) => void
}

/** A record that waits to be written. */
export interface Pending {
  readonly draft: Draft
  readonly payload: Payload
  readonly waiters: Waiter[]
  /** It is on its way, or given up: nobody more can wait for it. */
  isClosed: boolean
}

/** What is written at once. */
export interface Group {
  readonly buffers: readonly Buffer[]
  readonly records: readonly Pending[]
  /** Where each record will stand, for each of those who wait for it. */
  readonly places: readonly { readonly waiter: Waiter; readonly place: Place }[]
  /** Where the group ends in its segment. */
  readonly end: number
  /** The seq after its last. */
  readonly seq: number
  /** Version of the owners' state that a snapshot in it has. */
  readonly version: number | undefined
}

/** What a group is made of. */
export interface Parts {
  readonly segment: Segment
  /** Of a segment that is new. */
  readonly header: HeaderFacts | undefined
  readonly seq: number
  readonly snapshot: { readonly draft: Draft; readonly version: number } | undefined
  readonly waiting: readonly Pending[]
  /** The group must end here or before. */
  readonly limit: number
}

const zeros = Buffer.alloc(blockSize)

/** The group of as many records as find room; it begins where its segment ends. */
export function assemble({ segment, header, seq: firstSeq, snapshot, waiting, limit }: Parts): Group {
  const { mark } = segment
  const buffers: Buffer[] = []
  if (header !== undefined) buffers.push(encodeHeader(mark, header))
  let at = segment.end
  let seq = firstSeq
  const put = (draft: Draft, owners: readonly Ownership[], slices: readonly Buffer[], isLast: boolean) => {
    const size = recordSize(draft, owners.length)
    const padding = isLast ? blockEnd(at + size) - at - size : 0
    buffers.push(encodeFront(draft, { seq, owners, mark, isFirst: at === segment.end }, padding))
    for (const slice of slices) buffers.push(slice)
    if (padding > 0) buffers.push(zeros.subarray(0, padding))
    at += size + padding
  }
  if (snapshot !== undefined) put(snapshot.draft, [], [], waiting.length === 0)
  const records = waiting.slice(0, fitting(waiting, at, limit))
  const ordinals = new Map<Owner, number>()
  const places: { waiter: Waiter; place: Place }[] = []
  for (const [i, pending] of records.entries()) {
    const { draft, payload, waiters } = pending
    pending.isClosed = true
    const numbered = waiters.map(waiter => {
      const ordinal = (ordinals.get(waiter.owner) ?? waiter.owner.last) + 1
      ordinals.set(waiter.owner, ordinal)
      return { waiter, ordinal }
    })
    const ownerships = numbered.map(({ waiter, ordinal }) => ({ owner: waiter.owner.number, ordinal }))
    put(draft, ownerships, payload.slices, i === records.length - 1)
    const { items, payloadLength: bytes } = draft
    const place = { seq, items, bytes, at: draft.at, segment: mark.segment, next: at }
    for (const { waiter, ordinal } of numbered) places.push({ waiter, place: { ...place, ordinal } })
    seq++
  }
  return { buffers, records, places, end: at, seq, version: snapshot?.version }
}

/** How many of what waits go into one group that starts at `from`. */
function fitting(waiting: readonly Pending[], from: number, limit: number): number {
  let at = from
  let slices = 0
  for (const [i, { draft, payload, waiters }] of waiting.entries()) {
    at += recordSize(draft, waiters.length)
    slices += payload.slices.length + 1
    if (blockEnd(at) > limit) return i
    if (i > 0 && (at - from > mostBytes || slices > mostSlices)) return i
  }
  return waiting.length
}
