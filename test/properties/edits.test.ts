import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Action, Arena, type Source } from '../../proto/actions.ts'
import { attributeTags } from '../../proto/attributes.ts'
import { compileEdits } from '../../proto/edits.ts'
import { compilePattern } from '../../proto/pattern.ts'
import { readRequest } from '../../proto/request.ts'
import type { Writable } from '../../proto/values.ts'
import { decode, keys, type Plain, Random, randomMessage, requests, untidy, type Untidiness } from '../support/otlp.ts'

const runs = { numRuns: 1500 }

const key = fc.constantFrom(...keys.filter(k => k !== ''), 'new', 'one')
const constant: fc.Arbitrary<Writable> = fc.oneof(
  fc.constantFrom<Writable>('shop', '', 'ä', 7, -3, 2.5, true, false, 'x'.repeat(300)),
  fc.constant<Writable>([1, 'two', [true]]),
  fc.constant<Writable>({ nested: { deeper: 'x' }, list: [] }),
)
const source: fc.Arbitrary<Source> = fc.oneof(
  { weight: 4, arbitrary: constant.map(value => ({ value })) },
  { weight: 1, arbitrary: key.map(fromAttribute => ({ fromAttribute })) },
  { weight: 1, arbitrary: fc.constantFrom('metadata.x', 'missing').map(fromContext => ({ fromContext })) },
)
const set = (from: fc.Arbitrary<Source>): fc.Arbitrary<Action> =>
  fc.record({ action: fc.constantFrom('insert', 'update', 'upsert'), key, source: from })
const pattern = fc.constantFrom('^k8s', 'name$', '^[ab]$', 'nothing').map(compilePattern)
const named = (action: 'delete' | 'hash'): fc.Arbitrary<Action> =>
  fc.oneof(
    key.map(k => ({ action, key: k, pattern: undefined })),
    pattern.map(p => ({ action, key: undefined, pattern: p })),
    fc.tuple(key, pattern).map(([k, p]) => ({ action, key: k, pattern: p })),
  )
const extract: fc.Arbitrary<Action> = key.map(k => ({
  action: 'extract',
  key: k,
  pattern: compilePattern('^(?P<one>[a-z]+)-?(?P<two>[a-z]*)'),
}))
const convert: fc.Arbitrary<Action> = fc.record({
  action: fc.constant('convert'),
  key,
  to: fc.constantFrom('int', 'double', 'string'),
})

const simple = fc.array(fc.oneof(set(constant.map(value => ({ value }))), named('delete')), {
  minLength: 1,
  maxLength: 6,
})
const any = fc.array(fc.oneof(set(source), named('delete'), named('hash'), extract, convert), {
  minLength: 1,
  maxLength: 6,
})

const messageShapes = [
  ['Resource', attributeTags.resource, 'attributes'],
  ['InstrumentationScope', attributeTags.scope, 'attributes'],
  ['Span', attributeTags.span, 'attributes'],
  ['Event', attributeTags.event, 'attributes'],
  ['Link', attributeTags.link, 'attributes'],
  ['LogRecord', attributeTags.logRecord, 'attributes'],
  ['NumberDataPoint', attributeTags.numberPoint, 'attributes'],
  ['SummaryDataPoint', attributeTags.summaryPoint, 'attributes'],
  ['HistogramDataPoint', attributeTags.histogramPoint, 'attributes'],
  ['ExponentialHistogramDataPoint', attributeTags.exponentialHistogramPoint, 'attributes'],
  ['Exemplar', attributeTags.exemplar, 'filtered_attributes'],
  ['Metric', attributeTags.metadata, 'metadata'],
] as const

/** A message with an attribute list, written in some way that protobuf allows. */
const sample = fc
  .record({
    shape: fc.constantFrom(...messageShapes),
    seed: fc.integer(),
    order: fc.constantFrom<Untidiness['order']>('ascending', 'descending', 'shuffled'),
    padded: fc.boolean(),
    unknown: fc.boolean(),
    scattered: fc.boolean(),
    split: fc.boolean(),
  })
  .map(({ shape, seed, ...how }) => {
    const random = new Random(seed)
    const bytes = untidy(random, shape[0], randomMessage(random, shape[0], 6), how)
    return { shape, bytes, [fc.toStringMethod]: () => `${shape[0]} ${bytes.toString('hex')}` }
  })

const lookup = (name: string): string | undefined => (name === 'metadata.x' ? 'from the request' : undefined)

/** One attribute as the oracle reads it. */
interface Attribute extends Plain {
  key?: string
  value?: Plain
}

const plainOf = (value: Writable): Plain => {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { int_value: String(value) } : { double_value: value }
  if (Array.isArray(value)) return { array_value: value.length === 0 ? {} : { values: value.map(plainOf) } }
  return {
    kvlist_value: {
      values: Object.entries(value as object).map(([k, v]) => ({ key: k, value: plainOf(v as Writable) })),
    },
  }
}

