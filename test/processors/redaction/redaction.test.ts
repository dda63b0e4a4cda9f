import { createHash, createHmac } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { redaction } from '../../../processors/redaction/redaction.ts'
import { encode, flatten, type Plain, Random, requests, varint } from '../../support/otlp.ts'
import {
  attributesOf,
  carriersOf,
  expectSame,
  metricKinds,
  processAll,
  processOne,
  valueOf,
  withAttributes,
} from '../../support/processing.ts'

type Values = Record<string, unknown>

const span = (attributes: Values): Buffer =>
  encode('ExportTraceServiceRequest', {
    resource_spans: [{ scope_spans: [{ spans: [{ name: 'a', attributes: withAttributes(attributes) }] }] }],
  })
const record = (body: unknown, attributes: Values = {}): Buffer =>
  encode('ExportLogsServiceRequest', {
    resource_logs: [
      { scope_logs: [{ log_records: [{ body: valueOf(body), attributes: withAttributes(attributes) }] }] },
    ],
  })

const card = '4111111111111111'
const sha3 = (text: string) => createHash('sha3-256').update(text).digest('hex')

// Checked against the Collector 0.150.
test.each<[string, object, Values, Values]>([
  ['without a word everything goes', {}, { a: 1, b: 'x' }, {}],
  ['allowed_keys stay', { allowed_keys: ['a'] }, { a: 1, b: 'x' }, { a: '1' }],
  ['allow_all_keys keeps all', { allow_all_keys: true }, { a: 1, b: 'x' }, { a: '1', b: 'x' }],
  ['ignored_keys stay as they are', { ignored_keys: ['b'], blocked_values: ['x'] }, { a: 1, b: 'x' }, { b: 'x' }],
  ['ignored_key_patterns likewise', { ignored_key_patterns: ['^b'], blocked_values: ['.*'] }, { bc: 'x' }, { bc: 'x' }],
  [
    'blocked_values are masked where they stand',
    { allow_all_keys: true, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?'] },
    { a: `card ${card} and ${card}`, b: 'none' },
    { a: 'card **** and ****', b: 'none' },
  ],
  [
    'numbers are left alone',
    { allow_all_keys: true, blocked_values: ['4[0-9]{15}'] },
    { a: Number(card) },
    { a: card },
  ],
  [
    'with redact_all_types they are not',
    { allow_all_keys: true, blocked_values: ['4[0-9]{15}'], redact_all_types: true },
    { a: Number(card), b: [card] },
    { a: '****', b: '["****"]' },
  ],
  [
    'allowed_values are never masked',
    { allow_all_keys: true, blocked_values: ['@'], allowed_values: ['@example[.]com$'] },
    { a: 'me@example.com', b: 'me@b.c' },
    { a: 'me@example.com', b: 'me****b.c' },
  ],
  [
    'blocked_key_patterns mask the whole value',
    { allow_all_keys: true, blocked_key_patterns: ['.*token.*'] },
    { my_token: 'x y', n_token: 5, a: 'x' },
    { my_token: '****', n_token: '****', a: 'x' },
  ],
  [
    'line by line',
    { allow_all_keys: true, blocked_key_patterns: ['t'] },
    { t: 'a\n\nb\n' },
    { t: '****\n****\n****\n****' },
  ],
  [
    'hash_function replaces by a hash',
    { allow_all_keys: true, blocked_values: ['secret'], hash_function: 'SHA3' },
    { a: 'a secret' },
    { a: `a ${sha3('secret')}` },
  ],
  [
    'with a key by an HMAC',
    { allow_all_keys: true, blocked_key_patterns: ['a'], hash_function: 'hmac-sha256', hmac_key: 'k'.repeat(32) },
    { a: 'x' },
    { a: createHmac('sha256', 'k'.repeat(32)).update('x').digest('hex') },
  ],
  [
    'summary info counts',
    { allowed_keys: ['a', 'b'], ignored_keys: ['i'], blocked_values: ['x'], summary: 'info' },
    { a: 'x', b: 'y', c: 1, d: 2, i: 'x' },
    {
      a: '****',
      b: 'y',
      i: 'x',
      'redaction.redacted.count': '2',
      'redaction.masked.count': '1',
      'redaction.ignored.count': '1',
    },
  ],
  [
    'summary debug names keys as well, and adds to what is there',
    { allowed_keys: ['b', 'a'], blocked_values: ['x'], summary: 'debug' },
    { b: 'x', a: 'x', c: 1, 'redaction.masked.keys': 'z', 'redaction.masked.count': 1 },
    {
      b: '****',
      a: '****',
      'redaction.masked.keys': 'a,b,z',
      'redaction.masked.count': '3',
      'redaction.redacted.keys': 'c',
      'redaction.redacted.count': '1',
    },
  ],
])('attributes: %s', async (_name, config, before, after) => {
  const { items } = await processOne(redaction, config, 'traces', span(before))
  expect(attributesOf(items[0].item)).toEqual(after)
})

test.each<[string, object, unknown, unknown, Values]>([
  ['a text is masked', { allow_all_keys: true, blocked_values: ['4[0-9]{15}'] }, `pay ${card}`, 'pay ****', {}],
  ['a text that is allowed stays', { blocked_values: ['x'], allowed_values: ['^x$'] }, 'x', 'x', {}],
  ['a number is masked as text', { blocked_values: ['4[0-9]{15}'] }, Number(card), '****', {}],
  ['keys of a map that are not allowed go', { allowed_keys: ['a'] }, { a: 'x', b: 'y' }, { a: 'x' }, {}],
  [
    'also deep inside, where values are masked too',
    { allowed_keys: ['a', 'list'], blocked_values: ['secret'], blocked_key_patterns: ['^mask'] },
    { a: { a: 'a secret', b: 1 }, list: ['secret', { a: 2 }] },
    { a: { a: 'a ****' }, list: ['****', { a: 2 }] },
    {},
  ],
  [
    'a summary is written to the attributes of the record',
    {
      allow_all_keys: true,
      blocked_values: ['secret'],
      blocked_key_patterns: ['tok'],
      ignored_keys: ['i'],
      summary: 'debug',
    },
    { a: ['x', 'secret'], tok: 'x', i: 'secret' },
    { a: ['x', '****'], tok: '****', i: 'secret' },
    {
      'redaction.body.masked.keys': 'a.[1],tok',
      'redaction.body.masked.count': '2',
      'redaction.body.ignored.count': '1',
    },
  ],
])('bodies: %s', async (_name, config, before, after, attributes) => {
  const { items } = await processOne(redaction, config, 'logs', record(before))
  expect(items[0].item['body']).toEqual(JSON.parse(JSON.stringify(valueOf(after), asInt)))
  expect(attributesOf(items[0].item)).toEqual(attributes)
})

/** The oracle has integers as texts. */
const asInt = (key: string, value: unknown): unknown => (key === 'int_value' ? String(value) : value)

test('a summary names 64 KiB of keys, and counts all of them', async () => {
  const keys = Array.from({ length: 2000 }, (_, i) => `${i}`.padStart(100, 'k'))
  const body = record('x', Object.fromEntries(keys.map(key => [key, 'secret'])))
  const config = { allow_all_keys: true, blocked_values: ['secret'], summary: 'debug' }
  const { items } = await processOne(redaction, config, 'logs', body)
  const attributes = attributesOf(items[0].item)
  expect(attributes['redaction.masked.count']).toBe('2000')
  expect(String(attributes['redaction.masked.keys']).split(',')).toEqual(keys.slice(0, 655).toSorted())
})

test('resources, scopes, spans, their events and links are redacted', async () => {
  const attributes = withAttributes({ keep: 'x', drop: 'y' })
  const body = encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes },
        scope_spans: [
          {
            scope: { name: 's', attributes },
            spans: [{ attributes, events: [{ attributes }], links: [{ attributes }] }],
          },
        ],
      },
    ],
  })
  const { items } = await processOne(redaction, { allowed_keys: ['keep'] }, 'traces', body)
  const [{ resource, scope, item }] = items
  const events = item['events'] as Plain[]
  const links = item['links'] as Plain[]
  expect([resource, scope, item, events[0], links[0]].map(attributesOf)).toEqual([
    { keep: 'x' },
    { keep: 'x' },
    { keep: 'x' },
    { keep: 'x' },
    { keep: 'x' },
  ])
})

