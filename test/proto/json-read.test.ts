import { expect, test } from 'vitest'
import type { Memory } from '../../proto/growing.ts'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { protobufToJson } from '../../proto/json-write.ts'
import { readRequest } from '../../proto/request.ts'
import { WireError } from '../../proto/wire.ts'
import { decode, encode, type Plain } from '../support/otlp.ts'

const read = (message: string, text: string): Plain => decode(message, jsonToProtobuf(message, Buffer.from(text)))
const bytesOf = (message: string, text: string): string => jsonToProtobuf(message, Buffer.from(text)).toString('hex')
const messageOf = (message: string, text: string | Buffer): string => {
  try {
    jsonToProtobuf(message, Buffer.from(text))
  } catch (error) {
    if (error instanceof WireError) return error.message
    throw error
  }
  throw new Error('no error')
}

const attribute = (value: object | null) => ({ attributes: [{ key: 'k', value }] })
const id16 = '0x5b8efff798038103d269b633813fc60c'
const id8 = '0xeee19b7ec3c1b174'

test.each<[rule: string, message: string, text: string, expected: object]>([
  ['an empty object is an empty message', 'Span', '{}', {}],
  ['keys are lowerCamelCase', 'Span', '{"traceState":"a=1"}', { trace_state: 'a=1' }],
  ['or snake_case', 'Span', '{"trace_state":"a=1"}', { trace_state: 'a=1' }],
  ['escapes in keys count', 'Span', '{"tr\\u0061ceState":"a=1"}', { trace_state: 'a=1' }],
  ['white space stands anywhere', 'Span', ' {\n\t"name" : "a" ,\r\n"kind" : 2 } ', { name: 'a', kind: 2 }],
  ['a byte order mark is passed over', 'Span', '\ufeff{"name":"a"}', { name: 'a' }],
  ['ids are hex', 'Span', '{"traceId":"5b8efff798038103d269b633813fc60c"}', { trace_id: id16 }],
  ['in either case', 'Span', '{"spanId":"EEE19B7EC3c1b174"}', { span_id: id8 }],
  ['escapes in ids count', 'Span', '{"spanId":"eee19b7ec3c1b1\\u00374"}', { span_id: id8 }],
  ['an empty id is none', 'Span', '{"traceId":"","parentSpanId":""}', {}],
  [
    'ids of links, log records and exemplars are hex too',
    'Span',
    '{"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}',
    { links: [{ trace_id: id16, span_id: id8 }] },
  ],
  [
    'ids of a log record',
    'LogRecord',
    '{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}',
    { trace_id: id16, span_id: id8 },
  ],
  [
    'ids of an exemplar',
    'Exemplar',
    '{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"}',
    { trace_id: id16, span_id: id8 },
  ],
  ['other bytes are base64', 'AnyValue', '{"bytesValue":"AP+A"}', { bytes_value: '0x00ff80' }],
  ['in the URL alphabet and without padding', 'AnyValue', '{"bytesValue":"_-8"}', { bytes_value: '0xffef' }],
  ['with padding', 'AnyValue', '{"bytesValue":"/+8="}', { bytes_value: '0xffef' }],
  ['bytes may be empty', 'AnyValue', '{"bytesValue":""}', { bytes_value: '0x' }],
  ['64 bits as a string', 'AnyValue', '{"intValue":"9223372036854775807"}', { int_value: '9223372036854775807' }],
  ['or as a number', 'AnyValue', '{"intValue":9223372036854775807}', { int_value: '9223372036854775807' }],
  ['the least of them', 'AnyValue', '{"intValue":-9223372036854775808}', { int_value: '-9223372036854775808' }],
  [
    'a number above 2^53 without quotes keeps its last digit',
    'Span',
    '{"startTimeUnixNano":1767225600000000001,"endTimeUnixNano":18446744073709551615}',
    { start_time_unix_nano: '1767225600000000001', end_time_unix_nano: '18446744073709551615' },
  ],
  [
    'and so does one with an exponent',
    'Span',
    '{"startTimeUnixNano":1.767225600000000001e18,"endTimeUnixNano":"17672256000000000010e-1"}',
    { start_time_unix_nano: '1767225600000000001', end_time_unix_nano: '1767225600000000001' },
  ],
  ['a whole number with a point', 'AnyValue', '{"intValue":-12.00}', { int_value: '-12' }],
  ['a zero with an exponent', 'AnyValue', '{"intValue":0.0e99}', { int_value: '0' }],
  ['a number in quotes with escapes', 'AnyValue', '{"intValue":"1\\u0032"}', { int_value: '12' }],
  ['a negative zero is zero', 'AnyValue', '{"intValue":-0}', { int_value: '0' }],
  ['32 bits as a string', 'Span', '{"droppedAttributesCount":"4294967295"}', { dropped_attributes_count: 4294967295 }],
  ['32 bits with a sign', 'Buckets', '{"offset":-2147483648}', { offset: -2147483648 }],
  ['fixed 32 bits', 'Span', '{"flags":257}', { flags: 257 }],
  [
    'lists of numbers, quoted or not',
    'HistogramDataPoint',
    '{"bucketCounts":["1",2, "18446744073709551615"],"explicitBounds":[-0.5,1e3,"2"]}',
    { bucket_counts: ['1', '2', '18446744073709551615'], explicit_bounds: [-0.5, 1000, 2] },
  ],
  ['enums as numbers', 'Span', '{"kind":3}', { kind: 3 }],
  ['as numbers in quotes', 'Span', '{"kind":"3"}', { kind: 3 }],
  ['as names', 'Span', '{"kind":"SPAN_KIND_CLIENT"}', { kind: 3 }],
  ['as numbers without a name', 'Span', '{"kind":99}', { kind: 99 }],
  ['even negative ones', 'Span', '{"kind":-1}', { kind: -1 }],
  ['names of a severity', 'LogRecord', '{"severityNumber":"SEVERITY_NUMBER_WARN2"}', { severity_number: 14 }],
  ['NaN in quotes', 'AnyValue', '{"doubleValue":"NaN"}', { double_value: Number.NaN }],
  ['Infinity', 'AnyValue', '{"doubleValue":"Infinity"}', { double_value: Infinity }],
  ['-Infinity', 'AnyValue', '{"doubleValue":"-Infinity"}', { double_value: -Infinity }],
  ['a double as a string', 'AnyValue', '{"doubleValue":"-1.5e-7"}', { double_value: -1.5e-7 }],
  ['a double that is negative zero', 'AnyValue', '{"doubleValue":-0}', { double_value: -0 }],
  [
    'a double of seventeen digits',
    'AnyValue',
    '{"doubleValue":0.12345678901234568}',
    { double_value: 0.12345678901234568 },
  ],
  ['the largest double', 'AnyValue', '{"doubleValue":1.7976931348623157E+308}', { double_value: Number.MAX_VALUE }],
  ['a whole double beyond 2^53', 'AnyValue', '{"doubleValue":9007199254740993}', { double_value: 9007199254740992 }],
  ['booleans', 'Sum', '{"isMonotonic":true}', { is_monotonic: true }],
  ['null is absent', 'Span', '{"name":null,"attributes":null,"status":null,"kind":null}', {}],
  ['also as a value', 'Resource', JSON.stringify(attribute(null)), { attributes: [{ key: 'k' }] }],
  [
    'a null member of a oneof does not take the place of another',
    'AnyValue',
    '{"stringValue":"a","intValue":null}',
    { string_value: 'a' },
  ],
  [
    'a null in a list keeps the places of the others',
    'ArrayValue',
    '{"values":[null,{"boolValue":false}]}',
    { values: [{}, { bool_value: false }] },
  ],
  ['a zero is not written', 'Span', '{"kind":0,"name":"","flags":0,"droppedAttributesCount":"0"}', {}],
  ['but where presence counts', 'HistogramDataPoint', '{"sum":0,"min":0,"max":-0}', { sum: 0, min: 0, max: -0 }],
  ['and in a value', 'AnyValue', '{"stringValue":""}', { string_value: '' }],
  ['an empty message is written', 'Span', '{"status":{}}', { status: {} }],
  ['empty lists are none', 'HistogramDataPoint', '{"bucketCounts":[],"exemplars":[]}', {}],
  ['of a key that stands twice the last wins', 'Span', '{"name":"a","kind":1,"name":"b","kind":0}', { name: 'b' }],
  [
    'the last list, not both',
    'Span',
    '{"events":[{"name":"a"}],"name":"x","events":[{"name":"b"}]}',
    { name: 'x', events: [{ name: 'b' }] },
  ],
  [
    'the last message, not both merged',
    'Span',
    '{"status":{"message":"a"},"status":{"code":2}}',
    { status: { code: 2 } },
  ],
  ['whichever way it is spelt', 'Span', '{"traceState":"a","trace_state":"b"}', { trace_state: 'b' }],
  ['the last may be null', 'Span', '{"name":"a","name":null,"kind":1}', { kind: 1 }],
  ['of a oneof the last member wins', 'AnyValue', '{"stringValue":"a","intValue":"1"}', { int_value: '1' }],
  [
    'also when it was there before',
    'AnyValue',
    '{"stringValue":"a","intValue":"1","stringValue":"b"}',
    { string_value: 'b' },
  ],
  [
    'twice in an attribute',
    'Resource',
    '{"attributes":[{"key":"a","value":{"stringValue":"x"},"key":"b"}]}',
    { attributes: [{ key: 'b', value: { string_value: 'x' } }] },
  ],
  [
    'an attribute with its value first',
    'Resource',
    '{"attributes":[{"value":{"stringValue":"x"},"key":"b"}]}',
    { attributes: [{ key: 'b', value: { string_value: 'x' } }] },
  ],
  [
    'every escape',
    'Span',
    '{"name":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e4\\u20AC"}',
    { name: '"\\/\b\f\n\r\t\u0000ä€' },
  ],
  ['pairs of surrogates', 'Span', '{"name":"\\ud83e\\udd8a🦊"}', { name: '🦊🦊' }],
  ['half a pair, as cut texts have it, becomes U+FFFD', 'Span', '{"name":"a\\ud83e"}', { name: 'a\ufffd' }],
  ['the wrong half', 'Span', '{"name":"\\udd8a\\ud83e\\ud83e\\udd8a\\ud83ex"}', { name: '\ufffd\ufffd🦊\ufffdx' }],
])('%s', (_, message, text, expected) => {
  expect(read(message, text)).toEqual(expected)
})

