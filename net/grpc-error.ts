/** What a failed gRPC call is told as, and how a server's answer is read for it. */
import { decodeStatus, GrpcCode, grpcCodeName } from '../proto/status.ts'

/** Who said that the call failed. */
export type Answered =
  /** The server, with a gRPC status. */
  | 'grpc'
  /** Something that speaks HTTP but not gRPC: a proxy, another kind of server. */
  | 'http'
  /** Nobody: the connection, the deadline or the caller ended it. */
  | 'no'

/** A call that did not end with OK. */
export class GrpcError extends Error {
  override name = 'GrpcError'
  /** One of `GrpcCode`. */
  readonly code: number
  /** RetryInfo of the answer, in milliseconds. */
  readonly retryDelay: number | undefined
  /** Whether the request may have reached the server. */
  readonly sent: boolean
  readonly answered: Answered

  constructor(
    code: number,
    message: string,
    more: { retryDelay?: number | undefined; sent?: boolean; answered?: Answered; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.retryDelay = more.retryDelay
    this.answered = more.answered ?? 'no'
    this.sent = more.sent ?? this.answered === 'grpc'
  }

  /** The code's name. */
  get status(): string {
    return grpcCodeName(this.code)
  }
}

/** Headers or trailers by name. */
export type AnswerHeaders = Readonly<Record<string, string | undefined>>

/** Undoes the percent-encoding of `grpc-message`; what is not encoded as it should be stays as it is. */
export function decodeGrpcMessage(text: string): string {
  if (!text.includes('%')) return text
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}

/** The error that trailers tell of; undefined when they say OK, or nothing at all. */
export function errorOfTrailers(trailers: AnswerHeaders): GrpcError | undefined {
  const status = trailers['grpc-status']
  if (status === undefined || status === '0') return undefined
  const code = /^\d+$/.test(status) ? Number(status) : GrpcCode.UNKNOWN
  const details = trailers['grpc-status-details-bin']
  const decoded = details === undefined ? undefined : decodeStatus(Buffer.from(details, 'base64'))
  const message = decodeGrpcMessage(trailers['grpc-message'] ?? '') || decoded?.message || 'no message'
  return new GrpcError(code > GrpcCode.UNAUTHENTICATED ? GrpcCode.UNKNOWN : code, message, {
    retryDelay: decoded?.retryDelay,
    answered: 'grpc',
  })
}

/** Codes for HTTP statuses of servers that do not speak gRPC, from gRPC's "HTTP to gRPC Status Code Mapping". */
const httpCodes: Readonly<Record<number, number>> = {
  400: GrpcCode.INTERNAL,
  401: GrpcCode.UNAUTHENTICATED,
  403: GrpcCode.PERMISSION_DENIED,
  404: GrpcCode.UNIMPLEMENTED,
  429: GrpcCode.UNAVAILABLE,
  502: GrpcCode.UNAVAILABLE,
  503: GrpcCode.UNAVAILABLE,
  504: GrpcCode.UNAVAILABLE,
}

/** The error of an answer that is not gRPC's. */
export function errorOfHttp(status: number, contentType: string | undefined, body: Buffer | undefined): GrpcError {
  const text = body
    ?.toString('latin1', 0, 200)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
  const what = `HTTP ${status}${contentType ? `, ${contentType}` : ''}${text ? `: ${text}` : ''}`
  return new GrpcError(httpCodes[status] ?? GrpcCode.UNKNOWN, `the answer is not gRPC (${what})`, { answered: 'http' })
}

/** Codes for streams that ended by RST_STREAM, from gRPC's "HTTP2 Transport Mapping"; others are INTERNAL. */
const resetCodes: Readonly<Record<number, number>> = {
  7: GrpcCode.UNAVAILABLE, // REFUSED_STREAM
  8: GrpcCode.CANCELLED, // CANCEL
  11: GrpcCode.RESOURCE_EXHAUSTED, // ENHANCE_YOUR_CALM
  12: GrpcCode.PERMISSION_DENIED, // INADEQUATE_SECURITY
}

/** The error of a stream that the server ended without an answer. */
export function errorOfReset(rstCode: number): GrpcError {
  if (rstCode === 0)
    return new GrpcError(GrpcCode.INTERNAL, 'the server ended the answer without a status', { sent: true })
  return new GrpcError(
    resetCodes[rstCode] ?? GrpcCode.INTERNAL,
    `the server reset the stream (HTTP/2 code ${rstCode})`,
    {
      sent: true,
    },
  )
}
