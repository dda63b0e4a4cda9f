import { expect, test } from 'vitest'
import {
  encodeDouble,
  encodeInt,
  encodeValue,
  Range,
  readValue,
  valueKind,
  valueText,
  TEXT,
  LIST,
  NOTHING,
  type Value,
} from '../../proto/values.ts'
import { fieldNamed, findField } from '../../proto/views.ts'
import { WireError } from '../../proto/wire.ts'
import { decode, encode } from '../support/otlp.ts'

test.each<[string, Value, object]>([
  ['a text', 'shop', { string_value: 'shop' }],
  ['an empty text', '', { string_value: '' }],
  ['a text that is not ASCII', 'ä🦊', { string_value: 'ä🦊' }],
  ['a bool', true, { bool_value: true }],
  ['a negative integer', -5, { int_value: '-5' }],
  ['the largest exact integer', 2 ** 53 - 1, { int_value: '9007199254740991' }],
  ['an integer no number holds', 9007199254740993n, { int_value: '9007199254740993' }],
  ['the smallest integer', -(2n ** 63n), { int_value: '-9223372036854775808' }],
  ['a double', 1.5, { double_value: 1.5 }],
  ['bytes', Buffer.from([0, 255]), { bytes_value: '0x00ff' }],
  ['nothing', null, {}],
  [
    'a list',
    [1, ['x']],
    { array_value: { values: [{ int_value: '1' }, { array_value: { values: [{ string_value: 'x' }] } }] } },
  ],
  ['a map', new Map<string, Value>([['k', null]]), { kvlist_value: { values: [{ key: 'k', value: {} }] } }],
])('%s is written as the oracle reads it, and read back', (_name, value, plain) => {
  const bytes = encodeValue(value)
  expect(decode('AnyValue', bytes)).toEqual(plain)
  expect(readValue(bytes, 0, bytes.length)).toEqual(value)
})

test('a double may be whole when it is meant to be', () => {
  expect(decode('AnyValue', encodeDouble(5))).toEqual({ double_value: 5 })
  expect(decode('AnyValue', encodeInt(5))).toEqual({ int_value: '5' })
  expect(decode('AnyValue', encodeValue(-0))).toEqual({ double_value: -0 })
})

test.each([
  ['the last member counts', [{ string_value: 'a' }, { int_value: 5 }], 5],
  [
    'a list that stands twice is joined',
    [{ array_value: { values: [{ int_value: 1 }] } }, { array_value: { values: [{ int_value: 2 }] } }],
    [1, 2],
  ],
  [
    'a list after something else starts anew',
    [{ array_value: { values: [{ int_value: 1 }] } }, { bool_value: true }, { array_value: {} }],
    [],
  ],
])('%s', (_name, parts, expected) => {
  const bytes = Buffer.concat(parts.map(part => encode('AnyValue', part)))
  expect(readValue(bytes, 0, bytes.length)).toEqual(expected)
})

test('of a key that stands twice in a map the first counts', () => {
  const bytes = encode('AnyValue', {
    kvlist_value: {
      values: [
        { key: 'a', value: { int_value: 1 } },
        { key: 'a', value: { int_value: 2 } },
      ],
    },
  })
  expect(readValue(bytes, 0, bytes.length)).toEqual(new Map([['a', 1]]))
})

test('the kind is known without reading the value', () => {
  const range = new Range()
  const kind = (plain: object): number => {
    const bytes = encode('AnyValue', plain)
    return valueKind(bytes, 0, bytes.length, range)
  }
  expect(kind({ string_value: 'x'.repeat(500) })).toBe(TEXT)
  expect(range.end - range.start).toBe(500)
  expect(kind({ array_value: {} })).toBe(LIST)
  expect(kind({})).toBe(NOTHING)
})

test.each<[string, Value, string]>([
  ['text as it is', 'a"b', 'a"b'],
  ['nothing as nothing', null, ''],
  ['numbers as JavaScript and Go agree on', 1e21, '1e+21'],
  ['small numbers likewise', 1e-7, '1e-7'],
  ['minus zero', -0, '-0'],
  ['bytes as base64', Buffer.from('hi'), 'aGk='],
  ['lists as JSON', [1, 'a', null, true], '[1,"a",null,true]'],
  ['maps as JSON', new Map<string, Value>([['k', [1.5]]]), '{"k":[1.5]}'],
  [
    'keys of maps in order',
    new Map<string, Value>([
      ['b', 1],
      ['a', 2],
    ]),
    '{"a":2,"b":1}',
  ],
  ['texts in JSON without what means something in HTML', ['<a>&\u2028'], '["\\u003ca\\u003e\\u0026\\u2028"]'],
  ['large integers exactly', 9007199254740993n, '9007199254740993'],
])('as text: %s', (_name, value, expected) => {
  expect(valueText(value)).toBe(expected)
})

test.each([
  ['a text as a varint', [0x08, 0x01]],
  ['a bool as a text', [0x12, 0x00]],
  ['a list cut off', [0x2a, 0x04, 0x0a]],
  ['an element as a varint', [0x2a, 0x02, 0x08, 0x01]],
])('%s is an error', (_name, bytes) => {
  expect(() => readValue(Buffer.from(bytes), 0, bytes.length)).toThrow(WireError)
})

test('a value in many pieces is put together in one go', () => {
  // One after the other that was 40 GB of copies.
  const pieces = Array.from({ length: 200_000 }, () => Buffer.from([0x2a, 0]))
  const list = encodeValue(['x'.repeat(200_000)])
  const value = Buffer.concat([list, ...pieces, encodeValue(['y'])])
  const range = new Range()
  expect(valueKind(value, 0, value.length, range)).toBe(LIST)
  const body = fieldNamed('LogRecord', 'body')
  expect(findField(value, 0, value.length, body, range)).toBe(true)
  expect(Buffer.from(range.bytes.subarray(range.end - 5, range.end)).toString('hex')).toBe('0a030a0179')
  expect(readValue(value, 0, value.length)).toEqual(['x'.repeat(200_000), 'y'])
})
