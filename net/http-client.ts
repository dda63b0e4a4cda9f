/** HTTP requests to destinations: undici's pool, one per origin, made when it is first needed. */
import type { Cancellable, Cancellation } from '../core/cancellation.ts'
import { timerWait } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type tls from 'node:tls'
import type { buildConnector, Dispatcher, Pool, ProxyAgent } from 'undici'
import { connectSocket } from './connect.ts'
import { connectTrouble, isCutOff, isOtherProtocol, troubleText } from './connect-trouble.ts'

/** A request that got no answer. */
export class HttpClientError extends Error {
  override name = 'HttpClientError'
  readonly reason: 'timeout' | 'aborted' | 'unreachable'
  /** Whether the request may have reached the server. */
  readonly sent: boolean

  constructor(reason: 'timeout' | 'aborted' | 'unreachable', message: string, sent: boolean, cause?: unknown) {
    super(message, { cause })
    this.reason = reason
    this.sent = sent
  }
}

/** An answer, whatever its status. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** At most `bodyLimit` bytes. */
  readonly body: Buffer
  /** Whether there was more. */
  readonly truncated: boolean
}

/** How much of an answer is read, as the Collector does. */
export const bodyLimit = 64 * 1024

export interface HttpClientOptions {
  /** Makes the options of each TLS connection. */
  readonly tls?: (() => tls.ConnectionOptions) | undefined
  /** Most connections per origin; 0 sets no limit. */
  readonly maxConnections?: number
  /** Milliseconds after which a connection that is not used is closed; 0: never, so long as the server keeps it. */
  readonly idleTimeout?: number
  /** Off: a connection per request. */
  readonly keepAlive?: boolean
  readonly proxy?: string | undefined
  /** Milliseconds for connecting. */
  readonly connectTimeout?: number
}

/** How one request is made. */
export interface RequestOptions {
  /** Milliseconds for all of it; 0 sets no limit. */
  readonly timeout?: number | undefined
  readonly cancellation?: Cancellation | undefined
}

/** Longer than anybody waits: undici has no "never". */
const never = 24 * 3_600_000

// Only these two parts of undici, and only when they are needed: the whole takes 70 ms and 14 MB more.
async function loadPool(): Promise<typeof Pool> {
  // @ts-expect-error parts have no declarations of their own
  const module = (await import('undici/lib/dispatcher/pool.js')) as { default: typeof Pool }
  return module.default
}

async function loadProxyAgent(): Promise<typeof ProxyAgent> {
  // @ts-expect-error parts have no declarations of their own
  const module = (await import('undici/lib/dispatcher/proxy-agent.js')) as { default: typeof ProxyAgent }
  // Tunnels to https are made by a method of all dispatchers, which they only have where the whole of undici is loaded.
  // @ts-expect-error parts have no declarations of their own
  const base = (await import('undici/lib/dispatcher/dispatcher.js')) as { default: typeof Dispatcher }
  // @ts-expect-error parts have no declarations of their own
  const tunnel = (await import('undici/lib/api/api-connect.js')) as { default: Dispatcher['connect'] }
  base.default.prototype.connect = tunnel.default
  return module.default
}