test.each(metricKinds)('data points of a metric that is a %s are redacted', async kind => {
  const body = encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      {
        scope_metrics: [{ metrics: [{ [kind]: { data_points: [{ attributes: withAttributes({ a: 'secret' }) }] } }] }],
      },
    ],
  })
  const { items } = await processOne(redaction, { allow_all_keys: true, blocked_values: ['secret'] }, 'metrics', body)
  expect(carriersOf('metrics', items[0].item).map(attributesOf)).toEqual([{ a: '****' }])
})

test('a key that stands twice is redacted twice', async () => {
  const twice = [...withAttributes({ a: 'x' }), ...withAttributes({ a: 'secret' })]
  const body = encode('ExportLogsServiceRequest', {
    resource_logs: [
      { scope_logs: [{ log_records: [{ attributes: twice, body: { kvlist_value: { values: twice } } }] }] },
    ],
  })
  const { body: out } = await processOne(redaction, { allow_all_keys: true, blocked_values: ['secret'] }, 'logs', body)
  expect(out.includes('secret')).toBe(false)
})

test('what cannot be read cannot be redacted, and goes', async () => {
  const good = encode('Span', { name: 'good' })
  const bad = Buffer.from([0x4a, 0x05, 0x0a, 0x7f, 0x61, 0x00, 0x00])
  const field = (tag: number, content: Buffer) => Buffer.concat([Buffer.from([tag, content.length]), content])
  const body = field(0x0a, field(0x12, Buffer.concat([field(0x12, bad), field(0x12, good)])))
  const { items, rejected } = await processOne(redaction, { allow_all_keys: true }, 'traces', body)
  expect(items.map(({ item }) => item['name'])).toEqual(['good'])
  expect(rejected).toEqual({ malformed: 1 })
})

