import { expect, test } from 'vitest'
import { Account } from '../../core/account.ts'
import { Budget } from '../../core/budget.ts'
import { mostSenders, SenderTable } from '../../core/sender.ts'

const grpc = { receiver: 'otlp', transport: 'grpc' }
const http = { receiver: 'otlp', transport: 'http' }
const tableOf = (budget?: Budget) => new SenderTable(new Account(budget, 'service', 'senders'))

test('a sender is a place, an address and a program', () => {
  const table = tableOf()
  const one = table.of(grpc, '10.0.0.1', 'sdk/1')
  expect(table.of(grpc, '10.0.0.1', 'sdk/1')).toBe(one)
  const others = [
    table.of(http, '10.0.0.1', 'sdk/1'),
    table.of(grpc, '10.0.0.2', 'sdk/1'),
    table.of(grpc, '10.0.0.1', ''),
  ]
  expect(new Set([one, ...others]).size).toBe(4)
  expect(table.size).toBe(4)
})

test('what is sent is counted by how it was answered', () => {
  const row = tableOf().of(grpc, 'a', 'sdk')
  row.answered('accepted', 5, 100)
  row.answered('partial', 3, 50)
  row.answered('rejected', 0, 7)
  row.answered('refused', 0, 1)
  expect(row).toMatchObject({ accepted: 1, partial: 1, rejected: 1, refused: 1, items: 8, bytes: 158, requests: 4 })
})

test.each([
  ['ten seconds after it came', [0, 10], 10, 2 / 10],
  ['after minutes of one each second', Array.from({ length: 300 }, (_, i) => i), 300, 1],
  ['in the first second', [0, 0.1, 0.2], 0.5, 3],
  ['long after the last', [0, 1, 2], 600, 0],
  ['when it is heard of again after an hour', [0, 1, 2, 3600], 3600, 1 / 60],
])('the pace of a sender %s', (_, seconds, at, expected) => {
  const row = tableOf().of(grpc, 'a', 'sdk', 0)
  for (const second of seconds) row.answered('accepted', 10, 100, second * 1000)
  const pace = row.pace(at * 1000)
  expect(pace.requests).toBeCloseTo(expected, 1)
  expect(pace.items).toBeCloseTo(10 * pace.requests, 5)
  expect(pace.bytes).toBeCloseTo(100 * pace.requests, 5)
})

test('strangers give way first, then whoever was heard of longest ago; what they had sent is not lost', () => {
  const table = tableOf()
  let now = 0
  const came = (peer: string, how: 'accepted' | 'rejected') => {
    const row = table.of(grpc, peer, 'sdk', ++now)
    row.answered(how, 1, 10, ++now)
    return row
  }
  const known = Array.from({ length: 900 }, (_, i) => came(`known ${i}`, 'accepted'))
  const strangers = Array.from({ length: 5000 }, (_, i) => came(`stranger ${i}`, 'rejected'))
  expect(table.size).toBe(mostSenders)
  expect(known.every(row => row.isListed)).toBe(true)
  expect(strangers.filter(row => row.isListed)).toHaveLength(100)
  expect(strangers.at(-1)?.isListed).toBe(true)
  expect([table.gone, table.others]).toMatchObject([4900, { rejected: 4900, items: 4900, bytes: 49_000 }])

  // Among those that are known it is the same: one that is heard of stays.
  const [first] = known
  for (let i = 0; i < 2000; i++) {
    came(`new ${i}`, 'accepted')
    first.answered('accepted', 1, 1, ++now)
  }
  expect([first.isListed, known[1].isListed, table.size]).toEqual([true, false, mostSenders])
})

test('rows are charged, and where there is no memory all others are one', () => {
  const budget = new Budget(40_000)
  const table = tableOf(budget)
  const rows = Array.from({ length: 100 }, (_, i) => table.of(grpc, String(i), 'sdk'))
  expect(table.size).toBeGreaterThan(10)
  expect(table.size).toBeLessThan(50)
  expect(rows.at(-1)).toBe(table.others)
  expect(budget.kept).toBeGreaterThan(0)
  table.close()
  expect([budget.kept, table.size]).toEqual([0, 0])
})

test('the name of a program is cut where it is long', () => {
  expect(tableOf().of(grpc, 'a', 'x'.repeat(10_000)).agent).toBe(`${'x'.repeat(127)}…`)
})
