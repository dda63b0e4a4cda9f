/** One HTTP request with a body of bytes, and its answer. */
import type { Identity } from '../core/auth.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { HeardKind } from '../core/sender.ts'
import { encodeStatusJson } from '../proto/json-answer.ts'
import { encodeStatus, GrpcCode, type RpcStatus } from '../proto/status.ts'
import type { Admission } from './admission.ts'
import { type AuthRefusal, type Doorman, isPending, isRefusal, type PendingAnswer, withParameters } from './auth.ts'
import { type Encoding, encodingOf } from './compression.ts'
import type { Cors } from './cors.ts'
import type { Connection } from './http1/connection.ts'
import type { Fault } from './http1/fault.ts'
import type { Exchange } from './http1/service.ts'
import { answerTo, retryAfter } from './http-refusal.ts'
import { Intake, type IntakeOwner } from './intake.ts'
import { knownSender } from './occupancy.ts'
import { unanswered } from './reception.ts'
import type { Refusal } from './refusal.ts'
import { shownText } from './shown-text.ts'

/** What a body is written in. Answers are written in the same. */
export interface Format {
  /** Media type, without parameters. */
  readonly type: string
  encodeStatus(status: RpcStatus): Buffer
}

export const protobufFormat: Format = { type: 'application/x-protobuf', encodeStatus }
export const jsonFormat: Format = { type: 'application/json', encodeStatus: encodeStatusJson }

/** What a server's exchanges share. */
export interface HttpTerms {
  readonly admission: Admission
  readonly log: Logger
  /** Names of content encodings to accept. */
  readonly encodings: ReadonlySet<string>
  readonly cors: Cors | undefined
  readonly doorman: Doorman | undefined
  /** Parameters of the URL that stand for headers when the sender is authenticated. */
  readonly authParameters: readonly string[]
  /** Milliseconds an answer may take; Infinity for no limit. */
  readonly answerTimeout: number
}

/** Serves one path. The charge of the body is the handler's from now on. Answers once, with `reply` or `fail`. */
export type HttpHandler<C> = (exchange: HttpExchange<C>) => void

const nothing = Buffer.alloc(0)

const gaveUp: Refusal = { kind: 'cancelled', message: 'its sender went away before it was answered' }

/** One request: read, handled, answered once. */
export class HttpExchange<C> implements IntakeOwner, Exchange {
  /** The body, inflated. */
  body: Buffer = nothing
  /** Bytes charged for it, which the handler takes over. */
  charge = 0
  /** Who sends, where the server asks an authenticator. */
  auth: Identity | undefined
  /** Told when nobody waits for the answer any more; not after an answer. */
  onCancel: (() => void) | undefined
  /** What the body is written in. */
  readonly format: Format
  readonly #terms: HttpTerms
  readonly #connection: Connection<C>
  readonly #handler: HttpHandler<C>
  readonly #intake: Intake
  #encoding: Encoding | undefined
  #state: 'reading' | 'handled' | 'ended' = 'reading'
  /** The answer that says whether the sender may come in, while it is waited for. */
  #asked: PendingAnswer | undefined

  constructor(terms: HttpTerms, connection: Connection<C>, format: Format, handler: HttpHandler<C>) {
    this.format = format
    this.#terms = terms
    this.#connection = connection
    this.#handler = handler
    this.#intake = new Intake(terms.admission, connection.share, this, terms.answerTimeout)
  }

  /** What the connection carries. */
  get context(): C {
    return this.#connection.context
  }

  get peer(): string {
    return this.#connection.peer
  }

