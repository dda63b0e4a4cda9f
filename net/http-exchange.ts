/** One HTTP request with a body of bytes, and its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Identity } from '../core/auth.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { encodeStatusJson } from '../proto/json-answer.ts'
import { encodeStatus, GrpcCode, type RpcStatus } from '../proto/status.ts'
import { type Admission, readAhead, type Refusal } from './admission.ts'
import { type AuthRefusal, type Doorman, headerOf, isPending, isRefusal, type PendingAnswer } from './auth.ts'
import { type Encoding, encodingOf } from './compression.ts'
import type { Cors } from './cors.ts'
import { maxHeaders } from './header-limits.ts'
import { answerTo, retryAfter } from './http-refusal.ts'
import { Intake, type IntakeOwner } from './intake.ts'
import type { ConnectionShare } from './occupancy.ts'

/** What a body is written in. Answers are written in the same. */
export interface Format {
  /** Media type, without parameters. */
  readonly type: string
  encodeStatus(status: RpcStatus): Buffer
}

export const protobufFormat: Format = { type: 'application/x-protobuf', encodeStatus }
export const jsonFormat: Format = { type: 'application/json', encodeStatus: encodeStatusJson }

/** One connection and what its requests carry. */
export interface HttpConnection<C> {
  /** What it takes up of the listener. */
  readonly share: ConnectionShare
  readonly context: C
  readonly peer: string
}

/** What a server's exchanges share. */
export interface HttpTerms {
  readonly admission: Admission
  readonly log: Logger
  /** Headers of every answer, by name and value in turn. */
  readonly headers: readonly string[]
  /** Names of content encodings to accept. */
  readonly encodings: ReadonlySet<string>
  readonly cors: Cors | undefined
  readonly doorman: Doorman | undefined
  /** Parameters of the URL that stand for headers when the sender is authenticated. */
  readonly authParameters: readonly string[]
  /** Milliseconds an answer may take; Infinity for no limit. */
  readonly answerTimeout: number
  /** Connections end after the current answer. */
  lastAnswers: boolean
}

/** How long what a refused sender still sends is thrown away, so that it gets to read the answer. */
const lingering = 1000

const exchangeKey = Symbol('exchange')
interface ExchangeMessage extends IncomingMessage {
  [exchangeKey]?: HttpExchange<unknown>
}
interface ExchangeResponse extends ServerResponse {
  [exchangeKey]?: HttpExchange<unknown>
}

const nothing = Buffer.alloc(0)

/** One request: read, handled, answered once. */
export class HttpExchange<C> implements IntakeOwner {
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
  readonly #connection: HttpConnection<C>
  readonly #request: IncomingMessage
  readonly #intake: Intake
  #response: ServerResponse | undefined
  #next: (() => void) | undefined
  #encoding: Encoding | undefined
  #refusal: { status: number; body: RpcStatus; headers?: string[] } | undefined
  #state: 'reading' | 'handled' | 'ended' = 'reading'
  /** The answer that says whether the sender may come in, while it is waited for. */
  #asked: PendingAnswer | undefined

