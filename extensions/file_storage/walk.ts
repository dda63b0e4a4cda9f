/** Reading a segment from record to record. */
import type { FileHandle, FileOperations } from './files.ts'
import {
  alignment,
  decodeFront,
  findRecord,
  type RecordFront,
  frontLengthAt,
  leastFront,
  type SegmentMark,
} from './record.ts'

/** Part of a file in memory. What is asked for next should lie behind what was asked for last. */
export class Window {
  readonly #files: FileOperations
  readonly #file: FileHandle
  /** Used again and again; what is here of the file stands at its start. */
  #room = Buffer.alloc(0)
  #bytes: Buffer = this.#room
  #from = 0

  constructor(files: FileOperations, file: FileHandle) {
    this.#files = files
    this.#file = file
  }

  /**
   * The bytes from `at` on: at least `size` of them unless the file ends, and up to `ahead` when they must be read. They
   * are good until the next call.
   */
  async ask(at: number, size: number, ahead: number): Promise<Buffer> {
    const have = this.at(at)
    if (have.length >= size) return have
    const room = Math.max(size, ahead)
    const { length } = have
    if (this.#room.length < room) this.#room = Buffer.allocUnsafeSlow(room)
    have.copy(this.#room)
    // Until they are read, nothing is here.
    this.#bytes = this.#room.subarray(0, 0)
    this.#from = at
    const read = await this.#files.read(this.#file, [this.#room.subarray(length, room)], at + length)
    this.#bytes = this.#room.subarray(0, length + read)
    return this.#bytes
  }

  /** The bytes from `at` on that are here already. */
  at(at: number): Buffer {
    if (at < this.#from || at > this.#from + this.#bytes.length) return this.#bytes.subarray(0, 0)
    return this.#bytes.subarray(at - this.#from)
  }

  /** Reads `into` from `at` on, and `ahead` bytes that follow to have them here; whether the file went that far. */
  async through(at: number, into: Buffer, ahead: number): Promise<boolean> {
    if (this.#room.length < ahead) this.#room = Buffer.allocUnsafeSlow(ahead)
    this.#bytes = this.#room.subarray(0, 0)
    this.#from = at
    const read = await this.#files.read(this.#file, [into, this.#room.subarray(0, ahead)], at)
    if (read < into.length) return false
    this.#from = at + into.length
    this.#bytes = this.#room.subarray(0, read - into.length)
    return true
  }
}

/** What a walk comes upon: a record, or bytes that are none. */
export type Step =
  | { readonly found: 'record'; readonly at: number; readonly front: RecordFront; readonly bytes: Buffer }
  /** Up to the next record. */
  | { readonly found: 'damage'; readonly at: number; readonly bytes: number }
  /** Where records stop before the end; `torn` when something of a record stands there. */
  | { readonly found: 'end'; readonly at: number; readonly torn: boolean }

/** Goes from record to record through one segment. Its position may be set anew between steps. */
export class Walk {
  /** Where the next step looks. */
  at: number
  /** Bytes to read at once. */
  ahead: number
  readonly window: Window
  readonly #mark: SegmentMark

  constructor(window: Window, mark: SegmentMark, at: number, ahead: number) {
    this.window = window
    this.#mark = mark
    this.at = at
    this.ahead = ahead
  }

  /** What stands at the position, which goes on behind it; `end` is where records stop at the latest. */
  async step(end: number): Promise<Step> {
    const { at } = this
    if (at >= end) return { found: 'end', at, torn: false }
    const bytes = await this.#askFront(at, end)
    const front = this.#frontIn(bytes, at, end)
    if (front !== undefined) return this.#record(at, front, bytes)
    const next = await this.#search(at, end)
    if (next === undefined) return { found: 'end', at, torn: await this.#looksTorn(at, end) }
    this.at = next
    return { found: 'damage', at, bytes: next - at }
  }

  /** The same without waiting, when a record stands there that was read already. */
  stepNow(end: number): Step | undefined {
    const { at } = this
    const bytes = this.window.at(at)
    const front = this.#frontIn(bytes, at, end)
    return front && this.#record(at, front, bytes)
  }

  #record(at: number, front: RecordFront, bytes: Buffer): Step {
    this.at = at + front.span
    return { found: 'record', at, front, bytes }
  }

  /** The bytes from `at` on: those of a whole front, if there is one. */
  async #askFront(at: number, end: number): Promise<Buffer> {
    const left = end - at
    const bytes = await this.window.ask(at, Math.min(leastFront, left), Math.min(this.ahead, left))
    const length = frontLengthAt(bytes, 0, this.#mark)
    if (length === undefined || length > left) return bytes
    return this.window.ask(at, length, Math.min(this.ahead, left))
  }

  #frontIn(bytes: Buffer, at: number, end: number): RecordFront | undefined {
    const front = decodeFront(bytes, 0, this.#mark)
    return front === undefined || at + front.span > end ? undefined : front
  }

  /** The next place behind `at` where a whole front stands. */
  async #search(at: number, end: number): Promise<number | undefined> {
    const step = 1024 * 1024
    for (let from = at + alignment; from < end;) {
      const size = Math.min(step, end - from)
      const bytes = await this.window.ask(from, size, size)
      const found = findRecord(bytes, 0, this.#mark)
      if (found === undefined) {
        if (bytes.length < leastFront || from + bytes.length >= end) return undefined
        from += bytes.length - leastFront
        continue
      }
      const place = from + found
      if (place % alignment === 0 && this.#frontIn(await this.#askFront(place, end), place, end) !== undefined)
        return place
      from = place + 1
    }
    return undefined
  }

  async #looksTorn(at: number, end: number): Promise<boolean> {
    const size = Math.min(leastFront, end - at)
    const bytes = await this.window.ask(at, size, size)
    return findRecord(bytes.subarray(0, leastFront), 0, this.#mark) === 0
  }
}
