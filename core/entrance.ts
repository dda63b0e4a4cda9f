/** From the bytes of a request to batches in the pipelines: small ones at once, large ones in turns and in pieces. */
import { jsonInSlices, jsonToProtobuf, largeText } from '../proto/json-read.ts'
import { Framer } from '../proto/framer.ts'
import type { Piece } from '../proto/gathering.ts'
import { isOnePiece, piecesOf } from '../proto/pieces.ts'
import { NoRoomError } from '../proto/purse.ts'
import { type Request, readRequest } from '../proto/request.ts'
import { type Signal, signals } from '../proto/signals.ts'
import { WireError } from '../proto/wire.ts'
import { Batch, type Context } from './batch.ts'
import type { Budget } from './budget.ts'
import { Delivery, type Outcome } from './delivery.ts'
import { DeliveryError } from './errors.ts'
import { Lease } from './lease.ts'
import { PaidMemory } from './paid-memory.ts'
import { BufferPool } from './pool.ts'

/** A sender that waits, and can be told to stop waiting. */
export interface Waiting {
  onCancel: (() => void) | undefined
}

/** What came, and who waits for what becomes of it. */
export interface Arrival {
  readonly signal: Signal
  readonly context: Context
  readonly waiting: Waiting
  /** Hears the outcome once, later. */
  readonly onEnd: (outcome: Outcome) => void
  /** Hears instead that a large request is none of the signal. */
  readonly onMalformed: (error: WireError) => void
}

/** Bytes that are framed between two pauses. */
const slice = 128 * 1024
/** Bodies up to this size are framed at once. */
const largeBody = 512 * 1024

const success: Outcome = { kind: 'success', warning: undefined }

/** Steps of a large request: pauses in between. */
type Steps = Generator<undefined, void>

/** What is known of a large request's sender, and the delivery once there is one: then that hears of it. */
interface Watch {
  isGone: boolean
  delivery: Delivery | undefined
}

/** Where requests enter, whoever reads them. */
export class Entrance {
  readonly #budget: Budget
  readonly #memory: PaidMemory
  readonly #push: (batch: Batch) => void

  constructor(budget: Budget, push: (batch: Batch) => void) {
    this.#budget = budget
    this.#memory = new PaidMemory(budget)
    this.#push = push
  }

  /**
   * Pushes what `body` holds, which nobody else may read any more and whose `charge` is taken over. Returns false when
   * the request is empty, which is success. What is wrong with a large request its arrival hears later.
   * @throws WireError when the body is no request of the signal
   * @throws NoRoomError when there is no room for what is made of it
   */
  enter(arrival: Arrival, body: Buffer, charge: number): boolean {
    if (body.length > largeBody) {
      this.#start(arrival, watch => this.#frame(arrival, watch, body, charge))
      return true
    }
    const { signal, context, waiting, onEnd } = arrival
    let request: Request
    try {
      request = readRequest(signal, body, this.#budget)
    } catch (error) {
      this.#letGo(body, charge)
      throw error
    }
    const { groups, items } = request
    const whole = charge + request.charged
    if (items === 0) {
      this.#letGo(body, whole)
      return false
    }
    if (!isOnePiece(groups.length, items, body.length)) {
      this.#start(arrival, watch => this.#pieces(arrival, watch, request, body, whole))
      return true
    }
    const delivery = new Delivery(items, onEnd)
    waiting.onCancel = () => delivery.withdraw(gaveUp())
    this.#push(Batch.of(signal, request, context, delivery, new Lease(this.#budget, whole, items, body)))
    return true
  }

  /**
   * The same for a request that `text` is as OTLP/JSON. `onRead` is called once the text is needed no more.
   * @throws WireError when the text is no request of the signal
   * @throws NoRoomError when there is no room to read it
   */
  enterJson(arrival: Arrival, text: Buffer, onRead: () => void): boolean {
    if (text.length > largeText) {
      this.#start(arrival, watch => this.#readJson(arrival, watch, text, onRead))
      return true
    }
    let body: Buffer
    try {
      body = jsonToProtobuf(signals[arrival.signal].request, text, this.#memory)
    } finally {
      onRead()
    }
    return this.enter(arrival, body, BufferPool.cost(body.length))
  }

  /** Takes the steps in turns, until they are done or nobody waits any more. */
  #start(arrival: Arrival, stepsOf: (watch: Watch) => Steps): void {
    const watch: Watch = { isGone: false, delivery: undefined }
    arrival.waiting.onCancel = () => {
      watch.isGone = true
      watch.delivery?.withdraw(gaveUp())
    }
    this.#budget.turns.start(this.#watched(arrival, watch, stepsOf(watch)))
  }

  *#watched({ onEnd, onMalformed }: Arrival, watch: Watch, steps: Steps): Steps {
    try {
      while (steps.next().done !== true) {
        if (watch.isGone && watch.delivery === undefined) {
          steps.return()
          return onEnd(refusalOf(gaveUp()))
        }
        yield
      }
    } catch (error) {
      if (!(error instanceof WireError)) return onEnd(refusalOf(errorOf(error)))
      onMalformed(error)
    }
  }

