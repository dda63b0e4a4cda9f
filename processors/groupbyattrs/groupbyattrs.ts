import * as z from 'zod'
import { Batch, type Share } from '../../core/batch.ts'
import { defineProcessor } from '../../core/component.ts'
import { texts } from '../../core/fields.ts'
import type { Group } from '../../proto/group.ts'
import { allSignals } from '../../proto/signals.ts'
import { each } from '../steps.ts'
import { GroupedKeys } from './grouped-keys.ts'
import { regroup } from './regroup.ts'

const config = z.strictObject({
  keys: texts()
    .prefault([])
    .describe(
      'Attributes of spans, log records and data points that become attributes of their resource. ' +
        'Without any, groups of the same resource and scopes of the same name are put together.',
    ),
})

/** The `groupbyattrs` processor. */
export const groupByAttrs = defineProcessor<z.output<typeof config>>({
  type: 'groupbyattrs',
  stability: 'beta',
  summary: 'Groups the items of each request by attributes, which move to the resource.',
  signals: allSignals,
  hold: 'none',
  config,
  examples: [
    { title: 'A resource per host', config: { keys: ['host.name'] } },
    { title: 'Put together what has the same resource', config: {} },
  ],

  touches({ keys }) {
    if (keys.length === 0) {
      const what = 'items of the same resource and scope together'
      return [{ depth: 'scope', does: 'moves', key: '', what }]
    }
    return keys.flatMap(what => [
      { depth: 'item', does: 'edits', key: 'keys', what } as const,
      { depth: 'resource', does: 'edits', key: 'keys', what } as const,
    ])
  },

  create({ keys }, context) {
    const grouped = new GroupedKeys([...new Set(keys)].filter(key => key !== ''))
    return each(context, batch => regroupRequests(batch, grouped))
  },
})

/** Each request of a batch is grouped for itself, so that what comes of it can be told its sender alone. */
function regroupRequests(batch: Batch, keys: GroupedKeys): Batch {
  const groups: Group[] = []
  const shares: Share[] = []
  let changed = false
  let at = 0
  for (const share of batch.shares) {
    const mine = batch.groups.slice(at, at + share.groups)
    at += share.groups
    const result = regroup(batch.signal, mine, keys)
    if (result.made > 0) {
      changed = true
      share.lease.grow(result.made)
    }
    for (const group of result.groups) groups.push(group)
    shares.push(result.made === 0 ? share : { ...share, groups: result.groups.length })
  }
  return changed ? new Batch(batch.signal, groups, batch.items, batch.context, shares) : batch
}
