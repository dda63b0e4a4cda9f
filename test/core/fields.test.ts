import { inspect } from 'node:util'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { duration, int, parseDuration, secret, Secret, texts } from '../../core/fields.ts'

test.each<[string | number, number | undefined]>([
  ['5s', 5000],
  ['200ms', 200],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['2m0.5s', 120_500],
  ['250us', 0.25],
  ['250µs', 0.25],
  ['1000000ns', 1],
  ['-2s', -2000],
  [' 5s ', 5000],
  ['0', 0],
  ['0s', 0],
  [1_000_000_000, 1000],
  [0, 0],
  ['5', undefined],
  ['', undefined],
  ['s', undefined],
  ['5 s', undefined],
  ['5sec', undefined],
  ['5S', undefined],
  ['five', undefined],
  ['1e3s', undefined],
  ['.5s', undefined],
  ['5s!', undefined],
])('the duration %j is %s ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds)
})

test('any sum of amounts with units is their sum', () => {
  const units = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const
  const part = fc.record({ amount: fc.nat(1000), unit: fc.constantFrom<keyof typeof units>('h', 'm', 's', 'ms') })
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), parts => {
      const text = parts.map(({ amount, unit }) => `${amount}${unit}`).join('')
      expect(parseDuration(text)).toBe(parts.reduce((sum, { amount, unit }) => sum + amount * units[unit], 0))
    }),
  )
})

const problem = (type: z.ZodType, value: unknown) => type.safeParse(value).error?.issues[0].message

test.each<[string, z.ZodType, unknown, unknown]>([
  ['a duration is milliseconds', duration(), '1m', 60_000],
  ['a null duration is 0', duration(), null, 0],
  ['a bare number is nanoseconds', duration(), 2_000_000, 2],
  ['a whole number', int(0), 7, 7],
  ['a float is truncated', int(), 7.9, 7],
  ['also below zero', int(), -7.9, -7],
  ['a null number is 0', int(), null, 0],
  ['a list of texts', texts(), ['a', 'b'], ['a', 'b']],
  ['one text is split at commas', texts(), 'a, b,c', ['a', 'b', 'c']],
])('%s', (_, type, written, parsed) => {
  expect(type.parse(written)).toEqual(parsed)
})

test.each<[string, z.ZodType, unknown, RegExp]>([
  ['a duration without a unit', duration(), '5', /`5` is no duration; write a number with a unit, such as `5s`/],
  ['a negative duration', duration(), '-1s', /must be at least 0ms/],
  ['a duration that must be positive', duration({ exclusive: true }), '0s', /must be more than 0ms/],
  ['a duration below the least', duration({ min: 100 }), '50ms', /must be at least 100ms/],
  ['a list as a duration', duration(), [], /expected a duration such as `5s`/],
  ['a text as a number', int(), '7', /expected a whole number/],
  ['a number below the least', int(1), 0, /must be at least 1/],
  ['null below the least', int(1), null, /must be at least 1/],
  ['a number as texts', texts(), 5, /expected a list of texts/],
  ['a list of numbers as texts', texts(), [5], /expected/],
])('%s is told', (_, type, written, message) => {
  expect(problem(type, written)).toMatch(message)
})

test('a secret never prints, however it is looked at, and tells its value when asked', () => {
  const { token } = z.strictObject({ token: secret() }).parse({ token: 'hunter2' })
  expect(token).toBeInstanceOf(Secret)
  const shown = [
    String(token),
    JSON.stringify({ token }),
    inspect({ token }, { depth: 9, showHidden: true }),
    Object.values(token).join(),
  ]
  for (const one of shown) expect(one).not.toContain('hunter2')
  expect(token.reveal()).toBe('hunter2')
})
