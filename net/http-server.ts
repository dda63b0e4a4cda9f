/**
 * HTTP requests with a body of bytes, on fastify over our own ports. Fastify routes; the body is read by admission, and
 * answers are written to Node's response directly.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import type { ServerAuthenticator } from '../core/auth.ts'
import type { Budget } from '../core/budget.ts'
import type { Logger } from '../core/logger.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import { Doorman } from './auth.ts'
import { Cors } from './cors.ts'
import { type Format, type HttpConnection, HttpExchange, type HttpTerms } from './http-exchange.ts'
import type { HttpServerConfig } from './http-server-keys.ts'
import { maxHeaders } from './header-limits.ts'
import { occupancyLimits } from './limit-keys.ts'
import { ConnectionShare, Peer } from './occupancy.ts'
import { PortlessServer } from './portless-server.ts'

/** Serves one path. The charge of the body is the handler's from now on. Answers once, with `reply` or `fail`. */
export type HttpHandler<C> = (exchange: HttpExchange<C>) => void

const connectionKey = Symbol('connection')
/** When answers were first seen to wait on a connection. */
const unreadKey = Symbol('unread')

export interface HttpServerOptions<C> {
  readonly config: HttpServerConfig
  readonly budget: Budget
  readonly log: Logger
  /** What requests of a connection from `peer` are to carry. */
  connected(peer: string): C
  /** Hears what keeps the server from accepting (certificates), and undefined when it is mended. */
  onTls?(error: string | undefined): void
  /** Asked before the body of a request is read. */
  readonly authenticator?: ServerAuthenticator | undefined
  readonly limits?: Partial<AdmissionLimits>
  /** Milliseconds for the TLS handshake. */
  readonly handshakeTimeout?: number
}

/** A server without a port: connections are handed to it. */
export class HttpServer<C> {
  readonly admission: Admission
  readonly #options: HttpServerOptions<C>
  readonly #server: PortlessServer
  readonly #terms: HttpTerms
  readonly #fastify: FastifyInstance
  readonly #paths = new Map<string, readonly Format[]>()

