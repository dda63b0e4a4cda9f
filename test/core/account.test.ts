import { expect, test } from 'vitest'
import { Account, keptState } from '../../core/account.ts'
import { Budget } from '../../core/budget.ts'

test('all accounts together get half of the budget, so that data still comes in', () => {
  const budget = new Budget(100)
  const [one, other] = [new Account(budget, 'exporter', 'a'), new Account(budget, 'connector', 'b')]
  expect([one.grow(30), other.grow(21), other.grow(20)]).toEqual([true, false, true])
  expect([budget.tryCharge(50), budget.tryCharge(1)]).toEqual([true, false])
  expect(budget).toMatchObject({ used: 100, kept: 50, inFlight: 50 })
})

test.each([
  ['the budget is used up by data', (budget: Budget) => budget.charge(95)],
  ['memory is short', (budget: Budget) => (budget.pressed = true)],
  ['it is closed', (_: Budget, account: Account) => account.close()],
])('an account finds no room while %s, and counts that', (_, happens) => {
  const budget = new Budget(100)
  const account = new Account(budget, 'exporter', 'a')
  happens(budget, account)
  expect([account.grow(10), account.bytes, account.refused]).toEqual([false, 0, 1])
})

test('what is given back can be taken again, and closing gives everything back, once', () => {
  const budget = new Budget(100)
  const account = new Account(budget, 'exporter', 'a')
  account.grow(50)
  account.shrink(20)
  expect([account.grow(20), budget.used]).toEqual([true, 50])
  account.close()
  account.close()
  account.shrink(50)
  expect(budget).toMatchObject({ used: 0, kept: 0 })
  expect([...budget.accounts]).toEqual([])
})

test('whoever waits for room hears of what an account gives back', () => {
  const budget = new Budget(100)
  const account = new Account(budget, 'exporter', 'a')
  account.grow(50)
  let woken = 0
  budget.onRelease(() => woken++)
  account.shrink(50)
  expect(woken).toBe(1)
})

test('what is in no hurry waits for data in flight, not for what is kept', () => {
  const budget = new Budget(100)
  new Account(budget, 'exporter', 'a').grow(50)
  expect(budget.crowded).toBe(false)
  budget.charge(26)
  expect(budget.crowded).toBe(true)
})

test('accounts of one component are told as one, and one that nothing was asked of is not', () => {
  const budget = new Budget(100)
  const [one, other] = [new Account(budget, 'connector', 'a'), new Account(budget, 'connector', 'a')]
  const never = new Account(budget, 'exporter', 'never')
  one.grow(10)
  other.grow(15)
  other.grow(1000)
  expect([...budget.accounts]).not.toContain(never)
  expect(keptState(budget.accounts)).toEqual([{ keeper: { kind: 'connector', id: 'a' }, bytes: 25, refused: 1 }])
})
