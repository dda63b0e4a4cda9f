import { expect, test } from 'vitest'
import { cutGroup } from '../../proto/cut.ts'
import { encodeGroups, type Group } from '../../proto/group.ts'
import { readRequest } from '../../proto/request.ts'
import { canonical, decode, encode } from '../support/otlp.ts'

const span = (name: string) => ({ name })
const only = (body: Buffer): Group => readRequest('traces', body).groups[0]
const plain = (group: Group | undefined) =>
  group && (decode('ExportTraceServiceRequest', encodeGroups([group]))['resource_spans'] as object[])[0]

const resource = { attributes: [{ key: 'k', value: { string_value: 'v' } }] }
const body = encode('ExportTraceServiceRequest', {
  resource_spans: [
    {
      resource,
      schema_url: 'group',
      scope_spans: [
        { scope: { name: 'one' }, schema_url: 'first', spans: [span('a'), span('b')] },
        { scope: { name: 'two' }, spans: [span('c')] },
      ],
    },
  ],
})
const scopes = (...lists: [string, string | undefined, string[]][]) => ({
  resource,
  schema_url: 'group',
  scope_spans: lists.map(([name, url, names]) => ({
    scope: { name },
    ...(url === undefined ? {} : { schema_url: url }),
    spans: names.map(span),
  })),
})

test.each([
  [1, scopes(['one', 'first', ['a']]), scopes(['one', 'first', ['b']], ['two', undefined, ['c']])],
  [2, scopes(['one', 'first', ['a', 'b']]), scopes(['two', undefined, ['c']])],
  [3, scopes(['one', 'first', ['a', 'b']], ['two', undefined, ['c']]), undefined],
])('the first %i items keep resource, scope and schema, and so does the rest', (items, head, rest) => {
  const [front, back] = cutGroup('traces', only(body), items)
  expect(plain(front)).toEqual(head)
  expect(plain(back)).toEqual(rest)
})

test('none at all leaves everything to the rest, as it is', () => {
  const group = only(body)
  expect(cutGroup('traces', group, 0)).toEqual([undefined, group])
})

test('an edited resource goes to both parts', () => {
  const edited = only(body).withResource(encode('Resource', { dropped_attributes_count: 3 }))
  for (const part of cutGroup('traces', edited, 1)) {
    expect(plain(part)).toMatchObject({ resource: { dropped_attributes_count: 3 } })
  }
})

test('a metric is cut between its points, and both parts say what it is', () => {
  const sum = (...values: number[]) => ({
    name: 'a',
    unit: 's',
    sum: {
      aggregation_temporality: 2,
      is_monotonic: true,
      data_points: values.map(value => ({ as_double: value })),
    },
  })
  const of = (...metrics: object[]) => ({ resource_metrics: [{ scope_metrics: [{ metrics }] }] })
  const [group] = readRequest('metrics', encode('ExportMetricsServiceRequest', of(sum(1, 2, 3, 4, 5), sum(6)))).groups
  const parts = cutGroup('metrics', group, 3).map(
    part => part && [part.items, decode('ExportMetricsServiceRequest', encodeGroups([part]))],
  )
  expect(parts).toEqual([
    [3, of(sum(1, 2, 3))],
    [3, of(sum(4, 5), sum(6))],
  ])
})

test('fields that are not known go to both parts', () => {
  const unknown = Buffer.from([0xa2, 0x06, 0x01, 0x78])
  const content = Buffer.concat([
    encode('ResourceSpans', { scope_spans: [{ spans: [span('a'), span('b')] }] }),
    unknown,
  ])
  const group = only(Buffer.concat([Buffer.from([0x0a, content.length]), content]))
  for (const part of cutGroup('traces', group, 1)) {
    expect(part && canonical('ResourceSpans', part.bytes.subarray(part.start, part.end))).toContain('a2060178')
  }
})
