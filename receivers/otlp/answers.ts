/** What senders hear, over gRPC and HTTP. See the table of outcomes in core/delivery.ts. */
import type { Context } from '../../core/batch.ts'
import type { Outcome } from '../../core/delivery.ts'
import type { GrpcHandler, IncomingCall } from '../../net/grpc-server-call.ts'
import type { HttpExchange } from '../../net/http-exchange.ts'
import type { HttpHandler } from '../../net/http-server.ts'
import { encodeResponse } from '../../proto/response.ts'
import type { Signal } from '../../proto/signals.ts'
import { GrpcCode, type RpcStatus } from '../../proto/status.ts'
import { WireError } from '../../proto/wire.ts'
import type { Door } from './door.ts'

/** Milliseconds a refused sender is asked to wait when nothing better is known. */
const defaultDelay = 1000
const empty = Buffer.alloc(0)

/** Serves the Export method of `signal`. */
export function grpcHandler(door: Door, signal: Signal, metadata: boolean): GrpcHandler<Context> {
  return call => {
    try {
      const context = contextOf(call, metadata)
      if (!door.enter(signal, call.body, call.charge, context, call, outcome => answerGrpc(call, outcome))) {
        call.reply(empty)
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      call.fail({ code: GrpcCode.INVALID_ARGUMENT, message: error.message })
    }
  }
}

/** Serves the HTTP path of `signal`. */
export function httpHandler(door: Door, signal: Signal, metadata: boolean): HttpHandler<Context> {
  return exchange => {
    try {
      const context = contextOf(exchange, metadata)
      const { body, charge } = exchange
      if (!door.enter(signal, body, charge, context, exchange, outcome => answerHttp(exchange, outcome))) {
        exchange.reply(empty)
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      exchange.fail(400, { code: GrpcCode.INVALID_ARGUMENT, message: error.message })
    }
  }
}

function contextOf(request: IncomingCall<Context> | HttpExchange<Context>, metadata: boolean): Context {
  const { context, auth } = request
  if (!metadata) return auth === undefined ? context : { ...context, auth }
  return { ...context, metadata: request.metadata(), auth }
}

function answerGrpc(call: IncomingCall<Context>, outcome: Outcome): void {
  const refusal = refusalOf(outcome)
  if (refusal === undefined) call.reply(responseOf(outcome))
  else call.fail(refusal)
}

function answerHttp(exchange: HttpExchange<Context>, outcome: Outcome): void {
  const refusal = refusalOf(outcome)
  if (refusal === undefined) exchange.reply(responseOf(outcome))
  else exchange.fail(refusal.code === GrpcCode.INVALID_ARGUMENT ? 400 : 503, refusal)
}

function responseOf(outcome: Outcome): Buffer {
  if (outcome.kind === 'partial') return encodeResponse(outcome.rejected, outcome.reason)
  if (outcome.kind === 'success' && outcome.warning !== undefined) return encodeResponse(0, outcome.warning)
  return empty
}

function refusalOf(outcome: Outcome): RpcStatus | undefined {
  switch (outcome.kind) {
    case 'success':
    case 'partial':
      return undefined
    case 'rejected':
      return { code: GrpcCode.INVALID_ARGUMENT, message: outcome.reason }
    case 'refused':
      return {
        code: GrpcCode.UNAVAILABLE,
        message: outcome.error.message,
        retryDelay: outcome.retryAfter || defaultDelay,
      }
  }
}
