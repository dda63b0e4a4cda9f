import { expect, test } from 'vitest'
import { Books } from '../../core/books.ts'
import { Rates } from '../../service/rates.ts'

const minute = 60_000

function moving() {
  const books = new Books()
  const node = books.node({ kind: 'exporter', id: 'sink', pipeline: '', signal: 'logs' })
  return { books, node, rates: new Rates(books, 0) }
}

test.each([
  ['over the whole window', 400_000, 100, minute, 100],
  ['since the beginning, when that is less', 20_000, 100, minute, 100],
  ['over five minutes', 400_000, 100, 5 * minute, 100],
])('rates are %s', (_, until, perSecond, window, expected) => {
  const { node, rates } = moving()
  for (let now = 5000; now <= until; now += 5000) {
    node.in += perSecond * 5
    node.delivered += perSecond
    rates.look(now)
  }
  expect(rates.of(node, window, until)).toEqual({
    in: expected,
    out: 0,
    delivered: perSecond / 5,
    ended: perSecond / 5,
  })
})

test('the last minute and the last five tell a burst apart', () => {
  const { node, rates } = moving()
  for (let now = 5000; now <= 600_000; now += 5000) {
    if (now > 590_000) node.in += 3000
    rates.look(now)
  }
  expect(rates.of(node, minute, 600_000).in).toBe(100)
  expect(rates.of(node, 5 * minute, 600_000).in).toBe(20)
  // Between two looks, what came since counts.
  node.in += 1000
  expect(rates.of(node, minute, 602_000).in).toBeGreaterThan(100)
})

test('a component that is new had nothing before, and one that is gone is forgotten', () => {
  const { books, rates } = moving()
  for (let now = 5000; now <= 300_000; now += 5000) rates.look(now)
  const late = books.node({ kind: 'exporter', id: 'late', pipeline: '', signal: 'logs' })
  late.in = 600
  rates.look(305_000)
  expect(rates.of(late, minute, 305_000).in).toBe(10)
  books.nodes.splice(books.nodes.indexOf(late), 1)
  rates.look(310_000)
  expect(rates.of(late, minute, 310_000).in).toBe(10)
})

test('nothing is divided by the first moments', () => {
  const { node, rates } = moving()
  node.in = 7
  expect(rates.of(node, minute, 0).in).toBe(7)
})
