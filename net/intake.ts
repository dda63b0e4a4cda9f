/**
 * Reading bodies under the memory budget: read or reset, never pause (a paused HTTP/2 stream still fills its window).
 * What is charged is what has been made: the request as such until its answer is taken, and buffers, which grow with what
 * has arrived, so that a sender that declares much and sends little holds little.
 */
import { messageOf } from '../core/errors.ts'
import { BufferPool } from '../core/pool.ts'
import { beginningOf } from '../core/dismissal.ts'
import { type Admission, readAhead, requestCost } from './admission.ts'
import type { Encoding } from './compression.ts'
import { Inflation } from './inflation.ts'
import type { ConnectionShare, Watched } from './occupancy.ts'
import { noRoom, type Refusal } from './refusal.ts'
import { TooLargeError } from './snappy.ts'

/** The first piece of memory for a body whose size is known. */
const firstPiece = 16_384
/** How far the memory for a body may run ahead of what has arrived of it: large bodies are copied once or twice, not more. */
const runAhead = 16
/** Up to this many bytes are copied one by one: a view of them would cost more. */
const shortPiece = 32
/** Answers up to this are covered by what the request costs. */
const smallAnswer = 1024
/**
 * Where refused requests bring the budget this far over its limit, a connection with this many answers that it has not
 * taken is ended.
 */
const overrun = 17 / 16
const unreadMost = 100

/** Whoever has a body read: told when that has to end. */
export interface IntakeOwner {
  /** Called at most once, and never by its own calls. */
  refused(refusal: Refusal): void
  /** The answer has not been taken in time. */
  unread?(): void
  /** The connection is gone. */
  gone(): void
}

/**
 * One request, from its head until its answer is taken, and the reading of its body. Everything charged is given back
 * exactly once: what the body takes by whoever calls `take` or by `answered`, what the request costs by `close`.
 */
export class Intake implements Watched {
  before: Watched | undefined
  after: Watched | undefined
  chain: object | undefined
  readonly #admission: Admission
  readonly #share: ConnectionShare
  readonly #owner: IntakeOwner
  /** When the request came, in milliseconds since the epoch. */
  readonly since = Date.now()
  /** When the sender stops waiting. */
  #deadline: number
  /** Charged for the body, or for a large answer. */
  #charged = 0
  /** Charged for the request as such. */
  #cost = 0
  #isCounted = false
  #total = -1
  #received = 0
  #buffer: Buffer | undefined
  #state: 'reading' | 'read' | 'answered' | 'closed' = 'reading'
  #isInflating = false
  /** When the answer was first seen not to be taken. */
  #unreadSince = 0

  /** `timeout`: milliseconds after which the sender gives up by itself; Infinity when it did not say. */
  constructor(admission: Admission, share: ConnectionShare, owner: IntakeOwner, timeout = Infinity) {
    this.#admission = admission
    this.#share = share
    this.#owner = owner
    this.#deadline = this.since + timeout
    share.open.add(this)
  }

  /** Bytes of the budget that the body holds. */
  get charged(): number {
    return this.#charged
  }

  /** Bytes that have arrived. */
  get received(): number {
    return this.#received
  }

  /**
   * Asks for room for the request as such, of whose head `kept` is kept: texts, or so many bytes. One that is refused costs
   * as much, until its answer is taken.
   */
  begin(kept: readonly string[] | number): Refusal | undefined {
    const share = this.#share
    const { budget, occupancy, connectionLimit } = this.#admission
    let cost = requestCost
    if (typeof kept === 'number') cost += kept
    else for (const text of kept) cost += text.length
    this.#cost = cost
    let refusal: Refusal | undefined
    const full = occupancy.begin(share)
    if (full === undefined) this.#isCounted = true
    else refusal = { kind: full, message: busy[full] }
    refusal ??= this.#hasShare(cost, connectionLimit)
    if (refusal !== undefined) budget.charge(cost)
    else if (!budget.tryCharge(cost)) {
      refusal = noRoom
      budget.charge(cost)
    }
    share.held += cost
    share.peer.held += cost
    return refusal
  }

  /** Whether the budget is overrun, and this connection does not take its answers: one more would only take memory. */
  get isVain(): boolean {
    const { budget } = this.#admission
    return this.#share.unread > unreadMost && budget.used > budget.limit * overrun
  }

