import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Batch } from '../../core/batch.ts'
import { mergeBatches } from '../../core/merge.ts'
import { partsOf, without } from '../../core/parts.ts'
import { encodeGroups } from '../../proto/group.ts'
import { batchOf } from '../support/exporting.ts'
import { spanNames, tracesRequest } from '../support/otlp-bytes.ts'

/** A batch of requests, each of groups with so many spans; the name of a span says where it is. */
const batchFrom = (requests: readonly (readonly number[])[]): Batch =>
  mergeBatches(
    requests.map((groups, r) =>
      batchOf(
        tracesRequest(groups.map((spans, g) => ({ spans: Array.from({ length: spans }, (_, i) => `${r}.${g}.${i}`) }))),
      ),
    ),
  )
const namesOf = (batch: Batch): string[] => spanNames(encodeGroups(batch.groups))
const requests = fc.array(fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 })

test('parts by any key together are the batch, and each request has as many items in them as it had', () => {
  fc.assert(
    fc.property(requests, fc.integer({ min: 1, max: 4 }), (given, keys) => {
      const batch = batchFrom(given)
      const parts = partsOf(batch, group => batch.groups.indexOf(group) % keys)
      const all = [...parts.values()]
      expect(all.flatMap(namesOf).toSorted()).toEqual(namesOf(batch).toSorted())
      for (const { delivery, items } of batch.shares) {
        const mine = all.flatMap(part => part.shares).filter(share => share.delivery === delivery)
        expect(mine.reduce((sum, share) => sum + share.items, 0)).toBe(items)
      }
      for (const part of all) {
        expect(part.shares.reduce((sum, share) => sum + share.groups, 0)).toBe(part.groups.length)
        expect(part.items).toBe(namesOf(part).length)
      }
    }),
  )
})

test('what is left without some parts is the others, whatever the order they go in', () => {
  fc.assert(
    fc.property(requests, fc.integer({ min: 1, max: 4 }), fc.boolean(), (given, keys, backwards) => {
      const batch = batchFrom(given)
      const parts = [...partsOf(batch, group => batch.groups.indexOf(group) % keys).values()]
      if (backwards) parts.reverse()
      let rest = batch
      for (const [i, part] of parts.entries()) {
        rest = without(rest, part)
        expect(namesOf(rest).toSorted()).toEqual(
          parts
            .slice(i + 1)
            .flatMap(namesOf)
            .toSorted(),
        )
      }
      // Where there was nothing, nothing was taken out.
      expect(rest.items).toBe(0)
      if (batch.items > 0) expect(rest.shares).toEqual([])
    }),
  )
})

test('where all goes the same way the part is the batch itself', () => {
  const batch = batchFrom([[1, 2], [3]])
  expect(partsOf(batch, () => 'all').get('all')).toBe(batch)
})

test('what is no part of the batch is told apart: nothing of it is taken out', () => {
  const batch = batchFrom([[2, 2]])
  const [head] = batch.cut(1)
  expect(() => without(batch, head)).toThrow('are not')
  expect(() => without(batch, batchFrom([[2]]))).toThrow('are not')
})