/** A value that is not set and one that is empty are the same. */
const filled = (attribute: Attribute): Attribute => ({ ...attribute, value: attribute.value ?? {} })

const find = (list: readonly Attribute[], wanted: string): Attribute | undefined =>
  list.find(a => (a.key ?? '') === wanted)

function put(list: Attribute[], wanted: string, value: Plain): void {
  const found = find(list, wanted)
  if (found) found.value = value
  else list.push({ key: wanted, value })
}

/** What a source gives, or undefined. */
function sourced(list: readonly Attribute[], from: Source): Plain | undefined {
  if ('value' in from) return plainOf(from.value)
  if ('fromAttribute' in from) {
    const other = find(list, from.fromAttribute)
    return other && (other.value ?? {})
  }
  const found = lookup(from.fromContext)
  return found === undefined ? undefined : plainOf(found)
}

/** What both key and pattern name is hashed twice, as the Collector does. */
function hashAll(list: Attribute[], wanted: string | undefined, regex: string | undefined): void {
  const first = wanted === undefined ? undefined : find(list, wanted)
  const matching = regex === undefined ? [] : list.filter(a => new RegExp(regex).test(a.key ?? ''))
  for (const a of first ? [first, ...matching] : matching) a.value = { string_value: hashOf(a.value ?? {}) }
}

function extractInto(list: Attribute[], wanted: string): void {
  const text = find(list, wanted)?.value?.['string_value']
  const found = typeof text === 'string' ? /^([a-z]+)-?([a-z]*)/.exec(text) : null
  if (!found) return
  put(list, 'one', { string_value: found[1] })
  put(list, 'two', { string_value: found[2] })
}

/** The Collector's actions on decoded attributes, written as plainly as can be. */
function model(list: Attribute[], action: Action): void {
  switch (action.action) {
    case 'insert':
    case 'update':
    case 'upsert': {
      const value = sourced(list, action.source)
      const exists = find(list, action.key) !== undefined
      if (value === undefined) return
      if (action.action === 'upsert' || exists === (action.action === 'update')) put(list, action.key, value)
      return
    }
    case 'delete': {
      const regex = action.pattern && new RegExp(action.pattern.source)
      const stay = list.filter(({ key: k = '' }) => k !== action.key && regex?.test(k) !== true)
      list.splice(0, list.length, ...stay)
      return
    }
    case 'hash':
      return hashAll(list, action.key, action.pattern?.source)
    case 'extract':
      return extractInto(list, action.key)
    case 'convert': {
      const found = find(list, action.key)
      if (found) found.value = converted(found.value ?? {}, action.to)
    }
  }
}

function hashOf(value: Plain): string {
  const eight = Buffer.alloc(8)
  let bytes: Buffer
  if ('string_value' in value) bytes = Buffer.from(value['string_value'] as string)
  else if ('bool_value' in value) bytes = Buffer.from([value['bool_value'] === true ? 1 : 0])
  else if ('int_value' in value) {
    eight.writeBigInt64LE(BigInt(value['int_value'] as string))
    bytes = eight
  } else if ('double_value' in value) {
    eight.writeDoubleLE(value['double_value'] as number)
    bytes = eight
  } else return ''
  return createHash('sha256').update(bytes).digest('hex')
}

/** Bytes as base64, lists and maps as JSON. */
function asText(value: Plain): string {
  if ('bytes_value' in value) return Buffer.from((value['bytes_value'] as string).slice(2), 'hex').toString('base64')
  return 'array_value' in value || 'kvlist_value' in value ? json(value) : ''
}

function json(value: Plain): string {
  const inner = (list: string): Attribute[] =>
    ((value[list] as Plain | undefined)?.['values'] as Attribute[] | undefined) ?? []
  if ('array_value' in value) return `[${inner('array_value').map(json).join(',')}]`
  if ('kvlist_value' in value) {
    const first = new Map(
      inner('kvlist_value')
        .toReversed()
        .map(a => [a.key ?? '', json(a.value ?? {})]),
    )
    const keys = [...new Set(inner('kvlist_value').map(a => a.key ?? ''))].toSorted((a, b) => (a < b ? -1 : 1))
    return `{${keys.map(k => `${quoted(k)}:${first.get(k)}`).join(',')}}`
  }
  if ('int_value' in value) return value['int_value'] as string
  if ('bytes_value' in value) return quoted(asText(value))
  if (typeof value['string_value'] === 'string') return quoted(value['string_value'])
  const scalar = value['string_value'] ?? value['bool_value'] ?? value['double_value'] ?? null
  if (Object.is(scalar, -0)) return '-0'
  return typeof scalar === 'number' && !Number.isFinite(scalar)
    ? JSON.stringify(String(scalar))
    : JSON.stringify(scalar)
}