  /** The request was taken, with `items`: for those who ask who sends. To be told before the answer. */
  took(how: HeardKind, items: number): void {
    if (this.#state === 'ended') return
    const { share, head } = this.#connection
    const sender = knownSender(share) ?? this.#terms.admission.meet(share, head.header('user-agent'))
    const { received, since } = this.#intake
    // When it came is known; to look at the clock once more would cost more than all of this.
    sender.answered(how, items, received, since)
  }

  /** Request headers by lower-case name. To be asked for before the answer. */
  metadata(): Map<string, string[]> {
    return this.#connection.head.fields()
  }

  /** Reads the body and lets the handler have it, or answers for what is refused. */
  start(): void {
    const { head } = this.#connection
    this.#connection.open(this)
    const refusal = this.#intake.begin(head.size)
    if (refusal) {
      if (this.#intake.isVain) this.#connection.destroy()
      return this.refused(refusal)
    }
    const { doorman, authParameters } = this.#terms
    if (doorman === undefined) return this.#readBody()
    const header = (name: string): string | undefined => head.header(name)
    const answer = doorman.ask(withParameters(header, authParameters, head.query), this.#connection.peer)
    if (isPending(answer)) this.#wait(answer)
    else if (this.#admits(answer)) this.#readBody()
  }

  /** Reads the body of a sender that may come in. */
  #readBody(): void {
    const { contentEncoding, length } = this.#connection.head
    if (contentEncoding !== undefined && !this.#accepts(contentEncoding)) return
    if (length >= 0) {
      const refusal = this.#intake.expect(length)
      if (refusal) return this.refused(refusal)
    }
    this.#connection.readBody()
  }

  /** Leaves the body where it is until it is known whether anybody wants it. */
  #wait(answer: PendingAnswer): void {
    this.#asked = answer
    answer.whenTold(told => {
      this.#asked = undefined
      if (this.#admits(told)) this.#readBody()
    })
  }

  /** Whether `answer` lets the sender in; else it is told so. */
  #admits(answer: Identity | AuthRefusal): boolean {
    if (!isRefusal(answer)) {
      this.auth = answer
      return true
    }
    const { challenge } = answer
    const { status, body } = answerTo(answer)
    this.turnAway(answer, status, body, challenge === undefined ? undefined : ['www-authenticate', challenge])
    return false
  }

  /** Whether the encoding is accepted; else the sender is told which are. */
  #accepts(name: string): boolean {
    if (name === '' || name === 'identity') return true
    const { encodings } = this.#terms
    this.#encoding = encodings.has(name.toLowerCase()) ? encodingOf(name) : undefined
    if (this.#encoding !== undefined) return true
    const known = [...encodings].filter(encoding => encoding !== '').join(', ') || 'identity'
    const message = `content-encoding ${shownText(name)} is not supported; use ${known}`
    const body = { code: GrpcCode.UNIMPLEMENTED, message }
    this.turnAway({ kind: 'unserved', message }, 415, body, ['accept-encoding', known])
    return false
  }

  #handle(): void {
    this.charge = this.#intake.take()
    this.#state = 'handled'
    try {
      this.#handler(this)
    } catch (error) {
      this.#terms.log.error({ error: messageOf(error) }, 'a request could not be handled')
      this.fail(500, { code: GrpcCode.INTERNAL, message: 'internal error' })
    }
  }

  /** Answers with success. */
  reply(body: Buffer): void {
    this.#answer(200, body, undefined)
  }

  /** Answers with an error as a google.rpc.Status. */
  fail(status: number, body: RpcStatus): void {
    this.#refuse(status, body, undefined)
  }

  /** Answers with an error for what is wrong with the request, or has no room, and has it counted. */
  turnAway(refusal: Refusal, status: number, body: RpcStatus, more?: readonly string[]): void {
    if (this.#state === 'ended') return
    this.#dismiss(refusal, String(status))
    this.#refuse(status, body, more)
  }

  #dismiss({ kind, message, firstBytes }: Refusal, status: string): void {
    const what = { kind, status, message, firstBytes }
    const { share, head } = this.#connection
    this.#terms.admission.turnAway(what, share, head.header('user-agent'), this.#intake.received)
  }

  #refuse(status: number, body: RpcStatus, more: readonly string[] | undefined): void {
    const delay = retryAfter(body)
    const headers = delay === undefined ? more : [...delay, ...(more ?? [])]
    this.#answer(status, this.format.encodeStatus(body), headers)
  }

  #answer(status: number, body: Buffer, more: readonly string[] | undefined): void {
    if (!this.#end(body.length)) return
    const { cors } = this.#terms
    const { type } = this.format
    const headers = cors === undefined ? more : [...(more ?? []), ...cors.answer(this.#connection.head.origin)]
    this.#connection.answer({ status, type, body, headers })
  }

  /** The body cannot be had, or the answer took too long. */
  refused(refusal: Refusal): void {
    if (this.#state === 'ended') return
    const { onCancel } = this
    const { status, body } = answerTo(refusal)
    this.turnAway(refusal, status, body)
    this.onCancel = undefined
    onCancel?.()
  }

  /** What comes is no body. */
  malformed({ status, message }: Fault): void {
    if (this.#state !== 'reading') return
    const kind = status === 400 ? 'malformed' : 'too_large'
    this.turnAway({ kind, message }, status, { code: GrpcCode.INVALID_ARGUMENT, message })
  }

  /** A part of the body. False when no more is wanted. */
  received(bytes: Buffer, from: number, to: number): boolean {
    const refusal = this.#intake.add(bytes, from, to)
    if (refusal === undefined) return true
    this.refused(refusal)
    return false
  }

  /** The body has come whole. */
  completed(): void {
    const body = this.#intake.finish()
    if (!Buffer.isBuffer(body)) return this.refused(body)
    if (this.#encoding === undefined || body.length === 0) {
      this.body = body
      return this.#handle()
    }
    this.#intake.inflate(this.#encoding, body, result => {
      if (this.#state !== 'reading') return
      if (!Buffer.isBuffer(result)) return this.refused(result)
      this.body = result
      this.#handle()
    })
  }

  /** The sender is gone. */
  gone(): void {
    if (this.#state === 'ended') return
    this.#dismiss(gaveUp, unanswered)
    this.#end(0)
    const { onCancel } = this
    this.onCancel = undefined
    onCancel?.()
  }

  /** The answer is taken. */
  taken(): void {
    this.#intake.close()
  }

  #end(bytes: number): boolean {
    if (this.#state === 'ended') return false
    this.#state = 'ended'
    this.#asked?.cancel()
    this.#intake.answered(bytes)
    this.body = nothing
    return true
  }
}
