/** What senders hear, over gRPC and HTTP. See the table of outcomes in core/delivery.ts. */
import type { Context } from '../../core/context.ts'
import type { ReceiverContext } from '../../core/component.ts'
import type { Answer, Listener, Ticket } from '../../core/delivery.ts'
import { type Code, DeliveryError } from '../../core/errors.ts'
import type { GrpcHandler, IncomingCall } from '../../net/grpc-server-call.ts'
import { type HttpExchange, type HttpHandler, jsonFormat } from '../../net/http-exchange.ts'
import { noRoom, type Refusal, type RefusalKind } from '../../net/refusal.ts'
import { encodeResponseJson } from '../../proto/json-answer.ts'
import { encodeResponse, type PartialSuccess } from '../../proto/response.ts'
import type { Signal } from '../../proto/signals.ts'
import { GrpcCode, type RpcStatus } from '../../proto/status.ts'

type Door = Pick<ReceiverContext, 'enter' | 'enterJson'>

/** Milliseconds a refused sender is asked to wait when nothing better is known. */
const defaultDelay = 1000
const empty = Buffer.alloc(0)

/** Serves the Export method of `signal`. */
export function grpcHandler(door: Door, signal: Signal, metadata: boolean): GrpcHandler<Context> {
  return call => {
    const { body, charge } = call
    const ticket = door.enter(signal, body, charge, contextOf(call, metadata), new GrpcSender(call))
    call.onCancel = () => ticket.withdraw(gaveUp())
  }
}

/** Serves the HTTP path of `signal`. */
export function httpHandler(door: Door, signal: Signal, metadata: boolean): HttpHandler<Context> {
  return exchange => {
    const { body, charge } = exchange
    const origin = contextOf(exchange, metadata)
    const by = new HttpSender(exchange, signal)
    let ticket: Ticket
    if (exchange.format === jsonFormat) {
      // Nobody needs the text again; the exchange would keep it until it is answered.
      exchange.body = empty
      ticket = door.enterJson(signal, body, charge, origin, by)
    } else ticket = door.enter(signal, body, charge, origin, by)
    exchange.onCancel = () => ticket.withdraw(gaveUp())
  }
}

/** Who waits behind a call. */
class GrpcSender implements Listener {
  readonly #call: IncomingCall<Context>

  constructor(call: IncomingCall<Context>) {
    this.#call = call
  }

  answered(answer: Answer, items = 0): void {
    const call = this.#call
    const refusal = refusalOf(answer)
    if (refusal === undefined) {
      call.took(answer.kind === 'partial' ? 'partial' : 'accepted', items)
      call.reply(protobufResponse(answer))
    } else if (wasNeverIn(answer, refusal)) call.refused(refusal)
    else call.turnAway(refusal, statusOf(refusal, answer))
  }
}

/** Who waits behind an exchange. */
class HttpSender implements Listener {
  readonly #exchange: HttpExchange<Context>
  readonly #signal: Signal

  constructor(exchange: HttpExchange<Context>, signal: Signal) {
    this.#exchange = exchange
    this.#signal = signal
  }

  answered(answer: Answer, items = 0): void {
    const exchange = this.#exchange
    const refusal = refusalOf(answer)
    if (refusal === undefined) {
      exchange.took(answer.kind === 'partial' ? 'partial' : 'accepted', items)
      exchange.reply(responseOf(exchange, this.#signal, answer))
    } else if (wasNeverIn(answer, refusal)) exchange.refused(refusal)
    else exchange.turnAway(refusal, answer.kind === 'rejected' ? 400 : 503, statusOf(refusal, answer))
  }
}

const gaveUp = (): DeliveryError => new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender gave up waiting')

/** What is refused for its delivery, by the code of the failure; all others could not be delivered in time. */
const kinds: Partial<Record<Code, RefusalKind>> = {
  DELIVERY_MEMORY: 'memory',
  DELIVERY_QUEUE_FULL: 'queue_full',
  DELIVERY_STORAGE: 'storage',
  DELIVERY_STOPPING: 'stopping',
}

/** Why a request was not taken; undefined where it was. */
function refusalOf(answer: Answer): Refusal | undefined {
  switch (answer.kind) {
    case 'success':
    case 'partial':
      return undefined
    case 'malformed':
      return answer
    case 'rejected':
      return { kind: 'rejected', message: answer.reason }
    case 'refused': {
      const { code, message } = answer.error
      const kind = kinds[code] ?? 'undelivered'
      return kind === 'memory' ? noRoom : { kind, message }
    }
  }
}

/** Whether nothing of it ever came in. */
const wasNeverIn = ({ kind }: Answer, refusal: Refusal): boolean => kind === 'malformed' || refusal === noRoom

function contextOf(request: IncomingCall<Context> | HttpExchange<Context>, metadata: boolean): Context {
  const { context, auth } = request
  if (!metadata) return auth === undefined ? context : { ...context, auth }
  return { ...context, metadata: request.metadata(), auth }
}

/** The answer to a request that was taken, in the format of the request. */
function responseOf(exchange: HttpExchange<Context>, signal: Signal, answer: Answer): Buffer {
  if (exchange.format !== jsonFormat) return protobufResponse(answer)
  const { rejected, message } = partialOf(answer)
  return encodeResponseJson(signal, rejected, message)
}

function protobufResponse(answer: Answer): Buffer {
  const { rejected, message } = partialOf(answer)
  return encodeResponse(rejected, message)
}

const nothing: PartialSuccess = { rejected: 0, message: '' }

/** What a sender hears of a request that was taken. */
function partialOf(answer: Answer): PartialSuccess {
  if (answer.kind === 'partial') return { rejected: answer.rejected, message: answer.reason }
  if (answer.kind === 'success' && answer.warning !== undefined) return { rejected: 0, message: answer.warning }
  return nothing
}

/** The status of a request that was not taken although it could be read. */
function statusOf({ message }: Refusal, answer: Answer): RpcStatus {
  if (answer.kind !== 'refused') return { code: GrpcCode.INVALID_ARGUMENT, message }
  return { code: GrpcCode.UNAVAILABLE, message, retryDelay: answer.retryAfter || defaultDelay }
}
