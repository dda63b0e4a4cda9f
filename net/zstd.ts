/**
 * The frames of a zstd stream (RFC 8878, 3.1). Node inflates only the first frame and says nothing of the others, so a
 * stream has to be taken apart before.
 */

/** One frame: where it stands, and what it says it inflates to; undefined when it does not say. */
export interface ZstdFrame {
  readonly start: number
  readonly end: number
  readonly size: number | undefined
}

const magic = 0xfd2fb528
const skippable = 0x184d2a50

/**
 * The frames of `body`, without those that are to be skipped.
 * @throws Error where the bytes are not frames
 */
export function zstdFrames(body: Buffer): ZstdFrame[] {
  const frames: ZstdFrame[] = []
  for (let at = 0; at < body.length;) {
    if (at + 8 > body.length) throw new Error('truncated frame')
    const start = body.readUInt32LE(at)
    if ((start & 0xfffffff0) >>> 0 === skippable) {
      at += 8 + body.readUInt32LE(at + 4)
      if (at > body.length) throw new Error('truncated frame')
      continue
    }
    if (start !== magic) throw new Error('not a zstd frame')
    const frame = readFrame(body, at)
    frames.push(frame)
    at = frame.end
  }
  return frames
}

/** Bytes of the dictionary id and of the content size, by their flags. */
const dictionaryBytes = [0, 1, 2, 4]
const sizeBytes = [0, 2, 4, 8]

function readFrame(body: Buffer, start: number): ZstdFrame {
  const descriptor = body[start + 4]
  const single = (descriptor & 0x20) !== 0
  let at = start + 5 + (single ? 0 : 1) + dictionaryBytes[descriptor & 3]
  const bytes = single && descriptor >>> 6 === 0 ? 1 : sizeBytes[descriptor >>> 6]
  if (at + bytes > body.length) throw new Error('truncated frame')
  const size = bytes === 0 ? undefined : readSize(body, at, bytes)
  at += bytes
  for (let last = false; !last;) {
    if (at + 3 > body.length) throw new Error('truncated block')
    const block = body.readUIntLE(at, 3)
    last = (block & 1) !== 0
    // A run of one byte has a size, but only that byte.
    at += 3 + (((block >>> 1) & 3) === 1 ? 1 : block >>> 3)
  }
  at += (descriptor & 4) === 0 ? 0 : 4
  if (at > body.length) throw new Error('truncated frame')
  return { start, end: at, size }
}

function readSize(body: Buffer, at: number, bytes: number): number {
  if (bytes === 2) return body.readUInt16LE(at) + 256
  return bytes < 8 ? body.readUIntLE(at, bytes) : body.readUInt32LE(at) + body.readUInt32LE(at + 4) * 2 ** 32
}

/** What all frames say they inflate to together; undefined when one does not say. */
export function zstdSize(body: Buffer): number | undefined {
  let total = 0
  for (const { size } of zstdFrames(body)) {
    if (size === undefined) return undefined
    total += size
  }
  return total
}
