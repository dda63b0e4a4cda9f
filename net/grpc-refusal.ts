/** What a sender over gRPC hears of a request that is refused. */
import { GrpcCode, grpcCodeName, type RpcStatus } from '../proto/status.ts'
import { memoryRetryDelay } from './admission.ts'
import type { Refusal, RefusalKind } from './refusal.ts'

/** The code of the answer. */
export const codeOf: Record<RefusalKind, number> = {
  too_large: GrpcCode.RESOURCE_EXHAUSTED,
  memory: GrpcCode.UNAVAILABLE,
  slow: GrpcCode.UNAVAILABLE,
  malformed: GrpcCode.INVALID_ARGUMENT,
  cancelled: GrpcCode.DEADLINE_EXCEEDED,
  denied: GrpcCode.UNAUTHENTICATED,
  unready: GrpcCode.UNAVAILABLE,
  unserved: GrpcCode.UNIMPLEMENTED,
  handshake: GrpcCode.UNAVAILABLE,
  connections: GrpcCode.UNAVAILABLE,
  requests: GrpcCode.UNAVAILABLE,
  peer: GrpcCode.UNAVAILABLE,
  unread: GrpcCode.UNAVAILABLE,
  flood: GrpcCode.UNAVAILABLE,
  rejected: GrpcCode.INVALID_ARGUMENT,
  queue_full: GrpcCode.UNAVAILABLE,
  storage: GrpcCode.UNAVAILABLE,
  stopping: GrpcCode.UNAVAILABLE,
  undelivered: GrpcCode.UNAVAILABLE,
}

/** What is never answered: the connection is over, or has not begun. */
export const neverAnswered: readonly RefusalKind[] = [
  'handshake',
  'connections',
  'unread',
  'flood',
  'slow',
  'cancelled',
]

/** How each kind is answered, by the name of its code. */
export function statusNames(): Partial<Record<RefusalKind, string>> {
  const answered = (Object.keys(codeOf) as RefusalKind[]).filter(kind => !neverAnswered.includes(kind))
  return Object.fromEntries(answered.map(kind => [kind, grpcCodeName(codeOf[kind])]))
}

/** The status of the answer. */
export function statusOf({ kind, message }: Refusal): RpcStatus {
  const code = codeOf[kind]
  return code === GrpcCode.UNAVAILABLE ? { code, message, retryDelay: memoryRetryDelay } : { code, message }
}
