/** The answers of one connection on their way out: within the windows that the client gives, and as fast as it reads. */
import { type StreamAnswer, noTable, type PreparedAnswer } from './answer.ts'
import type { FrameWriter } from './frame-writer.ts'
import { defaultWindow, Frame, headerTableSize, maxFrame, mostWindow } from './protocol.ts'
import type { ServerStream } from './server-stream.ts'

const nothing = Buffer.alloc(0)
/** Largest frame of ours: larger ones, where they are allowed, save little and keep others waiting. */
const frameMost = maxFrame

/** See above. */
export class Outflow {
  readonly #writer: FrameWriter
  /** Told when all of an answer is written. */
  readonly #onAnswered: (stream: ServerStream) => void
  /** What may be sent on the connection, and on each stream at first. */
  #window = defaultWindow
  #streamWindow = defaultWindow
  /** Whether the client has yet to hear that its table of headers is not used. */
  #tellsTable = false
  readonly #waiting = new Set<ServerStream>()

  constructor(writer: FrameWriter, onAnswered: (stream: ServerStream) => void) {
    this.#writer = writer
    this.#onAnswered = onAnswered
  }

  /** Sends an answer whose frames are made. */
  sendPrepared(stream: ServerStream, answer: PreparedAnswer): void {
    const { length } = answer.body
    if (this.#writer.blocked || this.#tellsTable || this.#room(stream) < length) return this.send(stream, answer)
    this.#window -= length
    stream.credit -= length
    this.#writer.made(answer.frames, answer.places, stream.id)
    this.#onAnswered(stream)
  }

  /** Sends an answer, now or when there is room. */
  send(stream: ServerStream, answer: StreamAnswer): void {
    stream.answer = answer
    if (this.#push(stream, answer)) this.#onAnswered(stream)
    else this.#waiting.add(stream)
  }

  /** The stream is gone. */
  forget(stream: ServerStream): void {
    stream.answer = undefined
    this.#waiting.delete(stream)
  }

  /** Sends what can be sent by now. */
  pump(): void {
    for (const stream of this.#waiting) {
      if (this.#writer.blocked) return
      if (stream.answer === undefined || !this.#push(stream, stream.answer)) continue
      this.#waiting.delete(stream)
      this.#onAnswered(stream)
    }
  }

  /** The client allows `bytes` more on the connection; false where that is more than may be. */
  widen(bytes: number): boolean {
    this.#window += bytes
    return this.#window <= mostWindow
  }

  /** The same on a stream. */
  widenStream(stream: ServerStream, bytes: number): boolean {
    stream.credit += bytes
    return this.#streamWindow + stream.credit <= mostWindow
  }

  /** The client gives its streams another window, also those that are open; false where one of them is too large then. */
  resize(window: number, streams: Iterable<ServerStream>): boolean {
    const isWider = window > this.#streamWindow
    this.#streamWindow = window
    if (isWider) for (const { credit } of streams) if (window + credit > mostWindow) return false
    return true
  }

  /** The client has a table of headers of `size` bytes. */
  resizeTable(size: number): void {
    // Whoever makes it smaller has to hear that this was understood.
    if (size < headerTableSize) this.#tellsTable = true
  }

  #room(stream: ServerStream): number {
    return Math.min(this.#window, this.#streamWindow + stream.credit)
  }

  /** Sends what of an answer there is room for; whether that was all. */
  #push(stream: ServerStream, answer: StreamAnswer): boolean {
    const writer = this.#writer
    if (writer.blocked) return false
    const { body = nothing, trailers } = answer
    if (!stream.isHeadSent) {
      stream.isHeadSent = true
      writer.headers(stream.id, this.#packed(answer.head), trailers === undefined, frameMost)
    }
    while (stream.sent < body.length) {
      if (writer.blocked) return false
      const size = Math.min(body.length - stream.sent, this.#room(stream), frameMost)
      if (size <= 0) return false
      writer.frame(Frame.DATA, 0, stream.id, body.subarray(stream.sent, stream.sent + size))
      stream.sent += size
      stream.credit -= size
      this.#window -= size
    }
    if (trailers !== undefined) writer.headers(stream.id, trailers, true, frameMost)
    return true
  }

  #packed(head: Buffer): Buffer {
    if (!this.#tellsTable) return head
    this.#tellsTable = false
    return Buffer.concat([noTable, head])
  }
}
