import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { payloadOf } from '../../../extensions/file_storage/payload.ts'
import {
  aligned,
  decodeContext,
  decodeFront,
  decodeMeta,
  detailsAt,
  encodeContext,
  encodeFront,
  encodeMeta,
  findRecord,
  recordSize,
} from '../../../extensions/file_storage/record.ts'
import { decodeHeader, encodeHeader, freshMark } from '../../../extensions/file_storage/segment.ts'
import { Spans } from '../../../extensions/file_storage/spans.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { batchOf } from '../../support/batches.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

const whole = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const place = fc.integer({ min: 1, max: 2 ** 45 })
const texts = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 3 })

const drafts = fc.record({
  draft: fc.record({
    kind: fc.constantFrom('batch' as const, 'snapshot' as const),
    signal: fc.constantFrom('traces' as const, 'metrics' as const, 'logs' as const),
    at: place,
    items: whole,
    details: fc.record({ context: fc.json(), rest: fc.json() }),
    payloadLength: whole,
    payloadCrc: whole,
  }),
  seq: place,
  owners: fc.array(fc.record({ owner: whole, ordinal: place }), { maxLength: 5 }),
  offset: fc.integer({ min: 0, max: 20 }),
  padding: fc.integer({ min: 0, max: 500 }).map(n => n * 8),
})

test('a front that was written is read back, wherever it stands', () => {
  fc.assert(
    fc.property(drafts, ({ draft, seq, owners, offset, padding }) => {
      const mark = freshMark(7)
      const isFirst = offset % 2 === 0
      const front = encodeFront(draft, { seq, owners, mark, isFirst }, padding)
      const bytes = Buffer.concat([randomBytes(offset), front, randomBytes(9)])
      const read = decodeFront(bytes, offset, mark)
      const { kind, signal, at, items, payloadLength, payloadCrc } = draft
      expect(read).toMatchObject({ kind, signal, at, items, payloadLength, payloadCrc, seq, owners, isFirst })
      expect(read?.frontLength).toBe(front.length)
      expect(read?.span).toBe(recordSize(draft, owners.length) + padding)
      expect((read?.span ?? 1) % 8).toBe(0)
      if (read === undefined) return
      const { context, rest } = detailsAt(bytes, offset, read)
      expect(context).toBe(draft.details.context)
      expect(JSON.parse(rest)).toEqual(JSON.parse(draft.details.rest))
      expect(findRecord(bytes, 0, mark)).toBe(offset)
    }),
  )
})

test('a front in which a byte changed, that is cut, or that is of another segment is none', () => {
  fc.assert(
    fc.property(drafts, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ draft, seq, owners }, where, change) => {
      const mark = freshMark(7)
      const front = encodeFront(draft, { seq, owners, mark })
      const changed = Buffer.from(front)
      changed[where % front.length] ^= change
      expect(decodeFront(changed, 0, mark)).toBeUndefined()
      expect(decodeFront(front.subarray(0, where % front.length), 0, mark)).toBeUndefined()
      expect(decodeFront(front, 0, freshMark(7))).toBeUndefined()
      expect(decodeFront(front, 0, { ...mark, segment: 8 })).toBeUndefined()
    }),
  )
})

test('shares, notes and contexts come back as they were', () => {
  const maybe = <T>(what: fc.Arbitrary<T>) => fc.option(what, { nil: undefined })
  const meta = fc.record({
    shares: fc.array(fc.record({ items: whole, groups: whole })),
    note: maybe(fc.record({ owner: fc.string(), reason: fc.string(), message: fc.string({ unit: 'grapheme' }) })),
  })
  const context = fc.record({
    receiver: fc.string(),
    transport: fc.string(),
    peer: maybe(fc.string()),
    metadata: maybe(fc.array(fc.tuple(fc.string(), texts)).map(entries => new Map(entries))),
    auth: maybe(fc.array(fc.tuple(fc.string(), fc.string())).map(entries => new Map(entries))),
  })
  fc.assert(
    fc.property(meta, given => {
      expect(decodeMeta(encodeMeta(given))).toEqual(given)
    }),
  )
  fc.assert(
    fc.property(context, given => {
      expect(decodeContext(encodeContext(given))).toEqual(given)
    }),
  )
})

test('a payload is what the groups would be written as, whatever was edited, and its checksum is right', () => {
  const resources = fc.array(fc.record({ spans: fc.array(fc.string({ maxLength: 3_000 }), { maxLength: 4 }) }), {
    maxLength: 8,
  })
  fc.assert(
    fc.property(resources, fc.array(fc.integer({ min: 0, max: 5_000 })), (given, edits) => {
      const batch = batchOf(tracesRequest(given))
      const groups = batch.groups.map((group, i) => (i in edits ? group.withResource(randomBytes(edits[i])) : group))
      const payload = payloadOf(groups)
      const expected = encodeGroups(groups)
      expect(Buffer.concat(payload.slices).equals(expected)).toBe(true)
      expect(payload.length).toBe(expected.length)
      expect(payload.crc).toBe(crc32(expected))
    }),
  )
})

test('large pieces of a payload are not copied', () => {
  const batch = batchOf(tracesRequest([{ spans: ['a'.repeat(10_000)] }, { spans: ['b'.repeat(10_000)] }]))
  const { slices } = payloadOf(batch.groups)
  expect(slices).toHaveLength(1)
  expect(slices[0].buffer).toBe(batch.groups[0].bytes.buffer)
})

test('a header is read from either of its copies, and not at all when both are damaged', () => {
  const mark = freshMark(300)
  const facts = { firstSeq: 1e12, ends: [[299, 4096, 1] as const], replaces: [1, 2] }
  const block = encodeHeader(mark, facts)
  for (const damaged of [0, 2048]) {
    const half = Buffer.from(block)
    half.fill(9, damaged, damaged + 512)
    expect(decodeHeader(half)).toEqual({ mark, ...facts })
  }
  expect(decodeHeader(Buffer.alloc(4096))).toBeUndefined()
  const many = Array.from({ length: 500 }, (_, i) => [4_294_000_000 + i, 4_294_000_000, 1] as const)
  expect(decodeHeader(encodeHeader(mark, { ...facts, ends: many }))?.ends.at(-1)).toEqual(many.at(-1))
})

test('aligned numbers are the next multiple of 8', () => {
  expect([0, 1, 8, 9].map(aligned)).toEqual([0, 8, 8, 16])
})

test('spans hold what was added, as a set does', () => {
  const step = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 4 }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const spans = new Spans()
      const set = new Set<number>()
      for (const [from, more] of steps) {
        spans.add(from, from + more)
        for (let n = from; n <= from + more; n++) set.add(n)
      }
      for (let n = 1; n <= 70; n++) expect(spans.has(n), String(n)).toBe(set.has(n))
      const again = new Spans(spans.low, spans.runs)
      expect(again.has(60)).toBe(set.has(60))
      // Runs never touch, so that there are as few of them as can be.
      const edges = [spans.low, ...spans.runs]
      for (let i = 1; i < edges.length; i += 2) expect(edges[i]).toBeGreaterThan(edges[i - 1] + 1)
    }),
  )
})
