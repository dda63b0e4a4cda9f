/** What a server's frames do to a client and its streams; Node's server and our own as partners. */
import { once } from 'node:events'
import http2 from 'node:http2'
import { type AddressInfo, connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ClientSession } from '../../../net/http2/client-session.ts'
import { ClientStream } from '../../../net/http2/client-stream.ts'
import { packHeaders } from '../../../net/http2/message.ts'
import { frame, inWords, readFrames } from '../../support/http2-frames.ts'
import { EchoServer } from '../../support/http2-server.ts'
import { MemorySocket } from '../../support/memory-socket.ts'

const rules = { answer: 1000, window: 100_000, headers: { count: 10, bytes: 500 } }
const head = packHeaders([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'x'],
])

/** A stream that tells what it heard. */
class Heard extends ClientStream {
  readonly words: string[] = []
  readonly #parts: Buffer[] = []
  /** The body, once it is gone. */
  readonly gone = Promise.withResolvers<Buffer>()

  answered(raw: readonly string[], isLast: boolean): void {
    this.words.push(`${isLast ? 'answered whole' : 'answered'} ${raw.join(' ')}`)
  }

  received(bytes: Buffer, from: number, to: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(from, to)))
    this.words.push(`${to - from} bytes`)
  }

  trailed(raw: readonly string[]): void {
    this.words.push(`trailed ${raw.join(' ')}`)
  }

  closed(): void {
    this.words.push(`closed${this.resetCode === undefined ? '' : ` by ${this.resetCode}`}`)
    this.gone.resolve(Buffer.concat(this.#parts))
  }
}

/** A session on a socket of memory, and what it tells its owner. */
function begin(limits = rules) {
  const socket = new MemorySocket()
  const told: string[] = []
  const session = new ClientSession(
    socket,
    {
      allowed: streams => told.push(`${streams} streams`),
      leaves: (code, text) => told.push(`leaves by ${code}${text.length > 0 ? `: ${text.toString()}` : ''}`),
      over: fault => told.push(fault ?? 'over'),
    },
    limits,
  )
  /** Sends a request of `size` bytes on a new stream. */
  const request = (size = 3): Heard => {
    const stream = new Heard()
    session.request(stream, { head, body: Buffer.alloc(size, 'x'), trailers: undefined })
    return stream
  }
  /** What was written since this was asked last, in words. */
  const written = (): string[] => {
    const bytes = Buffer.concat(socket.written.splice(0))
    const start = bytes.subarray(0, 3).toString() === 'PRI' ? 24 : 0
    return readFrames(bytes.subarray(start)).frames.map(inWords)
  }
  return { socket, session, told, request, written }
}

const settings = (...pairs: [number, number][]): Buffer => {
  const payload = Buffer.alloc(6 * pairs.length)
  pairs.forEach(([name, value], i) => {
    payload.writeUInt16BE(name, 6 * i)
    payload.writeUInt32BE(value, 6 * i + 2)
  })
  return frame(4, 0, 0, payload)
}
const number = (type: number, stream: number, value: number): Buffer => {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(value)
  return frame(type, 0, stream, payload)
}
const goaway = (last: number, code: number, text = ''): Buffer => {
  const payload = Buffer.alloc(8)
  payload.writeUInt32BE(last)
  payload.writeUInt32BE(code, 4)
  return frame(7, 0, 0, Buffer.concat([payload, Buffer.from(text)]))
}
const ok = packHeaders([[':status', '200']])
const early = packHeaders([[':status', '103']])
const trailers = packHeaders([['grpc-status', '0']])
const answer = (stream: number): Buffer[] => [
  frame(1, 4, stream, ok),
  frame(0, 0, stream, Buffer.from('abc')),
  frame(1, 5, stream, trailers),
]
const full = ['answered :status 200', '3 bytes', 'trailed grpc-status 0', 'closed']
const sent = ['HEADERS 1', 'DATA 1 3 bytes end', 'SETTINGS ack']

test.each<[string, Buffer[], string[], string[], string[]]>([
  ['a whole answer', answer(1), full, sent, []],
  ['an answer that is only a head', [frame(1, 5, 1, trailers)], ['answered whole grpc-status 0', 'closed'], sent, []],
  ['what is said before an answer', [frame(1, 4, 1, early), ...answer(1)], full, sent, []],
  [
    'padding, and a priority',
    [
      frame(1, 4 | 8 | 32, 1, Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), ok, Buffer.alloc(2)])),
      frame(0, 8, 1, Buffer.concat([Buffer.from([4]), Buffer.from('abc'), Buffer.alloc(4)])),
      frame(1, 5, 1, trailers),
    ],
    full,
    sent,
    [],
  ],
  [
    'headers in two frames',
    [
      frame(1, 0, 1, ok.subarray(0, 1)),
      frame(9, 4, 1, ok.subarray(1)),
      frame(0, 0, 1, Buffer.from('abc')),
      frame(1, 1, 1, trailers.subarray(0, 4)),
      frame(9, 4, 1, trailers.subarray(4)),
    ],
    full,
    sent,
    [],
  ],
  ['the end with DATA', [frame(1, 4, 1, ok), frame(0, 1, 1)], ['answered :status 200', 'closed'], sent, []],
  ['a reset', [number(3, 1, 7)], ['closed by 7'], sent, []],
  ['a ping', [frame(6, 0, 0, Buffer.alloc(8)), ...answer(1)], full, [...sent, 'PING ack'], []],
  ['a frame of a kind that is not known', [frame(77, 0, 9, Buffer.alloc(5)), ...answer(1)], full, sent, []],
  ['late frames of a stream that is over', [...answer(1), number(3, 1, 0), number(8, 1, 5)], full, sent, []],
  [
    'DATA before its head',
    [frame(0, 0, 1, Buffer.from('abc'))],
    ['closed by 1'],
    [...sent, 'RST_STREAM 1 PROTOCOL_ERROR'],
    [],
  ],
  [
    'headers in the middle that are no trailers',
    [frame(1, 4, 1, ok), frame(1, 4, 1, trailers)],
    ['answered :status 200', 'closed by 1'],
    [...sent, 'RST_STREAM 1 PROTOCOL_ERROR'],
    [],
  ],
  [
    'more than the window of a stream',
    [frame(1, 4, 1, ok), frame(0, 0, 1, Buffer.alloc(1001))],
    ['answered :status 200', 'closed by 3'],
    [...sent, 'RST_STREAM 1 FLOW_CONTROL_ERROR'],
    [],
  ],
  [
    'too many headers',
    [frame(1, 4, 1, Buffer.concat([ok, ...Array.from({ length: 10 }, () => packHeaders([['a', 'b']]))]))],
    ['closed by 11'],
    [...sent, 'RST_STREAM 1 ENHANCE_YOUR_CALM'],
    [],
  ],
  [
    'a priority that is cut off',
    [frame(2, 0, 1, Buffer.alloc(4))],
    ['closed by 6'],
    [...sent, 'RST_STREAM 1 FRAME_SIZE_ERROR'],
    [],
  ],
  ['a GOAWAY that names the stream', [goaway(1, 0), ...answer(1)], full, sent, ['leaves by 0', 'over']],
  ['a GOAWAY that does not', [goaway(0, 2, 'why')], ['closed by 7'], sent, ['leaves by 2: why', 'over']],
])('%s', async (_, frames, heard, wrote, owner) => {
  for (const piece of [Infinity, 1]) {
    const { socket, told, request, written } = begin()
    const bytes = Buffer.concat([settings([3, 100]), ...frames])
    const stream = request()
    for (let at = 0; at < bytes.length; at += piece) socket.push(bytes.subarray(at, at + piece))
    await nextTurn()
    await nextTurn()
    // However it is cut; parts of a body come as they are.
    if (piece === Infinity) expect(stream.words).toEqual(heard)
    else
      expect(stream.words.filter(word => !word.endsWith('bytes'))).toEqual(
        heard.filter(word => !word.endsWith('bytes')),
      )
    expect(told).toEqual(['100 streams', ...owner])
    const words = written().filter(word => !word.startsWith('GOAWAY'))
    expect(words.toSorted()).toEqual(['SETTINGS', 'WINDOW_UPDATE 0 34465', ...wrote].toSorted())
    socket.destroy()
  }
})

