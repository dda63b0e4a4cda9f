/**
 * Unary gRPC calls, bytes in and bytes out (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md), on HTTP/2 frames of our own. What
 * a call costs here is what a request costs at least, so a call is one object, and the success path makes no promise.
 */
import { timerWait } from '../core/clock.ts'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ServerAuthenticator } from '../core/auth.ts'
import type { Budget } from '../core/budget.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { Gate } from './gate.ts'
import { occupancyLimits } from './limit-keys.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import { Doorman } from './auth.ts'
import { GrpcConnection, type ConnectionServer, connectionRules } from './grpc-server-connection.ts'
import type { GrpcServerConfig } from './grpc-server-keys.ts'
import { type CallServer, type GrpcHandler, IncomingCall } from './grpc-server-call.ts'
import { maxHeaderBytes, maxHeaders } from './header-limits.ts'
import type { RequestHead } from './http2/request-head.ts'
import { statusNames } from './grpc-refusal.ts'
import type { ConnectionShare } from './occupancy.ts'
import type { ReceptionTerms } from './reception.ts'
import type { Presented } from './server-tls.ts'
import { shownText } from './shown-text.ts'
import { TlsDoor } from './tls-door.ts'

/** What a stream may bring before its sender has to be told that there is room: large, so that one round trip limits nobody. */
const streamWindow = 8 << 20
/**
 * The flow-control window of a connection, as large as that of a stream is. They are no memory of ours: what arrives is
 * taken at once or the stream is reset, so no more than one read of the socket (`readAhead`) ever waits per connection.
 */
const connectionWindow = 32 << 20

const noHttp2 = 'it does not ask for HTTP/2 in the TLS handshake (ALPN h2), and this port speaks gRPC'

export interface GrpcServerOptions<C> {
  readonly config: GrpcServerConfig
  readonly budget: Budget
  readonly log: Logger
  /** What calls of a connection from `peer` are to carry. */
  connected(peer: string): C
  /** What was presented at this address before. */
  readonly presented?: Presented | undefined
  /** Hears what is wrong with the certificates, and undefined when it is mended. */
  onTls?(error: string | undefined): void
  /** Asked before the message of a call is read. */
  readonly authenticator?: ServerAuthenticator | undefined
  readonly limits?: Partial<AdmissionLimits>
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number
  /** Told who comes, and what is turned away. */
  readonly reception?: ReceptionTerms | undefined
}

/** A server of unary calls, without a port: connections are handed to it. */
export class GrpcServer<C> implements CallServer<C> {
  readonly admission: Admission
  readonly #tls: TlsDoor | undefined
  readonly #options: GrpcServerOptions<C>
  readonly #handlers = new Map<string, GrpcHandler<C>>()
  readonly #connections = new Set<GrpcConnection<C>>()
  readonly #rules: ConnectionServer
  readonly #log: Logger
  readonly #doorman: Doorman | undefined
  /** Has what TLS connections stand on, too: before the handshake is done there is nothing else to end them by. */
  readonly #gate: Gate
  #sweep: NodeJS.Timeout | undefined
  #stopping = false
  #isReplaced = false

