/** Items of a batch that somebody looks at, copied while the batch stands still. */
import type { Batch } from '../core/batch.ts'
import type { Group } from '../proto/group.ts'
import { type ItemCopy, ItemCopier } from '../proto/item-copy.ts'
import type { ItemFilter } from '../proto/item-filter.ts'
import { ItemCursor } from '../proto/views.ts'
import { WireError } from '../proto/wire.ts'

/** An item, where it stands in its batch, and its copy; or why it cannot be read. */
export interface Picked {
  readonly group: number
  readonly index: number
  readonly copy: ItemCopy | WireError
}

/** So many items are looked at between two looks at the clock. */
const stride = 64

/** The first `most` items of `batch` that are wanted, of those that can be looked at until `end` (as of `performance.now()`). */
export function pick({ signal, groups }: Batch, filter: ItemFilter, most: number, end: number): Picked[] {
  const picked: Picked[] = []
  const cursor = new ItemCursor()
  let seen = 0
  for (const [g, group] of groups.entries()) {
    if (picked.length === most || performance.now() > end) break
    if (!(tried(() => filter.load(group)) ?? false)) continue
    const copy = copying(signal, group)
    eachItem(cursor, group, index => {
      if (filter.takesAll || (tried(() => filter.takes(signal, cursor)) ?? false)) {
        picked.push({ group: g, index, copy: copy(cursor) })
      }
      return picked.length < most && (++seen % stride !== 0 || performance.now() <= end)
    })
  }
  filter.clear()
  return picked
}

/** The items at the same places of another batch, which is of the same form. */
export function pickAgain({ signal, groups }: Batch, places: readonly Picked[]): Picked[] {
  const picked: Picked[] = []
  const cursor = new ItemCursor()
  for (const [g, group] of groups.entries()) {
    const mine = new Set(places.filter(one => one.group === g).map(({ index }) => index))
    if (mine.size === 0) continue
    const copy = copying(signal, group)
    eachItem(cursor, group, index => {
      if (mine.delete(index)) picked.push({ group: g, index, copy: copy(cursor) })
      return mine.size > 0
    })
  }
  return picked
}

/** Whether items at the same place of both may be one and the same. */
export const isAlike = (one: readonly Group[], other: readonly Group[]): boolean =>
  one.length === other.length && one.every((group, i) => group.items === other[i]?.items)

function copying(signal: Batch['signal'], group: Group): (cursor: ItemCursor) => ItemCopy | WireError {
  let copier: ItemCopier | undefined
  return cursor => {
    try {
      copier ??= new ItemCopier(signal, group)
      return copier.copy(cursor)
    } catch (error) {
      if (error instanceof WireError) return error
      throw error
    }
  }
}

/** Visits items as long as `visit` says so. */
function eachItem(cursor: ItemCursor, group: Group, visit: (index: number) => boolean): void {
  cursor.set(group)
  for (let index = 0; cursor.nextScope();) while (cursor.nextItem()) if (!visit(index++)) return
}

/** What cannot be read has nothing that is wanted. */
function tried<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}