test('values nested too deep go as well', async () => {
  const random = new Random(1)
  const field = (tag: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([tag]), varint(random, BigInt(content.length), { padded: false }, 5), content])
  let value = encode('AnyValue', { string_value: 'secret' })
  for (let depth = 0; depth < 120; depth++) value = field(0x2a, field(0x0a, value))
  const good = encode('LogRecord', { severity_number: 9 })
  const body = field(0x0a, field(0x12, Buffer.concat([field(0x12, field(0x2a, value)), field(0x12, good)])))
  const { items, rejected } = await processOne(redaction, { blocked_values: ['secret'] }, 'logs', body)
  expect([items.length, rejected]).toEqual([1, { malformed: 1 }])
})

test('random requests: only what is allowed is left of what the oracle reads', async () => {
  const allowed = ['a', 'service.name', 'ä', 'long.'.repeat(30)]
  const kept = (list: unknown): Plain[] =>
    ((list ?? []) as Plain[]).filter(({ key }) => typeof key === 'string' && allowed.includes(key))
  const redacted = (plain: unknown): unknown => {
    if (typeof plain !== 'object' || plain === null) return plain
    return { ...plain, attributes: kept((plain as Plain)['attributes']) }
  }
  const values = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    const { kvlist_value: map, array_value: list } = value as { kvlist_value?: Plain; array_value?: Plain }
    if (map !== undefined) {
      const left = kept(map['values']).map(one => ({ ...one, value: values(one['value']) }))
      return { kvlist_value: { values: left } }
    }
    return list === undefined ? value : { array_value: { values: ((list['values'] ?? []) as unknown[]).map(values) } }
  }
  const samples = fc.sample(requests(), 250)
  for (const signal of ['traces', 'logs', 'metrics'] as const) {
    const bodies = samples.filter(sample => sample.signal === signal).map(({ body }) => body)
    const results = await processAll(redaction, { allowed_keys: allowed }, signal, bodies)
    results.forEach(({ items }, i) => {
      const expected = flatten(signal, bodies[i]).map(one => {
        for (const carrier of carriersOf(signal, one.item)) carrier['attributes'] = kept(carrier['attributes'])
        for (const exemplar of exemplarsOf(signal, one.item)) {
          exemplar['filtered_attributes'] = kept(exemplar['filtered_attributes'])
        }
        const events = ((one.item['events'] ?? []) as unknown[]).map(redacted)
        const links = ((one.item['links'] ?? []) as unknown[]).map(redacted)
        const metadata = kept(one.item['metadata'])
        const item = { ...one.item, events, links, metadata, body: values(one.item['body']) }
        return { ...one, resource: redacted(one.resource), scope: redacted(one.scope), item }
      })
      if (items.length > 0) expectSame(items, expected)
    })
  }
})

/** Exemplars of the data points of a metric. */
const exemplarsOf = (signal: string, item: Plain): Plain[] =>
  signal === 'metrics' ? carriersOf('metrics', item).flatMap(point => (point['exemplars'] ?? []) as Plain[]) : []

test('hashes are of what was matched', async () => {
  for (const name of ['md5', 'sha1'] as const) {
    const config = { allow_all_keys: true, blocked_values: ['b+'], hash_function: name }
    const { items } = await processOne(redaction, config, 'traces', span({ x: 'abbc' }))
    expect(attributesOf(items[0].item)).toEqual({ x: `a${createHash(name).update('bb').digest('hex')}c` })
  }
})

test.each<[string, object, string]>([
  ['a pattern that is none', { blocked_values: ['a', '('] }, 'blocked_values.1'],
  ['an unknown hash_function', { hash_function: 'crc32' }, 'hash_function'],
  ['an HMAC without a key', { hash_function: 'hmac-sha256' }, 'hmac_key'],
  ['a key that is too short', { hash_function: 'hmac-sha512', hmac_key: 'k'.repeat(63) }, 'hmac_key'],
  ['an unknown summary', { summary: 'loud' }, 'summary'],
  ['url_sanitizer, which this build has not', { url_sanitizer: { enabled: true } }, 'url_sanitizer'],
  ['db_sanitizer likewise', { db_sanitizer: { sql: { enabled: true } } }, 'db_sanitizer'],
])('%s is an error at its place', (_name, config, path) => {
  const result = redaction.config.safeParse(config)
  expect(result.error?.issues.map(issue => issue.path.join('.'))).toEqual([path])
})