test('unknown keys are passed over at any depth, whatever they hold', () => {
  const unknown = '"x":[{"a":{"b":[1,-2.5e3,"\\u0041\\"]",true,false,null,{}]}},[],""]'
  const text = `{${unknown},"resourceSpans":[{${unknown},"scopeSpans":[{"spans":[{${unknown},"name":"a",${unknown}}],${unknown}}]}]}`
  expect(read('ExportTraceServiceRequest', text)).toEqual({
    resource_spans: [{ scope_spans: [{ spans: [{ name: 'a' }] }] }],
  })
})

test.each([0, 1, 125, 126, 127, 128, 129, 16_383, 16_384, 70_000])('texts of %i bytes', length => {
  const long = 'ä'.repeat(length >> 1) + 'x'.repeat(length & 1)
  expect(read('Span', JSON.stringify({ name: long }))).toEqual(length === 0 ? {} : { name: long })
  for (const key of [long, 'k']) {
    const plain = { attributes: [{ key, value: { stringValue: long } }] }
    const expected = { attributes: [{ ...(key === '' ? {} : { key }), value: { string_value: long } }] }
    expect(read('Resource', JSON.stringify(plain))).toEqual(expected)
    expect(read('Resource', JSON.stringify(plain, undefined, 2))).toEqual(expected)
  }
})

