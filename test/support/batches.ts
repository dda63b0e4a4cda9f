/** Batches without a graph around them, for tests of the parts. */
import { Batch } from '../../core/batch.ts'
import type { Context } from '../../core/context.ts'
import { Budget } from '../../core/budget.ts'
import { Delivery } from '../../core/delivery.ts'
import { Lease } from '../../core/lease.ts'
import { encodeGroups } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { spanNames, tracesRequest } from './otlp-bytes.ts'

const context: Context = { receiver: 'toy', transport: 'test', peer: undefined, metadata: undefined, auth: undefined }

/** A batch of one request. */
export function batchOf(
  body: Buffer,
  more: { signal?: Signal; metadata?: Record<string, string>; budget?: Budget } = {},
): Batch {
  const { signal = 'traces', metadata, budget = new Budget(1 << 30) } = more
  const request = readRequest(signal, body)
  budget.charge(body.length)
  const lease = new Lease(budget, body.length, request.items)
  const map = metadata && new Map(Object.entries(metadata).map(([key, value]) => [key, [value]]))
  const delivery = new Delivery(request.items, { answered: () => {} })
  return Batch.of(signal, request, map === undefined ? context : { ...context, metadata: map }, delivery, lease)
}

/** A traces batch: for each resource the names of its spans. */
export const spans = (...resources: (readonly string[])[]): Batch =>
  batchOf(tracesRequest(resources.map(names => ({ spans: names }))))

/** The names of all spans of a batch. */
export const namesOf = (batch: Batch): string[] => spanNames(encodeGroups(batch.groups))

/** The same batch with another context. */
export const inContext = ({ signal, groups, items, shares }: Batch, other: Context): Batch =>
  new Batch(signal, groups, items, other, shares)

/** Bytes of memory that stay alive because of a batch. */
export const retained = (batch: Batch | undefined): number =>
  [...new Set(batch?.shares.map(({ lease }) => lease))].reduce((sum, { bytes }) => sum + bytes, 0)
