/** One HTTP/2 connection to one address, from the handshake to its end. */
import { timerWait } from '../core/clock.ts'
import http2, { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2'
import type { ConnectionOptions } from 'node:tls'
import { connectFailure, connectSocket } from './connect.ts'
import type { Address } from './grpc-target.ts'
import { maxHeaderBytes, maxHeaders } from './header-limits.ts'

/** Pings that find out whether the peer is still there, in milliseconds. */
export interface Keepalive {
  /** Quiet time after which a ping is sent; 0 never sends one. */
  readonly time: number
  /** How long to wait for its answer. */
  readonly timeout: number
  /** Also while no call is in flight. */
  readonly permit_without_stream: boolean
}

/** What a session tells of itself. */
export interface ClientSessionOwner {
  /** The handshake is done; calls may start. */
  onReady(session: GrpcSession): void
  /** It takes no more calls: GOAWAY, or the connection is lost, or never came to be. `lost` says which. */
  onGone(session: GrpcSession): void
  /** A stream ended, or the peer allows more of them. */
  onRoom(): void
}

/** How sessions connect. */
export interface SessionOptions {
  /** Made anew for each connection, so that new certificates are used; undefined: without TLS. */
  readonly tls: (() => ConnectionOptions) | undefined
  readonly serverName: string | undefined
  readonly keepalive: Keepalive | undefined
  /** Milliseconds for connecting and the handshakes. */
  readonly connectTimeout: number
}

/** Answers are small; these let even the largest arrive without waiting for window updates. */
const streamWindow = 4 * 1024 * 1024
const sessionWindow = 16 * 1024 * 1024
/** Servers count pings against their clients, so there are few. */
const probeInterval = 60_000
const probeTimeout = 10_000
const closed = 'the connection was closed'
const noError = constants.NGHTTP2_NO_ERROR

/** A connection that calls are sent on. */
export class GrpcSession {
  readonly address: Address
  /** Streams that are open. */
  active = 0
  /** Streams the peer allows. */
  limit = 0
  /** Answers that have begun: a sign of life. */
  answers = 0
  ready = false
  /** Why it takes no more calls. */
  gone = false
  /** Streams that were ever opened. */
  opened = 0
  /** The peer asked for fewer pings. */
  tooManyPings = false
  /** Called when the connection is closed. */
  onEnd: (() => void) | undefined
  #lost: string | undefined
  #lastStream = Number.POSITIVE_INFINITY
  readonly #session: ClientHttp2Session
  readonly #owner: ClientSessionOwner
  readonly #handshake: NodeJS.Timeout
  #pinging: NodeJS.Timeout | undefined
  #probed = Number.NEGATIVE_INFINITY

  constructor(address: Address, options: SessionOptions, owner: ClientSessionOwner) {
    this.address = address
    this.#owner = owner
    const socket = connectSocket(address, options.tls?.(), 'h2', options.serverName)
    this.#handshake = setTimeout(
      () => this.#lose(`no connection within ${options.connectTimeout}ms`),
      timerWait(options.connectTimeout),
    )
    const session = http2.connect(options.tls ? 'https://peer' : 'http://peer', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindow, maxHeaderListSize: maxHeaderBytes },
      maxHeaderListPairs: maxHeaders,
      // What is in flight is counted by the budget; this limit would only break calls.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    })
    this.#session = session
    session.on('connect', () => {
      if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
        this.#lose('the server did not choose HTTP/2 in the TLS handshake (ALPN)')
      } else if (!session.destroyed) session.setLocalWindowSize(sessionWindow) // Told although it has ended meanwhile.
    })
    session.on('remoteSettings', settings => this.#onSettings(settings, options.keepalive))
    session.on('goaway', (code: number, lastStream: number, data?: Uint8Array) =>
      this.#onGoaway(code, lastStream, data),
    )
    // A TLS alert behind the handshake ends the session without a word of it: the socket is listened to as well.
    socket.on('error', error => this.#lose(explain(error, this.ready, options.tls !== undefined)))
    session.on('error', error => this.#lose(explain(error, this.ready, options.tls !== undefined)))
    session.on('close', () => {
      this.#lose(this.ready ? closed : explainEarlyEnd(options.tls !== undefined))
      this.onEnd?.()
    })
  }

  /** How the connection was lost; undefined while it stands, and after GOAWAY while streams end in peace. */
  get lost(): string | undefined {
    // Streams hear of the end before the session does.
    return this.#lost ?? (this.#session.destroyed ? closed : undefined)
  }

  /** Whether a call may start now. */
  get free(): boolean {
    return this.ready && !this.gone && this.active < this.limit
  }

  /** Opens a stream, which must be told to have `closed`. */
  open(headers: Record<string, string>): ClientHttp2Stream {
    this.active++
    this.opened++
    return this.#session.request(headers)
  }

  /** A stream has ended; `answered` when the peer said something. */
  closed(answered: boolean): void {
    this.active--
    if (answered) this.answers++
    this.#owner.onRoom()
  }

  /** Whether the peer said that it did not look at `stream`, or it never left. */
  refused(stream: ClientHttp2Stream): boolean {
    return (
      stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined || stream.id > this.#lastStream
    )
  }

  /** Takes no more calls; those in flight may end. */
  drain(): void {
    this.#leave()
    this.#session.close()
  }

  /** Ends at once, with whatever is in flight. */
  destroy(reason: string): void {
    this.#lose(reason)
  }

  /** A call got no answer in time: asks whether the peer is there at all, since a dead connection may look alive for long. */
  probe(): void {
    const now = performance.now()
    if (this.gone || now - this.#probed < probeInterval) return
    this.#probed = now
    const timer = setTimeout(() => this.#lose(`no answer to a ping within ${probeTimeout}ms`), probeTimeout)
    this.#session.ping(() => clearTimeout(timer))
  }

  #onSettings(settings: http2.Settings, keepalive: Keepalive | undefined): void {
    this.limit = settings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY
    if (this.gone) return
    if (this.ready) {
      this.#owner.onRoom()
      return
    }
    this.ready = true
    clearTimeout(this.#handshake)
    if (keepalive && keepalive.time > 0) this.#watch(keepalive)
    this.#owner.onReady(this)
  }

  #onGoaway(code: number, lastStream: number, data: Uint8Array | undefined): void {
    this.#lastStream = lastStream
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM && data && Buffer.from(data).includes('too_many_pings')) {
      this.tooManyPings = true
    }
    // With an error code, node:http2 ends all streams at once.
    if (code !== noError) this.#lose(`the server ended the connection (GOAWAY, HTTP/2 code ${code})`)
    else this.#leave()
  }

  #lose(reason: string): void {
    this.#lost ??= reason
    this.#leave()
    clearTimeout(this.#handshake)
    clearTimeout(this.#pinging)
    if (!this.#session.destroyed) this.#session.destroy()
  }

  #leave(): void {
    if (this.gone) return
    this.gone = true
    this.#owner.onGone(this)
  }

  /** Sends a ping whenever nothing was heard for `time`. */
  #watch(keepalive: Keepalive): void {
    let heard = this.answers
    const check = (): void => {
      const quiet = this.answers === heard
      heard = this.answers
      if (!quiet || (this.active === 0 && !keepalive.permit_without_stream)) {
        this.#pinging = setTimeout(check, timerWait(keepalive.time))
        return
      }
      this.#pinging = setTimeout(
        () => this.#lose(`no answer to a keepalive ping within ${keepalive.timeout}ms`),
        timerWait(keepalive.timeout),
      )
      this.#session.ping(error => {
        if (error || this.#lost !== undefined) return
        clearTimeout(this.#pinging)
        this.#pinging = setTimeout(check, timerWait(keepalive.time))
      })
    }
    this.#pinging = setTimeout(check, timerWait(keepalive.time))
  }
}

function explain(error: unknown, ready: boolean, secure: boolean): string {
  const text = connectFailure(error, secure)
  if (ready) return text
  if (text.includes('does not speak TLS')) return `${text}; for a plain connection set \`tls.insecure: true\``
  if (!secure && /Protocol error/i.test(text))
    return 'the server does not speak HTTP/2 on this port; is it a gRPC port?'
  return text
}

function explainEarlyEnd(secure: boolean): string {
  return `the server closed the connection before the first call${secure ? '' : '; does it expect TLS?'}`
}
