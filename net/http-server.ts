/** HTTP requests with a body of bytes, on HTTP/1.1 of our own over our own ports. */
import type { Socket } from 'node:net'
import type { ServerAuthenticator } from '../core/auth.ts'
import type { Budget } from '../core/budget.ts'
import type { Logger } from '../core/logger.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import { Doorman } from './auth.ts'
import { Cors } from './cors.ts'
import { type Format, HttpExchange, type HttpHandler, type HttpTerms } from './http-exchange.ts'
import { statusNumbers } from './http-refusal.ts'
import type { HttpServerConfig } from './http-server-keys.ts'
import { Answers } from './http1/answers.ts'
import { Connection } from './http1/connection.ts'
import { Front } from './http1/front.ts'
import type { HttpService } from './http1/service.ts'
import { occupancyLimits } from './limit-keys.ts'
import type { ConnectionShare } from './occupancy.ts'
import type { ReceptionTerms } from './reception.ts'
import { shownText } from './shown-text.ts'
import type { Presented } from './server-tls.ts'

export interface HttpServerOptions<C> {
  readonly config: HttpServerConfig
  readonly budget: Budget
  readonly log: Logger
  /** What requests of a connection from `peer` are to carry. */
  connected(peer: string): C
  /** What was presented at this address before. */
  readonly presented?: Presented | undefined
  /** Hears what is wrong with the certificates, and undefined when it is mended. */
  onTls?(error: string | undefined): void
  /** Asked before the body of a request is read. */
  readonly authenticator?: ServerAuthenticator | undefined
  readonly limits?: Partial<AdmissionLimits>
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number
  /** Told who comes, and what is turned away. */
  readonly reception?: ReceptionTerms | undefined
}

interface Route<C> {
  readonly formats: readonly Format[]
  readonly handler: HttpHandler<C>
}

const nothing = Buffer.alloc(0)

/** A server without a port: connections are handed to it. */
export class HttpServer<C> {
  readonly admission: Admission
  readonly #options: HttpServerOptions<C>
  readonly #terms: HttpTerms
  readonly #service: HttpService & { isLast: boolean }
  readonly #front: Front
  readonly #routes = new Map<string, Route<C>>()
  readonly #open = new Set<Connection<C>>()

