import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import { ItemIndex } from '../../proto/item-index.ts'
import { items } from '../../processors/steps.ts'

/** Drops log records below a severity. One without a severity reads as 0. */
export const filter = defineProcessor({
  type: 'toy_filter',
  stability: 'development',
  summary: 'Drops log records below a severity.',
  signals: ['logs'],
  hold: 'none',
  config: z.strictObject({ min: z.int().default(9).describe('Least severity that is kept.') }),
  examples: [],
  touches: () => [
    { depth: 'item', does: 'drops', key: 'min', what: 'log records below the severity', reason: 'below_severity' },
  ],
  create({ min }, context) {
    const below = context.reason('below_severity', 'rule')
    return items(context, new ItemIndex('LogRecord', 'severity_number'), record =>
      Number(record.value(0) ?? 0) < min ? below : undefined,
    )
  },
})
