/** One unary call: sent on a stream, settled once. */
import type { Cancellable, Cancellation } from '../core/cancellation.ts'
import { timerWait } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import { GrpcCode } from '../proto/status.ts'
import { type AnswerOwner, GrpcAnswer } from './grpc-answer.ts'
import { GrpcError } from './grpc-error.ts'
import { answerLimit, type GrpcSession } from './grpc-session.ts'
import type { StreamMessage } from './http2/message.ts'

/** How often one call is started anew because the server said that it did not look at it. */
const restarts = 5

/** What a call needs of the client it belongs to. */
export interface CallOwner {
  /** The server did not take the call on that session: find it another. */
  restart(call: GrpcCall): void
  /** The call waits for a session no more. */
  forget(call: GrpcCall): void
}

/** A call, from when it was asked for until it is settled. */
export class GrpcCall implements AnswerOwner, Cancellable {
  readonly #request: StreamMessage
  readonly resolve: (message: Buffer) => void
  readonly reject: (error: GrpcError) => void
  settled = false
  readonly #owner: CallOwner
  readonly #cancellation: Cancellation | undefined
  readonly #timer: NodeJS.Timeout | undefined
  #restarts = restarts
  #session: GrpcSession | undefined
  #answer: GrpcAnswer | undefined

  constructor(
    owner: CallOwner,
    request: StreamMessage,
    more: { timeout?: number | undefined; cancellation?: Cancellation | undefined },
    resolve: (message: Buffer) => void,
    reject: (error: GrpcError) => void,
  ) {
    this.#owner = owner
    this.#request = request
    this.resolve = resolve
    this.reject = reject
    const { timeout, cancellation } = more
    if (timeout) {
      this.#timer = setTimeout(() => {
        if (this.#answer !== undefined) this.#session?.probe()
        this.#stop(new GrpcError(GrpcCode.DEADLINE_EXCEEDED, `no answer within ${timeout}ms`, { sent: this.#isSent() }))
      }, timerWait(timeout))
    }
    this.#cancellation = cancellation
    cancellation?.watch(this)
  }

  cancelled(reason: unknown): void {
    this.#stop(new GrpcError(GrpcCode.CANCELLED, messageOf(reason), { sent: this.#isSent(), cause: reason }))
  }

  /** Sends the request on `session`. */
  start(session: GrpcSession): void {
    const answer = new GrpcAnswer(this)
    this.#session = session
    this.#answer = answer
    session.open(answer, this.#request)
  }

  /** Ends the call with `error`. */
  fail(error: GrpcError): void {
    if (this.#settle()) this.reject(error)
  }

  tooLong(): void {
    this.#stop(new GrpcError(GrpcCode.INTERNAL, `the answer is longer than ${answerLimit} bytes`, { answered: 'grpc' }))
  }

  ended(answer: GrpcAnswer): void {
    const session = this.#session
    session?.closed(answer.isAnswered)
    if (this.#answer !== answer || session === undefined) return
    this.#answer = undefined
    if (answer.isRefused && this.#restarts > 0) {
      this.#restarts--
      this.#owner.restart(this)
      return
    }
    const heard = answer.read(session.lost)
    if (heard instanceof GrpcError) this.fail(heard)
    else if (this.#settle()) this.resolve(heard)
  }

  #isSent(): boolean {
    return this.#answer?.isHeadSent === true
  }

  /** Ends the call before its stream has ended. */
  #stop(error: GrpcError): void {
    const answer = this.#answer
    this.#answer = undefined
    this.#owner.forget(this)
    this.fail(error)
    if (answer !== undefined) this.#session?.cancel(answer)
  }

  #settle(): boolean {
    if (this.settled) return false
    this.settled = true
    clearTimeout(this.#timer)
    this.#cancellation?.unwatch(this)
    return true
  }
}
