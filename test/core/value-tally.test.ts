import { expect, test } from 'vitest'
import { mostValues, otherValues, ValueTally } from '../../core/value-tally.ts'
import { readRequest } from '../../proto/request.ts'
import { noAttribute, notShown } from '../../proto/sample.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { encode } from '../support/otlp.ts'

const groupsOf = (...resources: { namespace?: string; spans: string[] }[]) =>
  readRequest('traces', tracesRequest(resources)).groups
const counts = (tally: ValueTally) => Object.fromEntries([...tally.all()].map(({ value, items }) => [value, items]))

test('items are counted by value, and apart where the resource has none or an empty one', () => {
  const tally = new ValueTally('k8s.namespace.name')
  const shop = { namespace: 'shop', spans: names('s', 3) }
  tally.add(
    groupsOf(shop, { namespace: 'cart', spans: ['c'] }, { spans: ['x', 'y'] }, { namespace: '', spans: ['z'] }),
    true,
  )
  tally.add(groupsOf(shop), true)
  expect(counts(tally)).toEqual({ shop: 6, cart: 1, [noAttribute]: 3 })
})

test.each([
  ['a number', { int_value: 5 }, '5'],
  ['a long text', { string_value: 'x'.repeat(500) }, `${'x'.repeat(120)}…`],
])('%s is a value as it is shown', (_, value, shown) => {
  const body = encode('ExportTraceServiceRequest', {
    resource_spans: [{ resource: { attributes: [{ key: 'a', value }] }, scope_spans: [{ spans: [{ name: 'a' }] }] }],
  })
  const tally = new ValueTally('a')
  tally.add(readRequest('traces', body).groups, true)
  expect(counts(tally)).toEqual({ [shown]: 1 })
})

test('values beyond the most are counted as one, and those that were there before go on', () => {
  const tally = new ValueTally('k8s.namespace.name')
  for (let i = 0; i < 10_000; i++) tally.add(groupsOf({ namespace: `n${i}`, spans: ['s'] }), true)
  tally.add(groupsOf({ namespace: 'n0', spans: names('s', 9) }), true)
  const all = counts(tally)
  expect(Object.keys(all)).toHaveLength(mostValues + 1)
  expect([all['n0'], all[otherValues]]).toEqual([10, 10_000 - mostValues])
})

test('values that may not be shown are not kept', () => {
  const tally = new ValueTally('k8s.namespace.name')
  tally.add(groupsOf({ namespace: 'secret', spans: ['a', 'b'] }), false)
  expect(counts(tally)).toEqual({ [notShown]: 2 })
})
