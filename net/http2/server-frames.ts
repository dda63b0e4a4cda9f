/** What the DATA and the headers of a client mean to its server. */
import type { Floods } from './floods.ts'
import type { FrameSide } from './frames.ts'
import type { FrameWriter } from './frame-writer.ts'
import { HeadCache } from './head-cache.ts'
import { broken, ConnectionError, ErrorCode, Flag, Frame } from './protocol.ts'
import { isTrailers, RequestHead } from './request-head.ts'
import type { ServerStream } from './server-stream.ts'
import type { SessionRules } from './session-rules.ts'
import type { StreamTable } from './stream-table.ts'
import type { Streams } from './streams.ts'

const noHead = 'the headers of a call break the rules of HTTP/2'
const tooLarge = 'the headers of a call are more than `MAX_HEADER_LIST_SIZE` allows'

/** Whose streams they are. */
export interface ServerStreamsOwner {
  /** Whether new streams are ignored. */
  readonly isLeaving: boolean
  /** Makes what a new stream is. */
  make(id: number, head: RequestHead): ServerStream
  /** What comes is no call: why. */
  strange(fault: string): void
}

/** The side of a server. */
export class ServerFrames implements FrameSide<ServerStream> {
  readonly open: StreamTable<ServerStream>
  readonly #owner: ServerStreamsOwner
  readonly #rules: SessionRules
  readonly #writer: FrameWriter
  readonly #floods: Floods
  readonly #streams: Streams
  readonly #heads: HeadCache
  /** Of the DATA that is being read: the stream it is for, if it is wanted, its bytes, and those that are no padding. */
  #target: ServerStream | undefined
  #length = 0
  #content = 0

  constructor(
    owner: ServerStreamsOwner,
    rules: SessionRules,
    parts: { writer: FrameWriter; floods: Floods; streams: Streams },
  ) {
    this.open = parts.streams.open
    this.#owner = owner
    this.#rules = rules
    this.#writer = parts.writer
    this.#floods = parts.floods
    this.#streams = parts.streams
    this.#heads = new HeadCache(rules.headers)
  }

  get last(): number {
    return this.#streams.last
  }

  dataBegins(id: number, length: number): void {
    this.#target = undefined
    const stream = this.#streams.open.get(id)
    this.#content = 0
    this.#length = length
    if (stream === undefined) return this.#streams.stray(id, length)
    if (stream.isWhole) return this.#streams.punish(stream, ErrorCode.STREAM_CLOSED)
    stream.window -= length
    if (stream.window < 0) return this.#streams.punish(stream, ErrorCode.FLOW_CONTROL_ERROR)
    this.#target = stream
  }

  data(bytes: Buffer, from: number, to: number): void {
    const stream = this.#target
    // It may have been ended since the frame began.
    if (stream === undefined || stream.isClosed) return
    this.#content += to - from
    stream.arrived += to - from
    const { length } = stream.head
    if (length >= 0 && stream.arrived > length) this.#streams.punish(stream, ErrorCode.PROTOCOL_ERROR)
    else stream.received(bytes, from, to)
  }

  dataEnds(id: number, isLast: boolean): void {
    const stream = this.#target
    // What is thrown away has its limit in what a stream may bring.
    if (stream === undefined || stream.isClosed) {
      if (isLast) this.#streams.isCut(id, true)
      return this.#floods.data(this.#length, 0)
    }
    this.#floods.data(this.#content, this.#length - this.#content)
    if (isLast) return this.#ends(stream)
    const { streamWindow } = this.#rules
    if (stream.window >= streamWindow / 2) return
    this.#writer.number(Frame.WINDOW_UPDATE, id, streamWindow - stream.window)
    stream.window = streamWindow
  }

  /** All of a request came. */
  #ends(stream: ServerStream): void {
    const { length } = stream.head
    stream.isWhole = true
    if (length >= 0 && stream.arrived !== length) this.#streams.punish(stream, ErrorCode.PROTOCOL_ERROR)
    else stream.completed()
  }

  /** All headers are read, since what comes later may refer to them. */
  headers(id: number, flags: number, isAbsurd: boolean, bytes: Buffer, from: number, to: number): void {
    const streams = this.#streams
    const isLast = (flags & Flag.END_STREAM) !== 0
    if (id <= streams.last) return this.#trailers(id, isLast, this.#heads.headers(bytes, from, to))
    const head = this.#heads.head(bytes, from, to)
    const { streamWindow } = this.#rules
    streams.last = id
    if (this.#owner.isLeaving) {
      if (!isLast) streams.ignore(id, streamWindow)
      return this.#floods.idle(to - from)
    }
    const isFull = streams.open.size >= this.#rules.streams
    if (isFull || !(head instanceof RequestHead) || isAbsurd) {
      const code =
        head === 'too large'
          ? ErrorCode.ENHANCE_YOUR_CALM
          : head === 'malformed' || isAbsurd
            ? ErrorCode.PROTOCOL_ERROR
            : ErrorCode.REFUSED_STREAM
      if (code !== ErrorCode.REFUSED_STREAM) this.#owner.strange(head === 'too large' ? tooLarge : noHead)
      return streams.refuse(id, code, isLast, streamWindow)
    }
    this.#floods.began()
    const stream = this.#owner.make(id, head)
    streams.open.add(stream)
    stream.isWhole = isLast
    stream.opened()
    if (isLast && !stream.isClosed) this.#ends(stream)
  }

  #trailers(id: number, isLast: boolean, raw: readonly string[] | undefined): void {
    const streams = this.#streams
    const stream = streams.open.get(id)
    if (stream === undefined) {
      if (streams.isCut(id, isLast)) return this.#floods.idle(0)
      if (streams.hasEnded(id)) throw new ConnectionError(ErrorCode.STREAM_CLOSED, 'headers on a stream that has ended')
      throw broken('streams must have growing numbers')
    }
    if (stream.isWhole) return streams.punish(stream, ErrorCode.STREAM_CLOSED)
    if (raw === undefined || !isLast || !isTrailers(raw)) return streams.punish(stream, ErrorCode.PROTOCOL_ERROR)
    this.#ends(stream)
  }

  punish(stream: ServerStream, code: number): void {
    this.#streams.punish(stream, code)
  }

  reset(id: number, stream: ServerStream | undefined): void {
    if (stream !== undefined) this.#streams.gaveUp(stream)
    else if (!this.#streams.isCut(id, true)) this.#floods.vain()
  }
}
