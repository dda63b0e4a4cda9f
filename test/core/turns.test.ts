import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Turns, type Work } from '../../core/turns.ts'

/** What time it is: work takes some. */
let time = 0
const now = (): number => time

/** Work of `steps` steps, each of which takes `ms` milliseconds and is noted under `name`. */
function work(name: string, steps: number, ms: number, log: string[]): Work {
  return {
    next: () => {
      time += ms
      log.push(name)
      return { done: --steps <= 0, value: undefined }
    },
  }
}

const turns = async (log: string[], length: number): Promise<void> => {
  while (log.length < length) await nextTurn()
}

test('what is short is done at once', () => {
  const log: string[] = []
  new Turns(now).enter(work('a', 3, 0, log))
  expect(log).toEqual(['a', 'a', 'a'])
})

test('what is long goes on in later turns, and nobody overtakes it', async () => {
  const log: string[] = []
  const all = new Turns(now)
  all.enter(work('long', 3, 6, log))
  expect(log).toEqual(['long', 'long'])
  all.enter(work('next', 1, 0, log))
  expect(log).toEqual(['long', 'long'])
  await turns(log, 4)
  expect(log).toEqual(['long', 'long', 'long', 'next'])
})

test('many that come in one turn share its time', async () => {
  const log: string[] = []
  const all = new Turns(now)
  for (let i = 0; i < 10; i++) all.enter(work(`${i}`, 1, 4, log))
  expect(log).toEqual(['0', '1'])
  await turns(log, 10)
  expect(log).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
})

test('a turn later there is time again', async () => {
  const log: string[] = []
  const all = new Turns(now)
  all.enter(work('a', 1, 9, log))
  await nextTurn()
  all.enter(work('b', 1, 0, log))
  expect(log).toEqual(['a', 'b'])
})

test('what waits takes turns, a step each', async () => {
  const log: string[] = []
  const all = new Turns(now)
  all.start(work('a', 2, 0, log))
  all.start(work('b', 2, 0, log))
  expect(log).toEqual([])
  await turns(log, 4)
  expect(log).toEqual(['a', 'b', 'a', 'b'])
})
