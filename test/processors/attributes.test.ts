import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { attributes } from '../../processors/attributes.ts'
import type { Signal } from '../../proto/signals.ts'
import { encode, flatten, type Plain, requests } from '../support/otlp.ts'
import {
  attributesOf,
  carriersOf,
  expectSame,
  metricKinds,
  processAll,
  processOne,
  withAttributes,
} from '../support/processing.ts'

const spans = (...items: object[]): Buffer =>
  encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: withAttributes({ 'service.name': 'shop', env: 'prod' }) },
        scope_spans: [{ scope: { name: 'lib', version: '1.2' }, spans: items }],
      },
    ],
  })
const logs = (...items: object[]): Buffer =>
  encode('ExportLogsServiceRequest', {
    resource_logs: [
      { resource: { attributes: withAttributes({ env: 'prod' }) }, scope_logs: [{ log_records: items }] },
    ],
  })

test.each<[string, object[], object, object]>([
  ['insert', [{ key: 'b', value: 1, action: 'insert' }], { a: 'x' }, { a: 'x', b: '1' }],
  ['update', [{ key: 'a', value: 2.5, action: 'update' }], { a: 'x' }, { a: 2.5 }],
  ['upsert', [{ key: 'a', value: true, action: 'UPSERT' }], {}, { a: true }],
  ['delete by key', [{ key: 'a', action: 'delete' }], { a: 'x', b: 'y' }, { b: 'y' }],
  ['delete by pattern', [{ pattern: '^http[.]', action: 'delete' }], { 'http.x': 1, b: 'y' }, { b: 'y' }],
  [
    'hash',
    [{ key: 'a', action: 'hash' }],
    { a: 'x' },
    { a: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881' },
  ],
  [
    'extract',
    [{ key: 'url', pattern: '^/(?P<shop>[^/]+)/(?P<id>.*)$', action: 'extract' }],
    { url: '/eu/7' },
    { url: '/eu/7', shop: 'eu', id: '7' },
  ],
  ['convert', [{ key: 'a', converted_type: 'int', action: 'convert' }], { a: '7' }, { a: '7' }],
  ['from_attribute', [{ key: 'b', from_attribute: 'a', action: 'insert' }], { a: 7 }, { a: '7', b: '7' }],
  ['from_context', [{ key: 't', from_context: 'metadata.x-tenant', action: 'insert' }], {}, { t: 'acme' }],
])('%s changes attributes of spans', async (_name, actions, before, after) => {
  const body = spans({ name: 'a', attributes: withAttributes(before as Record<string, unknown>) })
  const { items } = await processOne(attributes, { actions }, 'traces', body, { 'x-tenant': 'acme' })
  expect(attributesOf(items[0].item)).toEqual(after)
})

test('of a value over 8 MiB the first 8 MiB and the length are hashed', async () => {
  const most = 'x'.repeat(8 << 20)
  const sum = (text: string) => createHash('sha256').update(text).digest('hex')
  for (const [value, hashed] of [
    [most, most],
    [`${most}abc`, `${most}${most.length + 3}`],
  ]) {
    const body = spans({ name: 'a', attributes: withAttributes({ a: value }) })
    const { items } = await processOne(attributes, { actions: [{ key: 'a', action: 'hash' }] }, 'traces', body)
    expect(attributesOf(items[0].item)).toEqual({ a: sum(hashed) })
  }
})

test.each(metricKinds)('actions are for every data point of a metric that is a %s', async kind => {
  const points = [{ attributes: withAttributes({ a: 'x', old: 1 }) }, { time_unix_nano: 5 }]
  const body = encode('ExportMetricsServiceRequest', {
    resource_metrics: [{ scope_metrics: [{ metrics: [{ name: 'm', [kind]: { data_points: points } }] }] }],
  })
  const actions = [
    { key: 'old', action: 'delete' },
    { key: 'new', value: 'v'.repeat(300), action: 'insert' },
  ]
  const { items } = await processOne(attributes, { actions }, 'metrics', body)
  const carriers = carriersOf('metrics', items[0].item)
  expect(carriers.map(attributesOf)).toEqual([{ a: 'x', new: 'v'.repeat(300) }, { new: 'v'.repeat(300) }])
  expect(carriers[1]['time_unix_nano']).toBe('5')
})

const server = { name: 'GET /x', kind: 2, attributes: withAttributes({ n: 12, d: 1.5, list: [1, 'a'], ok: true }) }
const client = { name: 'query', kind: 3 }
const error = { severity_number: 17, severity_text: 'ERROR', body: { string_value: 'it failed' } }
const plain = { body: { int_value: 42 }, attributes: withAttributes({ a: 'x' }) }

test.each<[string, Signal, object, boolean[]]>([
  ['services', 'traces', { match_type: 'strict', services: ['cart', 'shop'] }, [true, true]],
  ['services by pattern', 'traces', { match_type: 'regexp', services: ['^sho'] }, [true, true]],
  ['another service', 'traces', { match_type: 'strict', services: ['sho'] }, [false, false]],
  ['span_names', 'traces', { match_type: 'strict', span_names: ['query'] }, [false, true]],
  ['span_names by pattern', 'traces', { match_type: 'regexp', span_names: ['^GET'] }, [true, false]],
  ['span_kinds', 'traces', { match_type: 'strict', span_kinds: ['SPAN_KIND_SERVER'] }, [true, false]],
  ['span_kinds by pattern', 'traces', { match_type: 'regexp', span_kinds: ['CLIENT$', 'PRODUCER'] }, [false, true]],
  ['an attribute that is there', 'traces', { match_type: 'strict', attributes: [{ key: 'n' }] }, [true, false]],
  ['an integer', 'traces', { match_type: 'strict', attributes: [{ key: 'n', value: 12 }] }, [true, false]],
  [
    'a number that is no text',
    'traces',
    { match_type: 'strict', attributes: [{ key: 'n', value: '12' }] },
    [false, false],
  ],
  [
    'a number by pattern',
    'traces',
    { match_type: 'regexp', attributes: [{ key: 'd', value: '^1[.]' }] },
    [true, false],
  ],
  ['a bool', 'traces', { match_type: 'strict', attributes: [{ key: 'ok', value: true }] }, [true, false]],
  ['a list', 'traces', { match_type: 'strict', attributes: [{ key: 'list', value: [1, 'a'] }] }, [true, false]],
  [
    'a list has no text',
    'traces',
    { match_type: 'regexp', attributes: [{ key: 'list', value: '.*' }] },
    [false, false],
  ],
  ['all attributes', 'traces', { match_type: 'strict', attributes: [{ key: 'n' }, { key: 'x' }] }, [false, false]],
  ['resources', 'traces', { match_type: 'strict', resources: [{ key: 'env', value: 'prod' }] }, [true, true]],
  ['libraries', 'traces', { match_type: 'strict', libraries: [{ name: 'lib' }] }, [true, true]],
  [
    'libraries by version',
    'traces',
    { match_type: 'strict', libraries: [{ name: 'lib', version: '' }] },
    [false, false],
  ],
  ['several properties', 'traces', { match_type: 'strict', services: ['shop'], span_names: ['query'] }, [false, true]],
  ['log_bodies', 'logs', { match_type: 'regexp', log_bodies: ['fail'] }, [true, false]],
  ['log_bodies as text', 'logs', { match_type: 'strict', log_bodies: ['42'] }, [false, true]],
  ['log_severity_texts', 'logs', { match_type: 'strict', log_severity_texts: ['ERROR'] }, [true, false]],
  ['log_severity_number', 'logs', { match_type: 'strict', log_severity_number: { min: 9 } }, [true, false]],
  [
    'log_severity_number with match_undefined',
    'logs',
    { match_type: 'strict', log_severity_number: { min: 18, match_undefined: true } },
    [false, true],
  ],
  [
    'attributes of log records',
    'logs',
    { match_type: 'strict', attributes: [{ key: 'a', value: 'x' }] },
    [false, true],
  ],
])('include and exclude by %s', async (_name, signal, properties, expected) => {
  const body = signal === 'traces' ? spans(server, client) : logs(error, plain)
  const actions = [{ key: 'seen', value: true, action: 'insert' }]
  const seen = async (where: object) => {
    const { items } = await processOne(attributes, { ...where, actions }, signal, body)
    return items.map(({ item }) => attributesOf(item)['seen'] === true)
  }
  expect(await seen({ include: properties })).toEqual(expected)
  expect(await seen({ exclude: properties })).toEqual(expected.map(one => !one))
})

test('exclude wins over include, and metrics are chosen by name and resource', async () => {
  const metrics = ['a.one', 'a.two', 'b.one'].map(name => ({ name, gauge: { data_points: [{}] } }))
  const body = encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      { scope_metrics: [{ metrics }] },
      { resource: { attributes: withAttributes({ env: 'test' }) }, scope_metrics: [{ metrics }] },
    ],
  })
  const { items } = await processOne(
    attributes,
    {
      include: { match_type: 'regexp', metric_names: ['^a'], resources: [{ key: 'env', value: 'test' }] },
      exclude: { match_type: 'strict', metric_names: ['a.two'] },
      actions: [{ key: 'seen', value: true, action: 'insert' }],
    },
    'metrics',
    body,
  )
  const seen = items.filter(({ item }) =>
    carriersOf('metrics', item).some(point => attributesOf(point)['seen'] === true),
  )
  expect(seen.map(({ item, resource }) => [item['name'], attributesOf(resource)['env']])).toEqual([['a.one', 'test']])
})

