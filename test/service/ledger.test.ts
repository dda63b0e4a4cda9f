import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Books } from '../../core/books.ts'
import { Ledger, type Period } from '../../service/ledger.ts'
import { MovableClock } from '../support/clock.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute

/** One exporter that loses what it is told to, with time that a test moves. */
function ledger(room?: ConstructorParameters<typeof Ledger>[2]) {
  const clock = new MovableClock()
  const books = new Books()
  const node = books.node({ kind: 'exporter', id: 'out', pipeline: '', signal: 'traces' })
  const kept = new Ledger(books, clock, room)
  kept.start()
  const lose = (items: number, reason = 'expired'): void => {
    node.in += items
    node.lost.of(reason).value += items
  }
  return { clock, books, node, lose, kept, lostIn: (ago: number) => lostOf(kept.over(clock.wall() - ago)) }
}

const lostOf = ({ changes }: Period): number =>
  changes.reduce((sum, [{ what, of }, items]) => sum + (what === 'lost' && of === undefined ? items : 0), 0)

test('what was lost is told by range: to ten seconds in the last hour, to five minutes in the last day, beyond that in all', async () => {
  const { clock, lose, lostIn, kept } = ledger()
  // One item a second for 26 hours, told in lots as the timer sees them.
  for (let i = 0; i < (26 * hour) / (10 * second); i++) {
    lose(10)
    await clock.advance(10 * second)
  }
  for (const ago of [10 * second, minute, 15 * minute, 59 * minute]) expect(lostIn(ago)).toBe(ago / second)
  for (const ago of [2 * hour, 5 * hour, 23 * hour]) {
    const { from, isWhole } = kept.over(clock.wall() - ago)
    expect(isWhole).toBe(false)
    // It begins where a step does, and is exact from there on.
    expect(lostIn(ago)).toBe((clock.wall() - from) / second)
    expect(clock.wall() - from - ago).toBeLessThanOrEqual(5 * minute)
    expect(clock.wall() - from).toBeGreaterThanOrEqual(ago)
  }
  expect(kept.over(clock.wall() - 25 * hour)).toMatchObject({ isWhole: true, from: clock.wall() - 26 * hour })
  expect(lostIn(25 * hour)).toBe((26 * hour) / second)
  expect(kept.size.steps).toBeLessThanOrEqual(360 + 1 + 288 + 2)
})

test('after more than an hour it is still told when something was lost', async () => {
  const { clock, lose, lostIn } = ledger()
  await clock.advance(30 * second)
  lose(7)
  await clock.advance(3 * hour)
  lose(2)
  expect([lostIn(minute), lostIn(2 * hour), lostIn(4 * hour)]).toEqual([2, 2, 9])
  await clock.advance(20 * hour)
  expect([lostIn(minute), lostIn(22 * hour), lostIn(23.5 * hour)]).toEqual([0, 2, 9])
})

test('while nothing happens nothing is kept', async () => {
  const { clock, kept, lose } = ledger()
  lose(1)
  await clock.advance(10 * second)
  const { steps, bytes } = kept.size
  expect(steps).toBe(1)
  await clock.advance(30 * minute)
  expect(kept.size).toEqual({ steps, bytes })
})

test('whoever asks all the time makes no more steps than the timer', async () => {
  const { clock, kept, lose, lostIn } = ledger()
  for (let i = 0; i < 600; i++) {
    lose(1)
    await clock.advance(100)
    lostIn(minute)
  }
  expect(kept.size.steps).toBeLessThanOrEqual(12)
  expect(lostIn(minute)).toBe(600)
})

test('what waits is no change but a state: it comes and goes', async () => {
  const { clock, kept, node } = ledger()
  let waiting = 5
  node.in = 5
  node.holds(() => waiting)
  await clock.advance(10 * second)
  expect(kept.total('waiting', 'traces')).toBe(5)
  waiting = 0
  node.delivered = 5
  await clock.advance(10 * second)
  const changes = kept.over(clock.wall() - 5 * second).changes.map(([{ what }, items]) => [what, items])
  expect(changes).toEqual([
    ['delivered', 5],
    ['waiting', -5],
  ])
  expect(kept.total('waiting', 'traces')).toBe(0)
})

test('reasons beyond the most are one, and the sum stays right', async () => {
  const { clock, kept, lose, lostIn } = ledger()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5000; i++) lose(1, `reason ${i}`)
    await clock.advance(10 * second)
  }
  expect(lostIn(10 * second)).toBe(5000)
  expect(lostIn(hour)).toBe(15_000)
  const { changes } = kept.over(0)
  expect(changes.length).toBeLessThanOrEqual(2048 + 10)
  expect(changes.find(([{ reason }]) => reason === 'other')?.[1]).toBeGreaterThan(8000)
})

test('memory has an end: the oldest steps go, and a range that reaches behind them begins with the process', async () => {
  const { clock, kept, lose, lostIn } = ledger()
  for (let step = 0; step < 200; step++) {
    for (let i = 0; i < 1500; i++) lose(1, `reason ${i}`)
    await clock.advance(10 * second)
    expect(kept.size.bytes).toBeLessThanOrEqual(2 << 20)
  }
  expect(lostIn(minute)).toBe(6 * 1500)
  expect(kept.over(clock.wall() - 30 * minute).isWhole).toBe(true)
  expect(lostIn(30 * minute)).toBe(200 * 1500)
})

test('where there is no room at all only the whole is told', async () => {
  const { clock, lose, lostIn, kept } = ledger({ grow: () => false, shrink() {} })
  lose(3)
  await clock.advance(minute)
  lose(4)
  await clock.advance(minute)
  expect(kept.size).toEqual({ steps: 0, bytes: 0 })
  expect(lostIn(90 * second)).toBe(7)
  expect(lostIn(5 * second)).toBe(0)
})

test('a clock of the wall that somebody sets moves no step', async () => {
  const { clock, lose, kept } = ledger()
  lose(3)
  await clock.advance(minute)
  const wall = clock.wall.bind(clock)
  clock.wall = () => wall() + 5 * hour
  lose(1)
  expect(lostOf(kept.over(clock.wall() - 10 * second))).toBe(1)
  expect(lostOf(kept.over(clock.wall() - 55 * second))).toBe(4)
})

test('whatever happens when, a range has exactly what happened since it began, and begins no later than was asked', async () => {
  const moves = fc.array(
    fc.record({ wait: fc.oneof(fc.nat(30 * second), fc.nat(40 * minute)), items: fc.nat(5), asks: fc.boolean() }),
    { minLength: 1, maxLength: 60 },
  )
  await fc.assert(
    fc.asyncProperty(moves, fc.array(fc.nat(30 * hour), { maxLength: 10 }), async (list, agos) => {
      const { clock, lose, kept } = ledger()
      const happened: { at: number; items: number }[] = []
      for (const { wait, items, asks } of list) {
        await clock.advance(wait)
        happened.push({ at: clock.wall(), items })
        if (items > 0) lose(items)
        // What happens at the moment of a look happens behind it.
        await clock.advance(1)
        if (asks) kept.over(clock.wall() - wait)
      }
      for (const ago of [0, ...agos]) {
        const range = kept.over(clock.wall() - ago)
        const since = happened.filter(({ at }) => at >= range.from)
        expect(lostOf(range)).toBe(since.reduce((sum, { items }) => sum + items, 0))
        expect(range.isWhole || range.from <= clock.wall() - ago).toBe(true)
        expect(range.isWhole || clock.wall() - ago - range.from <= 5 * minute).toBe(true)
      }
    }),
    { numRuns: 100 },
  )
}, 120_000)
