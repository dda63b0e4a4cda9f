/** The expressions that the search for the dearest input works with. */
import { expect, test } from 'vitest'
import { Random } from '../support/otlp.ts'
import { pack } from './dearest-cost.ts'
import { seeds } from './dearest-seeds.ts'
import { mutate, smaller } from './dearest-mutate.ts'
import { type Expr, largest, make, sizeOf } from './grammar.ts'
import { finds } from './rows-dearest.ts'
import { attacks } from './table.ts'

test.each<[what: string, expr: Expr, text: string]>([
  ['text', 'abc', '616263'],
  ['bytes', 'hex:0a00', '0a00'],
  ['repetition', ['times', 3, 'a'], '616161'],
  ['sequence', ['all', 'a', ['times', 2, 'b']], '616262'],
  ['a field', ['field', 2, 'a'], '120161'],
  ['fields in fields', ['deep', 2, 1, 'a'], '0a030a0161'],
  ['text within text', ['between', 2, '[', '1', ']'], '5b5b315d5d'],
  ['numbered texts', ['count', 3, 'k', ','], '6b302c6b312c6b322c'],
  ['different attributes', ['keys', 1, 6, 'k'], '32090a026b3012030a0176'],
])('%s is written as it is meant', (_, expr, hex) => {
  expect(make(expr).toString('hex')).toBe(hex)
})

test('every seed is made, is as long as was said, and is what its text says', () => {
  for (const { body } of seeds) {
    const bytes = make(body)
    expect(bytes.length).toBeGreaterThan(0)
    expect(sizeOf(body)).toBe(bytes.length)
    expect(JSON.parse(JSON.stringify(body))).toEqual(body)
  }
})

test('mutation keeps to the limits, and one seed gives one row of mutants', () => {
  const row = () => {
    const random = new Random(5)
    return Array.from({ length: 300 }, (_, i) => {
      const { body, language } = seeds[i % seeds.length]
      const donor = seeds.filter(seed => seed.language === language)[i % 7]
      return mutate(random, body, language, donor.body)
    })
  }
  const mutants = row()
  expect(row()).toEqual(mutants)
  expect(mutants.filter((mutant, i) => mutant !== seeds[i % seeds.length].body).length).toBeGreaterThan(250)
  for (const mutant of mutants) expect(sizeOf(mutant)).toBeLessThanOrEqual(largest)
})

test('what is tried to make a find smaller is smaller', () => {
  for (const { body } of seeds) for (const less of smaller(body)) expect(sizeOf(less)).toBeLessThanOrEqual(sizeOf(body))
})

test('what was found can be made again', () => {
  for (const find of finds) expect(pack(find).inflated).toBe(find.cost.inflated)
})

test('every attack has a name of its own', () => {
  const names = attacks.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})
