import { expect, test } from 'vitest'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { groupsToJson, protobufToJson } from '../../proto/json-write.ts'
import { readRequest } from '../../proto/request.ts'
import { WireError } from '../../proto/wire.ts'
import { encode } from '../support/otlp.ts'

const field = (tag: number, content: Buffer | string): Buffer =>
  Buffer.concat([Buffer.from([tag, content.length]), Buffer.from(content)])
const write = (message: string, ...parts: Buffer[]): string => protobufToJson(message, Buffer.concat(parts)).toString()

test.each<[rule: string, message: string, plain: object, text: string]>([
  ['an empty message is an empty object', 'Span', {}, '{}'],
  ['keys are lowerCamelCase', 'Span', { trace_state: 'a=1' }, '{"traceState":"a=1"}'],
  ['ids are hex', 'Span', { trace_id: Buffer.from('ab01', 'hex') }, '{"traceId":"ab01"}'],
  ['other bytes are base64', 'AnyValue', { bytes_value: Buffer.from('00ff80', 'hex') }, '{"bytesValue":"AP+A"}'],
  [
    'unsigned 64 bits are a string',
    'Span',
    { start_time_unix_nano: '18446744073709551615' },
    '{"startTimeUnixNano":"18446744073709551615"}',
  ],
  [
    'signed 64 bits are a string',
    'AnyValue',
    { int_value: '-9223372036854775808' },
    '{"intValue":"-9223372036854775808"}',
  ],
  ['fixed signed 64 bits are a string', 'NumberDataPoint', { as_int: '-1' }, '{"asInt":"-1"}'],
  ['32 bits are a number', 'Span', { flags: 4294967295 }, '{"flags":4294967295}'],
  ['with their sign', 'Buckets', { offset: -2147483648 }, '{"offset":-2147483648}'],
  ['enums are numbers', 'Span', { kind: 3 }, '{"kind":3}'],
  ['even unknown ones', 'Span', { kind: -1 }, '{"kind":-1}'],
  ['doubles are numbers', 'AnyValue', { double_value: 1e21 }, '{"doubleValue":1e+21}'],
  ['whole ones too', 'AnyValue', { double_value: 5 }, '{"doubleValue":5}'],
  ['negative zero keeps its sign', 'AnyValue', { double_value: -0 }, '{"doubleValue":-0}'],
  ['NaN is a string', 'AnyValue', { double_value: Number.NaN }, '{"doubleValue":"NaN"}'],
  ['Infinity is a string', 'AnyValue', { double_value: -Infinity }, '{"doubleValue":"-Infinity"}'],
  ['booleans', 'AnyValue', { bool_value: false }, '{"boolValue":false}'],
  [
    'lists of numbers',
    'HistogramDataPoint',
    { bucket_counts: ['1', '2'], explicit_bounds: [0.5, 1] },
    '{"bucketCounts":["1","2"],"explicitBounds":[0.5,1]}',
  ],
  ['a value that was not set', 'KeyValue', { key: 'a', value: {} }, '{"key":"a","value":{}}'],
  [
    'texts are escaped as far as they must be',
    'Span',
    { name: '"\\/\b\f\n\r\t\u0000\u001fä🦊\u007f' },
    '{"name":"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001fä🦊\u007f"}',
  ],
])('%s', (_, message, plain, text) => {
  expect(protobufToJson(message, encode(message, plain)).toString()).toBe(text)
})

const status = (...parts: Buffer[]): Buffer => field(0x7a, Buffer.concat(parts))
const code = (n: number): Buffer => Buffer.from([0x18, n])

