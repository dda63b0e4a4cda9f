/** A batch parted by a key of its items. */
import { type Group, groupCost } from '../proto/group.ts'
import { type KeyOf, Split } from '../proto/split.ts'
import { Batch } from './batch.ts'
import type { Budget } from './budget.ts'
import { Lease } from './lease.ts'
import type { Share } from './share.ts'

/** Parts that together are what the batch was. */
export interface SplitBatch {
  readonly parts: ReadonlyMap<string, Batch>
  /** Items whose key could not be read. */
  readonly malformed: Batch | undefined
}

/** One part, while it is put together. */
interface Gathering {
  readonly groups: Group[]
  readonly shares: Share[]
  items: number
}

/**
 * Parts `batch` by the key of each item, into one buffer of their own, which is charged before it is made; undefined where
 * there is no room for it. Where all have one key, the part is the batch itself.
 */
export function splitBatch(batch: Batch, keyOf: KeyOf, budget: Budget): SplitBatch | undefined {
  let at = 0
  const splits = batch.shares.map(share => {
    const groups = batch.groups.slice(at, at + share.groups)
    at += share.groups
    return { share, split: new Split(batch.signal, groups, keyOf) }
  })
  const keys = new Set(splits.flatMap(({ split }) => [...split.keys]))
  const [key] = keys
  if (key !== undefined && keys.size === 1 && splits.every(({ split }) => split.malformed.length === 0)) {
    return { parts: new Map([[key, batch]]), malformed: undefined }
  }
  const size = splits.reduce((sum, { split }) => sum + split.size, 0)
  const cost = size + batch.groups.length * groupCost
  if (!budget.tryCharge(cost)) return undefined
  const buffer = Buffer.allocUnsafeSlow(size)
  const lease = new Lease(budget, cost, batch.items)
  const parts = new Map<string, Gathering>()
  const malformed: Gathering = { groups: [], shares: [], items: 0 }
  let written = 0
  for (const { share, split } of splits) {
    const result = split.write(buffer.subarray(written, written + split.size))
    written += split.size
    for (const [key, groups] of result.parts) add(gatheringOf(parts, key), groups, share, lease)
    add(malformed, result.malformed, share, lease)
    share.lease.release(share.items)
  }
  const batchOf = ({ groups, items, shares }: Gathering): Batch =>
    new Batch(batch.signal, groups, items, batch.context, shares)
  return {
    parts: new Map([...parts].filter(([, part]) => part.items > 0).map(([key, part]) => [key, batchOf(part)])),
    malformed: malformed.items > 0 ? batchOf(malformed) : undefined,
  }
}

function gatheringOf(parts: Map<string, Gathering>, key: string): Gathering {
  let part = parts.get(key)
  if (part === undefined) parts.set(key, (part = { groups: [], shares: [], items: 0 }))
  return part
}

function add(part: Gathering, groups: readonly Group[], share: Share, lease: Lease): void {
  const items = groups.reduce((sum, group) => sum + group.items, 0)
  if (items === 0) return
  part.groups.push(...groups)
  part.shares.push({ ...share, lease, items, groups: groups.length })
  part.items += items
}
