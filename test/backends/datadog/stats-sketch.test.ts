import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DurationSketch } from '../../../backends/datadog/stats-sketch.ts'
import { decodeDatadog } from '../../support/datadog-proto.ts'
import { binsOf, countIn, quantileOf } from '../../support/datadog-sketch.ts'

const sketchOf = (values: readonly number[], weight = 1): Buffer => {
  const sketch = new DurationSketch()
  for (const value of values) sketch.add(value, weight)
  return sketch.encode()
}

test('each quantile is within 1 % of a value that was there, whatever the values', () => {
  const duration = fc.oneof(
    fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    fc.integer({ min: 1, max: 1000 }),
    fc.double({ min: 1e3, max: 5e17, noNaN: true }).map(Math.trunc),
  )
  fc.assert(
    fc.property(fc.array(duration, { minLength: 1, maxLength: 300 }), values => {
      const bytes = sketchOf(values)
      const sorted = values.toSorted((a, b) => a - b)
      expect(countIn(bytes)).toBe(values.length)
      for (const quantile of [0, 0.1, 0.5, 0.9, 0.99, 1]) {
        const exact = sorted[Math.floor(quantile * (values.length - 1))]
        const found = quantileOf(bytes, quantile)
        expect(Math.abs(found - exact), `${found} for ${exact}`).toBeLessThanOrEqual(exact * 0.010001)
      }
    }),
  )
})

test('it is the message that Datadog reads', () => {
  expect(decodeDatadog('DDSketch', sketchOf([1, 1, 0, Math.E ** 2]))).toMatchObject({
    mapping: { gamma: 1.01 / 0.99, indexOffset: 0, interpolation: 0 },
    negativeValues: { contiguousBinCounts: [] },
    positiveValues: { contiguousBinIndexOffset: 0 },
    zeroCount: 1,
  })
  expect(decodeDatadog('DDSketch', sketchOf([0.001]))).toMatchObject({
    positiveValues: {
      contiguousBinCounts: [1],
      contiguousBinIndexOffset: Math.floor(Math.log(0.001) / Math.log(1.01 / 0.99)),
    },
  })
  expect(binsOf(sketchOf([]))).toEqual([])
})

test('a value counts as often as it weighs; one that is none is nothing', () => {
  expect(countIn(sketchOf([5, 7], 2.5))).toBe(5)
  expect(binsOf(sketchOf([-4, Number.NaN]))).toEqual([[0, 2]])
})

test.each([
  ['upwards', (values: number[]) => values],
  ['downwards', (values: number[]) => values.toReversed()],
])('of more bins than it keeps the lowest become one, %s', (_, order) => {
  const values = Array.from({ length: 3000 }, (_, i) => 1.0203 ** (i - 500))
  const bytes = sketchOf(order(values))
  expect(countIn(bytes)).toBe(3000)
  expect(binsOf(bytes).length).toBeLessThanOrEqual(2048)
  expect(Math.abs(quantileOf(bytes, 1) / values[2999] - 1)).toBeLessThan(0.0101)
  expect(Math.abs(quantileOf(bytes, 0.5) / values[1499] - 1)).toBeLessThan(0.0101)
})
