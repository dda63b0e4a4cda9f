/**
 * Unary gRPC calls on node:http2, bytes in and bytes out (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md). What a call costs
 * here is what a request costs at least, so listeners are shared functions and the success path makes no promise.
 */
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { ServerAuthenticator } from '../core/auth.ts'
import type { Budget } from '../core/budget.ts'
import type { Logger } from '../core/logger.ts'
import { GrpcCode } from '../proto/status.ts'
import { Gate } from './gate.ts'
import { occupancyLimits } from './limit-keys.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import { Doorman } from './auth.ts'
import { Connection, type ConnectionRules, connectionRules, streamWindow } from './grpc-server-connection.ts'
import type { GrpcServerConfig } from './grpc-server-keys.ts'
import { type GrpcHandler, IncomingCall } from './grpc-server-call.ts'
import { maxHeaderBytes, maxHeaders } from './header-limits.ts'
import { handshakeTimeout, ServerTls } from './tls.ts'

/**
 * The flow-control window of a connection, as large as that of a stream is. They are no memory of ours: what arrives is
 * taken at once or the stream is reset, so no more than one read of the socket (`readAhead`) ever waits per connection.
 */
export const connectionWindow = 32 << 20

export interface GrpcServerOptions<C> {
  readonly config: GrpcServerConfig
  readonly budget: Budget
  readonly log: Logger
  /** What calls of a connection from `peer` are to carry. */
  connected(peer: string): C
  /** Hears what keeps the server from accepting (certificates), and undefined when it is mended. */
  onTls?(error: string | undefined): void
  /** Asked before the message of a call is read. */
  readonly authenticator?: ServerAuthenticator | undefined
  readonly limits?: Partial<AdmissionLimits>
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number
}

/** A server of unary calls, without a port: connections are handed to it. */
export class GrpcServer<C> {
  readonly admission: Admission
  readonly #server: http2.Http2Server | http2.Http2SecureServer
  readonly #tls: ServerTls | undefined
  readonly #handlers = new Map<string, GrpcHandler<C>>()
  readonly #connections = new Set<Connection<C>>()
  readonly #rules: ConnectionRules
  readonly #log: Logger
  readonly #doorman: Doorman | undefined
  /** Has what TLS connections stand on, too: before the handshake is done there is nothing else to end them by. */
  readonly #gate: Gate
  #sweep: NodeJS.Timeout | undefined
  #stopping = false

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
    this.admission = new Admission(budget, { ...own, ...options.limits }, options.log)
    this.#gate = new Gate(this.admission, config.tls !== undefined)
    this.#rules = connectionRules(config.keepalive)
    const settings: http2.ServerOptions = {
      settings: {
        initialWindowSize: streamWindow,
        maxConcurrentStreams: config.max_concurrent_streams,
        maxHeaderListSize: maxHeaderBytes,
        enablePush: false,
      },
      maxHeaderListPairs: maxHeaders,
      maxSessionMemory: 64,
      maxSessionInvalidFrames: 100,
      strictSingleValueFields: false,
    }
    if (config.tls) {
      const mutual = config.tls.client_ca_file !== undefined
      const server = http2.createSecureServer({
        ...settings,
        allowHTTP1: false,
        handshakeTimeout: options.handshakeTimeout ?? handshakeTimeout,
        requestCert: mutual,
        rejectUnauthorized: mutual,
      })
      this.#tls = new ServerTls(config.tls, error => options.onTls?.(error))
      this.#tls.start(tls => server.setSecureContext(tls))
      server.on('secureConnection', socket => this.#gate.shaken(socket))
      this.#server = server
    } else this.#server = http2.createServer(settings)
    this.#server.on('session', session => this.#open(session, options))
  }

