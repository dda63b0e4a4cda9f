/** What a server of HTTP/2 may say to a client, and nearly that: whole answers, and frames of all kinds that are changed. */
import { callHead, hpackInt, indexed, literal, remembered, tableSize, uint32 } from '../attacks/frames.ts'
import { frame } from '../support/http2-frames.ts'
import type { Random } from '../support/otlp.ts'
import { blind, noise } from './mutate-bytes.ts'

/** A frame before it is written. */
interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** What happens at the side of the server, or of the caller, in order. */
export type Step =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'turn' }
  | { readonly kind: 'call'; readonly size: number; readonly timeout: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'ping' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'cut' }

/** One input, and whether its frames are whole, so that answers may follow. */
export interface Script {
  readonly steps: readonly Step[]
  readonly isFramed: boolean
}

const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE] = [0, 1, 2, 3, 4, 5]
const [PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [6, 7, 8, 9]
const [END, HEADED, PADDED, WEIGHED] = [1, 4, 8, 32]
const most = 0x7fffffff
/** Calls that an input makes at most; their streams are 1, 3 and so on. */
const callsMost = 5

/** A head that gRPC understands, as literals that no table keeps. */
const ok = Buffer.concat([indexed(8), literal('content-type', 'application/grpc')])
const well = literal('grpc-status', '0')
/** Headers that have a number before any was remembered. */
const staticMost = 61
/** A text in Huffman codes: `www.example.com`. */
const packed = Buffer.from('8cf1e3c2e5f23a6ba0ab90f4ff', 'hex')

/** A whole answer to `stream`, with a message of `size` bytes. */
export function answerTo(stream: number, size = 0): Buffer {
  const message = Buffer.concat([Buffer.from([0]), uint32(size), Buffer.alloc(size)])
  return Buffer.concat([
    frame(HEADERS, HEADED, stream, ok),
    frame(DATA, 0, stream, message),
    frame(HEADERS, HEADED | END, stream, well),
  ])
}

/** Makes input `index`: always the same. */
export function scriptOf(random: Random): Script {
  const calls = 1 + random.next(callsMost)
  let frames = [settingsFrame(random)]
  for (let left = 1 + random.next(random.pick([3, 8, 30])); left > 0; left--) {
    frames.push(...(random.chance(3) ? beside(random) : answering(random, 1 + 2 * random.next(calls))))
  }
  for (let left = random.chance(2) ? 0 : 1 + random.next(5); left > 0; left--) frames = changed(random, frames)
  let bytes: Buffer = Buffer.concat(
    frames.map(({ type, flags, stream, payload }) => frame(type, flags, stream, payload)),
  )
  const isFramed = !random.chance(3)
  for (let left = isFramed ? 0 : 1 + random.next(3); left > 0; left--) {
    bytes = random.chance(3) ? bytes.subarray(0, random.next(bytes.length + 1)) : blind(random, bytes, answerTo(1))
  }
  return { steps: stepsOf(random, bytes, calls), isFramed }
}

/** Pieces of `bytes`, with what happens between them. */
function stepsOf(random: Random, bytes: Buffer, calls: number): Step[] {
  const steps: Step[] = []
  const call = (): Step => ({
    kind: 'call',
    size: random.pick([0, 10, 10, 3000, 70_000, 200_000]),
    timeout: random.pick([100, 1000, 5000]),
  })
  let left = calls
  for (let first = random.chance(4) ? random.next(calls + 1) : calls; first > 0; first--, left--) steps.push(call())
  if (random.next(4) > 0) steps.push({ kind: 'turn' })
  const piece = random.pick([1, 10, 100, 10_000, 100_000])
  for (let at = 0, pieces = 0; at < bytes.length; pieces++) {
    // A few hundred pieces are enough.
    const end = pieces > 300 ? bytes.length : at + 1 + random.next(piece)
    steps.push({ kind: 'bytes', bytes: bytes.subarray(at, end) })
    at = end
    if (random.chance(4)) steps.push({ kind: 'turn' })
    if (left > 0 && random.chance(3)) {
      steps.push(call())
      left--
    }
    if (random.chance(20)) steps.push(between(random))
  }
  if (random.chance(3)) steps.push({ kind: random.chance(2) ? 'end' : 'cut' })
  return steps
}

function between(random: Random): Step {
  switch (random.next(4)) {
    case 0:
      return { kind: 'cancel', which: random.next(callsMost) }
    case 1:
      return { kind: 'ping' }
    case 2:
      return { kind: 'wait', ms: random.pick([50, 100, 2000]) }
    default:
      return { kind: 'call', size: 10, timeout: 1000 }
  }
}

const of = (type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Frame => ({
  type,
  flags,
  stream,
  payload,
})

/** Some or all of an answer. */
function answering(random: Random, stream: number): Frame[] {
  const head = headOf(random)
  const size = random.pick([0, 0, 5, 100, 16_379, random.next(16_379)])
  const prefix = Buffer.concat([Buffer.from([random.chance(9) ? 1 : 0]), uint32(random.chance(9) ? size + 1 : size)])
  const body = Buffer.concat([prefix, Buffer.alloc(size)])
  // Another size of the table may only stand first.
  const resized = random.chance(8) ? tableSize(random.next(4097)) : Buffer.alloc(0)
  const trailers = Buffer.concat([resized, well, ...more(random)])
  switch (random.next(9)) {
    case 0:
    case 1:
    case 2:
      return [
        ...blockOf(random, stream, 0, head),
        ...dataOf(random, stream, body),
        ...blockOf(random, stream, END, trailers),
      ]
    case 3:
      return blockOf(random, stream, END, Buffer.concat([head, literal('grpc-status', String(random.next(20)))]))
    case 4:
      return [of(HEADERS, HEADED, stream, random.pick([literal(':status', '103'), literal(':status', '100')]))]
    case 5:
      return [of(RST_STREAM, 0, stream, uint32(random.next(15)))]
    case 6:
      return dataOf(random, stream, body)
    case 7:
      return [...blockOf(random, stream, 0, head), of(RST_STREAM, 0, stream, uint32(random.next(15)))]
    default:
      return blockOf(random, stream, random.next(2), random.chance(2) ? head : trailers)
  }
}

/** Headers in one frame or several, perhaps padded and with a priority. */
function blockOf(random: Random, stream: number, flags: number, block: Buffer): Frame[] {
  if (random.next(4) > 0 && block.length < 16_000) return [of(HEADERS, flags | HEADED, stream, block)]
  const isPadded = random.chance(2)
  const isWeighed = random.chance(2)
  const padding = random.next(20)
  const first = block.subarray(0, random.next(Math.min(block.length, 16_000) + 1))
  const payload = Buffer.concat([
    Buffer.from(isPadded ? [padding] : []),
    isWeighed ? Buffer.concat([uint32(random.pick([0, stream])), Buffer.alloc(1)]) : Buffer.alloc(0),
    first,
    Buffer.alloc(isPadded ? padding : 0),
  ])
  const frames = [of(HEADERS, flags | (isPadded ? PADDED : 0) | (isWeighed ? WEIGHED : 0), stream, payload)]
  for (let at = first.length; at < block.length || frames.length === 1;) {
    const end = Math.min(block.length, at + random.next(random.pick([20, 16_000])))
    frames.push(of(CONTINUATION, end === block.length ? HEADED : 0, stream, block.subarray(at, end)))
    at = end
  }
  return frames
}

function dataOf(random: Random, stream: number, body: Buffer): Frame[] {
  const last = random.next(2)
  if (random.next(3) > 0) return [of(DATA, random.chance(5) ? last : 0, stream, body)]
  const at = random.next(body.length + 1)
  const padding = random.next(100)
  return [
    of(DATA, PADDED, stream, Buffer.concat([Buffer.from([padding]), body.subarray(0, at), Buffer.alloc(padding)])),
    of(DATA, random.chance(3) ? END : 0, stream, body.subarray(at)),
  ]
}

function headOf(random: Random): Buffer {
  if (random.next(3) > 0) return ok
  return Buffer.concat([
    random.pick([ok, indexed(8), literal(':status', '503'), literal('content-type', 'text/html'), callHead('/')]),
    ...more(random),
  ])
}

/** Headers of all kinds, most of which can be read. */
function more(random: Random): Buffer[] {
  return Array.from({ length: random.chance(2) ? 0 : random.next(4) }, () => {
    const name = random.pick(['a', 'grpc-status', 'grpc-message', 'grpc-encoding', ':status', 'x'.repeat(200)])
    const value = random.pick(['', '0', '14', 'gzip', '%', 'x'.repeat(random.next(9000))])
    if (random.chance(15)) return broken(random)
    return random.pick([
      () => literal(name, value),
      () => remembered(name, value),
      () => indexed(1 + random.next(staticMost)),
      // What was remembered, if it was.
      () => indexed(staticMost + 1 + random.next(random.chance(4) ? 5 : 1)),
      () => Buffer.concat([Buffer.from([random.pick([0, 0x40, 0x10])]), packed, packed]),
    ])()
  })
}

/** What is no header, or stands where it may not. */
function broken(random: Random): Buffer {
  return random.pick([
    () => tableSize(random.next(4100)),
    // Text that says that it is packed, and hardly is.
    () => Buffer.concat([Buffer.from([0x40]), hpackInt(6, 7, 0x80), noise(random, 6), hpackInt(0, 7)]),
    () => noise(random, random.next(6)),
  ])()
}

function settingsFrame(random: Random): Frame {
  const pairs = Array.from({ length: random.next(4) }, () => {
    const name = random.pick([1, 2, 3, 4, 5, 6, 99])
    const usual = { 1: [0, 100, 4096, 1 << 20], 2: [0], 3: [0, 1, 2, 100], 4: [0, 10, 65_535, most] }[name]
    const value = random.chance(40) ? random.next(2 ** 32) : random.pick(usual ?? [16_384, 0xffffff])
    return Buffer.concat([Buffer.from([0, name]), uint32(value)])
  })
  return of(SETTINGS, 0, 0, Buffer.concat(pairs))
}

/** What is about the connection. */
function beside(random: Random): Frame[] {
  const stream = random.pick([0, 0, 1, 3, 5, 9])
  switch (random.next(9)) {
    case 0:
      return [settingsFrame(random)]
    case 1:
      return [of(SETTINGS, 1, 0)]
    case 2:
      return [of(PING, random.next(2), 0, noise(random, 8))]
    case 3:
    case 4:
      return [of(WINDOW_UPDATE, 0, stream, uint32(random.pick([1, 10, 65_535, 100_000, random.chance(5) ? most : 9])))]
    case 5: {
      const last = random.pick([0, 1, 2, 3, 5, 99, most])
      return [
        of(GOAWAY, 0, 0, Buffer.concat([uint32(last), uint32(random.pick([0, 0, 0, 2, 11])), more(random)[0] ?? ok])),
      ]
    }
    case 6:
      return [of(PRIORITY, 0, 1 + random.next(5), Buffer.concat([uint32(random.next(5)), Buffer.alloc(1)]))]
    case 7:
      return random.chance(5) ? [of(PUSH_PROMISE, HEADED, 1, Buffer.concat([uint32(2), callHead('/')]))] : []
    default:
      return [of(10 + random.next(246), random.next(256), random.pick([0, 1, most]), noise(random, random.next(30)))]
  }
}

/** One change of one frame or of their order. */
function changed(random: Random, frames: Frame[]): Frame[] {
  const at = random.next(frames.length)
  const one = frames[at]
  if (one === undefined) return frames
  const other = random.next(frames.length)
  switch (random.next(10)) {
    case 0:
      return frames.toSpliced(at, 1)
    case 1:
      return frames.toSpliced(at, 0, one)
    case 2:
      return frames.with(at, frames[other] ?? one).with(other, one)
    case 3:
      return frames.with(at, { ...one, flags: one.flags ^ (1 << random.next(8)) })
    case 4:
      return frames.with(at, { ...one, stream: random.pick([0, 1, 2, 3, 5, 7, 9, 101, most]) })
    case 5:
      return frames.with(at, { ...one, type: random.next(11) })
    case 6:
      return frames.with(at, { ...one, payload: one.payload.subarray(0, random.next(one.payload.length + 1)) })
    case 7:
      return frames.with(at, { ...one, payload: Buffer.concat([one.payload, noise(random, random.next(20))]) })
    case 8:
      return frames.with(at, { ...one, payload: blind(random, one.payload, ok) })
    default:
      return frames.toSpliced(at, 0, ...Array.from({ length: random.pick([2, 10, 200]) }, () => one))
  }
}
