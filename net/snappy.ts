/**
 * Snappy: the block format and the framing format (google/snappy, format_description.txt and framing_format.txt).
 * Compressing and checksums are WebAssembly. Inflating is ours: a malformed block would abort the module, and each abort
 * leaves its stack a little shorter until nothing works any more.
 */
import { crc32c, snappyCompress } from '@platformatic/wasm-utils/bundled'

/** A body that inflates to more than allowed. */
export class TooLargeError extends Error {
  override name = 'TooLargeError'
}

/** A block of snappy. The module throws at an empty body once its memory has grown. */
export function compressSnappy(body: Buffer): Buffer {
  return body.length === 0 ? Buffer.alloc(1) : snappyCompress(body)
}

/** What a block says it inflates to; undefined when it does not begin with a size. */
export function snappySize(body: Uint8Array, start = 0): number | undefined {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const b = body[start + i]
    if (b === undefined) return undefined
    size += (b & 0x7f) * 2 ** (7 * i)
    if (b < 0x80) return size
  }
  return undefined
}

/** Most input, output and chunks of one piece of work: some 5 ms. */
const pieceInput = 512 * 1024
const pieceOutput = 4 << 20
const pieceChunks = 4096

/**
 * Inflates a block.
 * @throws TooLargeError when it says that it is larger than `limit`, Error when it is malformed
 */
export function inflateSnappy(body: Buffer, limit: number): Buffer {
  const { block, out } = wholeBlock(body, limit)
  block.run(body.length, Infinity)
  return out
}

function wholeBlock(body: Buffer, limit: number): { block: Block; out: Buffer } {
  const size = snappySize(body)
  if (size === undefined) throw new Error('no size')
  if (size > limit) throw new TooLargeError(`inflates to ${size} bytes`)
  // Three bytes make at most 64: a larger claim need not be given its memory.
  if (size > body.length * 22) throw new Error(`${body.length} bytes cannot be ${size}`)
  const out = Buffer.allocUnsafeSlow(size)
  return { block: new Block(body, 0, body.length, out, 0, size), out }
}

/** The block between `at` and `end` of a body, which has to fill `start` to `start + size` of `out`. */
class Block {
  readonly #body: Buffer
  readonly #end: number
  readonly #out: Buffer
  readonly #start: number
  readonly #last: number
  #at: number
  #o: number

  constructor(body: Buffer, at: number, end: number, out: Buffer, start: number, size: number) {
    this.#body = body
    this.#end = end
    this.#out = out
    this.#start = start
    this.#last = start + size
    this.#o = start
    while (body[at] >= 0x80) at++
    this.#at = at + 1
  }

  /** Goes on for about so many bytes in and out; says whether all is done. */
  run(input: number, output: number): boolean {
    const body = this.#body
    const out = this.#out
    const end = this.#end
    const start = this.#start
    const last = this.#last
    let at = this.#at
    let o = this.#o
    const pauseAt = Math.min(end, at + input)
    const pauseOut = o + output
    while (at < pauseAt && o < pauseOut) {
      const tag = body[at++]
      let length: number
      let offset: number
      switch (tag & 3) {
        case 0:
          length = (tag >>> 2) + 1
          if (length > 60) {
            const bytes = length - 60
            if (at + bytes > end) throw new Error('truncated literal')
            length = body.readUIntLE(at, bytes) + 1
            at += bytes
          }
          if (length > end - at || length > last - o) throw new Error('literal beyond the end')
          if (length < 24) for (let i = 0; i < length; i++) out[o + i] = body[at + i]
          else body.copy(out, o, at, at + length)
          at += length
          o += length
          continue
        case 1:
          length = 4 + ((tag >>> 2) & 7)
          offset = ((tag & 0xe0) << 3) | body[at]
          at += 1
          break
        case 2:
          length = 1 + (tag >>> 2)
          offset = body[at] | (body[at + 1] << 8)
          at += 2
          break
        default:
          length = 1 + (tag >>> 2)
          offset = (body[at] | (body[at + 1] << 8) | (body[at + 2] << 16) | (body[at + 3] << 24)) >>> 0
          at += 4
      }
      if (at > end || offset === 0 || offset > o - start) throw new Error('copy from before the start')
      if (length > last - o) throw new Error('copy beyond the end')
      // Source and target may overlap: then the copied bytes repeat.
      for (const stop = o + length; o < stop; o++) out[o] = out[o - offset]
    }
    this.#at = at
    this.#o = o
    if (at < end) return false
    if (o !== last) throw new Error(`${o - start} of ${last - start} bytes`)
    return true
  }
}

const streamStart = Buffer.from([0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59])
const blockMost = 65_536