test('an item whose inside is no protobuf goes, beside others that are changed', async () => {
  const good = encode('Span', { name: 'good' })
  // A span with an attribute that says to be longer than the span.
  const bad = Buffer.from([0x4a, 0x05, 0x0a, 0x7f, 0x61, 0x00, 0x00])
  const field = (tag: number, content: Buffer) => Buffer.concat([Buffer.from([tag, content.length]), content])
  const body = field(0x0a, field(0x12, Buffer.concat([field(0x12, bad), field(0x12, good)])))
  const { body: out, rejected } = await processOne(
    attributes,
    { actions: [{ key: 'seen', value: true, action: 'insert' }] },
    'traces',
    body,
  )
  expect([out.includes(bad), rejected]).toEqual([false, { malformed: 1 }])
  expect(out.includes(encode('KeyValue', { key: 'seen', value: { bool_value: true } }))).toBe(true)
})

test('random requests: edited on their bytes they are what the oracle makes of them', async () => {
  const long = 'v'.repeat(500)
  const actions = [
    { key: 'a', action: 'delete' },
    { key: 'new', value: long, action: 'insert' },
    { key: 'b', value: 7, action: 'update' },
  ]
  const expected = (plain: Plain): unknown => {
    const list = ((plain['attributes'] ?? []) as { key: string; value?: unknown }[]).filter(({ key }) => key !== 'a')
    const first = list.findIndex(({ key }) => key === 'b')
    const changed = list.map((one, i) => (i === first ? { ...one, value: { int_value: '7' } } : one))
    return list.some(({ key }) => key === 'new') ? changed : [...changed, { key: 'new', value: { string_value: long } }]
  }
  const samples = fc.sample(requests(), 250)
  for (const signal of ['traces', 'logs', 'metrics'] as const) {
    const mine = samples.filter(sample => sample.signal === signal)
    const results = await processAll(
      attributes,
      { actions },
      signal,
      mine.map(({ body }) => body),
    )
    results.forEach(({ items }, i) => {
      const before = flatten(signal, mine[i].body)
      for (const { item } of before)
        for (const carrier of carriersOf(signal, item)) carrier['attributes'] = expected(carrier)
      // What has no items never came in.
      if (items.length > 0) expectSame(items, before)
    })
  }
})

