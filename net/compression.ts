/**
 * Compression of bodies. Small ones are done at once, large ones on the thread pool, where a large body costs half as
 * much of the main thread and a small one costs more.
 */
import {
  constants,
  deflate,
  deflateSync,
  gunzip,
  gunzipSync,
  gzip,
  gzipSync,
  inflate as zlibInflate,
  inflateRaw,
  inflateRawSync,
  inflateSync,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib'
import { promisify } from 'node:util'
import {
  compressFramed,
  compressSnappy,
  framedSize,
  inflateFramed,
  inflateSnappy,
  isFramed,
  snappySize,
  TooLargeError,
} from './snappy.ts'
import { zstdFrames, zstdSize } from './zstd.ts'

/** Ways a body can be compressed. */
export type Encoding = 'gzip' | 'deflate' | 'zstd' | 'snappy' | 'x-snappy-framed'

const names = new Map<string, Encoding>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['zlib', 'deflate'],
  ['zstd', 'zstd'],
  ['snappy', 'snappy'],
  ['x-snappy-framed', 'x-snappy-framed'],
])

/** The encoding of a header value; undefined when it is not known. */
export function encodingOf(name: string): Encoding | undefined {
  return names.get(name) ?? names.get(name.toLowerCase().trim())
}

/** Bodies from this many compressed bytes on, or with this much output, are worked on by another thread. */
const asyncFrom = 65_536
const asyncOutput = 1 << 20

/**
 * What `body` says it inflates to; undefined when it does not say. A sender can lie.
 * @throws Error where it is plainly not of that encoding
 */
export function sizeHint(encoding: Encoding, body: Buffer): number | undefined {
  switch (encoding) {
    case 'gzip':
      // RFC 1952: the size modulo 2^32 stands at the end of each member.
      if (body.length < 18 || body[0] !== 0x1f || body[1] !== 0x8b) throw new Error('not gzip')
      return body.readUInt32LE(body.length - 4)
    case 'zstd':
      return zstdSize(body)
    case 'snappy':
      return isFramed(body) ? framedSize(body) : snappySize(body)
    case 'x-snappy-framed':
      return framedSize(body)
    case 'deflate':
      return undefined
  }
}

const async = {
  gunzip: promisify(gunzip),
  inflate: promisify(zlibInflate),
  inflateRaw: promisify(inflateRaw),
  zstd: promisify<Uint8Array, object, Buffer>(zstdDecompress),
  gzip: promisify<Uint8Array, object, Buffer>(gzip),
  deflate: promisify<Uint8Array, object, Buffer>(deflate),
  zstdCompress: promisify<Uint8Array, object, Buffer>(zstdCompress),
}

/**
 * Inflates `body` to at most `limit` bytes, in a buffer of its own.
 * @throws TooLargeError beyond the limit, any other Error when the body is not what it should be
 */
export function inflate(encoding: Encoding, body: Buffer, limit: number): Buffer | Promise<Buffer> {
  switch (encoding) {
    case 'snappy':
      return isFramed(body) ? inflateFramed(body, limit) : inflateSnappy(body, limit)
    case 'x-snappy-framed':
      return inflateFramed(body, limit)
    case 'gzip':
    case 'deflate':
    case 'zstd':
      break
  }
  // One byte more than may come, so that a body of just that size needs no second chunk.
  const options = {
    maxOutputLength: Math.max(limit, 1),
    chunkSize: Math.max(64, Math.min(limit, chunkMost) + 1),
    // What follows a member of gzip may be the next one, so what follows the last is not looked at.
    rejectGarbageAfterEnd: encoding !== 'gzip',
  }
  if (body.length < asyncFrom && limit <= asyncOutput) {
    try {
      return exact(inflateNow(encoding, body, options), limit)
    } catch (error) {
      throw explained(error, limit)
    }
  }
  return inflateLater(encoding, body, options).then(
    output => exact(output, limit),
    (error: unknown) => {
      throw explained(error, limit)
    },
  )
}

/**
 * The same on this thread, for the few bytes of an answer.
 * @throws any Error when the body is not what it should be, or larger
 */
