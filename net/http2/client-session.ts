/** One HTTP/2 connection as its client has it (RFC 9113). */
import type { Duplex } from 'node:stream'
import { messageOf } from '../../core/errors.ts'
import { freeRead } from '../../core/pool.ts'
import { ClientFrames, type ClientFramesOwner, type ClientRules } from './client-frames.ts'
import type { ClientStream } from './client-stream.ts'
import { Floods } from './floods.ts'
import { FrameReader } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import type { StreamMessage } from './message.ts'
import { Outflow } from './outflow.ts'
import { ConnectionError, defaultWindow, ErrorCode, Frame, mostWindow, preface, Setting } from './protocol.ts'
import { type PeerSettings, writeSettings } from './settings.ts'
import { StreamTable } from './stream-table.ts'

/** Milliseconds in which the server may read what was said last. */
const lastWords = 1000

/** Whose connection it is. */
export interface ClientSessionOwner {
  /** The server says what it allows, at first and whenever that changes: streams at once. */
  allowed(streams: number): void
  /** The server looks at no stream beyond those that are open still, for a reason. */
  leaves(code: number, text: Buffer): void
  /** The connection is over, before its streams hear of it: what the server did wrong, if that is why. */
  over(fault: string | undefined): void
}

/** See above. */
export class ClientSession implements ClientFramesOwner {
  readonly open = new StreamTable<ClientStream>()
  /** The highest stream that was opened. */
  last = -1
  readonly #socket: Duplex
  readonly #owner: ClientSessionOwner
  readonly #rules: ClientRules
  readonly #writer: FrameWriter
  readonly #floods = new Floods()
  readonly #outflow: Outflow<ClientStream>
  readonly #frames: ClientFrames
  readonly #reader: FrameReader
  /** Streams that the server allows at once. */
  #streams = Number.POSITIVE_INFINITY
  #isOver = false
  #isLeaving = false
  #isPumpDue = false
  /** Told of answers to pings, in order. */
  readonly #pings: (() => void)[] = []

  /** Begins to speak on `socket`, which is connected. */
  constructor(socket: Duplex, owner: ClientSessionOwner, rules: ClientRules) {
    this.#socket = socket
    this.#owner = owner
    this.#rules = rules
    const writer = (this.#writer = new FrameWriter(socket))
    const outflow = (this.#outflow = new Outflow<ClientStream>(writer, stream => this.#written(stream)))
    this.#frames = new ClientFrames(this, rules, { writer, floods: this.#floods, outflow })
    this.#reader = new FrameReader(this.#frames, true)
    this.#greet()
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.once('close', () => this.#over(undefined))
  }

  /** Whether the server has said that it speaks HTTP/2. */
  get isGreeted(): boolean {
    return this.#frames.isGreeted
  }

  /** Sends a request on a new stream; false where the connection has no number left for one. */
  request(stream: ClientStream, message: StreamMessage): boolean {
    if (this.#isOver || this.last > mostWindow - 2) return false
    this.last += 2
    stream.id = this.last
    stream.window = this.#rules.answer
    this.open.add(stream)
    this.#floods.began()
    this.#outflow.send(stream, message)
    return true
  }

  /** Ends a stream of which nothing more is wanted. */
  cancel(stream: ClientStream): void {
    this.punish(stream, ErrorCode.CANCEL)
  }

  /** Asks whether the server is there; `onPong` is called when it says so. */
  ping(onPong: () => void): void {
    if (this.#isOver) return
    this.#pings.push(onPong)
    this.#writer.frame(Frame.PING, 0, 0, Buffer.alloc(8))
  }

  /** Ends the connection with the last of its streams. */
  close(): void {
    this.#isLeaving = true
    this.#endIfIdle()
  }

  /** Ends the connection now. */
  destroy(): void {
    this.#over(undefined)
    this.#socket.destroy()
  }

  allowed({ streams }: PeerSettings): void {
    // Where it is not named it is as it was.
    if (streams !== undefined) this.#streams = streams
    this.#owner.allowed(this.#streams)
  }

  ponged(): void {
    this.#pings.shift()?.()
  }

  leaves(last: number, code: number, bytes: Buffer): void {
    const unseen = this.open.values().filter(({ id }) => id > last)
    for (const { id } of unseen) this.open.delete(id)
    this.#isLeaving = true
    // Perhaps it ends the connection; those that nobody has looked at are to find another.
    this.#owner.leaves(code, bytes)
    for (const stream of unseen) this.#end(stream, ErrorCode.REFUSED_STREAM)
    this.#endIfIdle()
  }

  punish(stream: ClientStream, code: number): void {
    if (stream.isClosed) return
    if (!this.#isOver) this.#writer.number(Frame.RST_STREAM, stream.id, code)
    this.#end(stream, code)
  }

  reset(stream: ClientStream, code: number): void {
    this.#end(stream, code)
  }

  whole(stream: ClientStream): void {
    stream.isWhole = true
    this.#floods.answered()
    // A server may answer before it has read all; then nobody needs the rest.
    if (stream.isWritten) this.#end(stream, undefined)
    else this.punish(stream, ErrorCode.CANCEL)
  }

  /** Requests that wait go on, once for all that came in this turn. */
  pump(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    setImmediate(this.#onPump)
  }

  #written(stream: ClientStream): void {
    stream.isWritten = true
    if (stream.isWhole) this.#end(stream, undefined)
  }

  #end(stream: ClientStream, code: number | undefined): void {
    if (stream.isClosed) return
    stream.isClosed = true
    stream.resetCode = code
    this.open.delete(stream.id)
    this.#outflow.forget(stream)
    stream.closed()
    this.#endIfIdle()
  }

  #endIfIdle(): void {
    if (!this.#isLeaving || this.open.size > 0 || this.#isOver) return
    this.#goaway(ErrorCode.NO_ERROR)
  }

  #greet(): void {
    const settings = writeSettings([
      [Setting.ENABLE_PUSH, 0],
      [Setting.INITIAL_WINDOW_SIZE, this.#rules.answer],
      [Setting.MAX_HEADER_LIST_SIZE, this.#rules.headers.bytes],
    ])
    this.#socket.write(preface)
    this.#writer.frame(Frame.SETTINGS, 0, 0, settings)
    this.#writer.number(Frame.WINDOW_UPDATE, 0, this.#rules.window - defaultWindow)
    this.#writer.flush()
  }

  /** Says why the connection ends, and waits a moment for the server to hear it. */
  #goaway(code: number, fault?: string): void {
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(code, 4)
    this.#writer.frame(Frame.GOAWAY, 0, 0, payload)
    this.#writer.flush()
    this.#over(fault)
    const socket = this.#socket
    socket.end()
    setTimeout(() => socket.destroy(), lastWords).unref()
  }

  #over(fault: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#owner.over(fault)
    for (const stream of this.open.values()) this.#end(stream, undefined)
  }

  readonly #onData = (chunk: Buffer): void => {
    let at = 0
    try {
      while (at < chunk.length && !this.#isOver) at = this.#reader.next(chunk, at)
    } catch (error) {
      const code = error instanceof ConnectionError ? error.code : ErrorCode.INTERNAL_ERROR
      this.#goaway(code, messageOf(error))
    }
    // All that is kept of it was copied out.
    freeRead(chunk)
  }

  readonly #onPump = (): void => {
    this.#isPumpDue = false
    if (!this.#isOver) this.#outflow.pump()
  }

  readonly #onDrain = (): void => {
    this.#writer.drained()
    this.#floods.owesNothing()
    this.#onPump()
  }
}
