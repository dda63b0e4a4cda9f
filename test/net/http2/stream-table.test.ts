import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { StreamTable } from '../../../net/http2/stream-table.ts'

test('a table of streams is a Map by their numbers, however they come and go', () => {
  // How far the next number is from the last, which may also be a multiple of any table; and how many leave, from where.
  const step = fc.record({ next: fc.constantFrom(2, 2, 2, 4, 32, 64, 128, 4096), leave: fc.nat(3), from: fc.nat(1000) })
  fc.assert(
    fc.property(fc.constantFrom(1, 2), fc.array(step, { maxLength: 300 }), (first, steps) => {
      const table = new StreamTable<{ id: number }>()
      const model = new Map<number, { id: number }>()
      let id = first
      for (const { next, leave, from } of steps) {
        const stream = { id }
        table.add(stream)
        model.set(id, stream)
        for (let i = 0; i < leave && model.size > 0; i++) {
          const gone = [...model.keys()][(from + i) % model.size]
          table.delete(gone)
          model.delete(gone)
          table.delete(gone)
        }
        expect(table.size).toBe(model.size)
        for (const [one, known] of model) expect(table.get(one)).toBe(known)
        for (const one of [id + 2, id + 32, 0]) expect(table.get(one)).toBe(model.get(one))
        id += next
      }
      expect(new Set(table.values())).toEqual(new Set(model.values()))
    }),
  )
})
