/** Every reader of OTLP against bytes that are not what they say: a WireError or a right answer, never a crash or a hang. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Action, Arena } from '../../proto/actions.ts'
import { attributeTags, AttributeWalk, findAttribute } from '../../proto/attributes.ts'
import { cutGroup, moveGroups } from '../../proto/cut.ts'
import { compileEdits } from '../../proto/edits.ts'
import { encodeGroups } from '../../proto/group.ts'
import { normalise } from '../../proto/normalise.ts'
import { compilePattern } from '../../proto/pattern.ts'
import { readRequest, type Request } from '../../proto/request.ts'
import { DROP, KEEP, REPLACE, rewriteItems } from '../../proto/rewrite.ts'
import { messageNamed, messages } from '../../proto/schema.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { detailedText, normalText } from '../../proto/text.ts'
import { Range, readKeyValue, readValue, valueText } from '../../proto/values.ts'
import {
  eachElement,
  eachPoint,
  findMember,
  ItemCursor,
  readField,
  readNumbers,
  resourceAttribute,
} from '../../proto/views.ts'
import { WireError } from '../../proto/wire.ts'
import { countOf, decode, flatten, Random, randomMessage, requests, untidy } from '../support/otlp.ts'

/** What `read` gives, or undefined when it says that the bytes are wrong. Anything else it throws fails the test. */
function tolerant<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

const key = Buffer.from('service.name')
const constantActions: Action[] = [
  { action: 'upsert', key: 'service.name', source: { value: 'x' } },
  { action: 'delete', key: undefined, pattern: compilePattern('^k8s') },
]
const otherActions: Action[] = [
  { action: 'hash', key: undefined, pattern: compilePattern('.') },
  { action: 'extract', key: 'a', pattern: compilePattern('(?P<one>.*)') },
  { action: 'convert', key: 'b', to: 'string' },
  { action: 'convert', key: 'service.name', to: 'int' },
  { action: 'insert', key: 'c', source: { fromAttribute: 'a' } },
]
const folded = compileEdits(constantActions)
const sequential = compileEdits(otherActions)
const spanEdits = compileEdits(otherActions, attributeTags.span)

/** All that is done with a request that was let in. Its resources and scopes were checked, so nothing there may throw. */
function use(signal: Signal, { groups, items }: Request): void {
  expect(groups.reduce((sum, group) => sum + group.items, 0)).toBe(items)
  const arena = new Arena(64)
  for (const group of groups) {
    const { resource, resourceStart, resourceEnd } = group
    resourceAttribute(group, key)
    folded.apply(resource, resourceStart, resourceEnd, arena)
    sequential.apply(resource, resourceStart, resourceEnd, arena)
    const [head, rest] = cutGroup(signal, group, Math.ceil(group.items / 2))
    expect((head?.items ?? 0) + (rest?.items ?? 0)).toBe(group.items)
  }
  const written = encodeGroups(groups)
  moveGroups(groups, written)
  expect(readRequest(signal, written).items).toBe(items)
  let i = 0
  tolerant(() =>
    rewriteItems(signal, groups, {
      item(bytes, start, end, out) {
        const decision = ([KEEP, DROP, REPLACE] as const)[i++ % 3]
        if (decision === REPLACE && !spanEdits.apply(bytes, start, end, out)) return KEEP
        return decision
      },
    }),
  )
  // Text for people has to be made of anything.
  normalText(signal, groups)
  detailedText(signal, groups)
  const cursor = new ItemCursor()
  for (const group of groups) {
    cursor.set(group)
    while (cursor.nextScope())
      while (cursor.nextItem()) views(signals[signal].item, cursor.bytes, cursor.start, cursor.end)
  }
}

/** Reads every field of a message by itself. */
function views(name: string, bytes: Buffer, start: number, end: number): void {
  for (const field of messageNamed(name).fields) {
    if (field.repeated && field.wire === 2) tolerant(() => eachElement(bytes, start, end, field, () => undefined))
    else if (field.repeated) tolerant(() => readNumbers(bytes, start, end, field))
    else if (field.type !== 'message') tolerant(() => readField(bytes, start, end, field))
  }
  tolerant(() => findMember(bytes, start, end, messageNamed(name), 'value', new Range()))
  if (name !== 'Metric') return
  tolerant(() => eachPoint(bytes, start, end, (message, b, from, to) => views(message.name, b as Buffer, from, to)))
}

