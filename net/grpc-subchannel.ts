/** One address of a target: a session to it, made anew when it is lost, with jittered back-off when it cannot be made. */
import type { Logger } from '../core/logger.ts'
import { messageOf } from '../core/errors.ts'
import { GrpcSession, type SessionOptions } from './grpc-session.ts'
import { type Address, addressText } from './grpc-target.ts'

/** Waits between attempts to connect, in milliseconds; gRPC's "Connection Backoff Protocol". */
export interface Backoff {
  readonly initial: number
  readonly max: number
  readonly multiplier: number
  /** Spread of each wait, as a share of it. */
  readonly jitter: number
}

/** Not gRPC's two minutes at most: a server that is back is to be found within five seconds. */
export const grpcBackoff: Backoff = { initial: 1000, max: 4000, multiplier: 1.6, jitter: 0.2 }

/** How long to wait before the attempt that follows `failures` failed ones; `random` is from 0 to 1. */
export function backoffDelay(backoff: Backoff, failures: number, random: number): number {
  const delay = Math.min(backoff.max, backoff.initial * backoff.multiplier ** (failures - 1))
  return delay * (1 + backoff.jitter * (2 * random - 1))
}

/** What a subchannel tells its client. */
export interface SubchannelOwner {
  /** Calls may have found a place, or lost one. */
  onChange(): void
  /** There is a connection. */
  onConnected(): void
  /** A session ended or could not be made: the target may stand for other addresses now. */
  onLost(): void
}

/** A session that lived shorter and was of no use counts as a failed attempt, so that no loop runs. */
const shortLife = 1000

/** Keeps at most one session for new calls; those that take no more end by themselves. */
export class Subchannel {
  readonly address: Address
  /** Whether the last attempt failed and none has succeeded since. */
  failing = false
  /** Why it is failing. */
  error = ''
  readonly #options: SessionOptions
  readonly #backoff: Backoff
  readonly #owner: SubchannelOwner
  readonly #log: Logger
  #session: GrpcSession | undefined
  readonly #draining = new Set<GrpcSession>()
  #failures = 0
  #retry: NodeJS.Timeout | undefined
  #readyAt = 0
  #pingFactor = 1
  #closed = false

  constructor(address: Address, options: SessionOptions, backoff: Backoff, owner: SubchannelOwner, log: Logger) {
    this.address = address
    this.#options = options
    this.#backoff = backoff
    this.#owner = owner
    this.#log = log
  }

  /** The session, if it takes calls. */
  get session(): GrpcSession | undefined {
    return this.#session?.ready ? this.#session : undefined
  }

  /** Connects unless it is connected, connecting, or waiting to try again. */
  connect(): void {
    if (this.#session || this.#retry || this.#closed) return
    const { keepalive } = this.#options
    const options = keepalive
      ? { ...this.#options, keepalive: { ...keepalive, time: keepalive.time * this.#pingFactor } }
      : this.#options
    try {
      this.#session = new GrpcSession(this.address, options, {
        onReady: session => this.#onReady(session),
        onGone: session => this.#onGone(session),
        onRoom: () => this.#owner.onChange(),
      })
    } catch (error) {
      // The TLS files cannot be read.
      this.#onFailure(messageOf(error))
    }
  }

  /** Takes no more calls; those in flight may end. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#session?.drain()
  }

  /** Ends everything at once. */
  destroy(reason: string): void {
    this.close()
    for (const session of this.#draining) session.destroy(reason)
  }

  #onReady(session: GrpcSession): void {
    if (this.failing) this.#log.info({ address: addressText(this.address) }, 'connected again')
    else this.#log.debug({ address: addressText(this.address) }, 'connected')
    this.failing = false
    this.#readyAt = performance.now()
    if (session !== this.#session) return
    this.#owner.onChange()
    this.#owner.onConnected()
  }

  #onGone(session: GrpcSession): void {
    if (session === this.#session) {
      this.#session = undefined
      if (session.lost === undefined) {
        this.#draining.add(session)
        session.onEnd = () => this.#draining.delete(session)
      }
      if (this.#closed) return
      if (session.tooManyPings) this.#pingFactor *= 2
      const lived = session.ready && performance.now() - this.#readyAt >= shortLife
      const useful = session.answers > 0 || lived || (session.lost === undefined && session.opened > 0)
      const reason = session.lost ?? 'the server ended the connection (GOAWAY)'
      if (useful) {
        this.#failures = 0
        this.#log.debug({ address: addressText(this.address), reason }, 'connection ended')
        this.#owner.onLost()
        this.#owner.onChange()
      } else if (session.ready && session.lost === undefined) {
        // It was there, and said goodbye before anybody asked: calls wait until it is asked again.
        const delay = this.#connectLater()
        this.#log.debug({ address: addressText(this.address), reason, delay }, 'connection ended unused')
        this.#owner.onLost()
      } else this.#onFailure(reason)
    }
  }

  #onFailure(reason: string): void {
    const address = addressText(this.address)
    const delay = this.#connectLater()
    if (this.failing) this.#log.debug({ address, reason, delay }, 'cannot connect')
    else this.#log.warn({ address, reason }, 'cannot connect; trying again until it can')
    this.failing = true
    this.error = reason
    this.#owner.onLost()
    this.#owner.onChange()
  }

  /** Says in how many milliseconds. */
  #connectLater(): number {
    const delay = Math.round(backoffDelay(this.#backoff, ++this.#failures, Math.random()))
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.connect()
    }, delay)
    return delay
  }
}
