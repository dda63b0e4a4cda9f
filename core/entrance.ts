/** From the bytes of a request to batches in the pipelines: small ones at once, large ones in turns and in pieces. */
import { jsonInSlices, jsonToProtobuf, largeText, manyUnknown, TooManyUnknown } from '../proto/json-read.ts'
import { verify } from '../proto/examine.ts'
import { Framer } from '../proto/framer.ts'
import { type Piece, pieceLimits } from '../proto/gathering.ts'
import { PiecePace } from './piece-pace.ts'
import { isOnePiece, piecesOf } from '../proto/pieces.ts'
import { NoRoomError } from '../proto/purse.ts'
import { type Request, readRequest } from '../proto/request.ts'
import { type Signal, signals } from '../proto/signals.ts'
import { WireError } from '../proto/wire.ts'
import { Batch } from './batch.ts'
import type { Context } from './context.ts'
import type { Budget } from './budget.ts'
import { type Answer, Delivery, type Listener, type Ticket } from './delivery.ts'
import { beginningOf } from './dismissal.ts'
import { DeliveryError } from './errors.ts'
import { Lease } from './lease.ts'
import { PaidMemory } from './paid-memory.ts'
import { BufferPool } from './pool.ts'
import { type StoredShare, sharesIn, shareOf } from './share.ts'

/** Bytes that are framed between two pauses. */
const slice = 128 * 1024
/** Bodies up to this size are framed at once. */
const largeBody = 512 * 1024

/** Text of JSON up to this is let in at once, whatever is in it: it has too few items to be cut into pieces. */
export const surelyAtOnce = '{},'.length * pieceLimits.items

const nothing = Buffer.alloc(0)
const success: Answer = { kind: 'success', warning: undefined }

/** What is heard of a request without items. */
const nothingIn = (note: string | undefined): Answer =>
  note === undefined ? success : { kind: 'success', warning: note }

/** Takes a remark on what was passed over of a request. */
export type Remark = (signal: Signal, origin: Context, note: string) => void

function deliveryOf(items: number, by: Listener, note: string | undefined): Delivery {
  const delivery = new Delivery(items, by)
  if (note !== undefined) delivery.warn(note)
  return delivery
}

/** Of what was answered already. */
const over: Ticket = { withdraw() {} }

/** Steps of a large request: pauses in between. */
type Steps = Generator<undefined, void>

/** A large request on its way in. Once there is a delivery, that hears of its sender. */
class Arrival implements Ticket {
  readonly signal: Signal
  readonly origin: Context
  readonly by: Listener
  /** Why its sender does not wait any more. */
  withdrawn: DeliveryError | undefined
  /** What was passed over of it. */
  note: string | undefined
  /** How its body began. */
  readonly firstBytes: Buffer
  #delivery: Delivery | undefined

  /** `body`: where it could be found to be malformed. */
  constructor(signal: Signal, origin: Context, by: Listener, body: Buffer = nothing) {
    this.signal = signal
    this.firstBytes = body === nothing ? nothing : beginningOf(body)
    this.origin = origin
    this.by = by
  }

  withdraw(error: DeliveryError): void {
    this.withdrawn = error
    this.#delivery?.withdraw(error)
  }

  /** The delivery that waits for all of it from now on. */
  begin(items: number): Delivery {
    const delivery = (this.#delivery = deliveryOf(items, this.by, this.note))
    if (this.withdrawn !== undefined) delivery.withdraw(this.withdrawn)
    return delivery
  }

  /** Whether nobody would hear of it. */
  get isVain(): boolean {
    return this.withdrawn !== undefined && this.#delivery === undefined
  }
}

/** Where requests enter, whoever reads them. */
export class Entrance {
  readonly #budget: Budget
  readonly #memory: PaidMemory
  readonly #push: (batch: Batch) => void
  readonly #isPooled: boolean
  readonly #told: Remark

  /**
   * `isPooled`: bodies may be used again for others once nobody reads them, as those of the budget's pool are. `told` hears
   * what was passed over of a request.
   */
  constructor(budget: Budget, push: (batch: Batch) => void, isPooled = true, told: Remark = () => {}) {
    this.#budget = budget
    this.#memory = new PaidMemory(budget)
    this.#push = push
    this.#isPooled = isPooled
    this.#told = told
  }

  /**
   * Lets in what `body` holds, an OTLP request of `signal` that nobody else reads any more, and takes its `charge` over.
   * `by` is told what becomes of it, later. Never throws.
   */
  enter(signal: Signal, body: Buffer, charge: number, origin: Context, by: Listener): Ticket {
    if (body.length > largeBody) {
      const arrival = new Arrival(signal, origin, by, body)
      return this.#start(arrival, this.#frame(arrival, body, charge, this.#isPooled))
    }
    return this.#enterSmall(signal, body, charge, origin, by, this.#isPooled)
  }

