/** From what a socket brings to frames, wherever it is cut. Payloads of DATA pass as they come; others are handed on whole. */
import { tlsAtPlainPort, tlsRecord } from '../tls-record.ts'
import { ConnectionError, ErrorCode, Flag, Frame, frameHead, preface } from './protocol.ts'

const noHttp2 = 'this is no HTTP/2, on which gRPC stands: is the sender set to gRPC, and this port?'

/** Who is told of frames. All of it may throw a `ConnectionError`, which ends the reading. */
export interface FrameSink {
  /** A frame begins. Returns false where its payload is of no interest. */
  begins(type: number, flags: number, stream: number, length: number): boolean
  /** The payload of a frame that is no DATA, at `from` to `to`. */
  frame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): void
}

/** Who is told of DATA, likewise. */
export interface DataSink {
  /** A part of the payload of DATA that is no padding. */
  data(bytes: Buffer, from: number, to: number): void
  /** The DATA that began is over. */
  dataEnds(stream: number, isLast: boolean): void
}

/** Reads one connection. */
export class FrameReader {
  readonly #sink: FrameSink
  readonly #data: DataSink
  #prefaced = 0
  /** The head of a frame, and the payload of one, as far as they came in pieces. */
  readonly #head = Buffer.alloc(frameHead)
  #headed = 0
  #partial: Buffer | undefined
  #filled = 0
  /** The frame that is being read. */
  #type = 0
  #flags = 0
  #stream = 0
  /** Bytes of its payload that are still to come, where they pass as they come; of those, how many are padding. */
  #left = 0
  #padding = 0
  #isPaddingKnown = true
  #isPassing = false

  /** `isGreeted`: frames come at once, as they do from a server. */
  constructor(sink: FrameSink, data: DataSink, isGreeted = false) {
    this.#sink = sink
    this.#data = data
    if (isGreeted) this.#prefaced = preface.length
  }

  /** Whether the client has said that it speaks HTTP/2. */
  get isGreeted(): boolean {
    return this.#prefaced === preface.length
  }

  /** Whether a frame has begun and is not over. */
  get isAmidst(): boolean {
    return this.#isPassing || this.#partial !== undefined || this.#headed > 0
  }

  /** Reads on in `bytes` at `at`: a frame, or a part of one. Returns where to go on. */
  next(bytes: Buffer, at: number): number {
    if (this.#isPassing) return this.#pass(bytes, at)
    if (this.#partial !== undefined) return this.#fill(this.#partial, bytes, at)
    if (this.#prefaced < preface.length) return this.#greet(bytes, at)
    if (this.#headed === 0 && bytes.length - at >= frameHead) return this.#begin(bytes, at, bytes, at + frameHead)
    const end = Math.min(bytes.length, at + frameHead - this.#headed)
    bytes.copy(this.#head, this.#headed, at, end)
    this.#headed += end - at
    if (this.#headed < frameHead) return end
    this.#headed = 0
    return this.#begin(this.#head, 0, bytes, end)
  }

  /** What comes first says that this is HTTP/2. */
  #greet(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + preface.length - this.#prefaced)
    if (bytes.compare(preface, this.#prefaced, this.#prefaced + end - at, at, end) !== 0) {
      const isTls = this.#prefaced === 0 && bytes[at] === tlsRecord
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, isTls ? tlsAtPlainPort : noHttp2)
    }
    this.#prefaced += end - at
    return end
  }

  #begin(head: Buffer, from: number, bytes: Buffer, at: number): number {
    const length = (head[from] << 16) | (head[from + 1] << 8) | head[from + 2]
    const type = (this.#type = head[from + 3])
    const flags = (this.#flags = head[from + 4])
    const stream = (this.#stream = head.readUInt32BE(from + 5) & 0x7fffffff)
    const isWanted = this.#sink.begins(type, flags, stream, length)
    if (type === Frame.DATA || !isWanted) {
      this.#left = length
      this.#padding = 0
      this.#isPaddingKnown = type !== Frame.DATA || (flags & Flag.PADDED) === 0
      if (!this.#isPaddingKnown && length === 0) {
        throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'padding without its length')
      }
      this.#isPassing = true
      return this.#pass(bytes, at)
    }
    const end = at + length
    if (end > bytes.length) {
      this.#partial = Buffer.allocUnsafeSlow(length)
      this.#filled = 0
      return this.#fill(this.#partial, bytes, at)
    }
    this.#sink.frame(type, flags, stream, bytes, at, end)
    return end
  }

  #fill(partial: Buffer, bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + partial.length - this.#filled)
    bytes.copy(partial, this.#filled, at, end)
    this.#filled += end - at
    if (this.#filled === partial.length) {
      this.#partial = undefined
      this.#sink.frame(this.#type, this.#flags, this.#stream, partial, 0, partial.length)
    }
    return end
  }

  #pass(bytes: Buffer, at: number): number {
    let from = at
    if (!this.#isPaddingKnown && from < bytes.length) {
      this.#isPaddingKnown = true
      this.#padding = bytes[from++]
      this.#left--
      if (this.#padding > this.#left) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'more padding than payload')
    }
    const content = Math.min(this.#left - this.#padding, bytes.length - from)
    if (content > 0) {
      this.#left -= content
      if (this.#type === Frame.DATA) this.#data.data(bytes, from, from + content)
      from += content
    }
    const padding = Math.min(this.#left, bytes.length - from)
    this.#left -= padding
    this.#padding = Math.min(this.#padding, this.#left)
    if (this.#left === 0 && this.#isPaddingKnown) {
      this.#isPassing = false
      if (this.#type === Frame.DATA) this.#data.dataEnds(this.#stream, (this.#flags & Flag.END_STREAM) !== 0)
    }
    return from + padding
  }
}
