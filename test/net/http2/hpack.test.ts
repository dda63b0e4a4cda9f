import { expect, test } from 'vitest'
import { HeadCache } from '../../../net/http2/head-cache.ts'
import { HpackReader } from '../../../net/http2/hpack.ts'
import { packHeaders } from '../../../net/http2/message.ts'
import { ConnectionError } from '../../../net/http2/protocol.ts'
import { RequestHead } from '../../../net/http2/request-head.ts'
import { hpackInt, indexed, literal, remembered, tableSize } from '../../attacks/frames.ts'

const reader = (limits = { count: 200, bytes: 32_768 }) => new HpackReader(limits)
const read = (hpack: HpackReader, bytes: Buffer) => hpack.read(bytes, 0, bytes.length)
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const get = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com']

test.each([
  [
    'plain (RFC 7541, C.3)',
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
  ],
  [
    'packed with Huffman codes (C.4)',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ],
])('the three requests of the standard, %s', (_what, [first, second, third]) => {
  const hpack = reader()
  expect(read(hpack, hex(first)).raw).toEqual(get)
  expect(read(hpack, hex(second)).raw).toEqual([...get, 'cache-control', 'no-cache'])
  expect(read(hpack, hex(third)).raw).toEqual(
    [...get, 'custom-key', 'custom-value'].map(text =>
      text === 'http' ? 'https' : text === '/' ? '/index.html' : text,
    ),
  )
})

const packedText = (bytes: Buffer) => Buffer.concat([hex('00 01 61'), hpackInt(bytes.length, 7, 0x80), bytes])
test.each<[string, Buffer]>([
  ['header number 0', hex('80')],
  ['a number of no header', indexed(62)],
  ['the name of no header', Buffer.concat([hpackInt(62, 6, 0x40), hex('0161')])],
  ['a number without an end', hex('ffffffffffffffffff')],
  ['a number that is cut off', hex('ff80')],
  ['a header without a value', hex('000161')],
  ['a name that is cut off', hex('00056162')],
  ['a value that is cut off', hex('0001610562')],
  ['a table larger than was agreed', tableSize(4097)],
  ['three sizes of the table', Buffer.concat([tableSize(0), tableSize(1), tableSize(2)])],
  ['a size of the table behind a header', Buffer.concat([indexed(2), tableSize(0)])],
  ['a Huffman code with the end mark in it', packedText(hex('ffffffff'))],
  ['a Huffman code with eight bits of padding', packedText(hex('1fff'))],
  ['a Huffman code with padding of zeros', packedText(hex('18'))],
])('%s is an error of the connection', (_what, bytes) => {
  expect(() => read(reader(), bytes)).toThrow(ConnectionError)
})

test('the table forgets the oldest, at most 4096 bytes stay, and a header that is larger empties it', () => {
  const hpack = reader()
  // 32 bytes beside the text: 100 each, 40 of them fit.
  for (let i = 0; i < 300; i++) read(hpack, remembered(`n${String(i).padStart(7, '0')}`, 'v'.repeat(60)))
  expect(read(hpack, indexed(62)).raw[0]).toBe('n0000299')
  expect(read(hpack, indexed(101)).raw[0]).toBe('n0000260')
  expect(() => read(hpack, indexed(102))).toThrow(ConnectionError)
  read(hpack, remembered('large', 'x'.repeat(5000)))
  expect(() => read(hpack, indexed(62))).toThrow(ConnectionError)
})

test('a smaller table keeps what fits', () => {
  const hpack = reader()
  read(hpack, Buffer.concat([remembered('a', '1'), remembered('b', '2')]))
  expect(read(hpack, Buffer.concat([tableSize(40), indexed(62)])).raw).toEqual(['b', '2'])
  expect(() => read(hpack, indexed(63))).toThrow(ConnectionError)
})

