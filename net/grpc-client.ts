/**
 * OTLP's unary call: one client per target, which keeps a connection per address, spreads calls over
 * them, and connects anew by itself. Nothing is connected before the first call.
 */
import type { Cancellation } from '../core/cancellation.ts'
import type { Duplex } from 'node:stream'
import type tls from 'node:tls'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { GrpcCode } from '../proto/status.ts'
import { changedHeaders, type HeaderChanges } from './auth.ts'
import { GrpcCall } from './grpc-call.ts'
import { GrpcError } from './grpc-error.ts'
import type { GrpcSession, Keepalive, SessionOptions } from './grpc-session.ts'
import { type Backoff, backoffDelay, grpcBackoff, Subchannel } from './grpc-subchannel.ts'
import { type Address, addressText, type GrpcTarget, parseTarget, resolveTarget, serverNameOf } from './grpc-target.ts'
import { packHeaders } from './http2/message.ts'

export type { Keepalive } from './grpc-session.ts'
export { GrpcError } from './grpc-error.ts'

/** How calls are spread over the addresses of a target. */
export type BalancerName = 'round_robin' | 'pick_first'

export interface GrpcClientOptions {
  /** `host:port`, `dns:///host:port`, `unix:///path`, with or without `http://` or `https://`. */
  readonly endpoint: string
  /** Makes the options of each TLS connection; without it connections are plain. */
  readonly tls?: (() => tls.ConnectionOptions) | undefined
  /** Sent with each call. */
  readonly headers?: Readonly<Record<string, string>>
  /** What the messages are compressed with. */
  readonly compression?: string | undefined
  readonly keepalive?: Keepalive | undefined
  readonly userAgent: string
  /** In place of the endpoint in `:authority` and in the check of the server's certificate. */
  readonly authority?: string | undefined
  /** Calls wait while the server is away, in place of failing. */
  readonly waitForReady?: boolean
  readonly balancer?: BalancerName
  readonly log: Logger
  readonly backoff?: Backoff
  /** Milliseconds for connecting and the handshakes. */
  readonly connectTimeout?: number
  /** Called when there is a connection, also to an address that the name stands for now: what failed may be tried again. */
  readonly onReached?: (() => void) | undefined
  /** In place of DNS. */
  readonly resolve?: (target: GrpcTarget) => Promise<Address[]>
  /** In place of sockets of the system. */
  readonly connect?: ((address: Address) => Duplex) | undefined
}

/** How one call is made. */
export interface CallOptions {
  /** Milliseconds until it fails with DEADLINE_EXCEEDED; the server is told. */
  readonly timeout?: number | undefined
  readonly cancellation?: Cancellation | undefined
  /** Headers of this call alone, over those of all; undefined takes one away. */
  readonly headers?: HeaderChanges | undefined
}

/** gRPC's MIN_CONNECT_TIMEOUT. */
const connectTimeout = 20_000

/** A client of one target. */
export class GrpcClient {
  readonly target: GrpcTarget
  readonly #options: GrpcClientOptions
  readonly #session: SessionOptions
  readonly #backoff: Backoff
  /** Packed heads of calls that have no headers of their own, by path. */
  readonly #heads = new Map<string, { timeout: number | undefined; head: Buffer }>()
  #subchannels: Subchannel[] = []
  /** Calls that found no place yet, in order. */
  #waiting: GrpcCall[] = []
  #next = 0
  #resolving = false
  #resolveFailures = 0
  #resolveError: string | undefined
  #resolveTimer: NodeJS.Timeout | undefined
  #started = false
  #closed = false

