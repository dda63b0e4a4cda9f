/** What a sender over HTTP hears of a request that is refused. */
import { GrpcCode, type RpcStatus } from '../proto/status.ts'
import type { RefusalKind } from './admission.ts'

/** The HTTP status of what is refused. */
export const statusOf: Record<RefusalKind, number> = {
  too_large: 413,
  memory: 503,
  slow: 503,
  malformed: 400,
  cancelled: 503,
  denied: 401,
  unready: 503,
  connections: 503,
  requests: 503,
  peer: 429,
  unread: 503,
  flood: 503,
}

/** The code in the google.rpc.Status that is its body. */
export const codeOf: Record<RefusalKind, number> = {
  too_large: GrpcCode.RESOURCE_EXHAUSTED,
  memory: GrpcCode.UNAVAILABLE,
  slow: GrpcCode.UNAVAILABLE,
  malformed: GrpcCode.INVALID_ARGUMENT,
  cancelled: GrpcCode.DEADLINE_EXCEEDED,
  denied: GrpcCode.UNAUTHENTICATED,
  unready: GrpcCode.UNAVAILABLE,
  connections: GrpcCode.UNAVAILABLE,
  requests: GrpcCode.UNAVAILABLE,
  peer: GrpcCode.RESOURCE_EXHAUSTED,
  unread: GrpcCode.UNAVAILABLE,
  flood: GrpcCode.UNAVAILABLE,
}

/** The header that says when to come again: it has whole seconds, and 0 would say at once. */
export function retryAfter({ retryDelay }: RpcStatus): string[] | undefined {
  return retryDelay === undefined ? undefined : ['retry-after', String(Math.max(1, Math.ceil(retryDelay / 1000)))]
}
