/** The streams of one connection: those that are open, and what has to be known of those that were. Bounded. */
import { type Floods, oneTooMany } from './floods.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { Outflow } from './outflow.ts'
import { ConnectionError, ErrorCode, Frame } from './protocol.ts'
import type { ServerStream } from './server-stream.ts'
import { StreamTable } from './stream-table.ts'

/** Streams that we ended early and of which more may be on its way. */
const cutMost = 1024
/** Streams that ended lately, whose numbers are told from those that never were. */
const endedMost = 64

/** See above. */
export class Streams {
  readonly open = new StreamTable<ServerStream>()
  /** The highest number that the client has used. */
  last = 0
  /** Told when no stream is open any more. */
  onNone: (() => void) | undefined
  readonly #writer: FrameWriter
  readonly #floods: Floods
  readonly #outflow: Outflow<ServerStream>
  /** What a client may still send of streams that we ended, by their numbers. */
  readonly #cut = new Map<number, number>()
  readonly #ended = new Int32Array(endedMost)
  #endedAt = 0

  constructor(writer: FrameWriter, floods: Floods, outflow: Outflow<ServerStream>) {
    this.#writer = writer
    this.#floods = floods
    this.#outflow = outflow
  }

  /** Whether `id` has ended lately. */
  hasEnded(id: number): boolean {
    return this.#ended.includes(id)
  }

  /** Whether we ended `id` and its client may not know it yet. `isLast`: now it does. */
  isCut(id: number, isLast: boolean): boolean {
    return isLast ? this.#cut.delete(id) : this.#cut.has(id)
  }

  /** DATA of `bytes` came for a stream that is not open; it is thrown away. */
  stray(id: number, bytes: number): void {
    const left = this.#cut.get(id)
    if (left === undefined) {
      if (id > this.last) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'DATA on a stream that was never opened')
      return this.refuse(id, ErrorCode.STREAM_CLOSED, true)
    }
    if (bytes > left)
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'more than a window of a stream that ended')
    this.#cut.set(id, left - bytes)
  }

  /** Of stream `id`, which is not open, nothing is wanted; `window` bytes may still come of it unless it is whole. */
  ignore(id: number, window: number): void {
    this.#cut.set(id, window)
    if (this.#cut.size <= cutMost) return
    const [oldest] = this.#cut.keys()
    this.#cut.delete(oldest)
  }

  /** Ends a stream that is not open, for what its client did. */
  refuse(id: number, code: number, isWhole: boolean, window = 0): void {
    this.#writer.number(Frame.RST_STREAM, id, code)
    if (!isWhole) this.ignore(id, window)
    this.#floods.vain(code === ErrorCode.REFUSED_STREAM ? oneTooMany : 1)
  }

  /** Ends an open stream. */
  reset(stream: ServerStream, code: number): void {
    if (stream.isClosed) return
    this.#writer.number(Frame.RST_STREAM, stream.id, code)
    if (!stream.isWhole) this.ignore(stream.id, stream.window)
    this.#close(stream)
  }

  /** Ends an open stream for what its client did. */
  punish(stream: ServerStream, code: number): void {
    this.reset(stream, code)
    this.#floods.vain()
  }

  /** The client has ended a stream. */
  gaveUp(stream: ServerStream): void {
    this.#close(stream)
    this.#floods.vain()
  }

  /** All of the answer is written: what is still to come of the request is not wanted. */
  answered(stream: ServerStream): void {
    stream.isAnswered = true
    this.#floods.answered()
    if (stream.isWhole) this.#close(stream)
    else this.reset(stream, ErrorCode.NO_ERROR)
  }

  /** The connection is gone, and with it all that is open. */
  closeAll(): void {
    this.onNone = undefined
    for (const stream of this.open.values()) this.#close(stream)
  }

  #close(stream: ServerStream): void {
    if (stream.isClosed) return
    stream.isClosed = true
    this.open.delete(stream.id)
    this.#outflow.forget(stream)
    this.#ended[this.#endedAt] = stream.id
    this.#endedAt = (this.#endedAt + 1) % endedMost
    stream.closed()
    if (this.open.size === 0) this.onNone?.()
  }
}
