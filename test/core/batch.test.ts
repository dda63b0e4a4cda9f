/** Cutting, merging and parting of random batches: test/properties/batch.test.ts. */
import { expect, test } from 'vitest'
import { Batch } from '../../core/batch.ts'
import type { Context } from '../../core/context.ts'
import { mergeBatches } from '../../core/merge.ts'
import { Budget } from '../../core/budget.ts'
import { type Answer, Delivery, done } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'
import { Lease } from '../../core/lease.ts'
import { shareOf } from '../../core/share.ts'
import { groupCost } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import { inContext, namesOf, retained } from '../support/batches.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

const context: Context = { receiver: 'otlp', transport: 'grpc', peer: undefined, metadata: undefined, auth: undefined }

interface Held {
  readonly batch: Batch
  readonly outcome: Answer[]
}

function made(budget: Budget, body: Buffer, from = context): Held {
  const outcome: Answer[] = []
  const request = readRequest('traces', body)
  const delivery = new Delivery(request.items, { answered: one => outcome.push(one) })
  budget.charge(body.length)
  const lease = new Lease(budget, body.length, request.items)
  return { batch: Batch.of('traces', request, from, delivery, lease), outcome }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

const small = (budget: Budget, items: number, from = context) =>
  made(budget, tracesRequest([{ spans: names('s', items) }]), from)

test.each<[string, (batch: Batch) => void, object]>([
  ['accepted', batch => batch.accept(), { kind: 'success' }],
  ['accepted with a warning', batch => batch.accept('mind'), { kind: 'success', warning: 'mind' }],
  ['dropped', batch => batch.drop(), { kind: 'success' }],
  ['rejected', batch => batch.reject('bad'), { kind: 'rejected', reason: 'bad' }],
  [
    'refused',
    batch => batch.refuse(new DeliveryError('DELIVERY_BUSY', 'retry', 'later', { retryAfter: 5 })),
    { kind: 'refused', retryAfter: 5 },
  ],
  ['taken and then let go of', batch => batch.taken().release(done), { kind: 'success' }],
])('a batch of several requests that is %s ends each of them and gives all memory back', async (_, end, outcome) => {
  const budget = new Budget(1 << 20)
  const parts = [small(budget, 3), small(budget, 5)]
  end(mergeBatches(parts.map(part => part.batch)))
  await turn()
  for (const part of parts) expect(part.outcome).toEqual([expect.objectContaining(outcome)])
  expect(budget.used).toBe(0)
})

test('a batch that was taken keeps its bytes until they are let go of', async () => {
  const budget = new Budget(1 << 20)
  const { batch, outcome } = small(budget, 3)
  const taken = batch.taken()
  await turn()
  expect(outcome).toHaveLength(1)
  expect(budget.used).toBe(batch.byteLength)
  taken.release(done)
  expect(budget.used).toBe(0)
})

test('one item kept of 4 MiB holds 4 MiB until it is compacted, then its own bytes', () => {
  const budget = new Budget(1 << 30)
  const big = [{ spans: ['x'.repeat(4 << 20)] }, { namespace: 'shop', spans: ['kept'] }]
  const { batch } = made(budget, tracesRequest(big))
  const [kept, rest] = batch.partition(group => group.size < 1000)
  rest?.drop()
  expect(retained(kept)).toBeGreaterThan(4 << 20)
  const compact = kept?.compacted()
  expect(retained(compact)).toBe(Number(compact?.byteLength) + groupCost)
  expect(budget.used).toBe(retained(compact))
  expect(compact && namesOf(compact)).toEqual(['kept'])
  expect(compact?.groups[0].bytes.buffer.byteLength).toBeLessThan(1000)
})

/** The same items as three requests that came in one buffer. */
function inThree({ signal, groups, items, context: from, shares: [{ delivery, lease }] }: Batch): Batch {
  const shares = groups.map(group => shareOf(delivery, lease, group.items, 1, from))
  return new Batch(signal, groups, items, from, shares)
}

test('requests that share a buffer, most of which is kept, are not copied out of it', () => {
  const budget = new Budget(1 << 20)
  const groups = ['a', 'b', 'c'].map(name => ({ spans: [name.repeat(2000)] }))
  const whole = inThree(made(budget, tracesRequest(groups)).batch)
  expect(whole.compacted()).toBe(whole)
  whole.accept()
  expect(budget.used).toBe(0)
})

test('requests that share a buffer, little of which is kept, are copied out into one', () => {
  const budget = new Budget(1 << 30)
  const little = ['a', 'b', 'c'].map(name => ({ namespace: 'shop', spans: [name] }))
  const { batch } = made(budget, tracesRequest([{ spans: ['x'.repeat(1 << 20)] }, ...little]))
  const [kept, rest] = batch.partition(group => group.size < 1000)
  rest?.drop()
  const compact = kept && inThree(kept).compacted()
  expect(compact && namesOf(compact)).toEqual(['a', 'b', 'c'])
  expect(budget.used).toBe(Number(compact?.byteLength) + 3 * groupCost)
  expect(new Set(compact?.shares.map(({ lease }) => lease)).size).toBe(1)
  compact?.accept()
  expect(budget.used).toBe(0)
})

test('requests that share a buffer are charged for it once', () => {
  const budget = new Budget(1 << 20)
  const { batch } = small(budget, 4)
  const [head, rest] = batch.cut(2)
  expect(retained(mergeBatches([head, rest as Batch]))).toBe(batch.byteLength)
})

test('newly made bytes are charged to the first request and given back with it', () => {
  const budget = new Budget(1 << 20)
  const { batch } = small(budget, 1)
  const edited = batch.withGroups(batch.groups, 77)
  expect(budget.used).toBe(batch.byteLength + 77)
  edited.accept()
  expect(budget.used).toBe(0)
})

test('once it is taken, the senders have heard success and nobody can be asked again', async () => {
  const budget = new Budget(1 << 20)
  const { batch, outcome } = small(budget, 2)
  expect(batch.refusable).toBe(true)
  const own = batch.taken()
  await turn()
  expect(outcome).toEqual([{ kind: 'success', warning: undefined }])
  expect([own.refusable, own.withdrawn]).toEqual([false, false])
  own.reject('nobody hears it')
  expect(budget.used).toBe(0)
})

test('a merged batch is withdrawn when all its senders are, and refusable while all are', () => {
  const budget = new Budget(1 << 20)
  const [a, b] = [small(budget, 1).batch, small(budget, 1).batch]
  const both = mergeBatches([a, b])
  const gone = new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'gone')
  a.shares[0].delivery.withdraw(gone)
  expect([both.withdrawn, both.refusable]).toEqual([false, true])
  b.shares[0].delivery.withdraw(gone)
  expect(both.withdrawn).toBe(true)
  expect(mergeBatches([a, b.taken()]).refusable).toBe(false)
})

