/** Small pages for probes, people and scripts: health, status. GET only, over our own ports. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { ServerAuthenticator } from '../core/auth.ts'
import { askAuthenticator, isRefusal } from './auth.ts'
import { Cors } from './cors.ts'
import { maxHeaderBytes } from './header-limits.ts'
import type { HttpServerConfig } from './http-server-keys.ts'
import { hostCheck } from './local-host.ts'
import { handshakeTimeout, ServerTls } from './tls.ts'

/** What is answered. */
export interface Page {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** Finds the page of a path; undefined where there is none. */
export type PageSource = (path: string, query: URLSearchParams) => Page | undefined

export interface PageServerOptions {
  readonly config: HttpServerConfig
  readonly authenticator?: ServerAuthenticator | undefined
  /** Hears what keeps the server from accepting (certificates), and undefined when it is mended. */
  onTls?(error: string | undefined): void
  page: PageSource
}

/** A page of JSON. */
export const jsonPage = (status: number, value: unknown): Page => ({
  status,
  type: 'application/json',
  text: JSON.stringify(value),
})

/** A page of plain text. */
export const textPage = (status: number, text: string): Page => ({ status, type: 'text/plain; charset=utf-8', text })

/** Nothing on a page is loaded from elsewhere or kept by browsers. */
const always = {
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
}

/** A server without a port: connections are handed to it. */
export class PageServer {
  readonly #options: PageServerOptions
  readonly #server: Server | SecureServer
  readonly #tls: ServerTls | undefined
  readonly #sockets = new Set<Socket>()
  readonly #cors: Cors | undefined
  readonly #refuse: ReturnType<typeof hostCheck>

  constructor(options: PageServerOptions) {
    const { config } = options
    this.#options = options
    this.#cors = config.cors && config.cors.allowed_origins.length > 0 ? new Cors(config.cors) : undefined
    this.#refuse = hostCheck(config.endpoint, config.transport)
    const settings = {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: Math.min(config.read_header_timeout || 10_000, 10_000),
      requestTimeout: 10_000,
      keepAliveTimeout: config.idle_timeout,
    }
    const serve = (request: IncomingMessage, response: ServerResponse): void => this.#serve(request, response)
    if (config.tls) {
      const mutual = config.tls.client_ca_file !== undefined
      const server = createSecureServer(
        { ...settings, handshakeTimeout, requestCert: mutual, rejectUnauthorized: mutual },
        serve,
      )
      this.#tls = new ServerTls(config.tls, error => options.onTls?.(error))
      this.#tls.start(tls => server.setSecureContext(tls))
      this.#server = server
    } else this.#server = createServer(settings, serve)
    // Node looks after slow and idle connections from here on, as it does when it has opened the port itself.
    this.#server.emit('listening')
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => {
    if (this.#tls?.ready === false) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    this.#server.emit('connection', socket)
  }

  /** Ends all connections. */
  stop(): void {
    this.#tls?.stop()
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close(() => {})
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { config } = this.#options
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    // Nobody reads what comes with it.
    if (!isRead || !config.keep_alives_enabled) response.shouldKeepAlive = false
    const { page, headers = {} } = isRead
      ? this.#answer(request)
      : { page: textPage(405, 'this server only answers GET'), headers: { allow: 'GET, HEAD' } }
    const { origin } = request.headers
    const allowed = this.#cors?.answer(origin) ?? []
    for (let i = 0; i < allowed.length; i += 2) response.setHeader(allowed[i], allowed[i + 1])
    for (const [name, value] of Object.entries(config.response_headers)) response.setHeader(name, value.reveal())
    response.writeHead(page.status, {
      ...always,
      ...headers,
      'content-type': page.type,
      'content-length': Buffer.byteLength(page.text),
    })
    response.end(page.text)
  }

  #answer({ headers, url = '/' }: IncomingMessage): { page: Page; headers?: Record<string, string> } {
    const [path, query = ''] = url.split('?', 2)
    // Origins that the configuration allows are welcome.
    const { origin, ...rest } = headers
    const isWelcome = this.#cors?.answer(origin).includes('access-control-allow-origin') === true
    const refused = this.#refuse(isWelcome ? rest : headers)
    if (refused !== undefined) return { page: textPage(403, refused) }
    const { authenticator } = this.#options
    if (authenticator !== undefined) {
      const sender = askAuthenticator(authenticator, name => {
        const value = headers[name]
        return Array.isArray(value) ? value[0] : value
      })
      if (isRefusal(sender)) {
        const { kind, message, challenge } = sender
        const page = textPage(kind === 'denied' ? 401 : 503, message)
        return challenge === undefined ? { page } : { page, headers: { 'www-authenticate': challenge } }
      }
    }
    return { page: this.#options.page(path, new URLSearchParams(query)) ?? textPage(404, `no page ${path}`) }
  }
}