  constructor(options: HttpServerOptions<C>) {
    const { config, budget } = options
    this.#options = options
    this.admission = new Admission(
      budget,
      {
        maxBody: config.max_request_body_size,
        ...(config.read_timeout > 0 ? { bodyTimeout: config.read_timeout } : {}),
        answerTimeout: config.limits.answer_timeout || Infinity,
        occupancy: occupancyLimits(config.limits),
        ...options.limits,
      },
      options.log,
    )
    this.#terms = {
      admission: this.admission,
      log: options.log,
      headers: Object.entries(config.response_headers).flatMap(([name, value]) => [name, value.reveal()]),
      encodings: new Set(config.compression_algorithms),
      cors: config.cors && config.cors.allowed_origins.length > 0 ? new Cors(config.cors) : undefined,
      doorman: options.authenticator && new Doorman(options.authenticator, options.log),
      authParameters: config.auth?.request_params ?? [],
      answerTimeout: config.write_timeout || Infinity,
      lastAnswers: !config.keep_alives_enabled,
    }
    const limits = {
      headersTimeout: config.read_header_timeout,
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(5000, Math.max(50, config.read_header_timeout / 4)),
    }
    const { handshakeTimeout } = options
    this.#server = new PortlessServer({
      config,
      places: this.admission,
      limits,
      handshakeTimeout,
      onTls: error => options.onTls?.(error),
    })
    // One more than allowed, to see that there are too many: Node leaves out what is beyond.
    this.#server.node.maxHeadersCount = maxHeaders + 1
    this.#fastify = this.#create()
  }

  #create(): FastifyInstance {
    const app = fastify({
      serverFactory: handler => this.#server.node.on('request', handler),
      logger: false,
      genReqId: () => '',
      return503OnClosing: false,
      // Admission has the limit, also for bodies that do not say how large they are.
      bodyLimit: Number.MAX_SAFE_INTEGER,
    })
    app.removeAllContentTypeParsers()
    app.setNotFoundHandler((request, reply) => {
      reply.hijack()
      if (request.body instanceof HttpExchange) request.body.discard()
      this.#notFound(request.raw, reply.raw)
    })
    app.setErrorHandler((error: FastifyError, request, reply) => {
      reply.hijack()
      if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return this.#wrongType(request.raw, reply.raw)
      // What follows the path may be a secret.
      const [path] = request.url.split('?', 1)
      this.#options.log.error({ error: error.message, path }, 'a request could not be handled')
      this.#say(request.raw, reply.raw, error.statusCode ?? 500, 'internal error')
    })
    return app
  }

  /** Serves POST requests to `path` with bodies in one of `formats`. Before `ready`. */
  register(path: string, formats: readonly Format[], handler: HttpHandler<C>): void {
    for (const format of formats) this.#parse(format)
    this.#paths.set(path, formats)
    this.#fastify.post(path, (request, reply) => {
      reply.hijack()
      const { raw, body } = request
      const format = body instanceof HttpExchange ? body.format : formatOf(raw, formats)
      if (format === undefined || !formats.includes(format)) {
        if (body instanceof HttpExchange) body.discard()
        return this.#wrongType(raw, reply.raw)
      }
      if (body instanceof HttpExchange) return body.handle(reply.raw, handler)
      // Fastify asks no parser when there is no body.
      const exchange = new HttpExchange(this.#terms, this.#connection(raw.socket), raw, format)
      exchange.read(() => exchange.handle(reply.raw, handler))
    })
  }

  /** Reads bodies of `format`, whichever path they are for. */
  #parse(format: Format): void {
    if (this.#fastify.hasContentTypeParser(format.type)) return
    this.#fastify.addContentTypeParser(format.type, (request, _payload, done) => {
      const exchange = new HttpExchange(this.#terms, this.#connection(request.raw.socket), request.raw, format)
      exchange.read(() => done(null, exchange))
    })
  }

  #connection(socket: Socket & { [connectionKey]?: HttpConnection<C> }): HttpConnection<C> {
    const known = socket[connectionKey]
    if (known !== undefined) return known
    const { remoteAddress, remotePort } = socket
    const peer = remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`
    const share = this.#shareOf(socket)
    share.probe = now => this.#lookUnread(socket, share, now)
    const connection = { share, peer, context: this.#options.connected(peer) }
    socket[connectionKey] = connection
    return connection
  }

  /** What a connection takes up. With TLS over a unix socket nothing tells which it is, so it is counted twice. */
  #shareOf(socket: Socket): ConnectionShare {
    const known = this.#server.shareOf(socket)
    if (known !== undefined) return known
    const share = this.admission.enter(undefined)
    if (share === undefined) {
      socket.destroy()
      return new ConnectionShare(new Peer(''))
    }
    socket.once('close', () => this.admission.leave(share))
    return share
  }

  /** Ends a connection whose sender does not take its answers. */
  #lookUnread(socket: Socket & { [unreadKey]?: number | undefined }, share: ConnectionShare, now: number): void {
    if (socket.writableLength === 0) socket[unreadKey] = undefined
    else if (socket[unreadKey] === undefined) socket[unreadKey] = now
    else if (now - socket[unreadKey] >= this.admission.answerTimeout) {
      this.admission.count('unread', share)
      socket.destroy()
    }
  }

  #notFound(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').split('?', 1)[0]
    if (!this.#paths.has(path)) return this.#say(request, response, 404, `this server does not serve ${path}`)
    const { cors } = this.#terms
    if (request.method === 'OPTIONS' && cors !== undefined) {
      const { origin, 'access-control-request-headers': wanted } = request.headers
      response.writeHead(204, cors.preflight(origin, wanted)).end()
      return
    }
    this.#say(request, response, 405, '405 method not allowed, supported: [POST]', ['allow', 'POST'])
  }

  #wrongType(request: IncomingMessage, response: ServerResponse): void {
    const formats = this.#paths.get((request.url ?? '').split('?', 1)[0]) ?? []
    const expected = formats.map(({ type }) => type).join(' or ')
    const type = request.headers['content-type'] ?? 'none'
    this.#say(request, response, 415, `415 content type ${type} is not supported; send ${expected}`)
  }

  #say(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    text: string,
    more: readonly string[] = [],
  ): void {
    const { headers, cors, lastAnswers } = this.#terms
    const allowed = cors === undefined ? [] : cors.answer(request.headers.origin)
    const length = String(Buffer.byteLength(text))
    // A body that nobody reads is not worth keeping the connection for.
    if (lastAnswers || request.method === 'POST') response.shouldKeepAlive = false
    response.writeHead(status, [
      'content-type',
      'text/plain',
      'content-length',
      length,
      ...more,
      ...allowed,
      ...headers,
    ])
    response.end(text)
  }

  /** Must have resolved before connections are handed over. */
  async ready(): Promise<void> {
    await this.#fastify.ready()
    this.#server.open()
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => this.#server.accept(socket)

  get connections(): number {
    return this.#server.connections
  }

  /** Lets requests that run finish; see PortlessServer.stop. */
  async stop(deadline: number, replaced = false): Promise<void> {
    this.#terms.lastAnswers = true
    await this.#server.stop(deadline, replaced)
    await this.#fastify.close()
  }
}

/** Which of `formats` the request says its body is in, whatever parameters it adds. */
function formatOf(request: IncomingMessage, formats: readonly Format[]): Format | undefined {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase()
  return formats.find(format => format.type === type)
}
