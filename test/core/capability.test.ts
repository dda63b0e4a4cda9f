import { expect, test } from 'vitest'
import { Capability, finderFor, offered, offeredBy } from '../../core/capability.ts'

const numbers = new Capability<number>('source of numbers')
const words = new Capability<string>('source of words')
const uses = [{ path: 'auth.number', id: 'keys', needs: numbers.name }]
const find = (extensions: Record<string, { offers?: readonly ReturnType<typeof offered>[] }>, path = true) =>
  finderFor({ id: 'otlp/2', ...(path ? { uses } : {}) }, id => extensions[id])

test('what an extension offers is found by its key', () => {
  const both = { offers: [offered(numbers, () => 7), offered(words, () => 'seven')] }
  const found: [number, string] = [find({ keys: both })('keys', numbers), find({ keys: both })('keys', words)]
  expect(found).toEqual([7, 'seven'])
  expect(offeredBy({}, numbers)).toBeUndefined()
})

test('what cannot be had yet says so itself, each time it is asked for', () => {
  let started = false
  const late = offered(numbers, () => {
    if (!started) throw new Error('`keys` has not started')
    return 7
  })
  const extension = find({ keys: { offers: [late] } })
  expect(() => extension('keys', numbers)).toThrow('`keys` has not started')
  started = true
  expect(extension('keys', numbers)).toBe(7)
})

test.each<[string, Parameters<typeof find>, string]>([
  [
    'is not running',
    [{}],
    'otlp/2: `auth.number` names keys, which is not running; configure it under `extensions` and list it in `service.extensions`',
  ],
  [
    'offers nothing',
    [{ keys: {} }],
    'otlp/2: `auth.number` names keys, which is no source of numbers; it offers nothing',
  ],
  [
    'offers something else',
    [{ keys: { offers: [offered(words, () => '')] } }],
    'otlp/2: `auth.number` names keys, which is no source of numbers; it is a source of words',
  ],
  [
    'no key of the configuration names',
    [{ keys: {} }, false],
    'otlp/2: the extension keys is no source of numbers; it offers nothing',
  ],
])('an extension that %s is told with both ids and what there is', (_, given, message) => {
  expect(() => find(...given)('keys', numbers)).toThrow(message)
})