/** Sends requests and reads answers. Redirects are answers like others. */
export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #dispatchers = new Map<string, Promise<Dispatcher> | Dispatcher>()
  /** Origins that have answered anything. */
  readonly #heard = new Set<string>()
  #closed = false

  constructor(options: HttpClientOptions = {}) {
    this.#options = options
  }

  /**
   * Posts `body` to `url`.
   * @throws HttpClientError when there is no answer
   */
  post(url: URL, headers: Record<string, string>, body: Buffer, options: RequestOptions = {}): Promise<HttpAnswer> {
    return this.#request('POST', url, headers, body, options)
  }

  /**
   * Asks for `url`.
   * @throws HttpClientError when there is no answer
   */
  get(url: URL, headers: Record<string, string>, options: RequestOptions = {}): Promise<HttpAnswer> {
    return this.#request('GET', url, headers, null, options)
  }

  async #request(
    method: 'GET' | 'POST',
    url: URL,
    headers: Record<string, string>,
    body: Buffer | null,
    options: RequestOptions,
  ): Promise<HttpAnswer> {
    const { cancellation, timeout } = options
    if (cancellation?.isCancelled === true)
      throw new HttpClientError('aborted', messageOf(cancellation.reason), false, cancellation.reason)
    if (this.#closed) throw new HttpClientError('aborted', 'the client is closed', false)
    let dispatcher = this.#dispatchers.get(url.origin)
    if (dispatcher === undefined) {
      dispatcher = this.#dispatcher(url.origin)
      this.#dispatchers.set(url.origin, dispatcher)
    }
    if (dispatcher instanceof Promise) {
      dispatcher = await dispatcher
      this.#dispatchers.set(url.origin, dispatcher)
    }
    const request = {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers,
      body,
      // One timer over the whole request does for both.
      headersTimeout: 0,
      bodyTimeout: 0,
    }
    const secure = url.protocol === 'https:'
    const isKnown = this.#heard.has(url.origin)
    const exchange = new Exchange(error => failureText(error, secure, isKnown), timeout, cancellation)
    dispatcher.dispatch(request, exchange)
    const answer = await exchange.answer
    if (!isKnown) this.#heard.add(url.origin)
    return answer
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    this.#closed = true
    const dispatchers = await Promise.all([...this.#dispatchers.values()].map(async dispatcher => dispatcher))
    await Promise.all(dispatchers.map(dispatcher => dispatcher.destroy()))
  }

  async #dispatcher(origin: string): Promise<Dispatcher> {
    const { maxConnections, idleTimeout = 90_000, keepAlive = true, proxy, connectTimeout = 30_000 } = this.#options
    const secure = this.#options.tls
    const shared = {
      connections: maxConnections ? maxConnections : null,
      pipelining: keepAlive ? 1 : 0,
      keepAliveTimeout: timerWait(idleTimeout || never),
      keepAliveMaxTimeout: timerWait(idleTimeout || never),
      allowH2: false,
    }
    if (proxy !== undefined) {
      const ProxyAgent = await loadProxyAgent()
      return new ProxyAgent({
        ...shared,
        uri: proxy, // The same keys under another declaration.
        requestTls: secure?.() as buildConnector.BuildOptions,
        connectTimeout,
      })
    }
    const Pool = await loadPool()
    return new Pool(origin, {
      ...shared,
      connect: ({ hostname, port, protocol }, callback) => {
        const overTls = protocol === 'https:'
        const host = hostname.replace(/^\[(.*)\]$/, '$1')
        const to = { host, port: Number(port) || (overTls ? 443 : 80) }
        // Throws, with no timer left behind, where TLS cannot be had: a certificate that cannot be read.
        const socket = connectSocket(to, overTls ? (secure?.() ?? {}) : undefined, 'http/1.1', host)
        let done = false
        const finish = (error: Error | undefined): void => {
          if (done) return
          done = true
          clearTimeout(timer)
          if (error) callback(error, null)
          else callback(null, socket)
        }
        const timer = setTimeout(
          () => socket.destroy(new Error(`no connection within ${connectTimeout}ms`)),
          timerWait(connectTimeout),
        )
        socket.once(overTls ? 'secureConnect' : 'connect', () => finish(undefined))
        socket.once('error', finish)
      },
    })
  }
}

/** Why there is no answer. What has never answered yet may be something else than what it is taken for. */
function failureText(error: Error, secure: boolean, isKnown: boolean): string {
  const text = troubleText(connectTrouble(error, secure))
  if (secure) return text.includes('does not speak TLS') ? `${text}; does it want \`http://\`?` : text
  if (isKnown) return text
  if (isCutOff(error)) return `${text}: the server ended the connection without an answer; does this port want https?`
  return isOtherProtocol(error)
    ? 'what the server answers is no HTTP/1.1; does this port want https, or is it one for gRPC?'
    : text
}

/** One request and its answer, as undici tells of it. */
class Exchange implements Dispatcher.DispatchHandler, Cancellable {
  readonly answer: Promise<HttpAnswer>
  readonly #failureText: (error: Error) => string
  readonly #timer: NodeJS.Timeout | undefined
  readonly #cancellation: Cancellation | undefined
  #resolve: (answer: HttpAnswer) => void = () => {}
  #reject: (error: HttpClientError) => void = () => {}
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #status = 0
  #headers: HttpAnswer['headers'] = {}
  #chunks: Buffer[] = []
  #size = 0

  /** `failureText` says why there is no answer. */
  constructor(
    failureText: (error: Error) => string,
    timeout: number | undefined,
    cancellation: Cancellation | undefined,
  ) {
    this.#failureText = failureText
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (timeout)
      this.#timer = setTimeout(() => this.#giveUp('timeout', `no answer within ${timeout}ms`), timerWait(timeout))
    this.#cancellation = cancellation
    cancellation?.watch(this)
  }

  cancelled(reason: unknown): void {
    this.#giveUp('aborted', messageOf(reason), reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#settled) controller.abort(new Error('given up'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: HttpAnswer['headers']): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = bodyLimit - this.#size
    this.#chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk)
    this.#size += Math.min(room, chunk.length)
    if (chunk.length <= room) return
    this.#finish(true)
    controller.abort(new Error('answer too long'))
  }

  onResponseEnd(): void {
    this.#finish(false)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#settle()) return
    // An answer that was cut off still says what became of the request.
    if (this.#status !== 0) this.#resolve(this.#read(true))
    else {
      const sent = this.#controller !== undefined
      this.#reject(new HttpClientError('unreachable', this.#failureText(error), sent, error))
    }
  }

  #finish(truncated: boolean): void {
    if (this.#settle()) this.#resolve(this.#read(truncated))
  }

  #read(truncated: boolean): HttpAnswer {
    const body = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks, this.#size)
    return { status: this.#status, headers: this.#headers, body, truncated }
  }

  #giveUp(reason: 'timeout' | 'aborted', message: string, cause?: unknown): void {
    if (!this.#settle()) return
    const controller = this.#controller
    this.#reject(new HttpClientError(reason, message, controller !== undefined, cause))
    controller?.abort(new Error(message))
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    clearTimeout(this.#timer)
    this.#cancellation?.unwatch(this)
    return true
  }
}
