import type { FileHandle } from 'node:fs/promises'
import { surelyAtOnce } from '../../core/entrance.ts'
import type { Clock } from '../../core/clock.ts'
import type { Answer } from '../../core/delivery.ts'
import { type DeliveryError, messageOf } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { Mark, type PositionStore } from '../../core/mark.ts'
import { openToRead } from '../../core/own-file.ts'
import type { Room, Rooms } from '../../core/room.ts'
import type { Signal } from '../../proto/signals.ts'
import type { LinePlace, Lines } from './lines.ts'
import { Place } from './place.ts'

const lineEnd = 0x0a
/** Bytes read at once, unless a line is longer. */
const chunkSize = 256 * 1024
/** Milliseconds after which a last line is taken although it does not end. */
const unfinishedFor = 500

/** What all tails of a receiver share. */
export interface TailTerms {
  readonly rooms: Rooms
  readonly lines: Lines
  readonly clock: Clock
  readonly log: Logger
  readonly stopping: AbortSignal
  /** Longest line in bytes. */
  readonly longestLine: number
  readonly fingerprint: number
  readonly replay: boolean
  /** Where places are kept; without it as long as the process lives. */
  readonly store: PositionStore | undefined
  /** Told the place reached in a file that was cut: a copy of what it was may turn up. */
  cut(id: string, place: Place): void
}

/** A line that is to be handed in. */
interface Line {
  readonly text: Buffer
  readonly signals: readonly Signal[]
  readonly at: LinePlace
}

/** One file that is read to its end, as it grows. */
export class Tail {
  path: string
  /** How far it is read. */
  place: Place
  /** What kept the file from being read the last time. */
  trouble: string | undefined
  /** Device and inode of the file. */
  readonly id: string
  readonly #terms: TailTerms
  #mark: Mark<Place>
  #handle: FileHandle | undefined
  #busy: Promise<void> | undefined
  /** The last look: nothing is new while the file is as large. */
  #seen = -1
  /** A last line without an end: since when it is as long as it is. */
  #unfinished: { readonly size: number; readonly since: number } | undefined
  /** A line that is too long is passed over up to its end. */
  #skipping = false
  /** Where to read again from, when something that was taken was given back. */
  #again: Place | undefined

  constructor(path: string, id: string, place: Place, handle: FileHandle, terms: TailTerms) {
    this.path = path
    this.id = id
    this.place = place
    this.#handle = handle
    this.#terms = terms
    this.#mark = this.#markFrom(place)
  }

  /** Being read now. */
  get busy(): boolean {
    return this.#busy !== undefined
  }

  /** Whether there may be something to read in a file of `size` bytes. */
  wants(size: number): boolean {
    if (this.#busy !== undefined) return false
    return size !== this.#seen || this.#unfinished !== undefined || this.#again !== undefined || this.#terms.replay
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

  /** What was read may still end until `late`; then nothing moves any more. */
  async settle(late: Promise<unknown>): Promise<void> {
    await this.#mark.close(late)
  }

  #markFrom(place: Place): Mark<Place> {
    const { store, log } = this.#terms
    const mark: Mark<Place> = new Mark(place, {
      store,
      key: this.id,
      encode: one => one.encode(),
      onAgain: error => this.#readAgain(mark.position, error),
      onFailure: error =>
        log.warn({ file: this.path, error: messageOf(error) }, 'how far the file was read cannot be kept'),
    })
    return mark
  }

  #readAgain(from: Place, error: DeliveryError): void {
    this.#terms.log.warn(
      { file: this.path, error: error.message, offset: from.offset },
      'what was read was given back; it is read again',
    )
    this.#again = from
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
      if (this.#again !== undefined) this.#goTo(this.#again)
      if (replay && this.place.offset >= size) this.#goTo(new Place(this.#terms.fingerprint))
      else if (!(await this.place.continuesIn(handle, size))) {
        log.info({ file: this.path }, 'the file is another one than it was; it is read from its beginning')
        this.#terms.cut(this.id, this.place)
        this.#goTo(new Place(this.#terms.fingerprint))
      }
      if (await this.#readTo(handle, size)) this.#seen = size
      this.trouble = undefined
    } catch (error) {
      this.trouble = `${this.path}: ${messageOf(error)}`
    }
  }

