/** Attacks by compression: bodies that grow, that lie about it, and that are made of nothing, many times. */
import { crc32, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { signals } from '../../proto/signals.ts'
import { compressors, repeated } from './bodies.ts'
import { type Attack, Caller, once, post, repeat, type Target } from './attack.ts'
import { message } from './frames.ts'

/** Sends a body over both protocols, so many times. */
async function both(target: Target, encoding: string, body: Buffer, times = 4): Promise<void> {
  const caller = new Caller(target)
  await repeat(target, times, 2, async i => {
    if (i % 2 === 0) await post(target, signals.logs.path, body, { 'content-encoding': encoding })
    else await caller.call('logs', message(body, { compressed: true }), { 'grpc-encoding': encoding })
  })
  caller.close()
}

/** Over one of them. */
async function over(target: Target, way: 'gRPC' | 'HTTP', encoding: string, body: Buffer, times = 2): Promise<void> {
  const caller = new Caller(target)
  await repeat(target, times, 1, async () => {
    if (way === 'HTTP') await post(target, signals.logs.path, body, { 'content-encoding': encoding })
    else await caller.call('logs', message(body, { compressed: true }), { 'grpc-encoding': encoding })
    if (target.over.aborted) target.fault('no answer in all the time')
  })
  caller.close()
}

/** A zstd frame with nothing in it: magic, a descriptor that names a content size of 0, one empty raw block that is the last. */
export const emptyZstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00])
/** A frame that decoders pass over. */
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])
/** A member with nothing in it. */
export const emptyGzip = gzipSync(Buffer.alloc(0))
const identifier = Buffer.from([0xff, 6, 0, 0, ...Buffer.from('sNaPpY')])
/** Chunks of snappy's framing format: padding of no bytes, and data of no bytes with its checksum. */
const paddingChunk = Buffer.from([0xfe, 0, 0, 0])
const emptyChunk = Buffer.from([0x01, 4, 0, 0, 0xd8, 0xea, 0x82, 0xa2])

/** zstd of one frame with blocks of nothing: raw blocks of 0 bytes. */
const blocksOfNothing = (count: number): Buffer =>
  Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]),
    repeated([0, 0, 0], count * 3),
    Buffer.from([1, 0, 0]),
  ])

/** Deflate blocks of nothing: stored, of 0 bytes, which are five bytes each. */
const storedNothing = (count: number): Buffer =>
  Buffer.concat([repeated([0, 0, 0, 0xff, 0xff], count * 5), deflateRawSync(Buffer.alloc(0))])

function gzipOf(raw: Buffer, size: number): Buffer {
  const end = Buffer.alloc(8)
  end.writeUInt32LE(crc32(Buffer.alloc(0)), 0)
  end.writeUInt32LE(size, 4)
  return Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), raw, end])
}

/** What is made of nothing, many times. */
const nothings: readonly [what: string, encoding: string, body: () => Buffer][] = [
  ['700,000 empty frames', 'zstd', () => repeated(emptyZstd, 700_000 * emptyZstd.length)],
  ['800,000 frames to be passed over', 'zstd', () => repeated(skippable, 800_000 * skippable.length)],
  ['a frame with 2,000,000 empty blocks', 'zstd', () => blocksOfNothing(2_000_000)],
  ['300,000 empty members', 'gzip', () => repeated(emptyGzip, 300_000 * emptyGzip.length)],
  ['a member of 1,200,000 empty blocks', 'gzip', () => gzipOf(storedNothing(1_200_000), 0)],
  [
    '1,500,000 chunks of padding',
    'x-snappy-framed',
    () => Buffer.concat([identifier, repeated(paddingChunk, 6_000_000)]),
  ],
  ['700,000 empty chunks', 'x-snappy-framed', () => Buffer.concat([identifier, repeated(emptyChunk, 5_600_000)])],
  ['600,000 beginnings', 'x-snappy-framed', () => repeated(identifier, 6_000_000)],
]

const zeros = (mebibytes: number) => Buffer.alloc(mebibytes << 20)

/** A gzip body that says it holds a thousand bytes. */
function lying(): Buffer {
  const bomb = gzipSync(zeros(300), { level: 9 })
  bomb.writeUInt32LE(1000, bomb.length - 4)
  return bomb
}

const bombs: readonly [what: string, encoding: string, body: () => Buffer][] = [
  ['400 MB of zeros', 'gzip', () => compressors.gzip(zeros(400))],
  ['300 MB of zeros that say they are a thousand bytes', 'gzip', lying],
  ['gzip of gzip of 300 MB of zeros', 'gzip', () => compressors.gzip(compressors.gzip(zeros(300)))],
  ['400 MB of zeros', 'deflate', () => compressors.deflate(zeros(400))],
  ['400 MB of zeros', 'zstd', () => zstdCompressSync(zeros(400))],
  [
    '40 frames of 10 MB of zeros',
    'zstd',
    () => repeated(zstdCompressSync(zeros(10)), zstdCompressSync(zeros(10)).length * 40),
  ],
  ['60 MB of zeros, which is allowed', 'zstd', () => zstdCompressSync(zeros(57))],
  ['100 MB of zeros', 'x-snappy-framed', () => compressors['x-snappy-framed'](zeros(100))],
  ['a block that says it holds 4 GB', 'snappy', () => Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 65])],
  ['a window of 2 GB', 'zstd', () => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0])],
]

/** The rows. */
export const compressionAttacks: readonly Attack[] = [
  ...nothings.flatMap(([what, encoding, make]): Attack[] => {
    const body = once(make)
    return (['gRPC', 'HTTP'] as const).map(way => ({
      name: `${encoding}: ${what}, over ${way}`,
      of: 'F6',
      seconds: 12,
      prepare: body,
      run: target => over(target, way, encoding, body()),
    }))
  }),
  ...bombs.map(([what, encoding, make]): Attack => {
    const body = once(make)
    return {
      name: `${encoding}: ${what}`,
      of: 'held',
      seconds: 12,
      prepare: body,
      run: target => both(target, encoding, body(), 8),
    }
  }),
]
