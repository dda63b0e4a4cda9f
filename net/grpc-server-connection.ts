/** The life of one gRPC connection: idle, age and grace, keepalive, and clients that ping too much. */
import type { Socket } from 'node:net'
import type { Budget } from '../core/budget.ts'
import type { GrpcServerConfig } from './grpc-server-keys.ts'
import { ErrorCode, maxFrame } from './http2/protocol.ts'
import type { RequestHead } from './http2/request-head.ts'
import { ServerSession, type SessionOwner } from './http2/server-session.ts'
import type { ServerStream } from './http2/server-stream.ts'
import type { SessionRules } from './http2/session-rules.ts'
import type { ConnectionShare } from './occupancy.ts'

/** Milliseconds of everything that ends connections; Infinity where nothing does. */
export interface ConnectionRules {
  readonly idle: number
  readonly age: number
  readonly grace: number
  readonly silence: number
  readonly pong: number
  readonly pingInterval: number
  readonly pingIdle: boolean
  /** How often the clock is looked at. */
  readonly interval: number
}

/** A connection has to say something within this; without a call, a frame has to come to its end. */
const greeting = 20_000
/** Pings too soon after the last that are forgiven, as in other implementations. */
const forgiven = 2
/** A connection that leaves so many answers is ended. */
const unreadMost = 10
/**
 * Milliseconds from its beginning in which a connection may come to its first call before it is told to go. Clients open one
 * to send something, after the handshakes; many hold the call for failed when they are told to go before.
 */
const firstCall = 1000
/** Longest wait for calls that were sent before the client knew that the connection ends. */
const roundTrip = 100
/** Without a call and without `permit_without_stream`, pings may come once in this time. */
const idlePing = 2 * 3_600_000

/** The rules of a configuration. */
export function connectionRules(keepalive: GrpcServerConfig['keepalive']): ConnectionRules {
  const { server_parameters: p, enforcement_policy: policy } = keepalive
  const rules = {
    idle: p.max_connection_idle || Infinity,
    age: p.max_connection_age || Infinity,
    grace: p.max_connection_age_grace || Infinity,
    silence: p.time || Infinity,
    pong: p.timeout || 20_000,
    pingInterval: policy.min_time,
    pingIdle: policy.permit_without_stream,
  }
  const shortest = Math.min(rules.idle, rules.age, rules.grace, rules.silence, rules.pong)
  return { ...rules, interval: Math.min(1000, Math.max(10, shortest / 4)) }
}

/** What a connection is asked for by the server that has it. */
export interface ConnectionServer {
  readonly budget: Budget
  readonly rules: ConnectionRules
  readonly session: SessionRules
  /** Milliseconds for a message. */
  readonly bodyTimeout: number
  /** The connection was ended for a frame that did not come to its end. */
  slow(share: ConnectionShare): void
  /** The connection was ended for what it sends beside calls. */
  flooded(share: ConnectionShare): void
  /** What comes on the connection is no HTTP/2: why. */
  strange(share: ConnectionShare, fault: string): void
  /** The connection was ended for a fault of ours. */
  failed(error: unknown): void
}

/** What a connection makes of its streams. */
export interface ConnectionCalls<C> {
  /** Makes the call that a new stream is. */
  make(connection: GrpcConnection<C>, id: number, head: RequestHead): ServerStream
  /** The connection is gone. */
  gone(connection: GrpcConnection<C>): void
}

/** One connection, with what its calls carry. */
export class GrpcConnection<C> implements SessionOwner {
  /** What it takes up of the listener. */
  readonly share: ConnectionShare
  readonly context: C
  readonly peer: string
  readonly session: ServerSession
  readonly #server: ConnectionServer
  readonly #calling: ConnectionCalls<C>
  readonly #opened = Date.now()
  readonly #age: number
  #greeted = false
  #calls = 0
  #hasCalled = false
  /** It is told to go once this is over, or with its first call. */
  #waiting: NodeJS.Timeout | undefined
  #lastSeen = Date.now()
  #idleSince = Date.now()
  #pinged = 0
  #lastPing = 0
  #strikes = 0
  #retiredAt = 0
  #unread = 0
  /** When the clock first saw the frame that is being read, if it is the same since, and what had come by then. */
  #amidstSince = 0
  #received = 0

  constructor(
    socket: Socket,
    context: C,
    peer: string,
    share: ConnectionShare,
    server: ConnectionServer,
    calling: ConnectionCalls<C>,
  ) {
    this.share = share
    this.context = context
    this.peer = peer
    this.#server = server
    this.#calling = calling
    // Spread, so that connections opened together do not come back together.
    this.#age = server.rules.age * (0.9 + Math.random() * 0.2)
    this.session = new ServerSession(socket, this, server.session, server.budget)
  }

