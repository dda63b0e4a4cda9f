import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { durationText } from '../../config/duration-text.ts'
import { parseDuration } from '../../core/fields.ts'

test.each([
  [0, '0s'],
  [200, '200ms'],
  [1000, '1s'],
  [1500, '1.5s'],
  [90_000, '1m30s'],
  [3_600_000, '1h'],
  [5_400_500, '1h30m0.5s'],
  [0.5, '500us'],
  [0.0005, '500ns'],
  [-5000, '-5s'],
])('%d ms is written %s', (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text)
})

test('what is written is read as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e12 }), milliseconds => {
      expect(parseDuration(durationText(milliseconds))).toBeCloseTo(milliseconds, 6)
    }),
  )
})
