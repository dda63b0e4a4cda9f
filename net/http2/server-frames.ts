/** What each frame of a client means to its server (RFC 9113, 5 and 6), and which are errors, of a stream or of all. */
import type { Floods } from './floods.ts'
import type { FrameSink } from './frame-reader.ts'
import { checkShape } from './frame-shapes.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { HeaderBlock } from './header-block.ts'
import { HeadCache } from './head-cache.ts'
import type { Outflow } from './outflow.ts'
import { ConnectionError, ErrorCode, Flag, Frame, maxFrame, mostWindow } from './protocol.ts'
import { isTrailers, RequestHead } from './request-head.ts'
import type { ServerStream } from './server-stream.ts'
import type { SessionRules } from './session-rules.ts'
import { readSettings } from './settings.ts'
import type { Streams } from './streams.ts'

/** Told of what is not about one stream's bytes. */
export interface FramesOwner {
  /** Whether new streams are ignored. */
  readonly isLeaving: boolean
  /** Makes what a new stream is. */
  make(id: number, head: RequestHead): ServerStream
  /** The client said what it is. */
  greeted(): void
  /** It asks whether we are there, and is answered; or it has answered. */
  pinged(): void
  ponged(): void
  /** The client wants no more streams, or ends for a reason. */
  leaves(code: number): void
  /** Answers that wait may go on. */
  pump(): void
}

/** The frames of one connection. */
export class ServerFrames implements FrameSink {
  readonly #owner: FramesOwner
  readonly #rules: SessionRules
  readonly #writer: FrameWriter
  readonly #floods: Floods
  readonly #outflow: Outflow<ServerStream>
  readonly #streams: Streams
  readonly #heads: HeadCache
  /** Headers of which more is to come. */
  readonly #block: HeaderBlock
  #isGreeted = false
  /** What the connection may still bring before it hears that there is room. */
  #window: number
  /** Of the DATA that is being read: the stream it is for, if it is wanted, its bytes, and those that are no padding. */
  #target: ServerStream | undefined
  #length = 0
  #content = 0

  constructor(
    owner: FramesOwner,
    rules: SessionRules,
    parts: {
      writer: FrameWriter
      floods: Floods
      outflow: Outflow<ServerStream>
      streams: Streams
      block: HeaderBlock
    },
  ) {
    this.#owner = owner
    this.#rules = rules
    this.#writer = parts.writer
    this.#floods = parts.floods
    this.#outflow = parts.outflow
    this.#streams = parts.streams
    this.#block = parts.block
    this.#heads = new HeadCache(rules.headers)
    this.#window = rules.window
  }

  begins(type: number, flags: number, stream: number, length: number): boolean {
    if (length > maxFrame) throw wrongSize('a frame that is too large')
    if (!this.#isGreeted && (type !== Frame.SETTINGS || (flags & Flag.ACK) !== 0))
      throw broken('settings must come first')
    if (this.#block.isOpen !== (type === Frame.CONTINUATION) || (this.#block.isOpen && this.#block.stream !== stream)) {
      throw broken('headers are not continued, or what does not go on is')
    }
    if (type === Frame.DATA) {
      this.#dataBegins(stream, length)
      return true
    }
    if (type !== Frame.HEADERS) this.#floods.idle(length)
    if (type === Frame.PUSH_PROMISE) throw broken('clients promise nothing')
    return checkShape(type, stream, length)
  }

  frame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    switch (type) {
      case Frame.HEADERS:
        return this.#headers(flags, stream, bytes, from, to)
      case Frame.CONTINUATION:
        return this.#continuation(flags, bytes, from, to)
      case Frame.PRIORITY:
        return this.#priority(stream, bytes, from, to)
      case Frame.RST_STREAM:
        return this.#rstStream(stream)
      case Frame.SETTINGS:
        return this.#settings(flags, bytes, from, to)
      case Frame.PING:
        return this.#ping(flags, bytes, from, to)
      case Frame.GOAWAY:
        if (to - from < 8) throw wrongSize('a GOAWAY that is too short')
        return this.#owner.leaves(bytes.readUInt32BE(from + 4))
      case Frame.WINDOW_UPDATE:
        return this.#windowUpdate(stream, bytes.readUInt32BE(from) & mostWindow)
    }
  }

  #dataBegins(id: number, length: number): void {
    if (id === 0) throw broken('DATA on no stream')
    this.#window -= length
    // What comes is taken at once, so there is room as soon as it is here, and no frame finds none.
    const { window } = this.#rules
    if (this.#window < window / 2) {
      this.#writer.number(Frame.WINDOW_UPDATE, 0, window - this.#window)
      this.#window = window
    }
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

