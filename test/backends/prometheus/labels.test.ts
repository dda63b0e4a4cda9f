import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Besides, LabelRules, Pair } from '../../../backends/prometheus/label-base.ts'
import { labelPairs } from '../../../backends/prometheus/label-bytes.ts'
import { LabelSets } from '../../../backends/prometheus/labels.ts'
import { labelName } from '../../../backends/prometheus/names.ts'
import { encode, Random, untidy } from '../../support/otlp.ts'

type Attributes = Readonly<Record<string, string | number | boolean>>

const anyValue = (value: string | number | boolean): object =>
  typeof value === 'string'
    ? { string_value: value }
    : typeof value === 'number'
      ? { int_value: value }
      : { bool_value: value }

const listOf = (attributes: Attributes): object[] =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }))

const resourceOf = (attributes: Attributes): Buffer => encode('Resource', { attributes: listOf(attributes) })
const pointOf = (attributes: Attributes): Buffer => encode('NumberDataPoint', { attributes: listOf(attributes) })

const plain: LabelRules = { labelName: key => labelName(key, 'UnderscoreEscapingWithSuffixes') }

interface Scope {
  readonly name?: string
  readonly version?: string
  readonly url?: string
  readonly attributes?: Attributes
}

/** The labels of one point. */
function labelsOf(
  sets: LabelSets,
  resource: Attributes,
  point: Attributes,
  scope: Scope = {},
  besides?: Besides,
): Pair[] {
  const bytes = resourceOf(resource)
  sets.resource(bytes, 0, bytes.length)
  const { name = '', version = '', url = '', attributes = {} } = scope
  const scopeBytes = encode('InstrumentationScope', { name, version, attributes: listOf(attributes) })
  sets.scope(scopeBytes, 0, scopeBytes.length, url)
  const own = pointOf(point)
  sets.point(own, 0, own.length, 0x3a, besides)
  return labelPairs(sets.bytes, sets.start, sets.end)
}

test.each<[string, LabelRules, Attributes, Attributes, Pair[]]>([
  [
    'labels are sorted by name',
    plain,
    {},
    { b: 'x', a: 'y' },
    [
      ['a', 'y'],
      ['b', 'x'],
    ],
  ],
  [
    'keys that become one label are joined in the order of the keys',
    plain,
    {},
    { 'a.b': '2', 'a-b': '1', a_b: '3' },
    [['a_b', '1;2;3']],
  ],
  ['empty values are left out', plain, {}, { a: '', b: 'x' }, [['b', 'x']]],
  [
    'numbers and truth values are written as text',
    plain,
    {},
    { a: 7, b: true },
    [
      ['a', '7'],
      ['b', 'true'],
    ],
  ],
  [
    'job and instance come from the resource, whatever the point says',
    plain,
    { 'service.name': 'shop', 'service.namespace': 'eu', 'service.instance.id': 'i1', other: 'x' },
    { job: 'mine', path: '/' },
    [
      ['exported_job', 'mine'],
      ['instance', 'i1'],
      ['job', 'eu/shop'],
      ['path', '/'],
    ],
  ],
  ['a name for the metric among the attributes gives way', plain, {}, { __name__: 'x' }, []],
  [
    'resource attributes that are promoted stand above those of the point with the same key',
    { ...plain, promotes: key => key !== 'hidden' },
    { env: 'prod', hidden: 'x' },
    { env: 'dev', a: 'b' },
    [
      ['a', 'b'],
      ['env', 'prod'],
    ],
  ],
  [
    'and are joined with those of another key that become the same label',
    { ...plain, promotes: () => true },
    { 'a.b': 'resource' },
    { 'a-b': 'point' },
    [['a_b', 'point;resource']],
  ],
  [
    'constant labels give way to any other',
    { ...plain, constant: { cluster: 'c', env: 'e' } },
    {},
    { env: 'mine' },
    [
      ['cluster', 'c'],
      ['env', 'mine'],
    ],
  ],
  ['values that are no UTF-8 are mended', plain, {}, { a: Buffer.from([0x61]).toString() }, [['a', 'a']]],
])('%s', (_, rules, resource, point, wanted) => {
  const sets = new LabelSets(rules)
  expect(labelsOf(sets, resource, point)).toEqual(wanted)
  // And from what is kept.
  const { id } = sets
  expect(labelsOf(sets, resource, point)).toEqual(wanted)
  expect(sets.id).toBe(id)
})

