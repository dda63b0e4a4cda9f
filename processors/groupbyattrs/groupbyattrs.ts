import { finalize } from 'rxjs'
import * as z from 'zod'
import { Account } from '../../core/account.ts'
import { Batch } from '../../core/batch.ts'
import { budgetKey } from '../../core/budget.ts'
import type { Share as BatchShare } from '../../core/share.ts'
import { defineProcessor } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { texts } from '../../core/fields.ts'
import type { Group } from '../../proto/group.ts'
import { KEEP } from '../../proto/rewrite.ts'
import { Share } from '../../proto/room.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { WireError } from '../../proto/wire.ts'
import { each, itemJudge } from '../steps.ts'
import { GroupedKeys } from './grouped-keys.ts'
import { hasKeys, NoRoomError, regroup, type Regrouped } from './regroup.ts'

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
  runs: 'each',
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
    const { signal } = context
    const grouped = new GroupedKeys([...new Set(keys)].filter(key => key !== ''))
    const account = new Account(context.host.find(budgetKey), 'processor', context.id)
    const room = new Share(account)
    const readable = itemJudge(context, {
      item(bytes, start, end) {
        hasKeys(signal, grouped, bytes, start, end)
        return KEEP
      },
    })
    const grouping = (batch: Batch): Batch => {
      try {
        return regroupRequests(batch, grouped, room)
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error
        throw new DeliveryError('DELIVERY_MEMORY', 'retry', `${context.id}: ${error.message}`)
      }
    }
    const step = each(context, batch => {
      try {
        return grouping(batch)
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        const verdict = readable(batch)
        if (verdict instanceof Batch || verdict.passes === undefined) return verdict
        return { ...verdict, passes: grouping(verdict.passes) }
      }
    })
    return source => step(source).pipe(finalize(() => account.close()))
  },
})

/** What is made is charged to the request from here on; what was needed to make it is given back. */
function regrouped(signal: Signal, groups: readonly Group[], keys: GroupedKeys, room: Share): Regrouped {
  try {
    return regroup(signal, groups, keys, room)
  } finally {
    room.clear()
  }
}

/** Each request of a batch is grouped for itself, so that what comes of it can be told its sender alone. */
function regroupRequests(batch: Batch, keys: GroupedKeys, room: Share): Batch {
  const groups: Group[] = []
  const shares: BatchShare[] = []
  const grown: { readonly lease: BatchShare['lease']; readonly bytes: number }[] = []
  let at = 0
  for (const share of batch.shares) {
    const mine = batch.groups.slice(at, at + share.groups)
    at += share.groups
    const result = regrouped(batch.signal, mine, keys, room)
    for (const group of result.groups) groups.push(group)
    shares.push(result.made === 0 ? share : { ...share, groups: result.groups.length })
    if (result.made > 0) grown.push({ lease: share.lease, bytes: result.made })
  }
  // Only now: one that cannot be read ends all of it before.
  for (const { lease, bytes } of grown) lease.grow(bytes)
  return grown.length > 0 ? new Batch(batch.signal, groups, batch.items, batch.context, shares) : batch
}
