import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Framer, maxGroups } from '../../proto/framer.ts'
import { encodeGroups, groupCost } from '../../proto/group.ts'
import { maxBeside, maxFields, smallItem } from '../../proto/item-limits.ts'
import { fieldCost } from '../../proto/normalise.ts'
import { NoRoomError } from '../../proto/purse.ts'
import { type Request, readRequest } from '../../proto/request.ts'
import { maxHead } from '../../proto/resource-check.ts'
import type { Signal } from '../../proto/signals.ts'
import { lengthField, repeated } from '../support/hostile.ts'
import { decode, requests } from '../support/otlp.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')
const emptyGroup = hex('0a00')
const emptyField = hex('1200')
const inGroup = (...fields: Buffer[]): Buffer => lengthField(0x0a, Buffer.concat(fields))
const inScope = (...fields: Buffer[]): Buffer => inGroup(lengthField(0x12, Buffer.concat(fields)))
const oneItem = inScope(emptyField)

/** Reads `body` `step` bytes at a time. */
function inSteps(signal: Signal, body: Buffer, step: number, budget: Budget): Request {
  const framer = new Framer(signal, body, budget)
  while (!framer.run(framer.at + step)) expect(framer.at).toBeLessThan(body.length)
  return framer
}

test('a request that is read in steps is the one that is read at once', () => {
  fc.assert(
    fc.property(requests(), fc.integer({ min: 1, max: 40 }), ({ signal, body }, step) => {
      const whole = readRequest(signal, body, new Budget(1e9))
      const pieces = inSteps(signal, body, step, new Budget(1e9))
      expect([pieces.items, pieces.charged]).toEqual([whole.items, whole.charged])
      expect(encodeGroups(pieces.groups)).toEqual(encodeGroups(whole.groups))
    }),
    { numRuns: 300 },
  )
})

test.each<[what: string, signal: Signal, body: Buffer, items: number, groups: number]>([
  ['groups without anything in them', 'logs', repeated(emptyGroup, maxGroups), 0, 0],
  ['scope groups without items', 'logs', inGroup(repeated(emptyField, 500_000)), 0, 0],
  ['items without fields', 'traces', inScope(repeated(emptyField, 500_000)), 500_000, 1],
  ['metrics without points', 'metrics', inScope(repeated(emptyField, 500_000)), 0, 1],
  ['points without fields', 'metrics', inScope(lengthField(0x12, lengthField(0x2a, repeated(emptyGroup, 9)))), 9, 1],
  [
    'a large metric of points without fields',
    'metrics',
    inScope(lengthField(0x12, lengthField(0x3a, repeated(emptyGroup, smallItem)))),
    smallItem,
    1,
  ],
  ['fields that OTLP does not have', 'logs', repeated(emptyField, 500_000), 0, 0],
  ['as many groups as there may be', 'logs', repeated(oneItem, maxGroups), maxGroups, maxGroups],
])('%s make an object per group at most, which is charged', (_, signal, body, items, groups) => {
  for (const step of [Infinity, 1000]) {
    const budget = new Budget(groups * groupCost)
    const read = inSteps(signal, body, step, budget)
    expect([read.items, read.groups.length]).toEqual([items, groups])
    expect([read.charged, budget.peak]).toEqual([groups * groupCost, groups * groupCost])
  }
})

