/**
 * Inflating what a sender compressed, as work that is bounded: by output, by memory, by the time one piece of it takes. Small
 * bodies are done at once; others in pieces on the thread pool, where the next piece is not begun when nobody waits any more.
 */
import {
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  type InflateRaw,
  zstdDecompressSync,
} from 'node:zlib'
import { letGo } from '../core/pool.ts'
import { type Encoding, isZlib } from './compression.ts'
import { framedSize, inflateFramed, inflateSnappy, isFramed, SnappyWork, snappySize, TooLargeError } from './snappy.ts'
import { readZstd, type ZstdBody } from './zstd.ts'

/** Bodies from this many compressed bytes on, or with this much output, are worked on in pieces. */
const longFrom = 65_536
const longOutput = 1 << 20
/** Most input of one piece, and most output where one piece makes all: some 10 ms of a thread. */
const pieceInput = 256 * 1024
const wholeOutput = 8 << 20
/** Most output of one of several pieces. */
const pieceOutput = 1 << 20
/** What a decompressor has for itself, beside the window of zstd. */
const ownMemory = 64 * 1024

/** What one byte can become at most: a hint that says more is none. */
const ratios: Record<Encoding, number> = {
  gzip: 1032,
  deflate: 1032,
  // A block that repeats one byte 128 KiB long takes four.
  zstd: 32_768,
  // Three bytes make at most 64.
  snappy: 22,
  'x-snappy-framed': 22,
}

type Zlib = 'gzip' | 'deflate' | 'zstd'
type Engine = InflateRaw | ReturnType<typeof createZstdDecompress>

/** Nobody waits for the result. */
class GivenUpError extends Error {
  override name = 'GivenUpError'
}

interface Bounds {
  readonly rejectGarbageAfterEnd: boolean
  readonly maxOutputLength: number
  readonly chunkSize: number
}

/** One compressed body. */
export class Inflation {
  readonly encoding: Encoding
  /** What the body says it inflates to; undefined when it does not say. A sender can lie. */
  readonly hint: number | undefined
  readonly #body: Buffer
  readonly #isWanted: () => boolean
  readonly #zstd: ZstdBody | undefined

  /**
   * `isWanted` is asked before each piece of work.
   * @throws Error where the body is plainly not of that encoding, or broken
   */
  constructor(encoding: Encoding, body: Buffer, isWanted: () => boolean = always) {
    this.encoding = encoding
    this.#body = body
    this.#isWanted = isWanted
    this.#zstd = encoding === 'zstd' ? readZstd(body) : undefined
    const hint = encoding === 'zstd' ? this.#zstd?.size : sizeOf(encoding, body)
    if (hint !== undefined && hint > (body.length + 1) * ratios[encoding]) {
      throw new Error(`${body.length} bytes cannot be ${hint}; were they cut off?`)
    }
    this.hint = hint
  }

  /** Whether the hint alone decides that a body is too large. That of gzip stands where a body that was cut has anything. */
  get isHintProven(): boolean {
    return this.encoding !== 'gzip'
  }

  /** Bytes of memory that inflating to at most `limit` takes, with the result if that is kept. */
  cost(limit: number, isKept: boolean): number {
    const window = this.#zstd === undefined ? 0 : Math.min(this.#zstd.window, limit)
    const piece = this.#isOnePiece(limit) ? 0 : pieceOutput
    return window + ownMemory + piece + (isKept ? limit : 0)
  }

  #isOnePiece(limit: number): boolean {
    return (
      this.#body.length <= pieceInput &&
      limit <= wholeOutput &&
      (this.#zstd === undefined || this.#zstd.frames.length === 1)
    )
  }

  /** Whether inflating to at most `limit` is done so soon that it is done at once. */
  isShort(limit: number): boolean {
    return this.#body.length < longFrom && limit <= longOutput
  }

