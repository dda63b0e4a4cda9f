/** One unary call as its server has it: the five-byte framing, the message, the answer. */
import type { Identity } from '../core/auth.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { HeardKind } from '../core/sender.ts'
import { encodeStatus, GrpcCode, grpcCodeName, type RpcStatus } from '../proto/status.ts'
import type { Admission } from './admission.ts'
import { type AuthRefusal, type Doorman, isPending, isRefusal, type PendingAnswer } from './auth.ts'
import { type Encoding, encodingOf } from './compression.ts'
import { statusOf } from './grpc-refusal.ts'
import type { GrpcConnection } from './grpc-server-connection.ts'
import { packHeaders, PreparedAnswer } from './http2/message.ts'
import { ErrorCode } from './http2/protocol.ts'
import type { RequestHead } from './http2/request-head.ts'
import { ServerStream } from './http2/server-stream.ts'
import { Intake, type IntakeOwner } from './intake.ts'
import { type ConnectionShare, knownSender } from './occupancy.ts'
import { unanswered } from './reception.ts'
import type { Refusal } from './refusal.ts'
import { shownText } from './shown-text.ts'

/** Serves one method. The charge of the call's body is the handler's from now on. Answers once, with `reply` or `fail`. */
export type GrpcHandler<C> = (call: IncomingCall<C>) => void

const answerHead = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const
const packedHead = packHeaders(answerHead)
const succeeded = packHeaders([['grpc-status', '0']])
/** The answer of nearly all calls: an empty message. */
const emptyAnswer = new PreparedAnswer(packedHead, Buffer.alloc(5), succeeded)
const nothing = Buffer.alloc(0)

/** Where a call stands: its body is read or thrown away, the handler has it, it is answered or gone. */
type CallState = 'reading' | 'unwanted' | 'handled' | 'ended'

/** What a call needs of its server. */
export interface CallServer<C> {
  readonly admission: Admission
  /** Finds out what the call is, and who serves it. */
  route(call: IncomingCall<C>): void
}

/** One call, which is its stream. */
export class IncomingCall<C> extends ServerStream implements IntakeOwner {
  /** The message, inflated. */
  body: Buffer = nothing
  /** Bytes charged for it, which the handler takes over. */
  charge = 0
  /** Who sends, where the server asks an authenticator. */
  auth: Identity | undefined
  /** Whether its deadline can be read, if it has one. */
  readonly isTimed: boolean
  /** Told when nobody waits for the answer any more; not after an answer. */
  onCancel: (() => void) | undefined
  readonly #connection: GrpcConnection<C>
  readonly #server: CallServer<C>
  readonly #intake: Intake
  #handler: GrpcHandler<C> | undefined
  #log: Logger | undefined
  #encoding: Encoding | undefined
  #state: CallState = 'reading'
  /** The answer that says whether the sender may come in, while it is waited for. */
  #asked: PendingAnswer | undefined
  /** Whether all of the message came meanwhile. */
  #isComplete = false
  #isGone = false
  /** Bytes of the five-byte prefix that have arrived, and what they say. */
  #prefixed = 0
  #compressed = 0
  #size = 0

  constructor(server: CallServer<C>, connection: GrpcConnection<C>, id: number, head: RequestHead, window: number) {
    super(id, head, window)
    this.#server = server
    this.#connection = connection
    const timeout = timeoutOf(head)
    this.isTimed = timeout !== undefined
    this.#intake = new Intake(server.admission, connection.share, this, timeout ?? Infinity)
    connection.began()
  }

  /** What the connection carries. */
  get context(): C {
    return this.#connection.context
  }

  get peer(): string {
    return this.#connection.peer
  }

  /** What its connection takes up. */
  get share(): ConnectionShare {
    return this.#connection.share
  }

