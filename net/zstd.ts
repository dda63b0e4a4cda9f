/**
 * The frames of a zstd stream (RFC 8878, 3.1). Node inflates only the first frame and says nothing of the others, so a
 * stream has to be taken apart before.
 */

/** One frame: where it stands, and what it says it inflates to; undefined when it does not say. */
interface ZstdFrame {
  readonly start: number
  readonly end: number
  readonly size: number | undefined
  readonly window: number
  readonly isEmpty: boolean
  readonly blocks: number
}

/** A body of zstd. */
export interface ZstdBody {
  /** The frames that hold something. */
  readonly frames: readonly { readonly start: number; readonly end: number }[]
  /** What all frames say they inflate to together; undefined when one does not say. */
  readonly size: number | undefined
  /** The largest window in bytes that a frame asks for. */
  readonly window: number
}

const magic = 0xfd2fb528
const skippable = 0x184d2a50
/** Senders write one frame, some one per part; each takes a decompressor of its own. */
const framesMost = 256
/** Frames and blocks that are looked at: a block holds up to 128 KiB, so 64 MiB take 512. */
const stepsMost = 1 << 16

/**
 * Looks through `body` in bounded time.
 * @throws Error where the bytes are not frames, or far more of them than they are worth
 */
export function readZstd(body: Buffer): ZstdBody {
  const frames: ZstdFrame[] = []
  let size: number | undefined = 0
  let window = 0
  let steps = 0
  for (let at = 0; at < body.length;) {
    if (at + 8 > body.length) throw new Error('truncated frame')
    const start = body.readUInt32LE(at)
    if (++steps > stepsMost) throw new Error(tooMany)
    if ((start & 0xfffffff0) >>> 0 === skippable) {
      at += 8 + body.readUInt32LE(at + 4)
      if (at > body.length) throw new Error('truncated frame')
      continue
    }
    if (start !== magic) throw new Error('not a zstd frame')
    const frame = readFrame(body, at, stepsMost - steps)
    at = frame.end
    steps += frame.blocks
    // Whether its checksum is right does not matter to anybody.
    if (frame.isEmpty) continue
    if (frames.length === framesMost) throw new Error(`more than ${framesMost} frames`)
    frames.push(frame)
    window = Math.max(window, frame.window)
    size = size === undefined || frame.size === undefined ? undefined : size + frame.size
  }
  return { frames, size, window }
}

const tooMany = `more than ${stepsMost} frames and blocks`

/** Bytes of the dictionary id and of the content size, by their flags. */
const dictionaryBytes = [0, 1, 2, 4]
const sizeBytes = [0, 2, 4, 8]

function readFrame(body: Buffer, start: number, blocksMost: number): ZstdFrame {
  const descriptor = body[start + 4]
  const single = (descriptor & 0x20) !== 0
  let at = start + 5 + (single ? 0 : 1) + dictionaryBytes[descriptor & 3]
  const bytes = single && descriptor >>> 6 === 0 ? 1 : sizeBytes[descriptor >>> 6]
  if (at + bytes > body.length) throw new Error('truncated frame')
  const size = bytes === 0 ? undefined : readSize(body, at, bytes)
  const window = single ? (size ?? 0) : windowOf(body[start + 5])
  at += bytes
  let blocks = 0
  let isEmpty = size === undefined || size === 0
  for (let last = false; !last;) {
    if (at + 3 > body.length) throw new Error('truncated block')
    if (++blocks > blocksMost) throw new Error(tooMany)
    const block = body.readUIntLE(at, 3)
    last = (block & 1) !== 0
    // A run of one byte has a size, but only that byte.
    at += 3 + (((block >>> 1) & 3) === 1 ? 1 : block >>> 3)
    if (block >>> 3 !== 0) isEmpty = false
  }
  at += (descriptor & 4) === 0 ? 0 : 4
  if (at > body.length) throw new Error('truncated frame')
  return { start, end: at, size, window, isEmpty, blocks }
}

function windowOf(byte: number): number {
  const base = 2 ** (10 + (byte >>> 3))
  return base + (base / 8) * (byte & 7)
}

function readSize(body: Buffer, at: number, bytes: number): number {
  if (bytes === 2) return body.readUInt16LE(at) + 256
  return bytes < 8 ? body.readUIntLE(at, bytes) : body.readUInt32LE(at) + body.readUInt32LE(at + 4) * 2 ** 32
}