/** Whether `body` begins as the framing format does; the Collector takes such bodies under the name of the block format too. */
export function isFramed(body: Buffer): boolean {
  return (
    body.length >= streamStart.length && body.compare(streamStart, 0, streamStart.length, 0, streamStart.length) === 0
  )
}

/** A stream of framed blocks. */
export function compressFramed(body: Buffer): Buffer {
  const parts: Buffer[] = [streamStart]
  for (let at = 0; at < body.length; at += blockMost) {
    const block = body.subarray(at, at + blockMost)
    const packed = snappyCompress(block)
    const plain = packed.length >= block.length
    const content = plain ? block : packed
    const head = Buffer.allocUnsafe(8)
    head[0] = plain ? 1 : 0
    head.writeUIntLE(content.length + 4, 1, 3)
    head.writeUInt32LE(maskedChecksum(block), 4)
    parts.push(head, content)
  }
  return Buffer.concat(parts)
}

/** CRC-32C, turned and shifted so that a checksum of data with checksums is a good one too. */
function maskedChecksum(bytes: Buffer): number {
  const crc = bytes.length === 0 ? 0 : crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** Chunks of a framed stream: each holds up to 64 KiB, so 64 MiB take 1024. */
const chunksMost = 1 << 17

/**
 * What a framed stream inflates to, by the sizes its chunks give; undefined when it is malformed.
 * @throws Error where there are far more chunks than they are worth
 */
export function framedSize(body: Buffer): number | undefined {
  let size = 0
  let chunks = 0
  for (let at = 0; at < body.length;) {
    if (at + 4 > body.length) return undefined
    if (++chunks > chunksMost) throw new Error(`more than ${chunksMost} chunks`)
    const type = body[at]
    const length = body.readUIntLE(at + 1, 3)
    at += 4
    if (at + length > body.length) return undefined
    if (type <= 1 && length < 4) return undefined
    const chunk = type === 0 ? snappySize(body, at + 4) : type === 1 ? length - 4 : 0
    if (chunk === undefined || chunk > blockMost) return undefined
    size += chunk
    at += length
  }
  return size
}

/**
 * Inflates a framed stream.
 * @throws TooLargeError beyond `limit`, Error when it is malformed
 */
export function inflateFramed(body: Buffer, limit: number): Buffer {
  const frames = new Framed(body, limit)
  frames.run(Infinity, Infinity)
  return frames.out
}

/** A framed stream while it is inflated. */
class Framed {
  readonly out: Buffer
  readonly #body: Buffer
  #at = 0
  #o = 0

  constructor(body: Buffer, limit: number) {
    if (!isFramed(body)) throw new Error('no stream identifier')
    const size = framedSize(body)
    if (size === undefined) throw new Error('truncated or oversized chunk')
    if (size > limit) throw new TooLargeError(`inflates to ${size} bytes`)
    this.#body = body
    this.out = Buffer.allocUnsafeSlow(size)
  }

  /** As that of a block. */
  run(input: number, output: number): boolean {
    const { out } = this
    const body = this.#body
    let at = this.#at
    let o = this.#o
    const pauseAt = Math.min(body.length, at + input)
    const pauseOut = o + output
    const pauseChunks = input === Infinity ? Infinity : pieceChunks
    for (let chunks = 0; at < pauseAt && o < pauseOut && chunks < pauseChunks; chunks++) {
      const type = body[at]
      const end = at + 4 + body.readUIntLE(at + 1, 3)
      if (type <= 1) {
        const start = o
        if (type === 1) o += body.copy(out, o, at + 8, end)
        else {
          const length = snappySize(body, at + 8) ?? 0
          new Block(body, at + 8, end, out, o, length).run(body.length, Infinity)
          o += length
        }
        if (maskedChecksum(out.subarray(start, o)) !== body.readUInt32LE(at + 4)) throw new Error('wrong checksum')
      } else if (type < 0x80) throw new Error(`unknown chunk type ${type}`)
      at = end
    }
    this.#at = at
    this.#o = o
    return at >= body.length
  }
}

/** Inflating a body of either format in pieces. */
export class SnappyWork {
  readonly output: Buffer
  readonly #work: { run(input: number, output: number): boolean }

  /** @throws TooLargeError beyond `limit`, Error when it is malformed */
  constructor(body: Buffer, limit: number) {
    if (isFramed(body)) {
      const framed = new Framed(body, limit)
      this.#work = framed
      this.output = framed.out
    } else {
      const { block, out } = wholeBlock(body, limit)
      this.#work = block
      this.output = out
    }
  }

  /**
   * Does a piece of the work, and says whether all is done.
   * @throws Error when it is malformed
   */
  advance(): boolean {
    return this.#work.run(pieceInput, pieceOutput)
  }
}