  #headers(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    let from = start
    let to = end
    if ((flags & Flag.PADDED) !== 0) {
      if (from === to) throw wrongSize('padding without its length')
      to -= bytes[from++]
    }
    let isAbsurd = false
    if ((flags & Flag.PRIORITY) !== 0) {
      if (from + 5 > end) throw wrongSize('a priority that is cut off')
      isAbsurd = (bytes.readUInt32BE(from) & mostWindow) === id
      from += 5
    }
    if (from > to) throw broken('more padding than headers')
    if ((id & 1) === 0) throw broken('streams of clients have odd numbers')
    if ((flags & Flag.END_HEADERS) !== 0) return this.#head(id, flags, isAbsurd, bytes, from, to)
    this.#block.open(id, flags, isAbsurd)
    this.#block.add(bytes, from, to)
  }

  #continuation(flags: number, bytes: Buffer, from: number, to: number): void {
    const block = this.#block
    block.add(bytes, from, to)
    if ((flags & Flag.END_HEADERS) === 0) return
    const whole = block.close()
    this.#head(block.stream, block.flags, block.isAbsurd, whole, 0, whole.length)
  }

  /** Whole headers came: all are read, since what comes later may refer to them. */
  #head(id: number, flags: number, isAbsurd: boolean, bytes: Buffer, from: number, to: number): void {
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

  /** Priorities are checked and have no effect. */
  #priority(id: number, bytes: Buffer, from: number, to: number): void {
    const code =
      to - from !== 5
        ? ErrorCode.FRAME_SIZE_ERROR
        : (bytes.readUInt32BE(from) & mostWindow) === id
          ? ErrorCode.PROTOCOL_ERROR
          : undefined
    if (code === undefined) return
    const stream = this.#streams.open.get(id)
    // A stream that is not open cannot be ended for it.
    if (stream === undefined) throw new ConnectionError(code, 'a priority that makes no sense')
    this.#streams.punish(stream, code)
  }

  #rstStream(id: number): void {
    if (id > this.#streams.last) throw broken('a stream that was never opened is ended')
    const stream = this.#streams.open.get(id)
    if (stream !== undefined) this.#streams.gaveUp(stream)
    else if (!this.#streams.isCut(id, true)) this.#floods.vain()
  }

  #settings(flags: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & Flag.ACK) !== 0) {
      if (from < to) throw wrongSize('settings in an acknowledgement')
      return
    }
    if ((to - from) % 6 !== 0) throw wrongSize('settings that are cut off')
    const { headerTable, window } = readSettings(bytes, from, to)
    if (headerTable !== undefined) this.#outflow.resizeTable(headerTable)
    if (window !== undefined) {
      if (!this.#outflow.resize(window, this.#streams.open.values())) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'windows that are too large')
      }
      this.#owner.pump()
    }
    this.#isGreeted = true
    this.#floods.settings()
    this.#owe(Frame.SETTINGS, nothing)
    this.#owner.greeted()
  }

  #ping(flags: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & Flag.ACK) !== 0) return this.#owner.ponged()
    this.#owe(Frame.PING, bytes.subarray(from, to))
    this.#owner.pinged()
  }

  /** Answers on the connection: who does not read them is not to make ever more. */
  #owe(type: number, payload: Buffer): void {
    if (this.#writer.blocked) this.#floods.owes()
    this.#writer.frame(type, Flag.ACK, 0, payload)
  }

  #windowUpdate(id: number, size: number): void {
    if (id === 0) {
      if (size === 0) throw broken('a window that grows by nothing')
      if (!this.#outflow.widen(size))
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'a window that is too large')
      return this.#owner.pump()
    }
    const stream = this.#streams.open.get(id)
    if (stream === undefined) {
      if (id > this.#streams.last) throw broken('a window of a stream that was never opened')
      return
    }
    if (size === 0) return this.#streams.punish(stream, ErrorCode.PROTOCOL_ERROR)
    if (!this.#outflow.widenStream(stream, size)) {
      return this.#streams.punish(stream, ErrorCode.FLOW_CONTROL_ERROR)
    }
    this.#owner.pump()
  }
}

const nothing = Buffer.alloc(0)
const broken = (what: string): ConnectionError => new ConnectionError(ErrorCode.PROTOCOL_ERROR, what)
const wrongSize = (what: string): ConnectionError => new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, what)