/** Everything that reads bytes, on these. */
function attack(bytes: Buffer): void {
  for (const signal of allSignals) {
    const request = tolerant(() => readRequest(signal, bytes))
    if (request !== undefined) use(signal, request)
    tolerant(() => normalise(signals[signal].request, bytes))
  }
  readers(bytes)
}

function readers(bytes: Buffer): void {
  const end = bytes.length
  const range = new Range()
  tolerant(() => valueText(readValue(bytes, 0, end)))
  tolerant(() => readKeyValue(bytes, 0, end, range, range.other))
  for (const tag of new Set(Object.values(attributeTags))) {
    tolerant(() => findAttribute(bytes, 0, end, tag, key, range))
    tolerant(() => {
      const walk = new AttributeWalk(bytes, 0, end, tag)
      let count = 0
      while (walk.next()) expect(++count).toBeLessThanOrEqual(end)
    })
    tolerant(() => compileEdits(constantActions, tag).apply(bytes, 0, end, new Arena(0)))
    tolerant(() => compileEdits(otherActions, tag).apply(bytes, 0, end, new Arena(0)))
  }
  for (const name of ['Span', 'Metric', 'LogRecord', 'HistogramDataPoint', 'Buckets', 'Exemplar'])
    views(name, bytes, 0, end)
}

const seeds = [1, 7, 42]
const sampleOf = (signal: Signal, seed: number): Buffer => {
  const random = new Random(seed)
  for (;;) {
    const plain = randomMessage(random, signals[signal].request, 8)
    const bytes = untidy(random, signals[signal].request, plain, {
      order: 'shuffled',
      padded: true,
      unknown: true,
      scattered: true,
      split: true,
    })
    if (bytes.length > 200 && bytes.length < 1200) return bytes
  }
}

test.each(allSignals)('%s cut at every byte', signal => {
  for (const seed of seeds) {
    const whole = sampleOf(signal, seed)
    for (let end = 0; end < whole.length; end++) {
      const cut = Buffer.from(whole.subarray(0, end))
      const request = tolerant(() => readRequest(signal, cut))
      if (request === undefined) continue
      // What is let in although it was cut ends between two groups: the oracle takes it too.
      expect(() => decode(signals[signal].request, cut)).not.toThrow()
      use(signal, request)
    }
  }
})

test.each(allSignals)('%s with a wrong byte at every place', signal => {
  const whole = sampleOf(signal, 5)
  for (let at = 0; at < whole.length; at++) {
    for (const wrong of [0, 0xff, whole[at] ^ 1, whole[at] ^ 0x80]) {
      const bytes = Buffer.from(whole)
      bytes[at] = wrong
      const request = tolerant(() => readRequest(signal, bytes))
      if (request !== undefined) use(signal, request)
    }
  }
})

test('requests with random bytes changed, cut out and put in', () => {
  fc.assert(
    fc.property(
      requests(),
      fc.array(fc.record({ at: fc.nat(), remove: fc.nat(3), put: fc.uint8Array({ maxLength: 4 }) }), {
        minLength: 1,
        maxLength: 4,
      }),
      ({ signal, body }, changes) => {
        let bytes = body
        for (const { at, remove, put } of changes) {
          const start = at % (bytes.length + 1)
          bytes = Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + remove)])
        }
        const request = tolerant(() => readRequest(signal, bytes))
        if (request !== undefined) use(signal, request)
        tolerant(() => normalise(signals[signal].request, bytes))
      },
    ),
    { numRuns: 1000 },
  )
})

test('random bytes, at the top and inside of each level', () => {
  const wrap = (tag: number, content: Buffer): Buffer => {
    const length = content.length
    return Buffer.concat([
      Buffer.from(length < 128 ? [tag, length] : [tag, (length & 0x7f) | 0x80, length >> 7]),
      content,
    ])
  }
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.array(fc.constantFrom(0x0a, 0x12, 0x2a, 0x32), { maxLength: 6 }),
      (junk, tags) => {
        attack(tags.reduce<Buffer>((content, tag) => wrap(tag, content), Buffer.from(junk)))
      },
    ),
    { numRuns: 500 },
  )
})