test.each<[string, Buffer[], string]>([
  ['no settings at first', [frame(6, 0, 0, Buffer.alloc(8))], 'settings must come first'],
  ['HTTP/1', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], 'settings must come first'],
  ['a promise', [settings(), frame(5, 4, 1, Buffer.alloc(8))], 'nothing was to be promised'],
  ['a stream that was never opened', [settings(), frame(1, 4, 3, ok)], 'a stream that was never opened'],
  ['a stream of the server', [settings(), frame(0, 0, 2, ok)], 'a stream that was never opened'],
  [
    'headers that are not continued',
    [settings(), frame(1, 0, 1, ok), frame(0, 1, 1)],
    'headers are not continued, or what does not go on is',
  ],
  ['a frame that is too large', [settings(), frame(0, 0, 1, Buffer.alloc(16_385))], 'a frame that is too large'],
  [
    'a head whose priority is cut off',
    [settings(), frame(1, 4 | 32, 1, Buffer.alloc(4))],
    'a priority that is cut off',
  ],
  ['a ping of a wrong size', [settings(), frame(6, 0, 0, Buffer.alloc(7))], 'a frame of a wrong size'],
  ['a window that grows by nothing', [settings(), number(8, 0, 0)], 'a window that grows by nothing'],
  ['a window beyond what may be', [settings(), number(8, 0, 2 ** 31 - 1)], 'a window that is too large'],
  ['headers that cannot be read', [settings(), frame(1, 4, 1, Buffer.from([0xff]))], 'a number without an end'],
  [
    'headers without end',
    [settings(), frame(1, 0, 1, Buffer.alloc(400)), frame(9, 0, 1, Buffer.alloc(400))],
    'too many headers',
  ],
  ['settings without end', Array.from({ length: 102 }, () => settings()), 'too many settings'],
  [
    'pings without end',
    [settings(), Buffer.concat(Array.from({ length: 16_000 }, () => frame(6, 0, 0, Buffer.alloc(8))))],
    'too many frames that are about nothing',
  ],
])('%s ends the connection, and its streams with it', async (_, frames, fault) => {
  const { socket, told, request, written } = begin()
  const stream = request()
  socket.push(Buffer.concat(frames))
  await nextTurn()
  expect(told.at(-1)).toBe(fault)
  expect(stream.words).toEqual(['closed'])
  expect(written().at(-1)).toMatch(/^GOAWAY 0 /)
  socket.destroy()
})

