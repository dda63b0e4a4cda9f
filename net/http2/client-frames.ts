/** What each frame of a server means to its client (RFC 9113, 5 and 6), and which are errors, of a stream or of all. */
import type { ClientStream } from './client-stream.ts'
import type { Floods } from './floods.ts'
import type { FrameSink } from './frame-reader.ts'
import type { FrameWriter } from './frame-writer.ts'
import { checkShape } from './frame-shapes.ts'
import { HeaderBlock } from './header-block.ts'
import { type HeaderLimits, HpackReader } from './hpack.ts'
import type { Outflow } from './outflow.ts'
import { ConnectionError, ErrorCode, Flag, Frame, mostWindow } from './protocol.ts'
import { type PeerSettings, readSettings } from './settings.ts'
import type { StreamTable } from './stream-table.ts'

/** What a client allows on a connection. */
export interface ClientRules {
  /** Bytes of one answer, and what all of a connection may bring before the server is told that there is room. */
  readonly answer: number
  readonly window: number
  readonly headers: HeaderLimits
}

/** Told of what is not about one stream's bytes. */
export interface ClientFramesOwner {
  /** The highest stream that was opened. */
  readonly last: number
  readonly open: StreamTable<ClientStream>
  /** The server said what it allows. */
  allowed(settings: PeerSettings): void
  ponged(): void
  /** The server looks at no stream beyond `last`, for a reason. */
  leaves(last: number, code: number, bytes: Buffer): void
  /** Ends a stream for what the server did. */
  punish(stream: ClientStream, code: number): void
  /** The server has ended a stream. */
  reset(stream: ClientStream, code: number): void
  /** All of the answer came. */
  whole(stream: ClientStream): void
  /** Requests that wait may go on. */
  pump(): void
}

/** The frames of one connection. */
export class ClientFrames implements FrameSink {
  /** Whether the server has said that it speaks HTTP/2. */
  isGreeted = false
  readonly #owner: ClientFramesOwner
  readonly #rules: ClientRules
  readonly #writer: FrameWriter
  readonly #floods: Floods
  readonly #outflow: Outflow<ClientStream>
  readonly #headers: HpackReader
  /** Headers of which more is to come. */
  readonly #block: HeaderBlock
  /** What the connection may still bring before it hears that there is room. */
  #window: number
  /** Of the DATA that is being read: the stream it is for, if it is wanted, its bytes, and those that are no padding. */
  #target: ClientStream | undefined
  #length = 0
  #content = 0

  constructor(
    owner: ClientFramesOwner,
    rules: ClientRules,
    parts: { writer: FrameWriter; floods: Floods; outflow: Outflow<ClientStream> },
  ) {
    this.#owner = owner
    this.#rules = rules
    this.#writer = parts.writer
    this.#floods = parts.floods
    this.#outflow = parts.outflow
    this.#headers = new HpackReader(rules.headers)
    this.#block = new HeaderBlock(undefined, rules.headers.bytes)
    this.#window = rules.window
  }

  begins(type: number, flags: number, stream: number, length: number): boolean {
    if (!this.isGreeted && (type !== Frame.SETTINGS || (flags & Flag.ACK) !== 0))
      throw broken('settings must come first')
    const block = this.#block
    if (block.isOpen !== (type === Frame.CONTINUATION) || (block.isOpen && block.stream !== stream)) {
      throw broken('headers are not continued, or what does not go on is')
    }
    if (type === Frame.PUSH_PROMISE) throw broken('nothing was to be promised')
    const isKnown = checkShape(type, stream, length)
    if (type === Frame.DATA) this.#dataBegins(stream, length)
    else if (type !== Frame.HEADERS && type !== Frame.WINDOW_UPDATE) this.#floods.idle(length)
    return isKnown
  }

