import { expect, test } from 'vitest'
import { OwnGatherer } from '../../telemetry/gather.ts'
import { MovableClock } from '../support/clock.ts'

function gathering(limits: { interval?: number; most?: number; room?: number } = {}) {
  const clock = new MovableClock()
  const taken: string[][] = []
  const gates: (() => void)[] = []
  let dropped = 0
  const gatherer = new OwnGatherer(
    clock,
    { interval: 5, most: 2, room: 4, ...limits },
    items => {
      taken.push(items.map(String))
      return new Promise(resolve => gates.push(resolve))
    },
    items => (dropped += items),
  )
  const add = (...items: string[]) => items.forEach(item => gatherer.add(Buffer.from(item)))
  return { clock, gatherer, taken, gates, add, dropped: () => dropped }
}

test('items are given together, and the next only when the batch before is taken', async () => {
  const { clock, taken, gates, add } = gathering()
  add('a', 'b', 'c')
  expect(taken).toEqual([])
  await clock.advance(5)
  expect(taken).toEqual([['a', 'b']])
  await clock.advance(60_000)
  expect(taken).toHaveLength(1)
  gates[0]()
  await clock.advance(5)
  expect(taken).toEqual([['a', 'b'], ['c']])
})

test('what finds no room is dropped and counted, and nobody waits', async () => {
  const { clock, taken, add, dropped } = gathering()
  add('a')
  await clock.advance(5)
  expect(taken).toEqual([['a']])
  add('b', 'c', 'd', 'e', 'f', 'g')
  expect(dropped()).toBe(2)
})

test('a stop gives the rest, then takes nothing more', async () => {
  const { gatherer, taken, gates, add, dropped } = gathering({ interval: 60_000 })
  add('a', 'b', 'c')
  const stopped = gatherer.stop()
  add('late')
  expect(dropped()).toBe(1)
  expect(taken).toEqual([['a', 'b']])
  gates[0]()
  await expect.poll(() => taken).toEqual([['a', 'b'], ['c']])
  gates[1]()
  await stopped
})
