/**
 * What frames mean to either side of a connection (RFC 9113, 5 and 6), and which are errors, of a stream or of all. What
 * the DATA and the headers of a stream are about differs: that is the side's.
 */
import type { Floods } from './floods.ts'
import type { DataSink, FrameSink } from './frame-reader.ts'
import { checkShape } from './frame-shapes.ts'
import type { FrameWriter } from './frame-writer.ts'
import type { HeaderBlock } from './header-block.ts'
import type { OutStream, Outflow } from './outflow.ts'
import type { Pings } from './pings.ts'
import { broken, ConnectionError, ErrorCode, Flag, Frame, mostWindow, wrongSize } from './protocol.ts'
import { type PeerSettings, readSettings } from './settings.ts'
import type { StreamTable } from './stream-table.ts'

/** What differs between a client and a server. */
export interface FrameSide<Stream extends OutStream> extends DataSink {
  readonly open: StreamTable<Stream>
  /** The highest stream that was opened. */
  readonly last: number
  /** Whole headers came. `isAbsurd`: the stream says that it depends on itself. */
  headers(id: number, flags: number, isAbsurd: boolean, bytes: Buffer, from: number, to: number): void
  /** A frame of DATA with `length` bytes of payload begins. */
  dataBegins(id: number, length: number): void
  /** Ends a stream for what the other side did. */
  punish(stream: Stream, code: number): void
  /** The other side has ended a stream, which may have been over. */
  reset(id: number, stream: Stream | undefined, code: number): void
}

/** Told of what is about the whole connection. */
export interface FramesOwner {
  /** The other side says what it allows. */
  allowed(settings: PeerSettings): void
  /** It asks whether we are there, and is answered. */
  pinged(): void
  /** It looks at no stream beyond `last`, for a reason. */
  leaves(last: number, code: number, text: Buffer): void
}

/** The stream `id`, if it is open still. One that never was breaks the rules. */
export function streamOf<Stream extends OutStream>(side: FrameSide<Stream>, id: number): Stream | undefined {
  const stream = side.open.get(id)
  if (stream === undefined && (id > side.last || (id & 1) === 0)) throw broken('a stream that was never opened')
  return stream
}

/** The parts of a connection that its frames need. */
export interface FrameParts<Stream extends OutStream> {
  readonly writer: FrameWriter
  readonly floods: Floods
  readonly outflow: Outflow<Stream>
  readonly block: HeaderBlock
  readonly pings: Pings
}

/** The frames of one connection. */
export class Frames<Stream extends OutStream> implements FrameSink {
  /** Whether the other side has said what it allows, which it has to do first. */
  isGreeted = false
  readonly #owner: FramesOwner
  readonly #side: FrameSide<Stream>
  readonly #writer: FrameWriter
  readonly #floods: Floods
  readonly #outflow: Outflow<Stream>
  /** Headers of which more is to come. */
  readonly #block: HeaderBlock
  readonly #pings: Pings
  /** What the connection may bring before it hears that there is room, and what of that is left. */
  readonly #most: number
  #window: number
  readonly #isFed: boolean

  /** `isFed`: much is sent to the other side, so that it often says that there is room for more. */
  constructor(owner: FramesOwner, side: FrameSide<Stream>, window: number, parts: FrameParts<Stream>, isFed = false) {
    this.#owner = owner
    this.#side = side
    this.#writer = parts.writer
    this.#floods = parts.floods
    this.#outflow = parts.outflow
    this.#block = parts.block
    this.#pings = parts.pings
    this.#most = window
    this.#window = window
    this.#isFed = isFed
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
    if (type === Frame.DATA) {
      this.#took(length)
      this.#side.dataBegins(stream, length)
    } else if (type !== Frame.HEADERS && !(this.#isFed && type === Frame.WINDOW_UPDATE)) this.#floods.idle(length)
    return isKnown
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
        return this.#side.reset(stream, streamOf(this.#side, stream), bytes.readUInt32BE(from))
      case Frame.SETTINGS:
        return this.#settings(flags, bytes, from, to)
      case Frame.PING:
        return this.#ping(flags, bytes, from, to)
      case Frame.GOAWAY: {
        if (to - from < 8) throw wrongSize('a GOAWAY that is too short')
        const last = bytes.readUInt32BE(from) & mostWindow
        return this.#owner.leaves(last, bytes.readUInt32BE(from + 4), bytes.subarray(from + 8, to))
      }
      case Frame.WINDOW_UPDATE:
        return this.#windowUpdate(stream, bytes.readUInt32BE(from) & mostWindow)
    }
  }

  /** What comes is taken at once, so there is room as soon as it is here, and no frame finds none. */
  #took(length: number): void {
    this.#window -= length
    if (this.#window >= this.#most / 2) return
    this.#writer.number(Frame.WINDOW_UPDATE, 0, this.#most - this.#window)
    this.#window = this.#most
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
    if ((flags & Flag.END_HEADERS) !== 0) return this.#side.headers(id, flags, isAbsurd, bytes, from, to)
    this.#block.open(id, flags, isAbsurd)
    this.#block.add(bytes, from, to)
  }

  #continuation(flags: number, bytes: Buffer, from: number, to: number): void {
    const block = this.#block
    block.add(bytes, from, to)
    if ((flags & Flag.END_HEADERS) === 0) return
    const whole = block.close()
    this.#side.headers(block.stream, block.flags, block.isAbsurd, whole, 0, whole.length)
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
    const stream = this.#side.open.get(id)
    // A stream that is not open cannot be ended for it.
    if (stream === undefined) throw new ConnectionError(code, 'a priority that makes no sense')
    this.#side.punish(stream, code)
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
      if (!this.#outflow.resize(window, this.#side.open.values())) throw tooWide('windows that are too large')
      this.#outflow.pumpSoon()
    }
    this.isGreeted = true
    this.#floods.settings()
    this.#owe(Frame.SETTINGS, nothing)
    this.#owner.allowed(settings)
  }

  #ping(flags: number, bytes: Buffer, from: number, to: number): void {
    if ((flags & Flag.ACK) !== 0) return this.#pings.answered()
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
      if (!this.#outflow.widen(size)) throw tooWide('a window that is too large')
      return this.#outflow.pumpSoon()
    }
    const stream = streamOf(this.#side, id)
    if (stream === undefined) return
    if (size === 0) return this.#side.punish(stream, ErrorCode.PROTOCOL_ERROR)
    if (!this.#outflow.widenStream(stream, size)) return this.#side.punish(stream, ErrorCode.FLOW_CONTROL_ERROR)
    this.#outflow.pumpSoon()
  }
}

const nothing = Buffer.alloc(0)
const tooWide = (what: string): ConnectionError => new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, what)
