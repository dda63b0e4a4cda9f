/**
 * One connection of HTTP/1.1, over a socket or TLS. One request is handled at a time; what comes behind it stays where it
 * is, and the socket is not read. What was read is worked on in turns with all that is long, a bounded piece in each, and the
 * answers of a turn are one write. Nothing more is answered while answers wait for their sender.
 */
import type { Socket } from 'node:net'
import { messageOf } from '../../core/errors.ts'
import { freeRead } from '../../core/pool.ts'
import type { Work } from '../../core/turns.ts'
import type { ConnectionShare } from '../occupancy.ts'
import { noRoom } from '../refusal.ts'
import { type AnswerParts, goOn } from './answers.ts'
import { Backlog } from './backlog.ts'
import { Chunks, type ChunkSink } from './chunks.ts'
import { type Fault, fault, kindOf } from './fault.ts'
import { findEnd, Head, tlsFault } from './head.ts'
import { SocketOutlet } from './outlet.ts'
import type { Exchange, HttpService } from './service.ts'

/** Requests and bytes of framing that one connection takes in one step; bytes of a body of known length are only copied. */
const stepRequests = 16
const stepBytes = 32_768
/** Milliseconds for which what a refused sender still sends is thrown away, so that it gets to read the answer. */
const lingering = 1000

/** What is read next: a head; a body; nothing, as a request is in somebody's hands; nothing ever. */
type State = 'head' | 'body' | 'held' | 'closing'

const over: IteratorResult<undefined> = { done: true, value: undefined }
const going: IteratorResult<undefined> = { done: false, value: undefined }
const slowHead = fault(408, 'the head of the request came too slowly')
const noRoomFault = fault(503, noRoom.message)

/** See above. */
export class Connection<C> implements Work, ChunkSink {
  readonly head = new Head()
  readonly share: ConnectionShare
  readonly peer: string
  /** What its requests carry. */
  readonly context: C
  readonly #socket: Socket
  readonly #service: HttpService
  readonly #serve: (connection: Connection<C>) => void
  readonly #backlog: Backlog
  readonly #outlet: SocketOutlet
  readonly #chunks = new Chunks()
  #state: State = 'head'
  /** What was read and not worked on yet, from `#at` on. */
  #input: Buffer | undefined
  #at = 0
  #exchange: Exchange | undefined
  /** Bytes of the body that are still to come; -1 for chunks. */
  #rest = 0
  /** Whether the request has come to its end. */
  #isWhole = true
  #isRunning = false
  #isQueued = false
  #isPaused = false
  /** What comes is not kept, and the next answer is the last: there was no room for it to wait. */
  #isDeaf = false
  #hasEnded = false
  /** Requests so far. */
  #requests = 0
  /** What the clock saw last, and since when. */
  #seen = ''
  #since = 0