  constructor(options: GrpcServerOptions<C>) {
    const { config, budget } = options
    this.#log = options.log
    this.#doorman = options.authenticator && new Doorman(options.authenticator, options.log)
    const { limits } = config
    const own = {
      maxBody: config.max_recv_msg_size_mib * 2 ** 20,
      bodyTimeout: limits.body_timeout || Infinity,
      answerTimeout: limits.answer_timeout || Infinity,
      occupancy: occupancyLimits(limits),
    }
    const all = { ...own, ...options.limits }
    this.admission = new Admission(budget, all, options.log, options.reception, statusNames())
    this.#gate = new Gate(this.admission, config.tls !== undefined)
    this.#options = options
    this.#rules = {
      budget,
      rules: connectionRules(config.keepalive),
      session: {
        streams: config.max_concurrent_streams,
        streamWindow,
        window: connectionWindow,
        headers: { count: maxHeaders, bytes: maxHeaderBytes },
      },
      bodyTimeout: this.admission.bodyTimeout,
      slow: share => this.admission.count('slow', share),
      flooded: share => this.admission.count('flood', share),
      strange: ({ address }, fault) => this.admission.strange('malformed', address, fault),
      failed: error => this.#log.error({ error: messageOf(error) }, 'a connection could not be served'),
    }
    if (config.tls === undefined) return
    this.#tls = new TlsDoor({
      tls: config.tls,
      presented: options.presented,
      protocol: 'h2',
      admission: this.admission,
      gate: this.#gate,
      handshakeTimeout: options.handshakeTimeout,
      onTls: error => options.onTls?.(error),
      open: socket => this.#shaken(socket),
    })
  }

  /** Serves `path` from now on. */
  register(path: string, handler: GrpcHandler<C>): void {
    this.#handlers.set(path, handler)
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => {
    if (this.#stopping || this.#tls?.isReady === false) {
      socket.destroy()
      return
    }
    if (!this.#gate.admit(socket)) return
    if (this.#tls === undefined) this.#open(socket)
    else this.#tls.accept(socket)
  }

  get connections(): number {
    return this.#connections.size
  }

  /**
   * Takes no new calls, lets those that run finish for `deadline` milliseconds, then ends all connections. Where another
   * server has taken over (`replaced`), handshakes that have begun may end, too, and connections that were just made may send
   * their first call.
   */
  async stop(deadline: number, replaced = false): Promise<void> {
    this.#stopping = true
    const until = Date.now() + deadline
    this.#isReplaced = replaced
    for (const connection of this.#connections) this.#retire(connection)
    const isBusy = (): boolean => this.#connections.size > 0 || (replaced && this.#gate.sockets.size > 0)
    while (isBusy() && Date.now() < until) await new Promise(resolve => setTimeout(resolve, 10))
    this.#tls?.stop()
    for (const connection of this.#connections) connection.destroy()
    for (const socket of this.#gate.sockets) socket.destroy()
    clearInterval(this.#sweep)
  }

  /** The handshake of `socket` has gone well. Whoever did not ask for HTTP/2 there speaks something else. */
  #shaken(socket: TLSSocket): void {
    if (socket.alpnProtocol === 'h2') return this.#open(socket)
    this.admission.strange('handshake', socket.remoteAddress, noHttp2)
    socket.destroy()
  }

  #open(socket: Socket): void {
    const { remoteAddress, remotePort } = socket
    const peer = remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`
    const { share, leave } = this.#shareOf(socket)
    if (share === undefined) {
      socket.destroy()
      return
    }
    const connection = new GrpcConnection<C>(socket, this.#options.connected(peer), peer, share, this.#rules, {
      make: (connection, id, head) => this.#call(connection, id, head),
      gone: connection => {
        leave()
        this.#closed(connection)
      },
    })
    this.#connections.add(connection)
    if (this.#stopping) this.#retire(connection)
    this.#sweep ??= setInterval(() => {
      const now = Date.now()
      for (const connection of this.#connections) connection.look(now)
    }, timerWait(this.#rules.rules.interval)).unref()
  }

  #retire(connection: GrpcConnection<C>): void {
    if (this.#isReplaced) connection.retireAfterCall()
    else connection.retire()
  }

  #closed(connection: GrpcConnection<C>): void {
    this.#connections.delete(connection)
    if (this.#connections.size > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  /** What a connection takes up. With TLS over a unix socket nothing tells which it is, so it is counted twice. */
  #shareOf(socket: Socket): { share: ConnectionShare | undefined; leave(): void } {
    const known = this.#gate.shareOf(socket)
    const share = known ?? this.admission.enter(undefined)
    const leave = (): void => {
      if (known === undefined && share !== undefined) this.admission.leave(share)
    }
    return { share, leave }
  }

  #call(connection: GrpcConnection<C>, id: number, head: RequestHead): IncomingCall<C> {
    return new IncomingCall<C>(this, connection, id, head, streamWindow)
  }

  /** A call has come, and there is room for it. */
  route(call: IncomingCall<C>): void {
    const { head } = call
    const type = head.get('content-type')
    if (head.method !== 'POST' || type === undefined || !isGrpc(type)) {
      const what = head.method === 'POST' ? `content type ${shownText(type ?? 'none')}` : shownText(head.method)
      return call.refuseType(`${what} is no call of gRPC; send POST with content-type application/grpc`)
    }
    const handler = this.#handlers.get(head.path)
    if (handler === undefined) {
      return call.turnAway({ kind: 'unserved', message: `this server does not serve ${shownText(head.path)}` })
    }
    if (!call.isTimed) return call.turnAway({ kind: 'malformed', message: 'malformed grpc-timeout' })
    if (this.#doorman !== undefined && !call.admit(this.#doorman)) return
    call.begin(handler, this.#log)
  }
}

/** Not `application/grpc-web`, which is another protocol. */
function isGrpc(type: string): boolean {
  return type.startsWith('application/grpc') && (type.length === 16 || type[16] === '+' || type[16] === ';')
}
