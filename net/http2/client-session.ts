/** One HTTP/2 connection as its client has it (RFC 9113). */
import type { Duplex } from 'node:stream'
import { messageOf } from '../../core/errors.ts'
import { freeRead } from '../../core/pool.ts'
import { ClientFrames, type ClientStreamsOwner, type ClientRules } from './client-frames.ts'
import type { ClientStream } from './client-stream.ts'
import { Floods } from './floods.ts'
import { FrameReader } from './frame-reader.ts'
import { Frames, type FramesOwner } from './frames.ts'
import { FrameWriter } from './frame-writer.ts'
import { HeaderBlock } from './header-block.ts'
import type { StreamMessage } from './message.ts'
import { Outflow } from './outflow.ts'
import { Pings } from './pings.ts'
import { ConnectionError, defaultWindow, ErrorCode, Frame, mostWindow, preface, Setting } from './protocol.ts'
import { type PeerSettings, writeSettings } from './settings.ts'
import { StreamTable } from './stream-table.ts'

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
export class ClientSession implements FramesOwner, ClientStreamsOwner {
  readonly open = new StreamTable<ClientStream>()
  /** The highest stream that was opened. */
  last = -1
  readonly #socket: Duplex
  readonly #owner: ClientSessionOwner
  readonly #rules: ClientRules
  readonly #writer: FrameWriter
  readonly #floods = new Floods()
  readonly #outflow: Outflow<ClientStream>
  readonly #frames: Frames<ClientStream>
  readonly #reader: FrameReader
  /** Streams that the server allows at once. */
  #streams = Number.POSITIVE_INFINITY
  #isOver = false
  #isLeaving = false
  readonly #pings: Pings

  /** Begins to speak on `socket`, which is connected. */
  constructor(socket: Duplex, owner: ClientSessionOwner, rules: ClientRules) {
    this.#socket = socket
    this.#owner = owner
    this.#rules = rules
    const writer = (this.#writer = new FrameWriter(socket))
    const outflow = (this.#outflow = new Outflow<ClientStream>(writer, stream => this.#written(stream)))
    const pings = (this.#pings = new Pings(writer))
    const floods = this.#floods
    const block = new HeaderBlock(undefined, rules.headers.bytes)
    const side = new ClientFrames(this, rules, floods)
    this.#frames = new Frames(this, side, rules.window, { writer, floods, outflow, block, pings }, true)
    this.#reader = new FrameReader(this.#frames, side, true)
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
    if (!this.#isOver) this.#pings.send(onPong)
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

  pinged(): void {}

  leaves(last: number, code: number, text: Buffer): void {
    const unseen = this.open.values().filter(({ id }) => id > last)
    for (const { id } of unseen) this.open.delete(id)
    this.#isLeaving = true
    // Perhaps it ends the connection; those that nobody has looked at are to find another.
    this.#owner.leaves(code, text)
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
    this.#writer.goaway(0, code)
    this.#writer.flush()
    this.#over(fault)
    this.#writer.close()
  }

  #over(fault: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#outflow.stop()
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

  readonly #onDrain = (): void => {
    this.#floods.owesNothing()
    this.#outflow.drained()
  }
}
