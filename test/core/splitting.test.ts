/** Batches parted by a key of their items, held against protobufjs: nothing is lost, nothing is changed. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch } from '../../core/batch.ts'
import { Budget } from '../../core/budget.ts'
import { type Answer, Delivery } from '../../core/delivery.ts'
import { Lease } from '../../core/lease.ts'
import { mergeBatches } from '../../core/merge.ts'
import { splitBatch } from '../../core/splitting.ts'
import { encodeGroups } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import { WireError } from '../../proto/wire.ts'
import { retained } from '../support/batches.ts'
import { names, spanNames, tracesRequest } from '../support/otlp-bytes.ts'
import { countOf, flatten, requests, type Sample } from '../support/otlp.ts'

const origin = { receiver: 'r', transport: 't', peer: undefined, metadata: undefined, auth: undefined }
const turn = () => new Promise(resolve => setImmediate(resolve))

function received({ signal, body }: Pick<Sample, 'signal' | 'body'>, budget: Budget) {
  const answers: Answer[] = []
  const request = readRequest(signal, body)
  budget.charge(body.length)
  const delivery = new Delivery(request.items, { answered: one => answers.push(one) })
  return { batch: Batch.of(signal, request, origin, delivery, new Lease(budget, body.length, request.items)), answers }
}

/** A key that depends on the item alone. */
const keyOf =
  (keys: number) =>
  (bytes: Buffer, start: number, end: number): string => {
    let sum = end - start
    for (let at = start; at < end; at++) sum += bytes[at]
    return String(sum % keys)
  }

test('the parts are all of it, each item once, with its resource and scope; each delivery ends once', async () => {
  const samples = fc.record({
    list: fc.array(requests(), { minLength: 1, maxLength: 3 }),
    keys: fc.integer({ min: 1, max: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(samples, async ({ list, keys }) => {
      const { signal } = list[0]
      const budget = new Budget(1 << 30)
      const all = list.filter(one => one.signal === signal).map(one => received(one, budget))
      const batches = all.map(({ batch }) => batch).filter(({ items }) => items > 0)
      if (batches.length === 0) return
      const whole = mergeBatches(batches)
      // A metric without points is no item: by itself it is in no part.
      const textsOf = (body: Buffer): string[] =>
        flatten(signal, body).flatMap(one => (countOf(signal, one.item) === 0 ? [] : [JSON.stringify(one)]))
      const before = textsOf(encodeGroups(whole.groups))
      const split = splitBatch(whole, keyOf(keys), budget)
      const parts = [...(split?.parts.values() ?? [])]
      expect(split?.malformed).toBeUndefined()
      const after = parts.flatMap(part => textsOf(encodeGroups(part.groups)))
      expect(after.toSorted()).toEqual(before.toSorted())
      for (const part of parts) expect(part.items).toBe(part.shares.reduce((sum, one) => sum + one.items, 0))
      for (const part of parts) part.accept()
      await turn()
      for (const { answers, batch } of all) expect(answers).toHaveLength(batch.items === 0 ? answers.length : 1)
      for (const { batch } of all) if (batch.items === 0) batch.release({ kind: 'done' })
    }),
    { numRuns: 150 },
  )
})

test('with one key the part is the batch itself', () => {
  const budget = new Budget(1 << 20)
  const { batch } = received({ signal: 'traces', body: tracesRequest([{ spans: ['a', 'b'] }]) }, budget)
  expect(splitBatch(batch, () => 'k', budget)?.parts.get('k')).toBe(batch)
})

test('what is split has memory of its own, charged, and lets go of what it was in', () => {
  const budget = new Budget(1 << 26)
  const body = tracesRequest([{ spans: ['x'.repeat(4 << 20), 'b'] }])
  const { batch } = received({ signal: 'traces', body }, budget)
  let at = 0
  const split = splitBatch(batch, () => String(at++), budget)
  const [large, small] = [...(split?.parts.values() ?? [])]
  expect(budget.used).toBe(retained(large))
  expect(small.shares[0].lease).toBe(large.shares[0].lease)
  large.accept()
  small.accept()
  expect(budget.used).toBe(0)
})

test('an item that cannot be read is a part by itself; another throw leaves all as it was', () => {
  const budget = new Budget(1 << 20)
  const { batch } = received({ signal: 'traces', body: tracesRequest([{ spans: names('s', 4) }]) }, budget)
  let at = 0
  const split = splitBatch(
    batch,
    () => {
      if (at++ === 1) throw new WireError('broken')
      return `${at % 2}`
    },
    budget,
  )
  expect(split?.malformed?.items).toBe(1)
  expect([...(split?.parts ?? [])].map(([key, part]) => [key, spanNames(encodeGroups(part.groups))])).toEqual([
    ['1', ['s0', 's2']],
    ['0', ['s3']],
  ])
  const other = received({ signal: 'traces', body: tracesRequest([{ spans: names('s', 2) }]) }, budget)
  const used = budget.used
  expect(() =>
    splitBatch(
      other.batch,
      () => {
        throw new Error('boom')
      },
      budget,
    ),
  ).toThrow('boom')
  expect(budget.used).toBe(used)
})

test('without memory nothing is split', () => {
  const budget = new Budget(1 << 20)
  const { batch } = received({ signal: 'traces', body: tracesRequest([{ spans: ['a', 'b'] }]) }, budget)
  budget.limit = budget.used
  let at = 0
  expect(splitBatch(batch, () => String(at++), budget)).toBeUndefined()
  batch.accept()
  expect(budget.used).toBe(0)
})
