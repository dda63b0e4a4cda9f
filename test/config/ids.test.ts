import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseId } from '../../config/ids.ts'

test.each([
  ['otlp', { text: 'otlp', type: 'otlp', name: undefined }],
  ['otlp/2', { text: 'otlp/2', type: 'otlp', name: '2' }],
  [' otlp / a b'.replace(' b', ''), { text: 'otlp/a', type: 'otlp', name: 'a' }],
  ['debug/a/b', { text: 'debug/a/b', type: 'debug', name: 'a/b' }],
  ['a_1/ü-ñ.x', { text: 'a_1/ü-ñ.x', type: 'a_1', name: 'ü-ñ.x' }],
  ['A'.repeat(63), { text: 'A'.repeat(63), type: 'A'.repeat(63), name: undefined }],
  [`a/${'n'.repeat(1024)}`, { text: `a/${'n'.repeat(1024)}`, type: 'a', name: 'n'.repeat(1024) }],
])('the id `%s` is legal', (text, id) => {
  expect(parseId(text)).toEqual(id)
})

test.each([
  ['', 'the id is empty'],
  ['  ', 'the id is empty'],
  ['/x', 'in the id `/x` the part before `/` is empty'],
  ['x/', 'in the id `x/` the part after `/` is empty'],
  ['x/  ', 'in the id `x/  ` the part after `/` is empty'],
  ['a b', 'in the id `a b` the type `a b` must be a letter, then letters, digits and `_`'],
  ['1a', 'in the id `1a` the type `1a` must be a letter, then letters, digits and `_`'],
  ['a-b/c', 'in the id `a-b/c` the type `a-b` must be a letter, then letters, digits and `_`'],
  ['a/b c', 'in the id `a/b c` the name must have no blanks, control or symbol characters'],
  ['a/b$', 'in the id `a/b$` the name must have no blanks, control or symbol characters'],
  ['a/b\u0007', 'in the id `a/b\u0007` the name must have no blanks, control or symbol characters'],
  [`a/${'n'.repeat(1025)}`, 'the id `a/…` has a name longer than 1024 characters'],
])('the id `%s` is refused', (text, message) => {
  expect(parseId(text)).toBe(message)
})

test('a type of 64 characters is too long', () => {
  expect(parseId('a'.repeat(64))).toContain('longer than 63 characters')
})

test('an id that was read is read the same again', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), text => {
      const id = parseId(text)
      if (typeof id !== 'string') expect(parseId(id.text)).toEqual(id)
    }),
  )
})