  /** The same for a request that `text` is as OTLP/JSON; it is let go of once it is read. */
  enterJson(signal: Signal, text: Buffer, charge: number, origin: Context, by: Listener): Ticket {
    if (text.length > largeText) return this.#enterJsonInSteps(signal, text, charge, origin, by)
    let body: Buffer
    let note: string | undefined
    try {
      body = jsonToProtobuf(signals[signal].request, text, this.#memory, told => (note = told), manyUnknown)
    } catch (error) {
      if (error instanceof TooManyUnknown) return this.#enterJsonInSteps(signal, text, charge, origin, by)
      const answer = answerOf(error, origin, text)
      this.#letGo(text, charge, this.#isPooled)
      return answerLater(by, answer)
    }
    this.#letGo(text, charge, this.#isPooled)
    const cost = BufferPool.cost(body.length)
    if (note !== undefined) this.#told(signal, origin, note)
    if (body.length <= largeBody) return this.#enterSmall(signal, body, cost, origin, by, true, note)
    const arrival = new Arrival(signal, origin, by, body)
    arrival.note = note
    return this.#start(arrival, this.#frame(arrival, body, cost, true))
  }

  #enterJsonInSteps(signal: Signal, text: Buffer, charge: number, origin: Context, by: Listener): Ticket {
    const arrival = new Arrival(signal, origin, by, text)
    return this.#start(arrival, this.#readJson(arrival, text, charge))
  }

  /**
   * Lets in once more what was let in before and stored: whole, as the requests it was made of then. Its charge is that of
   * `body`, which stays as it is.
   */
  enterAgain(signal: Signal, body: Buffer, stored: readonly StoredShare[], origin: Context, by: Listener): Ticket {
    const arrival = new Arrival(signal, origin, by, body)
    this.#budget.charge(body.length)
    return this.#start(arrival, this.#whole(arrival, body, stored))
  }

  #enterSmall(
    signal: Signal,
    body: Buffer,
    charge: number,
    origin: Context,
    by: Listener,
    isPooled: boolean,
    note?: string,
  ): Ticket {
    let request: Request
    try {
      request = readRequest(signal, body, this.#budget)
    } catch (error) {
      const answer = answerOf(error, origin, body)
      this.#letGo(body, charge, isPooled)
      return answerLater(by, answer)
    }
    const { groups, items } = request
    const whole = charge + request.charged
    if (items === 0) {
      this.#letGo(body, whole, isPooled)
      return answerLater(by, nothingIn(note))
    }
    if (isSuspected(origin)) {
      const arrival = new Arrival(signal, origin, by, body)
      arrival.note = note
      return this.#start(arrival, this.#verified(arrival, request, body, whole, isPooled))
    }
    if (!isOnePiece(groups.length, items, body.length)) {
      const arrival = new Arrival(signal, origin, by)
      arrival.note = note
      return this.#start(arrival, this.#pieces(arrival, request, body, whole, isPooled))
    }
    const delivery = deliveryOf(items, by, note)
    const lease = new Lease(this.#budget, whole, items, isPooled ? body : undefined)
    this.#push(Batch.of(signal, request, origin, delivery, lease))
    return delivery
  }

  /** Takes the steps in turns, until they are done or nobody waits any more. */
  #start(arrival: Arrival, steps: Steps): Ticket {
    this.#budget.turns.start(this.#watched(arrival, steps))
    return arrival
  }

  *#watched(arrival: Arrival, steps: Steps): Steps {
    try {
      while (steps.next().done !== true) {
        if (arrival.isVain) {
          steps.return()
          break
        }
        yield
      }
      if (arrival.isVain && arrival.withdrawn !== undefined) answerLater(arrival.by, refusalOf(arrival.withdrawn))
    } catch (error) {
      answerLater(arrival.by, answerOf(error, arrival.origin, arrival.firstBytes))
    }
  }

  *#readJson(arrival: Arrival, text: Buffer, charge: number): Steps {
    let body: Buffer
    let isRead = false
    const read = (): void => {
      if (!isRead) this.#letGo(text, charge, this.#isPooled)
      isRead = true
    }
    try {
      body = yield* jsonInSlices(arrival.signal, text, this.#memory, read, note => (arrival.note = note))
    } finally {
      read()
    }
    if (arrival.note !== undefined) this.#told(arrival.signal, arrival.origin, arrival.note)
    yield* this.#frame(arrival, body, BufferPool.cost(body.length), true)
  }