export function inflateSmall(encoding: Encoding, body: Buffer, limit: number): Buffer {
  if (encoding === 'snappy' || encoding === 'x-snappy-framed') {
    return encoding === 'snappy' && !isFramed(body) ? inflateSnappy(body, limit) : inflateFramed(body, limit)
  }
  return inflateNow(encoding, body, { maxOutputLength: limit, chunkSize: 1024, rejectGarbageAfterEnd: true })
}

/** A first piece of output larger than this is grown into. */
const chunkMost = 8 << 20

interface Bounds {
  readonly rejectGarbageAfterEnd: boolean
  readonly maxOutputLength: number
  readonly chunkSize: number
}

function inflateNow(encoding: 'gzip' | 'deflate' | 'zstd', body: Buffer, options: Bounds): Buffer {
  if (encoding === 'gzip') return gunzipSync(body, options)
  if (encoding === 'deflate') return isZlib(body) ? inflateSync(body, options) : inflateRawSync(body, options)
  const frames = zstdFrames(body)
  if (frames.length === 1) return zstdDecompressSync(body.subarray(frames[0].start, frames[0].end), options)
  return join(
    frames.map(({ start, end }) => zstdDecompressSync(body.subarray(start, end), options)),
    options.maxOutputLength,
  )
}

async function inflateLater(encoding: 'gzip' | 'deflate' | 'zstd', body: Buffer, options: Bounds): Promise<Buffer> {
  if (encoding === 'gzip') return async.gunzip(body, options)
  if (encoding === 'deflate') return isZlib(body) ? async.inflate(body, options) : async.inflateRaw(body, options)
  const parts: Buffer[] = []
  let size = 0
  for (const { start, end } of zstdFrames(body)) {
    const part = await async.zstd(body.subarray(start, end), {
      ...options,
      maxOutputLength: options.maxOutputLength - size,
    })
    size += part.length
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : join(parts, options.maxOutputLength)
}

function join(parts: readonly Buffer[], limit: number): Buffer {
  const size = parts.reduce((sum, part) => sum + part.length, 0)
  if (size > limit) throw new TooLargeError(`inflates to more than ${limit} bytes`)
  return Buffer.concat(parts, size)
}

/** HTTP's deflate is the zlib format; some senders leave its header away. */
function isZlib(body: Buffer): boolean {
  return body.length >= 2 && (body[0] & 0x0f) === 8 && ((body[0] << 8) | body[1]) % 31 === 0
}

function explained(error: unknown, limit: number): unknown {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
    return new TooLargeError(`inflates to more than ${limit} bytes`)
  }
  return error
}

/** The output in a buffer that holds hardly more than it, so that what is charged is what is alive. */
function exact(output: Buffer, limit: number): Buffer {
  if (output.length > limit) throw new TooLargeError(`inflates to more than ${limit} bytes`)
  if (output.buffer.byteLength - output.length <= 64) return output
  const copy = Buffer.allocUnsafeSlow(output.length)
  copy.set(output)
  return copy
}

/** Compresses `body`; without a level, at what is the best use of CPU for telemetry. */
export function compress(encoding: Encoding, level: number | undefined, body: Buffer): Buffer | Promise<Buffer> {
  const small = body.length < asyncFrom
  switch (encoding) {
    case 'gzip':
    case 'deflate': {
      const options = { level: level ?? 1, chunkSize: chunkFor(body) }
      if (encoding === 'gzip') return small ? gzipSync(body, options) : async.gzip(body, options)
      return small ? deflateSync(body, options) : async.deflate(body, options)
    }
    case 'zstd': {
      const options = {
        params: { [constants.ZSTD_c_compressionLevel]: level ?? 1 },
        pledgedSrcSize: body.length,
        chunkSize: chunkFor(body),
      }
      return small ? zstdCompressSync(body, options) : async.zstdCompress(body, options)
    }
    case 'snappy':
      return compressSnappy(body)
    case 'x-snappy-framed':
      return compressFramed(body)
  }
}

/** Telemetry shrinks to a quarter or less; what does not takes further chunks. */
function chunkFor(body: Buffer): number {
  return Math.max(1024, body.length >>> 2)
}
