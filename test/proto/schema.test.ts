import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { messages } from '../../proto/schema.ts'
import { signals } from '../../proto/signals.ts'
import { decode as decodeByDefinition } from '../support/otlp-proto.ts'
import { decode, requests } from '../support/otlp.ts'

test('every type a field names is in the table', () => {
  for (const message of messages.values()) {
    for (const field of message.fields) {
      if (field.type === 'message') expect(messages.has(field.of), `${message.name}.${field.name}`).toBe(true)
      expect(message.byNumber[field.number]).toBe(field)
      expect(message.byName.get(field.name)).toBe(field)
    }
  }
})

test('the table says what the .proto definitions written out elsewhere say', () => {
  fc.assert(
    fc.property(requests(), ({ signal, body }) => {
      expect(decode(signals[signal].request, body)).toEqual(decodeByDefinition(signal, body))
    }),
    { numRuns: 300 },
  )
})

test.each([
  ['time_unix_nano', 'timeUnixNano'],
  ['trace_id', 'traceId'],
  ['dropped_attributes_count', 'droppedAttributesCount'],
])('%s is %s in JSON', (name, jsonName) => {
  const field = [...messages.values()].flatMap(message => message.fields).find(f => f.name === name)
  expect(field?.jsonName).toBe(jsonName)
})