const lie = (...bytes: number[]): Buffer => Buffer.from(bytes)

test.each([
  ['a length past the end', lie(0x0a, 0x05, 0x0a)],
  ['a length of 2^31', lie(0x0a, 0x80, 0x80, 0x80, 0x80, 0x08)],
  ['a length of 2^32 - 1', lie(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
  ['a length of 2^63', lie(0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)],
  ['a length that wraps to something small', lie(0x0a, 0x82, 0x80, 0x80, 0x80, 0x10, 0x0a, 0x00)],
  ['a varint of eleven bytes as a length', lie(0x0a, ...Array.from({ length: 10 }, () => 0x80), 0x01)],
  ['a varint of eleven bytes as a tag', lie(...Array.from({ length: 10 }, () => 0x8a), 0x01)],
  ['a varint of eleven bytes as an unknown value', lie(0xa0, 0x06, ...Array.from({ length: 10 }, () => 0x80), 0x01)],
  ['a tag above 2^32', lie(0x8a, 0x80, 0x80, 0x80, 0x10, 0x00)],
  ['field number 0', lie(0x02, 0x00)],
  ['field number 0 in a longer varint', lie(0x82, 0x00, 0x00)],
  ['the start of a group', lie(0x0b, 0x0c)],
  ['the end of a group', lie(0x0c)],
  ['an unknown field of wire type 3', lie(0xa3, 0x06, 0xa4, 0x06)],
  ['wire type 6', lie(0x0e, 0x00)],
  ['wire type 7', lie(0x0f, 0x00)],
  ['a resource group as a varint', lie(0x08, 0x01)],
  ['a fixed64 of seven bytes', lie(0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7)],
  ['a fixed32 of three bytes', lie(0xa5, 0x06, 1, 2, 3)],
])('%s is an error, at every level above items', (_name, bytes) => {
  const wrap = (tag: number, content: Buffer): Buffer => Buffer.concat([lie(tag, content.length), content])
  const levels = [
    bytes,
    wrap(0x0a, bytes),
    wrap(0x0a, wrap(0x0a, bytes)),
    wrap(0x0a, wrap(0x12, bytes)),
    wrap(0x0a, wrap(0x12, wrap(0x0a, bytes))),
  ]
  for (const signal of allSignals)
    for (const level of levels) expect(() => readRequest(signal, level)).toThrow(WireError)
  for (const level of [...levels, wrap(0x0a, wrap(0x12, wrap(0x12, bytes)))]) attack(level)
})

/** A value nested `depth` times, each time as the only element of a list or map. */
function nested(depth: number, map: boolean): Buffer {
  const parts: Buffer[] = []
  let size = 0
  const head = (tag: number): void => {
    const out = [tag]
    let n = size
    for (; n > 0x7f; n >>>= 7) out.push((n & 0x7f) | 0x80)
    out.push(n)
    parts.push(Buffer.from(out))
    size += out.length
  }
  for (let i = 0; i < depth; i++) {
    if (map) head(0x12)
    head(0x0a)
    head(map ? 0x32 : 0x2a)
  }
  return Buffer.concat(parts.toReversed())
}

test.each([
  ['lists', false],
  ['maps', true],
])('%s nested too deep are an error, and those within the limit are read', (_name, map) => {
  const inResource = (value: Buffer): Buffer => {
    const field = (tag: number, content: Buffer): Buffer => {
      const out = [tag]
      let n = content.length
      for (; n > 0x7f; n >>>= 7) out.push((n & 0x7f) | 0x80)
      return Buffer.concat([Buffer.from([...out, n]), content])
    }
    const record = Buffer.from([0x12, 0x02, 0x12, 0x00])
    return field(0x0a, Buffer.concat([field(0x0a, field(0x0a, field(0x12, value))), record]))
  }
  expect(readRequest('logs', inResource(nested(10, map))).groups.length).toBe(1)
  for (const depth of [60, 200, 5_000, 100_000]) {
    const bomb = nested(depth, map)
    expect(() => readRequest('logs', inResource(bomb))).toThrow(WireError)
    expect(() => readValue(bomb, 0, bomb.length)).toThrow(WireError)
    expect(() => normalise('AnyValue', bomb)).toThrow(WireError)
    readers(bomb)
  }
})

/** A length-delimited field of any length. */
function lengthField(tag: number, content: Buffer): Buffer {
  const out = [tag]
  let n = content.length
  for (; n > 0x7f; n >>>= 7) out.push((n & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...out, n]), content])
}

