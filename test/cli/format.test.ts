import { expect, test } from 'vitest'
import { alignRight, clock, count, cut, printable, since, size, span } from '../../cli/format.ts'

test.each([
  [0, '0'],
  [0.04, '0.0'],
  [4.25, '4.3'],
  [12.6, '13'],
  [999, '999'],
  [1000, '1.0k'],
  [99_949, '99.9k'],
  [999_949, '1000k'],
  [999_950, '1.0M'],
  [4_500_000_000, '4.5G'],
])('%d items are %s', (n, text) => {
  expect(count(n)).toBe(text)
})

test.each([
  [0.4, '0.4ms'],
  [12.3, '12ms'],
  [999, '999ms'],
  [3400, '3.4s'],
  [65_000, '65s'],
  [300_000, '5m'],
  [7_200_000, '2h'],
  [300_000_000, '3d'],
])('%d ms are %s', (milliseconds, text) => {
  expect(span(milliseconds)).toBe(text)
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [3_400_000, '3.2 MiB'],
  [1024 ** 3 - 1, '1.0 GiB'],
  [500 * 1024 ** 3, '500 GiB'],
  [Infinity, 'any amount'],
])('%d bytes are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text)
})

test('a time of today has no day, another one has', () => {
  const now = new Date(2026, 10, 20, 15, 4, 5)
  expect(clock(new Date(2026, 10, 20, 9, 0, 1).toISOString(), now)).toBe('09:00:01')
  expect(clock(new Date(2026, 10, 19, 23, 0, 1).toISOString(), now)).toBe('2026-11-19 23:00:01')
  expect(since(new Date(now.getTime() - 3000).toISOString(), now.getTime())).toBe('3s')
  expect([clock(null), since(null)]).toEqual(['', ''])
})

test('what a terminal would obey does not reach it', () => {
  expect(printable('a\u001b[2Jb\r\nc\u009b31m\u2028d')).toBe('a [2Jb c 31m d')
  expect(printable('user\u202egpj.exe\u2066\u200f')).toBe('user gpj.exe ')
})

test('text that is too long is cut, and says so', () => {
  expect([cut('abcdef', 6), cut('abcdefg', 6)]).toEqual(['abcdef', 'abcde…'])
})

test('columns of numbers stand right', () => {
  expect(
    alignRight(
      ['N', 'NAME'],
      [
        ['1', 'a'],
        ['100', 'b'],
      ],
      new Set([0]),
    ),
  ).toEqual({
    headings: ['  N', 'NAME'],
    rows: [
      ['  1', 'a'],
      ['100', 'b'],
    ],
  })
})
