/**
 * What a source that is read needs of the pipelines: room before it reads, and somebody who offers what it has read again
 * until it is taken.
 */
import type { Signal } from '../proto/signals.ts'
import type { Batch } from './batch.ts'
import type { Context } from './context.ts'
import type { Budget } from './budget.ts'
import type { Clock, Timer } from './clock.ts'
import type { Listener, Ticket } from './delivery.ts'
import { Entrance, type Remark } from './entrance.ts'
import type { DeliveryError } from './errors.ts'
import { Offer } from './offer.ts'

/** A request that was read. */
export interface Incoming {
  readonly signal: Signal
  /** An OTLP request, or a slice of what was read in which it stands. */
  readonly body: Buffer
  /** What it is written in; protobuf unless said otherwise. */
  readonly format?: 'protobuf' | 'json'
  readonly origin: Context
}

/** Room for some bytes, which are charged. */
export interface Room {
  /** Bytes of it that are left. */
  readonly left: number
  /**
   * Hands a request in, which takes its size of the room. It is offered again until it is taken: `by` hears of a refusal
   * only where the source stops before.
   */
  take(incoming: Incoming, by: Listener): void
  /** Gives back what is left. */
  free(): void
}

/** Milliseconds between two looks for room that came without a word, as when the memory of the process has shrunk. */
const lookEvery = 100
/** Part of the budget that may be in memory, or on its way, without having ended for good. */
const unendedShare = 1 / 4

/** Who waits for room. */
interface Waiter {
  readonly bytes: number
  readonly admit: () => void
}

/** The rooms of one source. First come, first served. */
export class Rooms {
  readonly #budget: Budget
  readonly #clock: Clock
  readonly #entrance: Entrance
  readonly #waiting = new Set<Waiter>()
  readonly #offers = new Set<Offer>()
  /** Bytes handed in, or promised, that have not ended for good. */
  #unended = 0
  #unhear: (() => void) | undefined
  #look: Timer | undefined
  #isStopped = false

  constructor(budget: Budget, clock: Clock, push: (batch: Batch) => void, told?: Remark) {
    this.#budget = budget
    this.#clock = clock
    this.#entrance = new Entrance(budget, push, false, told)
  }

  /** Bytes that have not ended for good. */
  get unended(): number {
    return this.#unended
  }

  get #bound(): number {
    return this.#budget.limit * unendedShare
  }

  /** Resolves once there is room for `bytes`. What can never fit waits until nothing else is there. @throws what `abort` was aborted with */
  room(bytes: number, abort: AbortSignal): Promise<Room> {
    return new Promise((resolve, reject) => {
      if (abort.aborted) return reject(abort.reason as Error)
      const end = (): void => {
        this.#waiting.delete(waiter)
        abort.removeEventListener('abort', onAbort)
        this.#rest()
      }
      const onAbort = (): void => {
        end()
        reject(abort.reason as Error)
      }
      const waiter: Waiter = {
        bytes,
        admit: () => {
          end()
          resolve(new Reserved(this, bytes))
        },
      }
      abort.addEventListener('abort', onAbort)
      this.#waiting.add(waiter)
      this.#admit()
      if (this.#waiting.size === 0) return
      this.#unhear ??= this.#budget.onRelease(() => this.#admit())
      this.#look ??= this.#clock.every(lookEvery, () => this.#admit())
    })
  }

  /** The source stops: what was refused is not offered again. */
  stop(): void {
    this.#isStopped = true
    for (const offer of this.#offers) offer.stop()
  }

  /** Nobody waits any more for what has not been answered. */
  withdraw(error: DeliveryError): void {
    for (const offer of this.#offers) offer.withdraw(error)
  }

  /** For rooms: hands in a request whose bytes are charged already. */
  take(incoming: Incoming, by: Listener): void {
    const { body, origin, signal } = incoming
    const isText = incoming.format === 'json'
    const entrance = this.#entrance
    // Of a text something else is made, so that both are held; a request in protobuf is held by what is made of it.
    const enter = (attempt: Listener): Ticket =>
      isText
        ? entrance.enterJson(signal, body, 0, origin, attempt)
        : entrance.enter(signal, body, body.length, origin, attempt)
    const offer: Offer = new Offer(by, {
      enter,
      pause: (ms, then) => {
        if (this.#isStopped) return undefined
        if (!isText) this.#budget.charge(body.length)
        return this.#clock.after(ms, then)
      },
      stayed: () => {
        if (!isText) this.#budget.release(body.length)
      },
      answered: () => {
        this.#offers.delete(offer)
        if (isText) this.#budget.release(body.length)
      },
      ended: () => this.#settle(body.length),
    })
    this.#offers.add(offer)
    offer.make()
  }

  /** For rooms: gives back the charge of `bytes` that were not needed. */
  giveBack(bytes: number): void {
    this.#budget.release(bytes)
    this.#settle(bytes)
  }

  /** `bytes` have ended for good, or were not needed. */
  #settle(bytes: number): void {
    this.#unended -= bytes
    this.#admit()
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      const { bytes } = waiter
      const isBound = this.#unended > 0 && this.#unended + bytes > this.#bound
      if (isBound || !this.#hasMemory(bytes)) return
      this.#budget.charge(bytes)
      this.#unended += bytes
      waiter.admit()
    }
  }

  #hasMemory(bytes: number): boolean {
    const { used, limit, pressed } = this.#budget
    return !pressed && (used + bytes <= limit || (used === 0 && this.#unended === 0))
  }

  #rest(): void {
    if (this.#waiting.size > 0) return
    this.#unhear?.()
    this.#unhear = undefined
    this.#look?.cancel()
    this.#look = undefined
  }
}

class Reserved implements Room {
  left: number
  readonly #rooms: Rooms

  constructor(rooms: Rooms, bytes: number) {
    this.#rooms = rooms
    this.left = bytes
  }

  take(incoming: Incoming, by: Listener): void {
    const { body } = incoming
    this.left -= body.length
    // A slice must not keep what is much larger alive.
    const isSmall = body.length < body.buffer.byteLength / 2
    this.#rooms.take(isSmall ? { ...incoming, body: Buffer.from(body) } : incoming, by)
  }

  free(): void {
    const { left } = this
    this.left = 0
    this.#rooms.giveBack(left)
  }
}