test.each<[string, object, string]>([
  ['no action', { actions: [] }, 'actions'],
  [
    'include without a match_type',
    { include: { services: ['a'] }, actions: [{ key: 'a', action: 'delete' }] },
    'include.match_type',
  ],
  [
    'include that asks for nothing',
    { include: { match_type: 'strict' }, actions: [{ key: 'a', action: 'delete' }] },
    'include',
  ],
  [
    'a pattern that is none',
    { exclude: { match_type: 'regexp', span_names: ['a', '('] }, actions: [{ key: 'a', action: 'delete' }] },
    'exclude.span_names.1',
  ],
  [
    'a value that is no pattern',
    {
      include: { match_type: 'regexp', resources: [{ key: 'a', value: 5 }] },
      actions: [{ key: 'a', action: 'delete' }],
    },
    'include.resources.0.value',
  ],
  [
    'a kind that is none',
    { include: { match_type: 'strict', span_kinds: ['SERVER'] }, actions: [{ key: 'a', action: 'delete' }] },
    'include.span_kinds.0',
  ],
])('%s is an error at its place', (_name, config, path) => {
  const result = attributes.config.safeParse(config)
  expect(result.error?.issues.map(issue => issue.path.join('.'))).toEqual([path])
})

test.each<[string, Signal, object, string[]]>([
  ['names of spans, for spans', 'traces', { include: { span_names: ['a'] } }, []],
  ['names of spans, for metrics', 'metrics', { include: { span_names: ['a'] } }, ['include.span_names']],
  [
    'bodies and severities, for spans',
    'traces',
    { exclude: { log_bodies: ['a'], log_severity_number: { min: 1 } } },
    ['exclude.log_bodies', 'exclude.log_severity_number'],
  ],
  ['attributes of items, for metrics', 'metrics', { include: { attributes: [{ key: 'a' }] } }, ['include.attributes']],
  ['attributes of resources, for metrics', 'metrics', { include: { resources: [{ key: 'a' }] } }, []],
])('what cannot be asked of a signal is told: %s', (_, signal, asked, unfit) => {
  const matching = Object.entries(asked).map(([key, one]) => [key, { match_type: 'strict', ...(one as object) }])
  const config = { ...Object.fromEntries(matching), actions: [{ key: 'a', action: 'delete' }] }
  const found = attributes.unfit?.(attributes.config.parse(config), signal) ?? []
  expect(found.map(({ path }) => path.join('.'))).toEqual(unfit)
  for (const { problem } of found) expect(problem).toContain(`cannot be asked of ${signal}`)
})

test.each<[string, string, string]>([
  ['an open bracket', '(', 'no regular expression: missing closing ): `(` at character 1'],
  ['a group named with a dot', '(?P<a.b>x)', 'no regular expression: invalid named capture: `(?P<a.b>` at character 1'],
  ['look-ahead', 'x(?=y)', "no regular expression: look-ahead is not part of RE2's syntax: `(?=` at character 2"],
])('a pattern of extract with %s is an issue at its place', (_name, pattern, message) => {
  for (const action of ['extract', 'delete', 'hash']) {
    const result = attributes.config.safeParse({ actions: [{ key: 'u', action, pattern }] })
    expect(result.error?.issues.map(({ path, message: told }) => [path.join('.'), told])).toEqual([
      ['actions.0.pattern', message],
    ])
  }
})
