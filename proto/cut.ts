/** Cutting resource groups between items, and moving them to other buffers. */
import { Group } from './group.ts'
import { metricPoints } from './points.ts'
import type { Signal } from './signals.ts'
import { Cursor, fieldSize, putVarint, varintSize } from './wire.ts'

/** The same groups where `encodeGroups` wrote them in `bytes`, from `at` on. */
export function moveGroups(groups: readonly Group[], bytes: Buffer, at = 0): Group[] {
  return groups.map(group => {
    const field = at
    const size = group.contentSize
    // An untouched group is copied with the tag and length it came with, which may be longer than they need be.
    const start = field + (group.untouched ? group.start - group.field : 1 + varintSize(size))
    at = start + size
    const resourceField = start + (group.resourceField - group.start)
    const length = group.resourceEnd - group.resourceStart
    if (group.untouched && group.resourceField === group.resourceFieldEnd) {
      return new Group(bytes, field, start, at, start, start, bytes, start, start, group.items)
    }
    const fieldEnd = group.untouched
      ? resourceField + (group.resourceFieldEnd - group.resourceField)
      : resourceField + fieldSize(length)
    return new Group(bytes, field, start, at, resourceField, fieldEnd, bytes, fieldEnd - length, fieldEnd, group.items)
  })
}

/** A run of the group's bytes that goes to one side of a cut: a field, or a part of a scope group. */
interface Side {
  items: number
  size: number
  /** Pairs of offsets into the group's bytes. */
  runs: number[]
}

/**
 * Two groups with the same resource: the first `items` items, and the rest. A metric is not cut; it goes to the first
 * part when that holds fewer than `items` points.
 */
export function cutGroup(signal: Signal, group: Group, items: number): [Group | undefined, Group | undefined] {
  const cursor = new Cursor(group.bytes, group.start, group.end)
  const head: Buffer[] = []
  const rest: Buffer[] = []
  let headItems = 0
  // Scope groups after the cut stay as they are and where they are: looked into again for each cut, a large group that is
  // cut into many parts would take the square of their number.
  let from = -1
  let to = -1
  const keep = (start: number, end: number): void => {
    if (to !== start || start < 0) {
      if (from >= 0) rest.push(group.bytes.subarray(from, to))
      from = start
    }
    to = end
  }
  while (cursor.at < group.end) {
    cursor.end = group.end
    const field = cursor.at
    const tag = cursor.tag()
    if (tag !== 0x12) {
      cursor.skip(tag)
      if (tag === 0x0a) continue
      // Schema URL and whatever is not known belong to both.
      head.push(group.bytes.subarray(field, cursor.at))
      keep(field, cursor.at)
      continue
    }
    const end = cursor.length() + cursor.at
    if (headItems >= items) {
      keep(field, end)
      cursor.at = end
      continue
    }
    cursor.end = end
    const [front, back] = cutScope(signal, cursor, items - headItems)
    headItems += front.items
    if (front.items > 0) head.push(scopeBytes(group.bytes, front))
    if (back.items > 0) {
      keep(-1, -1)
      rest.push(scopeBytes(group.bytes, back))
    }
    cursor.at = end
  }
  keep(-1, -1)
  const restItems = group.items - headItems
  return [
    headItems === 0 ? undefined : restItems === 0 ? group : assemble(group, head, headItems),
    restItems === 0 ? undefined : headItems === 0 ? group : assemble(group, rest, restItems),
  ]
}

function cutScope(signal: Signal, cursor: Cursor, items: number): [Side, Side] {
  const end = cursor.end
  const front: Side = { items: 0, size: 0, runs: [] }
  const back: Side = { items: 0, size: 0, runs: [] }
  const put = (side: Side, from: number, to: number): void => {
    side.size += to - from
    if (side.runs.length > 0 && side.runs[side.runs.length - 1] === from) side.runs[side.runs.length - 1] = to
    else side.runs.push(from, to)
  }
  while (cursor.at < end) {
    cursor.end = end
    const field = cursor.at
    const tag = cursor.tag()
    if (tag !== 0x12) {
      cursor.skip(tag)
      put(front, field, cursor.at)
      put(back, field, cursor.at)
      continue
    }
    const itemEnd = cursor.length() + cursor.at
    cursor.end = itemEnd
    const count = signal === 'metrics' ? metricPoints(cursor) : 1
    const side = front.items < items ? front : back
    put(side, field, itemEnd)
    side.items += count
    cursor.at = itemEnd
  }
  return [front, back]
}

/** A scope group's whole field. */
function scopeBytes(bytes: Buffer, side: Side): Buffer {
  const out = Buffer.allocUnsafe(fieldSize(side.size))
  out[0] = 0x12
  let at = putVarint(out, 1, side.size)
  for (let i = 0; i < side.runs.length; i += 2) at += bytes.copy(out, at, side.runs[i], side.runs[i + 1])
  return out
}

/** A group of its own from the resource of `group` and these fields. */
function assemble(group: Group, fields: readonly Buffer[], items: number): Group {
  const length = group.resourceEnd - group.resourceStart
  const hasResource = !group.untouched || group.resourceFieldEnd > group.resourceField
  let size = hasResource ? fieldSize(length) : 0
  for (const field of fields) size += field.length
  const out = Buffer.allocUnsafeSlow(fieldSize(size))
  out[0] = 0x0a
  const start = putVarint(out, 1, size)
  let at = start
  if (hasResource) {
    out[at++] = 0x0a
    at = putVarint(out, at, length)
    at += group.resource.copy(out, at, group.resourceStart, group.resourceEnd)
  }
  const resourceEnd = at
  for (const field of fields) at += field.copy(out, at)
  return new Group(
    out,
    0,
    start,
    at,
    start,
    resourceEnd,
    out,
    resourceEnd - (hasResource ? length : 0),
    resourceEnd,
    items,
  )
}