test('beyond the limits headers are read, for the table, and not kept', () => {
  const hpack = reader({ count: 3, bytes: 1000 })
  const many = read(
    hpack,
    Buffer.concat([literal('a', '1'), literal('b', '2'), literal('c', '3'), remembered('d', '4')]),
  )
  expect(many).toEqual({ raw: ['a', '1', 'b', '2', 'c', '3'], isTooLarge: true })
  expect(read(hpack, indexed(62)).raw).toEqual(['d', '4'])
  const value = remembered('x', 'v'.repeat(400))
  expect(read(hpack, Buffer.concat([value, indexed(62), indexed(62)])).isTooLarge).toBe(true)
})

const call = Buffer.concat([indexed(3), indexed(6), literal(':path', '/a'), literal('content-type', 'x')])
test('a head that comes again is the same, until the table has changed', () => {
  const cache = new HeadCache({ count: 200, bytes: 32_768 })
  const head = (bytes: Buffer) => cache.head(bytes, 0, bytes.length)
  const one = head(call)
  const other = head(Buffer.concat([call, literal('x', 'y')]))
  expect(head(call)).toBe(one)
  expect(head(Buffer.concat([call, literal('x', 'y')]))).toBe(other)
  const first = Buffer.concat([call, remembered('tenant', 'a')])
  const again = Buffer.concat([call, indexed(62)])
  const get = (read: unknown) => (read instanceof RequestHead ? read.get('tenant') : read)
  expect([get(head(first)), get(head(again)), get(head(again))]).toEqual(['a', 'a', 'a'])
  head(Buffer.concat([call, remembered('tenant', 'b')]))
  expect(get(head(again))).toBe('b')
})

const whole = [':method', 'POST', ':scheme', 'http', ':path', '/']
test.each<[string, string[], boolean]>([
  ['all it takes', whole, true],
  ['several values of one name', [...whole, 'a', '1', 'a', '2'], true],
  ['te: trailers', [...whole, 'te', 'trailers'], true],
  ['a length that is said twice alike', [...whole, 'content-length', '5', 'content-length', '5'], true],
  ['CONNECT, which has no path', [':method', 'CONNECT', ':authority', 'a'], true],
  ['no method', [':scheme', 'http', ':path', '/'], false],
  ['no scheme', [':method', 'POST', ':path', '/'], false],
  ['no path', [':method', 'POST', ':scheme', 'http'], false],
  ['an empty path', [':method', 'POST', ':scheme', 'http', ':path', ''], false],
  ['two paths', [...whole, ':path', '/'], false],
  ['a pseudo-header behind others', ['a', '1', ...whole], false],
  ['a pseudo-header of answers', [...whole, ':status', '200'], false],
  ['a pseudo-header that nobody knows', [...whole, ':x', '1'], false],
  ['upper case', [...whole, 'A', '1'], false],
  ['a name with a space', [...whole, 'a b', '1'], false],
  ['no name', [...whole, '', '1'], false],
  ['a value with a line end', [...whole, 'a', 'b\r\nc'], false],
  ['a value with a NUL', [...whole, 'a', 'b\0'], false],
  ['connection', [...whole, 'connection', 'close'], false],
  ['transfer-encoding', [...whole, 'transfer-encoding', 'chunked'], false],
  ['te: gzip', [...whole, 'te', 'gzip'], false],
  ['two lengths', [...whole, 'content-length', '5', 'content-length', '6'], false],
  ['a length that is none', [...whole, 'content-length', '+5'], false],
])('a head with %s', (_what, raw, isValid) => {
  expect(RequestHead.of(raw) !== undefined).toBe(isValid)
})

test('what is packed for answers is read as it was, however long', () => {
  const headers = [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-message', 'x'.repeat(70_000)],
    ['grpc-status', '0'],
  ] as const
  const { raw } = read(reader({ count: 10, bytes: 100_000 }), packHeaders(headers))
  expect(raw).toEqual(headers.flat())
})
