import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'

test('charges what fits, refuses what does not, and counts that', () => {
  const budget = new Budget(100)
  expect([budget.tryCharge(60), budget.tryCharge(41), budget.tryCharge(40)]).toEqual([true, false, true])
  expect(budget).toMatchObject({ used: 100, refusals: 1, peak: 100 })
})

test('what exists already is charged whatever the limit says, and the peak remembers it', () => {
  const budget = new Budget(100)
  budget.charge(150)
  budget.release(150)
  expect(budget).toMatchObject({ used: 0, peak: 150, refusals: 0 })
})

test('while memory is short nothing new is taken, but what is inside may grow', () => {
  const budget = new Budget(100)
  budget.pressed = true
  expect(budget.tryCharge(1)).toBe(false)
  budget.charge(1)
  expect(budget.used).toBe(1)
})

test('whoever waits is called after each release until it unsubscribes', () => {
  const budget = new Budget(100)
  budget.charge(30)
  const seen: number[] = []
  const stop = budget.onRelease(() => {
    seen.push(budget.used)
    if (seen.length === 2) stop()
  })
  for (let i = 0; i < 3; i++) budget.release(10)
  expect(seen).toEqual([20, 10])
})

test('whoever waits for growth is called once, by the charge that goes over it', () => {
  const budget = new Budget(100)
  budget.charge(20)
  const seen: number[] = []
  budget.onGrowth(10, () => seen.push(budget.used))
  for (const bytes of [10, 1, 30]) budget.charge(bytes)
  budget.onGrowth(5, () => seen.push(-1))
  budget.onGrowth(10, () => seen.push(budget.used))
  budget.charge(11)
  expect(seen).toEqual([31, 72])
})
