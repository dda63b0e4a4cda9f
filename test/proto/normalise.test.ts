import { expect, test } from 'vitest'
import { normalise } from '../../proto/normalise.ts'
import { readRequest } from '../../proto/request.ts'
import { WireError } from '../../proto/wire.ts'
import { decode, encode } from '../support/otlp.ts'

const attribute = (key: string, value: object) => ({ key, value })
const joined = (message: string, ...parts: object[]): Buffer => Buffer.concat(parts.map(part => encode(message, part)))
/** A length-delimited field, written by hand. */
const field = (tag: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([tag, content.length]), content])

test.each<[string, string, Buffer, object]>([
  [
    'a resource that stands twice has the attributes of both, in order',
    'ResourceSpans',
    joined(
      'ResourceSpans',
      { resource: { attributes: [attribute('a', { int_value: 1 })], dropped_attributes_count: 1 } },
      { schema_url: 's' },
      { resource: { attributes: [attribute('b', { int_value: 2 })], dropped_attributes_count: 5 } },
    ),
    {
      resource: {
        attributes: [attribute('a', { int_value: '1' }), attribute('b', { int_value: '2' })],
        dropped_attributes_count: 5,
      },
      schema_url: 's',
    },
  ],
  [
    'of a value that stands twice the last member counts',
    'KeyValue',
    joined('KeyValue', { key: 'k', value: { string_value: 'x' } }, { value: { bool_value: true } }),
    { key: 'k', value: { bool_value: true } },
  ],
  [
    'an empty second value changes nothing',
    'KeyValue',
    joined('KeyValue', { key: 'k', value: { string_value: 'x' } }, { value: {} }),
    { key: 'k', value: { string_value: 'x' } },
  ],
  [
    'a member of a oneof that came back starts anew',
    'Metric',
    joined(
      'Metric',
      { gauge: { data_points: [{ as_double: 1 }] } },
      { sum: { is_monotonic: true } },
      { gauge: { data_points: [{ as_double: 2 }] } },
    ),
    { gauge: { data_points: [{ as_double: 2 }] } },
  ],
  [
    'a member that stands twice in a row is merged',
    'Metric',
    joined(
      'Metric',
      { name: 'm', gauge: { data_points: [{ as_double: 1 }] } },
      { gauge: { data_points: [{ as_double: 2 }] } },
    ),
    { name: 'm', gauge: { data_points: [{ as_double: 1 }, { as_double: 2 }] } },
  ],
  [
    'messages are merged at every depth',
    'LogRecord',
    joined(
      'LogRecord',
      { body: { kvlist_value: { values: [attribute('a', { int_value: 1 })] } } },
      { body: { kvlist_value: { values: [attribute('b', { int_value: 2 })] } } },
    ),
    { body: { kvlist_value: { values: [attribute('a', { int_value: '1' }), attribute('b', { int_value: '2' })] } } },
  ],
])('%s', (_name, message, bytes, expected) => {
  const once = normalise(message, bytes)
  expect(decode(message, once)).toEqual(expected)
  expect(normalise(message, once)).toBe(once)
})

test('unknown fields are kept where they stand, in merged messages too', () => {
  const unknown = Buffer.from([0xa2, 0x06, 0x01, 0x78])
  const resource = (key: string): Buffer =>
    field(0x0a, Buffer.concat([field(0x0a, field(0x0a, Buffer.from(key))), unknown]))
  const once = normalise('ResourceSpans', Buffer.concat([resource('a'), unknown, resource('b')]))
  expect(once).toEqual(
    Buffer.concat([
      field(
        0x0a,
        Buffer.concat([
          field(0x0a, field(0x0a, Buffer.from('a'))),
          unknown,
          field(0x0a, field(0x0a, Buffer.from('b'))),
          unknown,
        ]),
      ),
      unknown,
    ]),
  )
})

test('a request in normal form is handed back as it is', () => {
  const bytes = encode('ExportLogsServiceRequest', {
    resource_logs: [{ resource: {}, scope_logs: [{ log_records: [{}] }] }],
  })
  expect(normalise('ExportLogsServiceRequest', bytes)).toBe(bytes)
})

test('a request whose resource stands twice is read as one group with both', () => {
  const group = joined(
    'ResourceLogs',
    { resource: { attributes: [attribute('a', { string_value: 'x' })] } },
    { scope_logs: [{ scope: { name: 'n' }, log_records: [{}, {}] }] },
    { resource: { attributes: [attribute('b', { string_value: 'y' })] } },
  )
  const { groups, items } = readRequest('logs', field(0x0a, group))
  expect(items).toBe(2)
  const { resource, resourceStart, resourceEnd } = groups[0]
  expect(decode('Resource', resource.subarray(resourceStart, resourceEnd))).toEqual({
    attributes: [attribute('a', { string_value: 'x' }), attribute('b', { string_value: 'y' })],
  })
})

test.each([
  ['a message as a varint', Buffer.from([0x08, 0x01])],
  ['a message that is cut off', Buffer.from([0x0a, 0x05, 0x0a])],
])('%s is an error', (_name, bytes) => {
  expect(() => normalise('ExportLogsServiceRequest', bytes)).toThrow(WireError)
})
