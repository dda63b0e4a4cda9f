/** OTLP/JSON that is not what it says: a WireError or a right answer, never a crash, a hang or an overflow. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { protobufToJson } from '../../proto/json-write.ts'
import { messages } from '../../proto/schema.ts'
import { allSignals, signals } from '../../proto/signals.ts'
import { WireError } from '../../proto/wire.ts'
import { decode, encode, Random, randomMessage } from '../support/otlp.ts'

const request = 'ExportTraceServiceRequest'

/** What `read` gives, or the text of the WireError it throws. Anything else it throws fails the test. */
function tolerant<T>(read: () => T): T | string {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return error.message
    throw error
  }
}

/** A text of each signal with something of everything. */
const samples = allSignals.map(signal => {
  const name = signals[signal].request
  for (let seed = 0; ; seed++) {
    const plain = randomMessage(new Random(seed), name, 8)
    const text = protobufToJson(name, encode(name, plain)).toString()
    // Ids of any length are written, but not read.
    if (text.length > 3000) return { name, text: text.replace(/"(traceId|spanId|parentSpanId)":"[^"]*"/g, '"$1":""') }
  }
})

test.each(samples)('$name cut at any byte is refused', ({ name, text }) => {
  const bytes = Buffer.from(text)
  expect(bytes.length).toBeGreaterThan(1000)
  jsonToProtobuf(name, bytes)
  const step = Math.ceil(bytes.length / 3000)
  for (let end = 0; end < bytes.length; end += step) {
    // A copy, so that nothing behind the end could be read by mistake.
    expect(tolerant(() => jsonToProtobuf(name, Buffer.from(bytes.subarray(0, end))))).toEqual(expect.any(String))
  }
})

test.each(samples)('$name with any byte changed is refused or read as JSON.parse reads it', ({ name, text }) => {
  const bytes = Buffer.from(text)
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
      const changed = Buffer.from(bytes)
      changed[at] = byte
      const read = tolerant(() => jsonToProtobuf(name, changed))
      if (typeof read === 'string') return
      decode(name, read)
      JSON.parse(changed.toString())
    }),
    { numRuns: 2000 },
  )
})

test('random bytes and random JSON are refused or give what protobuf can read', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...messages.keys()),
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        fc.json().map(json => Buffer.from(json)),
      ),
      (name, bytes) => {
        const read = tolerant(() => jsonToProtobuf(name, Buffer.from(bytes)))
        if (typeof read !== 'string') decode(name, read)
      },
    ),
    { numRuns: 3000 },
  )
})

test('random JSON that is valid is never taken for bad JSON', () => {
  fc.assert(
    fc.property(fc.json(), json => {
      jsonToProtobuf(request, Buffer.from(`{"unknown":${json}}`))
    }),
    { numRuns: 1000 },
  )
})

const deep = 100_000
test.each<[what: string, text: string]>([
  ['brackets in an unknown key', `{"x":${'['.repeat(deep)}`],
  ['closed ones', `{"x":${'['.repeat(deep)}${']'.repeat(deep)}}`],
  ['objects in an unknown key', `{"x":${'{"x":'.repeat(deep)}`],
  ['brackets for the request', '['.repeat(deep)],
  ['lists for a list', `{"resourceSpans":${'['.repeat(deep)}`],
  [
    'values',
    `{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":${'{"arrayValue":{"values":['.repeat(deep)}`,
  ],
  [
    'maps',
    `{"resourceSpans":[{"resource":{"attributes":[${'{"key":"a","value":{"kvlistValue":{"values":['.repeat(deep)}`,
  ],
])('%s nested without end are refused at once', (_, text) => {
  const start = performance.now()
  expect(tolerant(() => jsonToProtobuf(request, Buffer.from(text)))).toMatch(/nested more than 100 deep|expected `\{`/)
  expect(performance.now() - start).toBeLessThan(500)
})

/** How long reading takes, in milliseconds. */
function timeOf(text: string): number {
  const bytes = Buffer.from(text)
  const start = performance.now()
  tolerant(() => jsonToProtobuf(request, bytes))
  return performance.now() - start
}

const attributes = (n: number): string => `"attributes":[${'{"key":"a","value":{}},'.repeat(n)}{"key":"b"}]`
const span = (inside: string): string => `{"resourceSpans":[{"scopeSpans":[{"spans":[{${inside}}]}]}]}`
/** Maps in maps, each with white space where the usual attribute has none. */
const nestedMaps = (depth: number): string =>
  depth === 0 ? '{}' : `{"kvlistValue":{"values":[{"key":"a","value":${nestedMaps(depth - 1)} }]}}`

