import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Delivery, type Answer } from '../../core/delivery.ts'
import { DeliveryError } from '../../core/errors.ts'

const busy = (retryAfter?: number) => new DeliveryError('DELIVERY_BUSY', 'retry', 'come again', { retryAfter })
const turn = () => new Promise(resolve => setImmediate(resolve))

function delivered(items: number) {
  const outcomes: Answer[] = []
  const delivery = new Delivery(items, { answered: outcome => outcomes.push(outcome) })
  return { delivery, outcomes }
}

test.each<[string, (delivery: Delivery) => void, object]>([
  ['all accepted: success', d => d.accept(10), { kind: 'success', warning: undefined }],
  ['all dropped by rule: success', d => d.drop(10), { kind: 'success', warning: undefined }],
  ['accepted and dropped: success', d => (d.drop(4), d.accept(6)), { kind: 'success' }],
  ['a warning is passed on', d => d.accept(10, 'mind the gap'), { kind: 'success', warning: 'mind the gap' }],
  [
    'the first of several warnings is passed on',
    d => (d.accept(5, 'first'), d.accept(5, 'second')),
    { kind: 'success', warning: 'first' },
  ],
  [
    'some rejected, the rest accepted: partial with the count and the first reason',
    d => (d.reject(2, 'bad'), d.reject(1, 'worse'), d.accept(7)),
    { kind: 'partial', rejected: 3, reason: 'bad' },
  ],
  ['rejected and dropped: partial', d => (d.reject(9, 'bad'), d.drop(1)), { kind: 'partial', rejected: 9 }],
  ['all rejected: rejected', d => (d.reject(4, 'bad'), d.reject(6, 'bad')), { kind: 'rejected', reason: 'bad' }],
  ['all refused: refused', d => d.refuse(10, busy()), { kind: 'refused', retryAfter: 0, mayBeSentTwice: 0 }],
  [
    'any refused: the whole is refused, with the longest delay; what was accepted may be sent twice',
    d => (d.accept(7), d.refuse(2, busy(300)), d.refuse(1, busy(200))),
    { kind: 'refused', retryAfter: 300, mayBeSentTwice: 7 },
  ],
  ['refused wins over rejected', d => (d.reject(9, 'bad'), d.refuse(1, busy())), { kind: 'refused' }],
  [
    'two branches of which one rejects all: partial, not more than the sender sent',
    d => (d.fork(10), d.accept(10), d.reject(10, 'bad')),
    { kind: 'partial', rejected: 10 },
  ],
  [
    'two branches that reject more than was sent: the sender hears no more than it sent',
    d => (d.fork(10), d.reject(6, 'bad'), d.reject(6, 'bad'), d.accept(8)),
    { kind: 'partial', rejected: 10 },
  ],
  [
    'two branches that reject all: rejected',
    d => (d.fork(10), d.reject(10, 'bad'), d.reject(10, 'bad')),
    { kind: 'rejected' },
  ],
  [
    'two branches that took all of it but one item: may be sent twice, no more than was sent',
    d => (d.fork(10), d.accept(10), d.accept(9), d.refuse(1, busy())),
    { kind: 'refused', mayBeSentTwice: 10 },
  ],
])('%s', async (_, end, expected) => {
  const { delivery, outcomes } = delivered(10)
  end(delivery)
  await turn()
  expect(outcomes).toEqual([expect.objectContaining(expected)])
})

test('it ends in a microtask, never inside the call that ended it', async () => {
  const { delivery, outcomes } = delivered(1)
  delivery.accept(1)
  expect(outcomes).toEqual([])
  await Promise.resolve()
  expect(outcomes).toHaveLength(1)
})

test('a request without items ends by itself', async () => {
  const { outcomes } = delivered(0)
  await Promise.resolve()
  expect(outcomes).toEqual([{ kind: 'success', warning: undefined }])
})

test('more ends than items are a fault that is told', () => {
  const { delivery } = delivered(2)
  delivery.accept(1)
  expect(() => delivery.drop(2)).toThrow('delivery of 2 items ended 1 items too many')
})

test('a sender that gives up is refused at once, and what comes of the items later changes nothing', async () => {
  const { delivery, outcomes } = delivered(3)
  delivery.accept(1)
  expect(delivery.withdrawn).toBe(false)
  delivery.withdraw(new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'deadline'))
  await turn()
  expect(outcomes).toEqual([expect.objectContaining({ kind: 'refused', mayBeSentTwice: 1 })])
  expect([delivery.withdrawn, delivery.refusable, delivery.open]).toEqual([true, true, 2])
  delivery.accept(2)
  delivery.withdraw(busy())
  await turn()
  expect(outcomes).toHaveLength(1)
})

test('giving up after the end changes nothing', async () => {
  const { delivery, outcomes } = delivered(1)
  delivery.accept(1)
  await turn()
  delivery.withdraw(busy())
  await turn()
  expect(outcomes).toEqual([{ kind: 'success', warning: undefined }])
  expect(delivery.withdrawn).toBe(false)
})

test('where nobody waits nothing can be refused or withdrawn', () => {
  const delivery = new Delivery(2, undefined)
  expect(delivery.refusable).toBe(false)
  delivery.withdraw(busy())
  expect(delivery.withdrawn).toBe(false)
  delivery.accept(2)
  expect(delivery.open).toBe(0)
})

test('the books hear what the sender hears, once', async () => {
  const { delivery, outcomes } = delivered(5)
  const heard: [number, Answer][] = []
  delivery.reportTo({ tally: (items, outcome) => heard.push([items, outcome]) })
  delivery.reject(2, 'bad')
  delivery.accept(3)
  await turn()
  expect(heard).toEqual([[5, outcomes[0]]])
})

test('however its items end, over however many branches, it ends once, when the last has', async () => {
  const end = fc.record({ items: fc.integer({ min: 1, max: 9 }), how: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.nat(3), fc.array(end), async (items, forks, ends) => {
      const { delivery, outcomes } = delivered(items)
      for (let i = 0; i < forks; i++) delivery.fork(items)
      let open = items * (forks + 1)
      const counts = [0, 0, 0, 0]
      const settle = (n: number, how: number): void => {
        expect(outcomes).toEqual([])
        counts[how] += n
        open -= n
        if (how === 0) delivery.accept(n)
        else if (how === 1) delivery.drop(n)
        else if (how === 2) delivery.reject(n, 'bad')
        else delivery.refuse(n, busy())
        expect(delivery.open).toBe(open)
      }
      for (const one of ends) if (open > one.items) settle(one.items, one.how)
      await turn()
      settle(open, ends[0]?.how ?? 0)
      await turn()
      const [accepted, , rejected, refused] = counts
      const kind =
        refused > 0 ? 'refused' : rejected === 0 ? 'success' : rejected === items * (forks + 1) ? 'rejected' : 'partial'
      expect(outcomes).toHaveLength(1)
      expect(outcomes[0].kind).toBe(kind)
      if (outcomes[0].kind === 'refused') expect(outcomes[0].mayBeSentTwice).toBe(Math.min(items, accepted))
      if (outcomes[0].kind === 'partial') expect(outcomes[0].rejected).toBe(Math.min(items, rejected))
    }),
  )
})
