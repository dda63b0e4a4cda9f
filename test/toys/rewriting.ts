import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import { ItemIndex } from '../../proto/item-index.ts'
import { encodeValue } from '../../proto/values.ts'
import { items } from '../../processors/steps.ts'

/** Where errors begin, of the data model of logs. */
const error = 17
const [SEVERITY, TEXT, EVENT, BODY] = [0, 1, 2, 3]

/** Rewrites three fields of log records that are errors. */
export const rewriting = defineProcessor({
  type: 'toy_rewriting',
  stability: 'development',
  summary: 'Rewrites three fields of errors.',
  signals: ['logs'],
  hold: 'none',
  config: z.strictObject({}),
  examples: [],
  touches: () => [{ depth: 'item', does: 'edits', key: '', what: 'severity text, event name and body of errors' }],
  create(_, context) {
    return items(
      context,
      new ItemIndex('LogRecord', 'severity_number', 'severity_text', 'event_name', 'body'),
      record => {
        if (Number(record.value(SEVERITY) ?? 0) < error) return undefined
        record.set(TEXT, Buffer.from('ERROR'))
        record.set(BODY, encodeValue('[hidden]'))
        record.remove(EVENT)
        return undefined
      },
    )
  },
})
