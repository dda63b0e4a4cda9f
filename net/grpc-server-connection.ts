/** The life of one gRPC connection: idle, age and grace, keepalive, and clients that ping too much. */
import http2, { type ServerHttp2Session } from 'node:http2'
import type { GrpcServerConfig } from './grpc-server-keys.ts'
import { maxHeaderBytes } from './header-limits.ts'
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

/** A connection has to say something within this. */
const greeting = 20_000
/** Pings too soon after the last that are forgiven, as in other implementations. */
const forgiven = 2
/** What a stream may bring before its sender has to be told that there is room: large, so that one round trip limits nobody. */
export const streamWindow = 8 << 20
/** Bytes that a connection may send beside calls and their messages, and how often it may change its settings. */
const idleBytes = 256 * 1024
const settingsMost = 100
/** A connection that leaves so many answers is ended. */
const unreadMost = 10
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

/** One connection, with what its calls carry. */
export class Connection<C> {
  /** What it takes up of the listener. */
  readonly share: ConnectionShare
  readonly context: C
  readonly peer: string
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>
  readonly #session: ServerHttp2Session
  readonly #rules: ConnectionRules
  readonly #opened = Date.now()
  readonly #age: number
  #greeted = false
  #calls = 0
  #lastSeen = Date.now()
  #idleSince = Date.now()
  #pinged = 0
  #lastPing = 0
  #strikes = 0
  #retiredAt = 0
  readonly #onFlood: () => void
  /** Calls that ever began, bytes of their messages, settings that came. */
  #began = 0
  #messages = 0
  #settings = 0
  #unread = 0

  /** `onFlood` is told when the connection is ended because of what it sends beside calls. */
  constructor(
    session: ServerHttp2Session,
    context: C,
    peer: string,
    share: ConnectionShare,
    rules: ConnectionRules,
    onFlood: () => void,
  ) {
    this.#session = session
    this.share = share
    this.#onFlood = onFlood
    this.context = context
    this.peer = peer
    this.#rules = rules
    // Spread, so that connections opened together do not come back together.
    this.#age = rules.age * (0.9 + Math.random() * 0.2)
    this.closed = new Promise(resolve => session.once('close', () => resolve()))
    session.on('remoteSettings', () => {
      this.#greeted = true
      if (++this.#settings > settingsMost + this.#began) this.#flooded()
    })
    session.on('ping', () => this.#onPing())
  }

  /** A call has begun. */
  began(): void {
    this.#calls++
    this.#began++
    this.#lastSeen = Date.now()
  }

  /** So much of the bytes of the connection was part of a message. */
  received(bytes: number): void {
    this.#messages += bytes
  }

  /** A call was ended whose sender may have sent up to `bytes` more by the time it hears of it. */
  cutOff(bytes: number): void {
    this.#messages += Math.min(bytes, streamWindow)
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
    const rules = this.#rules
    const { destroyed, socket } = this.#session
    if (destroyed) return
    // Heads of calls may be as large as is allowed, and what frames and TLS add to messages as large as those. What is left
    // are frames about nothing.
    const idle = socket.bytesRead - 2 * this.#messages - this.#began * maxHeaderBytes
    if (idle > idleBytes) return this.#flooded()
    if (this.#retiredAt > 0) {
      if (now - this.#retiredAt >= rules.grace) this.destroy()
      return
    }
    if (!this.#greeted && now - this.#opened >= greeting) return this.destroy()
    if (now - this.#opened >= this.#age) return this.retire()
    if (this.#calls === 0 && now - this.#idleSince >= rules.idle) return this.retire()
    if (this.#pinged > 0) {
      if (now - this.#pinged >= rules.pong) this.destroy()
    } else if (now - this.#lastSeen >= rules.silence) this.#ping(now)
  }

  #flooded(): void {
    this.#onFlood()
    this.destroy()
  }

  #ping(now: number): void {
    this.#pinged = now
    this.#session.ping(() => {
      this.#pinged = 0
      this.#lastSeen = Date.now()
    })
  }

  #onPing(): void {
    const now = Date.now()
    const rules = this.#rules
    this.#lastSeen = now
    const least = this.#calls === 0 && !rules.pingIdle ? idlePing : rules.pingInterval
    const tooSoon = this.#lastPing > 0 && now - this.#lastPing < least
    this.#lastPing = now
    if (!tooSoon || ++this.#strikes <= forgiven) return
    this.#session.goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'))
    setImmediate(() => this.destroy())
  }

  /**
   * Ends the connection gently: the client is told first, and calls it sent meanwhile are still taken; one round trip
   * later no more are, and the connection ends with its last call.
   */
  retire(): void {
    if (this.#retiredAt > 0) return
    this.#retiredAt = Date.now()
    const session = this.#session
    if (session.destroyed) return
    session.goaway(http2.constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1)
    // Clients on Node send no answer to a ping any more once they have been told. After a long turn of ours, calls may have
    // come that are not read yet.
    const timer = setTimeout(() => setImmediate(() => session.close()), roundTrip)
    // Answers to pings overtake calls that wait to be written with them; those come before the answer to the next one.
    session.ping(() => {
      if (session.destroyed) return
      session.ping(() => {
        clearTimeout(timer)
        setImmediate(() => session.close())
      })
    })
  }

  /** Ends the connection now. */
  destroy(): void {
    this.#session.destroy()
  }
}
