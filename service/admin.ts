/**
 * The admin server: metrics, health and status of one process. Whoever can connect may ask, unless a token is wanted for
 * that, too; who may change anything stands in access.ts.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { messageOf } from '../core/errors.ts'
import { type Binding, ListenError, type Listeners, parseEndpoint } from '../net/listeners.ts'
import { reachOf } from '../net/local-host.ts'
import { pageHeaders } from '../net/page-headers.ts'
import { lastAnswers, PortlessServer } from '../net/portless-server.ts'
import { clearSocketPlace, privately } from '../net/unix-socket.ts'
import type { AdminPages } from './admin-pages.ts'

/** A running admin server. */
export interface Admin {
  /** `127.0.0.1:8888`, or `unix:PATH`. */
  readonly address: string
  close(): Promise<void>
}

const owner = 'admin server'
/** What a connection may take. */
export interface AdminLimits {
  /** Most connections. */
  readonly most: number
  /** Milliseconds for the head of a request. */
  readonly headersTimeout: number
  /** Milliseconds for a request. */
  readonly requestTimeout: number
  /** Milliseconds in which an answer must be taken that is made at once; longer ones have a rate. */
  readonly answerWithin: number
}

/** Scrapers, probes and people are few. */
const usual: AdminLimits = { most: 64, headersTimeout: 10_000, requestTimeout: 30_000, answerWithin: 60_000 }
/** Milliseconds a connection may wait for its next request. */
const idleTimeout = 60_000

/** Opens the admin server on `endpoint` (`host:port`, or `unix:PATH`). */
export async function startAdmin(
  endpoint: string,
  pages: AdminPages,
  listeners: Listeners,
  { most, answerWithin, ...timeouts }: AdminLimits = usual,
): Promise<Admin> {
  const config = { tls: undefined, idle_timeout: idleTimeout }
  const limits = { ...timeouts, connectionsCheckingInterval: timeouts.headersTimeout / 2 }
  const server = new PortlessServer({ config, limits, most, answerWithin })
  // A connection on which nothing moves, not while something is being done for it.
  server.node.timeout = 10 * answerWithin
  server.node.on('clientError', endWith)
  server.node.on(
    'request',
    answering(() => import('./admin-app.ts').then(({ adminApp }) => adminApp(endpoint, pages, server.node))),
  )
  server.open()
  const binding = await listen(endpoint, listeners, server.accept)
  const isSocket = reachOf(endpoint) === 'unix'
  return {
    address: isSocket ? `unix:${binding.address}` : binding.address,
    async close() {
      await Promise.all([binding.close(), server.stop(lastAnswers)])
    },
  }
}

/** Answers requests with what `make` makes, at the first of them. */
function answering(make: () => Promise<RequestListener>): RequestListener {
  let made: Promise<RequestListener> | undefined
  let answer: RequestListener | undefined
  const fail = (response: ServerResponse, error: unknown): void => {
    made = undefined
    response.writeHead(500, { 'content-type': 'application/json', connection: 'close' })
    response.end(JSON.stringify({ error: messageOf(error) }))
  }
  return (request: IncomingMessage, response: ServerResponse) => {
    for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value)
    if (answer !== undefined) return answer(request, response)
    made ??= make().then(now => (answer = now))
    made.then(now => now(request, response)).catch((error: unknown) => fail(response, error))
  }
}

/** What is no HTTP, too much of it, or comes too slowly. */
function endWith({ code }: NodeJS.ErrnoException, socket: Socket): void {
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  if (socket.writable) socket.write(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
  socket.destroySoon()
}

async function listen(endpoint: string, listeners: Listeners, accept: (socket: Socket) => void): Promise<Binding> {
  const address = parseEndpoint(endpoint)
  if (address !== undefined && 'path' in address) {
    await clearSocketPlace(address.path, owner)
    return privately(() => listeners.listen(endpoint, accept, owner))
  }
  try {
    return await listeners.listen(endpoint, accept, owner)
  } catch (error) {
    if (!(error instanceof ListenError)) throw error
    // It is configured by another key than a receiver's, which nobody remembers.
    const hint =
      'its address is `service.telemetry.metrics.readers`, for example ' +
      "--set 'service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: localhost, port: 8889}}}}]'"
    throw new ListenError(`${error.message}; ${hint}`, { cause: error })
  }
}
