/** What a sender over gRPC hears of a request that is refused. */
import { GrpcCode, type RpcStatus } from '../proto/status.ts'
import { memoryRetryDelay, type Refusal, type RefusalKind } from './admission.ts'

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
}

/** The status of the answer. */
export function statusOf({ kind, message }: Refusal): RpcStatus {
  const code = codeOf[kind]
  return code === GrpcCode.UNAVAILABLE ? { code, message, retryDelay: memoryRetryDelay } : { code, message }
}
