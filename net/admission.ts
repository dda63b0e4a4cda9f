/** The door of one server: what it takes in, what it turned away, and the clock over it. */
import type { StatusTally } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import { timerWait } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { SenderRow } from '../core/sender.ts'
import { Slots } from './inflation.ts'
import {
  type ConnectionShare,
  type LimitKind,
  Occupancy,
  type OccupancyLimits,
  peerName,
  plainAddress,
} from './occupancy.ts'
import { Reception, type ReceptionTerms, type TurnedAway, unanswered } from './reception.ts'
import type { RefusalKind } from './refusal.ts'

/** What senders may do. */
export interface AdmissionLimits {
  /** Largest body in bytes, as sent and after inflating. */
  readonly maxBody: number
  /** Milliseconds in which a body must have arrived. */
  readonly bodyTimeout?: number
  /** Bytes a second that a body must bring on average, once `rateGrace` milliseconds have passed. */
  readonly leastRate?: number
  readonly rateGrace?: number
  /** The same where there is little room left. */
  readonly crowdedGrace?: number
  /** Milliseconds in which an answer must have been taken. */
  readonly answerTimeout?: number
  /** Milliseconds between two looks at the clock. */
  readonly sweep?: number
  /** What may be taken up at once. */
  readonly occupancy?: Partial<OccupancyLimits>
}

/** Most that one read of a socket brings. */
export const readAhead = 65_536
/** Charged for a request until its answer is taken, whatever arrives of it: 5.5 KiB were measured for a stream. */
export const requestCost = 8192
/** Milliseconds after which a sender refused for lack of room may come again. */
export const memoryRetryDelay = 1000
/** Requests and connections that are looked at in one step: each may have to be answered. */
const stepLooks = 64
/** Bodies that one listener inflates on other threads at once; the pool has four of them, which files need, too. */
const inflaters = 3

const defaults = {
  bodyTimeout: 120_000,
  leastRate: 2048,
  rateGrace: 10_000,
  crowdedGrace: 2000,
  answerTimeout: 10_000,
  sweep: 1000,
}

/** The door of one server: its limits, and the clock over what is being read. */
export class Admission {
  readonly budget: Budget
  readonly maxBody: number
  readonly bodyTimeout: number
  readonly leastRate: number
  readonly rateGrace: number
  readonly crowdedGrace: number
  readonly answerTimeout: number
  readonly occupancy: Occupancy
  readonly inflating = new Slots(inflaters)
  /** Requests refused, by reason. */
  readonly refusals: Record<RefusalKind, number> = {
    too_large: 0,
    memory: 0,
    slow: 0,
    malformed: 0,
    cancelled: 0,
    denied: 0,
    unready: 0,
    unserved: 0,
    handshake: 0,
    connections: 0,
    requests: 0,
    peer: 0,
    unread: 0,
    flood: 0,
    rejected: 0,
    queue_full: 0,
    storage: 0,
    stopping: 0,
    undelivered: 0,
  }
  readonly #reception: Reception
  readonly #sweep: number
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  /** `reception` is told who comes; `statusOf` says how each kind is answered. */
  constructor(
    budget: Budget,
    limits: AdmissionLimits,
    log?: Logger,
    reception?: ReceptionTerms,
    statusOf: Readonly<Partial<Record<RefusalKind, string>>> = {},
  ) {
    this.budget = budget
    const all = { ...defaults, ...limits }
    this.maxBody = all.maxBody
    this.bodyTimeout = all.bodyTimeout
    this.leastRate = all.leastRate
    this.rateGrace = all.rateGrace
    this.crowdedGrace = all.crowdedGrace
    this.answerTimeout = all.answerTimeout
    this.#sweep = all.sweep
    this.#reception = new Reception(reception)
    for (const kind of Object.keys(this.refusals) as RefusalKind[]) {
      this.#reception.expect(kind, statusOf[kind] ?? unanswered)
    }
    this.occupancy = new Occupancy(limits.occupancy ?? {}, this.refusals, budget, log)
  }