  /** The call was taken, with `items`: for those who ask who sends. To be told before the answer. */
  took(how: HeardKind, items: number): void {
    if (this.#state === 'ended') return
    const { share } = this.#connection
    const sender = knownSender(share) ?? this.#server.admission.meet(share, this.head.get('user-agent'))
    const { received, since } = this.#intake
    // When it came is known; to look at the clock once more would cost more than all of this.
    sender.answered(how, items, received, since)
  }

  /** Request headers by lower-case name. */
  metadata(): Map<string, string[]> {
    const map = new Map<string, string[]>()
    const { raw } = this.head
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]
      if (name.startsWith(':') && name !== ':authority') continue
      const values = map.get(name)
      if (values === undefined) map.set(name, [raw[i + 1]])
      else values.push(raw[i + 1])
    }
    return map
  }

  /** Asks for room for the call as such, and answers when there is none. */
  opened(): void {
    const refusal = this.#intake.begin(this.head.raw)
    if (refusal === undefined) return this.#server.route(this)
    this.refused(refusal)
    if (this.#intake.isVain) this.#connection.destroy()
  }

  /**
   * This is no call of gRPC. It is told once all of it came: clients of HTTP that are reset while they send look at no answer.
   * What comes is thrown away; one that takes its time is ended by the clock.
   */
  refuseType(message: string): void {
    this.#state = 'unwanted'
    this.#handler = () => this.#sayType(message)
    if (this.isWhole) this.#sayType(message)
  }

  /** Who speaks HTTP reads the status, who speaks gRPC reads its own. */
  #sayType(message: string): void {
    if (this.#state === 'ended') return
    this.#dismiss({ kind: 'unserved', message }, '415')
    if (!this.#end(message.length)) return
    const head = packHeaders([
      [':status', '415'],
      ['content-type', 'application/grpc'],
      ['grpc-status', String(GrpcCode.INVALID_ARGUMENT)],
      ['grpc-message', percentEncode(message)],
    ])
    this.#connection.session.send(this, { head, body: undefined, trailers: undefined })
  }

  /**
   * Asks whether the sender may come in, and answers when it may not. Where that takes a while the message is read and
   * charged as always, since a stream that is not read fills its window; nothing is made of it before.
   */
  admit(doorman: Doorman): boolean {
    const answer = doorman.ask(name => this.head.get(name), this.peer)
    if (!isPending(answer)) return this.#decide(answer)
    this.#asked = answer
    answer.whenTold(told => {
      this.#asked = undefined
      if (this.#decide(told) && this.#isComplete) this.completed()
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
  begin(handler: GrpcHandler<C>, log: Logger): void {
    this.#handler = handler
    this.#log = log
    const encoding = this.head.get('grpc-encoding')
    if (encoding === undefined || encoding === 'identity') return
    this.#encoding = encodingOf(encoding)
    if (this.#encoding === undefined) this.#unknownEncoding(encoding)
  }

  /** Answers with a message. */
  reply(message: Buffer): void {
    if (!this.#end(message.length)) return
    const { session } = this.#connection
    if (message.length === 0) return session.sendPrepared(this, emptyAnswer)
    const framed = Buffer.allocUnsafe(5 + message.length)
    framed[0] = 0
    framed.writeUInt32BE(message.length, 1)
    framed.set(message, 5)
    session.send(this, { head: packedHead, body: framed, trailers: succeeded })
  }

  /** Answers with an error. */
  fail(status: RpcStatus): void {
    this.#fail(status, [])
  }

  /** Answers with an error for what is wrong with the call, or has no room, and has it counted. */
  turnAway(refusal: Refusal, status = statusOf(refusal), more: readonly (readonly [string, string])[] = []): void {
    if (this.#state === 'ended') return
    this.#dismiss(refusal, grpcCodeName(status.code))
    this.#fail(status, more)
  }

  #dismiss(refusal: Refusal, status: string): void {
    const { kind, message, firstBytes } = refusal
    const what = { kind, status, message, firstBytes }
    this.#server.admission.turnAway(what, this.share, this.head.get('user-agent'), this.#intake.received)
  }

  #fail(status: RpcStatus, more: readonly (readonly [string, string])[]): void {
    if (!this.#end(status.message.length)) return
    const headers: (readonly [string, string])[] = [
      ...answerHead,
      ['grpc-status', String(status.code)],
      ['grpc-message', percentEncode(status.message)],
      ...more,
    ]
    if (status.retryDelay !== undefined) {
      headers.push(['grpc-status-details-bin', encodeStatus(status).toString('base64').replace(/=+$/, '')])
    }
    this.#connection.session.send(this, { head: packHeaders(headers), body: undefined, trailers: undefined })
  }

  /** The body cannot be had, or the deadline has passed. */
  refused(refusal: Refusal): void {
    if (this.#state === 'ended') return
    this.turnAway(refusal)
    this.cancelled()
  }

  /** Nobody waits any more. */
  cancelled(): void {
    const { onCancel } = this
    this.onCancel = undefined
    onCancel?.()
  }

  received(bytes: Buffer, from: number, to: number): void {
    if (this.#state !== 'reading') return this.#discard()
    let at = from
    if (this.#prefixed < 5) {
      at = this.#readPrefix(bytes, from, to)
      if (this.#prefixed < 5) return
      const refusal = this.#intake.expect(this.#size)
      if (refusal) return this.refused(refusal)
      if (at === to) return
    }
    const refusal = this.#intake.add(bytes.subarray(at, to), 0)
    if (refusal) this.refused(refusal.kind === 'malformed' ? this.#tooMuch() : refusal)
  }

  /** There is something behind the message. */
  #tooMuch(): Refusal {
    const message = `a call has one message: something follows the first, of ${this.#size} bytes`
    return { kind: 'malformed', message }
  }

  /** Takes what `bytes` have of the prefix and returns where they go on. */
  #readPrefix(bytes: Buffer, from: number, to: number): number {
    let at = from
    for (; at < to && this.#prefixed < 5; at++, this.#prefixed++) {
      if (this.#prefixed === 0) this.#compressed = bytes[at]
      else this.#size = this.#size * 256 + bytes[at]
    }
    return at
  }

  /** More came that is thrown away. */
  #discard(): void {
    if (this.#state === 'unwanted' && this.arrived > this.#server.admission.maxBody) this.#handler?.(this)
  }

  completed(): void {
    if (this.#state !== 'reading') {
      if (this.#state === 'unwanted') this.#handler?.(this)
      return
    }
    if (this.#asked !== undefined) {
      this.#isComplete = true
      return
    }
    if (this.#prefixed < 5) {
      const message =
        this.#prefixed === 0 ? 'call without a message' : 'the five bytes in front of a message are cut off'
      return this.refused({ kind: 'malformed', message })
    }
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

  closed(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#connection.ended()
    const isAnswered = this.#state === 'ended'
    if (!isAnswered) {
      this.#dismiss(gaveUp, unanswered)
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
    this.#server.admission.count('unread', this.#connection.share)
    this.#connection.session.reset(this, ErrorCode.CANCEL)
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
    return !this.isClosed
  }

  #unknownEncoding(name: string): void {
    const message = `grpc-encoding ${shownText(name)} is not supported; use ${acceptedEncodings}`
    this.turnAway({ kind: 'unserved', message }, undefined, [['grpc-accept-encoding', acceptedEncodings]])
  }
}

const gaveUp: Refusal = { kind: 'cancelled', message: 'its sender went away before it was answered' }
const acceptedEncodings = 'identity,gzip,deflate,zstd,snappy'

const units: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds of `grpc-timeout`; Infinity without one, undefined when it is malformed. */
function timeoutOf(head: RequestHead): number | undefined {
  const text = head.get('grpc-timeout')
  if (text === undefined) return Infinity
  if (!/^\d{1,8}[HMSmun]$/.test(text)) return undefined
  return Number(text.slice(0, -1)) * units[text[text.length - 1]]
}

/** grpc-message: what is not printable ASCII as the percent-encoded bytes of UTF-8. */
function percentEncode(text: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(text)) return text
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]+/g, part => encodeURIComponent(part))
}
