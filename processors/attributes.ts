import * as z from 'zod'
import type { Batch } from '../core/batch.ts'
import { defineProcessor } from '../core/component.ts'
import type { Lookup } from '../proto/actions.ts'
import { compileEdits } from '../proto/edits.ts'
import { KEEP, REPLACE, type Visitor } from '../proto/rewrite.ts'
import { allSignals } from '../proto/signals.ts'
import { actionTouches, attributeActions, contextLookup } from './attribute-actions.ts'
import { Selection } from './match.ts'
import { matchProperties, unfit } from './match-config.ts'
import { matchTouches } from './match-touches.ts'
import { itemEdit } from './message-edits.ts'
import { each, itemJudge } from './steps.ts'

const config = z.strictObject({
  include: matchProperties.optional().describe('Only items that match all of this are changed.'),
  exclude: matchProperties
    .optional()
    .describe('Items that match all of this are left as they are, even when included.'),
  actions: attributeActions
    .min(1, { error: '`actions` needs at least one action' })
    .describe('Actions on the attributes of spans, log records and data points, applied in order.'),
})
type Config = z.output<typeof config>

/** The `attributes` processor. */
export const attributes = defineProcessor<Config>({
  type: 'attributes',
  stability: 'beta',
  runs: 'each',
  summary: 'Sets, removes and converts attributes of spans, log records and data points.',
  signals: allSignals,
  hold: 'none',
  config,
  examples: [
    {
      title: 'Remove one attribute and add one',
      config: {
        actions: [
          { key: 'user_agent.original', action: 'delete' },
          { key: 'env', value: 'production', action: 'insert' },
        ],
      },
    },
    {
      title: 'Hash whom the requests to the shop are from',
      config: {
        include: { match_type: 'regexp', resources: [{ key: 'service.name', value: '^shop' }] },
        actions: [{ key: 'enduser.id', action: 'hash' }],
      },
    },
  ],

  unfit({ include, exclude }, signal) {
    return [...unfit(include, 'include', signal), ...unfit(exclude, 'exclude', signal)]
  },

  touches({ include, exclude, actions }) {
    return [
      ...matchTouches(include, 'include'),
      ...matchTouches(exclude, 'exclude'),
      ...actionTouches(actions, 'item', 'actions'),
    ]
  },

  create({ include, exclude, actions }, context) {
    const { signal } = context
    const edits = itemEdit(signal, tag => compileEdits(actions, tag))
    const usesContext = actions.some(action => 'source' in action && 'fromContext' in action.source)
    let lookup: Lookup | undefined
    const visitor: Visitor = {
      item: (bytes, start, end, out) => (edits.apply(bytes, start, end, out, lookup) ? REPLACE : KEEP),
    }
    const chosen = include === undefined && exclude === undefined ? visitor : onlyIn(include, exclude, signal, visitor)
    const judge = itemJudge(context, chosen)
    return each(context, (batch: Batch) => {
      lookup = usesContext ? contextLookup(batch.context) : undefined
      return judge(batch)
    })
  },
})

/** The visitor for those items only that match. */
function onlyIn(
  include: Config['include'],
  exclude: Config['exclude'],
  signal: Batch['signal'],
  visitor: Visitor,
): Visitor {
  const selection = new Selection(include, exclude, signal)
  return {
    scope(bytes, start, end, _out, group) {
      selection.enter(group, bytes, start, end)
      return KEEP
    },
    item(bytes, start, end, out, group) {
      if (!selection.has(bytes, start, end)) return KEEP
      return visitor.item?.(bytes, start, end, out, group) ?? KEEP
    },
  }
}