  *#readJson(arrival: Arrival, watch: Watch, text: Buffer, onRead: () => void): Steps {
    let body: Buffer
    let isRead = false
    const read = (): void => {
      if (!isRead) onRead()
      isRead = true
    }
    try {
      body = yield* jsonInSlices(arrival.signal, text, this.#memory, read)
    } finally {
      read()
    }
    yield* this.#frame(arrival, watch, body, BufferPool.cost(body.length))
  }

  *#frame(arrival: Arrival, watch: Watch, body: Buffer, charge: number): Steps {
    const framer = new Framer(arrival.signal, body, this.#budget)
    let isFramed = false
    try {
      while (!framer.run(framer.at + slice)) yield
      isFramed = framer.items > 0
    } finally {
      if (!isFramed) {
        framer.abandon()
        this.#letGo(body, charge)
      }
    }
    if (isFramed) yield* this.#pieces(arrival, watch, framer, body, charge + framer.charged)
    else arrival.onEnd(success)
  }

  /** Pushes a piece at a time: one delivery waits for all of them. */
  *#pieces(arrival: Arrival, watch: Watch, { groups, items }: Request, body: Buffer, charge: number): Steps {
    const { signal, context, onEnd } = arrival
    const delivery = (watch.delivery = new Delivery(items, onEnd))
    if (watch.isGone) delivery.withdraw(gaveUp())
    const lease = new Lease(this.#budget, charge, items, body)
    let left = items
    let reason: unknown
    try {
      for (const piece of piecesOf(signal, groups, this.#memory)) {
        if (piece !== undefined) {
          left -= piece.items
          this.#push(Batch.of(signal, piece, context, delivery, this.#leaseOf(piece, lease)))
        }
        // Nothing is left to be cut, or to be had: what was refused in part is sent again as a whole.
        if (left === 0 || delivery.refusal !== undefined) break
        yield
      }
    } catch (error) {
      reason = error
    }
    if (left === 0) return
    if (reason instanceof WireError) delivery.reject(left, reason.message)
    else delivery.refuse(left, delivery.refusal ?? errorOf(reason))
    lease.release(left)
  }

  /** What a piece holds: the body of the request with the others, or a buffer of its own. */
  #leaseOf({ body, items }: Piece, shared: Lease): Lease {
    if (body === undefined) return shared
    shared.release(items)
    return new Lease(this.#budget, BufferPool.cost(body.length), items, body)
  }

  #letGo(body: Buffer, charge: number): void {
    this.#budget.release(charge)
    this.#budget.pool.give(body)
  }
}

function gaveUp(): DeliveryError {
  return new DeliveryError('DELIVERY_WITHDRAWN', 'retry', 'the sender gave up waiting')
}

/** What stopped a large request other than its bytes. */
function errorOf(error: unknown): DeliveryError {
  if (error instanceof NoRoomError) return new DeliveryError('DELIVERY_MEMORY', 'retry', error.message)
  return new DeliveryError('INTERNAL', 'retry', 'the request could not be read', { cause: error })
}

const refusalOf = (error: DeliveryError): Outcome => ({ kind: 'refused', error, retryAfter: 0, mayBeSentTwice: 0 })
