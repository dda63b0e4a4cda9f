import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  boundText,
  escapedLabelName,
  escapedMetricName,
  type Escaping,
  escapings,
  helpText,
  isPlainLabelName,
  isPlainMetricName,
  labelText,
  numberText,
  quotedText,
} from '../../../backends/prometheus/text.ts'

test.each<[string, Escaping, string]>([
  ['a.b', 'allow-utf-8', 'a.b'],
  ['a.b', 'underscores', 'a_b'],
  ['a.b_c', 'dots', 'a_dot_b__c'],
  ['a.b_c', 'values', 'U__a_2e_b__c'],
  ['1é🦊', 'underscores', '___'],
  ['1é🦊', 'dots', '______'],
  ['1é🦊', 'values', 'U___31__e9__1f98a_'],
  // What every reader takes stays as it is.
  ['a_b:c', 'dots', 'a_b:c'],
  ['a_b:c', 'values', 'a_b:c'],
])('the metric %j with %s is %j', (name, escaping, expected) => {
  expect(escapedMetricName(name, escaping)).toBe(expected)
})

test('a colon is for metrics only', () => {
  expect(escapedLabelName('a:b', 'underscores')).toBe('a_b')
  expect(escapedLabelName('a:b', 'values')).toBe('U__a_3a_b')
})

test('escaped names are names that every reader takes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      fc.constantFrom(...escapings.filter(escaping => escaping !== 'allow-utf-8')),
      (name, escaping) =>
        isPlainMetricName(escapedMetricName(name, escaping)) && isPlainLabelName(escapedLabelName(name, escaping)),
    ),
  )
})

test.each([
  [0, '0'],
  [-0, '-0'],
  [1e21, '1e+21'],
  [1e-7, '1e-7'],
  [0.1 + 0.2, '0.30000000000000004'],
  [Infinity, '+Inf'],
  [-Infinity, '-Inf'],
  [NaN, 'NaN'],
])('the number %s is %s', (value, text) => {
  expect(numberText(value)).toBe(text)
})

test.each([
  [1, '1', '1.0'],
  [-2, '-2', '-2.0'],
  [0.5, '0.5', '0.5'],
  [1e21, '1e+21', '1e+21'],
  [Infinity, '+Inf', '+Inf'],
])('the bound %s is %s, in OpenMetrics %s', (value, text, openMetrics) => {
  expect(boundText(value, false)).toBe(text)
  expect(boundText(value, true)).toBe(openMetrics)
})

test('a number is read back as it was', () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), n => Object.is(Number(numberText(n)), n)))
})

test('quotes, backslashes and line ends are escaped as each place wants it', () => {
  expect(quotedText('a"\\\n')).toBe('a\\"\\\\\\n')
  expect(helpText('a"\\\n', true)).toBe('a\\"\\\\\\n')
  expect(helpText('a"\\\n', false)).toBe('a"\\\\\\n')
})

test.each<[string, [string, string][], Escaping, string]>([
  ['none', [], 'underscores', ''],
  ['plain ones', [['a', 'x'], ['b', 'y"']], 'underscores', 'a="x",b="y\\""'], // oxfmt-ignore
  [
    'others in quotes',
    [
      ['a.b', 'x'],
      ['b', 'y'],
    ],
    'allow-utf-8',
    '"a.b"="x",b="y"',
  ],
  [
    'two that become one',
    [
      ['a.b', 'x'],
      ['a_b', 'y'],
    ],
    'underscores',
    'a_b="x;y"',
  ],
])('labels: %s', (_row, pairs, escaping, expected) => {
  expect(labelText(pairs, escaping)).toBe(expected)
})