/** As Go's JSON writes a text: what could end a script in HTML is escaped. */
function quoted(text: string): string {
  const escapes: Record<string, string> = {
    '<': '\\u003c',
    '>': '\\u003e',
    '&': '\\u0026',
    '\u2028': '\\u2028',
    '\u2029': '\\u2029',
  }
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, character => escapes[character] ?? character)
}

/** What the Collector's convert makes of a value. */
function converted(value: Plain, to: 'int' | 'double' | 'string'): Plain {
  if (to === 'string') return 'string_value' in value ? value : { string_value: scalarText(value) }
  if ('bool_value' in value) {
    const one = value['bool_value'] === true
    return to === 'int' ? { int_value: one ? '1' : '0' } : { double_value: one ? 1 : 0 }
  }
  if ('int_value' in value) return to === 'int' ? value : { double_value: Number(value['int_value']) }
  if ('double_value' in value) {
    const whole = Math.trunc(value['double_value'] as number)
    const fits = Number.isFinite(whole) && Math.abs(whole) < 2 ** 63
    return to === 'int' && fits ? { int_value: String(BigInt(whole)) } : value
  }
  // Texts of the samples, or what an earlier action made of a number.
  const text = value['string_value']
  if (typeof text !== 'string') return value
  if (to === 'int') return /^-?\d+$/.test(text) && fits64(text) ? { int_value: text } : value
  return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text) ? { double_value: Number(text) } : value
}

const fits64 = (text: string): boolean => BigInt.asIntN(64, BigInt(text)) === BigInt(text)

function scalarText(value: Plain): string {
  if ('bool_value' in value) return value['bool_value'] === true ? 'true' : 'false'
  if ('int_value' in value) return value['int_value'] as string
  if (!('double_value' in value)) return asText(value)
  const number = value['double_value'] as number
  return Object.is(number, -0) ? '-0' : String(number)
}

test.each([
  ['constant values, in one pass', simple],
  ['all kinds, one after the other', any],
])('edits on bytes are edits on the decoded message: %s', (_name, actions) => {
  fc.assert(
    fc.property(sample, actions, ({ shape: [message, tag, list], bytes }, wanted) => {
      const edits = compileEdits(wanted, tag)
      const { [list]: was, ...others } = decode(message, bytes)
      const attributes = ((was ?? []) as Attribute[]).map(filled)
      for (const action of wanted) model(attributes, action)
      const arena = new Arena(0)
      const changed = edits.apply(bytes, 0, bytes.length, arena, lookup)
      const after = changed ? arena.bytes.subarray(arena.from, arena.at) : bytes
      const { [list]: is, ...stayed } = decode(message, after)
      expect(((is ?? []) as Attribute[]).map(filled)).toEqual(attributes)
      expect(stayed).toEqual(others)
      if (edits.growth !== undefined && changed) expect(after.length).toBeLessThanOrEqual(bytes.length + edits.growth)
    }),
    runs,
  )
})

test('an edit keeps what the schema does not know', () => {
  const bytes = Buffer.from('\x0a\x08\x0a\x01a\x12\x03\x0a\x01x\x98\x06\x07\x10\x05', 'latin1')
  const arena = new Arena(0)
  compileEdits([{ action: 'upsert', key: 'a', source: { value: 'yy' } }]).apply(bytes, 0, bytes.length, arena)
  expect(arena.bytes.subarray(arena.from, arena.at).toString('latin1')).toBe(
    '\x0a\x09\x0a\x01a\x12\x04\x0a\x02yy\x98\x06\x07\x10\x05',
  )
})

test('a whole request whose resources are edited stays itself in all else', () => {
  fc.assert(
    fc.property(requests(), simple, ({ signal, body }, actions) => {
      const edits = compileEdits(actions)
      const arena = new Arena(64)
      for (const group of readRequest(signal, body).groups) {
        const { resource, resourceStart, resourceEnd } = group
        const before = decode('Resource', resource.subarray(resourceStart, resourceEnd))
        const attributes = structuredClone((before['attributes'] ?? []) as Attribute[])
        for (const action of actions) model(attributes, action)
        const edited = edits.apply(resource, resourceStart, resourceEnd, arena)
          ? group.withResource(arena.bytes, arena.from, arena.at)
          : group
        const after = decode('Resource', edited.resource.subarray(edited.resourceStart, edited.resourceEnd))
        expect(after['attributes'] ?? []).toEqual(attributes)
        expect(after['entity_refs']).toEqual(before['entity_refs'])
      }
    }),
    { numRuns: 300 },
  )
})

test('a value that is set reads as it was written', () => {
  fc.assert(
    fc.property(constant, value => {
      const arena = new Arena(0)
      compileEdits([{ action: 'insert', key: 'k', source: { value } }]).apply(Buffer.alloc(0), 0, 0, arena)
      const [attribute] = decode('Resource', arena.bytes.subarray(arena.from, arena.at))['attributes'] as Attribute[]
      expect(attribute).toEqual({ key: 'k', value: plainOf(value) })
    }),
  )
})
