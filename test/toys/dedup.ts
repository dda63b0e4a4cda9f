import * as z from 'zod'
import { Account } from '../../core/account.ts'
import { budgetKey } from '../../core/budget.ts'
import { defineProcessor } from '../../core/component.ts'
import type { Held, Receipt } from '../../core/holding.ts'
import { encodeGroups } from '../../proto/group.ts'
import { holding } from '../../processors/steps.ts'

/** What a receipt takes of memory, about. */
const receiptBytes = 128

interface Repeat {
  readonly body: Buffer
  readonly origin: Held['origin']
  readonly receipts: Receipt[]
}

const repeatOf = ({ batch, origin }: Held): Repeat => ({
  body: encodeGroups(batch.cut(1)[0].groups),
  origin,
  receipts: [],
})

/** Hands on one of several log records that are alike, and lets a source behind them hear when that is safe. */
export const dedup = defineProcessor({
  type: 'toy_dedup',
  stability: 'development',
  summary: 'Hands on one of several.',
  signals: ['logs'],
  hold: 'state',
  config: z.strictObject({}),
  examples: [],
  touches: () => [{ depth: 'item', does: 'moves', key: '', what: 'log records, of which one stands for all alike' }],
  create(_, context) {
    const account = new Account(context.host.find(budgetKey), 'processor', context.id)
    const seen = new Map<string, Repeat>()
    const flush = (): void => {
      for (const { body, origin, receipts } of seen.values()) context.holding.make('logs', body, origin, receipts)
      seen.clear()
      account.shrink(account.bytes)
    }
    return holding(context, {
      start: () => void context.clock.every(1000, flush),
      take(held) {
        for (const [key, part] of held.split((bytes, start, end) => bytes.toString('latin1', start, end))) {
          const known = seen.get(key)
          // Where there is no room to remember it, it goes on as it is.
          if (!account.grow(receiptBytes + (known ? 0 : key.length + part.bytes))) part.emit()
          else {
            const repeat = known ?? repeatOf(part)
            seen.set(key, repeat)
            repeat.receipts.push(part.replace())
          }
        }
      },
      flush,
      pressure: flush,
      stop: () => account.close(),
    })
  },
})