  #goTo(place: Place): void {
    this.#again = undefined
    this.#skipping = false
    this.#unfinished = undefined
    this.place = place.copy()
    this.#mark = this.#markFrom(place)
  }

  /** Reads up to `size`; false when this stops before. */
  async #readTo(handle: FileHandle, size: number): Promise<boolean> {
    const { rooms, longestLine, stopping } = this.#terms
    let length = Math.min(chunkSize, longestLine + 1)
    while (this.place.offset < size && this.#again === undefined) {
      length = Math.min(length, Math.max(1, size - this.place.offset))
      let room: Room
      try {
        room = await rooms.room(length, stopping)
      } catch (error) {
        if (stopping.aborted) return false
        throw error
      }
      try {
        const buffer = Buffer.allocUnsafeSlow(length)
        const { bytesRead } = await handle.read(buffer, 0, length, this.place.offset)
        if (bytesRead === 0) return true
        const bytes = buffer.subarray(0, bytesRead)
        const end = bytes.lastIndexOf(lineEnd) + 1
        if (end > 0) {
          if (!(await this.#takeLines(room, bytes.subarray(0, end)))) return false
          length = chunkSize
          continue
        }
        const last = this.place.offset + bytesRead >= size
        if (this.#skipping || bytesRead > longestLine) this.#skip(bytes)
        else if (last) return await this.#takeUnfinished(room, bytes, size)
      } finally {
        room.free()
      }
      length = Math.min(length * 4, longestLine + 1)
    }
    this.#unfinished = undefined
    return true
  }

  /** Hands on lines that end, and reads on once they all are taken; false when this stops before, or they are given back. */
  async #takeLines(room: Room, bytes: Buffer): Promise<boolean> {
    const { lines: judge, longestLine } = this.#terms
    const lines: Line[] = []
    let number = this.place.lines
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(lineEnd, start)
      const text = bytes.subarray(start, end)
      start = end + 1
      number++
      if (this.#skipping) this.#skipping = false
      else if (text.length > longestLine) this.#tooLong(number)
      else if (!isBlank(text)) {
        lines.push({ text, signals: judge.signalsOf(text), at: { file: this.path, line: number } })
      }
    }
    this.#unfinished = undefined
    return this.#take(room, lines, bytes, number - this.place.lines)
  }

  /** Hands in `lines`, which stand in `bytes` from the place reached on, and moves past those once all are taken. */
  async #take(room: Room, lines: readonly Line[], bytes: Buffer, count: number): Promise<boolean> {
    const place = this.place.copy()
    place.advance(bytes, count)
    const requests = lines.reduce((sum, { signals }) => sum + signals.length, 0)
    const taken: Promise<boolean>[] = []
    const told = new Set<LinePlace>()
    const ended = this.#mark.begin(place, requests)
    for (const { text, signals, at } of lines) {
      for (const signal of signals) {
        const { promise, resolve } = Promise.withResolvers<boolean>()
        const answered = (answer: Answer): void => {
          // Read as several signals, a line is still one line.
          const isTold = answer.kind !== 'refused' && told.has(at)
          if (answer.kind === 'malformed') told.add(at)
          resolve(isTold || this.#terms.lines.tell(answer, at))
        }
        this.#terms.lines.take(room, text, signal, { answered, ended })
        taken.push(promise)
      }
      // A large line is let in in turns; those after it must not overtake it.
      if (text.length > surelyAtOnce && !(await Promise.all(taken)).every(Boolean)) return false
    }
    if (!(await Promise.all(taken)).every(Boolean)) return false
    this.place = place
    return true
  }

  /** A last line that does not end is being written, or will never end: then it is taken as it is. */
  async #takeUnfinished(room: Room, bytes: Buffer, size: number): Promise<boolean> {
    const { lines: judge, clock } = this.#terms
    const now = clock.now()
    if (this.#unfinished?.size !== size) this.#unfinished = { size, since: now }
    if (now - this.#unfinished.since < unfinishedFor || !isWhole(bytes)) return true
    const at = { file: this.path, line: this.place.lines + 1 }
    const lines = isBlank(bytes) ? [] : [{ text: bytes, signals: judge.signalsOf(bytes), at }]
    if (!(await this.#take(room, lines, bytes, 0))) return false
    this.#unfinished = undefined
    return true
  }

  #skip(bytes: Buffer): void {
    if (!this.#skipping) this.#tooLong(this.place.lines + 1)
    this.#skipping = true
    this.place.advance(bytes, 0)
    this.#mark.begin(this.place.copy(), 0)
  }

  #tooLong(line: number): void {
    const { lines, longestLine } = this.#terms
    lines.refuse('too_large', { file: this.path, line }, `longer than \`max_log_size\` (${longestLine} bytes)`)
  }
}

const isBlank = (line: Buffer): boolean => /^\s*$/.test(line.toString('latin1', 0, 256)) && line.length <= 256

/** Whether the text may be all of a JSON object. */
const isWhole = (text: Buffer): boolean => /\}\s*$/.test(text.toString('latin1', Math.max(0, text.length - 256)))
