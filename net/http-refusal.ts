/** What a sender over HTTP hears of a request that is refused. */
import { GrpcCode, type RpcStatus } from '../proto/status.ts'
import { memoryRetryDelay } from './admission.ts'
import type { Refusal, RefusalKind } from './refusal.ts'
import { codeOf as grpcCodeOf, neverAnswered } from './grpc-refusal.ts'

/** The HTTP status of what is refused. */
const statusOf: Record<RefusalKind, number> = {
  too_large: 413,
  memory: 503,
  slow: 503,
  malformed: 400,
  cancelled: 503,
  denied: 401,
  unready: 503,
  unserved: 404,
  handshake: 503,
  connections: 503,
  requests: 503,
  peer: 429,
  unread: 503,
  flood: 503,
  rejected: 400,
  queue_full: 503,
  storage: 503,
  stopping: 503,
  undelivered: 503,
}

/** The code in the google.rpc.Status that is its body: as over gRPC, but for what has a status of its own here. */
const codeOf: Record<RefusalKind, number> = { ...grpcCodeOf, peer: GrpcCode.RESOURCE_EXHAUSTED }

/** How each kind is answered, as text. */
export function statusNumbers(): Partial<Record<RefusalKind, string>> {
  const answered = (Object.keys(statusOf) as RefusalKind[]).filter(kind => !neverAnswered.includes(kind))
  return Object.fromEntries(answered.map(kind => [kind, String(statusOf[kind])]))
}

/** Status and body of the answer. */
export function answerTo({ kind, message }: Refusal): { status: number; body: RpcStatus } {
  const status = statusOf[kind]
  const body = { code: codeOf[kind], message }
  return { status, body: status === 503 || status === 429 ? { ...body, retryDelay: memoryRetryDelay } : body }
}

/** The header that says when to come again: it has whole seconds, and 0 would say at once. */
export function retryAfter({ retryDelay }: RpcStatus): string[] | undefined {
  return retryDelay === undefined ? undefined : ['retry-after', String(Math.max(1, Math.ceil(retryDelay / 1000)))]
}