test('of several contexts the merged batch keeps what they have in common', () => {
  const budget = new Budget(1 << 20)
  const metadata = new Map([['tenant', ['a']]])
  const from = { ...context, peer: '10.0.0.1:5', metadata }
  const one = small(budget, 1, from).batch
  const two = small(budget, 1, { ...from, peer: '10.0.0.2:5' }).batch
  expect(mergeBatches([one, two]).context).toEqual({ ...from, peer: undefined })
  expect(mergeBatches([one, inContext(two, context)]).context.metadata).toBeUndefined()
  expect(mergeBatches([one]).context).toBe(from)
})

test('request headers that several requests had alike stay, those that differ go', () => {
  const budget = new Budget(1 << 20)
  const of = (headers: Record<string, string[]>) =>
    small(budget, 1, { ...context, metadata: new Map(Object.entries(headers)) }).batch
  const merged = (...headers: Record<string, string[]>[]) => mergeBatches(headers.map(of)).context.metadata
  const a = { tenant: ['a'], id: ['1'], both: ['x', 'y'] }
  expect(merged(a, { ...a, id: ['2'] }, { ...a, id: ['3'] })).toEqual(
    new Map([
      ['tenant', ['a']],
      ['both', ['x', 'y']],
    ]),
  )
  expect(merged(a, { ...a })).toEqual(new Map(Object.entries(a)))
  expect(merged(a, { ...a, both: ['x'] })?.has('both')).toBe(false)
  expect(merged(a, { ...a, more: ['z'] })?.has('more')).toBe(false)
  expect(merged(a, { tenant: ['b'] })).toBeUndefined()
})