  /** Serves `path` from now on. */
  register(path: string, handler: GrpcHandler<C>): void {
    this.#handlers.set(path, handler)
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => {
    if (this.#stopping || this.#tls?.ready === false) {
      socket.destroy()
      return
    }
    if (this.#gate.admit(socket)) this.#server.emit('connection', socket)
  }

  get connections(): number {
    return this.#connections.size
  }

  /**
   * Takes no new calls, lets those that run finish for `deadline` milliseconds, then ends all connections. Where another
   * server has taken over (`replaced`), handshakes that have begun may end, too, to hear where they are to go.
   */
  async stop(deadline: number, replaced = false): Promise<void> {
    this.#stopping = true
    const until = Date.now() + deadline
    for (const connection of this.#connections) connection.retire()
    const isBusy = (): boolean => this.#connections.size > 0 || (replaced && this.#gate.sockets.size > 0)
    while (isBusy() && Date.now() < until) await new Promise(resolve => setTimeout(resolve, 10))
    this.#tls?.stop()
    for (const connection of this.#connections) connection.destroy()
    for (const socket of this.#gate.sockets) socket.destroy()
    clearInterval(this.#sweep)
  }

  #open(session: http2.ServerHttp2Session, options: GrpcServerOptions<C>): void {
    const { remoteAddress, remotePort } = session.socket
    const peer = remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`
    const { share, leave } = this.#shareOf(session)
    if (share === undefined) return session.destroy()
    const connection = new Connection(session, options.connected(peer), peer, share, this.#rules, () =>
      this.admission.count('flood', share),
    )
    session.setLocalWindowSize(connectionWindow)
    this.#connections.add(connection)
    if (this.#stopping) connection.retire()
    this.#sweep ??= setInterval(() => {
      const now = Date.now()
      for (const connection of this.#connections) connection.look(now)
    }, this.#rules.interval).unref()
    session.on('stream', (stream, headers, _flags, rawHeaders) => this.#begin(connection, stream, headers, rawHeaders))
    session.on('close', () => {
      this.#connections.delete(connection)
      leave()
      if (this.#connections.size > 0) return
      clearInterval(this.#sweep)
      this.#sweep = undefined
    })
  }

  /** What a connection takes up. With TLS over a unix socket nothing tells which it is, so it is counted twice. */
  #shareOf({ socket }: http2.ServerHttp2Session) {
    const known = this.#gate.shareOf(socket)
    const share = known ?? this.admission.enter(undefined)
    const leave = (): void => {
      if (known === undefined && share !== undefined) this.admission.leave(share)
    }
    return { share, leave }
  }

  #begin(
    connection: Connection<C>,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: string[],
  ): void {
    // The connection broke before this was told: there will be no other end to give back at.
    if (stream.destroyed) return
    stream.on('error', ignore)
    const timeout = parseTimeout(headers['grpc-timeout'])
    const call = new IncomingCall<C>(this.admission, connection, stream, rawHeaders, timeout ?? Infinity)
    if (!call.enter()) return
    const type = headers['content-type']
    if (headers[':method'] !== 'POST' || type === undefined || !isGrpc(type)) return call.refuseType()
    const path = headers[':path'] ?? ''
    const handler = this.#handlers.get(path)
    if (handler === undefined) {
      return call.fail({ code: GrpcCode.UNIMPLEMENTED, message: `this server does not serve ${path}` })
    }
    if (timeout === undefined) {
      return call.fail({ code: GrpcCode.INVALID_ARGUMENT, message: 'malformed grpc-timeout' })
    }
    if (this.#doorman !== undefined && !call.admit(this.#doorman, headers)) return
    call.begin(handler, headers['grpc-encoding'], this.#log)
  }
}

/** Not `application/grpc-web`, which is another protocol. */
function isGrpc(type: string): boolean {
  return type.startsWith('application/grpc') && (type.length === 16 || type[16] === '+' || type[16] === ';')
}

const units: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Milliseconds of `grpc-timeout`; Infinity without one, undefined when it is malformed. */
function parseTimeout(text: string | string[] | undefined): number | undefined {
  if (text === undefined) return Infinity
  if (typeof text !== 'string' || !/^\d{1,8}[HMSmun]$/.test(text)) return undefined
  return Number(text.slice(0, -1)) * units[text[text.length - 1]]
}

function ignore(): void {}