test('a server that answers before it has read all is not sent the rest', async () => {
  const { socket, request, written } = begin()
  socket.push(settings([4, 10]))
  await nextTurn()
  const stream = request(100)
  await nextTurn()
  socket.push(Buffer.concat(answer(1)))
  await nextTurn()
  await nextTurn()
  expect(stream.words).toEqual(full.with(3, 'closed by 8'))
  expect(written().slice(-3)).toEqual(['HEADERS 1', 'DATA 1 10 bytes', 'RST_STREAM 1 CANCEL'])
  socket.destroy()
})

test.each([
  ['what is left is content', 5],
  ['what is left is padding', 8],
])('a stream that is given up in the middle of its DATA hears no more of it: %s', async (_, cut) => {
  const { socket, session, request, written } = begin()
  const stream = request()
  const last = frame(0, 1 | 8, 1, Buffer.from('\u0003hello\0\0\0'))
  const at = 9 + 1 + cut - 3
  socket.push(Buffer.concat([settings(), frame(1, 4, 1, ok), last.subarray(0, at)]))
  await nextTurn()
  session.cancel(stream)
  const words = [...stream.words]
  socket.push(last.subarray(at))
  await nextTurn()
  expect(stream.words).toEqual(words)
  expect([stream.isWhole, written().filter(word => word.startsWith('RST'))]).toEqual([false, ['RST_STREAM 1 CANCEL']])
  socket.destroy()
})

