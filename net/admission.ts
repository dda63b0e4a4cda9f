/**
 * Reading bodies under the memory budget: read or reset, never pause (a paused HTTP/2 stream still fills its window).
 * The charge of a body grows with what has arrived, so that a sender that declares much and sends little holds little.
 */
import type { Budget } from '../core/budget.ts'
import { messageOf } from '../core/errors.ts'
import { HostKey } from '../core/host.ts'
import { BufferPool } from '../core/pool.ts'
import { type Encoding, inflate, sizeHint } from './compression.ts'
import { TooLargeError } from './snappy.ts'

/** The memory budget of the process. */
export const budgetKey = new HostKey<Budget>('memory budget')

/**
 * Why a body is not taken: it can never fit; there is no room now; it came too slowly; it is not what it says it is;
 * nobody wants it any more; its sender may not come in; that cannot be told now.
 */
export type RefusalKind = 'too_large' | 'memory' | 'slow' | 'malformed' | 'cancelled' | 'denied' | 'unready'

/** A body that is not taken. The message is for its sender. */
export interface Refusal {
  readonly kind: RefusalKind
  readonly message: string
}

/** What senders may do. */
export interface AdmissionLimits {
  /** Largest body in bytes, as sent and after inflating. */
  readonly maxBody: number
  /** Milliseconds in which a body must have arrived. */
  readonly bodyTimeout?: number
  /** Bytes a second that a body must bring on average, once `rateGrace` milliseconds have passed. */
  readonly leastRate?: number
  readonly rateGrace?: number
  /** Milliseconds between two looks at the clock. */
  readonly sweep?: number
}

/** Most that one read of a socket brings, and how far a charge runs ahead of what has arrived. */
export const readAhead = 65_536
/** Charged for an unfinished request whatever has arrived of it: what a stream costs by itself. */
export const requestCost = 4096
/** Milliseconds after which a sender refused for lack of room may come again. */
export const memoryRetryDelay = 1000
/** Bodies of known size up to this are given their memory at once, larger ones as they arrive. */
const eager = 1 << 20

const defaults = { bodyTimeout: 120_000, leastRate: 2048, rateGrace: 10_000, sweep: 1000 }

/** What the bodies of one connection hold. */
export interface ConnectionShare {
  held: number
}

/** Whoever has a body read: told when that has to end. `refused` is called at most once and never by its own calls. */
export interface IntakeOwner {
  refused(refusal: Refusal): void
}

/** The door of one server: its limits, and the clock over what is being read. */
export class Admission {
  readonly budget: Budget
  readonly maxBody: number
  readonly bodyTimeout: number
  readonly leastRate: number
  readonly rateGrace: number
  /** Requests refused, by reason. */
  readonly refusals: Record<RefusalKind, number> = {
    too_large: 0,
    memory: 0,
    slow: 0,
    malformed: 0,
    cancelled: 0,
    denied: 0,
    unready: 0,
  }
  readonly #sweep: number
  readonly #open = new Set<Intake>()
  #timer: NodeJS.Timeout | undefined

  constructor(budget: Budget, limits: AdmissionLimits) {
    this.budget = budget
    this.maxBody = limits.maxBody
    this.bodyTimeout = limits.bodyTimeout ?? defaults.bodyTimeout
    this.leastRate = limits.leastRate ?? defaults.leastRate
    this.rateGrace = limits.rateGrace ?? defaults.rateGrace
    this.#sweep = limits.sweep ?? defaults.sweep
  }

  /** Most that one connection may hold: a quarter of the budget. */
  get connectionLimit(): number {
    return this.budget.limit / 4
  }

  /** Requests whose body is not complete, or whose deadline is watched. */
  get open(): number {
    return this.#open.size
  }

  watch(intake: Intake): void {
    this.#open.add(intake)
    this.#timer ??= setInterval(() => this.#look(), this.#sweep).unref()
  }

  unwatch(intake: Intake): void {
    this.#open.delete(intake)
  }