test('what is written is what any tidy encoder writes', () => {
  expect(bytesOf('Span', '{"name":"ab","kind":1,"attributes":[{"key":"a","value":{"intValue":"300"}}]}')).toBe(
    '2a02616230014a080a0161120318ac02',
  )
})

const shortest = '5b8efff798038103d269b633813fc6'
test.each<[what: string, message: string, text: string, error: RegExp]>([
  ['nothing', 'Span', '', /^expected `\{`, found the end of the text \(byte 0\)$/],
  ['another value', 'Span', '[]', /^expected `\{`, found "\[" \(byte 0\)$/],
  ['null', 'Span', 'null', /^expected `\{`/],
  ['two documents', 'Span', '{}{}', /^expected the end of the text, found "\{" \(byte 2\)$/],
  ['a trailing comma', 'Span', '{"name":"a",}', /expected a key in quotes, found "\}"/],
  ['a list with a trailing comma', 'Span', '{"events":[{},]}', /^events\[1\]: expected `\{`, found "\]"/],
  ['a missing comma', 'Span', '{"name":"a" "kind":1}', /^name: expected `,` or `\}`, found "\\""/],
  ['a missing colon', 'Span', '{"name" "a"}', /^name: expected `:`/],
  ['an open string', 'Span', '{"name":"abc', /^name: string without an end \(byte 8\)$/],
  ['a line break in a string', 'Span', '{"name":"a\nb"}', /^name: control character 10 in a string \(byte 10\)$/],
  ['an escape JSON does not have', 'Span', '{"name":"a\\qb"}', /^name: escape that JSON does not have/],
  ['a cut escape', 'Span', '{"name":"\\u12"}', /^name: `\\u` without four hex digits/],
  ['a bad escape in an unknown key', 'Span', '{"x":"\\q"}', /^x: escape that JSON does not have/],
  ['a number for a text', 'Span', '{"name":1}', /^name: expected a string, found "1"/],
  ['a text for a message', 'Span', '{"status":"ok"}', /^status: expected `\{`, found "\\""/],
  ['an object for a list', 'Span', '{"events":{}}', /^events: expected `\[`, found "\{"/],
  ['a text for a bool', 'Sum', '{"isMonotonic":"true"}', /^isMonotonic: expected `true` or `false`/],
  ['a word that is none', 'Sum', '{"isMonotonic":tru}', /^isMonotonic: expected `true`/],
  [
    'a text for a number',
    'Span',
    '{"startTimeUnixNano":"soon"}',
    /^startTimeUnixNano: expected a whole number, found another text/,
  ],
  [
    'an empty text for a number',
    'AnyValue',
    '{"doubleValue":""}',
    /^doubleValue: expected a number, found another text/,
  ],
  ['an object for a number', 'AnyValue', '{"doubleValue":{}}', /^doubleValue: expected a number, found "\{"/],
  ['nothing for a number', 'AnyValue', '{"intValue":}', /^intValue: expected a whole number, found "\}"/],
  ['a fraction for a whole number', 'AnyValue', '{"intValue":1.5}', /^intValue: number that is not whole/],
  ['a leading zero', 'AnyValue', '{"intValue":012}', /^intValue: expected a whole number/],
  ['a plus sign', 'AnyValue', '{"doubleValue":+1}', /^doubleValue: expected a number, found "\+"/],
  ['NaN for a whole number', 'AnyValue', '{"intValue":"NaN"}', /^intValue: expected a whole number/],
  ['NaN without quotes', 'AnyValue', '{"doubleValue":NaN}', /^doubleValue: expected a number, found "N"/],
  [
    '64 bits and one',
    'Span',
    '{"endTimeUnixNano":18446744073709551616}',
    /^endTimeUnixNano: number that does not fit into 64 bits/,
  ],
  ['far more than 64 bits', 'Span', '{"endTimeUnixNano":1e999999999}', /^endTimeUnixNano: number that does not fit/],
  [
    '63 bits and one',
    'AnyValue',
    '{"intValue":9223372036854775808}',
    /^intValue: number out of range .*signed integer of 64 bits/,
  ],
  ['63 bits and one below', 'AnyValue', '{"intValue":-9223372036854775809}', /^intValue: number out of range/],
  [
    'a negative time',
    'Span',
    '{"endTimeUnixNano":"-1"}',
    /^endTimeUnixNano: number out of range .*unsigned integer of 64 bits/,
  ],
  ['32 bits and one', 'Span', '{"flags":4294967296}', /^flags: number out of range .*unsigned integer of 32 bits/],
  ['31 bits and one', 'Buckets', '{"offset":2147483648}', /^offset: number out of range .*a signed integer of 32 bits/],
  ['a double beyond all', 'AnyValue', '{"doubleValue":1e999}', /^doubleValue: number beyond the range of a double/],
  [
    'a name no enum has',
    'Span',
    '{"kind":"CLIENT"}',
    /^kind: no value of SpanKind: write its number or a name such as SPAN_KIND_INTERNAL/,
  ],
  [
    'an id that is too short',
    'Span',
    `{"traceId":"${shortest}"}`,
    /^traceId: id of 30 hex digits, where 32 or none are allowed/,
  ],
  ['an id that is too long', 'Span', `{"spanId":"${shortest}"}`, /^spanId: id of 30 hex digits, where 16 or none/],
  ['an id in base64', 'Span', '{"spanId":"7uGbfsPBsXQ="}', /^spanId: id that is not written in hex digits/],
  ['an id of the right length with a wrong digit', 'Span', '{"spanId":"eee19b7ec3c1b17g"}', /^spanId: id that is not/],
  ['bytes in something else', 'AnyValue', '{"bytesValue":"a*b="}', /^bytesValue: bytes that are not written in base64/],
  ['base64 that cannot be', 'AnyValue', '{"bytesValue":"abcde"}', /^bytesValue: bytes that are not written in base64/],
  [
    'a null among numbers',
    'HistogramDataPoint',
    '{"bucketCounts":["1",null]}',
    /^bucketCounts\[1\]: expected a whole number, found "n"/,
  ],
])('%s is refused with path and reason', (_, message, text, error) => {
  expect(messageOf(message, text)).toMatch(error)
})

test('the path leads to the fault', () => {
  const span = (traceId: string) => ({ name: 'a,]}"[{', events: [], traceId, attributes: [{ key: 'a', value: {} }] })
  const good = span(id16.slice(2))
  const text = JSON.stringify({
    resourceSpans: [
      { scopeSpans: [{ spans: [good] }, { spans: [] }, { scope: { name: '' }, spans: [good, span('abc')] }] },
    ],
  })
  const error = messageOf('ExportTraceServiceRequest', text)
  expect(error).toMatch(/^resourceSpans\[0\]\.scopeSpans\[2\]\.spans\[1\]\.traceId: id of 3 hex digits/)
  expect(error).toContain(`(byte ${text.indexOf('"abc"')})`)
})

test('a long path is cut', () => {
  const text = `{${'"x":{'.repeat(90)}"${'long'.repeat(100)}":oops`
  expect(messageOf('Span', text).length).toBeLessThan(420)
})

test.each([0, 1, 2, 3, 65_530, 65_536, 140_000])('bad UTF-8 after %i good characters is told by its byte', length => {
  for (const bad of [[0xff], [0xc3], [0xe2, 0x82], [0x80], [0xed, 0xa0, 0x80]]) {
    const start = Buffer.from(`{"name":"${'ä'.repeat(length)}`)
    const text = Buffer.concat([start, Buffer.from(bad), Buffer.from('"}')])
    expect(messageOf('Span', text)).toBe(`the text is not valid UTF-8 (byte ${start.length})`)
  }
  expect(messageOf('Span', Buffer.alloc(length + 1, 0x80))).toBe('the text is not valid UTF-8 (byte 0)')
})

test('values nest as deep in JSON as in protobuf', () => {
  const nested = (depth: number) =>
    `{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":${'{"arrayValue":{"values":['.repeat(depth)}{}${']}}'.repeat(depth)}}]},"scopeSpans":[{"spans":[{}]}]}]}`
  const deepest = jsonToProtobuf('ExportTraceServiceRequest', Buffer.from(nested(47)))
  expect(readRequest('traces', deepest).groups.length).toBe(1)
  expect(messageOf('ExportTraceServiceRequest', nested(48))).toMatch(/values nested more than 100 deep/)
})

/** Memory that counts what is taken and not given back. */
class Counted implements Memory {
  readonly out = new Set<Buffer>()

  take(size: number): Buffer {
    // As a pool gives it: a part of something larger, and not empty.
    const buffer = Buffer.from(new ArrayBuffer(size + 100), 60, size).fill(0xaa)
    this.out.add(buffer)
    return buffer
  }

  give(buffer: Buffer): void {
    if (!this.out.delete(buffer)) throw new Error('given back twice')
  }
}

test('of the memory it is given it keeps what it returns, and nothing when it fails', () => {
  const memory = new Counted()
  const bounds = (end: string): Buffer => Buffer.from(`{"explicitBounds":[${'1,'.repeat(3000)}1${end}`)
  const read = jsonToProtobuf('HistogramDataPoint', bounds(']}'), memory)
  expect(read.length).toBe(3 + 3001 * 8 + 1)
  expect([...memory.out]).toEqual([read])
  memory.give(read)
  expect(() => jsonToProtobuf('HistogramDataPoint', bounds(']'), memory)).toThrow(WireError)
  const written = protobufToJson('Span', encode('Span', { name: '\u0001'.repeat(1000) }), memory)
  expect([...memory.out]).toEqual([written])
  memory.give(written)
  expect(() => protobufToJson('Span', Buffer.from([0x2a, 9]), memory)).toThrow(WireError)
  expect(memory.out.size).toBe(0)
})