  /**
   * Inflates to at most `limit` bytes, in a buffer of its own, on this thread.
   * @throws TooLargeError beyond the limit, any other Error when the body is not what it should be
   */
  runNow(limit: number): Buffer {
    const { encoding } = this
    if (encoding === 'snappy' || encoding === 'x-snappy-framed') return inflateSnappyBody(encoding, this.#body, limit)
    try {
      if (this.#zstd === undefined) return exact(inflateNow(encoding, this.#body, boundsFor(encoding, limit)), limit)
      const parts: Buffer[] = []
      let size = 0
      const { frames } = this.#zstd
      for (const { start, end } of frames) {
        const bounds = boundsFor(encoding, limit - size, frames.length === 1 ? limit : pieceInput)
        const part = zstdDecompressSync(this.#body.subarray(start, end), bounds)
        size += part.length
        if (size > limit) throw new TooLargeError(`inflates to more than ${limit} bytes`)
        parts.push(part)
      }
      return exact(parts.length === 1 ? parts[0] : Buffer.concat(parts, size), limit)
    } catch (error) {
      throw explained(error, limit)
    }
  }

  /**
   * The same in pieces, without holding this thread up. With `isKept` off nothing is returned: to see whether it inflates.
   * @throws TooLargeError, Error as above; when nobody waits any more
   */
  async runLater(limit: number, isKept = true): Promise<Buffer> {
    const { encoding } = this
    if (encoding === 'snappy' || encoding === 'x-snappy-framed') {
      const work = new SnappyWork(this.#body, limit)
      while (!work.advance()) {
        await new Promise(resolve => setImmediate(resolve))
        if (!this.#isWanted()) throw new GivenUpError()
      }
      return work.output
    }
    const isOnePiece = this.#isOnePiece(limit)
    const whole = isKept && !isOnePiece ? Buffer.allocUnsafeSlow(limit) : undefined
    const parts: Buffer[] = []
    let size = 0
    try {
      const copied = isKept && whole === undefined ? undefined : new Copied()
      size = await this.#pieces(encoding, limit, isOnePiece, copied, (chunk, at) => {
        if (whole !== undefined) whole.set(chunk, at)
        else if (isKept) parts.push(chunk)
      })
      if (whole === undefined) return exact(parts.length === 1 ? parts[0] : Buffer.concat(parts), limit)
      return exact(whole.subarray(0, size), limit)
    } finally {
      // It is large, and the next one comes before any collection.
      if (whole !== undefined && (size === 0 || whole.length - size > spare)) letGo(whole.buffer)
    }
  }

  /** Inflates frame by frame; returns how many bytes came out, each with its place. What is `copied` is freed behind it. */
  async #pieces(
    encoding: Zlib,
    limit: number,
    isOnePiece: boolean,
    copied: Copied | undefined,
    take: (chunk: Buffer, at: number) => void,
  ): Promise<number> {
    const frames = this.#zstd?.frames ?? [{ start: 0, end: this.#body.length }]
    let size = 0
    for (const { start, end } of frames) {
      if (!this.#isWanted()) throw new GivenUpError()
      const bytes = this.#body.subarray(start, end)
      const bounds = boundsFor(encoding, limit - size, isOnePiece ? limit : pieceOutput)
      try {
        await pump(engineFor(encoding, bytes, bounds), bytes, limit - size, this.#isWanted, chunk => {
          take(chunk, size)
          size += chunk.length
          copied?.add(chunk)
        })
      } finally {
        copied?.end()
      }
    }
    return size
  }
}

/** Inflates `body` through `engine`, hands what comes out to `take`, in pieces. */
function pump(
  engine: Engine,
  body: Buffer,
  limit: number,
  isWanted: () => boolean,
  take: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let size = 0
    let at = 0
    let isEnding = false
    let failure: unknown
    const stop = (error: Error): void => {
      failure ??= error
      engine.destroy()
      // Else a piece is being worked on, and its end is waited for: until then the memory is in use.
      if (isEnding) reject(failure)
    }
    const next = (): void => {
      if (failure !== undefined) return reject(failure)
      if (at > 0 && !isWanted()) failure = new GivenUpError()
      if (failure !== undefined) {
        engine.destroy()
        return reject(failure)
      }
      if (at >= body.length) {
        isEnding = true
        engine.end()
        return
      }
      const from = at
      at = Math.min(body.length, from + pieceInput)
      engine.write(body.subarray(from, at), next)
    }
    engine.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (failure !== undefined) return
      if (size > limit) stop(new TooLargeError(`inflates to more than ${limit} bytes`))
      else if (!isWanted()) stop(new GivenUpError())
      else take(chunk)
    })
    engine.on('error', error => reject(failure ?? error))
    engine.on('end', resolve)
    next()
  })
}

