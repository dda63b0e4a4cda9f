import * as fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { decodeStatus, encodeStatus, GrpcCode, grpcCodeName } from '../../proto/status.ts'

const root = protobuf.Root.fromJSON({
  nested: {
    Status: {
      fields: {
        code: { id: 1, type: 'int32' },
        message: { id: 2, type: 'string' },
        details: { id: 3, type: 'Any', rule: 'repeated' },
      },
    },
    Any: { fields: { type_url: { id: 1, type: 'string' }, value: { id: 2, type: 'bytes' } } },
    RetryInfo: { fields: { retry_delay: { id: 1, type: 'Duration' } } },
    Duration: { fields: { seconds: { id: 1, type: 'int64' }, nanos: { id: 2, type: 'int32' } } },
  },
})
const type = (name: string) => root.lookupType(name)
const bytes = (name: string, value: object) => Buffer.from(type(name).encode(type(name).create(value)).finish())
const retryInfo = (seconds: number, nanos: number) => ({
  type_url: 'type.googleapis.com/google.rpc.RetryInfo',
  value: bytes('RetryInfo', { retry_delay: { seconds, nanos } }),
})

/** Texts as they survive UTF-8. */
const text = fc.string({ unit: 'grapheme' }).map(s => s.toWellFormed())
const status = fc.record(
  {
    code: fc.integer({ min: 0, max: 16 }),
    message: text,
    // Whole microseconds, so that no rounding is in the way.
    retryDelay: fc.integer({ min: 0, max: 2 ** 40 }).map(us => us / 1000),
  },
  { requiredKeys: ['code', 'message'] },
)

test('what is written is what protobufjs reads', () => {
  fc.assert(
    fc.property(status, value => {
      const read = type('Status').toObject(type('Status').decode(encodeStatus(value)), {
        defaults: true,
        longs: Number,
      })
      expect(read['code']).toBe(value.code)
      expect(read['message']).toBe(value.message)
      expect(read['details']).toHaveLength(value.retryDelay === undefined ? 0 : 1)
      if (value.retryDelay === undefined) return
      expect(read['details'][0].type_url).toBe('type.googleapis.com/google.rpc.RetryInfo')
      const { retry_delay: delay } = type('RetryInfo').toObject(type('RetryInfo').decode(read['details'][0].value), {
        defaults: true,
        longs: Number,
      })
      expect(delay.seconds * 1000 + delay.nanos / 1e6).toBeCloseTo(value.retryDelay, 3)
      expect(delay.nanos).toBeLessThan(1e9)
    }),
  )
})

test('what protobufjs writes is what is read, whatever details stand beside RetryInfo', () => {
  const other = fc.record({ type_url: fc.string(), value: fc.uint8Array() })
  fc.assert(
    fc.property(status, fc.array(other), fc.array(other), (value, before, after) => {
      const { code, message, retryDelay } = value
      const delay =
        retryDelay === undefined
          ? []
          : [retryInfo(Math.floor(retryDelay / 1000), Math.round((retryDelay % 1000) * 1e6))]
      const read = decodeStatus(bytes('Status', { code, message, details: [...before, ...delay, ...after] }))
      expect(read?.code).toBe(code)
      expect(read?.message).toBe(message)
      if (retryDelay === undefined) expect(read).not.toHaveProperty('retryDelay')
      else expect(read?.retryDelay).toBeCloseTo(retryDelay, 3)
    }),
  )
})

test.each([
  ['an empty message is OK without a text', {}, { code: 0, message: '' }],
  ['a negative code is read', { code: -1 }, { code: -1, message: '' }],
  [
    'RetryInfo without a delay asks to come again at once',
    { details: [{ type_url: 'x/google.rpc.RetryInfo' }] },
    { code: 0, message: '', retryDelay: 0 },
  ],
  ['a negative delay is none', { details: [retryInfo(-5, 0)] }, { code: 0, message: '', retryDelay: 0 }],
  [
    'a detail that only ends alike is not RetryInfo',
    { details: [{ type_url: 'x/my.google.rpc.RetryInfo' }] },
    { code: 0, message: '' },
  ],
])('%s', (_, value, expected) => {
  expect(decodeStatus(bytes('Status', value))).toEqual(expected)
})

test('a broken RetryInfo makes the whole unreadable', () => {
  const detail = { type_url: 'x/google.rpc.RetryInfo', value: Buffer.from([0x0a, 0x7f]) }
  expect(decodeStatus(bytes('Status', { code: 3, details: [detail] }))).toBeUndefined()
})

test('bytes that are no Status give undefined and never throw', () => {
  expect(decodeStatus(Buffer.from('<html>'))).toBeUndefined()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), garbage => {
      const read = decodeStatus(garbage)
      if (read !== undefined) expect(typeof read.message).toBe('string')
    }),
  )
})

test('a Status that is cut off anywhere is read up to there or not at all', () => {
  const whole = encodeStatus({ code: 8, message: 'busy', retryDelay: 1500 })
  for (let end = 0; end < whole.length; end++) {
    const read = decodeStatus(whole.subarray(0, end))
    expect(read?.retryDelay).toBeUndefined()
  }
})

test('codes have names', () => {
  expect(grpcCodeName(GrpcCode.RESOURCE_EXHAUSTED)).toBe('RESOURCE_EXHAUSTED')
  expect(grpcCodeName(99)).toBe('code 99')
})
