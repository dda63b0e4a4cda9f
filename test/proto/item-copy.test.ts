import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ItemCopier } from '../../proto/item-copy.ts'
import { readRequest } from '../../proto/request.ts'
import type { Signal } from '../../proto/signals.ts'
import { ItemCursor } from '../../proto/views.ts'
import { decode, encode, type Plain } from '../support/otlp.ts'

const text = (key: string, string_value: string) => ({ key, value: { string_value } })
const messages = {
  traces: ['ExportTraceServiceRequest', 'resource_spans', 'scope_spans', 'spans'],
  logs: ['ExportLogsServiceRequest', 'resource_logs', 'scope_logs', 'log_records'],
  metrics: ['ExportMetricsServiceRequest', 'resource_metrics', 'scope_metrics', 'metrics'],
} as const

/** Every item of a request as a request of its own. */
function copies(signal: Signal, body: Buffer) {
  return readRequest(signal, body).groups.flatMap(group => {
    const copier = new ItemCopier(signal, group)
    const cursor = new ItemCursor().set(group)
    const found = []
    while (cursor.nextScope()) while (cursor.nextItem()) found.push(copier.copy(cursor))
    return found
  })
}

const requestOf = (signal: Signal, resource: Plain, scope: Plain, items: readonly Plain[]): Plain => {
  const [, groups, scopes, list] = messages[signal]
  return { [groups]: [{ resource, schema_url: 'group', [scopes]: [{ scope, schema_url: 'scope', [list]: items }] }] }
}

const resource = { attributes: [text('service.name', 'shop')] }
const scope = { name: 'lib', version: '1', attributes: [text('in', 'scope')] }

test.each<[Signal, Plain[]]>([
  ['traces', [{ name: 'a', attributes: [text('k', 'v')] }, { name: 'b' }]],
  ['logs', [{ body: { string_value: 'a' } }, { severity_text: 'b' }]],
  [
    'metrics',
    [
      { name: 'a', gauge: { data_points: [{ as_int: '1' }, { as_int: '2' }] } },
      { name: 'b', sum: {} },
    ],
  ],
])('an item of %s is a request of its own, with its resource, its scope and their schemas', (signal, items) => {
  const [message] = messages[signal]
  const body = encode(message, requestOf(signal, resource, scope, items))
  const found = copies(signal, body)
  // A metric without points is no item, and stands there all the same.
  expect(found.map(({ request }) => decode(message, request))).toEqual(
    items.map(item => decode(message, encode(message, requestOf(signal, resource, scope, [item])))),
  )
  expect(found.map(({ cutFrom }) => cutFrom)).toEqual(items.map(() => undefined))
})

test('a copy has memory of its own', () => {
  const body = encode('ExportTraceServiceRequest', requestOf('traces', resource, scope, [{ name: 'a' }]))
  const [{ request }] = copies('traces', body)
  const before = Buffer.from(request)
  body.fill(0)
  expect(request).toEqual(before)
})

test('an edited resource is what is copied', () => {
  const body = encode('ExportTraceServiceRequest', requestOf('traces', resource, scope, [{ name: 'a' }]))
  const [group] = readRequest('traces', body).groups
  const edited = group.withResource(encode('Resource', { attributes: [text('service.name', 'other')] }))
  const cursor = new ItemCursor().set(edited)
  cursor.nextScope()
  cursor.nextItem()
  const { request } = new ItemCopier('traces', edited).copy(cursor)
  expect(JSON.stringify(decode('ExportTraceServiceRequest', request))).toContain('"other"')
  expect(request.includes('shop')).toBe(false)
})

const long = 'ä'.repeat(100_000)

test.each<[string, Signal, Plain, Plain, Plain, (request: Plain) => unknown]>([
  [
    'the body of a log record, of which the attributes behind it stay',
    'logs',
    resource,
    scope,
    { body: { string_value: long }, attributes: [text('k', 'v')] },
    request => JSON.stringify(request).includes('"v"'),
  ],
  [
    'a name',
    'traces',
    resource,
    scope,
    { name: long, kind: 2 },
    request => JSON.stringify(request).includes('"kind":2'),
  ],
  [
    'one of many attributes',
    'traces',
    resource,
    scope,
    { name: 'many', attributes: Array.from({ length: 20_000 }, (_, i) => text(`key${i}`, 'value')) },
    request => JSON.stringify(request).includes('key100"'),
  ],
  [
    'points of a metric',
    'metrics',
    resource,
    scope,
    { name: 'm', gauge: { data_points: Array.from({ length: 20_000 }, (_, i) => ({ as_int: String(i) })) } },
    request => JSON.stringify(request).includes('"as_int":"100"'),
  ],
  [
    'a resource',
    'traces',
    { attributes: [text('first', 'x'), text('k', long)] },
    scope,
    { name: 'a' },
    request => JSON.stringify(request).includes('"a"'),
  ],
  [
    'a scope',
    'traces',
    resource,
    { name: 'lib', attributes: [text('k', long)] },
    { name: 'a' },
    request => JSON.stringify(request).includes('"lib"'),
  ],
])('beyond 64 KiB it is cut: %s', (_, signal, ofResource, ofScope, item, has) => {
  const [message] = messages[signal]
  const body = encode(message, requestOf(signal, ofResource, ofScope, [item]))
  const [{ request, cutFrom }] = copies(signal, body)
  expect(request.length).toBeLessThanOrEqual(64 * 1024)
  expect(cutFrom).toBeGreaterThan(64 * 1024)
  const read = decode(message, request)
  expect(has(read)).toBe(true)
  expect(JSON.stringify(read)).not.toContain('\ufffd')
})

test('whatever is cut is still OTLP', () => {
  const value = fc.string({ unit: 'grapheme', maxLength: 40 }).map(one => one.repeat(3000))
  const item = fc.record({ name: value, trace_state: value, attributes: fc.array(value.map(one => text('k', one))) })
  fc.assert(
    fc.property(item, one => {
      const body = encode('ExportTraceServiceRequest', requestOf('traces', resource, scope, [one]))
      for (const { request } of copies('traces', body)) {
        expect(request.length).toBeLessThanOrEqual(64 * 1024)
        expect(readRequest('traces', request).items).toBe(1)
        decode('ExportTraceServiceRequest', request)
      }
    }),
    { numRuns: 100 },
  )
})
