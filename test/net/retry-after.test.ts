import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { longestDelay, parseRetryAfter } from '../../net/retry-after.ts'

const now = Date.UTC(1994, 10, 6, 8, 49, 37)

test.each([
  ['seconds', '120', 120_000],
  ['none at all', '0', 0],
  ['spaces around', ' 7 ', 7000],
  ['a date', 'Sun, 06 Nov 1994 08:50:07 GMT', 30_000],
  ['a date of RFC 850', 'Sunday, 06-Nov-94 08:50:07 GMT', 30_000],
  ['a date of C', 'Sun Nov  6 08:50:07 1994', 30_000],
  ['a date that has passed', 'Sun, 06 Nov 1994 08:49:00 GMT', 0],
  ['more than anybody should wait', '999999999999', longestDelay],
  ['no header', undefined, undefined],
  ['nothing', '', undefined],
  ['a fraction', '1.5', undefined],
  ['a negative number', '-1', undefined],
  ['a text that a lenient parser takes for a date', 'monkeys 12', undefined],
  ['a month that does not exist', 'Sun, 06 Nix 1994 08:50:07 GMT', undefined],
])('%s', (_, value, expected) => {
  expect(parseRetryAfter(value, now)).toBe(expected)
})

test('every date of HTTP is read to the second', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: longestDelay / 1000 }), seconds => {
      expect(parseRetryAfter(new Date(now + seconds * 1000).toUTCString(), now)).toBe(seconds * 1000)
    }),
  )
})