test.each<[string, boolean, Pair[]]>([
  [
    'scopes are labels where they are wanted',
    true,
    [
      ['a', 'b'],
      ['otel_scope_name', 'lib'],
      ['otel_scope_schema_url', 'https://s'],
      ['otel_scope_short_name', 'x'],
      ['otel_scope_version', '1'],
    ],
  ],
  ['and left out where they are not', false, [['a', 'b']]],
])('%s', (_, scopeLabels, wanted) => {
  const sets = new LabelSets({ ...plain, scopeLabels })
  const scope = { name: 'lib', version: '1', url: 'https://s', attributes: { 'short.name': 'x', name: 'overridden' } }
  expect(labelsOf(sets, {}, { a: 'b' }, scope)).toEqual(wanted)
  expect(labelsOf(sets, {}, { a: 'b' }, scope)).toEqual(wanted)
  const other = labelsOf(sets, {}, { a: 'b' }, { ...scope, url: 'https://t' })
  expect(other.find(([name]) => name === 'otel_scope_schema_url')).toEqual(
    scopeLabels ? ['otel_scope_schema_url', 'https://t'] : undefined,
  )
})

test.each<[string, Attributes, Pair[] | undefined]>([
  [
    'target_info has what says more than who it is',
    { 'service.name': 'shop', 'host.name': 'h' },
    [
      ['host_name', 'h'],
      ['job', 'shop'],
    ],
  ],
  ['there is none without more', { 'service.name': 'shop', 'service.instance.id': 'i' }, undefined],
  ['there is none without job and instance', { 'host.name': 'h' }, undefined],
])('%s', (_, resource, wanted) => {
  const sets = new LabelSets(plain)
  for (let i = 0; i < 2; i++) {
    labelsOf(sets, resource, { a: 'b' })
    const has = sets.targetInfo()
    expect(has ? labelPairs(sets.bytes, sets.start, sets.end) : undefined).toEqual(wanted)
  }
})

test.each([
  ['among others', { A: '1', k: '2', m: '3', z: '4' }, ['m', 'z']],
  ['after all', { A: '1', a: '2' }, []],
  ['where its own was', { a: '1', le: '2', z: '3' }, ['z']],
])('the place of le is known: %s', (_, attributes, after) => {
  const sets = new LabelSets(plain)
  for (let i = 0; i < 2; i++) {
    labelsOf(sets, {}, attributes, {}, 'le')
    expect(labelPairs(sets.bytes, sets.place('le'), sets.end).map(([name]) => name)).toEqual(after)
  }
})

test.each<[string, Attributes, Pair[]]>([
  ['is called exported', { le: '1' }, [['exported_le', '1']]],
  [
    'beside one that is called so',
    { le: '1', exported_le: '2' },
    [
      ['exported_exported_le', '1'],
      ['exported_le', '2'],
    ],
  ],
  ['that is empty is left out', { le: '' }, []],
])('a label that series of the metric have besides %s', (_, attributes, wanted) => {
  const sets = new LabelSets(plain)
  for (let i = 0; i < 2; i++) {
    expect(labelsOf(sets, {}, attributes, {}, 'le')).toEqual(wanted)
    // Of another metric with the same attributes it is one like any other.
    expect(labelsOf(sets, {}, attributes)).toEqual(
      Object.entries(attributes)
        .filter(([, value]) => value !== '')
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    )
  }
})

