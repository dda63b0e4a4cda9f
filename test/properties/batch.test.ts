import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch } from '../../core/batch.ts'
import { mergeBatches } from '../../core/merge.ts'
import { Budget } from '../../core/budget.ts'
import { Delivery, type Answer } from '../../core/delivery.ts'
import { Lease } from '../../core/lease.ts'
import { cutGroup } from '../../proto/cut.ts'
import { encodeGroups, type Group, groupCost, groupsSize } from '../../proto/group.ts'
import { messageNamed } from '../../proto/schema.ts'
import { signals } from '../../proto/signals.ts'
import { Cursor } from '../../proto/wire.ts'
import { readRequest } from '../../proto/request.ts'
import { retained } from '../support/batches.ts'
import { type FlatItem, countOf, flatten, type Plain, requests, type Sample } from '../support/otlp.ts'

const runs = { numRuns: 300 }

/** A batch as a receiver makes it, and what came of its delivery. */
function receive({ signal, body }: Sample, budget: Budget): { batch: Batch; outcomes: Answer[] } {
  const outcomes: Answer[] = []
  const request = readRequest(signal, body)
  const size = body.length + request.charged
  budget.charge(size)
  const lease = new Lease(budget, size, request.items)
  const delivery = new Delivery(request.items, { answered: outcome => outcomes.push(outcome) })
  const context = { receiver: 'otlp', transport: 'test', peer: undefined, metadata: undefined, auth: undefined }
  return { batch: Batch.of(signal, request, context, delivery, lease), outcomes }
}

/** Samples that hold items: a batch without any is answered before it is made. */
const samples = requests().filter(({ signal, body }) => readRequest(signal, body).items > 0)

/** Items as the oracle reads them; metrics without a point are no items. */
const itemsOf = (batch: Batch): FlatItem[] =>
  flatten(batch.signal, encodeGroups(batch.groups)).filter(({ item }) => countOf(batch.signal, item) > 0)

/** The same with a metric for each data point. */
const pointsOf = (batch: Batch): FlatItem[] =>
  batch.signal === 'metrics'
    ? itemsOf(batch).flatMap(flat => points(flat.item).map(item => ({ ...flat, item })))
    : itemsOf(batch)

const kinds = ['gauge', 'sum', 'histogram', 'exponential_histogram', 'summary']
function points(metric: Plain): Plain[] {
  const kind = kinds.find(name => metric[name] !== undefined) ?? ''
  const data = metric[kind] as { data_points: unknown[] }
  return data.data_points.map(point => ({ ...metric, [kind]: { ...data, data_points: [point] } }))
}

/** That a batch's own sums agree with what it holds. */
function expectSound(batch: Batch): void {
  const items = itemsOf(batch).reduce((sum, { item }) => sum + countOf(batch.signal, item), 0)
  expect(batch.items).toBe(items)
  expect(batch.groups.reduce((sum, group) => sum + group.items, 0)).toBe(items)
  expect(batch.shares.reduce((sum, share) => sum + share.items, 0)).toBe(items)
  expect(batch.shares.reduce((sum, share) => sum + share.groups, 0)).toBe(batch.groups.length)
  expect(batch.byteLength).toBe(groupsSize(batch.groups))
}

const content = ({ bytes, start, end }: Group): Buffer => bytes.subarray(start, end)

/** How many fields of a message the schema does not have. */
function unknownFields(message: string, bytes: Buffer): number {
  const cursor = new Cursor(bytes)
  let unknown = 0
  while (cursor.at < cursor.end) {
    const tag = cursor.tag()
    cursor.skip(tag)
    if (messageNamed(message).byNumber[tag >>> 3] === undefined) unknown++
  }
  return unknown
}

const present = (...batches: (Batch | undefined)[]): Batch[] => batches.filter(batch => batch !== undefined)

test('a batch that is cut and merged again has the same items, none twice', () => {
  fc.assert(
    fc.property(samples, fc.array(fc.nat(8), { maxLength: 6 }), (sample, sizes) => {
      const { batch } = receive(sample, new Budget(1e9))
      const before = pointsOf(batch)
      const parts: Batch[] = []
      let rest: Batch | undefined = batch
      for (const size of sizes) {
        if (rest === undefined) break
        const [head, others]: [Batch, Batch | undefined] = rest.cut(size + 1)
        expectSound(head)
        expect(head.items).toBe(Math.min(size + 1, head.items + (others?.items ?? 0)))
        parts.push(head)
        rest = others
      }
      if (rest !== undefined) parts.push(rest)
      const merged = mergeBatches(parts)
      expectSound(merged)
      expect(pointsOf(merged)).toEqual(before)
    }),
    runs,
  )
})

