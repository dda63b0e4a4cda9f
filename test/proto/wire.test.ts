import { expect, test } from 'vitest'
import { Cursor, fieldSize, putVarint, sameBytes, varintSize, WireError } from '../../proto/wire.ts'

const cursor = (...bytes: number[]) => new Cursor(Uint8Array.from(bytes))

test.each([
  ['a varint', [0x08, 0x96, 0x01, 0xff], 3],
  ['a varint of ten bytes', [0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01], 11],
  ['eight bytes', [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 9], 9],
  ['a text, with the bytes of its length', [0x0a, 0x02, 0x61, 0x62, 0xff], 4],
  ['a text whose length takes two bytes', [0x0a, 0x82, 0x00, 0x61, 0x62, 0xff], 5],
  ['an empty text', [0x0a, 0x00, 0xff], 2],
  ['four bytes', [0x0d, 1, 2, 3, 4, 5], 5],
])('skips %s', (_name, bytes, end) => {
  const c = cursor(...bytes)
  c.skip(c.tag())
  expect(c.at).toBe(end)
})

test.each([
  ['one byte', 0, 1],
  ['one byte at its end', 127, 1],
  ['two bytes', 128, 2],
  ['two bytes at their end', 16_383, 2],
  ['three bytes', 16_384, 3],
  ['four bytes', 2_097_152, 4],
  ['five bytes', 268_435_456, 5],
  ['2^31', 2 ** 31, 5],
  ['2^32 - 1', 2 ** 32 - 1, 5],
])('a varint of %s comes back', (_name, value, size) => {
  const out = Buffer.alloc(8)
  expect(putVarint(out, 1, value)).toBe(1 + size)
  expect(varintSize(value)).toBe(size)
  expect(new Cursor(out, 1, 1 + size).uint32()).toBe(value)
  expect(fieldSize(10)).toBe(12)
})

test.each([
  ['no byte for a tag', () => cursor().tag()],
  ['a tag cut off', () => cursor(0x8a).tag()],
  ['field number 0', () => cursor(0x07).tag()],
  ['a length past the end', () => cursor(0x03, 1, 2).length()],
  ['a length of 2^31', () => cursor(0x80, 0x80, 0x80, 0x80, 0x08).length()],
  ['a varint without an end', () => cursor(0x80, 0x80).skipVarint()],
  ['a varint of eleven bytes', () => cursor(...Array.from({ length: 10 }, () => 0x80), 0x01).skipVarint()],
  ['fewer than eight bytes', () => cursor(1, 2, 3).advance(8)],
  ['the start of a group', () => cursor().skip(0x0b)],
  ['another wire type than declared', () => cursor().expect(0x08, 2, 'name')],
])('%s is an error', (_name, read) => {
  expect(read).toThrow(WireError)
})

test('bytes are compared with their length', () => {
  const bytes = Buffer.from('xabcx')
  expect(sameBytes(bytes, 1, 3, Buffer.from('abc'))).toBe(true)
  expect(sameBytes(bytes, 1, 2, Buffer.from('abc'))).toBe(false)
  expect(sameBytes(bytes, 0, 3, Buffer.from('abc'))).toBe(false)
  expect(sameBytes(bytes, 1, 0, Buffer.alloc(0))).toBe(true)
})
