import * as fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { TextTable } from '../../backends/text-table.ts'

test('a table is what a map is, while it is small and when it is large', () => {
  const table = new TextTable<number>()
  const map = new Map<string, number>()
  const same = () =>
    expect([...table.values()].toSorted((a, b) => a - b)).toEqual([...map.values()].toSorted((a, b) => a - b))
  const step = (text: string, value: number | undefined) => {
    if (value === undefined) expect(table.delete(text)).toBe(map.delete(text))
    else {
      table.set(text, value)
      map.set(text, value)
    }
    expect(table.size).toBe(map.size)
  }
  for (let i = 0; i < 100_000; i++) step(`id="${i}"`, i)
  same()
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 120_000 }), fc.option(fc.nat(), { nil: undefined }), (i, value) => {
      step(`id="${i}"`, value)
      expect(table.get(`id="${i}"`)).toBe(map.get(`id="${i}"`))
    }),
    { numRuns: 5000 },
  )
  same()
  for (let i = 0; i <= 120_000; i++) step(`id="${i}"`, undefined)
  same()
  step('again', 1)
  same()
})

test('the first entries keep their order', () => {
  const table = new TextTable<number>()
  for (let i = 0; i < 30_000; i++) table.set(String(i), i)
  expect([...table.values()]).toEqual(Array.from({ length: 30_000 }, (_, i) => i))
})

test('none of the maps behind a million entries grows large', () => {
  let largest = 0
  class Watched<K, V> extends Map<K, V> {
    override set(key: K, value: V): this {
      super.set(key, value)
      largest = Math.max(largest, this.size)
      return this
    }
  }
  vi.stubGlobal('Map', Watched)
  const table = new TextTable<number>()
  try {
    for (let i = 0; i < 1_000_000; i++) table.set(`id="${i}"`, i)
  } finally {
    vi.unstubAllGlobals()
  }
  expect(table.size).toBe(1_000_000)
  expect(largest).toBeLessThan(65_536)
  expect(largest).toBeGreaterThan(10_000)
})
