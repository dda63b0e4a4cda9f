import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Batch } from '../../../core/batch.ts'
import { mergeBatches } from '../../../core/merge.ts'
import { halve } from '../../../pipelines/sending/halve.ts'
import { batchOf, namesOf, spans } from '../../support/batches.ts'
import { requests } from '../../support/otlp.ts'
import { names } from '../../support/otlp-bytes.ts'

const halves = (batch: Batch) => halve(batch)?.map(namesOf)

test('first along the requests it was made of', () => {
  const merged = mergeBatches([spans(names('a', 9)), spans(['b']), spans(['c'])])
  expect(halves(merged)).toEqual([names('a', 9), ['b', 'c']])
})

test('then between groups', () => {
  expect(halves(spans(names('a', 9), ['b'], ['c'], ['d']))).toEqual([
    [...names('a', 9), 'b'],
    ['c', 'd'],
  ])
})

test('then between items', () => {
  expect(halves(spans(names('a', 5)))).toEqual([
    ['a0', 'a1'],
    ['a2', 'a3', 'a4'],
  ])
})

test('groups without items are no reason not to cut', () => {
  expect(halves(spans([], [], ['a', 'b']))).toEqual([['a'], ['b']])
})

test('a single item cannot be halved', () => {
  expect(halve(spans(['a']))).toBeUndefined()
  expect(halve(spans([], ['a'], []))).toBeUndefined()
})

test('halving again and again comes to single items, or metrics, and loses none', () => {
  fc.assert(
    fc.property(
      requests()
        .map(({ signal, body }) => batchOf(body, { signal }))
        .filter(batch => batch.items > 0),
      whole => {
        const open = [whole]
        let leaves = 0
        for (let batch = open.pop(); batch !== undefined; batch = open.pop()) {
          const parts = halve(batch)
          if (parts === undefined) {
            if (whole.signal !== 'metrics') expect(batch.items).toBe(1)
            leaves += batch.items
          } else {
            expect(parts[0].items + parts[1].items).toBe(batch.items)
            for (const part of parts) expect(part.items).toBeGreaterThan(0)
            open.push(...parts)
          }
        }
        expect(leaves).toBe(whole.items)
      },
    ),
  )
})