  /** Most that one connection may hold: a quarter of the budget. */
  get connectionLimit(): number {
    return this.budget.limit / 4
  }

  /** Requests that are not over: in the hands of a handler, or with an answer that has not been taken, too. */
  get open(): number {
    let open = 0
    for (const share of this.occupancy.shares) open += share.open.size
    return open
  }

  /** A connection comes in; undefined when there is no place for it. */
  enter(address: string | undefined): ConnectionShare | undefined {
    const share = this.occupancy.enter(address)
    if (share !== undefined) this.#timer ??= setInterval(() => this.#look(), timerWait(this.#sweep)).unref()
    else this.#dismiss('connections', explained.connections ?? 'connections', plainAddress(address), peerName(address))
    return share
  }

  /** What was turned away, by status and reason. */
  get tallies(): readonly StatusTally[] {
    return this.#reception.tallies
  }

  /** Finds out who is behind a connection, as which `agent` a request of it has come. */
  meet(share: ConnectionShare, agent: string | undefined): SenderRow {
    return this.#reception.meet(share, agent)
  }

  /** The connection is gone. */
  leave(share: ConnectionShare): void {
    for (const intake of share.open.all()) intake.gone()
    this.occupancy.leave(share)
  }

  /** A request of which `bytes` had come is turned away. */
  turnAway(what: TurnedAway, share: ConnectionShare, agent: string | undefined, bytes: number): void {
    this.#count(what.kind, share)
    this.#reception.turnedAway(what, share, agent, bytes)
  }

  /** A connection is ended, or what comes on it is no request: there is nobody who could be told apart. */
  count(kind: RefusalKind, share: ConnectionShare, message = explained[kind], status = unanswered): void {
    this.#count(kind, share)
    this.#dismiss(kind, message ?? kind, share.address, share.peer.address, share.sender?.agent, status)
  }

  /** A connection on which nobody can talk: there is no request that could be answered. */
  strange(kind: 'handshake' | 'malformed', address: string | undefined, fault: string): void {
    this.refusals[kind]++
    this.#dismiss(kind, fault, plainAddress(address), peerName(address))
  }

  #count(kind: RefusalKind, share: ConnectionShare): void {
    if (isLimit(kind)) this.occupancy.turnedAway(kind, share.peer.address)
    else this.refusals[kind]++
  }

  #dismiss(
    kind: RefusalKind,
    message: string,
    peer: string,
    network: string,
    agent?: string,
    status = unanswered,
  ): void {
    this.#reception.dismissed({ kind, status, message }, peer, network, agent)
  }

  #look(): void {
    const { shares } = this.occupancy
    if (shares.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    } else if (!this.#isLooking) {
      this.#isLooking = true
      this.budget.turns.enter(this.#steps())
    }
  }

  /** Looks at all that is open. What is over may be much at once: an attack that began together ends together. */
  *#steps(): Generator<undefined> {
    let now = Date.now()
    let looked = 0
    for (const share of this.occupancy.shares) {
      share.probe?.(now)
      // Others may be over, too, while this takes its turns.
      for (const intake of share.open.all()) {
        if (share.open.has(intake)) intake.look(now)
        if (++looked % stepLooks !== 0) continue
        yield
        now = Date.now()
      }
      if (++looked % stepLooks !== 0) continue
      yield
      now = Date.now()
    }
    this.#isLooking = false
  }
}

/** What is told of connections that end, and of what is not answered. */
const explained: Partial<Record<RefusalKind, string>> = {
  connections: 'there are as many connections as `limits` allows, or as memory does: it was closed at once',
  flood: 'it sent frames without end that are no requests: the connection was ended',
  unread: 'it did not take its answer within `limits.answer_timeout`',
  slow: 'what it began to send did not come to its end: the connection was ended',
}

const isLimit = (kind: RefusalKind): kind is LimitKind =>
  kind === 'connections' || kind === 'requests' || kind === 'peer' || kind === 'unread' || kind === 'flood'
