/**
 * One HTTP/2 connection as its server has it (RFC 9113). What a socket brings is read in short steps that take turns with
 * everybody else's work; as long as some of it waits, the socket is not read.
 */
import type { Duplex } from 'node:stream'
import type { Budget } from '../../core/budget.ts'
import { freeRead } from '../../core/pool.ts'
import type { Work } from '../../core/turns.ts'
import type { StreamMessage, PreparedAnswer } from './message.ts'
import { Floods } from './floods.ts'
import { FrameReader } from './frame-reader.ts'
import { Frames, type FramesOwner } from './frames.ts'
import { FrameWriter } from './frame-writer.ts'
import { HeaderBlock } from './header-block.ts'
import { Outflow } from './outflow.ts'
import { Pings } from './pings.ts'
import { ConnectionError, defaultWindow, ErrorCode, Frame, mostWindow, Setting } from './protocol.ts'
import type { RequestHead } from './request-head.ts'
import { ServerFrames, type ServerStreamsOwner } from './server-frames.ts'
import type { ServerStream } from './server-stream.ts'
import type { SessionRules } from './session-rules.ts'
import { writeSettings } from './settings.ts'
import { Streams } from './streams.ts'

/** Bytes that one step of reading takes, where each frame counts as so many more. */
const stepBytes = 16_384
const frameCost = 512

/** What a session needs of a socket, whatever it is one of. */
export interface SessionSocket extends Duplex {
  /** Closes it as soon as what was written is sent. */
  destroySoon(): void
}

/** Whose connection it is. */
export interface SessionOwner {
  /** Makes what a new stream is. */
  make(id: number, head: RequestHead): ServerStream
  /** The client has said what it is, perhaps anew. */
  greeted(): void
  /** The client asks whether we are there; it is answered already. */
  pinged(): void
  /** The connection is ended for what it sends beside calls. */
  flooded(): void
  /** What comes is no HTTP/2: why. */
  strange(fault: string): void
  /** The connection is ended for a fault of ours. */
  failed(error: unknown): void
  /** The connection is gone. */
  gone(): void
}

const done = { done: true, value: undefined } as const
const more = { done: false, value: undefined } as const

/** See above. */
export class ServerSession implements Work, FramesOwner, ServerStreamsOwner {
  /** Whether new streams are ignored. */
  isLeaving = false
  /** Bytes that came. */
  received = 0
  readonly #socket: SessionSocket
  readonly #owner: SessionOwner
  readonly #budget: Budget
  readonly #writer: FrameWriter
  readonly #floods = new Floods()
  readonly #outflow: Outflow<ServerStream>
  readonly #streams: Streams
  readonly #block: HeaderBlock
  readonly #reader: FrameReader
  /** What came and is not read yet, from `#at` on; `#held` is charged for it once it has to wait. */
  #chunk: Buffer | undefined
  #at = 0
  #held = 0
  /** Nothing is read or answered any more. */
  #isOver = false
  readonly #pings: Pings

