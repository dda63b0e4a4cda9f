/** How far a file was read, and how to know it again: under another name, in a copy, or not any more. */
import type { FileHandle } from 'node:fs/promises'
import * as z from 'zod'

const nothing = Buffer.alloc(0)

/** What is kept of a place. */
const kept = z.object({ offset: z.int().min(0), lines: z.int().min(0), head: z.string(), before: z.string() })

/**
 * A place in a file that only grows at its end. It knows the beginning of the file and what stands right before the place:
 * files that begin alike, as those of one program do, differ there.
 */
export class Place {
  offset = 0
  /** Lines before the place. */
  lines = 0
  head: Buffer = nothing
  before: Buffer = nothing
  readonly #size: number

  /** `size`: bytes of the beginning, and before the place, that are kept. */
  constructor(size: number) {
    this.#size = size
  }

  /** Moves past `bytes`, which are those that stand next. */
  advance(bytes: Buffer, lines: number): void {
    if (this.head.length < this.#size && this.offset === this.head.length) {
      this.head = Buffer.concat([this.head, bytes.subarray(0, this.#size - this.head.length)])
    }
    this.offset += bytes.length
    this.lines += lines
    this.before =
      bytes.length >= this.#size
        ? Buffer.from(bytes.subarray(bytes.length - this.#size))
        : Buffer.from(Buffer.concat([this.before, bytes]).subarray(-this.#size))
  }

  /** Moves to `offset` without having read what is before. */
  async jump(handle: FileHandle, offset: number): Promise<void> {
    const from = Math.max(0, offset - this.#size)
    this.head = await readAt(handle, 0, Math.min(offset, this.#size))
    this.before = await readAt(handle, from, offset - from)
    this.offset = offset
  }

  /** Whether the file goes on where this stands. */
  async continuesIn(handle: FileHandle, size: number): Promise<boolean> {
    const { head, before, offset } = this
    if (size < offset) return false
    if (!(await readAt(handle, 0, head.length)).equals(head)) return false
    return (await readAt(handle, offset - before.length, before.length)).equals(before)
  }

  /** The place of which `bytes` were kept. @throws where they are none */
  static from(bytes: Buffer, size: number): Place {
    const { offset, lines, head, before } = kept.parse(JSON.parse(bytes.toString()))
    const place = new Place(size)
    place.offset = offset
    place.lines = lines
    place.head = Buffer.from(head, 'base64')
    place.before = Buffer.from(before, 'base64')
    return place
  }

  /** The place as bytes that can be kept. */
  encode(): Buffer {
    const { offset, lines } = this
    const [head, before] = [this.head.toString('base64'), this.before.toString('base64')]
    return Buffer.from(JSON.stringify({ offset, lines, head, before }))
  }

  /** The same place, for a copy of the file. */
  copy(): Place {
    const mark = new Place(this.#size)
    mark.offset = this.offset
    mark.lines = this.lines
    mark.head = this.head
    mark.before = this.before
    return mark
  }
}

/** Up to `length` bytes from `offset` on. */
export async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (length === 0) return nothing
  const buffer = Buffer.allocUnsafe(length)
  const { bytesRead } = await handle.read(buffer, 0, length, offset)
  return buffer.subarray(0, bytesRead)
}