  frame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void {
    switch (type) {
      case Frame.HEADERS:
        return this.#head(flags, stream, bytes, from, to)
      case Frame.CONTINUATION:
        return this.#continuation(flags, bytes, from, to)
      case Frame.RST_STREAM: {
        const target = this.#known(stream)
        if (target !== undefined) this.#owner.reset(target, bytes.readUInt32BE(from))
        return
      }
      case Frame.SETTINGS:
        return this.#settings(flags, bytes, from, to)
      case Frame.PING:
        if ((flags & Flag.ACK) !== 0) return this.#owner.ponged()
        return this.#owe(Frame.PING, bytes.subarray(from, to))
      case Frame.GOAWAY:
        if (to - from < 8) throw wrongSize('a GOAWAY that is too short')
        return this.#owner.leaves(
          bytes.readUInt32BE(from) & mostWindow,
          bytes.readUInt32BE(from + 4),
          bytes.subarray(from + 8, to),
        )
      case Frame.WINDOW_UPDATE:
        return this.#windowUpdate(stream, bytes.readUInt32BE(from) & mostWindow)
    }
  }

  #dataBegins(id: number, length: number): void {
    this.#window -= length
    // What comes is taken at once, so there is room as soon as it is here.
    const { window } = this.#rules
    if (this.#window < window / 2) {
      this.#writer.number(Frame.WINDOW_UPDATE, 0, window - this.#window)
      this.#window = window
    }
    this.#length = length
    this.#content = 0
    const stream = (this.#target = this.#known(id))
    if (stream === undefined) return
    stream.window -= length
    if (!stream.isAnswered) this.#owner.punish(stream, ErrorCode.PROTOCOL_ERROR)
    else if (stream.window < 0) this.#owner.punish(stream, ErrorCode.FLOW_CONTROL_ERROR)
    else if (stream.isWhole) this.#owner.punish(stream, ErrorCode.STREAM_CLOSED)
    if (stream.isClosed) this.#target = undefined
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

  #head(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    let from = start
    let to = end
    if ((flags & Flag.PADDED) !== 0) {
      if (from === to) throw wrongSize('padding without its length')
      to -= bytes[from++]
    }
    if ((flags & Flag.PRIORITY) !== 0) from += 5
    if (from > to) throw broken('more padding than headers')
    if ((flags & Flag.END_HEADERS) !== 0) return this.#answer(id, flags, bytes, from, to)
    this.#block.open(id, flags, false)
    this.#block.add(bytes, from, to)
  }

  #continuation(flags: number, bytes: Buffer, from: number, to: number): void {
    const block = this.#block
    block.add(bytes, from, to)
    if ((flags & Flag.END_HEADERS) === 0) return
    const whole = block.close()
    this.#answer(block.stream, block.flags, whole, 0, whole.length)
  }

  /** Whole headers came: all are read, since what comes later may refer to them. */
  #answer(id: number, flags: number, bytes: Buffer, from: number, to: number): void {
    const { raw, isTooLarge } = this.#headers.read(bytes, from, to)
    const isLast = (flags & Flag.END_STREAM) !== 0
    const stream = this.#known(id)
    if (stream === undefined) return this.#floods.idle(to - from)
    if (isTooLarge) return this.#owner.punish(stream, ErrorCode.ENHANCE_YOUR_CALM)
    if (stream.isWhole) return this.#owner.punish(stream, ErrorCode.STREAM_CLOSED)
    if (!stream.isAnswered) {
      // What a server says before its answer is nothing to a call.
      if (isInterim(raw)) {
        if (isLast) this.#owner.punish(stream, ErrorCode.PROTOCOL_ERROR)
        return this.#floods.idle(to - from)
      }
      stream.isAnswered = true
      stream.answered(raw, isLast)
    } else if (isLast) stream.trailed(raw)
    else return this.#owner.punish(stream, ErrorCode.PROTOCOL_ERROR)
    if (isLast && !stream.isClosed) this.#owner.whole(stream)
  }

  /** The stream `id`, if it is open still. One that never was breaks the rules. */
  #known(id: number): ClientStream | undefined {
    const stream = this.#owner.open.get(id)
    if (stream === undefined && (id > this.#owner.last || (id & 1) === 0))
      throw broken('a stream that was never opened')
    return stream
  }

  #settings(flags: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & Flag.ACK) !== 0) {
      if (from < to) throw wrongSize('settings in an acknowledgement')
      return
    }
    if ((to - from) % 6 !== 0) throw wrongSize('settings that are cut off')
    const settings = readSettings(bytes, from, to)
    const { headerTable, window } = settings
    if (headerTable !== undefined) this.#outflow.resizeTable(headerTable)
    if (window !== undefined) {
      if (!this.#outflow.resize(window, this.#owner.open.values())) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'windows that are too large')
      }
      this.#owner.pump()
    }
    this.isGreeted = true
    this.#floods.settings()
    this.#owe(Frame.SETTINGS, nothing)
    this.#owner.allowed(settings)
  }

  /** Answers on the connection: who does not read them is not to make ever more. */
  #owe(type: number, payload: Buffer): void {
    if (this.#writer.blocked) this.#floods.owes()
    this.#writer.frame(type, Flag.ACK, 0, payload)
  }

  #windowUpdate(id: number, size: number): void {
    if (id === 0) {
      if (size === 0) throw broken('a window that grows by nothing')
      if (!this.#outflow.widen(size)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'a window that is too large')
      }
      return this.#owner.pump()
    }
    const stream = this.#known(id)
    if (stream === undefined) return
    if (size === 0) return this.#owner.punish(stream, ErrorCode.PROTOCOL_ERROR)
    if (!this.#outflow.widenStream(stream, size)) return this.#owner.punish(stream, ErrorCode.FLOW_CONTROL_ERROR)
    this.#owner.pump()
  }
}

/** Whether headers only say that an answer is to come: a status below 200. */
const isInterim = (raw: readonly string[]): boolean => raw[0] === ':status' && raw.at(1)?.startsWith('1') === true

const nothing = Buffer.alloc(0)
const broken = (what: string): ConnectionError => new ConnectionError(ErrorCode.PROTOCOL_ERROR, what)
const wrongSize = (what: string): ConnectionError => new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, what)