  *#frame(arrival: Arrival, body: Buffer, charge: number, isPooled: boolean): Steps {
    const framer = yield* this.#framed(arrival, body, charge, isPooled)
    if (framer !== undefined) yield* this.#pieces(arrival, framer, body, charge + framer.charged, isPooled)
  }

  *#whole(arrival: Arrival, body: Buffer, stored: readonly StoredShare[]): Steps {
    const framer = yield* this.#framed(arrival, body, body.length, false)
    if (framer === undefined) return
    const { groups, items } = framer
    const delivery = arrival.begin(items)
    const lease = new Lease(this.#budget, body.length + framer.charged, items)
    const shares = sharesIn(stored, items, groups.length).map(one =>
      shareOf(delivery, lease, one.items, one.groups, arrival.origin),
    )
    this.#push(new Batch(arrival.signal, groups, items, arrival.origin, shares))
  }

  /** Where everything stands in `body`; undefined where there is nothing in it, which is answered. */
  *#framed(
    arrival: Arrival,
    body: Buffer,
    charge: number,
    isPooled: boolean,
  ): Generator<undefined, Framer | undefined> {
    const framer = new Framer(arrival.signal, body, this.#budget)
    let isFramed = false
    try {
      while (!framer.run(framer.at + slice)) yield
      if (isSuspected(arrival.origin)) yield* verify(arrival.signal, framer.groups)
      isFramed = framer.items > 0
    } finally {
      if (!isFramed) {
        framer.abandon()
        this.#letGo(body, charge, isPooled)
      }
    }
    if (isFramed) return framer
    answerLater(arrival.by, nothingIn(arrival.note))
    return undefined
  }

  /** Lets in what was framed and is as it should be, down to the last field. */
  *#verified(arrival: Arrival, request: Request, body: Buffer, charge: number, isPooled: boolean): Steps {
    let isVerified = false
    try {
      yield* verify(arrival.signal, request.groups)
      isVerified = true
    } finally {
      if (!isVerified) this.#letGo(body, charge, isPooled)
    }
    yield* this.#pieces(arrival, request, body, charge, isPooled)
  }

  /** Pushes a piece at a time: one delivery waits for all of them. */
  *#pieces(arrival: Arrival, { groups, items }: Request, body: Buffer, charge: number, isPooled: boolean): Steps {
    const { signal, origin } = arrival
    const delivery = arrival.begin(items)
    const lease = new Lease(this.#budget, charge, items, isPooled ? body : undefined)
    const { turns } = this.#budget
    const pace = new PiecePace()
    let left = items
    let reason: unknown
    try {
      for (const piece of piecesOf(signal, groups, this.#memory, pace)) {
        if (piece !== undefined) {
          left -= piece.items
          const from = turns.now()
          this.#push(Batch.of(signal, piece, origin, delivery, this.#leaseOf(piece, lease)))
          pace.took(turns.now() - from)
        }
        // Nothing is left to be cut, or to be had: what was refused in part is sent again as a whole.
        if (left === 0 || delivery.refusal !== undefined) break
        yield
      }
    } catch (error) {
      reason = error
    }
    if (left === 0) return
    const rest = new Batch(signal, [], left, origin, [shareOf(delivery, lease, left, 0, origin)])
    if (reason instanceof WireError) rest.reject(reason.message)
    else rest.refuse(delivery.refusal ?? errorOf(reason))
  }

  /** What a piece holds: the body of the request with the others, or a buffer of its own. */
  #leaseOf({ body, items }: Piece, shared: Lease): Lease {
    if (body === undefined) return shared
    shared.release(items)
    return new Lease(this.#budget, BufferPool.cost(body.length), items, body)
  }

  #letGo(body: Buffer, charge: number, isPooled: boolean): void {
    this.#budget.release(charge)
    if (isPooled) this.#budget.pool.give(body)
  }
}

/** Tells what became of a request of which nothing came to be a batch. Nothing of it is to be read again, unless it was refused. */
function answerLater(by: Listener, answer: Answer): Ticket {
  queueMicrotask(() => {
    by.answered(answer)
    if (answer.kind === 'refused') by.ended?.({ again: true, error: answer.error })
    else by.ended?.({ again: false, rejected: 0, lost: 0, reason: undefined })
  })
  return over
}

/** Whether what comes from there is checked in full. */
const isSuspected = ({ standing }: Context): boolean => standing?.isSuspected === true

/** What is heard of a request that `error` kept from being read. What is malformed is remembered of its sender. */
function answerOf(error: unknown, { standing, metadata }: Context, body: Buffer): Answer {
  if (!(error instanceof WireError)) return refusalOf(errorOf(error))
  standing?.sentMalformed(metadata)
  return { kind: 'malformed', message: error.message, firstBytes: beginningOf(body) }
}

/** What stopped a request other than its bytes. */
function errorOf(error: unknown): DeliveryError {
  if (error instanceof NoRoomError) return new DeliveryError('DELIVERY_MEMORY', 'retry', error.message)
  return new DeliveryError('INTERNAL', 'retry', 'the request could not be read', { cause: error })
}

const refusalOf = (error: DeliveryError): Answer => ({ kind: 'refused', error, retryAfter: 0, mayBeSentTwice: 0 })