  constructor(
    socket: Socket,
    share: ConnectionShare,
    service: HttpService,
    connected: (peer: string) => C,
    serve: (connection: Connection<C>) => void,
  ) {
    const { remoteAddress, remotePort } = socket
    this.#socket = socket
    this.share = share
    this.peer = remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`
    this.context = connected(this.peer)
    this.#service = service
    this.#serve = serve
    this.#backlog = new Backlog(service.admission, share)
    this.#outlet = new SocketOutlet(socket, () => this.#go())
    share.probe = now => this.#look(now)
    socket.on('data', (bytes: Buffer) => this.#read(bytes))
    socket.on('end', () => this.#leave())
    socket.on('error', ignore)
    socket.on('close', () => this.#close())
  }

  /** Whether nothing is going on. */
  get isIdle(): boolean {
    const isStill = this.#input === undefined && this.#backlog.size === 0 && this.#outlet.isClear
    return this.#state === 'head' && isStill
  }

  /** Ends the connection without an answer. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** The request that is served is `exchange`: it hears of its body once it asks for it. */
  open(exchange: Exchange): void {
    this.#exchange = exchange
  }

  /** Reads the body of the request. */
  readBody(): void {
    if (this.#isWhole) {
      this.#exchange?.completed()
      return
    }
    this.#state = 'body'
    if (this.#rest < 0) this.#chunks.begin()
    // Who sends without having been asked needs not be told.
    if (this.head.isContinueExpected && this.#input === undefined) this.#outlet.add(goOn, undefined)
    this.#moveOn()
  }

  /** Answers the request. Where its body has not come to its end, or it is to be the last, the connection ends. */
  answer(answer: AnswerParts): void {
    this.#say(answer, this.head.method !== 'HEAD')
  }

  #say(answer: AnswerParts, hasBody: boolean): void {
    const { answers, isLast: isOver } = this.#service
    const isLast = isOver || !this.#isWhole || this.#isDeaf || !this.head.isPersistent
    const { status, type, body, headers } = answer
    const isPlain = status === 200 && body.length === 0 && headers === undefined && !isLast
    const isShown = hasBody && type !== undefined
    const text = isPlain && type !== undefined ? answers.success(type) : answers.make(answer, isLast, isShown)
    this.#outlet.add(text, this.#exchange)
    this.#exchange = undefined
    this.head.release()
    this.#state = isLast ? 'closing' : 'head'
    this.#moveOn()
  }

  /** Answers what is no request, and ends. */
  #fail(wrong: Fault, isTold = true): void {
    const { status, message } = wrong
    const { admission } = this.#service
    if (wrong === tlsFault) admission.strange('malformed', this.share.address, message)
    else if (isTold) admission.count(kindOf(status), this.share, message, String(status))
    this.#isWhole = false
    this.#backlog.clear()
    const headers = status === 503 ? ['retry-after', '1'] : undefined
    this.#say({ status, type: 'text/plain', body: Buffer.from(message), headers }, true)
  }

  /** Something was done that is not the end of a step: writes it, and goes on. */
  #moveOn(): void {
    if (this.#isRunning) return
    this.#flush()
    this.#go()
  }

  #read(bytes: Buffer): void {
    if (this.#state === 'closing' || this.#isDeaf) return freeRead(bytes)
    const input = this.#input
    this.#input = input === undefined ? bytes : Buffer.concat([input.subarray(this.#at), bytes])
    this.#at = 0
    this.#go()
  }

  get #canGoOn(): boolean {
    return this.#state !== 'held' && this.#outlet.isClear
  }

  /** Works on what has come, if it may. */
  #go(): void {
    if (this.#isRunning || this.#isQueued) return
    if (this.#input === undefined) this.#resume()
    else if (this.#canGoOn) {
      this.#backlog.goOn()
      this.#isQueued = true
      this.#service.turns.enter(this)
      // Others wait for their turn, and so does this one.
      if (this.#isQueued) this.#pause()
    } else this.#pause()
  }

  /** One step. */
  next(): IteratorResult<undefined> {
    this.#isRunning = true
    let isMore = false
    try {
      isMore = this.#step()
      this.#flush()
    } catch (error) {
      this.#service.log.error({ error: messageOf(error) }, 'a connection could not be served')
      this.#socket.destroy()
    }
    this.#isRunning = false
    if (isMore && this.#canGoOn) {
      this.#pause()
      return going
    }
    this.#isQueued = false
    if (this.#input === undefined) this.#resume()
    else this.#pause()
    return over
  }

  /** Takes a bounded piece of what has come. Says whether there is more to be done. */
  #step(): boolean {
    let requests = stepRequests
    let framing = stepBytes
    while (this.#input !== undefined) {
      const at = this.#at
      switch (this.#state) {
        case 'head':
          if (requests-- === 0) return true
          this.#readHead(this.#input)
          break
        case 'body':
          if (framing <= 0) return true
          this.#readBody(this.#input, framing)
          if (this.#rest < 0) framing -= this.#at - at
          break
        case 'held':
          return false
        case 'closing':
          // Also after what was left is dropped there is something that nobody reads.
          this.#isWhole = false
          this.#spend()
          return false
      }
      if (this.#input !== undefined && this.#at >= this.#input.length) this.#spend()
    }
    return false
  }

  #readHead(input: Buffer): void {
    const { head } = this
    const backlog = this.#backlog
    const at = this.#at
    const before = backlog.size
    if (before === 0) {
      if (head.isAgain(input, at)) return this.#begin(at + head.size, undefined)
      const end = findEnd(input, at, at, input.length)
      if (typeof end !== 'number') return this.#fail(end)
      if (end >= 0) return this.#begin(end, head.read(input, at, end))
    }
    const added = backlog.add(input, at)
    if (added < 0) return this.#lack()
    const end = before === 0 ? -1 : findEnd(backlog.head, 0, before, backlog.size)
    if (typeof end !== 'number') return this.#fail(end)
    if (end < 0) {
      this.#at = at + added
      return
    }
    const wrong = head.read(backlog.head, 0, end)
    backlog.clear()
    this.#begin(at + end - before, wrong)
  }

  /** A head has come whole; what follows it stands from `next` on. */
  #begin(next: number, wrong: Fault | undefined): void {
    this.#at = next
    this.#requests++
    if (wrong !== undefined) return this.#fail(wrong)
    const { isChunked, length } = this.head
    this.#rest = isChunked ? -1 : Math.max(0, length)
    this.#isWhole = this.#rest === 0
    if (this.#input !== undefined && next >= this.#input.length) this.#spend()
    this.#state = 'held'
    this.#serve(this)
  }

  #readBody(input: Buffer, framing: number): void {
    const at = this.#at
    if (this.#rest > 0) {
      const end = Math.min(input.length, at + this.#rest)
      this.#at = end
      this.#rest -= end - at
      if (!this.received(input, at, end)) return
      if (this.#rest === 0) this.#complete()
      return
    }
    this.#at = this.#chunks.read(input, at, Math.min(input.length, at + framing), this)
    if (this.#state !== 'body') return
    if (this.#chunks.fault !== undefined) this.#exchange?.malformed(this.#chunks.fault)
    else if (this.#chunks.isDone) this.#complete()
  }

  /** A part of the body has come. False when no more is wanted. */
  received(bytes: Buffer, from: number, to: number): boolean {
    return this.#exchange?.received(bytes, from, to) === true && this.#state === 'body'
  }

  #complete(): void {
    if (this.#input !== undefined && this.#at >= this.#input.length) this.#spend()
    this.#isWhole = true
    this.#state = 'held'
    this.#exchange?.completed()
  }

  /** What was read is worked on, or nobody wants it. Nothing points into it: heads and bodies are copies. */
  #spend(): void {
    if (this.#input !== undefined) freeRead(this.#input)
    this.#input = undefined
  }

  /** There is no room for what has come. */
  #lack(): void {
    this.#spend()
    if (!this.#isWhole && this.#exchange !== undefined) this.#exchange.refused(noRoom)
    else if (this.#state === 'head') this.#fail(noRoomFault)
    else {
      this.#isDeaf = true
      this.#resume()
    }
  }

  /** Leaves unread what comes. Waiting for a turn is short; where the sender could make it long, what waits is charged. */
  #pause(): void {
    if (!this.#canGoOn && !this.#backlog.wait()) return this.#lack()
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  #resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#backlog.goOn()
    this.#socket.resume()
  }

  /** Writes what the step has brought. */
  #flush(): void {
    this.#outlet.flush()
    if (this.#state === 'closing' && !this.#hasEnded) this.#end()
  }

  /** Ends the connection behind the last answer. A reset would overtake it where something is left unread. */
  #end(): void {
    this.#hasEnded = true
    const isRead = this.#isWhole && !this.#isDeaf && this.#input === undefined && this.#socket.readableLength === 0
    this.#spend()
    this.#resume()
    if (isRead) this.#socket.destroySoon()
    else this.#socket.end()
  }

  /** The sender will send no more. Node ends our side, too, so that no answer would reach it. */
  #leave(): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#state = 'closing'
    exchange?.gone()
  }

  #close(): void {
    this.#leave()
    this.#spend()
    this.#outlet.close()
    this.#backlog.close()
  }

  /** Looks at the clock. */
  #look(now: number): void {
    if (this.#outlet.isStuck(now, this.#service.admission.answerTimeout)) {
      this.#service.admission.count('unread', this.share)
      return this.destroy()
    }
    const isHead = this.#state === 'head' && (this.#requests === 0 || this.#backlog.size > 0)
    const doing = `${isHead ? 'reading' : this.#state} ${this.#requests}`
    if (doing !== this.#seen) {
      this.#seen = doing
      this.#since = now
      return
    }
    const age = now - this.#since
    if (this.#state === 'closing') {
      if (age >= lingering) this.destroy()
    } else if (this.#state === 'head' && this.#input === undefined) this.#lookIdle(age, isHead)
  }

  #lookIdle(age: number, isHead: boolean): void {
    const { headTimeout, idleTimeout } = this.#service
    if (!isHead) {
      if (age >= idleTimeout) this.destroy()
    } else if (age >= headTimeout) {
      this.#fail(slowHead, this.#backlog.size > 0)
    }
  }
}

function ignore(): void {}
