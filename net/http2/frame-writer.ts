/** What goes out on a connection: gathered, and written once a turn. */
import type { Duplex } from 'node:stream'
import { Flag, Frame, frameHead } from './protocol.ts'

/** Room that is made at first, and what is kept while nothing is to be written. */
const firstRoom = 1024
/** Most that is gathered before it is written. */
const mostRoom = 16_384
/** Bodies up to this are copied to what goes with them; larger ones are written as they are. */
const copied = 2048

/** Milliseconds in which the other side may read what was said last. */
const lastWords = 1000

/** Writes frames to a socket. */
export class FrameWriter {
  /** Whether the socket takes no more for now: what can wait should. */
  blocked = false
  readonly #socket: Duplex
  #room = Buffer.allocUnsafeSlow(firstRoom)
  #used = 0
  #isDue = false

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** Bytes that the socket has not taken yet. */
  get waiting(): number {
    return this.#used + this.#socket.writableLength
  }

  /** Writes a frame. */
  frame(type: number, flags: number, stream: number, payload: Buffer): void {
    const { length } = payload
    if (length > copied) {
      this.#head(type, flags, stream, length)
      this.#through(payload)
      return
    }
    const at = this.#reserve(frameHead + length)
    this.#writeHead(at, type, flags, stream, length)
    this.#room.set(payload, at + frameHead)
  }

  /** Writes a frame of one number. */
  number(type: number, stream: number, value: number): void {
    const at = this.#reserve(frameHead + 4)
    this.#writeHead(at, type, 0, stream, 4)
    this.#room.writeUInt32BE(value, at + frameHead)
  }

  /** Says that streams beyond `last` are not looked at, and why. */
  goaway(last: number, code: number, text = ''): void {
    const payload = Buffer.alloc(8 + text.length)
    payload.writeUInt32BE(last, 0)
    payload.writeUInt32BE(code, 4)
    payload.write(text, 8, 'latin1')
    this.frame(Frame.GOAWAY, 0, 0, payload)
  }

  /** Writes frames that are made, with the number of their stream at each of `places`. */
  made(frames: Buffer, places: readonly number[], stream: number): void {
    const at = this.#reserve(frames.length)
    this.#room.set(frames, at)
    for (const place of places) this.#room.writeUInt32BE(stream, at + place)
  }

  /** Writes the headers of `block`, in as many frames as it takes. */
  headers(stream: number, block: Buffer, isLast: boolean, most: number): void {
    const flags = isLast ? Flag.END_STREAM : 0
    if (block.length <= most) return this.frame(Frame.HEADERS, flags | Flag.END_HEADERS, stream, block)
    this.frame(Frame.HEADERS, flags, stream, block.subarray(0, most))
    for (let at = most; at < block.length; at += most) {
      const ends = at + most >= block.length ? Flag.END_HEADERS : 0
      this.frame(Frame.CONTINUATION, ends, stream, block.subarray(at, at + most))
    }
  }

  /** What is written until `end` goes out together. */
  begin(): void {
    this.#socket.cork()
  }

  end(): void {
    this.#socket.uncork()
  }

  /** Writes what is gathered. */
  flush(): void {
    this.#isDue = false
    if (this.#used === 0) return
    const socket = this.#socket
    const bytes = this.#room.subarray(0, this.#used)
    this.#used = 0
    if (!socket.writable) return
    if (!socket.write(bytes)) this.blocked = true
    // What the system took at once is nobody's any more; what it did not is kept by the socket, and must not change.
    if (socket.writableLength > 0 || this.#room.length > mostRoom) this.#room = Buffer.allocUnsafeSlow(firstRoom)
  }

  /** Ends the socket, and waits a moment for the other side to hear what was said last. */
  close(): void {
    this.flush()
    const socket = this.#socket
    if (socket.destroyed) return
    socket.end()
    setTimeout(() => socket.destroy(), lastWords).unref()
  }

  /** The socket takes more again. */
  drained(): void {
    this.blocked = false
  }

  #head(type: number, flags: number, stream: number, length: number): void {
    this.#writeHead(this.#reserve(frameHead), type, flags, stream, length)
  }

  #writeHead(at: number, type: number, flags: number, stream: number, length: number): void {
    const room = this.#room
    room[at] = length >> 16
    room[at + 1] = length >> 8
    room[at + 2] = length
    room[at + 3] = type
    room[at + 4] = flags
    room.writeUInt32BE(stream, at + 5)
  }

  /** Writes what is gathered, and `bytes` behind it. */
  #through(bytes: Buffer): void {
    const socket = this.#socket
    socket.cork()
    this.flush()
    if (socket.writable && !socket.write(bytes)) this.blocked = true
    socket.uncork()
  }

  /** Makes room for `size` bytes more, and says where. */
  #reserve(size: number): number {
    if (this.#used + size > mostRoom) this.flush()
    const at = this.#used
    this.#used += size
    if (this.#used > this.#room.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#used, this.#room.length * 4))
      this.#room.copy(grown, 0, 0, at)
      this.#room = grown
    }
    if (!this.#isDue) {
      this.#isDue = true
      setImmediate(this.#onDue)
    }
    return at
  }

  readonly #onDue = (): void => this.flush()
}