  /** The size is known. What can never fit is refused before any of it arrives. */
  expect(total: number): Refusal | undefined {
    const { maxBody, connectionLimit } = this.#admission
    if (total > maxBody || total + requestCost > connectionLimit) return this.#tooLarge(total)
    this.#total = total
    return undefined
  }

  /** Takes `chunk` from byte `from` on, up to `to`. */
  add(chunk: Uint8Array, from: number, to = chunk.length): Refusal | undefined {
    const at = this.#received
    const end = at + to - from
    const total = this.#total
    if (total >= 0 && end > total) return { kind: 'malformed', message: `more than the ${total} bytes announced` }
    if (end > this.#admission.maxBody) return this.#tooLarge(end)
    let buffer = this.#buffer
    if (buffer === undefined || end > buffer.length) {
      const grown = this.#grow(end)
      if (!Buffer.isBuffer(grown)) return grown
      buffer = grown
    }
    // A copy, because the chunk is a slice of what was read from the socket and would keep all of that alive.
    if (to - from > shortPiece) buffer.set(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), at)
    else for (let i = from; i < to; i++) buffer[at + i - from] = chunk[i]
    this.#received = end
    return undefined
  }

  /** Makes room for `needed` bytes and some more, charged before it is made. */
  #grow(needed: number): Buffer | Refusal {
    const old = this.#buffer
    const total = this.#total
    const size =
      total >= 0
        ? Math.min(total, Math.max(firstPiece, needed * runAhead))
        : old === undefined
          ? needed
          : Math.min(Math.max(needed, old.length * 2), this.#admission.maxBody)
    const refusal = this.#charge(BufferPool.cost(size) - this.#charged)
    if (refusal) return refusal
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
    this.#state = 'read'
    return body
  }

