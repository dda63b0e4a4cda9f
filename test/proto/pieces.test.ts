import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { PaidMemory } from '../../core/paid-memory.ts'
import { encodeGroups } from '../../proto/group.ts'
import { type Piece, pieceLimits } from '../../proto/gathering.ts'
import { piecesOf } from '../../proto/pieces.ts'
import { NoRoomError } from '../../proto/purse.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { lengthField, repeated } from '../support/hostile.ts'
import { countOf, encode, flatten, type FlatItem } from '../support/otlp.ts'

const field = (text: string): Buffer => Buffer.from(text, 'hex')
const resource = encode('ResourceLogs', { resource: { attributes: [{ key: 'service.name' }] }, schema_url: 'r' })
const scopes = (name: string, items: Buffer): Buffer =>
  lengthField(0x12, Buffer.concat([encode('ScopeLogs', { scope: { name } }), items, field('1a0173')]))
const group = (...fields: Buffer[]): Buffer => lengthField(0x0a, Buffer.concat([resource, ...fields]))

/** Items with names that differ, to see their order. */
const records = (n: number, size = 4): Buffer =>
  Buffer.concat(
    Array.from({ length: n }, (_, i) =>
      encode('ScopeLogs', { log_records: [{ severity_text: String(i).padStart(size, '.') }] }),
    ),
  )
const points = (n: number): Buffer =>
  Buffer.concat(Array.from({ length: n }, (_, i) => encode('Sum', { data_points: [{ as_int: i + 1 }] })))
const sum = (n: number): Buffer =>
  lengthField(
    0x12,
    Buffer.concat([
      encode('Metric', { name: 'm', unit: 's' }),
      lengthField(0x3a, Buffer.concat([encode('Sum', { is_monotonic: true, aggregation_temporality: 2 }), points(n)])),
      encode('Metric', { description: 'd' }),
    ]),
  )

const cut = (signal: Signal, body: Buffer, budget: Budget): Piece[] => {
  const { groups } = readRequest(signal, body, budget)
  return [...piecesOf(signal, groups, new PaidMemory(budget))].filter(piece => piece !== undefined)
}

/** What there is, in order; of a metric each point apart. */
function flat(signal: Signal, body: Buffer): unknown[] {
  return flatten(signal, body).flatMap(one => (signal === 'metrics' ? pointsOf(one) : [one]))
}

function pointsOf(one: FlatItem): unknown[] {
  const { sum, ...metric } = one.item as { sum?: { data_points?: unknown[] } }
  if (sum === undefined) return [one]
  const { data_points: all = [], ...data } = sum
  return all.map(point => ({ ...one, item: { ...metric, sum: { ...data, point } } }))
}

test('a group of one large item is a piece as it stands; one with much beside it is cut', () => {
  const budget = new Budget(1 << 30)
  const large = records(1, 3_000_000)
  const alone = group(scopes('a', large))
  const small = group(scopes('b', records(3)))
  const { groups } = readRequest('logs', Buffer.concat([small, alone, small]), budget)
  const pieces = [...piecesOf('logs', groups, new PaidMemory(budget))].filter(piece => piece !== undefined)
  expect(pieces.map(piece => piece.groups)).toEqual([[groups[0]], [groups[1]], [groups[2]]])
  expect(pieces.every(({ body }) => body === undefined)).toBe(true)
  const [beside] = cut('logs', group(scopes('a', large), repeated(field('1200'), 100)), budget)
  expect(beside.body).toBeDefined()
})

test.each<[what: string, signal: Signal, body: Buffer, pieces: number]>([
  ['a small request is one piece', 'logs', group(scopes('a', records(9))), 1],
  ['a group of many items', 'logs', group(scopes('a', records(40_000))), 20],
  ['a group of many bytes', 'logs', group(scopes('a', records(50, 100_000))), 10],
  [
    'a group of many scopes',
    'logs',
    group(...Array.from({ length: 20_000 }, (_, i) => scopes(`s${i}`, records(1)))),
    10,
  ],
  [
    'large and small scopes in turn, among groups that are small',
    'logs',
    Buffer.concat([
      group(scopes('a', records(9))),
      group(
        scopes('a', records(3)),
        scopes('b', records(20_000)),
        scopes('c', records(2)),
        scopes('d', records(9_000)),
      ),
      group(scopes('z', records(9))),
    ]),
    17,
  ],
  ['many small groups', 'logs', repeated(group(scopes('a', records(1))), pieceLimits.groups + 1), 2],
  ['items larger than a piece', 'logs', group(scopes('a', records(3, pieceLimits.bytes + 9))), 3],
  ['a metric of many points', 'metrics', group(scopes('a', sum(40_000))), 20],
  [
    'metrics of many and of few points',
    'metrics',
    group(scopes('a', Buffer.concat([sum(3), sum(20_000), sum(5)]))),
    10,
  ],
])('%s: the pieces hold what the request holds, in order, each with its resource and scope', (_, signal, body, n) => {
  const budget = new Budget(1e9)
  const pieces = cut(signal, body, budget)
  expect(pieces).toHaveLength(n)
  for (const { groups, items } of pieces) {
    const bytes = encodeGroups(groups)
    expect(items).toBe(flatten(signal, bytes).reduce((all, { item }) => all + countOf(signal, item), 0))
    if (items > 1) expect(items).toBeLessThanOrEqual(pieceLimits.items)
    if (items > 1) expect(bytes.length).toBeLessThan(pieceLimits.bytes + 4096)
    expect(groups.length).toBeLessThanOrEqual(pieceLimits.groups)
    // What the groups say of themselves is what stands there.
    expect(readRequest(signal, bytes).items).toBe(items)
  }
  const all = Buffer.concat(pieces.map(({ groups }) => encodeGroups(groups)))
  expect(flat(signal, all)).toEqual(flat(signal, body))
})

test('what a piece is copied into is charged before, and nothing else stays charged', () => {
  const budget = new Budget(1e9)
  const body = group(scopes('a', records(40_000)))
  const { groups, charged } = readRequest('logs', body, budget)
  const memory = new PaidMemory(budget)
  for (const piece of piecesOf('logs', groups, memory)) if (piece?.body) memory.give(piece.body)
  expect(budget.used).toBe(charged)
  budget.limit = budget.used + 1000
  expect(() => [...piecesOf('logs', groups, memory)]).toThrow(NoRoomError)
  expect(budget.used).toBe(charged)
})

test('a large resource over a multitude of empty items is not written again for ever', () => {
  const large = encode('ResourceLogs', { resource: { attributes: [{ key: 'k'.repeat(900_000) }] } })
  const body = lengthField(0x0a, Buffer.concat([large, scopes('a', repeated(field('1200'), 2_000_000))]))
  const budget = new Budget(1e9)
  const { groups, charged } = readRequest('logs', body, budget)
  const memory = new PaidMemory(budget)
  let bytes = 0
  expect(() => {
    for (const piece of piecesOf('logs', groups, memory)) {
      bytes += piece?.body?.length ?? 0
      if (piece?.body) memory.give(piece.body)
    }
  }).toThrow(/resource and scope are large and the items small/)
  expect(bytes).toBeLessThan(3 * body.length)
  expect(budget.used).toBe(charged)
})