test('both parts of a partition together are the batch', () => {
  fc.assert(
    fc.property(samples, samples, fc.array(fc.boolean(), { minLength: 1 }), (one, other, verdicts) => {
      const budget = new Budget(1e9)
      const first = receive(one, budget).batch
      const second = receive({ ...other, ...(one.signal === other.signal ? {} : one) }, budget).batch
      const batch = mergeBatches([first, second])
      const order = new Map(batch.groups.map((group, i) => [group, i]))
      const passes = (i: number): boolean => verdicts[i % verdicts.length]
      const [kept, rest] = batch.partition(group => passes(order.get(group) ?? 0))
      for (const part of present(kept, rest)) expectSound(part)
      const wanted = (want: boolean): FlatItem[] =>
        batch.groups.flatMap((group, i) =>
          passes(i) === want
            ? flatten(batch.signal, encodeGroups([group])).filter(({ item }) => countOf(batch.signal, item) > 0)
            : [],
        )
      expect(kept === undefined ? [] : itemsOf(kept)).toEqual(wanted(true))
      expect(rest === undefined ? [] : itemsOf(rest)).toEqual(wanted(false))
    }),
    runs,
  )
})

test('cut at every place, both parts have what the batch had, and what is not known', () => {
  fc.assert(
    fc.property(samples, fc.nat(), (sample, at) => {
      const { signal, groups, items } = receive(sample, new Budget(1e9)).batch
      const group = groups[at % groups.length]
      if (group.items === 0) return
      const unknown = (of: Group): number => unknownFields(signals[signal].resourceGroup, content(of))
      for (let n = 0; n <= group.items; n++) {
        const [head, rest] = cutGroup(signal, group, n)
        expect([head?.items ?? 0, rest?.items ?? 0]).toEqual([n, group.items - n])
        const of = (part: Group | undefined): FlatItem[] =>
          part === undefined ? [] : pointsOf(receive({ ...sample, body: encodeGroups([part]) }, new Budget(1e9)).batch)
        expect([...of(head), ...of(rest)]).toEqual(of(group))
        // Of the group itself: once for each part.
        for (const part of [head, rest]) if (part !== undefined) expect(unknown(part)).toBe(unknown(group))
      }
      expect(items).toBeGreaterThan(0)
    }),
    { numRuns: 150 },
  )
})

test('slices along the requests are the requests', () => {
  fc.assert(
    fc.property(fc.array(samples, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(), (list, a, b) => {
      const budget = new Budget(1e9)
      const { signal } = list[0]
      const batches = list.filter(sample => sample.signal === signal).map(sample => receive(sample, budget).batch)
      const merged = mergeBatches(batches)
      expectSound(merged)
      const from = a % batches.length
      const to = from + 1 + (b % (batches.length - from))
      const slice = merged.sliceShares(from, to)
      expectSound(slice)
      expect(itemsOf(slice)).toEqual(batches.slice(from, to).flatMap(itemsOf))
    }),
    runs,
  )
})

test('a compacted batch is the same and holds little more than its bytes', () => {
  fc.assert(
    fc.property(samples, fc.array(fc.boolean(), { minLength: 1 }), (sample, verdicts) => {
      const budget = new Budget(1e9)
      const { batch } = receive(sample, budget)
      let i = 0
      const [kept, rest] = batch.partition(() => verdicts[i++ % verdicts.length])
      rest?.drop()
      if (kept === undefined) return
      const before = itemsOf(kept)
      const compact = kept.compacted()
      expectSound(compact)
      expect(itemsOf(compact)).toEqual(before)
      expect(retained(compact)).toBeLessThanOrEqual(2 * (compact.byteLength + compact.groups.length * groupCost) + 1)
      expect(budget.used).toBe(retained(compact))
      compact.accept()
      expect(budget.used).toBe(0)
    }),
    runs,
  )
})

test('however a batch is split, each delivery ends once and all memory comes back', async () => {
  await fc.assert(
    fc.asyncProperty(samples, fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { maxLength: 5 }), async (sample, steps) => {
      const budget = new Budget(1e9)
      const { batch, outcomes } = receive(sample, budget)
      let rest: Batch | undefined = batch
      for (const [size, how] of steps) {
        if (rest === undefined) break
        const [head, others]: [Batch, Batch | undefined] = rest.cut(size + 1)
        // Of some their sender hears before they go on.
        const compact = head.compacted()
        const part = size % 2 === 0 ? compact.taken() : compact
        if (how === 0) part.accept()
        else if (how === 1) part.drop()
        else if (how === 2) part.reject('bad')
        else {
          part.fork()
          part.accept()
          part.drop()
        }
        rest = others
      }
      rest?.accept()
      await Promise.resolve()
      expect(outcomes.length).toBe(1)
      expect(outcomes[0].kind).not.toBe('refused')
      expect(budget.used).toBe(0)
    }),
    runs,
  )
})

test('withGroups keeps the count and charges what was made', () => {
  fc.assert(
    fc.property(samples, sample => {
      const budget = new Budget(1e9)
      const { batch } = receive(sample, budget)
      const before = budget.used
      const resource = Buffer.alloc(0)
      const edited = batch.withGroups(
        batch.groups.map(group => group.withResource(resource)),
        100,
      )
      expectSound(edited)
      expect(budget.used).toBe(before + 100)
      for (const { resource } of itemsOf(edited)) expect(resource).toEqual({})
      edited.accept()
      expect(budget.used).toBe(0)
    }),
    runs,
  )
})
