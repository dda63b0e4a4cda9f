/**
 * Fuzzing of HTTP/2 frames without sockets: sessions of random frames, and of what clients send with bytes changed, cut at
 * random places. Each ends with a call as it should be, which is served, or the connection was closed and said why.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { callHead, hpackInt, indexed, literal, remembered, settings, tableSize, uint32 } from '../attacks/frames.ts'
import { frame, inWords, preface, readFrames } from '../support/http2-frames.ts'
import { EchoServer } from '../support/http2-server.ts'
import { MemorySocket } from '../support/memory-socket.ts'
import { Random } from '../support/otlp.ts'
import { note, type Tally, tallyOf, timed } from './findings.ts'
import { blind, noise } from './mutate-bytes.ts'

/** A session, and whether its frames are whole, so that a call may follow. */
export interface Session {
  readonly pieces: readonly Buffer[]
  readonly isFramed: boolean
}

const [DATA, HEADERS, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [0, 1, 3, 6, 7, 8, 9]
/** Higher than any other. */
const lastStream = 0x7fffffff
/** Turns of the loop in which a session must be through. */
const turnsMost = 2000

/** Makes input `index`: always the same. */
export function sessionsOf(seed: number): (index: number) => Session {
  return index => {
    const random = new Random(seed * 0x9e3779b1 + index * 0x85ebca6b)
    const isWild = random.chance(3)
    const frames = Array.from({ length: 1 + random.next(40) }, (_, i) =>
      isWild ? randomFrame(random) : likelyFrames(random, 2 * i + 1),
    )
    const isFramed = !random.chance(3)
    let bytes = Buffer.concat([preface(), ...frames])
    for (let left = isFramed ? 0 : 1 + random.next(4); left > 0; left--) {
      const other = randomFrame(random)
      bytes = Buffer.concat([bytes.subarray(0, 33), blind(random, bytes.subarray(33), other)])
    }
    return { pieces: cut(random, bytes), isFramed }
  }
}

/** Cuts `bytes` at random places. */
export function cut(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  const most = random.pick([1, 10, 100, 10_000, 100_000])
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.next(most)
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

/** A frame that a client might send, or nearly. */
function randomFrame(random: Random): Buffer {
  const stream = random.chance(30) ? random.next(2 ** 31) : random.next(20)
  const odd = stream | 1
  switch (random.next(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return frame(HEADERS, random.pick([4, 5, 5, 4, 4, 0, 12, 36]), odd, headersOf(random))
    case 4:
    case 5:
    case 6:
      return frame(
        DATA,
        random.pick([0, 0, 1, 1, 8, 9]),
        odd,
        noise(random, random.next(random.chance(9) ? 16_384 : 50)),
      )
    case 7:
      return frame(RST_STREAM, 0, odd, uint32(random.next(14)))
    case 8: {
      const id = random.next(8)
      return settings({ [id]: random.pick([0, 1, 100, 16_384, 65_535, 0x7fffffff, random.next(2 ** 31)]) })
    }
    case 9:
      return frame(PING, random.next(2), 0, noise(random, 8))
    case 10:
      return frame(WINDOW_UPDATE, 0, random.pick([0, odd]), uint32(random.pick([0, 1, 1000, 0x7fffffff])))
    case 11:
      return frame(CONTINUATION, random.pick([0, 4]), odd, headersOf(random))
    case 12:
      return random.chance(4) ? frame(GOAWAY, 0, 0, noise(random, 8)) : frame(2, 0, stream, noise(random, 5))
    default:
      return frame(random.next(256), random.next(256), random.pick([0, odd]), noise(random, random.next(30)))
  }
}

/** What a connection goes on after: calls, streams that go wrong, and what is about nothing. */
function likelyFrames(random: Random, stream: number): Buffer {
  const body = noise(random, random.next(100))
  const another = Math.max(1, stream - 2 * random.next(5))
  switch (random.next(10)) {
    case 0:
    case 1:
      return Buffer.concat([frame(HEADERS, 4, stream, callHead('/')), frame(DATA, 1, stream, body)])
    case 2:
      return frame(HEADERS, 5, stream, callHead('/', [remembered('a', 'x'.repeat(random.next(2000)))]))
    case 3: {
      const head = callHead('/', [random.pick([literal('A', ''), literal('content-length', '7'), literal('te', 'x')])])
      return Buffer.concat([frame(HEADERS, 4, stream, head), frame(DATA, 1, stream, body)])
    }
    case 4: {
      const head = callHead('/', [literal('a', 'x'.repeat(random.next(3000)))])
      const at = random.next(head.length)
      return Buffer.concat([
        frame(HEADERS, random.next(2), stream, head.subarray(0, at)),
        frame(CONTINUATION, 0, stream),
        frame(CONTINUATION, 4, stream, head.subarray(at)),
      ])
    }
    case 5:
      return Buffer.concat([
        frame(HEADERS, 4, stream, callHead('/')),
        frame(random.pick([RST_STREAM, WINDOW_UPDATE]), 0, stream, uint32(random.next(3))),
        frame(DATA, random.next(2), stream, body),
      ])
    case 6:
      return Buffer.concat([frame(HEADERS, 4, stream, callHead('/')), frame(DATA, 0, another, body)])
    case 7:
      return settings({ [random.pick([1, 3, 4, 6, 99])]: random.pick([0, 100, 65_535]) })
    case 8:
      return frame(random.pick([PING, 0x77]), 0, 0, noise(random, 8))
    default:
      return frame(WINDOW_UPDATE, 0, 0, uint32(1 + random.next(1000)))
  }
}

/** Headers, most of which can be read. */
function headersOf(random: Random): Buffer {
  const parts = [random.chance(4) ? Buffer.alloc(0) : callHead('/')]
  for (let left = random.next(4); left > 0; left--) {
    const name = random.pick(['a', 'content-length', 'te', 'A', ':path', 'x'.repeat(random.next(200))])
    const value = random.pick(['', '0', '5', 'trailers', 'x'.repeat(random.next(5000))])
    parts.push(
      random.pick([
        () => literal(name, value),
        () => remembered(name, value),
        () => indexed(1 + random.next(80)),
        () => tableSize(random.next(5000)),
        // Text that says that it is packed, and is or is not.
        () => Buffer.concat([Buffer.from([0x40]), hpackInt(6, 7, 0x80), noise(random, 6), hpackInt(0, 7)]),
        () => noise(random, random.next(10)),
      ])(),
    )
  }
  return Buffer.concat(parts)
}

/** What is wrong with how a session went; undefined where nothing is. Says whether its last call was served. */
export async function play({ pieces, isFramed }: Session): Promise<{ fault: string | undefined; isServed: boolean }> {
  const server = new EchoServer({ rules: { streams: 1000 } })
  const wire = new MemorySocket()
  const session = server.accept(wire)
  const call = [frame(HEADERS, 4, lastStream, callHead('/')), frame(DATA, 1, lastStream, Buffer.from('healthy'))]
  for (const piece of isFramed ? [...pieces, ...call] : pieces) wire.push(Buffer.from(piece))
  let turns = 0
  const isRead = () => session.isOver || server.bodies.has(lastStream) || (wire.readableLength === 0 && turns > 10)
  while (!isRead() && turns < turnsMost) {
    turns++
    await nextTurn()
  }
  await nextTurn()
  const said = readFrames(Buffer.concat(wire.written)).frames.map(inWords)
  const isServed = server.bodies.get(lastStream)?.toString() === 'healthy'
  const goodbye = said.findLast(word => word.startsWith('GOAWAY'))
  const isRefused = said.includes(`RST_STREAM ${lastStream} REFUSED_STREAM`)
  session.destroy()
  while (!server.heard.includes('gone')) await nextTurn()
  const faults: string[] = []
  const count = (what: string) => server.heard.filter(line => line.endsWith(what)).length
  if (turns >= turnsMost) faults.push('no end')
  for (const fault of server.faults) faults.push(fault instanceof Error ? String(fault.stack) : String(fault))
  if (isFramed && !isServed && !isRefused && goodbye === undefined && !session.isOver)
    faults.push('a healthy call was not served')
  if (count('opened') !== count('closed')) faults.push('a stream that was opened was not closed')
  if (server.budget.used !== 0) faults.push(`${server.budget.used} bytes are left charged`)
  return { fault: faults.length > 0 ? faults.join('; ') : undefined, isServed }
}

/** Fuzzes a stretch of sessions. */
export async function fuzzHttp2(
  seed: number,
  from: number,
  count: number,
  began?: (index: number) => void,
): Promise<Tally> {
  const tally = tallyOf('http2')
  const sessionOf = sessionsOf(seed)
  for (let index = from; index < from + count; index++) {
    began?.(index)
    const session = sessionOf(index)
    const since = performance.now()
    const { fault, isServed } = await play(session)
    timed(tally, index, since)
    tally.inputs++
    if (isServed) tally.accepted++
    else tally.refused++
    if (fault !== undefined) note(tally, { what: fault, seed, index, input: Buffer.concat(session.pieces) })
  }
  return tally
}