test('the key of an HMAC does not print', () => {
  const parsed = redaction.config.parse({ hash_function: 'hmac-sha256', hmac_key: 'k'.repeat(32) })
  expect(JSON.stringify(parsed)).not.toContain('kkkk')
})

// Fault F4: with a backtracking engine each of these held the process for minutes, or for good.
test.each<[string, object, Values]>([
  ['a key of 150 KB', { blocked_key_patterns: ['.*token.*'] }, { ['t'.repeat(150_000)]: 'x' }],
  [
    'nested repetition',
    { blocked_values: ['^(a+)+$', '(x+x+)+y'] },
    { a: `${'a'.repeat(60_000)}!`, x: 'x'.repeat(60_000) },
  ],
  ['a match at each character', { blocked_values: ['[0-9]'], hash_function: 'sha3' }, { a: '1'.repeat(1_000_000) }],
  ['a match that is looked for up to the end', { blocked_values: ['a[^b]*b|a'] }, { a: 'a'.repeat(1_000_000) }],
  ['a million lines', { blocked_key_patterns: ['a'], hash_function: 'sha3' }, { a: '\n'.repeat(1_000_000) }],
  [
    'many values',
    { blocked_values: ['[a-z0-9]+@[a-z0-9]+[.]com', '(?i)(password|secret|token)[=:]\\s*\\S+'] },
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'a@b.co token '.repeat(10_000)])),
  ],
])('%s takes little time', async (_name, rules, attributes) => {
  const config = { allow_all_keys: true, ...rules }
  await processOne(redaction, config, 'traces', span({ a: 'warm' }))
  const body = span(attributes)
  const before = process.threadCpuUsage()
  const { items } = await processOne(redaction, config, 'traces', body)
  const { user } = process.threadCpuUsage(before)
  expect(items.length).toBe(1)
  // The graph and the oracle of the test included.
  expect(user / 1000).toBeLessThan(1000)
})

test('what is too long to be looked at is masked as a whole, or dropped where that is asked for', async () => {
  const config = { allow_all_keys: true, blocked_values: ['secret'], summary: 'info' }
  const long = 'x'.repeat((1 << 20) + 1)
  const body = encode('ExportTraceServiceRequest', {
    resource_spans: [
      {
        resource: { attributes: withAttributes({ long }) },
        scope_spans: [
          { spans: [{ name: 'long', attributes: withAttributes({ long }) }, { name: long }, { name: 'good' }] },
        ],
      },
    ],
  })
  const masked = await processOne(redaction, config, 'traces', body)
  expect(masked.items.map(({ item }) => [item['name'], attributesOf(item)])).toEqual([
    ['long', { long: '****', 'redaction.masked.count': '1' }],
    ['****', {}],
    ['good', {}],
  ])
  const strict = await processOne(redaction, { ...config, strict: true }, 'traces', body)
  expect(strict.items.map(({ item }) => item['name'])).toEqual(['good'])
  expect(strict.dropped).toEqual({ too_long: 2 })
  expect(attributesOf(strict.items[0].resource)['long']).toBe('****')
})

test('a verdict on a key for want of time is one for that item alone', async () => {
  const config = { allow_all_keys: true, blocked_key_patterns: ['token'], blocked_values: ['([a-z]{1,50} ?){1,20}!'] }
  const heavy = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`a${i}`, `${'abc '.repeat(80)}!`]))
  const spans = [{ attributes: withAttributes({ ...heavy, last: 'x' }) }, { attributes: withAttributes({ last: 'x' }) }]
  const body = encode('ExportTraceServiceRequest', { resource_spans: [{ scope_spans: [{ spans }] }] })
  const { items } = await processOne(redaction, config, 'traces', body)
  expect(items.map(({ item }) => attributesOf(item)['last'])).toEqual(['****', 'x'])
})

test.each(['ignored_key_patterns', 'blocked_key_patterns', 'blocked_values', 'allowed_values'])(
  'an empty pattern among %s, as of a variable that is not set, is refused',
  key => {
    expect(redaction.config.safeParse({ allow_all_keys: true, [key]: ['x', ''] }).error?.issues).toMatchObject([
      { path: [key, 1], message: 'an empty regular expression matches everywhere: give one, or remove this' },
    ])
  },
)
