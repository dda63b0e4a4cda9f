/** One unary call as its server has it: the five-byte framing, the message, the answer. */
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Identity } from '../core/auth.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { encodeStatus, GrpcCode, type RpcStatus } from '../proto/status.ts'
import type { Admission, Refusal } from './admission.ts'
import { type AuthRefusal, type Doorman, headerOf, isPending, isRefusal, type PendingAnswer } from './auth.ts'
import { type Encoding, encodingOf } from './compression.ts'
import { statusOf } from './grpc-refusal.ts'
import type { Connection } from './grpc-server-connection.ts'
import { Intake, type IntakeOwner } from './intake.ts'

/** Serves one method. The charge of the call's body is the handler's from now on. Answers once, with `reply` or `fail`. */
export type GrpcHandler<C> = (call: IncomingCall<C>) => void

const callKey = Symbol('call')
interface CallStream extends ServerHttp2Stream {
  [callKey]?: { received(chunk: Buffer): void; completed(): void; closed(): void }
}

const headers = { ':status': 200, 'content-type': 'application/grpc' }
const succeeded = { 'grpc-status': '0' }
const withTrailers = { waitForTrailers: true, sendDate: false }
const trailersOnly = { endStream: true, sendDate: false }
const emptyReply = Buffer.alloc(5)
const nothing = Buffer.alloc(0)

/** Where a call stands: its body is read, the handler has it, it is answered or gone. */
type CallState = 'reading' | 'handled' | 'ended'

/** One call. */
export class IncomingCall<C> implements IntakeOwner {
  /** The message, inflated. */
  body: Buffer = nothing
  /** Bytes charged for it, which the handler takes over. */
  charge = 0
  /** Who sends, where the server asks an authenticator. */
  auth: Identity | undefined
  /** Told when nobody waits for the answer any more; not after an answer. */
  onCancel: (() => void) | undefined
  readonly #connection: Connection<C>
  readonly #stream: ServerHttp2Stream
  readonly #admission: Admission
  readonly #rawHeaders: string[]
  readonly #intake: Intake
  #handler: GrpcHandler<C> | undefined
  #log: Logger | undefined
  #encoding: Encoding | undefined
  #state: CallState = 'reading'
  /** The answer that says whether the sender may come in, while it is waited for. */
  #asked: PendingAnswer | undefined
  /** Whether all of the message came meanwhile. */
  #isWhole = false
  #isClosed = false
  /** Bytes of the five-byte prefix that have arrived, and what they say. */
  #prefixed = 0
  #compressed = 0
  #size = 0

  constructor(
    admission: Admission,
    connection: Connection<C>,
    stream: ServerHttp2Stream,
    rawHeaders: string[],
    timeout: number,
  ) {
    this.#admission = admission
    this.#connection = connection
    this.#stream = stream
    this.#rawHeaders = rawHeaders
    this.#intake = new Intake(admission, connection.share, this, timeout)
    connection.began()
    const own: CallStream = stream
    own[callKey] = this
    stream.on('close', onClose)
  }

  /** What the connection carries. */
  get context(): C {
    return this.#connection.context
  }

  get peer(): string {
    return this.#connection.peer
  }