const always = (): boolean => true

/** @throws Error where the body is plainly not of that encoding */
function sizeOf(encoding: Exclude<Encoding, 'zstd'>, body: Buffer): number | undefined {
  switch (encoding) {
    case 'gzip':
      // RFC 1952: the size modulo 2^32 stands at the end of each member.
      if (body.length < 18 || body[0] !== 0x1f || body[1] !== 0x8b) throw new Error('not gzip')
      return body.readUInt32LE(body.length - 4)
    case 'snappy':
      return isFramed(body) ? framedSize(body) : snappySize(body)
    case 'x-snappy-framed':
      return framedSize(body)
    case 'deflate':
      return undefined
  }
}

function boundsFor(encoding: Zlib, limit: number, piece = limit): Bounds {
  return {
    maxOutputLength: Math.max(limit, 1),
    // One byte more than may come, so that a body of just that size needs no second chunk.
    chunkSize: Math.max(64, Math.min(limit, piece) + 1),
    // What follows a member of gzip may be the next one, so what follows the last is not looked at.
    rejectGarbageAfterEnd: encoding !== 'gzip',
  }
}

function inflateNow(encoding: Zlib, body: Buffer, bounds: Bounds): Buffer {
  if (encoding === 'gzip') return gunzipSync(body, bounds)
  if (encoding === 'zstd') return zstdDecompressSync(body, bounds)
  return isZlib(body) ? inflateSync(body, bounds) : inflateRawSync(body, bounds)
}

function engineFor(encoding: Zlib, body: Buffer, bounds: Bounds): Engine {
  if (encoding === 'gzip') return createGunzip(bounds)
  if (encoding === 'zstd') return createZstdDecompress(bounds)
  return isZlib(body) ? createInflate(bounds) : createInflateRaw(bounds)
}

function inflateSnappyBody(encoding: 'snappy' | 'x-snappy-framed', body: Buffer, limit: number): Buffer {
  return encoding === 'snappy' && !isFramed(body) ? inflateSnappy(body, limit) : inflateFramed(body, limit)
}

/**
 * The few bytes of an answer, on this thread.
 * @throws any Error when the body is not what it should be, or more than is done at once
 */
export function inflateSmall(encoding: Encoding, body: Buffer): Buffer {
  if (body.length >= longFrom) throw new TooLargeError(`${body.length} bytes are more than an answer needs`)
  return new Inflation(encoding, body).runNow(longOutput)
}

function explained(error: unknown, limit: number): unknown {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
    return new TooLargeError(`inflates to more than ${limit} bytes`)
  }
  return error
}

/**
 * What an engine wrote its output to, once that is copied: each such piece is garbage as soon as the engine goes on in another
 * or is done, and large enough that many of them in a row would stand there until the next full collection.
 */
class Copied {
  #last: ArrayBuffer | undefined

  /** `chunk` is copied; the engine may go on behind it in the same memory. */
  add({ buffer }: Buffer): void {
    if (buffer === this.#last) return
    this.end()
    if (buffer instanceof ArrayBuffer && buffer.byteLength > pieceOutput) this.#last = buffer
  }

  /** The engine is done. */
  end(): void {
    if (this.#last !== undefined) letGo(this.#last)
    this.#last = undefined
  }
}

/** Bytes that a buffer may hold beside its content. */
const spare = 64

/** The output in a buffer that holds hardly more than it, so that what is charged is what is alive. */
function exact(output: Buffer, limit: number): Buffer {
  if (output.length > limit) throw new TooLargeError(`inflates to more than ${limit} bytes`)
  if (output.buffer.byteLength - output.length <= spare) return output
  const copy = Buffer.allocUnsafeSlow(output.length)
  copy.set(output)
  return copy
}

/** Places for work that only so much of may go on at once; what finds none waits its turn. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  /** Calls `start` when there is a place, perhaps at once; whoever it was calls `free` at the end. */
  take(start: () => void): void {
    if (this.#free === 0) return void this.#waiting.push(start)
    this.#free--
    start()
  }

  free(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
