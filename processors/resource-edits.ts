import type { Batch } from '../core/batch.ts'
import { Arena, type Edits } from '../proto/actions.ts'
import type { Group } from '../proto/group.ts'
import { contextLookup } from './attribute-actions.ts'

/** The batch with edited resources, which stand side by side in memory made for this batch. */
export function editResources(batch: Batch, edits: Edits): Batch {
  const lookup = edits.usesContext ? contextLookup(batch.context) : undefined
  let groups: Group[] | undefined
  let arena: Arena | undefined
  let next = 0
  for (const group of batch.groups) {
    const at = next++
    arena ??= new Arena(edits.growth === undefined ? 0 : sizeOf(batch.groups, edits.growth))
    if (!edits.apply(group.resource, group.resourceStart, group.resourceEnd, arena, lookup)) continue
    groups ??= [...batch.groups]
    groups[at] = group.withResource(arena.bytes, arena.from, arena.at)
  }
  return groups === undefined || arena === undefined ? batch : batch.withGroups(groups, arena.made)
}

/** The most bytes that all resources can take. */
function sizeOf(groups: readonly Group[], growth: number): number {
  let size = 0
  for (const group of groups) size += group.resourceEnd - group.resourceStart + growth
  return size
}
