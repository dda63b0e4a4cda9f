/** What the DATA and the headers of a server mean to its client. */
import type { ClientStream } from './client-stream.ts'
import type { Floods } from './floods.ts'
import { type FrameSide, streamOf } from './frames.ts'
import { type HeaderLimits, HpackReader } from './hpack.ts'
import { ErrorCode, Flag } from './protocol.ts'
import type { StreamTable } from './stream-table.ts'

/** What a client allows on a connection. */
export interface ClientRules {
  /** Bytes of one answer, and what all of a connection may bring before the server is told that there is room. */
  readonly answer: number
  readonly window: number
  readonly headers: HeaderLimits
}

/** Told of what is not about one stream's bytes. */
export interface ClientStreamsOwner {
  /** The highest stream that was opened. */
  readonly last: number
  readonly open: StreamTable<ClientStream>
  /** Ends a stream for what the server did. */
  punish(stream: ClientStream, code: number): void
  /** The server has ended a stream. */
  reset(stream: ClientStream, code: number): void
  /** All of the answer came. */
  whole(stream: ClientStream): void
}

/** The side of a client. */
export class ClientFrames implements FrameSide<ClientStream> {
  readonly open: StreamTable<ClientStream>
  readonly #owner: ClientStreamsOwner
  readonly #floods: Floods
  readonly #headers: HpackReader
  /** Of the DATA that is being read: the stream it is for, if it is wanted, its bytes, and those that are no padding. */
  #target: ClientStream | undefined
  #length = 0
  #content = 0

  constructor(owner: ClientStreamsOwner, rules: ClientRules, floods: Floods) {
    this.open = owner.open
    this.#owner = owner
    this.#floods = floods
    this.#headers = new HpackReader(rules.headers)
  }

  get last(): number {
    return this.#owner.last
  }

  dataBegins(id: number, length: number): void {
    this.#length = length
    this.#content = 0
    const stream = (this.#target = streamOf(this, id))
    if (stream === undefined) return
    stream.window -= length
    if (!stream.isAnswered) this.punish(stream, ErrorCode.PROTOCOL_ERROR)
    else if (stream.window < 0) this.punish(stream, ErrorCode.FLOW_CONTROL_ERROR)
    else if (stream.isWhole) this.punish(stream, ErrorCode.STREAM_CLOSED)
  }

  data(bytes: Buffer, from: number, to: number): void {
    const stream = this.#target
    // It may have been given up since the frame began.
    if (stream === undefined || stream.isClosed) return
    this.#content += to - from
    stream.received(bytes, from, to)
  }

  dataEnds(_id: number, isLast: boolean): void {
    this.#floods.data(this.#content, this.#length - this.#content)
    const stream = this.#target
    if (isLast && stream !== undefined && !stream.isClosed) this.#owner.whole(stream)
  }

  /** All headers are read, since what comes later may refer to them. */
  headers(id: number, flags: number, _isAbsurd: boolean, bytes: Buffer, from: number, to: number): void {
    const { raw, isTooLarge } = this.#headers.read(bytes, from, to)
    const isLast = (flags & Flag.END_STREAM) !== 0
    const stream = streamOf(this, id)
    if (stream === undefined) return this.#floods.idle(to - from)
    if (isTooLarge) return this.punish(stream, ErrorCode.ENHANCE_YOUR_CALM)
    if (stream.isWhole) return this.punish(stream, ErrorCode.STREAM_CLOSED)
    if (!stream.isAnswered) {
      // What a server says before its answer is nothing to a call.
      if (isInterim(raw)) {
        if (isLast) this.punish(stream, ErrorCode.PROTOCOL_ERROR)
        return this.#floods.idle(to - from)
      }
      stream.isAnswered = true
      stream.answered(raw, isLast)
    } else if (isLast) stream.trailed(raw)
    else return this.punish(stream, ErrorCode.PROTOCOL_ERROR)
    if (isLast && !stream.isClosed) this.#owner.whole(stream)
  }

  punish(stream: ClientStream, code: number): void {
    this.#owner.punish(stream, code)
  }

  reset(_id: number, stream: ClientStream | undefined, code: number): void {
    if (stream !== undefined) this.#owner.reset(stream, code)
  }
}

/** Whether headers only say that an answer is to come: a status below 200. */
const isInterim = (raw: readonly string[]): boolean => raw[0] === ':status' && raw.at(1)?.startsWith('1') === true
