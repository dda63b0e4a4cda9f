/** The messages of one connection on their way out: within the windows that the other side gives, and as fast as it reads. */
import { type StreamMessage, noTable, type PreparedAnswer } from './message.ts'
import type { FrameWriter } from './frame-writer.ts'
import { defaultWindow, Flag, Frame, headerTableSize, maxFrame, mostWindow } from './protocol.ts'

const nothing = Buffer.alloc(0)
/** Largest frame of ours: larger ones, where they are allowed, save little and keep others waiting. */
const frameMost = maxFrame

/** What is known of a stream whose message goes out. */
export interface OutStream {
  readonly id: number
  /** What the other side has allowed beyond the window that its streams begin with; negative where that is used. */
  credit: number
  /** What is to be sent, while it cannot be: whether the head is out, and how much of the body. */
  message: StreamMessage | undefined
  isHeadSent: boolean
  sent: number
}

/** See above. */
export class Outflow<Stream extends OutStream> {
  readonly #writer: FrameWriter
  /** Told when all of a message is written. */
  readonly #onWritten: (stream: Stream) => void
  /** What may be sent on the connection, and on each stream at first. */
  #window = defaultWindow
  #streamWindow = defaultWindow
  /** Whether the other side has yet to hear that its table of headers is not used. */
  #tellsTable = false
  readonly #waiting = new Set<Stream>()
  #isPumpDue = false
  #isOver = false

  constructor(writer: FrameWriter, onWritten: (stream: Stream) => void) {
    this.#writer = writer
    this.#onWritten = onWritten
  }

  /** Sends an answer whose frames are made. */
  sendPrepared(stream: Stream, answer: PreparedAnswer): void {
    const { length } = answer.body
    if (this.#writer.blocked || this.#tellsTable || this.#room(stream) < length) return this.send(stream, answer)
    this.#window -= length
    stream.credit -= length
    this.#writer.made(answer.frames, answer.places, stream.id)
    this.#onWritten(stream)
  }

  /** Sends a message, now or when there is room. */
  send(stream: Stream, message: StreamMessage): void {
    stream.message = message
    if (this.#push(stream, message)) this.#onWritten(stream)
    else this.#waiting.add(stream)
  }

  /** The stream is gone. */
  forget(stream: Stream): void {
    stream.message = undefined
    this.#waiting.delete(stream)
  }

  /** Messages that wait go on, once for all that comes in this turn. */
  pumpSoon(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    setImmediate(this.#onPump)
  }

  /** The socket takes more again. */
  drained(): void {
    this.#writer.drained()
    this.#onPump()
  }

  /** Nothing that waits is sent any more. */
  stop(): void {
    this.#isOver = true
  }

  #pump(): void {
    for (const stream of this.#waiting) {
      if (this.#writer.blocked) return
      if (stream.message === undefined || !this.#push(stream, stream.message)) continue
      this.#waiting.delete(stream)
      this.#onWritten(stream)
    }
  }

  /** The other side allows `bytes` more on the connection; false where that is more than may be. */
  widen(bytes: number): boolean {
    this.#window += bytes
    return this.#window <= mostWindow
  }

  /** The same on a stream. */
  widenStream(stream: Stream, bytes: number): boolean {
    stream.credit += bytes
    return this.#streamWindow + stream.credit <= mostWindow
  }

  /** The other side gives its streams another window, also those that are open; false where one of them is too large then. */
  resize(window: number, streams: Iterable<Stream>): boolean {
    const isWider = window > this.#streamWindow
    this.#streamWindow = window
    if (isWider) for (const { credit } of streams) if (window + credit > mostWindow) return false
    return true
  }

  /** The other side has a table of headers of `size` bytes. */
  resizeTable(size: number): void {
    // Whoever makes it smaller has to hear that this was understood.
    if (size < headerTableSize) this.#tellsTable = true
  }

  #room(stream: Stream): number {
    return Math.min(this.#window, this.#streamWindow + stream.credit)
  }

  /** Sends what of a message there is room for; whether that was all. */
  #push(stream: Stream, { head, body = nothing, trailers }: StreamMessage): boolean {
    const writer = this.#writer
    if (writer.blocked) return false
    const isBodyLast = trailers === undefined
    if (!stream.isHeadSent) {
      stream.isHeadSent = true
      writer.headers(stream.id, this.#packed(head), isBodyLast && body.length === 0, frameMost)
    }
    if (stream.sent < body.length && !this.#pushBody(stream, body, isBodyLast)) return false
    if (trailers !== undefined) writer.headers(stream.id, trailers, true, frameMost)
    return true
  }

  /** Frames of a large body are written together. */
  #pushBody(stream: Stream, body: Buffer, isLast: boolean): boolean {
    const writer = this.#writer
    writer.begin()
    while (stream.sent < body.length && !writer.blocked) {
      const left = body.length - stream.sent
      const size = Math.min(left, this.#room(stream), frameMost)
      if (size <= 0) break
      const flags = isLast && size === left ? Flag.END_STREAM : 0
      writer.frame(Frame.DATA, flags, stream.id, body.subarray(stream.sent, stream.sent + size))
      stream.sent += size
      stream.credit -= size
      this.#window -= size
    }
    writer.end()
    return stream.sent === body.length
  }

  #packed(head: Buffer): Buffer {
    if (!this.#tellsTable) return head
    this.#tellsTable = false
    return Buffer.concat([noTable, head])
  }

  readonly #onPump = (): void => {
    this.#isPumpDue = false
    if (!this.#isOver) this.#pump()
  }
}
