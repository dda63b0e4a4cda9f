import { expect, test } from 'vitest'
import { Account } from '../../core/account.ts'
import { Budget } from '../../core/budget.ts'
import { Standing, Suspects, suspectedFor } from '../../core/standing.ts'
import { MovableClock } from '../support/clock.ts'

function make(limit = 1 << 20) {
  const clock = new MovableClock()
  const budget = new Budget(limit)
  const suspects = new Suspects(clock, new Account(budget, 'service', 'suspects'))
  return { clock, budget, suspects, connect: (address?: string) => new Standing(suspects, address) }
}

test('who sent malformed data is suspected on all connections for ten minutes, and nobody else is', async () => {
  const { clock, connect } = make()
  const [bad, other, stranger] = [connect('192.0.2.1'), connect('192.0.2.1'), connect('192.0.2.2')]
  expect(bad.isSuspected).toBe(false)
  bad.sentMalformed(undefined)
  const later = connect('192.0.2.1')
  const all = () => [bad, other, later, stranger].map(({ isSuspected }) => isSuspected)
  expect(all()).toEqual([true, true, true, false])
  await clock.advance(suspectedFor - 1)
  expect(all()).toEqual([true, true, true, false])
  await clock.advance(1)
  expect([...all(), connect('192.0.2.1').isSuspected]).toEqual([false, false, false, false, false])
})

test('malformed data again begins the ten minutes anew', async () => {
  const { clock, connect } = make()
  const bad = connect('192.0.2.1')
  bad.sentMalformed(undefined)
  await clock.advance(suspectedFor - 1)
  bad.sentMalformed(undefined)
  await clock.advance(suspectedFor - 1)
  expect([bad.isSuspected, connect('192.0.2.1').isSuspected]).toEqual([true, true])
})

test.each(['forwarded', 'x-forwarded-for', 'via'])('behind a proxy (%s) the connection alone is suspected', header => {
  const { connect, suspects } = make()
  const bad = connect('192.0.2.1')
  bad.sentMalformed(new Map([[header, ['198.51.100.7']]]))
  expect([bad.isSuspected, connect('192.0.2.1').isSuspected, suspects.size]).toEqual([true, false, 0])
})

test('without an address the connection alone is suspected', () => {
  const { connect } = make()
  const bad = connect()
  bad.sentMalformed(undefined)
  expect([bad.isSuspected, connect().isSuspected]).toEqual([true, false])
})

test('so many addresses are remembered and no more, each is paid for, and all is given back', () => {
  const { connect, suspects, budget } = make(1 << 24)
  const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
  for (let i = 0; i < 10_000; i++) connect(address(i)).sentMalformed(undefined)
  expect(suspects.size).toBe(4096)
  expect([connect(address(0)).isSuspected, connect(address(9999)).isSuspected]).toEqual([false, true])
  expect(budget.used).toBeGreaterThan(4096 * 100)
  suspects.close()
  expect(budget.used).toBe(0)
})

test('without room the connection alone is suspected', () => {
  const { connect, suspects, budget } = make(100)
  const bad = connect('192.0.2.1')
  bad.sentMalformed(undefined)
  expect([bad.isSuspected, suspects.size, budget.used]).toEqual([true, 0, 0])
})
