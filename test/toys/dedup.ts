import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import type { Held, Receipt } from '../../core/holding.ts'
import { encodeGroups } from '../../proto/group.ts'
import { holding } from '../../processors/steps.ts'

interface Repeat {
  readonly body: Buffer
  readonly origin: Held['origin']
  readonly receipts: Receipt[]
}

/** Hands on one of several log records that are alike, and lets a source behind them hear when that is safe. */
export const dedup = defineProcessor({
  type: 'toy_dedup',
  stability: 'development',
  summary: 'Hands on one of several.',
  signals: ['logs'],
  hold: 'state',
  config: z.strictObject({}),
  examples: [],
  create(_, context) {
    const seen = new Map<string, Repeat>()
    const flush = (): void => {
      for (const { body, origin, receipts } of seen.values()) context.holding.make('logs', body, origin, receipts)
      seen.clear()
    }
    context.clock.every(1000, flush)
    return holding(context, {
      take(held) {
        for (const [key, part] of held.split((bytes, start, end) => bytes.toString('latin1', start, end))) {
          const repeat = seen.get(key) ?? {
            body: encodeGroups(part.batch.cut(1)[0].groups),
            origin: part.origin,
            receipts: [],
          }
          seen.set(key, repeat).get(key)?.receipts.push(part.replace())
        }
      },
      flush,
      pressure: flush,
    })
  },
})
