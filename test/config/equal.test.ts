import { expect, test } from 'vitest'
import { sameValue } from '../../config/equal.ts'
import { Secret } from '../../core/fields.ts'

class Toy {
  readonly size: number
  constructor(size: number) {
    this.size = size
  }
}

test.each<[string, unknown, unknown]>([
  ['equal numbers', 1, 1],
  ['NaN and NaN', NaN, NaN],
  ['sections whose keys stand in another order', { a: 1, b: [2] }, { b: [2], a: 1 }],
  ['a key that is undefined and one that is not there', { a: 1, b: undefined }, { a: 1 }],
  ['equal secrets', new Secret('x'), new Secret('x')],
  ['equal patterns', /a/i, /a/i],
  ['equal addresses', new URL('http://a'), new URL('http://a/')],
  ['equal maps', new Map([['a', { b: 1 }]]), new Map([['a', { b: 1 }]])],
  ['equal sets', new Set([1]), new Set([1])],
  ['equal objects of one class', new Toy(1), new Toy(1)],
])('%s are the same', (_, a, b) => {
  expect(sameValue(a, b)).toBe(true)
  expect(sameValue(b, a)).toBe(true)
})

test.each<[string, unknown, unknown]>([
  ['a number and its text', 1, '1'],
  ['nothing and an empty section', null, {}],
  ['a list and a section with its indices', ['a'], { 0: 'a' }],
  ['lists in another order', [1, 2], [2, 1]],
  ['a section with one more key', { a: 1 }, { a: 1, b: 2 }],
  ['different secrets', new Secret('x'), new Secret('y')],
  ['patterns with other flags', /a/, /a/i],
  ['addresses of other hosts', new URL('http://a'), new URL('http://b')],
  ['maps with other values', new Map([['a', 1]]), new Map([['a', 2]])],
  ['objects of two classes', new Toy(1), { size: 1 }],
  ['objects that show nothing of themselves', new WeakSet(), new WeakSet()],
  ['functions, of which nobody knows what they do', () => 1, () => 1],
])('%s are not the same', (_, a, b) => {
  expect(sameValue(a, b)).toBe(false)
  expect(sameValue(b, a)).toBe(false)
})
