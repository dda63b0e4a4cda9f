import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Chronicle, foldWithin, mostOccurrences, type ToldOccurrence } from '../../core/chronicle.ts'
import { MovableClock } from '../support/clock.ts'

function made() {
  const clock = new MovableClock()
  return { clock, chronicle: new Chronicle(clock) }
}

const state = (to: string): ToldOccurrence => ({ kind: 'component', component: 'a', text: `to ${to}` })
const all = (chronicle: Chronicle) => chronicle.find({ limit: mostOccurrences })

test('what flaps is four lines: how it began, and how often it went on', async () => {
  const { clock, chronicle } = made()
  for (let i = 0; i < 38; i++) {
    chronicle.note({ ...state('RecoverableError'), detail: `error ${i}` })
    await clock.advance(1000)
    chronicle.note(state('OK'))
    await clock.advance(1000)
  }
  const wall = clock.wall()
  expect(
    all(chronicle).map(({ text, detail, times, first, last }) => [text, detail, times, wall - first, wall - last]),
  ).toEqual([
    ['to RecoverableError', 'error 0', 1, 76_000, 76_000],
    ['to OK', undefined, 1, 75_000, 75_000],
    ['to RecoverableError', 'error 37', 37, 74_000, 2000],
    ['to OK', undefined, 37, 73_000, 1000],
  ])
})

test.each<[string, Partial<ToldOccurrence>, number, number]>([
  ['the same', {}, 0, 2],
  ['the same, ten minutes later', {}, foldWithin + 1, 3],
  ['the same of another component', { component: 'b' }, 0, 3],
  ['the same of another kind', { kind: 'circuit' }, 0, 3],
  ['something else', { text: 'other' }, 0, 3],
  ['the same with another error', { detail: 'other' }, 0, 2],
  ['the same with other figures', { fields: { requests: 2 } }, 0, 2],
])('the third time %s', async (_, other, later, entries) => {
  const { clock, chronicle } = made()
  chronicle.note(state('OK'))
  chronicle.note(state('OK'))
  await clock.advance(later)
  chronicle.note({ ...state('OK'), ...other })
  expect(all(chronicle)).toHaveLength(entries)
})

test('what somebody did is the same when it was done by the same with the same words', () => {
  const { chronicle } = made()
  const done = (by: string, queue: string) => chronicle.note({ kind: 'action', text: 'dropped', fields: { queue, by } })
  for (let i = 0; i < 5; i++) done('10.0.0.1', 'a')
  done('10.0.0.2', 'a')
  done('10.0.0.1', 'b')
  expect(all(chronicle).map(({ fields, times }) => [fields, times])).toEqual([
    [{ queue: 'a', by: '10.0.0.1' }, 1],
    [{ queue: 'a', by: '10.0.0.1' }, 4],
    [{ queue: 'a', by: '10.0.0.2' }, 1],
    [{ queue: 'b', by: '10.0.0.1' }, 1],
  ])
})

test('an event is about the components that it names', () => {
  const { chronicle } = made()
  chronicle.note({ kind: 'refusal', text: 'senders are refused: the queue of exporter otlp_http/it is full' })
  chronicle.note({ kind: 'reload', text: 'taken over', detail: 'restart exporter otlp_http, stop exporter nop' })
  chronicle.note({ kind: 'component', component: 'nop', text: 'trouble' })
  const about = (component: string) => chronicle.find({ component, limit: 9 }).map(({ id }) => id)
  expect([about('otlp_http/it'), about('otlp_http'), about('nop'), about('otlp')]).toEqual([[1], [2], [2, 3], []])
})

test('whatever comes: nothing is told in the wrong order, counted twice or forgotten before there are too many', async () => {
  const told = fc.record({
    kind: fc.constantFrom('component', 'action'),
    component: fc.constantFrom('a', 'b', undefined),
    text: fc.constantFrom('x', 'y', 'z'),
    wait: fc.constantFrom(0, 1, 1000, foldWithin, foldWithin + 1),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(told, { maxLength: 60 }), async list => {
      const { clock, chronicle } = made()
      for (const { wait, ...one } of list) {
        await clock.jump(wait)
        chronicle.note(one)
      }
      const found = all(chronicle)
      expect(found.reduce((sum, { times }) => sum + times, 0)).toBe(list.length)
      expect(found.map(({ id }) => id)).toEqual(found.map(({ id }) => id).toSorted((a, b) => a - b))
      expect(found.map(({ last }) => last)).toEqual(found.map(({ last }) => last).toSorted((a, b) => a - b))
      for (const { first, last } of found) expect(first).toBeLessThanOrEqual(last)
      expect(found.at(-1)?.id ?? 0).toBe(list.length)
    }),
    { numRuns: 200 },
  )
})

test.each<[string, (i: number) => ToldOccurrence, number]>([
  ['entries', i => ({ kind: 'action', text: `t${i}` }), mostOccurrences],
  ['large ones', i => ({ kind: 'action', text: `t${i}`, detail: 'd'.repeat(5000) }), 250],
  [
    'fields beyond all measure',
    i => ({ kind: 'action', text: `t${i}`, fields: { a: 'f'.repeat(5000) } }),
    mostOccurrences,
  ],
])('of too many %s the oldest go', (_, make, most) => {
  const { chronicle } = made()
  for (let i = 0; i < 5000; i++) chronicle.note(make(i))
  const found = all(chronicle)
  expect(found.length).toBeLessThanOrEqual(most)
  expect(found.length).toBeGreaterThan(most * 0.9)
  expect(found.at(-1)).toMatchObject({ text: 't4999', id: 5000 })
  expect(JSON.stringify(found).length).toBeLessThan(400_000)
})

test('what is asked for: since, kind, component, after, and the newest so many', async () => {
  const { clock, chronicle } = made()
  for (const [kind, component] of [
    ['component', 'a'],
    ['circuit', 'a'],
    ['component', 'b'],
    ['reload', undefined],
  ] as const) {
    await clock.advance(1000)
    chronicle.note({ kind, component, text: `${kind} ${component}` })
  }
  const limit = 10
  const ids = (query: Partial<Parameters<Chronicle['find']>[0]>) =>
    chronicle.find({ limit, ...query }).map(({ id }) => id)
  expect(ids({ kind: 'component' })).toEqual([1, 3])
  expect(ids({ component: 'a' })).toEqual([1, 2])
  expect(ids({ since: clock.wall() - 1000 })).toEqual([3, 4])
  expect(ids({ after: 3 })).toEqual([4])
  expect(ids({ limit: 2 })).toEqual([3, 4])
})