test.each<[what: string, signal: Signal, body: Buffer, error: RegExp]>([
  ['empty groups beyond what one may have', 'logs', repeated(emptyGroup, maxGroups + 1), /more than 65536 resource gr/],
  ['groups beyond what one may have', 'logs', repeated(oneItem, maxGroups + 1), /more than 65536 resource groups/],
  [
    'a resource as large as a body',
    'logs',
    inGroup(lengthField(0x0a, Buffer.alloc(maxHead + 1))),
    /resource is larger/,
  ],
  ['a scope as large as a body', 'logs', inScope(lengthField(0x0a, Buffer.alloc(maxHead + 1))), /a scope is larger/],
  ['schema URLs again and again', 'logs', inGroup(repeated(hex('1a00'), maxBeside)), /beside its scope groups/],
  ['fields nobody knows beside items', 'logs', inScope(repeated(hex('2200'), maxBeside)), /beside its items/],
  [
    'names of a metric again and again',
    'metrics',
    inScope(lengthField(0x12, Buffer.concat([repeated(hex('0a00'), smallItem), lengthField(0x2a, Buffer.alloc(0))]))),
    /beside its data points/,
  ],
  [
    'an item of nothing but attributes',
    'logs',
    inScope(lengthField(0x12, repeated(hex('3200'), maxFields + 1))),
    /Log/,
  ],
  [
    'a point of nothing but attributes',
    'metrics',
    inScope(lengthField(0x12, lengthField(0x2a, lengthField(0x0a, repeated(hex('3a00'), maxFields + 1))))),
    /a NumberDataPoint has more than 150000 fields/,
  ],
])('%s are refused, and the charge is given back', (_, signal, body, error) => {
  const budget = new Budget(1e9)
  expect(() => readRequest(signal, body, budget)).toThrow(error)
  expect(budget.used).toBe(0)
})

test('what was accepted once is read again whatever it has grown to', () => {
  const body = repeated(oneItem, maxGroups + 1)
  expect(readRequest('logs', body)).toMatchObject({ items: maxGroups + 1, charged: (maxGroups + 1) * groupCost })
})

test('where the budget ends the request ends, before the object is made', () => {
  const budget = new Budget(100 * groupCost)
  const framer = new Framer('logs', repeated(oneItem, 101), budget)
  expect(() => framer.run(Infinity)).toThrow(NoRoomError)
  expect(framer.groups.length).toBe(100)
  framer.abandon()
  expect(budget.used).toBe(0)
})

/** A group whose resource stands twice, with `items` items. */
const doubled = (items: number): Buffer =>
  inGroup(
    lengthField(0x0a, lengthField(0x0a, lengthField(0x0a, Buffer.from('a')))),
    lengthField(0x12, repeated(emptyField, items)),
    lengthField(0x0a, lengthField(0x0a, lengthField(0x0a, Buffer.from('b')))),
  )

test('where a message stands twice only its group is written anew', () => {
  const plain = inScope(repeated(emptyField, 100_000))
  const body = Buffer.concat([plain, doubled(3), plain])
  const budget = new Budget(1e9)
  const { groups, items, charged } = readRequest('logs', body, budget)
  expect(items).toBe(200_003)
  expect(groups.map(group => group.bytes === body)).toEqual([true, false, true])
  const { resource, resourceStart, resourceEnd } = groups[1]
  const merged = decode('Resource', resource.subarray(resourceStart, resourceEnd))
  expect(merged).toEqual({ attributes: [{ key: 'a' }, { key: 'b' }] })
  expect(charged).toBe(3 * groupCost + groups[1].bytes.length)
  expect(budget.used).toBe(charged)
  // The large groups had no part in it.
  expect(budget.peak).toBeLessThan(charged + 100 * fieldCost)
})

test.each<[what: string, body: Buffer]>([
  ['a group of a million items', doubled(1_000_000)],
  ['thousands of groups', repeated(doubled(200), 5_000)],
  ['a group of many items', doubled(30_000)],
])('a message that stands twice in %s is refused before it costs memory', (_, body) => {
  const budget = new Budget(1e9)
  expect(() => readRequest('logs', body, budget)).toThrow(/too many messages stand in pieces/)
  expect(budget.used).toBe(0)
  expect(budget.peak).toBeLessThan(16 << 20)
})

test('where the budget cannot pay for merging, the request is to come again', () => {
  const budget = new Budget(10_000)
  expect(() => readRequest('logs', doubled(1000), budget)).toThrow(NoRoomError)
  expect(budget.used).toBe(0)
})
