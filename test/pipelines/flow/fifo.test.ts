import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo } from '../../../pipelines/flow/fifo.ts'

const filled = (...items: number[]) => {
  const fifo = new Fifo<number>()
  for (const item of items) fifo.push(item)
  return fifo
}

test('what comes first goes first, and an empty one says so', () => {
  const fifo = filled(1, 2)
  expect([fifo.peek(), fifo.shift(), fifo.shift(), fifo.shift(), fifo.peek(), fifo.length]).toEqual([
    1,
    1,
    2,
    undefined,
    undefined,
    0,
  ])
})

test.each<[string, number[], number[], number[]]>([
  ['at the front', [5, 6], [4], [4, 5, 6]],
  ['in the middle', [1, 3, 9], [4, 5], [1, 3, 4, 5, 9]],
  ['at the end', [1, 2], [7], [1, 2, 7]],
  ['into nothing', [], [1, 2], [1, 2]],
])('inserts %s', (_, standing, items, expected) => {
  const fifo = filled(...standing)
  fifo.insert(items, other => other < items[0])
  expect([...fifo]).toEqual(expected)
})

test.each<[string, number[], number[], number[]]>([
  ['some between others', [1, 3, 9], [0, 4, 5, 12], [0, 1, 3, 4, 5, 9, 12]],
  ['into nothing', [], [1, 2], [1, 2]],
  ['nothing', [1, 2], [], [1, 2]],
])('merges %s', (_, standing, items, expected) => {
  const fifo = filled(-1, ...standing)
  fifo.shift()
  fifo.merge(items, (a, b) => a - b)
  expect([...fifo]).toEqual(expected)
})

test('what was taken does not stay alive through it', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const fifo = new Fifo<object>()
  const weak = (() => {
    const item = {}
    fifo.push(item)
    fifo.push({})
    fifo.shift()
    return new WeakRef(item)
  })()
  await new Promise(resolve => setTimeout(resolve))
  collect()
  expect(weak.deref()).toBeUndefined()
  expect(fifo.length).toBe(1)
})

test('it does what a plain array does, whatever is asked of it', () => {
  const act = fc.oneof(
    { weight: 6, arbitrary: fc.record({ how: fc.constant('push' as const), n: fc.nat(3000) }) },
    { weight: 5, arbitrary: fc.record({ how: fc.constant('shift' as const), n: fc.nat(2500) }) },
    { weight: 2, arbitrary: fc.record({ how: fc.constant('insert' as const), n: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ how: fc.constant('remove' as const), n: fc.integer({ min: 2, max: 5 }) }) },
  )
  fc.assert(
    fc.property(fc.array(act, { maxLength: 12 }), acts => {
      const fifo = new Fifo<number>()
      let model: number[] = []
      let next = 0
      for (const { how, n } of acts) {
        if (how === 'push')
          for (let i = 0; i < n; i++, next++) {
            fifo.push(next)
            model.push(next)
          }
        else if (how === 'shift') for (let i = 0; i < n; i++) expect(fifo.shift()).toBe(model.shift())
        else if (how === 'insert') {
          const items = Array.from({ length: 1 + (n % 3) }, () => -1 - n)
          fifo.insert(items, item => item < 5)
          const at = model.findIndex(item => item >= 5)
          model.splice(at < 0 ? model.length : at, 0, ...items)
        } else {
          expect(fifo.remove(item => item % n === 0)).toEqual(model.filter(item => item % n === 0))
          model = model.filter(item => item % n !== 0)
        }
        expect([fifo.length, fifo.peek()]).toEqual([model.length, model[0]])
      }
      expect([...fifo]).toEqual(model)
    }),
    { numRuns: 60 },
  )
})
