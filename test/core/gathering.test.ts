import { describe, expect, test } from 'vitest'
import { Gatherer, type GatherSettings, gatheringText, inParts, keyOf } from '../../core/gathering.ts'
import { batchOf, namesOf, spans } from '../support/batches.ts'
import { MovableClock } from '../support/clock.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

const usual: GatherSettings = { least: 100, most: 0, sizer: 'items', timeout: 200, keys: [], mostKeys: 0 }

function gatherer(given: Partial<GatherSettings>, { idle = false, awaited = true } = {}) {
  const clock = new MovableClock()
  const state = { idle, awaited }
  const flushed: string[][] = []
  const made = new Gatherer<readonly string[]>(
    { ...usual, ...given },
    {
      clock,
      isIdle: () => state.idle,
      isAwaited: () => state.awaited,
      sizeOf: one => one.length,
      flushed: gathered => void flushed.push(gathered.flat()),
    },
  )
  const add = (...one: string[]): void => made.add('', one)
  return { made, clock, state, flushed, add }
}

describe('whoever waits', () => {
  test.each([true, false])('goes out at the least size (somebody waits: %s)', awaited => {
    const { add, flushed, clock } = gatherer({ least: 3 }, { awaited })
    add('a', 'b')
    expect(flushed).toEqual([])
    add('c', 'd')
    expect(flushed).toEqual([['a', 'b', 'c', 'd']])
    expect(clock.timers).toBe(0)
  })

  test.each([true, false])('goes out after the timeout, counted from the first (somebody waits: %s)', async awaited => {
    const { add, flushed, clock } = gatherer({}, { awaited })
    add('a')
    await clock.advance(150)
    add('b')
    await clock.advance(49)
    expect(flushed).toEqual([])
    await clock.advance(1)
    expect(flushed).toEqual([['a', 'b']])
    add('c')
    await clock.advance(199)
    expect(flushed).toHaveLength(1)
  })

  test.each([true, false])('with timeout 0 leaves as it comes (somebody waits: %s)', awaited => {
    const { add, flushed } = gatherer({ timeout: 0 }, { awaited })
    add('a')
    add('b')
    expect(flushed).toEqual([['a'], ['b']])
  })
})

describe('where somebody waits', () => {
  test('with nothing on its way it leaves at the end of the turn, what came together together', async () => {
    const { add, flushed, clock } = gatherer({}, { idle: true })
    add('a')
    add('b')
    expect(flushed).toEqual([])
    await clock.advance(0)
    expect(flushed).toEqual([['a', 'b']])
    expect(clock.timers).toBe(0)
  })

  test('when what was on its way has ended it leaves at the end of that turn', async () => {
    const { made, add, flushed, clock } = gatherer({})
    add('a')
    made.idle()
    expect(flushed).toEqual([])
    await clock.advance(0)
    expect(flushed).toEqual([['a']])
    made.idle()
    expect(clock.timers).toBe(0)
  })

  test('after several at once the next leave together, after one alone the next does at once', async () => {
    const { add, flushed, clock } = gatherer({}, { idle: true })
    add('a')
    add('b')
    await clock.advance(0)
    add('c')
    await clock.advance(1)
    expect(flushed).toEqual([['a', 'b']])
    await clock.advance(1)
    expect(flushed).toEqual([['a', 'b'], ['c']])
    add('d')
    await clock.advance(0)
    expect(flushed.at(-1)).toEqual(['d'])
  })
})

describe('where nobody waits', () => {
  test('it gathers although nothing is on its way, and goes on gathering when that has ended', async () => {
    const { made, add, flushed, clock } = gatherer({}, { idle: true, awaited: false })
    add('a')
    made.idle()
    await clock.advance(199)
    expect(flushed).toEqual([])
    await clock.advance(1)
    expect(flushed).toEqual([['a']])
  })

  test('somebody comes who waits: that combination leaves with all that is there, another stays', async () => {
    const { made, state, flushed, clock } = gatherer({}, { idle: true, awaited: false })
    made.add('x', ['x1'])
    made.add('y', ['y1'])
    state.awaited = true
    made.add('x', ['x2'])
    await clock.advance(0)
    expect(flushed).toEqual([['x1', 'x2']])
    await clock.advance(200)
    expect(flushed.at(-1)).toEqual(['y1'])
    expect(clock.timers).toBe(0)
  })
})

test('each combination of metadata has a key of its own, names in any case', () => {
  const gathering = { ...usual, keys: ['X-Tenant'] }
  const of = (tenant?: string) =>
    keyOf(
      gathering,
      batchOf(tracesRequest([{ spans: ['a'] }]), { ...(tenant && { metadata: { 'x-tenant': tenant } }) }).context,
      [],
    )
  expect([of('a'), of('a'), of('b'), of()]).toEqual(['[["a"]]', '[["a"]]', '[["b"]]', '[null]'])
  expect(keyOf(usual, spans(['a']).context, [])).toBe('')
})

test('with too many combinations the oldest leaves, so that a sender cannot make more and more of them', () => {
  const { made, flushed } = gatherer({ mostKeys: 2 })
  for (const name of ['a', 'b', 'c', 'b']) made.add(name, [name])
  expect(flushed).toEqual([['a']])
  expect([made.combinations, made.has('b'), [...made].flat()]).toEqual([2, true, ['b', 'b', 'c']])
})

test('what is taken out is gone, and does not count towards the least size', async () => {
  const { made, add, flushed, clock } = gatherer({ least: 3 })
  add('a', 'b')
  expect(made.remove(([first]) => first === 'a')).toEqual([['a', 'b']])
  add('c')
  expect([flushed, [...made]]).toEqual([[], [['c']]])
  made.remove(() => true)
  await clock.advance(1000)
  expect(flushed).toEqual([])
})

describe('in parts', () => {
  test.each([1, 23, 24, 25])('%i items are cut into as few parts as there can be, in order', n => {
    const parts = inParts(spans(names('a', n)), 4)
    expect(parts.flatMap(namesOf)).toEqual(names('a', n))
    expect(parts.slice(0, -1).every(({ items }) => items === 4)).toBe(true)
    expect(parts).toHaveLength(Math.ceil(n / 4))
  })

  test('each item is moved as often as halving takes, not once for each part', () => {
    let moved = 0
    const counting = (items: number) => ({
      items,
      cut(most: number) {
        moved += items
        return [counting(most), most < items ? counting(items - most) : undefined] as const
      },
    })
    expect(inParts(counting(4096) as never, 1)).toHaveLength(4096)
    expect(moved).toBeLessThanOrEqual(4096 * 12)
  })
})

test.each([
  [8192, 200, 'items', 'requests into larger batches: of 8192 items, or of what there is after 200 ms'],
  [1_000_000, 5000, 'bytes', 'requests into larger batches: of 1000000 bytes, or of what there is after 5000 ms'],
  [Infinity, 200, 'items', 'requests into larger batches: of what there is after 200 ms'],
  [8192, 0, 'items', 'requests on as they come'],
] as const)('gathering by %d after %d ms of %s is told', (least, timeout, sizer, text) => {
  expect(gatheringText({ least, timeout, sizer })).toBe(text)
})