test('bodies go out as the windows allow, the last part says so, and another stream is not kept waiting', async () => {
  const { socket, request, written } = begin()
  socket.push(settings([4, 10]))
  await nextTurn()
  request(25)
  request(4)
  await nextTurn()
  socket.push(number(8, 1, 10))
  await nextTurn()
  await nextTurn()
  socket.push(settings([4, 20]))
  await nextTurn()
  await nextTurn()
  expect(written().filter(word => word.startsWith('DATA'))).toEqual([
    'DATA 1 10 bytes',
    'DATA 3 4 bytes end',
    'DATA 1 10 bytes',
    'DATA 1 5 bytes end',
  ])
  socket.destroy()
})

test('a table of headers that is made smaller is answered for', async () => {
  const { socket, request, written } = begin()
  socket.push(settings([1, 0]))
  await nextTurn()
  written()
  request()
  request()
  await nextTurn()
  const bytes = Buffer.concat(socket.written)
  const heads = readFrames(bytes).frames.filter(({ type }) => type === 1)
  expect(heads.map(({ payload }) => payload[0])).toEqual([0x20, head[0]])
  socket.destroy()
})

test('pings are told of in order, and a session that is closed ends with its last stream', async () => {
  const { socket, session, told, request, written } = begin()
  socket.push(settings())
  await nextTurn()
  const pongs: number[] = []
  for (const n of [1, 2]) session.ping(() => pongs.push(n))
  const stream = request()
  session.close()
  socket.push(Buffer.concat([frame(6, 1, 0, Buffer.alloc(8)), frame(6, 1, 0, Buffer.alloc(8))]))
  await nextTurn()
  expect([pongs, told]).toEqual([[1, 2], ['Infinity streams']])
  expect(session.request(new Heard(), { head, body: undefined, trailers: undefined })).toBe(true)
  socket.push(Buffer.concat([...answer(1), ...answer(3)]))
  await nextTurn()
  expect(stream.words).toEqual(full)
  expect(told.at(-1)).toBe('over')
  expect(written().at(-1)).toBe('GOAWAY 0 NO_ERROR')
  expect(session.request(new Heard(), { head, body: undefined, trailers: undefined })).toBe(false)
  socket.destroy()
})

/** Servers that send back what they get. */
const partners = {
  async ours({ initialWindowSize: streamWindow = 100 }: http2.Settings) {
    const server = new EchoServer({ rules: { streamWindow, window: 70_000 } })
    const port = await server.listen()
    return { port, stop: () => server.close() }
  },
  async 'that of Node'(settings: http2.Settings) {
    const server = http2.createServer({ settings })
    const sessions: http2.ServerHttp2Session[] = []
    server.on('session', session => sessions.push(session))
    server.on('stream', stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const stop = (): void => {
      for (const session of sessions) session.destroy()
      server.close()
    }
    return { port: (server.address() as AddressInfo).port, stop }
  },
}

test.each(['ours', 'that of Node'] as const)('bodies of any size come and go whole: %s', async name => {
  const size = fc.integer({ min: 1, max: 300_000 })
  const options = fc.record({
    initialWindowSize: fc.constantFrom(100, 65_535, 1 << 20),
    headerTableSize: fc.constantFrom(0, 4096),
  })
  await fc.assert(
    fc.asyncProperty(options, fc.array(size, { minLength: 1, maxLength: 4 }), async (settings, sizes) => {
      const { port, stop } = await partners[name](settings)
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      const allowed = Promise.withResolvers<number>()
      const owner = { allowed: allowed.resolve, leaves() {}, over() {} }
      const session = new ClientSession(socket, owner, { ...rules, answer: 1 << 20 })
      // Windows may be smaller than those that are presumed until the server has said so.
      await allowed.promise
      const calls = sizes.map(size => {
        const stream = new Heard()
        const body = Buffer.alloc(size, 'some text, ')
        session.request(stream, { head, body, trailers: undefined })
        return { body, stream }
      })
      for (const { body, stream } of calls) expect((await stream.gone.promise).equals(body)).toBe(true)
      expect(session.open.size).toBe(0)
      session.destroy()
      stop()
    }),
    { numRuns: 20 },
  )
})
