/** One unary call: sent on a stream, read from its answer, settled once. */
import { timerWait } from '../core/clock.ts'
import type { ClientHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'
import { messageOf } from '../core/errors.ts'
import { encodingOf } from './compression.ts'
import { GrpcCode } from '../proto/status.ts'
import { type AnswerHeaders, errorOfHttp, errorOfReset, errorOfTrailers, GrpcError } from './grpc-error.ts'
import type { GrpcSession } from './grpc-session.ts'
import { inflateSmall } from './inflation.ts'

/** Longest answer that is read, as OTLP recommends. */
const answerLimit = 4 * 1024 * 1024
/** How often one call is started anew because the server said that it did not look at it. */
const restarts = 5
const prefixSize = 5
const END_STREAM = 1
const nothing = Buffer.alloc(0)

/** What a call needs of the client it belongs to. */
export interface CallOwner {
  /** The server did not take the call on that session: find it another. */
  restart(call: GrpcCall): void
  /** The call waits for a session no more. */
  forget(call: GrpcCall): void
}

/** A call, from when it was asked for until it is settled. */
export class GrpcCall {
  readonly frame: Buffer
  readonly headers: Record<string, string>
  readonly resolve: (message: Buffer) => void
  readonly reject: (error: GrpcError) => void
  settled = false
  readonly #owner: CallOwner
  readonly #abort: AbortSignal | undefined
  readonly #onAbort: (() => void) | undefined
  readonly #timer: NodeJS.Timeout | undefined
  #restarts = restarts
  #session: GrpcSession | undefined
  #stream: ClientHttp2Stream | undefined
  #head: AnswerHeaders | undefined
  #trailers: AnswerHeaders | undefined
  #chunks: Buffer[] | undefined
  #size = 0
  #error: Error | undefined

  constructor(
    owner: CallOwner,
    frame: Buffer,
    headers: Record<string, string>,
    more: { timeout?: number | undefined; abort?: AbortSignal | undefined },
    resolve: (message: Buffer) => void,
    reject: (error: GrpcError) => void,
  ) {
    this.#owner = owner
    this.frame = frame
    this.headers = headers
    this.resolve = resolve
    this.reject = reject
    const { timeout, abort } = more
    if (timeout) {
      this.#timer = setTimeout(() => {
        if (this.#stream) this.#session?.probe()
        this.#stop(new GrpcError(GrpcCode.DEADLINE_EXCEEDED, `no answer within ${timeout}ms`, { sent: this.#isSent() }))
      }, timerWait(timeout))
    }
    if (abort) {
      this.#abort = abort
      this.#onAbort = () => {
        this.#stop(
          new GrpcError(GrpcCode.CANCELLED, messageOf(abort.reason), { sent: this.#isSent(), cause: abort.reason }),
        )
      }
      abort.addEventListener('abort', this.#onAbort)
    }
  }

  /** Sends the request on `session`. */
  start(session: GrpcSession): void {
    this.#head = this.#trailers = this.#chunks = this.#error = undefined
    this.#size = 0
    const stream = session.open(this.headers)
    this.#session = session
    this.#stream = stream
    stream.on('response', (headers: AnswerHeaders, flags: number) => {
      this.#head = headers
      if (flags & END_STREAM) this.#trailers = headers
    })
    stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    stream.on('trailers', (headers: AnswerHeaders) => {
      this.#trailers = headers
    })
    stream.on('error', error => {
      this.#error = error
    })
    // A server may answer before it has read all; then nobody needs the rest.
    stream.on('end', () => {
      if (!stream.writableFinished && this.#trailers) stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('close', () => {
      session.closed(this.#head !== undefined)
      if (this.#stream === stream) this.#onClose(stream, session)
    })
    stream.end(this.frame)
  }

  /** Ends the call with `error`. */
  fail(error: GrpcError): void {
    if (this.#settle()) this.reject(error)
  }

  #onData(chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > answerLimit + prefixSize) {
      this.#stop(
        new GrpcError(GrpcCode.INTERNAL, `the answer is longer than ${answerLimit} bytes`, { answered: 'grpc' }),
      )
      return
    }
    if (this.#chunks) this.#chunks.push(chunk)
    else this.#chunks = [chunk]
  }

  #isSent(): boolean {
    return this.#stream?.id !== undefined
  }

  /** Ends the call before its stream has ended. */
  #stop(error: GrpcError): void {
    const stream = this.#stream
    this.#stream = undefined
    this.#owner.forget(this)
    this.fail(error)
    // What is being written is no more of use; close() would first wait for it.
    stream?.close(constants.NGHTTP2_CANCEL)
  }

  #settle(): boolean {
    if (this.settled) return false
    this.settled = true
    clearTimeout(this.#timer)
    if (this.#onAbort) this.#abort?.removeEventListener('abort', this.#onAbort)
    return true
  }

  #onClose(stream: ClientHttp2Stream, session: GrpcSession): void {
    this.#stream = undefined
    if (this.settled) return
    if (this.#head === undefined && session.refused(stream) && this.#restarts > 0) {
      this.#restarts--
      this.#owner.restart(this)
      return
    }
    const answer = this.#read(stream, session)
    if (answer instanceof GrpcError) this.fail(answer)
    else if (this.#settle()) this.resolve(answer)
  }

  #read(stream: ClientHttp2Stream, session: GrpcSession): Buffer | GrpcError {
    const head = this.#head
    const trailers = this.#trailers ?? (head && head['grpc-status'] !== undefined ? head : undefined)
    // A status counts wherever it stands, also when the stream was reset behind it.
    if (trailers && trailers['grpc-status'] !== undefined) return errorOfTrailers(trailers) ?? this.#message()
    if (head === undefined || stream.rstCode !== 0 || this.#error) return this.#broken(stream, session)
    const type = head['content-type']
    const contentType = typeof type === 'string' ? type : undefined
    if (head[':status'] !== 200 || !contentType?.startsWith('application/grpc')) {
      return errorOfHttp(Number(head[':status']), contentType, this.#body())
    }
    return errorOfReset(0)
  }

  /** The error of a stream that ended before its answer. */
  #broken(stream: ClientHttp2Stream, session: GrpcSession): GrpcError {
    const refused = session.refused(stream)
    const lost = session.lost
    if (lost !== undefined) return new GrpcError(GrpcCode.UNAVAILABLE, lost, { sent: !refused, cause: this.#error })
    if (refused) return new GrpcError(GrpcCode.UNAVAILABLE, 'the server refuses new streams', { sent: false })
    return errorOfReset(stream.rstCode ?? constants.NGHTTP2_INTERNAL_ERROR)
  }

  #body(): Buffer | undefined {
    const chunks = this.#chunks
    return chunks === undefined || chunks.length === 1 ? chunks?.[0] : Buffer.concat(chunks, this.#size)
  }

  /** The message of a successful answer. An OK without one is taken for an empty one: the data has been taken. */
  #message(): Buffer | GrpcError {
    const body = this.#body()
    if (body === undefined || (body.length === prefixSize && body.readUInt32BE(1) === 0)) return nothing
    const bad = (what: string): GrpcError => new GrpcError(GrpcCode.INTERNAL, what, { answered: 'grpc' })
    if (body.length < prefixSize) return bad('the answer is cut off')
    const length = body.readUInt32BE(1)
    if (length !== body.length - prefixSize)
      return bad(`the answer's prefix says ${length} of ${body.length - prefixSize} bytes`)
    const message = body.subarray(prefixSize)
    if (body[0] === 0) return message
    const name = String(this.#head?.['grpc-encoding'])
    const encoding = encodingOf(name)
    if (encoding === undefined) return bad(`the answer is compressed with \`${name}\`, which was not offered`)
    try {
      // Some servers answer with the compression of the request, whatever is offered.
      return inflateSmall(encoding, message)
    } catch (error) {
      return bad(`the answer cannot be inflated: ${messageOf(error)}`)
    }
  }
}
