import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Lease } from '../../core/lease.ts'

function leased(bytes: number, items: number) {
  const budget = new Budget(1 << 20)
  budget.charge(bytes)
  return { budget, lease: new Lease(budget, bytes, items) }
}

test('the bytes go back when the last item is released, not before', () => {
  const { budget, lease } = leased(1000, 3)
  lease.release(2)
  expect([budget.used, lease.items]).toEqual([1000, 1])
  lease.release(1)
  expect([budget.used, lease.items, lease.bytes]).toEqual([0, 0, 0])
})

test('a further holder is waited for', () => {
  const { budget, lease } = leased(1000, 3)
  lease.hold(3)
  lease.release(3)
  expect(budget.used).toBe(1000)
  lease.release(3)
  expect(budget.used).toBe(0)
})

test('what grows is given back with the rest', () => {
  const { budget, lease } = leased(1000, 1)
  lease.grow(24)
  expect([budget.used, lease.bytes]).toEqual([1024, 1024])
  lease.release(1)
  expect(budget.used).toBe(0)
})

test('a copy of the last items frees the large buffer and holds its own', () => {
  const { budget, lease } = leased(4_000_000, 100)
  lease.release(99)
  const copy = lease.copy(40, 1)
  expect([budget.used, copy.bytes, copy.items, lease.items]).toEqual([40, 40, 1, 0])
  copy.release(1)
  expect(budget.used).toBe(0)
})

test('the two are never both given back before the copy is charged', () => {
  const { budget, lease } = leased(100, 1)
  let least = Infinity
  budget.onRelease(() => (least = Math.min(least, budget.used)))
  lease.copy(10, 1)
  expect(least).toBe(10)
})

test('a release too many is a fault that is told', () => {
  const { lease } = leased(10, 1)
  expect(() => lease.release(2)).toThrow('lease released 1 items too many')
})

test('whatever is done with leases, the budget is the sum of those that hold items', () => {
  const act = fc.record({
    which: fc.nat(20),
    how: fc.constantFrom('release', 'hold', 'grow', 'copy'),
    n: fc.integer({ min: 1, max: 50 }),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), acts => {
      const budget = new Budget(1 << 20)
      budget.charge(500)
      const leases = [new Lease(budget, 500, 40)]
      const sum = () => leases.reduce((total, one) => total + (one.items > 0 ? one.bytes : 0), 0)
      for (const { which, how, n } of acts) {
        const lease = leases[which % leases.length]
        const items = Math.min(n, lease.items)
        if (items === 0) continue
        if (how === 'release') lease.release(items)
        else if (how === 'hold') lease.hold(n)
        else if (how === 'grow') lease.grow(n)
        else leases.push(lease.copy(n, items))
        expect(budget.used).toBe(sum())
      }
      for (const lease of leases) if (lease.items > 0) lease.release(lease.items)
      expect(budget.used).toBe(0)
    }),
  )
})