/** The rules, written plainly. */
function reference(rules: LabelRules, resource: Attributes, point: Attributes): Pair[] {
  const text = (value: string | number | boolean): string => String(value)
  const all = new Map(Object.entries(point).map(([key, value]) => [key, text(value)]))
  for (const [key, value] of Object.entries(resource))
    if (rules.promotes?.(key) && value !== '') all.set(key, text(value))
  const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
  const labels: Record<string, string> = Object.create(null) as Record<string, string>
  for (const key of [...all.keys()].sort(bytewise)) {
    const name = rules.labelName(key)
    if (name === '' || name === '__name__') continue
    labels[name] = name in labels ? `${labels[name]};${all.get(key)}` : (all.get(key) ?? '')
  }
  const service = text(resource['service.name'] ?? '')
  const namespace = text(resource['service.namespace'] ?? '')
  if (service !== '') {
    let exported = 'exported_job'
    while (labels[exported]) exported = `exported_${exported}`
    if (labels['job']) labels[exported] = labels['job']
    labels['job'] = namespace === '' ? service : `${namespace}/${service}`
  }
  for (const [name, value] of Object.entries(rules.constant ?? {})) if (!labels[name]) labels[name] = value
  return Object.entries(labels)
    .filter(([, value]) => value !== '')
    .sort(([a], [b]) => bytewise(a, b))
}

const key = fc.oneof(
  fc.constantFrom(
    'a',
    'a.b',
    'a-b',
    'a_b',
    'ä',
    '🦊',
    '\uffee',
    'job',
    'exported_job',
    'le',
    '__x',
    '1',
    '',
    'service.name',
    '_',
    'é.x',
  ),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
)
const value = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.integer(), fc.boolean())
const attributes = fc.dictionary(key, value, { maxKeys: 8, noNullPrototype: true })

test('any attributes become the labels that the rules say, found or made', () => {
  const constant = { cluster: 'c', a_b: 'constant' }
  const both = (['UnderscoreEscapingWithSuffixes', 'NoTranslation'] as const).flatMap(strategy =>
    [false, true].map(promoted => {
      const rules: LabelRules = { labelName: k => labelName(k, strategy), promotes: () => promoted, constant }
      // So small that it forgets now and then.
      return [rules, new LabelSets(rules, 20_000)] as const
    }),
  )
  fc.assert(
    fc.property(attributes, attributes, (resource, point) => {
      for (const [rules, sets] of both) {
        const wanted = reference(rules, resource, point)
        expect(labelsOf(sets, resource, point)).toEqual(wanted)
        expect(labelsOf(sets, resource, point)).toEqual(wanted)
      }
    }),
    { numRuns: 300 },
  )
  expect(both.every(([, sets]) => sets.generation > 0)).toBe(true)
})

test('attributes written in any way become the same labels', () => {
  const how = { order: 'shuffled', padded: true, unknown: true, scattered: true, split: true } as const
  fc.assert(
    fc.property(attributes, fc.integer(), (point, seed) => {
      const sets = new LabelSets(plain)
      sets.resource(Buffer.alloc(0), 0, 0)
      const bytes = untidy(new Random(seed), 'NumberDataPoint', { attributes: listOf(point), flags: 1 }, how)
      sets.point(bytes, 0, bytes.length, 0x3a)
      expect(labelPairs(sets.bytes, sets.start, sets.end)).toEqual(reference(plain, {}, point))
    }),
    { numRuns: 100 },
  )
})

test('what is no UTF-8 is mended, as Prometheus would drop it without a word', () => {
  const sets = new LabelSets(plain)
  sets.resource(Buffer.alloc(0), 0, 0)
  const bytes = pointOf({ a: 'bad: x' })
  bytes[bytes.indexOf('x')] = 0xff
  sets.point(bytes, 0, bytes.length, 0x3a)
  expect(labelPairs(sets.bytes, sets.start, sets.end)).toEqual([['a', 'bad: \ufffd']])
})

test('many attributes of one point are no trouble', () => {
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${5000 - i}`, i]))
  expect(labelsOf(new LabelSets(plain), {}, many)).toEqual(reference(plain, {}, many))
})
