/**
 * Records as they stand in a segment, little-endian, each at a multiple of 8:
 *
 *    0  u32  magic                      36  u32  items
 *    4  8    nonce of the segment       40  f64  seq
 *   12  u32  CRC-32 of the front        48  f64  at: milliseconds since the epoch
 *   16  u8   kind: 1 batch, 2 snapshot  56  u32  number of the segment
 *   17  u8   signal                     60  u32  bytes of the context
 *   18  u16  owners                     64  owners: u32 number, f64 ordinal each
 *   20  u32  bytes of the front             then the context and the rest of the front, as JSON
 *   24  u32  bytes of the payload
 *   28  u32  CRC-32 of the payload
 *   32  u32  bytes to the next record
 *
 * The highest bit of the kind is set in the first record of a group, of what was written at once. The front is all of
 * this; its checksum is of what follows it. The payload comes directly after.
 */
import { crc32 } from 'node:zlib'
import type { Context } from '../../core/context.ts'
import type { Note } from '../../core/storage.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'

const MAGIC = 0x314d594b
const FIXED = 64
const PER_OWNER = 12
/** Of the kind: the record is the first of its group. */
const FIRST = 0x80
/** Where the checksum of the front stands, and from where on it counts. */
const CRC = 12
const CHECKED = 16

/** Length of a segment's nonce. */
export const nonceSize = 8
/** Records start at multiples of this. */
export const alignment = 8
/** Groups of records end at multiples of this, so that what was synced is never written again. */
export const blockSize = 4096
/** No front is longer. */
export const mostFront = 16 * 1024 * 1024
/** What must be read to know how long a front is. */
export const leastFront = FIXED

const kinds = ['batch', 'snapshot'] as const
export type RecordKind = (typeof kinds)[number]

/** One owner of a record, and the how-manieth of its records this is. */
export interface Ownership {
  readonly owner: number
  readonly ordinal: number
}

/** What says in a record whose it is and where it stands. */
export interface RecordFront {
  readonly kind: RecordKind
  /** It is the first of what was written at once. */
  readonly isFirst: boolean
  readonly signal: Signal
  readonly seq: number
  readonly at: number
  readonly items: number
  readonly owners: readonly Ownership[]
  readonly frontLength: number
  readonly payloadLength: number
  readonly payloadCrc: number
  /** Bytes from this record to the next. */
  readonly span: number
}

/** What marks records as belonging to one segment as it was written last. */
export interface SegmentMark {
  readonly nonce: Buffer
  readonly segment: number
}

/** The part of a front that is kept as text: made when the record is appended, before its place is known. */
export interface Details {
  readonly context: string
  readonly rest: string
}

/** What is known of a record before its place is. */
export interface Draft {
  readonly kind: RecordKind
  readonly signal: Signal
  readonly at: number
  readonly items: number
  readonly details: Details
  readonly payloadLength: number
  readonly payloadCrc: number
}

const alignedTo = (n: number, to: number): number => Math.ceil(n / to) * to

/** The first multiple of 8 that is not below `n`. */
export const aligned = (n: number): number => alignedTo(n, alignment)
/** The first end of a block that is not below `n`. */
export const blockEnd = (n: number): number => alignedTo(n, blockSize)

/** Bytes of a record with its payload, so that the next one is aligned. */
export function recordSize(draft: Draft, owners: number): number {
  const { context, rest } = draft.details
  return aligned(
    FIXED + PER_OWNER * owners + Buffer.byteLength(context) + Buffer.byteLength(rest) + draft.payloadLength,
  )
}

/** The front of a record. It is as long as it takes for the payload's end to be aligned; `padding` bytes follow that. */
export function encodeFront(
  draft: Draft,
  place: {
    readonly seq: number
    readonly owners: readonly Ownership[]
    readonly mark: SegmentMark
    readonly isFirst?: boolean
  },
  padding = 0,
): Buffer {
  const { details, payloadLength } = draft
  const { seq, owners, mark, isFirst = false } = place
  const contextLength = Buffer.byteLength(details.context)
  const text = FIXED + PER_OWNER * owners.length
  const used = text + contextLength + Buffer.byteLength(details.rest)
  const length = aligned(used + payloadLength) - payloadLength
  const out = Buffer.allocUnsafe(length)
  out.writeUInt32LE(MAGIC, 0)
  mark.nonce.copy(out, 4)
  out[16] = (kinds.indexOf(draft.kind) + 1) | (isFirst ? FIRST : 0)
  out[17] = allSignals.indexOf(draft.signal)
  out.writeUInt16LE(owners.length, 18)
  out.writeUInt32LE(length, 20)
  out.writeUInt32LE(payloadLength, 24)
  out.writeUInt32LE(draft.payloadCrc, 28)
  out.writeUInt32LE(length + payloadLength + padding, 32)
  out.writeUInt32LE(draft.items, 36)
  out.writeDoubleLE(seq, 40)
  out.writeDoubleLE(draft.at, 48)
  out.writeUInt32LE(mark.segment, 56)
  out.writeUInt32LE(contextLength, 60)
  let at = FIXED
  for (const { owner, ordinal } of owners) {
    out.writeUInt32LE(owner, at)
    out.writeDoubleLE(ordinal, at + 4)
    at += PER_OWNER
  }
  at += out.write(details.context, at)
  at += out.write(details.rest, at)
  // Blanks at the end of JSON mean nothing.
  out.fill(0x20, at)
  out.writeUInt32LE(crc32(out.subarray(CHECKED)), CRC)
  return out
}

