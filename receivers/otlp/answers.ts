/** What senders hear, over gRPC and HTTP. See the table of outcomes in core/delivery.ts. */
import type { Context } from '../../core/batch.ts'
import type { Outcome } from '../../core/delivery.ts'
import type { GrpcHandler, IncomingCall } from '../../net/grpc-server-call.ts'
import { type HttpExchange, jsonFormat } from '../../net/http-exchange.ts'
import type { HttpHandler } from '../../net/http-server.ts'
import type { Refusal } from '../../net/admission.ts'
import { encodeResponseJson } from '../../proto/json-answer.ts'
import { encodeResponse, type PartialSuccess } from '../../proto/response.ts'
import type { Signal } from '../../proto/signals.ts'
import { NoRoomError } from '../../proto/purse.ts'
import { GrpcCode, type RpcStatus } from '../../proto/status.ts'
import { WireError } from '../../proto/wire.ts'
import type { Door } from './door.ts'

/** Milliseconds a refused sender is asked to wait when nothing better is known. */
const defaultDelay = 1000
const empty = Buffer.alloc(0)
/** What a request for which there is no memory hears. */
const noRoom = { kind: 'memory', message: 'the memory budget is used up; retry later' } as const
/** What a request that is none of its signal hears. */
const malformed = ({ message }: WireError): Refusal => ({ kind: 'malformed', message })

/** Serves the Export method of `signal`. */
export function grpcHandler(door: Door, signal: Signal, metadata: boolean): GrpcHandler<Context> {
  return call => {
    try {
      const arrival = {
        signal,
        context: contextOf(call, metadata),
        waiting: call,
        onEnd: (outcome: Outcome): void => answerGrpc(call, outcome),
        onMalformed: (error: WireError): void => call.refused(malformed(error)),
      }
      if (!door.enter(arrival, call.body, call.charge)) call.reply(empty)
    } catch (error) {
      if (error instanceof NoRoomError) return call.refused(noRoom)
      if (!(error instanceof WireError)) throw error
      call.refused(malformed(error))
    }
  }
}

/** Serves the HTTP path of `signal`. */
export function httpHandler(door: Door, signal: Signal, metadata: boolean): HttpHandler<Context> {
  return exchange => {
    try {
      const { body, charge } = exchange
      const arrival = {
        signal,
        context: contextOf(exchange, metadata),
        waiting: exchange,
        onEnd: (outcome: Outcome): void => answerHttp(exchange, signal, outcome),
        onMalformed: (error: WireError): void => exchange.refused(malformed(error)),
      }
      const isJson = exchange.format === jsonFormat
      // Nobody needs the text again; the exchange would keep it until it is answered.
      if (isJson) exchange.body = empty
      const entered = isJson ? door.enterJson(arrival, body, charge) : door.enter(arrival, body, charge)
      if (!entered) exchange.reply(responseOf(exchange, signal))
    } catch (error) {
      if (error instanceof NoRoomError) return exchange.refused(noRoom)
      if (!(error instanceof WireError)) throw error
      exchange.refused(malformed(error))
    }
  }
}

function contextOf(request: IncomingCall<Context> | HttpExchange<Context>, metadata: boolean): Context {
  const { context, auth } = request
  if (!metadata) return auth === undefined ? context : { ...context, auth }
  return { ...context, metadata: request.metadata(), auth }
}

/** Whether there was no room to read a large request: refused at the door, and counted there. */
const hadNoRoom = (outcome: Outcome): boolean => outcome.kind === 'refused' && outcome.error.code === 'DELIVERY_MEMORY'

function answerGrpc(call: IncomingCall<Context>, outcome: Outcome): void {
  if (hadNoRoom(outcome)) return call.refused(noRoom)
  const refusal = refusalOf(outcome)
  if (refusal === undefined) call.reply(protobufResponse(outcome))
  else call.fail(refusal)
}

function answerHttp(exchange: HttpExchange<Context>, signal: Signal, outcome: Outcome): void {
  if (hadNoRoom(outcome)) return exchange.refused(noRoom)
  const refusal = refusalOf(outcome)
  if (refusal === undefined) exchange.reply(responseOf(exchange, signal, outcome))
  else exchange.fail(refusal.code === GrpcCode.INVALID_ARGUMENT ? 400 : 503, refusal)
}

/** The answer to a request that was taken, in the format of the request. */
function responseOf(exchange: HttpExchange<Context>, signal: Signal, outcome?: Outcome): Buffer {
  if (exchange.format !== jsonFormat) return protobufResponse(outcome)
  const { rejected, message } = partialOf(outcome)
  return encodeResponseJson(signal, rejected, message)
}

function protobufResponse(outcome: Outcome | undefined): Buffer {
  const { rejected, message } = partialOf(outcome)
  return encodeResponse(rejected, message)
}

const nothing: PartialSuccess = { rejected: 0, message: '' }

/** What a sender hears of a request that was taken. */
function partialOf(outcome: Outcome | undefined): PartialSuccess {
  if (outcome?.kind === 'partial') return { rejected: outcome.rejected, message: outcome.reason }
  if (outcome?.kind === 'success' && outcome.warning !== undefined) return { rejected: 0, message: outcome.warning }
  return nothing
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