  constructor(socket: SessionSocket, owner: SessionOwner, rules: SessionRules, budget: Budget) {
    this.#socket = socket
    this.#owner = owner
    this.#budget = budget
    const writer = (this.#writer = new FrameWriter(socket))
    const floods = this.#floods
    const outflow = (this.#outflow = new Outflow(writer, stream => this.#streams.answered(stream)))
    const streams = (this.#streams = new Streams(writer, floods, outflow))
    const block = (this.#block = new HeaderBlock(budget, rules.headers.bytes))
    const pings = (this.#pings = new Pings(writer))
    const side = new ServerFrames(this, rules, { writer, floods, streams })
    const frames = new Frames(this, side, rules.window, { writer, floods, outflow, block, pings })
    this.#reader = new FrameReader(frames, side)
    this.#greet(rules)
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    socket.on('error', ignore)
    socket.once('close', this.#onClose)
  }

  /** Whether the connection is over, for us at least. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether a frame, or the headers of a request, have begun and are not over. */
  get isAmidst(): boolean {
    return this.#reader.isAmidst || this.#block.isOpen
  }

  /** Answers a stream, now or as soon as it may be. */
  send(stream: ServerStream, answer: StreamMessage): void {
    if (!this.#isOver && !stream.isClosed) this.#outflow.send(stream, answer)
  }

  /** Answers a stream with frames that are made. */
  sendPrepared(stream: ServerStream, answer: PreparedAnswer): void {
    if (!this.#isOver && !stream.isClosed) this.#outflow.sendPrepared(stream, answer)
  }

  /** Ends a stream. */
  reset(stream: ServerStream, code: number): void {
    if (!this.#isOver) this.#streams.reset(stream, code)
  }

  /** Asks whether the client is there; `onPong` is called when it says so. */
  ping(onPong: () => void): void {
    if (!this.#isOver) this.#pings.send(onPong)
  }

  /** Tells the client that the connection ends, and that streams up to `last` are looked at. */
  goaway(code: number, last: number = mostWindow, text = ''): void {
    if (!this.#isOver) this.#writer.goaway(last, code, text)
  }

  /** Ends the connection with the last of its streams; new ones are ignored. */
  close(): void {
    if (this.#isOver || this.isLeaving) return
    this.isLeaving = true
    this.goaway(ErrorCode.NO_ERROR, this.#streams.last)
    const end = (): void => this.#end()
    if (this.#streams.open.size === 0) end()
    else this.#streams.onNone = end
  }

  /** Ends the connection now. */
  destroy(): void {
    this.#over()
    this.#socket.destroy()
  }

  /** Ends the connection for what the client did, and tells it. */
  fail(code: number, text: string): void {
    if (this.#isOver) return
    this.goaway(code, this.#streams.last, text)
    this.#end()
    // Who floods is not listened to a moment longer.
    if (code === ErrorCode.ENHANCE_YOUR_CALM) this.#socket.destroySoon()
  }

  make(id: number, head: RequestHead): ServerStream {
    return this.#owner.make(id, head)
  }

  strange(fault: string): void {
    this.#owner.strange(fault)
  }

  allowed(): void {
    this.#owner.greeted()
  }

  pinged(): void {
    this.#owner.pinged()
  }

  leaves(_last: number, code: number): void {
    if (code === ErrorCode.NO_ERROR) this.close()
    else this.destroy()
  }

  /** Reads a step on. */
  next(): IteratorResult<undefined, undefined> {
    const chunk = this.#chunk
    if (chunk === undefined) return done
    let left = stepBytes
    try {
      while (this.#at < chunk.length && left > 0 && !this.#isOver) {
        const from = this.#at
        this.#at = this.#reader.next(chunk, from)
        left -= frameCost + this.#at - from
      }
    } catch (error) {
      this.#failed(error)
    }
    if (this.#at < chunk.length && !this.#isOver) return more
    this.#chunk = undefined
    // All that is kept of it was copied out.
    freeRead(chunk)
    if (this.#held === 0) return done
    this.#letGo()
    // What came meanwhile is one piece now: who sends little at a time waits no longer than others for a turn.
    if (!this.#isOver && this.#socket.read() !== null) return more
    this.#socket.resume()
    return done
  }

  #failed(error: unknown): void {
    if (error instanceof ConnectionError) {
      if (error.code === ErrorCode.ENHANCE_YOUR_CALM) this.#owner.flooded()
      if (!this.#reader.isGreeted) this.#owner.strange(error.message)
      return this.fail(error.code, error.message)
    }
    this.#owner.failed(error)
    this.fail(ErrorCode.INTERNAL_ERROR, '')
  }

  #greet({ streams, streamWindow, window, headers }: SessionRules): void {
    const settings = writeSettings([
      [Setting.MAX_CONCURRENT_STREAMS, streams],
      [Setting.INITIAL_WINDOW_SIZE, streamWindow],
      [Setting.MAX_HEADER_LIST_SIZE, headers.bytes],
    ])
    this.#writer.frame(Frame.SETTINGS, 0, 0, settings)
    this.#writer.number(Frame.WINDOW_UPDATE, 0, window - defaultWindow)
  }

  #over(): void {
    this.#isOver = true
    this.#outflow.stop()
  }

  /** Says what is left to say, and waits a moment for the client to hear it; what it says is of no interest any more. */
  #end(): void {
    this.#writer.flush()
    this.#over()
    this.#streams.closeAll()
    this.#writer.close()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isOver) return
    this.received += chunk.length
    this.#chunk = chunk
    this.#at = 0
    // What was read while the socket was held up takes its turn where it waits already.
    if (this.#socket.isPaused()) return this.#hold(chunk)
    this.#budget.turns.enter(this)
    if (this.#chunk === undefined) return
    this.#socket.pause()
    this.#hold(chunk)
  }

  /** The rest of `chunk` has to wait. */
  #hold(chunk: Buffer): void {
    this.#held = chunk.length
    this.#budget.charge(chunk.length)
  }

  #letGo(): void {
    this.#budget.release(this.#held)
    this.#held = 0
  }

  readonly #onDrain = (): void => {
    this.#floods.owesNothing()
    this.#outflow.drained()
  }

  readonly #onEnd = (): void => {
    if (!this.#isOver) this.destroy()
  }

  readonly #onClose = (): void => {
    this.#over()
    this.#chunk = undefined
    this.#letGo()
    if (this.#block.isOpen) this.#block.close()
    this.#streams.closeAll()
    this.#owner.gone()
  }
}

function ignore(): void {}
