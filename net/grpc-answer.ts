/** The answer of one unary call, as its stream brings it: read, and told as a message or an error. */
import { messageOf } from '../core/errors.ts'
import { GrpcCode } from '../proto/status.ts'
import { encodingOf } from './compression.ts'
import { type AnswerHeaders, errorOfHttp, errorOfReset, errorOfTrailers, GrpcError } from './grpc-error.ts'
import { answerLimit } from './grpc-session.ts'
import { ClientStream } from './http2/client-stream.ts'
import { ErrorCode } from './http2/protocol.ts'
import { inflateSmall } from './inflation.ts'

const prefixSize = 5
const nothing = Buffer.alloc(0)

/** Whom it is for. */
export interface AnswerOwner {
  /** More came than is read. */
  tooLong(answer: GrpcAnswer): void
  /** The stream is gone, and what came is all. */
  ended(answer: GrpcAnswer): void
}

/** See above. */
export class GrpcAnswer extends ClientStream {
  readonly #owner: AnswerOwner
  #head: AnswerHeaders | undefined
  #trailers: AnswerHeaders | undefined
  #chunks: Buffer[] | undefined
  #size = 0

  constructor(owner: AnswerOwner) {
    super()
    this.#owner = owner
  }

  /** Whether the server has said that it did not look at the request, or it never left. */
  get isRefused(): boolean {
    return !this.isAnswered && (!this.isHeadSent || this.resetCode === ErrorCode.REFUSED_STREAM)
  }

  answered(raw: readonly string[], isLast: boolean): void {
    this.#head = headersOf(raw)
    if (isLast) this.#trailers = this.#head
  }

  received(bytes: Buffer, from: number, to: number): void {
    this.#size += to - from
    if (this.#size > answerLimit + prefixSize) return this.#owner.tooLong(this)
    // A copy, because what was read from the socket is used again.
    const chunk = Buffer.from(bytes.subarray(from, to))
    if (this.#chunks === undefined) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
  }

  trailed(raw: readonly string[]): void {
    this.#trailers = headersOf(raw)
  }

  closed(): void {
    this.#owner.ended(this)
  }

  /** What came; `lost` says how the connection was lost, if it was. */
  read(lost: string | undefined): Buffer | GrpcError {
    const head = this.#head
    const trailers = this.#trailers ?? head
    // A status counts wherever it stands, also when the stream was reset behind it.
    if (trailers?.['grpc-status'] !== undefined) return errorOfTrailers(trailers) ?? this.#message()
    if (head === undefined || !this.isWhole) return this.#broken(lost)
    const contentType = head['content-type']
    if (head[':status'] !== '200' || contentType?.startsWith('application/grpc') !== true) {
      return errorOfHttp(Number(head[':status']), contentType, this.#body())
    }
    return errorOfReset(0)
  }

  /** The error of a stream that ended before its answer. */
  #broken(lost: string | undefined): GrpcError {
    const isRefused = this.isRefused
    if (lost !== undefined) return new GrpcError(GrpcCode.UNAVAILABLE, lost, { sent: !isRefused })
    if (isRefused) return new GrpcError(GrpcCode.UNAVAILABLE, 'the server refuses new streams', { sent: false })
    return errorOfReset(this.resetCode ?? ErrorCode.INTERNAL_ERROR)
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

/** Headers by name; of one that is repeated the first counts. */
function headersOf(raw: readonly string[]): AnswerHeaders {
  const headers: Record<string, string> = { __proto__: null } as unknown as Record<string, string>
  for (let i = 0; i + 1 < raw.length; i += 2) headers[raw[i]] ??= raw[i + 1]
  return headers
}