  constructor(terms: HttpTerms, connection: HttpConnection<C>, request: IncomingMessage, format: Format) {
    this.format = format
    this.#terms = terms
    this.#connection = connection
    this.#request = request
    this.#intake = new Intake(terms.admission, connection.share, this, terms.answerTimeout)
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
    const raw = this.#request.rawHeaders
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i].toLowerCase()
      const values = map.get(name)
      if (values === undefined) map.set(name, [raw[i + 1]])
      else values.push(raw[i + 1])
    }
    return map
  }

  /** Reads the body, then calls `next`: also when it is refused, which `handle` then answers; not when the sender is gone. */
  read(next: () => void): void {
    this.#next = next
    const { headers, url, rawHeaders, socket } = this.#request
    const refusal = this.#intake.begin(rawHeaders)
    if (refusal) {
      if (this.#intake.isVain) socket.destroy()
      return this.refused(refusal)
    }
    if (!this.#checkHead()) return next()
    const { doorman, authParameters } = this.#terms
    if (doorman === undefined) return this.#readBody()
    const answer = doorman.ask(headerOf(headers, authParameters, url), this.#connection.peer)
    if (isPending(answer)) this.#wait(answer)
    else if (this.#decide(answer)) this.#readBody()
    else next()
  }

  /** Reads the body of a sender that may come in. */
  #readBody(): void {
    const request: ExchangeMessage = this.#request
    const { 'content-encoding': encoding, 'content-length': length } = request.headers
    if (!this.#checkEncoding(encoding)) return this.#next?.()
    if (length !== undefined) {
      const refusal = this.#intake.expect(Number(length))
      if (refusal) return this.refused(refusal)
    }
    this.#attend()
    request.on('data', onData)
    request.on('end', onEnd)
  }

  /** Hears when the sender is gone. */
  #attend(): void {
    const request: ExchangeMessage = this.#request
    if (request[exchangeKey] !== undefined) return
    request[exchangeKey] = this
    request.on('error', ignore)
    request.on('close', onRequestClose)
  }

  /** Whether there are not too many headers. Their size is limited by Node. */
  #checkHead(): boolean {
    if (this.#request.rawHeaders.length <= 2 * maxHeaders) return true
    const message = `a request may have ${maxHeaders} headers`
    this.#refusal = { status: 431, body: { code: GrpcCode.INVALID_ARGUMENT, message } }
    return false
  }

  /** Leaves the body where it is until it is known whether anybody wants it; what Node reads ahead of us is charged. */
  #wait(answer: PendingAnswer): void {
    this.#asked = answer
    const refusal = this.#intake.hold(readAhead)
    if (refusal) return this.refused(refusal)
    this.#attend()
    answer.whenTold(told => {
      this.#asked = undefined
      this.#intake.hold(0)
      if (this.#decide(told)) this.#readBody()
      else this.#next?.()
    })
  }

  /** Whether `answer` lets the sender in. */
  #decide(answer: Identity | AuthRefusal): boolean {
    if (!isRefusal(answer)) {
      this.auth = answer
      return true
    }
    const { kind, challenge } = answer
    this.#terms.admission.count(kind, this.#connection.share)
    const headers = challenge === undefined ? [] : ['www-authenticate', challenge]
    this.#refusal = { ...answerTo(answer), headers }
    return false
  }

  /** Whether the encoding is accepted. */
  #checkEncoding(name: string | undefined): boolean {
    if (name === undefined || name === '' || name === 'identity') return true
    const { encodings } = this.#terms
    this.#encoding = encodings.has(name.toLowerCase()) ? encodingOf(name) : undefined
    if (this.#encoding !== undefined) return true
    const known = [...encodings].filter(encoding => encoding !== '').join(', ') || 'identity'
    this.#refusal = {
      status: 415,
      body: {
        code: GrpcCode.UNIMPLEMENTED,
        message: `content-encoding ${name} is not supported; use ${known}`,
      },
      headers: ['accept-encoding', known],
    }
    return false
  }

  /** Lets `handler` have the body, or answers for what was refused. */
  handle(response: ServerResponse, handler: (exchange: HttpExchange<C>) => void): void {
    const own: ExchangeResponse = response
    own[exchangeKey] = this
    this.#response = response
    response.on('close', onResponseClose)
    if (this.#refusal) return this.#answerRefusal(this.#refusal)
    if (response.destroyed || response.socket?.destroyed) return this.#cancel()
    this.charge = this.#intake.take()
    this.#state = 'handled'
    try {
      handler(this)
    } catch (error) {
      this.#terms.log.error({ error: messageOf(error) }, 'a request could not be handled')
      this.fail(500, { code: GrpcCode.INTERNAL, message: 'internal error' })
    }
  }

  /** Gives up what was read; somebody else answers. */
  discard(): void {
    this.#end(0)
    this.#intake.close()
  }

  /** Answers with success. */
  reply(body: Buffer): void {
    this.#answer(200, body, undefined)
  }

  /** Answers with an error as a google.rpc.Status. */
  fail(status: number, body: RpcStatus): void {
    this.#answer(status, this.format.encodeStatus(body), retryAfter(body))
  }

  #answer(status: number, body: Buffer, more: readonly string[] | undefined): void {
    const response = this.#response
    if (!this.#end(body.length) || response === undefined || response.destroyed) return
    const { headers: always, cors, lastAnswers } = this.#terms
    const headers = ['content-type', this.format.type, 'content-length', String(body.length)]
    if (more !== undefined) headers.push(...more)
    if (always.length > 0) headers.push(...always)
    if (cors !== undefined) headers.push(...cors.answer(this.#request.headers.origin))
    if (lastAnswers) response.shouldKeepAlive = false
    response.writeHead(status, headers)
    if (body.length === 0) response.end()
    else response.end(body)
  }

  #answerRefusal({ status, body, headers }: { status: number; body: RpcStatus; headers?: string[] }): void {
    const { socket } = this.#request
    if (this.#request.complete || this.#response?.socket !== socket) {
      this.#answer(status, this.format.encodeStatus(body), [...(retryAfter(body) ?? []), ...(headers ?? [])])
      if (!this.#request.complete) socket.destroy()
      return
    }
    if (!this.#end(0)) return
    // The sender is still sending. It is told at once, and the connection ends; what comes until it notices is thrown
    // away, because a reset would overtake the answer.
    const message = this.format.encodeStatus(body)
    const lines = [`HTTP/1.1 ${status} Refused`, 'connection: close', `content-type: ${this.format.type}`]
    const more = [...(retryAfter(body) ?? []), ...(headers ?? []), 'content-length', String(message.length)]
    for (let i = 0; i < more.length; i += 2) lines.push(`${more[i]}: ${more[i + 1]}`)
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    socket.end(message)
    this.#request.resume()
    setTimeout(() => socket.destroy(), lingering).unref()
  }

  /** The body cannot be had, or the answer took too long. */
  refused(refusal: Refusal): void {
    if (this.#state === 'ended' || this.#refusal) return
    this.#terms.admission.count(refusal.kind, this.#connection.share)
    const answer = answerTo(refusal)
    if (this.#state === 'handled') {
      this.#answer(answer.status, this.format.encodeStatus(answer.body), retryAfter(answer.body))
      this.#cancel()
      return
    }
    this.#refusal = answer
    this.#asked?.cancel()
    this.#intake.answered()
    this.#next?.()
  }

  /** Data of the request. */
  received(chunk: Buffer): void {
    if (this.#state !== 'reading' || this.#refusal) return
    const refusal = this.#intake.add(chunk, 0)
    if (refusal) this.refused(refusal)
  }

  /** The request has ended. */
  completed(): void {
    if (this.#state !== 'reading' || this.#refusal) return
    const body = this.#intake.finish()
    if (!Buffer.isBuffer(body)) return this.refused(body)
    if (this.#encoding === undefined || body.length === 0) {
      this.body = body
      this.#next?.()
      return
    }
    this.#intake.inflate(this.#encoding, body, result => {
      if (this.#state !== 'reading' || this.#refusal) return
      if (!Buffer.isBuffer(result)) return this.refused(result)
      this.body = result
      this.#next?.()
    })
  }

  /** The request is over; without its end, the sender is gone. */
  requestClosed(): void {
    const isWaited = this.#asked !== undefined || !this.#request.complete
    if (this.#state === 'reading' && isWaited && !this.#refusal) this.#cancel()
  }

  /** The response is over, written or not. */
  responseClosed(): void {
    if (this.#state !== 'ended') this.#cancel()
    this.#intake.close()
  }

  /** The connection is gone. */
  gone(): void {
    if (this.#state !== 'ended') this.#cancel()
  }

  #cancel(): void {
    if (this.#end(0)) this.#terms.admission.refusals.cancelled++
    const { onCancel } = this
    this.onCancel = undefined
    // Where it was answered that its time is over, the answer has yet to be taken.
    if (this.#response === undefined || this.#response.destroyed || this.#response.closed) this.#intake.close()
    onCancel?.()
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

function ignore(): void {}
function onData(this: ExchangeMessage, chunk: Buffer): void {
  this[exchangeKey]?.received(chunk)
}
function onEnd(this: ExchangeMessage): void {
  this[exchangeKey]?.completed()
}
function onRequestClose(this: ExchangeMessage): void {
  this[exchangeKey]?.requestClosed()
}
function onResponseClose(this: ExchangeResponse): void {
  this[exchangeKey]?.responseClosed()
}
