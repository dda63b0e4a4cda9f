/** What the answers of an OTLP destination mean for the data that was sent. */
import type { Batch } from '../core/batch.ts'
import type { Sent } from '../core/component.ts'
import { DeliveryError, messageOf } from '../core/errors.ts'
import type { GrpcError } from '../net/grpc-client.ts'
import type { HttpAnswer } from '../net/http-client.ts'
import { followedDelay } from '../net/retry-after.ts'
import { decodeResponseJson, decodeStatusJson } from '../proto/json-answer.ts'
import { decodeResponse, type PartialSuccess } from '../proto/response.ts'
import { decodeStatus, GrpcCode, type RpcStatus } from '../proto/status.ts'
import { deliveryErrorOfStatus, isTimeout, mediaType } from './http-answer.ts'

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
    if (isTimeout(error.cause)) {
      const text = `${endpoint}: ${error.message}`
      return new DeliveryError('DELIVERY_TIMEOUT', 'retry', text, { ...more, maybeTaken: sent })
    }
    const late = code === GrpcCode.DEADLINE_EXCEEDED ? 'DELIVERY_TIMEOUT' : 'DELIVERY_UNREACHABLE'
    return new DeliveryError(late, 'retry', message, { ...more, maybeTaken: sent })
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
    if (retryDelay !== undefined) {
      return new DeliveryError('DELIVERY_BUSY', 'retry', message, { ...more, isThrottled: true })
    }
    return new DeliveryError('DELIVERY_TOO_LARGE', 'too_large', message, more)
  }
  if (denied.has(code) || answered === 'http') return new DeliveryError('DELIVERY_DENIED', 'denied', message, more)
  return new DeliveryError('DELIVERY_REJECTED', 'rejected', message, more)
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

/**
 * What an answer over HTTP means for `batch`, which was sent as `sent`. Of what was taken it is read only where it is in
 * that type, too.
 * @throws DeliveryError when the status is not one of success
 */
export function sentOfHttp(answer: HttpAnswer, batch: Batch, url: string, sent: string): Sent | undefined {
  if (answer.status >= 200 && answer.status < 300) {
    const type = mediaType(answer)
    if (type !== sent) return undefined
    try {
      return type === jsonType ? sentOfPartial(decodeResponseJson(answer.body), batch) : sentOf(answer.body, batch)
    } catch (error) {
      return unreadable(error, url)
    }
  }
  throw deliveryErrorOfAnswer(answer, url)
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

function deliveryErrorOfAnswer(answer: HttpAnswer, url: string): DeliveryError {
  const status = statusOf(answer)
  const text = status?.message === '' ? undefined : status?.message
  const retryAfter = followedDelay(status?.retryDelay)
  return deliveryErrorOfStatus(answer, url, { retries: code => retryableHttp.has(code), text, retryAfter })
}