  /** Inflates what `finish` returned; `done` is called once, perhaps before this returns, unless it is over before. */
  inflate(encoding: Encoding, body: Buffer, done: (result: Buffer | Refusal) => void): void {
    const { maxBody } = this.#admission
    let inflation: Inflation
    try {
      inflation = new Inflation(encoding, body, () => this.#state === 'read')
    } catch (error) {
      return done(notInflatable(encoding, body, error))
    }
    const { hint } = inflation
    if (hint !== undefined && hint > maxBody) {
      if (inflation.isHintProven) return done(this.#tooLarge(hint))
      // Whether it is too large or broken shows when it is inflated; nothing of that needs to be kept.
      return this.#inflate(inflation, body, maxBody, done, false)
    }
    // Without a hint, or with one that does not hold (gzip of several members), a second go has the full limit.
    this.#inflate(inflation, body, Math.min(maxBody, hint ?? Math.max(readAhead, body.length * 16)), done)
  }

  #inflate(
    inflation: Inflation,
    body: Buffer,
    limit: number,
    done: (result: Buffer | Refusal) => void,
    isKept = true,
  ): void {
    if (isKept && inflation.isShort(limit)) {
      const refusal = this.#charge(inflation.cost(limit, isKept))
      if (refusal) return done(refusal)
      let result: Buffer
      try {
        result = inflation.runNow(limit)
      } catch (error) {
        return this.#notInflated(inflation, body, limit, error, done)
      }
      return this.#inflated(body, result, done)
    }
    const { inflating } = this.#admission
    this.#isInflating = true
    /** Says whether somebody waits still. If not, the memory was in use until now. */
    const ended = (): boolean => {
      inflating.free()
      this.#isInflating = false
      if (this.#state === 'read') return true
      this.#admission.budget.pool.give(body)
      this.#settle(0)
      return false
    }
    inflating.take(() => {
      const refusal = this.#state === 'read' ? this.#charge(inflation.cost(limit, isKept)) : noRoom
      if (refusal !== undefined) {
        if (ended()) done(refusal)
        return
      }
      inflation.runLater(limit, isKept).then(
        result => void (ended() && this.#inflated(body, result, done)),
        (error: unknown) => void (ended() && this.#notInflated(inflation, body, limit, error, done)),
      )
    })
  }

  #inflated(body: Buffer, result: Buffer, done: (result: Buffer) => void): void {
    this.#admission.budget.pool.give(body)
    this.#settle(result.length)
    done(result)
  }

  #notInflated(
    inflation: Inflation,
    body: Buffer,
    limit: number,
    error: unknown,
    done: (result: Buffer | Refusal) => void,
  ): void {
    const { maxBody } = this.#admission
    this.#settle(BufferPool.cost(body.length))
    if (!(error instanceof TooLargeError)) {
      return done(notInflatable(inflation.encoding, body, error))
    }
    if (limit >= maxBody) return done(this.#tooLarge(maxBody + 1))
    this.#inflate(inflation, body, Math.min(maxBody, Math.max(limit * 16, readAhead)), done)
  }

  /** Hands the charge of the body over to the caller, who gives it back. */
  take(): number {
    const charge = this.#charged
    this.#charged = 0
    this.#share.held -= charge
    this.#share.peer.held -= charge
    return charge
  }

  /** The request is answered, with `bytes`: what is left is that the answer is taken. */
  answered(bytes = 0): void {
    if (this.#state === 'answered' || this.#state === 'closed') return
    this.#state = 'answered'
    this.#share.unread++
    this.#letGo(bytes > smallAnswer ? bytes : 0)
  }

  /** The request is over: its answer is taken, or nobody is there to take it. */
  close(): void {
    if (this.#state === 'closed') return
    const share = this.#share
    if (this.#state === 'answered') share.unread--
    this.#state = 'closed'
    share.open.delete(this)
    this.#letGo(0)
    if (this.#isCounted) this.#admission.occupancy.end(share)
    const cost = this.#cost
    share.held -= cost
    share.peer.held -= cost
    this.#admission.budget.release(cost)
  }

  #letGo(charge: number): void {
    if (this.#buffer !== undefined) this.#admission.budget.pool.give(this.#buffer)
    this.#buffer = undefined
    if (!this.#isInflating) this.#settle(charge)
  }

  /** The connection is gone. */
  gone(): void {
    this.#owner.gone()
    this.close()
  }

  /** Looks at the clock. */
  look(now: number): void {
    if (this.#state === 'answered') return this.#lookUnread(now)
    if (now >= this.#deadline) {
      this.#deadline = Infinity
      return this.#owner.refused({ kind: 'cancelled', message: "the request's deadline has passed" })
    }
    if (this.#state !== 'reading') return
    const { bodyTimeout, leastRate, rateGrace, crowdedGrace, occupancy } = this.#admission
    const age = now - this.since
    const grace = age < rateGrace && occupancy.isCrowded(this.#share) ? crowdedGrace : rateGrace
    if (age >= bodyTimeout || (age >= grace && this.#received * 1000 < leastRate * age)) {
      this.#owner.refused({
        kind: 'slow',
        message: `body came too slowly: ${this.#received} bytes in ${Math.round(age / 1000)} s`,
      })
    }
  }

  #lookUnread(now: number): void {
    if (this.#unreadSince === 0) this.#unreadSince = now
    else if (now - this.#unreadSince >= this.#admission.answerTimeout) {
      this.#unreadSince = Infinity
      this.#owner.unread?.()
    }
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
    const refusal = this.#hasShare(bytes, connectionLimit)
    if (refusal !== undefined) return refusal
    if (!budget.tryCharge(bytes)) return noRoom
    this.#charged += bytes
    this.#share.held += bytes
    this.#share.peer.held += bytes
    return undefined
  }

  /** Whether connection and peer may hold `bytes` more. */
  #hasShare(bytes: number, connectionLimit: number): Refusal | undefined {
    const share = this.#share
    if (share.held + bytes > connectionLimit) {
      return { kind: 'memory', message: 'this connection holds its share of the memory budget; retry later' }
    }
    return this.#admission.occupancy.hasMemory(share, bytes) ? undefined : { kind: 'peer', message: busy.memory }
  }

  /** Brings the charge of the body to `bytes`. */
  #settle(bytes: number): void {
    const excess = this.#charged - bytes
    if (excess === 0) return
    this.#charged = bytes
    this.#share.held -= excess
    this.#share.peer.held -= excess
    if (excess > 0) this.#admission.budget.release(excess)
    else this.#admission.budget.charge(-excess)
  }
}

const notInflatable = (encoding: Encoding, body: Buffer, error: unknown): Refusal => ({
  kind: 'malformed',
  message: `body is no valid ${encoding}: ${messageOf(error)}`,
  firstBytes: beginningOf(body),
})

const empty = Buffer.alloc(0)
const busy = {
  requests: 'as many requests are in flight as this server takes; retry later',
  peer: 'as many of your requests are in flight as this server takes of one peer; retry later',
  memory: 'this peer holds its share of the memory budget; retry later',
}
