/** What the answers of an OTLP destination mean for the data that was sent. */
import type { Batch } from '../core/batch.ts'
import type { Sent } from '../core/component.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'
import type { GrpcError } from '../net/grpc-client.ts'
import type { HttpAnswer, HttpClientError } from '../net/http-client.ts'
import { followedDelay, parseRetryAfter } from '../net/retry-after.ts'
import { decodeResponseJson, decodeStatusJson } from '../proto/json-answer.ts'
import { decodeResponse, type PartialSuccess } from '../proto/response.ts'
import { decodeStatus, GrpcCode, type RpcStatus } from '../proto/status.ts'

/** Media types of OTLP. */
export const protobufType = 'application/x-protobuf'
export const jsonType = 'application/json'

/** The OTLP specification's retryable codes. RESOURCE_EXHAUSTED is one only with RetryInfo. */
const retryable = new Set<number>([
  GrpcCode.CANCELLED,
  GrpcCode.DEADLINE_EXCEEDED,
  GrpcCode.ABORTED,
  GrpcCode.OUT_OF_RANGE,
  GrpcCode.UNAVAILABLE,
  GrpcCode.DATA_LOSS,
])

/** Nothing sent like this will be taken: the credentials or the address are wrong, not the data. */
const denied = new Set<number>([
  GrpcCode.UNAUTHENTICATED,
  GrpcCode.PERMISSION_DENIED,
  GrpcCode.UNIMPLEMENTED,
  GrpcCode.NOT_FOUND,
])

/** A failed gRPC call as a failed delivery. */
export function deliveryErrorOfGrpc(error: GrpcError, endpoint: string): DeliveryError {
  const { code, retryDelay, sent, answered } = error
  const message = `${endpoint}: ${error.status}: ${error.message}`
  const more = { retryAfter: followedDelay(retryDelay), cause: error }
  if (answered === 'no') {
    // Only an answer can end data for good: whatever broke on the way may be whole again next time.
    const timedOut = code === GrpcCode.DEADLINE_EXCEEDED || isTimeout(error.cause)
    return new DeliveryError(timedOut ? 'DELIVERY_TIMEOUT' : 'DELIVERY_UNREACHABLE', 'retry', message, {
      ...more,
      maybeTaken: sent,
    })
  }
  if (retryable.has(code)) {
    // With these the server says that it stopped waiting, not that nothing was done.
    const maybeTaken = code === GrpcCode.DEADLINE_EXCEEDED || code === GrpcCode.CANCELLED
    return new DeliveryError(
      code === GrpcCode.DEADLINE_EXCEEDED ? 'DELIVERY_TIMEOUT' : 'DELIVERY_BUSY',
      'retry',
      message,
      {
        ...more,
        maybeTaken,
      },
    )
  }
  if (code === GrpcCode.RESOURCE_EXHAUSTED) {
    if (retryDelay !== undefined) return new DeliveryError('DELIVERY_BUSY', 'retry', message, more)
    return new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', message, more)
  }
  if (denied.has(code) || answered === 'http') return new DeliveryError('DELIVERY_DENIED', 'denied', message, more)
  return new DeliveryError('DELIVERY_REJECTED', 'rejected', message, more)
}

/** Whether a request was given up because time was up. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

/**
 * What an ExportXServiceResponse says of `batch`; undefined when all was taken.
 * @throws WireError where the bytes are none
 */
export function sentOf(response: Uint8Array, batch: Batch): Sent | undefined {
  return response.length === 0 ? undefined : sentOfPartial(decodeResponse(response), batch)
}

function sentOfPartial(partial: PartialSuccess | undefined, batch: Batch): Sent | undefined {
  if (partial === undefined || (partial.rejected <= 0 && partial.message === '')) return undefined
  return { rejected: Math.min(Math.max(0, partial.rejected), batch.items), message: partial.message }
}

/** An answer that says success in bytes that cannot be read: the data is taken, and sending it again would only double it. */
export function unreadable(error: unknown, endpoint: string): Sent {
  return { rejected: 0, message: `${endpoint}: the answer says success and cannot be read: ${messageOf(error)}` }
}