/** Bytes of the front at `at`, if its first bytes look like one of this segment. Its checksum is not asked. */
export function frontLengthAt(bytes: Buffer, at: number, mark: SegmentMark): number | undefined {
  if (at + FIXED > bytes.length || bytes.readUInt32LE(at) !== MAGIC) return undefined
  if (mark.nonce.compare(bytes, at + 4, at + 4 + nonceSize) !== 0 || bytes.readUInt32LE(at + 56) !== mark.segment)
    return undefined
  const length = bytes.readUInt32LE(at + 20)
  const texts = FIXED + PER_OWNER * bytes.readUInt16LE(at + 18) + bytes.readUInt32LE(at + 60)
  return length > mostFront || length < texts ? undefined : length
}

/** The front of the record at `at`, of which all bytes must be there; undefined when its checksum is wrong. */
export function decodeFront(bytes: Buffer, at: number, mark: SegmentMark): RecordFront | undefined {
  const frontLength = frontLengthAt(bytes, at, mark)
  if (frontLength === undefined || at + frontLength > bytes.length) return undefined
  if (crc32(bytes.subarray(at + CHECKED, at + frontLength)) !== bytes.readUInt32LE(at + CRC)) return undefined
  const kind = kinds[(bytes.readUInt8(at + 16) & ~FIRST) - 1]
  const signal = allSignals[bytes.readUInt8(at + 17)]
  if (kind === undefined || signal === undefined) return undefined
  const payloadLength = bytes.readUInt32LE(at + 24)
  const span = bytes.readUInt32LE(at + 32)
  if (span < frontLength + payloadLength || span % alignment !== 0) return undefined
  const owners: Ownership[] = []
  const count = bytes.readUInt16LE(at + 18)
  for (let i = 0, from = at + FIXED; i < count; i++, from += PER_OWNER) {
    owners.push({ owner: bytes.readUInt32LE(from), ordinal: bytes.readDoubleLE(from + 4) })
  }
  return {
    kind,
    isFirst: (bytes.readUInt8(at + 16) & FIRST) !== 0,
    signal,
    seq: bytes.readDoubleLE(at + 40),
    at: bytes.readDoubleLE(at + 48),
    items: bytes.readUInt32LE(at + 36),
    owners,
    frontLength,
    payloadLength,
    payloadCrc: bytes.readUInt32LE(at + 28),
    span,
  }
}

/** The texts of a front that `decodeFront` took. */
export function detailsAt(bytes: Buffer, at: number, front: RecordFront): Details {
  const from = at + FIXED + PER_OWNER * front.owners.length
  const to = from + bytes.readUInt32LE(at + 60)
  return { context: bytes.toString('utf8', from, to), rest: bytes.toString('utf8', to, at + front.frontLength) }
}

/** Where the next record of a segment may start, from `from` on: where its magic and nonce stand. */
export function findRecord(bytes: Buffer, from: number, mark: SegmentMark): number | undefined {
  const needle = Buffer.alloc(4 + nonceSize)
  needle.writeUInt32LE(MAGIC)
  mark.nonce.copy(needle, 4)
  const found = bytes.indexOf(needle, from)
  return found < 0 ? undefined : found
}

/** What a batch's front says beside the numbers. */
export interface Meta {
  readonly shares: readonly { readonly items: number; readonly groups: number }[]
  readonly note: Note | undefined
}

/** The text of a batch's shares and note. */
export function encodeMeta(meta: Meta): string {
  const shares: number[] = []
  for (const { items, groups } of meta.shares) shares.push(items, groups)
  return JSON.stringify(meta.note === undefined ? [shares] : [shares, meta.note])
}

/** The shares and note of a text that `encodeMeta` made. */
export function decodeMeta(text: string): Meta {
  const [flat, note] = JSON.parse(text) as [number[], Note | undefined]
  const shares: { items: number; groups: number }[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const [items, groups] = flat.slice(i, i + 2)
    if (items !== undefined && groups !== undefined) shares.push({ items, groups })
  }
  return { shares, note }
}

/** The text of a context. */
export function encodeContext({ receiver, transport, peer, metadata, auth }: Context): string {
  return JSON.stringify([receiver, transport, peer ?? null, metadata && [...metadata], auth && [...auth]])
}

/** The context of a text that `encodeContext` made. */
export function decodeContext(text: string): Context {
  const [receiver, transport, peer, metadata, auth] = JSON.parse(text) as [
    string,
    string,
    string | null,
    [string, string[]][] | null,
    [string, string][] | null,
  ]
  return {
    receiver,
    transport,
    peer: peer ?? undefined,
    metadata: metadata === null ? undefined : new Map(metadata),
    auth: auth === null ? undefined : new Map(auth),
  }
}