test('a message that stands twice in itself again and again is merged without blowing up', () => {
  // Each level writes its list twice; merging doubles nothing but the walk.
  let value = lie(0x0a, 0x01, 0x78)
  for (let i = 0; i < 8; i++) {
    const list = lengthField(0x2a, lengthField(0x0a, value))
    value = Buffer.concat([list, list])
  }
  const merged = normalise('AnyValue', value)
  expect(merged.length).toBeLessThan(value.length)
  expect(normalise('AnyValue', merged)).toBe(merged)
})

test('pieces within pieces at every level are refused before they fill the memory', () => {
  let value: Buffer = lengthField(0x0a, Buffer.alloc(1 << 20, 'x'))
  const piece = lengthField(0x0a, Buffer.alloc(0))
  const deep = [value]
  for (let i = 0; i < 45; i++) {
    value = Buffer.concat([lengthField(0x2a, piece), lengthField(0x2a, lengthField(0x0a, value))])
    deep.push(value)
  }
  expect(normalise('AnyValue', deep[2]).length).toBeGreaterThan(1 << 20)
  const before = process.memoryUsage().arrayBuffers
  expect(() => normalise('AnyValue', value)).toThrow(/too many messages stand in pieces/)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20)
  const attribute = Buffer.concat([lengthField(0x0a, Buffer.from('k')), lengthField(0x12, value)])
  const request = lengthField(0x0a, lengthField(0x0a, lengthField(0x0a, attribute)))
  expect(() => readRequest('logs', request)).toThrow(/too many messages stand in pieces/)
})

test('half a million small parts are read in a moment', () => {
  const empty = Buffer.alloc(1_000_000)
  for (let i = 0; i < empty.length; i += 2) empty[i] = 0x0a
  const started = performance.now()
  for (const signal of allSignals) {
    const { groups, items, charged } = readRequest(signal, empty)
    expect([groups.length, items, charged]).toEqual([0, 0, 0])
  }
  expect(performance.now() - started).toBeLessThan(3000)
})

function oracleItems(signal: Signal, bytes: Buffer): number | undefined {
  try {
    return flatten(signal, bytes).reduce((sum, { item }) => sum + countOf(signal, item), 0)
  } catch {
    return undefined
  }
}

test('what the oracle refuses at the levels that are checked is refused', () => {
  fc.assert(
    fc.property(requests(), fc.nat(), fc.integer({ min: 0, max: 255 }), ({ signal, body }, at, wrong) => {
      const bytes = Buffer.from(body)
      if (bytes.length > 0) bytes[at % bytes.length] = wrong
      const request = tolerant(() => readRequest(signal, bytes))
      if (request === undefined) return
      // Resources and scopes of what was let in are all readable for the oracle.
      for (const group of request.groups) {
        expect(() => decode('Resource', group.resource.subarray(group.resourceStart, group.resourceEnd))).not.toThrow()
      }
      // And where the oracle can read the items as well, they are as many.
      const items = oracleItems(signal, bytes)
      if (items !== undefined) expect(request.items).toBe(items)
    }),
    { numRuns: 1000 },
  )
})

test('every message of the schema survives being normalised from anything', () => {
  fc.assert(
    fc.property(fc.constantFrom(...messages.keys()), fc.uint8Array({ maxLength: 40 }), (name, bytes) => {
      tolerant(() => normalise(name, Buffer.from(bytes)))
    }),
    { numRuns: 2000 },
  )
})
