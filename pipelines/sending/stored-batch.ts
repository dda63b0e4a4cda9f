import { Batch } from '../../core/batch.ts'
import type { Budget } from '../../core/budget.ts'
import { Delivery } from '../../core/delivery.ts'
import { Lease } from '../../core/lease.ts'
import { BufferPool } from '../../core/pool.ts'
import { sharesIn, shareOf } from '../../core/share.ts'
import type { StoredRecord } from '../../core/storage.ts'
import { readRequest } from '../../proto/request.ts'

/**
 * The batch that a record was made of, with nobody waiting for it; its bytes are charged to `budget`.
 * @throws WireError when the payload is not what it was
 */
export function batchOf(record: StoredRecord, budget: Budget): Batch {
  const { signal, context, payload } = record
  const { groups, items, charged } = readRequest(signal, payload)
  const bytes = BufferPool.cost(payload.length) + charged
  budget.charge(bytes)
  const lease = new Lease(budget, bytes, items, payload)
  const shares = sharesIn(record.shares, items, groups.length).map(one =>
    shareOf(new Delivery(one.items, undefined), lease, one.items, one.groups, context),
  )
  return new Batch(signal, groups, items, context, shares)
}