test.each<[what: string, message: string, parts: Buffer[], text: string]>([
  [
    'fields that are not known are left out',
    'Span',
    [field(0x2a, 'a'), Buffer.from([0xf8, 0x7f, 1]), field(0x1a, 'b')],
    '{"name":"a","traceState":"b"}',
  ],
  [
    'elements of a list that stand apart become one list',
    'Resource',
    [field(0x0a, field(0x0a, 'a')), Buffer.from([0x10, 1]), field(0x0a, field(0x0a, 'b'))],
    '{"attributes":[{"key":"a"},{"key":"b"}],"droppedAttributesCount":1}',
  ],
  [
    'of a value that stands twice the last counts',
    'Span',
    [field(0x2a, 'a'), field(0x1a, 's'), field(0x2a, 'b')],
    '{"name":"b","traceState":"s"}',
  ],
  ['side by side as well', 'Span', [field(0x2a, 'a'), field(0x2a, 'b')], '{"name":"b"}'],
  [
    'a message that stands twice is merged',
    'Span',
    [status(field(0x12, 'm')), field(0x2a, 'a'), status(code(2))],
    '{"status":{"message":"m","code":2},"name":"a"}',
  ],
  [
    'and what is in it counts by the same rules',
    'Span',
    [status(field(0x12, 'm'), code(1)), status(code(2))],
    '{"status":{"message":"m","code":2}}',
  ],
  ['of a oneof the last member counts', 'AnyValue', [field(0x0a, 'a'), Buffer.from([0x18, 1])], '{"intValue":"1"}'],
  [
    'bytes that are no UTF-8 become U+FFFD',
    'Span',
    [field(0x2a, Buffer.from([0x61, 0xff, 0x22]))],
    '{"name":"a\ufffd\\""}',
  ],
  ['an empty packed list', 'HistogramDataPoint', [field(0x32, '')], '{"bucketCounts":[]}'],
  [
    'empty parts of a packed list',
    'Buckets',
    [field(0x12, ''), field(0x12, '\u0001'), field(0x12, ''), field(0x12, '\u0002')],
    '{"bucketCounts":["1","2"]}',
  ],
  [
    'a list of numbers that is not packed',
    'Buckets',
    [Buffer.from([0x10, 1, 0x10, 2]), field(0x12, '\u0003')],
    '{"bucketCounts":["1","2","3"]}',
  ],
])('%s', (_, message, parts, text) => {
  expect(write(message, ...parts)).toBe(text)
})

test.each([0, 1, 3, 4, 5, 127, 128, 40_000])('texts of %i bytes', length => {
  for (const name of ['x'.repeat(length), '"'.repeat(length), '\u0001'.repeat(length), 'ä'.repeat(length)]) {
    expect(JSON.parse(protobufToJson('Span', encode('Span', { name })).toString())).toEqual(
      length === 0 ? {} : { name },
    )
  }
})

test('groups of several requests, one with another resource', () => {
  const request = (name: string): Buffer =>
    jsonToProtobuf(
      'ExportTraceServiceRequest',
      Buffer.from(`{"resourceSpans":[{"schemaUrl":"u","resource":{},"scopeSpans":[{"spans":[{"name":"${name}"}]}]}]}`),
    )
  const [first] = readRequest('traces', request('a')).groups
  const [second] = readRequest('traces', request('b')).groups
  const edited = second.withResource(encode('Resource', { dropped_attributes_count: 7 }))
  expect(JSON.parse(groupsToJson('traces', [first, edited]).toString())).toEqual({
    resourceSpans: [
      { schemaUrl: 'u', resource: {}, scopeSpans: [{ spans: [{ name: 'a' }] }] },
      { schemaUrl: 'u', resource: { droppedAttributesCount: 7 }, scopeSpans: [{ spans: [{ name: 'b' }] }] },
    ],
  })
  expect(groupsToJson('logs', []).toString()).toBe('{"resourceLogs":[]}')
})

test.each<[what: string, message: string, bytes: number[]]>([
  ['a cut field', 'Span', [0x2a, 5, 0x61]],
  ['a cut number', 'Span', [0x39, 1, 2, 3]],
  ['a wrong wire type', 'Span', [0x28, 1]],
  ['a group', 'Span', [0x2b]],
  ['field number 0', 'Span', [0x00, 0x01]],
  ['a varint over ten bytes', 'AnyValue', [0x18, ...Array.from({ length: 11 }, () => 0xff), 1]],
  ['a cut packed list', 'HistogramDataPoint', [0x32, 7, 1, 2, 3, 4, 5, 6, 7]],
])('%s is a WireError', (_, message, bytes) => {
  expect(() => protobufToJson(message, Buffer.from(bytes))).toThrow(WireError)
})

test('values nested too deep are a WireError', () => {
  let value: Buffer = Buffer.alloc(0)
  const wrap = (tag: number, content: Buffer): Buffer => {
    const head = Buffer.from([tag, (content.length & 0x7f) | 0x80, content.length >> 7])
    return Buffer.concat([head, content])
  }
  for (let i = 0; i < 60; i++) value = wrap(0x2a, wrap(0x0a, value))
  expect(() => protobufToJson('AnyValue', value)).toThrow(/nested more than 100 deep/)
})