test.each<[what: string, text: string]>([
  ['a key that stands 200,000 times', span(`${'"kind":1,'.repeat(200_000)}"name":"a"`)],
  ['the same behind many attributes', span(`${attributes(50_000)},${'"kind":1,'.repeat(200_000)}"name":"a"`)],
  ['lists that replace each other', span(`${`${attributes(100)},`.repeat(1000)}"name":"a"`)],
  [
    'two members of a oneof in turn',
    span(`"attributes":[{"key":"a","value":{${'"intValue":1,"boolValue":true,'.repeat(100_000)}"intValue":2}}]`),
  ],
  ['maps in maps', span(`"attributes":[{"key":"a","value":${nestedMaps(28)}}]`)],
  ['a text of escapes', span(`"name":"${'\\u00e4\\n'.repeat(300_000)}"`)],
  ['an unknown text', span(`"x":"${'\\\\'.repeat(1_000_000)}"`)],
  ['a number of a million digits', span(`"x":${'9'.repeat(1_000_000)}`)],
  ['a whole number of a million digits', span(`"startTimeUnixNano":${'9'.repeat(1_000_000)}`)],
  ['one that ends in a one after a million zeros', span(`"startTimeUnixNano":0.${'0'.repeat(1_000_000)}1`)],
  ['one in quotes', span(`"startTimeUnixNano":"${'1'.repeat(1_000_000)}e-999999"`)],
  [
    'a double of a million digits',
    span(`"attributes":[{"value":{"doubleValue":0.${'0'.repeat(1_000_000)}1e1000000}}]`),
  ],
  ['an id of a million digits', span(`"traceId":"${'a'.repeat(1_000_000)}"`)],
  ['white space', span(`${' \n'.repeat(1_000_000)}"name":"a"`)],
  ['a key of a million letters', span(`"${'k'.repeat(1_000_000)}":oops`)],
  ['many unknown keys', span(`${'"someUnknownKey":0,'.repeat(200_000)}"name":"a"`)],
])('%s is read in a time that its length explains', (_, text) => {
  expect(timeOf(text)).toBeLessThan(1500)
})

test('numbers that are longer in protobuf than in JSON find room', () => {
  const zeros = (n: number): string => Array.from({ length: n }, () => '0').join()
  const text = `{"explicitBounds":[${zeros(5000)}],"bucketCounts":[${zeros(5000)}],"min":0,"max":0,"sum":0}`
  const read = decode('HistogramDataPoint', jsonToProtobuf('HistogramDataPoint', Buffer.from(text)))
  expect((read['explicit_bounds'] as unknown[]).length).toBe(5000)
  expect((read['bucket_counts'] as unknown[]).length).toBe(5000)
  const codes = `{"values":[${Array.from({ length: 3000 }, () => '{"intValue":-1}').join()}]}`
  expect(decode('ArrayValue', jsonToProtobuf('ArrayValue', Buffer.from(codes)))).toEqual({
    values: Array.from({ length: 3000 }, () => ({ int_value: '-1' })),
  })
  for (const one of ['{"code":-1}', '{"sum":0}', '{"quantile":-0}']) {
    for (const name of ['Status', 'HistogramDataPoint', 'ValueAtQuantile']) jsonToProtobuf(name, Buffer.from(one))
  }
})

test('protobuf in pieces at every level is written in bounded time and space', () => {
  const field = (tag: number, content: Buffer): Buffer => {
    const head = [tag]
    for (let n = content.length; ; n >>>= 7) {
      head.push(n > 127 ? (n & 127) | 128 : n)
      if (n < 128) break
    }
    return Buffer.concat([Buffer.from(head), content])
  }
  let value: Buffer = field(0x0a, Buffer.alloc(1 << 20, 'x'))
  const piece = field(0x0a, Buffer.alloc(0))
  // A list whose elements stand apart from each other, in a value that is written twice, again and again.
  for (let i = 0; i < 45; i++) value = Buffer.concat([piece, field(0x2a, field(0x0a, value))])
  const start = performance.now()
  expect(tolerant(() => protobufToJson('AnyValue', value))).toMatch(/too many messages stand in pieces/)
  expect(performance.now() - start).toBeLessThan(1500)
})

test('changed protobuf bytes are refused or written as JSON', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(), fc.nat(255), (seed, at, byte) => {
      const random = new Random(seed)
      const name = random.pick([...messages.keys()])
      const bytes = encode(name, randomMessage(random, name, 6))
      if (bytes.length > 0) bytes[at % bytes.length] = byte
      const written = tolerant(() => protobufToJson(name, bytes))
      if (typeof written !== 'string') JSON.parse(written.toString())
    }),
    { numRuns: 3000 },
  )
})
