/** The short form: attacks that take a moment each, against one process that has to suffer all of them. */
import { signals } from '../../proto/signals.ts'
import { type Attack, Caller, http2Wire, once, post, repeat, stay, type Target } from './attack.ts'
import { compressors, type Shape, shapes, repeated } from './bodies.ts'
import * as h2 from './frames.ts'
import { emptyGzip, emptyZstd } from './rows-compression.ts'
import { smuggle } from './rows-http1.ts'
import { calls, floods, head, many, onStreams, small } from './rows-http2.ts'
import { otherNames, paths } from './rows-people.ts'

function shapeNamed(what: string): Shape {
  const found = shapes.find(shape => shape.what === what)
  if (found === undefined) throw new Error(`there is no shape \`${what}\``)
  return found
}

/** Sends a body twice, over gRPC or HTTP. */
function sends(name: string, of: string, encoding: string, make: () => Buffer, way: 'gRPC' | 'HTTP' | 'JSON'): Attack {
  const body = once(make)
  const type = way === 'JSON' ? { 'content-type': 'application/json' } : {}
  return {
    name: `${name}, over ${way}`,
    of,
    seconds: 60,
    prepare: body,
    async run(target) {
      const caller = way === 'gRPC' ? new Caller(target) : undefined
      await repeat(target, 2, 1, async () => {
        if (caller === undefined)
          await post(target, signals.logs.path, body(), { 'content-encoding': encoding, ...type })
        else await caller.call('logs', h2.message(body(), { compressed: true }), { 'grpc-encoding': encoding })
        if (target.over.aborted) target.fault('no answer in a minute')
      })
      caller?.close()
    },
  }
}

/** Bytes of a body before it is compressed. */
const size = 16_000_000
const packed = (what: string) => () => compressors.gzip(shapeNamed(what).protobuf('logs', size))

async function hold(target: Target, connections: number, bytes: Buffer, milliseconds: number): Promise<void> {
  for (let i = 0; i < connections; i++) {
    await http2Wire(target.ports.grpc, { [h2.INITIAL_WINDOW_SIZE]: 0 }).write(bytes)
  }
  await stay(target, milliseconds)
}

const { END_HEADERS, END_STREAM, HEADERS, frame } = h2
const most = 1 << 20

/** The rows. */
export const shortAttacks: readonly Attack[] = [
  sends('16 MB of empty groups', 'F1', 'gzip', packed('empty groups'), 'gRPC'),
  sends('16 MB of empty groups', 'F1', 'gzip', packed('empty groups'), 'HTTP'),
  sends(
    '16 MB of empty groups',
    'F1',
    'gzip',
    () => compressors.gzip(shapeNamed('empty groups').json?.('logs', size) ?? Buffer.alloc(0)),
    'JSON',
  ),
  sends('16 MB of groups of one empty item', 'F1', 'gzip', packed('groups of one empty item'), 'HTTP'),
  sends(
    '16 MB with a singular field twice beside many items',
    'F2',
    'gzip',
    packed('a singular field that stands twice beside many items'),
    'gRPC',
  ),
  sends('300,000 empty frames of zstd', 'F6', 'zstd', () => repeated(emptyZstd, 2_700_000), 'HTTP'),
  sends('50,000 empty members of gzip', 'F6', 'gzip', () => repeated(emptyGzip, 1_000_000), 'gRPC'),
  {
    name: '20 connections of 200 calls whose answers are never read',
    of: 'F5',
    seconds: 5,
    run: target => hold(target, 20, calls(small, true, 200), 500),
  },
  {
    name: '5 connections of 200 calls that announce 60 MB and stay silent',
    of: 'F7',
    seconds: 5,
    run: target => hold(target, 5, calls(h2.message(Buffer.alloc(100), { announced: 60_000_000 }), false, 200), 500),
  },
  {
    name: 'calls that are reset at once',
    of: 'held',
    seconds: 5,
    run: target =>
      floods(
        target,
        2,
        round =>
          onStreams(round, 500, stream =>
            Buffer.concat([frame(HEADERS, END_HEADERS, stream, head), frame(h2.RST_STREAM, 0, stream, h2.uint32(8))]),
          ),
        most,
      ),
  },
  {
    name: 'heads that never end',
    of: 'held',
    seconds: 5,
    run: target => {
      const part = many(frame(h2.CONTINUATION, 0, 1, many(h2.literal('a', 'x'.repeat(100)), 100)), 20)
      return floods(target, 2, round => (round === 0 ? frame(HEADERS, 0, 1, head) : part), most)
    },
  },
  {
    name: 'heads that unpack to 250 times their size',
    of: 'held',
    seconds: 5,
    run: target => {
      const value = h2.remembered('x', 'v'.repeat(3900))
      const bomb = Buffer.concat([head, many(h2.indexed(62), 8000)])
      const fields = (stream: number) => (stream === 1 ? Buffer.concat([head, value]) : bomb)
      return floods(
        target,
        2,
        round => onStreams(round, 20, stream => frame(HEADERS, END_HEADERS | END_STREAM, stream, fields(stream))),
        most,
      )
    },
  },
  { name: 'requests that hide another one', of: 'held', seconds: 10, run: target => smuggle(target, 30) },
  { name: 'another name for the admin server', of: 'held', seconds: 5, run: otherNames },
  { name: 'paths that lead out', of: 'held', seconds: 5, run: paths },
]
