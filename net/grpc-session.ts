/** One HTTP/2 connection to one address, from the handshake to its end. */
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { timerWait } from '../core/clock.ts'
import { connectSocket } from './connect.ts'
import { connectTrouble, isCutOff, troubleText } from './connect-trouble.ts'
import type { Address } from './grpc-target.ts'
import { maxHeaderBytes, maxHeaders } from './header-limits.ts'
import type { ClientRules } from './http2/client-frames.ts'
import { ClientSession } from './http2/client-session.ts'
import type { ClientStream } from './http2/client-stream.ts'
import type { StreamMessage } from './http2/message.ts'
import { ErrorCode } from './http2/protocol.ts'

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
export interface GrpcSessionOwner {
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
  /** In place of sockets of the system. */
  readonly connect?: ((address: Address) => Duplex) | undefined
}

/** Longest answer that is read, as OTLP recommends. */
export const answerLimit = 4 * 1024 * 1024
/** Answers are small; these let even the largest arrive, with what stands before it, without waiting for window updates. */
const rules: ClientRules = {
  answer: answerLimit + 64 * 1024,
  window: 16 * 1024 * 1024,
  headers: { count: maxHeaders, bytes: maxHeaderBytes },
}
/** Servers count pings against their clients, so there are few. */
const probeInterval = 60_000
const probeTimeout = 10_000
const closed = 'the connection was closed'

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
  readonly #socket: Duplex
  #session: ClientSession | undefined
  readonly #owner: GrpcSessionOwner
  readonly #options: SessionOptions
  readonly #handshake: NodeJS.Timeout
  #pinging: NodeJS.Timeout | undefined
  #probing: NodeJS.Timeout | undefined
  #probed = Number.NEGATIVE_INFINITY

  constructor(address: Address, options: SessionOptions, owner: GrpcSessionOwner) {
    this.address = address
    this.#owner = owner
    this.#options = options
    const secure = options.tls !== undefined
    const socket = (this.#socket =
      options.connect?.(address) ?? connectSocket(address, options.tls?.(), 'h2', options.serverName))
    this.#handshake = setTimeout(
      () => this.#lose(`no connection within ${options.connectTimeout}ms`),
      timerWait(options.connectTimeout),
    )
    socket.once(secure ? 'secureConnect' : 'connect', () => this.#begin())
    // A TLS alert may come behind the handshake.
    socket.on('error', error => this.#lose(explain(error, secure, this.ready)))
    socket.once('close', () => {
      this.#lose(this.ready ? closed : explainEarlyEnd(secure))
      this.onEnd?.()
    })
  }

  /** How the connection was lost; undefined while it stands, and after GOAWAY while streams end in peace. */
  get lost(): string | undefined {
    return this.#lost
  }

  /** Whether a call may start now. */
  get free(): boolean {
    return this.ready && !this.gone && this.active < this.limit
  }

  /** Sends a request on a stream, which must be told to have `closed`. */
  open(stream: ClientStream, request: StreamMessage): void {
    this.active++
    this.opened++
    if (this.#session?.request(stream, request) === true) return
    // It has no numbers left, or is over.
    this.drain()
    stream.closed()
  }

  /** A stream has ended; `answered` when the peer said something. */
  closed(answered: boolean): void {
    this.active--
    if (answered) this.answers++
    this.#owner.onRoom()
  }

  /** Nobody waits for the answer of `stream` any more. */
  cancel(stream: ClientStream): void {
    this.#session?.cancel(stream)
  }

  /** Takes no more calls; those in flight may end. */
  drain(): void {
    this.#leave()
    if (this.#session === undefined) this.#lose(closed)
    else this.#session.close()
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
    this.#probing = setTimeout(() => this.#lose(`no answer to a ping within ${probeTimeout}ms`), probeTimeout)
    this.#session?.ping(() => clearTimeout(this.#probing))
  }

  /** The connection stands: speaks HTTP/2 on it. */
  #begin(): void {
    const socket = this.#socket
    if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') {
      return this.#lose('the server did not choose HTTP/2 in the TLS handshake (ALPN)')
    }
    const session = (this.#session = new ClientSession(
      socket,
      {
        allowed: streams => this.#onAllowed(streams),
        leaves: (code, text) => this.#onGoaway(code, text),
        over: fault => this.#lose(fault === undefined ? closed : explainFault(fault, session.isGreeted)),
      },
      rules,
    ))
  }

  #onAllowed(streams: number): void {
    const { keepalive } = this.#options
    this.limit = streams
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

  #onGoaway(code: number, text: Buffer): void {
    if (code === ErrorCode.ENHANCE_YOUR_CALM && text.includes('too_many_pings')) this.tooManyPings = true
    if (code !== ErrorCode.NO_ERROR) this.#lose(`the server ended the connection (GOAWAY, HTTP/2 code ${code})`)
    else this.#leave()
  }

  #lose(reason: string): void {
    if (this.#lost !== undefined) return
    this.#lost = reason
    this.#leave()
    clearTimeout(this.#handshake)
    clearTimeout(this.#pinging)
    clearTimeout(this.#probing)
    this.#session?.destroy()
    this.#socket.destroy()
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
      this.#session?.ping(() => {
        if (this.#lost !== undefined) return
        clearTimeout(this.#pinging)
        this.#pinging = setTimeout(check, timerWait(keepalive.time))
      })
    }
    this.#pinging = setTimeout(check, timerWait(keepalive.time))
  }
}

function explain(error: unknown, secure: boolean, isReady: boolean): string {
  if (!secure && !isReady && isCutOff(error)) return explainEarlyEnd(secure)
  const text = troubleText(connectTrouble(error, secure))
  return text.includes('does not speak TLS') ? `${text}; for a plain connection set \`tls.insecure: true\`` : text
}

function explainFault(fault: string, isGreeted: boolean): string {
  if (!isGreeted) return 'the server does not speak HTTP/2 on this port; is it a gRPC port?'
  return `the server breaks the rules of HTTP/2: ${fault}`
}

function explainEarlyEnd(secure: boolean): string {
  const hint = secure ? '' : '; does it expect TLS? (then without `tls.insecure: true`)'
  return `the server closed the connection before the first call${hint}`
}
