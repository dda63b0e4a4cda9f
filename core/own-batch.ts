/** Data that is made here and was no request of anybody: counts, stats, what Kymo tells about itself. */
import { readRequest } from '../proto/request.ts'
import type { Signal } from '../proto/signals.ts'
import { Batch } from './batch.ts'
import type { Context } from './context.ts'
import type { Budget } from './budget.ts'
import { Delivery, type Listener } from './delivery.ts'
import { Lease } from './lease.ts'

/** Where data comes from that nobody sent. */
export const nobody: Context = {
  receiver: '',
  transport: '',
  peer: undefined,
  metadata: undefined,
  auth: undefined,
}

/**
 * The batch of `body`, an OTLP request that was made here and that nobody else reads; undefined where nothing is in it.
 * `budget` is charged with it. No sender waits for it; `by` hears of its end, where somebody does.
 */
export function ownBatch(
  budget: Budget,
  signal: Signal,
  body: Buffer,
  origin: Context,
  by?: Listener,
): Batch | undefined {
  const request = readRequest(signal, body)
  const { items } = request
  if (items === 0) return undefined
  const bytes = body.length + request.charged
  budget.charge(bytes)
  return Batch.of(signal, request, origin, new Delivery(items, by), new Lease(budget, bytes, items))
}
