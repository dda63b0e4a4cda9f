import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import type { Ended } from '../../core/delivery.ts'
import { nobody, ownBatch } from '../../core/own-batch.ts'
import { encodeGroups } from '../../proto/group.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const body = tracesRequest([{ namespace: 'shop', spans: ['one', 'two'] }])

test('what is made here is charged until it has ended, and whoever asked hears of that', async () => {
  const budget = new Budget(1 << 20)
  const ends: Ended[] = []
  const batch = ownBatch(budget, 'traces', body, nobody, { answered() {}, ended: end => void ends.push(end) })
  expect(batch && [batch.items, batch.context, encodeGroups(batch.groups).equals(body)]).toEqual([2, nobody, true])
  expect(budget.used).toBeGreaterThanOrEqual(body.length)
  batch?.accept()
  await Promise.resolve()
  expect([budget.used, ends]).toEqual([0, [{ again: false, rejected: 0, lost: 0, reason: undefined }]])
})

test('of a request without items there is no batch, and nothing is charged', () => {
  const budget = new Budget(1 << 20)
  expect(ownBatch(budget, 'traces', tracesRequest([]), nobody)).toBeUndefined()
  expect(ownBatch(budget, 'traces', tracesRequest([{ namespace: 'shop', spans: [] }]), nobody)).toBeUndefined()
  expect(budget.used).toBe(0)
})