  make(id: number, head: RequestHead): ServerStream {
    return this.#calling.make(this, id, head)
  }

  greeted(): void {
    this.#greeted = true
  }

  flooded(): void {
    this.#server.flooded(this.share)
  }

  strange(fault: string): void {
    this.#server.strange(this.share, fault)
  }

  failed(error: unknown): void {
    this.#server.failed(error)
  }

  gone(): void {
    clearTimeout(this.#waiting)
    this.#calling.gone(this)
  }

  /** A call has begun. */
  began(): void {
    this.#calls++
    this.#hasCalled = true
    this.#lastSeen = Date.now()
    if (this.#waiting !== undefined) this.retire()
  }

  /** A call's answer was not taken. */
  unread(): void {
    if (++this.#unread >= unreadMost) this.destroy()
  }

  /** A call's answer is on its way: pings are welcome again. */
  answered(): void {
    this.#strikes = 0
    this.#lastPing = 0
  }

  /** A call's stream is gone. */
  ended(): void {
    this.#calls--
    if (this.#calls === 0) this.#idleSince = Date.now()
  }

  /** Looks at the clock. */
  look(now: number): void {
    const { rules } = this.#server
    if (this.session.isOver) return
    if (this.#retiredAt > 0) {
      if (now - this.#retiredAt >= rules.grace) this.destroy()
      return
    }
    if (!this.#greeted && now - this.#opened >= greeting) return this.destroy()
    if (this.#isStuck(now)) {
      this.#server.slow(this.share)
      return this.destroy()
    }
    if (now - this.#opened >= this.#age) return this.retire()
    if (this.#calls === 0 && now - this.#idleSince >= rules.idle) return this.retire()
    if (this.#pinged > 0) {
      if (now - this.#pinged >= rules.pong) this.destroy()
    } else if (now - this.#lastSeen >= rules.silence) this.#ping(now)
  }

  /**
   * Whether one frame takes too long. Frames are not counted for it: one that was amidst its payload whenever the clock looked,
   * while less came than the largest frame has, is the same one.
   */
  #isStuck(now: number): boolean {
    const { received, isAmidst } = this.session
    if (!isAmidst || this.#amidstSince === 0 || received - this.#received > maxFrame) {
      this.#amidstSince = isAmidst ? now : 0
      this.#received = received
      return false
    }
    const { bodyTimeout } = this.#server
    return now - this.#amidstSince >= (this.#calls === 0 ? Math.min(greeting, bodyTimeout) : bodyTimeout)
  }

  #ping(now: number): void {
    this.#pinged = now
    this.session.ping(() => {
      this.#pinged = 0
      this.#lastSeen = Date.now()
    })
  }

  pinged(): void {
    const now = Date.now()
    const { rules } = this.#server
    this.#lastSeen = now
    const least = this.#calls === 0 && !rules.pingIdle ? idlePing : rules.pingInterval
    const tooSoon = this.#lastPing > 0 && now - this.#lastPing < least
    this.#lastPing = now
    if (tooSoon && ++this.#strikes > forgiven) this.session.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too_many_pings')
  }

  /**
   * Ends the connection gently: the client is told first, and calls it sent meanwhile are still taken; one round trip
   * later no more are, and the connection ends with its last call.
   */
  retire(): void {
    if (this.#retiredAt > 0) return
    this.#retiredAt = Date.now()
    clearTimeout(this.#waiting)
    const { session } = this
    session.goaway(ErrorCode.NO_ERROR)
    // Clients on Node send no answer to a ping any more once they have been told. After a long turn of ours, calls may have
    // come that are not read yet.
    const timer = setTimeout(() => setImmediate(() => session.close()), roundTrip)
    // Answers to pings overtake calls that wait to be written with them; those come before the answer to the next one.
    session.ping(() =>
      session.ping(() => {
        clearTimeout(timer)
        setImmediate(() => session.close())
      }),
    )
  }

  /** Ends the connection gently, but not before its first call, if that comes soon. */
  retireAfterCall(): void {
    const left = firstCall - (Date.now() - this.#opened)
    if (this.#hasCalled || left <= 0) return this.retire()
    this.#waiting ??= setTimeout(() => this.retire(), left)
  }

  /** Ends the connection now. */
  destroy(): void {
    this.session.destroy()
  }
}
