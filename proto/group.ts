/**
 * One resource group (ResourceSpans, ResourceMetrics, ResourceLogs) as ranges of the bytes it was received in. Nothing
 * is decoded until it is asked for, and nothing is ever written in place: an edit makes a new group that shares what did
 * not change.
 */
import { fieldSize, putVarint } from './wire.ts'

/** Tag of a request's resource group and of a resource group's resource: field 1, length-delimited. */
const FIRST = 0x0a

/** Bytes of memory that a group takes beside its bytes, with its place in a list. */
export const groupCost = 128

/** A resource group: where it stands in its bytes, and its resource if that was replaced. */
export class Group {
  /** The bytes the group stands in. */
  readonly bytes: Buffer
  /** Where the group's own tag starts. Tag and length stand directly before `start`. */
  readonly field: number
  /** The group's content. */
  readonly start: number
  readonly end: number
  /** The resource's field with its tag; empty and at `start` when the group has none. */
  readonly resourceField: number
  readonly resourceFieldEnd: number
  /** The resource's content: in `bytes`, unless it was replaced. */
  readonly resource: Buffer
  readonly resourceStart: number
  readonly resourceEnd: number
  /** Spans, log records or data points. */
  readonly items: number

  constructor(
    bytes: Buffer,
    field: number,
    start: number,
    end: number,
    resourceField: number,
    resourceFieldEnd: number,
    resource: Buffer,
    resourceStart: number,
    resourceEnd: number,
    items: number,
  ) {
    this.bytes = bytes
    this.field = field
    this.start = start
    this.end = end
    this.resourceField = resourceField
    this.resourceFieldEnd = resourceFieldEnd
    this.resource = resource
    this.resourceStart = resourceStart
    this.resourceEnd = resourceEnd
    this.items = items
  }

  /** Whether the group is as it was received. */
  get untouched(): boolean {
    return this.resource === this.bytes
  }

  /** The same group with another resource: the content of a Resource message. */
  withResource(resource: Buffer, start = 0, end = resource.length): Group {
    return new Group(
      this.bytes,
      this.field,
      this.start,
      this.end,
      this.resourceField,
      this.resourceFieldEnd,
      resource,
      start,
      end,
      this.items,
    )
  }

  /** Bytes of the group's content when written. */
  get contentSize(): number {
    if (this.untouched) return this.end - this.start
    return (
      this.end -
      this.start -
      (this.resourceFieldEnd - this.resourceField) +
      fieldSize(this.resourceEnd - this.resourceStart)
    )
  }

  /** Bytes of the whole field, tag and length included, when written. */
  get size(): number {
    return this.untouched ? this.end - this.field : fieldSize(this.contentSize)
  }

  /** Writes the whole field at `at` and returns where it ends. */
  write(out: Buffer, at: number): number {
    const { bytes } = this
    if (this.untouched) return at + bytes.copy(out, at, this.field, this.end)
    out[at++] = FIRST
    at = putVarint(out, at, this.contentSize)
    if (this.resourceField > this.start) at += bytes.copy(out, at, this.start, this.resourceField)
    out[at++] = FIRST
    at = putVarint(out, at, this.resourceEnd - this.resourceStart)
    at += this.resource.copy(out, at, this.resourceStart, this.resourceEnd)
    if (this.resourceFieldEnd < this.end) at += bytes.copy(out, at, this.resourceFieldEnd, this.end)
    return at
  }
}

/** Bytes of these groups, one after the other: the size of the request they make. */
export function groupsSize(groups: readonly Group[]): number {
  let size = 0
  for (const group of groups) size += group.size
  return size
}

/** Writes these groups one after the other and returns where they end. Neighbours that stand untouched side by side are copied as one. */
export function writeGroups(groups: readonly Group[], out: Buffer, at: number): number {
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]
    if (!group.untouched) {
      at = group.write(out, at)
      continue
    }
    let end = group.end
    while (i + 1 < groups.length) {
      const next = groups[i + 1]
      if (next.bytes !== group.bytes || next.field !== end || !next.untouched) break
      end = next.end
      i++
    }
    at += group.bytes.copy(out, at, group.field, end)
  }
  return at
}

/** A request of these groups, in a buffer of its own (from `allocate`) with `headroom` bytes left free in front. */
export function encodeGroups(
  groups: readonly Group[],
  headroom = 0,
  allocate: (size: number) => Buffer = Buffer.allocUnsafeSlow,
): Buffer {
  const out = allocate(headroom + groupsSize(groups))
  const end = writeGroups(groups, out, headroom)
  if (end !== out.length) throw new RangeError(`groups took ${end} bytes of ${out.length}`)
  return out
}