  #look(): void {
    const now = Date.now()
    for (const intake of this.#open) intake.look(now)
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** The reading of one body. Everything charged is given back exactly once: by `abort`, or by whoever calls `take`. */
export class Intake {
  readonly #admission: Admission
  readonly #share: ConnectionShare
  readonly #owner: IntakeOwner
  readonly #since = Date.now()
  /** When the sender stops waiting. */
  #deadline: number
  #charged = 0
  #total = -1
  #received = 0
  #buffer: Buffer | undefined
  #state: 'reading' | 'inflating' | 'read' | 'ended' = 'reading'

  /** `timeout`: milliseconds after which the sender gives up by itself; Infinity when it did not say. */
  constructor(admission: Admission, share: ConnectionShare, owner: IntakeOwner, timeout = Infinity) {
    this.#admission = admission
    this.#share = share
    this.#owner = owner
    this.#deadline = this.#since + timeout
    admission.watch(this)
  }

  /** Bytes of the budget this holds. */
  get charged(): number {
    return this.#charged
  }

  /** Bytes that have arrived. */
  get received(): number {
    return this.#received
  }

  /** Asks for room for the request as such, and for `ahead` bytes that wait unread. */
  begin(ahead = 0): Refusal | undefined {
    return this.#charge(requestCost + ahead)
  }

  /** The size is known. What can never fit is refused before any of it arrives. */
  expect(total: number): Refusal | undefined {
    const { maxBody, connectionLimit } = this.#admission
    if (total > maxBody || total + requestCost > connectionLimit) return this.#tooLarge(total)
    this.#total = total
    const refusal = this.#charge(Math.min(total, readAhead))
    if (refusal) return refusal
    this.#buffer = this.#admission.budget.pool.take(total <= eager ? total : readAhead)
    return undefined
  }

  /** Takes `chunk` from byte `from` on. */
  add(chunk: Uint8Array, from: number): Refusal | undefined {
    const at = this.#received
    const end = at + chunk.length - from
    const total = this.#total
    if (total >= 0 && end > total) return { kind: 'malformed', message: `more than the ${total} bytes announced` }
    if (end > this.#admission.maxBody) return this.#tooLarge(end)
    const wanted = total < 0 ? end : Math.min(total, end + readAhead)
    if (wanted + requestCost > this.#charged) {
      const refusal = this.#charge(wanted + requestCost - this.#charged)
      if (refusal) return refusal
    }
    let buffer = this.#buffer
    if (buffer === undefined || end > buffer.length) buffer = this.#grow(end)
    // A copy, because the chunk is a slice of what was read from the socket and would keep all of that alive.
    buffer.set(from === 0 ? chunk : chunk.subarray(from), at)
    this.#received = end
    return undefined
  }

  #grow(needed: number): Buffer {
    const old = this.#buffer
    const wish = Math.max(needed, old === undefined ? 0 : old.length * 4)
    const size =
      this.#total >= 0
        ? Math.min(wish, this.#total)
        : old === undefined
          ? needed
          : Math.min(wish, this.#admission.maxBody)
    const { pool } = this.#admission.budget
    const buffer = pool.take(size)
    if (old !== undefined) {
      buffer.set(old.subarray(0, this.#received), 0)
      pool.give(old)
    }
    this.#buffer = buffer
    return buffer
  }

  /** The body has arrived whole: returns it in a buffer of its own, charged as what it is. */
  finish(): Buffer | Refusal {
    const received = this.#received
    if (this.#total >= 0 && received < this.#total) {
      return { kind: 'malformed', message: `${received} of ${this.#total} bytes announced` }
    }
    let body = this.#buffer ?? empty
    this.#buffer = undefined
    if (body.length > received) {
      const { pool } = this.#admission.budget
      const exact = pool.take(received)
      exact.set(body.subarray(0, received), 0)
      pool.give(body)
      body = exact
    }
    this.#settle(BufferPool.cost(received))
    this.#read()
    return body
  }

  /** Inflates what `finish` returned; `done` is called once, perhaps before this returns, unless aborted. */
  inflate(encoding: Encoding, body: Buffer, done: (result: Buffer | Refusal) => void): void {
    const { maxBody } = this.#admission
    let hint: number | undefined
    try {
      hint = sizeHint(encoding, body)
    } catch (error) {
      return done({ kind: 'malformed', message: `body is no valid ${encoding}: ${messageOf(error)}` })
    }
    if (hint !== undefined && hint > maxBody) return done(this.#tooLarge(hint))
    // Without a hint, or with one that does not hold (gzip of several members), a second go has the full limit.
    const guess = Math.min(maxBody, hint ?? Math.max(readAhead, body.length * 16))
    this.#inflate(encoding, body, guess, done)
  }

  #inflate(encoding: Encoding, body: Buffer, limit: number, done: (result: Buffer | Refusal) => void): void {
    const refusal = this.#charge(limit)
    if (refusal) {
      this.#read()
      return done(refusal)
    }
    const settled = (result: Buffer): void => {
      this.#admission.budget.pool.give(body)
      this.#settle(result.length)
      this.#read()
      done(result)
    }
    const failed = (error: unknown): void => {
      const { maxBody } = this.#admission
      this.#settle(body.length)
      if (error instanceof TooLargeError && limit < maxBody) {
        return this.#inflate(encoding, body, Math.min(maxBody, Math.max(limit * 16, readAhead)), done)
      }
      this.#read()
      if (error instanceof TooLargeError) done(this.#tooLarge(maxBody + 1))
      else done({ kind: 'malformed', message: `body is no valid ${encoding}: ${messageOf(error)}` })
    }
    let result: Buffer | Promise<Buffer>
    try {
      result = inflate(encoding, body, limit)
    } catch (error) {
      return failed(error)
    }
    if (!(result instanceof Promise)) return settled(result)
    this.#state = 'inflating'
    const still = (next: () => void) => {
      // Aborted meanwhile: the memory was in use until now.
      if (this.#state === 'ended') this.#settle(0)
      else next()
    }
    result.then(
      inflated => still(() => settled(inflated)),
      (error: unknown) => still(() => failed(error)),
    )
  }

  /** Hands the charge over to the caller, who gives it back. */
  take(): number {
    const charge = this.#charged
    this.#charged = 0
    this.#share.held -= charge
    return charge
  }

  /** The request is answered: its deadline is watched no more. */
  end(): void {
    if (this.#state === 'ended') return
    const inflating = this.#state === 'inflating'
    this.#state = 'ended'
    if (this.#buffer !== undefined) this.#admission.budget.pool.give(this.#buffer)
    this.#buffer = undefined
    this.#admission.unwatch(this)
    if (!inflating) this.#settle(0)
  }

  /** Looks at the clock. */
  look(now: number): void {
    if (now >= this.#deadline) {
      this.#deadline = Infinity
      return this.#owner.refused({ kind: 'cancelled', message: "the request's deadline has passed" })
    }
    if (this.#state !== 'reading') return
    const { bodyTimeout, leastRate, rateGrace } = this.#admission
    const age = now - this.#since
    if (age >= bodyTimeout || (age >= rateGrace && this.#received * 1000 < leastRate * age)) {
      this.#owner.refused({
        kind: 'slow',
        message: `body came too slowly: ${this.#received} bytes in ${Math.round(age / 1000)} s`,
      })
    }
  }

  #read(): void {
    this.#state = 'read'
    if (this.#deadline === Infinity) this.#admission.unwatch(this)
  }

  #tooLarge(size: number): Refusal {
    const { maxBody, connectionLimit } = this.#admission
    const limit = Math.floor(Math.min(maxBody, connectionLimit))
    const what = size > maxBody ? `the limit of ${maxBody} bytes` : `the ${limit} bytes that the memory budget allows`
    return { kind: 'too_large', message: `request is larger than ${what}; send smaller batches` }
  }

  #charge(bytes: number): Refusal | undefined {
    const { budget, connectionLimit } = this.#admission
    if (this.#charged + bytes > connectionLimit) return this.#tooLarge(this.#charged + bytes)
    if (this.#share.held + bytes > connectionLimit) {
      return { kind: 'memory', message: 'this connection holds its share of the memory budget; retry later' }
    }
    if (!budget.tryCharge(bytes)) return { kind: 'memory', message: 'the memory budget is used up; retry later' }
    this.#charged += bytes
    this.#share.held += bytes
    return undefined
  }

  /** Brings the charge to `bytes`. */
  #settle(bytes: number): void {
    const excess = this.#charged - bytes
    if (excess === 0) return
    this.#charged = bytes
    this.#share.held -= excess
    if (excess > 0) this.#admission.budget.release(excess)
    else this.#admission.budget.charge(-excess)
  }
}

const empty = Buffer.alloc(0)
