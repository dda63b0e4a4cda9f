import type { FileHandle } from 'node:fs/promises'
import type { Budget } from '../../core/budget.ts'
import { messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { openToRead } from '../../core/own-file.ts'
import { largeText } from '../../proto/json-read.ts'
import type { LineDoor } from './line-door.ts'
import { Mark } from './mark.ts'

const lineEnd = 0x0a
/** Bytes read at once, unless a line is longer. */
const chunkSize = 256 * 1024
/** Milliseconds after which a last line is taken although it does not end. */
const unfinishedFor = 500

/** What all tails of a receiver share. */
export interface TailTerms {
  readonly door: LineDoor
  readonly budget: Budget
  readonly log: Logger
  /** Longest line in bytes. */
  readonly longestLine: number
  readonly fingerprint: number
  readonly replay: boolean
  /** Told the mark of a file that was cut: a copy of what it was may turn up. */
  cut(mark: Mark): void
}

/** One file that is read to its end, as it grows. */
export class Tail {
  path: string
  mark: Mark
  /** What kept the file from being read the last time. */
  trouble: string | undefined
  /** Device and inode of the file. */
  readonly id: string
  readonly #terms: TailTerms
  #handle: FileHandle | undefined
  #busy: Promise<void> | undefined
  /** The last look: nothing is new while the file is as large. */
  #seen = -1
  /** A last line without an end: since when it is as long as it is. */
  #unfinished: { readonly size: number; readonly since: number } | undefined
  /** A line that is too long is passed over up to its end. */
  #skipping = false

  constructor(path: string, id: string, mark: Mark, handle: FileHandle, terms: TailTerms) {
    this.path = path
    this.id = id
    this.mark = mark
    this.#handle = handle
    this.#terms = terms
  }

  /** Being read now. */
  get busy(): boolean {
    return this.#busy !== undefined
  }

  /** Whether there may be something to read in a file of `size` bytes. */
  wants(size: number): boolean {
    return this.#busy === undefined && (size !== this.#seen || this.#unfinished !== undefined || this.#terms.replay)
  }

  /** Reads what is new; the promise never rejects. */
  read(): Promise<void> {
    this.#busy ??= this.#run().finally(() => (this.#busy = undefined))
    return this.#busy
  }

  /** Closes the file; what reads it ends first. */
  async close(): Promise<void> {
    await this.#busy
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close().catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { log, replay } = this.#terms
    try {
      const handle = (this.#handle ??= await openToRead(this.path))
      const { size, dev, ino } = await handle.stat()
      if (`${dev}:${ino}` !== this.id) {
        // Another file has the name by now; it will be found under its own.
        this.#handle = undefined
        await handle.close()
        return
      }
      if (replay && this.mark.offset >= size) this.mark = new Mark(this.#terms.fingerprint)
      else if (!(await this.mark.continuesIn(handle, size))) {
        log.info({ file: this.path }, 'the file is another one than it was; it is read from its beginning')
        this.#terms.cut(this.mark)
        this.mark = new Mark(this.#terms.fingerprint)
        this.#skipping = false
      }
      if (await this.#readTo(handle, size)) this.#seen = size
      this.trouble = undefined
    } catch (error) {
      this.trouble = `${this.path}: ${messageOf(error)}`
    }
  }

  /** Reads up to `size`; false when this stops before. */
  async #readTo(handle: FileHandle, size: number): Promise<boolean> {
    const { door, budget, longestLine } = this.#terms
    let room = Math.min(chunkSize, longestLine + 1)
    while (this.mark.offset < size) {
      room = Math.min(room, Math.max(1, size - this.mark.offset))
      const charged = room
      if (!(await door.charge(charged))) return false
      try {
        const buffer = Buffer.allocUnsafeSlow(room)
        const { bytesRead } = await handle.read(buffer, 0, room, this.mark.offset)
        if (bytesRead === 0) return true
        const bytes = buffer.subarray(0, bytesRead)
        const end = bytes.lastIndexOf(lineEnd) + 1
        if (end > 0) {
          if (!(await this.#takeLines(bytes.subarray(0, end)))) return false
          room = chunkSize
          continue
        }
        const last = this.mark.offset + bytesRead >= size
        if (this.#skipping || bytesRead > longestLine) this.#skip(bytes)
        else if (last) return await this.#takeUnfinished(bytes, size)
      } finally {
        budget.release(charged)
      }
      room = Math.min(room * 4, longestLine + 1)
    }
    this.#unfinished = undefined
    return true
  }

  /** Hands on lines that end, and goes past them once they all are taken. */
  async #takeLines(bytes: Buffer): Promise<boolean> {
    const { door, longestLine } = this.#terms
    const taken: Promise<boolean>[] = []
    let lines = 0
    for (let start = 0; start < bytes.length; lines++) {
      const end = bytes.indexOf(lineEnd, start)
      const line = bytes.subarray(start, end)
      start = end + 1
      const number = this.mark.lines + lines + 1
      if (this.#skipping) this.#skipping = false
      else if (line.length > longestLine) this.#tooLong(number)
      else if (!isBlank(line)) taken.push(door.take(line, this.path, number))
      // A large line is read in turns; those after it must not overtake it.
      if (line.length > largeText && !(await Promise.all(taken)).every(Boolean)) return false
    }
    if (!(await Promise.all(taken)).every(Boolean)) return false
    this.#unfinished = undefined
    this.mark.advance(bytes, lines)
    return true
  }

  /** A last line that does not end is being written, or will never end: then it is taken as it is. */
  async #takeUnfinished(bytes: Buffer, size: number): Promise<boolean> {
    const now = Date.now()
    if (this.#unfinished?.size !== size) this.#unfinished = { size, since: now }
    if (now - this.#unfinished.since < unfinishedFor || !isWhole(bytes)) return true
    if (!isBlank(bytes) && !(await this.#terms.door.take(bytes, this.path, this.mark.lines + 1))) return false
    this.#unfinished = undefined
    this.mark.advance(bytes, 0)
    return true
  }

  #skip(bytes: Buffer): void {
    if (!this.#skipping) this.#tooLong(this.mark.lines + 1)
    this.#skipping = true
    this.mark.advance(bytes, 0)
  }

  #tooLong(line: number): void {
    const { door, longestLine } = this.#terms
    door.refuse('too_large', this.path, line, `longer than \`max_log_size\` (${longestLine} bytes)`)
  }
}

const isBlank = (line: Buffer): boolean => /^\s*$/.test(line.toString('latin1', 0, 256)) && line.length <= 256

/** Whether the text may be all of a JSON object. */
const isWhole = (text: Buffer): boolean => /\}\s*$/.test(text.toString('latin1', Math.max(0, text.length - 256)))
