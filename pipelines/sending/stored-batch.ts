import { Batch } from '../../core/batch.ts'
import type { Budget } from '../../core/budget.ts'
import { Delivery } from '../../core/delivery.ts'
import { Lease } from '../../core/lease.ts'
import { BufferPool } from '../../core/pool.ts'
import { type Share, shareOf } from '../../core/share.ts'
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
  const whole = [{ items, groups: groups.length }]
  const shares = sumOf(record.shares, 'groups') === groups.length && sumOf(record.shares, 'items') === items
  const origins: Share[] = (shares ? record.shares : whole).map(share =>
    shareOf(new Delivery(share.items, undefined), lease, share.items, share.groups, context),
  )
  return new Batch(signal, groups, items, context, origins)
}

function sumOf<K extends string>(shares: readonly Readonly<Record<K, number>>[], key: K): number {
  return shares.reduce((sum, share) => sum + share[key], 0)
}