/** HTTP statuses that the OTLP specification calls retryable. */
const retryableHttp = new Set([429, 502, 503, 504])
const deniedHttp = new Set([401, 403, 404, 405, 407])

const header = (answer: HttpAnswer, name: string): string | undefined => {
  const value = answer.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Media type of an answer without its parameters. */
function mediaType(answer: HttpAnswer): string {
  return (header(answer, 'content-type') ?? '').split(';', 1)[0].trim().toLowerCase()
}

/** What the server says, in short: the message of a Status, or the beginning of a text. */
function explanation(answer: HttpAnswer, status: RpcStatus | undefined): string {
  if (status !== undefined && status.message !== '') return status.message
  const { body } = answer
  if (mediaType(answer) === jsonType) {
    try {
      const parsed: unknown = JSON.parse(body.toString())
      if (typeof parsed === 'object' && parsed !== null && 'message' in parsed && typeof parsed.message === 'string') {
        return parsed.message
      }
    } catch {
      // Then it is shown as what it is.
    }
  }
  return body
    .toString('utf8', 0, 300)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
}

/**
 * What an answer over HTTP means for `batch`, which was sent as `sent`. Of what was taken it is read only where it is in
 * that type, too.
 * @throws DeliveryError when the status is not one of success
 */
export function sentOfHttp(answer: HttpAnswer, batch: Batch, url: string, sent: string): Sent | undefined {
  if (answer.status >= 200 && answer.status < 300) {
    const type = mediaType(answer)
    if (type !== sent) {
      // A page for people under a status of success: whoever answers is likely no OTLP server.
      return type === 'text/html'
        ? { rejected: 0, message: `${url} answered with a web page; is it the right URL?` }
        : undefined
    }
    try {
      return type === jsonType ? sentOfPartial(decodeResponseJson(answer.body), batch) : sentOf(answer.body, batch)
    } catch (error) {
      return unreadable(error, url)
    }
  }
  throw deliveryErrorOfStatus(answer, url)
}

/** The Status that an answer is, if it is one. */
function statusOf(answer: HttpAnswer): RpcStatus | undefined {
  switch (mediaType(answer)) {
    case protobufType:
      return decodeStatus(answer.body)
    case jsonType:
      return decodeStatusJson(answer.body)
    default:
      return undefined
  }
}

function deliveryErrorOfStatus(answer: HttpAnswer, url: string): DeliveryError {
  const { status: code } = answer
  const status = statusOf(answer)
  const text = explanation(answer, status)
  const message = `${url}: HTTP ${code}${text === '' ? '' : `: ${text}`}`
  if (retryableHttp.has(code)) {
    const retryAfter = parseRetryAfter(header(answer, 'retry-after')) ?? followedDelay(status?.retryDelay)
    // A gateway that waited in vain does not know what became of the request.
    return new DeliveryError('DELIVERY_BUSY', 'retry', message, {
      retryAfter,
      maybeTaken: code === 502 || code === 504,
    })
  }
  if (code === 413) return new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', message)
  if (deniedHttp.has(code)) return new DeliveryError('DELIVERY_DENIED', 'denied', message)
  if (code >= 300 && code < 400) {
    const target = header(answer, 'location')
    return new DeliveryError(
      'DELIVERY_DENIED',
      'denied',
      `${url}: HTTP ${code}: redirects are not followed${target ? `; set the endpoint to where it points: ${target}` : ''}`,
    )
  }
  return new DeliveryError('DELIVERY_REJECTED', 'rejected', message)
}

/** A request without an answer as a failed delivery. */
export function deliveryErrorOfHttp(error: HttpClientError, url: string): DeliveryError {
  const timedOut = error.reason === 'timeout' || isTimeout(error.cause)
  const code = timedOut ? 'DELIVERY_TIMEOUT' : 'DELIVERY_UNREACHABLE'
  return new DeliveryError(code, 'retry', `${url}: ${error.message}`, { maybeTaken: error.sent, cause: error })
}
