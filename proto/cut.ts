/** Cutting resource groups between items, and moving them to other buffers. */
import { besides, FIRST, GroupOut, MessageOut, MetricParts, SECOND } from './assembly.ts'
import { Group } from './group.ts'
import { metricPoints } from './points.ts'
import { Runs } from './runs.ts'
import type { Signal } from './signals.ts'
import { Cursor, fieldSize, varintSize } from './wire.ts'

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

/** Two groups with the same resource: the first `items` items, and the rest. A metric is cut between its points. */
export function cutGroup(signal: Signal, group: Group, items: number): [Group | undefined, Group | undefined] {
  if (items <= 0) return [undefined, group]
  if (items >= group.items) return [group, undefined]
  const { bytes, start, end, resource, resourceStart, resourceEnd } = group
  const hasResource = !group.untouched || group.resourceFieldEnd > group.resourceField
  const besideScopes = besides(bytes, start, end, FIRST, SECOND)
  const front = new GroupOut(resource, resourceStart, resourceEnd, besideScopes, hasResource)
  const back = new GroupOut(resource, resourceStart, resourceEnd, besideScopes, hasResource)
  const before = new Runs()
  const after = new Runs()
  front.parts.push(before)
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    cursor.end = end
    const field = cursor.at
    const tag = cursor.tag()
    if (tag !== SECOND) {
      cursor.skip(tag)
      continue
    }
    const scopeEnd = cursor.length() + cursor.at
    if (front.items < items) {
      cursor.end = scopeEnd
      const scope = cutScope(signal, bytes, cursor, items - front.items)
      front.items += scope.items
      if (scope.rest === undefined) before.add(bytes, field, scopeEnd)
      else {
        if (scope.items > 0) front.parts.push(scope.head)
        back.parts.push(scope.rest)
      }
    } else {
      // Scope groups after the cut stay as they are: looked into again for each cut, a large group that is cut into many
      // parts would take the square of their number.
      after.add(bytes, field, scopeEnd)
    }
    cursor.at = scopeEnd
  }
  back.parts.push(after)
  back.items = group.items - front.items
  return [written(front), written(back)]
}

const written = (group: GroupOut): Group => group.write(Buffer.allocUnsafeSlow(group.size), 0)

/** A scope group in two. */
interface CutScope {
  /** Items of the first part. */
  readonly items: number
  readonly head: MessageOut
  /** Undefined where all of it is in the first part. */
  readonly rest: MessageOut | undefined
}

/** Cuts the scope group between the cursor and its end after `most` items. */
function cutScope(signal: Signal, bytes: Buffer, cursor: Cursor, most: number): CutScope {
  const end = cursor.end
  const besideItems = new Runs()
  const front = new Runs()
  const back = new Runs()
  const head = new MessageOut(SECOND, besideItems, front)
  const rest = new MessageOut(SECOND, besideItems)
  let items = 0
  while (cursor.at < end) {
    cursor.end = end
    const field = cursor.at
    const tag = cursor.tag()
    if (tag !== SECOND) {
      cursor.skip(tag)
      besideItems.add(bytes, field, cursor.at)
      continue
    }
    const itemEnd = cursor.length() + cursor.at
    const start = cursor.at
    cursor.end = itemEnd
    const count = items === most ? 0 : signal === 'metrics' ? metricPoints(cursor) : 1
    if (items === most) back.add(bytes, field, itemEnd)
    else if (items + count <= most) {
      front.add(bytes, field, itemEnd)
      items += count
    } else {
      const [first, second] = new MetricParts(bytes, start, itemEnd).cut(most - items)
      head.parts.push(first)
      rest.parts.push(second)
      items = most
    }
    cursor.at = itemEnd
  }
  rest.parts.push(back)
  return { items, head, rest: rest.parts.length === 2 && back.size === 0 ? undefined : rest }
}
