import * as z from 'zod'
import type { Batch } from '../core/batch.ts'
import { defineProcessor } from '../core/component.ts'
import { Arena, type Edits } from '../proto/actions.ts'
import { compileEdits } from '../proto/edits.ts'
import type { Group } from '../proto/group.ts'
import { allSignals } from '../proto/signals.ts'
import { actionTouches, attributeActions, contextLookup } from './attribute-actions.ts'
import { each } from './steps.ts'

const config = z.strictObject({
  attributes: attributeActions
    .min(1, { error: '`attributes` needs at least one action' })
    .describe('Actions on the resource attributes, applied in order.'),
})

/** The `resource` processor. */
export const resource = defineProcessor<z.output<typeof config>>({
  type: 'resource',
  stability: 'beta',
  summary: 'Sets, removes and converts attributes of the resource.',
  signals: allSignals,
  hold: 'none',
  config,
  examples: [
    {
      title: 'Say which cluster the data comes from',
      config: { attributes: [{ key: 'k8s.cluster.name', value: 'prod-eu-1', action: 'upsert' }] },
    },
  ],

  touches({ attributes }) {
    return actionTouches(attributes, 'resource', 'attributes')
  },

  create(config, context) {
    const edits = compileEdits(config.attributes)
    return each(context, batch => editResources(batch, edits))
  },
})

/** The batch with edited resources, which stand side by side in memory made for this batch. */
function editResources(batch: Batch, edits: Edits): Batch {
  const lookup = edits.usesContext ? contextLookup(batch.context) : undefined
  let groups: Group[] | undefined
  let arena: Arena | undefined
  for (let i = 0; i < batch.groups.length; i++) {
    const group = batch.groups[i]
    arena ??= new Arena(edits.growth === undefined ? 0 : sizeOf(batch.groups, edits.growth))
    if (!edits.apply(group.resource, group.resourceStart, group.resourceEnd, arena, lookup)) continue
    groups ??= [...batch.groups]
    groups[i] = group.withResource(arena.bytes, arena.from, arena.at)
  }
  return groups === undefined || arena === undefined ? batch : batch.withGroups(groups, arena.made)
}

/** The most bytes that all resources can take. */
function sizeOf(groups: readonly Group[], growth: number): number {
  let size = 0
  for (const group of groups) size += group.resourceEnd - group.resourceStart + growth
  return size
}
