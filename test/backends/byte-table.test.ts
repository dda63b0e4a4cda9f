import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteTable, viewOf } from '../../backends/byte-table.ts'

/** The number of a key, added where it is not there. */
function numberOf(table: ByteTable, key: Buffer, salt: number): number {
  // Not at the start of its buffer, so that offsets count.
  const bytes = Buffer.concat([Buffer.from('xyz'), key, Buffer.from('uvw')])
  const view = viewOf(bytes)
  const hash = table.hash(view, 3, 3 + key.length, salt)
  const found = table.find(hash, view, 3, 3 + key.length, salt)
  return found >= 0 ? found : table.add(hash, bytes, 3, 3 + key.length, salt)
}

test('each key has one number, and each number one key', () => {
  const key = fc.tuple(fc.string({ maxLength: 9 }), fc.integer({ min: -1, max: 1 }))
  fc.assert(
    fc.property(fc.array(key, { maxLength: 600 }), keys => {
      const table = new ByteTable()
      const wanted = new Map<string, number>()
      for (const [text, salt] of keys) {
        const name = `${salt} ${text}`
        if (!wanted.has(name)) wanted.set(name, wanted.size)
        expect(numberOf(table, Buffer.from(text), salt)).toBe(wanted.get(name))
      }
      expect(table.size).toBe(wanted.size)
    }),
    { numRuns: 50 },
  )
})

test('keys beyond the first room are found, and none after clearing', () => {
  const table = new ByteTable()
  const keys = Array.from({ length: 50_000 }, (_, i) => Buffer.from(`key ${i}`))
  const numbers = keys.map(key => numberOf(table, key, 7))
  const kept = numbers.filter(number => number >= 0)
  expect(new Set(kept).size).toBe(kept.length)
  // By chance a few find no place near their own, which a larger table has for them, or lose it.
  const again = keys.map(key => numberOf(table, key, 7))
  const moved = again.filter((number, i) => number !== numbers[i]).length
  expect(keys.length - kept.length + moved).toBeLessThan(20)
  table.clear()
  const view = viewOf(keys[0])
  expect(table.find(table.hash(view, 0, 5, 7), view, 0, 5, 7)).toBe(-1)
  expect([table.size, table.used]).toEqual([0, 0])
})

test('a number kept for something else belongs to no key', () => {
  const table = new ByteTable()
  const first = numberOf(table, Buffer.from('a'), 0)
  const reserved = table.reserve()
  const keys = Array.from({ length: 1000 }, (_, i) => Buffer.from(`${i}`))
  const numbers = keys.map(key => numberOf(table, key, 0))
  expect([first, ...numbers]).not.toContain(reserved)
  expect(keys.map(key => numberOf(table, key, 0))).toEqual(numbers)
})

test('keys made to collide cost a bounded look, and are not kept', () => {
  const table = new ByteTable()
  const bytes = Buffer.from('abcdefghijklmnopqrstuvwxyz'.repeat(3))
  const added = Array.from({ length: 60 }, (_, i) => table.add(12, bytes, i, i + 10, 0))
  expect(added.filter(number => number < 0).length).toBeGreaterThan(0)
  expect(table.find(12, viewOf(bytes), 0, 10, 0)).toBe(0)
})