  constructor(options: GrpcClientOptions) {
    this.target = parseTarget(options.endpoint)
    this.#options = options
    this.#backoff = options.backoff ?? grpcBackoff
    this.#session = {
      tls: options.tls,
      serverName: serverNameOf(options.authority ?? this.target.authority),
      keepalive: options.keepalive,
      connectTimeout: options.connectTimeout ?? connectTimeout,
      connect: options.connect,
    }
  }

  /**
   * Makes one unary call. `frame` is the message behind gRPC's five-byte prefix.
   * @returns the message of the answer
   * @throws GrpcError
   */
  call(path: string, frame: Buffer, options: CallOptions = {}): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { cancellation } = options
      if (this.#closed) reject(new GrpcError(GrpcCode.CANCELLED, 'the client is closed'))
      else if (cancellation?.isCancelled === true) {
        const { reason } = cancellation
        reject(new GrpcError(GrpcCode.CANCELLED, messageOf(reason), { cause: reason }))
      } else {
        const head = this.#headOf(path, options)
        this.#place(new GrpcCall(this, { head, body: frame, trailers: undefined }, options, resolve, reject))
      }
    })
  }

  /** Ends all connections; calls in flight have until `grace` milliseconds. */
  close(grace = 0): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#resolveTimer)
    const reason = 'the client is closed'
    for (const call of this.#takeWaiting()) call.fail(new GrpcError(GrpcCode.CANCELLED, reason))
    const subchannels = this.#subchannels
    for (const subchannel of subchannels) subchannel.close()
    const destroy = (): void => {
      for (const subchannel of subchannels) subchannel.destroy(reason)
    }
    if (grace > 0) setTimeout(destroy, grace).unref()
    else destroy()
  }

  /** For calls: the server did not look at `call`. */
  restart(call: GrpcCall): void {
    if (this.#closed) call.fail(new GrpcError(GrpcCode.CANCELLED, 'the client is closed'))
    else this.#place(call)
  }

  /** For calls: `call` waits no more. */
  forget(call: GrpcCall): void {
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter(other => other !== call)
  }

  #place(call: GrpcCall): void {
    const session = this.#waiting.length === 0 ? this.#pick() : undefined
    if (session) {
      call.start(session)
      return
    }
    this.#waiting.push(call)
    if (this.#started) this.#pump()
    else {
      this.#started = true
      this.#resolve()
    }
  }

  /** A session that takes a call now: the next in turn, or the first. */
  #pick(): GrpcSession | undefined {
    const subchannels = this.#subchannels
    const n = subchannels.length
    const first = this.#options.balancer === 'pick_first'
    for (let i = 0; i < n; i++) {
      const at = first ? i : (this.#next + i) % n
      const session = subchannels[at].session
      if (session === undefined) continue
      if (session.free) {
        this.#next = at + 1
        return session
      }
      if (first) return undefined
    }
    return undefined
  }

  /** Starts what waits as far as there is room, connects where that is missing, and fails what would wait in vain. */
  #pump(): void {
    while (this.#waiting.length > 0) {
      const session = this.#pick()
      if (session === undefined) break
      this.#waiting.shift()?.start(session)
    }
    if (this.#closed) return
    this.#connect()
    const failure = this.#failure()
    if (failure === undefined || this.#options.waitForReady || this.#waiting.length === 0) return
    for (const call of this.#takeWaiting()) call.fail(new GrpcError(GrpcCode.UNAVAILABLE, failure))
  }

  #takeWaiting(): GrpcCall[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }

  #connect(): void {
    if (this.#options.balancer !== 'pick_first') {
      for (const subchannel of this.#subchannels) subchannel.connect()
      return
    }
    // In order: the next is tried when the one before it cannot be reached; an idle client stays unconnected.
    if (this.#waiting.length === 0 || this.#subchannels.some(subchannel => subchannel.session)) return
    for (const subchannel of this.#subchannels) {
      subchannel.connect()
      if (!subchannel.failing) return
    }
  }

  /** Why no call can be made, when it is known that none can. */
  #failure(): string | undefined {
    if (this.#subchannels.length === 0) return this.#resolveError
    if (!this.#subchannels.every(subchannel => subchannel.failing)) return undefined
    return this.#subchannels.map(({ address, error }) => withAddress(address, error)).join('; ')
  }

  #resolve(): void {
    if (this.#resolving || this.#resolveTimer || this.#closed) return
    this.#resolving = true
    const resolve = this.#options.resolve ?? resolveTarget
    resolve(this.target)
      .then(
        addresses => this.#onResolved(addresses),
        (error: unknown) => this.#onUnresolved(messageOf(error)),
      )
      .finally(() => {
        this.#resolving = false
      })
      .catch(() => {})
  }

  #onResolved(addresses: readonly Address[]): void {
    if (addresses.length === 0) {
      this.#onUnresolved(`${this.target.host} has no address`)
      return
    }
    if (this.#closed) return
    this.#resolveFailures = 0
    this.#resolveError = undefined
    const old = new Map(this.#subchannels.map(subchannel => [addressText(subchannel.address), subchannel]))
    this.#subchannels = addresses.map(address => {
      const key = addressText(address)
      const kept = old.get(key)
      old.delete(key)
      const owner = {
        onChange: () => this.#pump(),
        onConnected: () => this.#options.onReached?.(),
        onLost: () => this.#resolveSoon(),
      }
      return kept ?? new Subchannel(address, this.#session, this.#backoff, owner, this.#options.log)
    })
    for (const subchannel of old.values()) subchannel.close()
    this.#pump()
  }

  #onUnresolved(reason: string): void {
    if (this.#closed) return
    if (this.#resolveError === undefined) {
      this.#options.log.warn(
        { endpoint: this.target.name, reason },
        'cannot resolve the endpoint; trying again until it can',
      )
    }
    this.#resolveError = reason
    const delay = backoffDelay(this.#backoff, ++this.#resolveFailures, Math.random())
    this.#resolveTimer = setTimeout(() => {
      this.#resolveTimer = undefined
      this.#resolve()
    }, delay)
    this.#pump()
  }

  /** A connection was lost: the name may stand for other addresses now. Several losses at a time make one look-up. */
  #resolveSoon(): void {
    if (!this.#resolving) setImmediate(() => this.#resolve())
  }

  #headOf(path: string, { timeout, headers }: CallOptions): Buffer {
    if (headers !== undefined) return pack(changedHeaders(this.#headersOf(path, timeout), encodeBinary(headers)))
    const known = this.#heads.get(path)
    if (known !== undefined && known.timeout === timeout) return known.head
    const head = pack(this.#headersOf(path, timeout))
    this.#heads.set(path, { timeout, head })
    return head
  }

  #headersOf(path: string, timeout: number | undefined): Record<string, string> {
    const { headers: custom = {}, compression, userAgent, authority } = this.#options
    const headers: Record<string, string> = {
      ':method': 'POST',
      ':scheme': this.#options.tls ? 'https' : 'http',
      ':path': path,
      ':authority': authority ?? this.target.authority,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': userAgent,
      'grpc-accept-encoding': compression && compression !== 'gzip' ? `gzip,${compression}` : 'gzip',
    }
    if (compression) headers['grpc-encoding'] = compression
    if (timeout) headers['grpc-timeout'] = timeoutText(timeout)
    const lowerCase = Object.entries(custom).map(([name, value]) => [name.toLowerCase(), value])
    return Object.assign(headers, encodeBinary(Object.fromEntries(lowerCase)))
  }
}

/** Headers on the wire, in the order they were set: pseudo-headers come first. */
const pack = (headers: Readonly<Record<string, string>>): Buffer => packHeaders(Object.entries(headers))

/** Headers whose names end in `-bin` travel as base64. */
function encodeBinary(headers: HeaderChanges): HeaderChanges {
  const entries = Object.entries(headers)
  if (!entries.some(([name]) => name.endsWith('-bin'))) return headers
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      name.endsWith('-bin') && value !== undefined ? Buffer.from(value).toString('base64') : value,
    ]),
  )
}

/** `grpc-timeout`: at most eight digits and a unit. */
function timeoutText(timeout: number): string {
  return timeout < 1e8 ? `${Math.ceil(timeout)}m` : `${Math.ceil(timeout / 1000)}S`
}

function withAddress(address: Address, text: string): string {
  const where = addressText(address)
  return text.includes(where) ? text : `${where}: ${text}`
}