  /** Request headers by lower-case name. */
  metadata(): Map<string, string[]> {
    const map = new Map<string, string[]>()
    const raw = this.#rawHeaders
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i].toLowerCase()
      if (name.startsWith(':') && name !== ':authority') continue
      const values = map.get(name)
      if (values === undefined) map.set(name, [raw[i + 1]])
      else values.push(raw[i + 1])
    }
    return map
  }

  /** Asks for room for the call as such, and answers when there is none. */
  enter(): boolean {
    const refusal = this.#intake.begin(this.#rawHeaders)
    if (refusal === undefined) return true
    this.refused(refusal)
    if (this.#intake.isVain) this.#connection.destroy()
    return false
  }

  /** This is no call. */
  refuseType(): void {
    if (!this.#end(0)) return
    this.#stream.respond({ ':status': 415 }, { endStream: true })
    this.#stream.close(http2.constants.NGHTTP2_NO_ERROR)
  }

  /**
   * Asks whether the sender may come in, and answers when it may not. Where that takes a while the message is read and
   * charged as always, since a stream that is not read fills its window; nothing is made of it before.
   */
  admit(doorman: Doorman, headers: IncomingHttpHeaders): boolean {
    const answer = doorman.ask(headerOf(headers), this.peer)
    if (!isPending(answer)) return this.#decide(answer)
    this.#asked = answer
    answer.whenTold(told => {
      this.#asked = undefined
      if (this.#decide(told) && this.#isWhole) this.completed()
    })
    return true
  }

  #decide(answer: Identity | AuthRefusal): boolean {
    if (isRefusal(answer)) {
      this.refused(answer)
      return false
    }
    this.auth = answer
    return true
  }

  /** Starts reading the message for `handler`. */
  begin(handler: GrpcHandler<C>, encoding: string | string[] | undefined, log: Logger): void {
    this.#handler = handler
    this.#log = log
    if (encoding !== undefined && encoding !== 'identity') {
      this.#encoding = typeof encoding === 'string' ? encodingOf(encoding) : undefined
      if (this.#encoding === undefined) return this.#unknownEncoding(String(encoding))
    }
    this.#stream.on('data', onData)
    this.#stream.on('end', onEnd)
  }

  /** Answers with a message. */
  reply(message: Buffer): void {
    if (!this.#end(message.length)) return
    const stream = this.#stream
    stream.respond(headers, withTrailers)
    stream.on('wantTrailers', onWantTrailers)
    if (message.length === 0) stream.end(emptyReply)
    else {
      const framed = Buffer.allocUnsafe(5 + message.length)
      framed[0] = 0
      framed.writeUInt32BE(message.length, 1)
      framed.set(message, 5)
      stream.end(framed)
    }
  }

  /** Answers with an error. */
  fail(status: RpcStatus): void {
    this.#fail(status, undefined)
  }

  #fail(status: RpcStatus, more: Record<string, string> | undefined): void {
    if (!this.#end(status.message.length)) return
    const trailers: Record<string, string | number> = {
      ...headers,
      'grpc-status': status.code,
      'grpc-message': percentEncode(status.message),
      ...more,
    }
    if (status.retryDelay !== undefined) {
      trailers['grpc-status-details-bin'] = encodeStatus(status).toString('base64').replace(/=+$/, '')
    }
    const stream = this.#stream
    stream.respond(trailers, trailersOnly)
    // Whatever is still to come of the request is not wanted.
    if (stream.readableEnded) return
    this.#connection.cutOff(this.#prefixed < 5 ? Infinity : this.#size - this.#intake.received)
    stream.close(http2.constants.NGHTTP2_NO_ERROR)
  }

  /** The body cannot be had, or the deadline has passed. */
  refused(refusal: Refusal): void {
    if (this.#state === 'ended') return
    this.#admission.count(refusal.kind, this.#connection.share)
    this.fail(statusOf(refusal))
    this.cancelled()
  }

  /** Nobody waits any more. */
  cancelled(): void {
    const { onCancel } = this
    this.onCancel = undefined
    onCancel?.()
  }

  /** Data of the stream. */
  received(chunk: Buffer): void {
    this.#connection.received(chunk.length)
    if (this.#state !== 'reading') return
    let from = 0
    if (this.#prefixed < 5) {
      from = this.#readPrefix(chunk)
      if (this.#prefixed < 5) return
      const refusal = this.#intake.expect(this.#size)
      if (refusal) return this.refused(refusal)
      if (from === chunk.length) return
    }
    const refusal = this.#intake.add(chunk, from)
    if (refusal) this.refused(refusal)
  }

  /** Takes what `chunk` has of the prefix and returns how many bytes that is. */
  #readPrefix(chunk: Buffer): number {
    let at = 0
    for (; at < chunk.length && this.#prefixed < 5; at++, this.#prefixed++) {
      if (this.#prefixed === 0) this.#compressed = chunk[at]
      else this.#size = this.#size * 256 + chunk[at]
    }
    return at
  }

  /** The stream has ended. */
  completed(): void {
    if (this.#state !== 'reading') return
    if (this.#asked !== undefined) {
      this.#isWhole = true
      return
    }
    if (this.#prefixed < 5) return this.refused({ kind: 'malformed', message: 'call without a message' })
    const body = this.#intake.finish()
    if (!Buffer.isBuffer(body)) return this.refused(body)
    if (this.#compressed === 0) return this.#handle(body)
    if (this.#compressed !== 1 || this.#encoding === undefined) {
      return this.refused({ kind: 'malformed', message: 'message is marked as compressed without a grpc-encoding' })
    }
    this.#intake.inflate(this.#encoding, body, result => {
      if (this.#state !== 'reading') return
      if (Buffer.isBuffer(result)) this.#handle(result)
      else this.refused(result)
    })
  }

  #handle(body: Buffer): void {
    this.body = body
    this.charge = this.#intake.take()
    this.#state = 'handled'
    try {
      this.#handler?.(this)
    } catch (error) {
      this.#log?.error({ error: messageOf(error) }, 'a request could not be handled')
      this.fail({ code: GrpcCode.INTERNAL, message: 'internal error' })
    }
  }

  /** The stream is gone, answered or not. */
  closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#connection.ended()
    const isAnswered = this.#state === 'ended'
    if (!isAnswered) {
      this.#admission.refusals.cancelled++
      this.#end(0)
    }
    this.#intake.close()
    if (!isAnswered) this.cancelled()
  }

  /** The connection is gone; the stream may hear of it later. */
  gone(): void {
    this.closed()
  }

  /** The sender does not take the answer: what it holds is let go of. */
  unread(): void {
    this.#admission.count('unread', this.#connection.share)
    this.#stream.close(http2.constants.NGHTTP2_CANCEL)
    this.#stream.destroy()
    this.#connection.unread()
  }

  /** Ends the call, with an answer of `bytes`, and says whether it can still be answered. */
  #end(bytes: number): boolean {
    if (this.#state === 'ended') return false
    this.#state = 'ended'
    this.#asked?.cancel()
    this.#intake.answered(bytes)
    this.body = nothing
    this.#connection.answered()
    return !this.#stream.destroyed && !this.#stream.closed
  }

  #unknownEncoding(name: string): void {
    this.#fail(
      { code: GrpcCode.UNIMPLEMENTED, message: `grpc-encoding ${name} is not supported; use ${acceptedEncodings}` },
      { 'grpc-accept-encoding': acceptedEncodings },
    )
  }
}

const acceptedEncodings = 'identity,gzip,deflate,zstd,snappy'

function onData(this: CallStream, chunk: Buffer): void {
  this[callKey]?.received(chunk)
}
function onEnd(this: CallStream): void {
  this[callKey]?.completed()
}
function onClose(this: CallStream): void {
  this[callKey]?.closed()
}
function onWantTrailers(this: CallStream): void {
  this.sendTrailers(succeeded)
}

/** grpc-message: what is not printable ASCII as the percent-encoded bytes of UTF-8. */
function percentEncode(text: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(text)) return text
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]+/g, part => encodeURIComponent(part))
}
