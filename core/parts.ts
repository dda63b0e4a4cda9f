/** Parts of a batch that go different ways, and what is left when some of them are done. */
import type { Group } from '../proto/group.ts'
import { Batch } from './batch.ts'
import { InternalError } from './errors.ts'
import type { Share } from './share.ts'

/** A share that grows. */
type Growing = { -readonly [Key in keyof Share]: Share[Key] }

/** A part while it is gathered. `last` is the last of its shares, and `of` the request that it is of. */
interface Gathering {
  readonly groups: Group[]
  readonly shares: Growing[]
  items: number
  of: Share | undefined
  last: Growing | undefined
}

/**
 * Parts a batch by group: a batch for each key that `keyOf` gives, in the order of their first groups. Groups without items
 * are in none. Where all have one key the part is the batch itself.
 */
export function partsOf<Key>(batch: Batch, keyOf: (group: Group) => Key): Map<Key, Batch> {
  const gathered = new Map<Key, Gathering>()
  let at = 0
  for (const share of batch.shares) {
    for (const group of batch.groups.slice(at, at + share.groups)) {
      if (group.items > 0) add(gatheringOf(gathered, keyOf(group)), group, share)
    }
    at += share.groups
  }
  const parts = new Map<Key, Batch>()
  for (const [key, part] of gathered) {
    parts.set(
      key,
      gathered.size === 1 ? batch : new Batch(batch.signal, part.groups, part.items, batch.context, part.shares),
    )
  }
  return parts
}

function gatheringOf<Key>(gathered: Map<Key, Gathering>, key: Key): Gathering {
  let part = gathered.get(key)
  if (part === undefined)
    gathered.set(key, (part = { groups: [], shares: [], items: 0, of: undefined, last: undefined }))
  return part
}

function add(part: Gathering, group: Group, share: Share): void {
  let { last } = part
  if (last === undefined || part.of !== share) {
    last = { ...share, items: 0, groups: 0 }
    part.shares.push(last)
    part.last = last
    part.of = share
  }
  last.items += group.items
  last.groups++
  part.items += group.items
  part.groups.push(group)
}

/**
 * What is left of a batch without `part`, whose groups are groups of it; a batch of nothing where nothing is.
 * @throws InternalError when they are not
 */
export function without(batch: Batch, part: Batch): Batch {
  const gone = new Set(part.groups)
  const [rest] = part === batch ? [] : batch.partition(group => !gone.has(group))
  if (batch.items - (rest?.items ?? 0) !== part.items) {
    throw new InternalError(`${part.items} items were said to be a part of a batch of ${batch.items}, and are not`)
  }
  return rest ?? new Batch(batch.signal, [], 0, batch.context, [])
}