  constructor(options: HttpServerOptions<C>) {
    const { config, budget, log } = options
    this.#options = options
    this.admission = new Admission(
      budget,
      {
        maxBody: config.max_request_body_size,
        ...(config.read_timeout > 0 ? { bodyTimeout: config.read_timeout } : {}),
        answerTimeout: config.limits.answer_timeout || Infinity,
        occupancy: occupancyLimits(config.limits),
        sweep: sweepOf(config),
        ...options.limits,
      },
      log,
      options.reception,
      statusNumbers(),
    )
    this.#terms = {
      admission: this.admission,
      log,
      encodings: new Set(config.compression_algorithms),
      cors: config.cors && config.cors.allowed_origins.length > 0 ? new Cors(config.cors) : undefined,
      doorman: options.authenticator && new Doorman(options.authenticator, log),
      authParameters: config.auth?.request_params ?? [],
      answerTimeout: config.write_timeout || Infinity,
    }
    const headers = Object.entries(config.response_headers).flatMap(([name, value]) => [name, value.reveal()])
    this.#service = {
      admission: this.admission,
      answers: new Answers(headers, config.idle_timeout),
      turns: budget.turns,
      log,
      headTimeout: config.read_header_timeout || Infinity,
      idleTimeout: config.idle_timeout || Infinity,
      isLast: !config.keep_alives_enabled,
    }
    this.#front = new Front({
      tls: config.tls,
      presented: options.presented,
      admission: this.admission,
      handshakeTimeout: options.handshakeTimeout,
      onTls: error => options.onTls?.(error),
      open: (socket, share) => this.#connect(socket, share),
    })
  }

  /** Serves POST requests to `path` with bodies in one of `formats`. */
  register(path: string, formats: readonly Format[], handler: HttpHandler<C>): void {
    this.#routes.set(path, { formats, handler })
  }

  /** Must have resolved before connections are handed over. */
  ready(): Promise<void> {
    return Promise.resolve()
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => this.#front.accept(socket)

  get connections(): number {
    return this.#front.sockets.size
  }

  #connect(socket: Socket, share: ConnectionShare): void {
    const connection = new Connection<C>(
      socket,
      share,
      this.#service,
      peer => this.#options.connected(peer),
      this.#serve,
    )
    this.#open.add(connection)
    socket.once('close', () => this.#open.delete(connection))
  }

  /** A head has come. */
  readonly #serve = (connection: Connection<C>): void => {
    const { path, method, contentType } = connection.head
    const route = this.#routes.get(path) ?? this.#routes.get(decoded(path))
    if (route === undefined) return this.#say(connection, 404, `this server does not serve ${shownText(path)}`)
    if (method !== 'POST') return this.#answerOther(connection)
    const format = formatOf(contentType, route.formats)
    if (format === undefined) {
      const expected = route.formats.map(({ type }) => type).join(' or ')
      const text = `415 content type ${shownText(contentType ?? 'none')} is not supported; send ${expected}`
      return this.#say(connection, 415, text)
    }
    new HttpExchange(this.#terms, connection, format, route.handler).start()
  }

  /** Answers what is no POST. */
  #answerOther(connection: Connection<C>): void {
    const { cors } = this.#terms
    const { head } = connection
    if (head.method !== 'OPTIONS' || cors === undefined) {
      return this.#say(connection, 405, '405 method not allowed, supported: [POST]', ['allow', 'POST'])
    }
    const headers = cors.preflight(head.origin, head.header('access-control-request-headers'))
    connection.answer({ status: 204, type: undefined, body: nothing, headers })
  }

  #say(connection: Connection<C>, status: number, text: string, more: readonly string[] = []): void {
    const { cors } = this.#terms
    const { share, head } = connection
    const what = { kind: 'unserved', status: String(status), message: text } as const
    this.admission.turnAway(what, share, head.header('user-agent'), 0)
    const headers = cors === undefined ? more : [...more, ...cors.answer(head.origin)]
    connection.answer({ status, type: 'text/plain', body: Buffer.from(text), headers })
  }

  /**
   * Ends idle connections, lets requests that run finish for `deadline` milliseconds, then ends all connections. Where another
   * server has taken over (`replaced`), idle ones may send one more request until then: a request that is already on its way
   * when its connection is closed looks like a failure to whoever sent it.
   */
  async stop(deadline: number, replaced = false): Promise<void> {
    this.#service.isLast = true
    this.#front.stop()
    const until = Date.now() + deadline
    if (!replaced) this.#endIdle()
    const { sockets } = this.#front
    while (sockets.size > 0 && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 10))
      if (!replaced) this.#endIdle()
    }
    for (const socket of sockets) socket.destroy()
  }

  #endIdle(): void {
    for (const connection of this.#open) if (connection.isIdle) connection.destroy()
    // What has not even begun its handshake.
    for (const socket of this.#front.sockets) if (socket.bytesRead === 0) socket.destroy()
  }
}

/** How often the clock is looked at: often enough for what is limited to less than some seconds. */
function sweepOf({ read_header_timeout: head, idle_timeout: idle }: HttpServerConfig): number {
  return Math.max(50, Math.min(1000, (head || Infinity) / 4, (idle || Infinity) / 4))
}

/** Which of `formats` a body of this type is in, whatever parameters are added. */
function formatOf(contentType: string | undefined, formats: readonly Format[]): Format | undefined {
  for (const format of formats) if (format.type === contentType) return format
  const type = (contentType ?? '').split(';', 1)[0].trim().toLowerCase()
  return formats.find(format => format.type === type)
}

/** A path in which letters may be written as `%` and their number. */
function decoded(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
