/** The protocol as a table: what a client sends, and what it is answered (RFC 9113). */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { hpackInt, indexed, literal, settings, uint32 } from '../../attacks/frames.ts'
import { frame, inWords, preface, readFrames } from '../../support/http2-frames.ts'
import { data, exchange, get, head, post } from '../../support/http2-exchange.ts'
import { EchoServer } from '../../support/http2-server.ts'
import { until } from '../../support/until.ts'

const servers: EchoServer[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
]
const END_STREAM = 1
const ACK = 1
const END_HEADERS = 4
const PADDED = 8
const PRIORITISED = 32

const answered = (stream: number, bytes = 12) => [
  `HEADERS ${stream}`,
  `DATA ${stream} ${bytes} bytes`,
  `HEADERS ${stream} end`,
]
const fails = (code: string, last = 0) => [`GOAWAY ${last} ${code}`, 'closed']

const rows: Record<string, [string, Buffer[], string[]][]> = {
  calls: [
    ['a call', [head(1), data(1, 'hello')], answered(1, 5)],
    ['a call without a body', [get(1)], answered(1)],
    ['two calls that overlap', [head(1), get(3), data(1, 'x')], [...answered(3), ...answered(1, 1)]],
    ['a body in parts', [head(1), data(1, 'he', 0), data(1, '', 0), data(1, 'llo')], answered(1, 5)],
    ['a body that ends empty', [head(1), data(1, 'hello', 0), data(1, '')], answered(1, 5)],
    ['padding', [head(1), frame(DATA, PADDED | END_STREAM, 1, Buffer.from('\x03hey\0\0\0'))], answered(1, 3)],
    ['nothing but padding', [head(1), frame(DATA, PADDED | END_STREAM, 1, Buffer.from('\x03\0\0\0'))], answered(1)],
    [
      'a head with padding and a priority',
      [
        frame(
          HEADERS,
          END_HEADERS | END_STREAM | PADDED | PRIORITISED,
          1,
          Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), post, Buffer.alloc(2)]),
        ),
      ],
      answered(1),
    ],
    [
      'a head in three parts',
      [
        frame(HEADERS, END_STREAM, 1, post.subarray(0, 1)),
        frame(CONTINUATION, 0, 1, post.subarray(1, 2)),
        frame(CONTINUATION, END_HEADERS, 1, post.subarray(2)),
      ],
      answered(1),
    ],
    [
      'trailers',
      [head(1), data(1, 'hello', 0), frame(HEADERS, END_HEADERS | END_STREAM, 1, literal('a', 'b'))],
      answered(1, 5),
    ],
    ['a type', [get(1, literal('content-type', 'a/b'))], answered(1)],
    ['a length that is right', [head(1, literal('content-length', '5')), data(1, 'hello')], answered(1, 5)],
    ['a type of frame that nobody knows', [frame(0x77, 0xff, 5, Buffer.alloc(100)), get(1)], answered(1)],
    ['a setting that nobody knows', [settings({ 99: 5 }), get(1)], answered(1)],
    ['a flag that nobody knows', [frame(HEADERS, 0x45 | 0x80, 1, post)], answered(1)],
    ['the reserved bit of a stream', [frame(HEADERS, 5, 0x80000001, post)], answered(1)],
    ['a smaller table of headers', [settings({ 1: 0 }), get(1), get(3)], [...answered(1), ...answered(3)]],
    ['a ping', [frame(PING, 0, 0, Buffer.alloc(8)), get(1)], ['PING ack', ...answered(1)]],
    ['an answer to a ping that nobody sent', [frame(PING, ACK, 0, Buffer.alloc(8)), get(1)], answered(1)],
    ['a priority', [frame(PRIORITY, 0, 9, Buffer.from([0, 0, 0, 3, 1])), get(1)], answered(1)],
    [
      'the end of a stream that has ended',
      [get(1), frame(RST_STREAM, 0, 1, uint32(8)), get(3)],
      [...answered(1), ...answered(3)],
    ],
    [
      'a window of a stream that has ended',
      [get(1), frame(WINDOW_UPDATE, 0, 1, uint32(8)), get(3)],
      [...answered(1), ...answered(3)],
    ],
    ['a call that is ended', [head(1), frame(RST_STREAM, 0, 1, uint32(8)), get(3)], answered(3)],
    [
      'a client that goes, and has asked',
      [head(1), frame(GOAWAY, 0, 0, Buffer.alloc(8)), data(1, 'x')],
      ['GOAWAY 1 NO_ERROR', ...answered(1, 1), 'closed'],
    ],
    ['a client that goes', [frame(GOAWAY, 0, 0, Buffer.alloc(8))], ['GOAWAY 0 NO_ERROR', 'closed']],
  ],
  windows: [
    ['an answer waits for its window', [settings({ 4: 0 }), get(1)], ['HEADERS 1']],
    [
      'and goes on as it grows',
      [settings({ 4: 0 }), get(1), frame(WINDOW_UPDATE, 0, 1, uint32(5)), frame(WINDOW_UPDATE, 0, 1, uint32(7))],
      answered(1),
    ],
    ['and as all grow', [settings({ 4: 0 }), get(1), settings({ 4: 5 }), settings({ 4: 20 })], answered(1)],
    ['a window below nothing', [settings({ 4: 5 }), get(1), settings({ 4: 0 })], ['HEADERS 1', 'DATA 1 5 bytes']],
    ['a window that grows by nothing', [frame(WINDOW_UPDATE, 0, 0, uint32(0))], fails('PROTOCOL_ERROR')],
    [
      'a window of a stream that grows by nothing',
      [head(1), frame(WINDOW_UPDATE, 0, 1, uint32(0)), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    ['a window that is too large', [frame(WINDOW_UPDATE, 0, 0, uint32(0x7fffffff))], fails('FLOW_CONTROL_ERROR')],
    [
      'a window of a stream that is too large',
      [head(1), frame(WINDOW_UPDATE, 0, 1, uint32(0x7fffffff)), get(3)],
      ['RST_STREAM 1 FLOW_CONTROL_ERROR', ...answered(3)],
    ],
    [
      'windows that settings make too large',
      [head(1), frame(WINDOW_UPDATE, 0, 1, uint32(100)), settings({ 4: 0x7fffffff })],
      fails('FLOW_CONTROL_ERROR', 1),
    ],
    ['a setting of a window that is too large', [settings({ 4: 0x80000000 })], fails('FLOW_CONTROL_ERROR')],
    ['a window of a stream that never was', [frame(WINDOW_UPDATE, 0, 1, uint32(1))], fails('PROTOCOL_ERROR')],
    ['a window of a stream of ours', [head(3), frame(WINDOW_UPDATE, 0, 2, uint32(1))], fails('PROTOCOL_ERROR', 3)],
    ['a window of three bytes', [frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))], fails('FRAME_SIZE_ERROR')],
  ],
  'errors of a stream': [
    ['a malformed head', [head(1, literal('A', 'b')), get(3)], ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)]],
    [
      'what else comes of it',
      [head(1, literal('A', 'b')), data(1, 'abc', 0), data(1, 'x'), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    ['trailers that do not end', [head(1), head(1), get(3)], ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)]],
    ['pseudo-headers in trailers', [head(1), get(1), get(3)], ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)]],
    [
      'more than the length',
      [head(1, literal('content-length', '2')), data(1, 'abc', 0), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    [
      'less than the length',
      [head(1, literal('content-length', '4')), data(1, 'abc'), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    [
      'two types',
      [get(1, Buffer.concat([literal('content-type', 'a/b'), literal('content-type', 'a/c')])), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    [
      'a length without a body',
      [get(1, literal('content-length', '4')), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    [
      'a stream that depends on itself',
      [frame(HEADERS, 4 | PRIORITISED, 1, Buffer.concat([Buffer.from([0, 0, 0, 1, 1]), post])), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    [
      'an open one that depends on itself later',
      [head(1), frame(PRIORITY, 0, 1, Buffer.from([0, 0, 0, 1, 1])), get(3)],
      ['RST_STREAM 1 PROTOCOL_ERROR', ...answered(3)],
    ],
    [
      'a priority of four bytes',
      [head(1), frame(PRIORITY, 0, 1, Buffer.alloc(4)), get(3)],
      ['RST_STREAM 1 FRAME_SIZE_ERROR', ...answered(3)],
    ],
    ['DATA behind the end', [get(1), data(1, 'x')], [...answered(1), 'RST_STREAM 1 STREAM_CLOSED']],
    [
      'too many headers',
      [head(1, Buffer.concat(Array.from({ length: 201 }, () => literal('a', '')))), get(3)],
      ['RST_STREAM 1 ENHANCE_YOUR_CALM', ...answered(3)],
    ],
  ],
  'errors of the connection': [
    ['DATA on no stream', [data(0, 'x')], fails('PROTOCOL_ERROR')],
    ['DATA on a stream that never was', [data(1, 'x')], fails('PROTOCOL_ERROR')],
    ['headers on no stream', [get(0)], fails('PROTOCOL_ERROR')],
    ['headers on a stream of the server', [get(2)], fails('PROTOCOL_ERROR')],
    ['headers behind the end', [get(1), get(1)], [...answered(1), ...fails('STREAM_CLOSED', 1)]],
    ['a stream of a smaller number', [get(5), get(3)], [...answered(5), ...fails('PROTOCOL_ERROR', 5)]],
    ['a head that is not continued', [head(1, undefined, 0), data(1, 'x')], fails('PROTOCOL_ERROR')],
    [
      'a head that another stream continues',
      [head(1, undefined, 0), frame(CONTINUATION, 4, 3)],
      fails('PROTOCOL_ERROR'),
    ],
    ['what continues nothing', [frame(CONTINUATION, 4, 1)], fails('PROTOCOL_ERROR')],
    ['headers that cannot be read', [get(1, indexed(100))], fails('COMPRESSION_ERROR')],
    ['trailers that cannot be read', [head(1), frame(HEADERS, 5, 1, indexed(100))], fails('COMPRESSION_ERROR', 1)],
    [
      'a head that is larger than all headers may be',
      [
        frame(HEADERS, 0, 1, Buffer.alloc(16_384)),
        frame(CONTINUATION, 0, 1, Buffer.alloc(16_384)),
        frame(CONTINUATION, 0, 1, Buffer.alloc(1)),
      ],
      fails('ENHANCE_YOUR_CALM'),
    ],
    [
      'a head in empty parts',
      [head(1, undefined, 0), ...Array.from({ length: 16 }, () => frame(CONTINUATION, 0, 1))],
      fails('ENHANCE_YOUR_CALM'),
    ],
    ['a frame of 16,385 bytes', [head(1), frame(DATA, 0, 1, Buffer.alloc(16_385))], fails('FRAME_SIZE_ERROR', 1)],
    [
      'more padding than payload',
      [head(1), frame(DATA, PADDED, 1, Buffer.from([5, 1, 2]))],
      fails('PROTOCOL_ERROR', 1),
    ],
    ['padding of DATA without its length', [head(1), frame(DATA, PADDED, 1)], fails('FRAME_SIZE_ERROR', 1)],
    [
      'more padding than headers',
      [frame(HEADERS, 5 | PADDED, 1, Buffer.concat([hpackInt(200, 8), post]))],
      fails('PROTOCOL_ERROR'),
    ],
    ['padding of headers without its length', [frame(HEADERS, 5 | PADDED, 1)], fails('FRAME_SIZE_ERROR')],
    [
      'a priority in a head that is cut off',
      [frame(HEADERS, 5 | PRIORITISED, 1, Buffer.alloc(4))],
      fails('FRAME_SIZE_ERROR'),
    ],
    ['a priority of no stream', [frame(PRIORITY, 0, 0, Buffer.alloc(5))], fails('PROTOCOL_ERROR')],
    [
      'a stream that is not there and depends on itself',
      [frame(PRIORITY, 0, 3, Buffer.from([0, 0, 0, 3, 1]))],
      fails('PROTOCOL_ERROR'),
    ],
    ['the end of a stream that never was', [frame(RST_STREAM, 0, 1, uint32(8))], fails('PROTOCOL_ERROR')],
    ['the end of a stream of ours', [head(3), frame(RST_STREAM, 0, 2, uint32(8))], fails('PROTOCOL_ERROR', 3)],
    ['the end of no stream', [frame(RST_STREAM, 0, 0, uint32(8))], fails('PROTOCOL_ERROR')],
    ['an end of three bytes', [head(1), frame(RST_STREAM, 0, 1, Buffer.alloc(3))], fails('FRAME_SIZE_ERROR', 1)],
    ['settings of a stream', [frame(SETTINGS, 0, 1)], fails('PROTOCOL_ERROR')],
    ['settings that are cut off', [frame(SETTINGS, 0, 0, Buffer.alloc(5))], fails('FRAME_SIZE_ERROR')],
    ['settings in an acknowledgement', [frame(SETTINGS, ACK, 0, Buffer.alloc(6))], fails('FRAME_SIZE_ERROR')],
    ['push that is neither on nor off', [settings({ 2: 2 })], fails('PROTOCOL_ERROR')],
    ['a frame size that is too small', [settings({ 5: 16_383 })], fails('PROTOCOL_ERROR')],
    ['a frame size that is too large', [settings({ 5: 2 ** 24 })], fails('PROTOCOL_ERROR')],
    ['a promise', [frame(PUSH_PROMISE, 4, 1, Buffer.alloc(8))], fails('PROTOCOL_ERROR')],
    ['a ping of a stream', [frame(PING, 0, 1, Buffer.alloc(8))], fails('PROTOCOL_ERROR')],
    ['a ping of seven bytes', [frame(PING, 0, 0, Buffer.alloc(7))], fails('FRAME_SIZE_ERROR')],
    ['a goodbye of a stream', [frame(GOAWAY, 0, 1, Buffer.alloc(8))], fails('PROTOCOL_ERROR')],
    ['a goodbye of seven bytes', [frame(GOAWAY, 0, 0, Buffer.alloc(7))], fails('FRAME_SIZE_ERROR')],
    ['a goodbye for a reason', [head(1), frame(GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(2)]))], ['closed']],
  ],
}

for (const [what, table] of Object.entries(rows)) {
  test.each(table)(`${what}: %s`, async (_what, bytes, expected) => {
    expect(await exchange([preface(), ...bytes])).toEqual(expected)
  })
}

test.each(
  Object.values(rows)
    .flat()
    .filter(([, , expected]) => !expected.includes('closed')),
)('cut into single bytes it is the same: %s', async (_what, bytes, expected) => {
  expect(await exchange([preface(), ...bytes], undefined, bytes.some(one => one.length > 500) ? 997 : 1)).toEqual(
    expected,
  )
})

test.each([
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
  ['no settings first', Buffer.concat([preface().subarray(0, 24), frame(PING, 0, 0, Buffer.alloc(8))])],
  ['an acknowledgement first', Buffer.concat([preface().subarray(0, 24), frame(SETTINGS, ACK, 0)])],
])('what begins with %s is ended', async (_what, bytes) => {
  expect(await exchange([bytes])).toEqual(fails('PROTOCOL_ERROR'))
})

test('what a client sends beyond the windows ends the stream; what it sends of one that has ended, the connection', async () => {
  const parts = (stream: number, bytes: number) =>
    Array.from({ length: bytes / 10_000 }, () => frame(DATA, 0, stream, Buffer.alloc(10_000)))
  const rules = { streamWindow: 50_000, window: 4 << 20 }
  // More than half of it used, all of it is given back.
  expect(await exchange([preface(), head(1), ...parts(1, 70_000)], new EchoServer({ rules }))).toEqual([
    'WINDOW_UPDATE 1 30000',
    'WINDOW_UPDATE 1 30000',
  ])
  const atOnce = frame(DATA, 0, 1, Buffer.alloc(16_000))
  expect(
    await exchange([preface(), head(1), atOnce, get(3)], new EchoServer({ rules: { ...rules, streamWindow: 15_000 } })),
  ).toEqual(['RST_STREAM 1 FLOW_CONTROL_ERROR', ...answered(3)])
  // Of a stream that was refused no more comes than its window.
  const refused = [preface(), head(1, literal('A', 'b')), ...parts(1, 50_000)]
  expect(await exchange([...refused, get(3)], new EchoServer({ rules }))).toEqual([
    'RST_STREAM 1 PROTOCOL_ERROR',
    ...answered(3),
  ])
  expect(await exchange([...refused, data(1, 'x')], new EchoServer({ rules }))).toEqual([
    'RST_STREAM 1 PROTOCOL_ERROR',
    ...fails('FLOW_CONTROL_ERROR', 1),
  ])
})

test('streams beyond the limit are refused, and others go on', async () => {
  const rules = { streams: 2 }
  const bytes = [preface(), head(1), head(3), head(5), data(5, 'x'), data(1, 'x'), get(7)]
  expect(await exchange(bytes, new EchoServer({ rules }))).toEqual([
    'RST_STREAM 5 REFUSED_STREAM',
    ...answered(1, 1),
    ...answered(7),
  ])
})

test('a connection that is closed ignores new streams, answers the others, and ends', async () => {
  const server = new EchoServer({ holds: true })
  servers.push(server)
  const socket = connect(await server.listen(), '127.0.0.1')
  let read: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (read = Buffer.concat([read, chunk])))
  socket.write(Buffer.concat([preface(), get(1)]))
  await until(() => expect(server.held).toHaveLength(1))
  for (const session of server.sessions) session.close()
  socket.write(Buffer.concat([head(3), data(3, 'x'), frame(PING, 0, 0, Buffer.alloc(8))]))
  const words = () => readFrames(read).frames.map(inWords).slice(3)
  await until(() => expect(words()).toEqual(['GOAWAY 1 NO_ERROR', 'PING ack']))
  server.held[0]()
  await once(socket, 'close')
  expect(words().slice(2)).toEqual(answered(1))
  expect(server.heard.filter(line => line.startsWith('3'))).toEqual([])
})
