import * as fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { decodeResponse, encodeResponse } from '../../proto/response.ts'
import { putVarint64, readVarint64, varint64Size } from '../../proto/varint64.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

const Response = protobuf.Root.fromJSON({
  nested: {
    Response: { fields: { partial_success: { id: 1, type: 'PartialSuccess' } } },
    PartialSuccess: { fields: { rejected: { id: 1, type: 'int64' }, error_message: { id: 2, type: 'string' } } },
  },
}).lookupType('Response')

const text = fc.string({ unit: 'grapheme' }).map(s => s.toWellFormed())

test('what is written is what protobufjs reads', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), text, (rejected, message) => {
      const read = Response.toObject(Response.decode(encodeResponse(rejected, message)), {
        longs: Number,
        defaults: true,
      })
      if (rejected === 0 && message === '') expect(read['partial_success']).toBeNull()
      else expect(read['partial_success']).toEqual({ rejected, error_message: message })
    }),
  )
})

test('what protobufjs writes is what is read', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), text, (rejected, message) => {
      const bytes = Response.encode(Response.create({ partial_success: { rejected, error_message: message } })).finish()
      expect(decodeResponse(bytes)).toEqual({ rejected, message })
    }),
  )
})

test.each([
  ['full success is no bytes', encodeResponse(0, ''), undefined],
  ['an empty partial_success is one', Buffer.from([0x0a, 0]), { rejected: 0, message: '' }],
  [
    'unknown fields are passed over',
    Buffer.from([0x12, 1, 7, 0x0a, 4, 0x18, 1, 0x08, 3, 0x20, 1]),
    { rejected: 3, message: '' },
  ],
  [
    'a partial_success that stands twice is merged',
    Buffer.from([0x0a, 2, 0x08, 3, 0x0a, 3, 0x12, 1, 0x61]),
    { rejected: 3, message: 'a' },
  ],
])('%s', (_, bytes, expected) => {
  expect(decodeResponse(bytes)).toEqual(expected)
})

test.each([
  ['a web page', Buffer.from('<html>')],
  ['a length beyond the end', Buffer.from([0x0a, 9, 1])],
  ['an inner length beyond its message', Buffer.from([0x0a, 2, 0x12, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1])],
])('%s is an error', (_, bytes) => {
  expect(() => decodeResponse(bytes)).toThrow(WireError)
})

test('random bytes are read or are a WireError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
      try {
        decodeResponse(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
      }
    }),
  )
})

test('64-bit varints are those of protobufjs', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), n => {
      const oracle = protobuf.Writer.create().int64(n).finish()
      const out = Buffer.alloc(varint64Size(n))
      expect(putVarint64(out, 0, n)).toBe(out.length)
      expect(out).toEqual(Buffer.from(oracle))
      expect(readVarint64(new Cursor(oracle))).toBe(n)
    }),
  )
})
