/** Small pages for probes, people and scripts: health, status. GET only, over our own ports. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ServerAuthenticator } from '../core/auth.ts'
import type { Logger } from '../core/logger.ts'
import { type AuthRefusal, Doorman, headerOf, isPending, isRefusal } from './auth.ts'
import { Cors } from './cors.ts'
import type { PageServerConfig } from './http-server-keys.ts'
import { hostCheck } from './local-host.ts'
import { pageHeaders } from './page-headers.ts'
import { lastAnswers, PortlessServer } from './portless-server.ts'
import type { Presented } from './server-tls.ts'

/** What is answered. */
export interface Page {
  readonly status: number
  readonly type: string
  readonly text: string
  /** In place of the text. */
  readonly body?: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

/** Finds the page of a path; undefined where there is none. A page that takes a while to make is promised. */
export type PageSource = (
  path: string,
  query: URLSearchParams,
  headers: IncomingHttpHeaders,
) => Page | Promise<Page> | undefined

export interface PageServerOptions {
  readonly config: PageServerConfig
  readonly authenticator?: ServerAuthenticator | undefined
  /** Told who is not let in. */
  readonly log?: Logger
  /** What the server is called; without a list any name may be its own, see `hostCheck`. */
  readonly names?: readonly string[] | undefined
  /** What was presented at this address before. */
  readonly presented?: Presented | undefined
  /** Hears what is wrong with the certificates, and undefined when it is mended. */
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

/** Milliseconds after which a connection ends on which nothing moves. */
const stalledAfter = 60_000

/** A server without a port: connections are handed to it. */
export class PageServer {
  readonly #options: PageServerOptions
  readonly #server: PortlessServer
  readonly #cors: Cors | undefined
  readonly #refuse: ReturnType<typeof hostCheck>
  readonly #doorman: Doorman | undefined

  constructor(options: PageServerOptions) {
    const { config, names } = options
    this.#options = options
    this.#doorman = options.authenticator && new Doorman(options.authenticator, options.log)
    this.#cors = config.cors && config.cors.allowed_origins.length > 0 ? new Cors(config.cors) : undefined
    this.#refuse = hostCheck(config.endpoint, { transport: config.transport, names })
    const headersTimeout = Math.min(config.read_header_timeout || 10_000, 10_000)
    const limits = { headersTimeout, requestTimeout: 10_000 }
    // Who does not read what was asked for keeps it in memory, also who reads a byte now and then.
    const answerWithin = config.write_timeout || stalledAfter
    const onTls = (error: string | undefined) => options.onTls?.(error)
    this.#server = new PortlessServer({ config, presented: options.presented, limits, onTls, answerWithin })
    this.#server.node.on('request', (request, response) => this.#serve(request, response))
    this.#server.node.timeout = answerWithin
    this.#server.open()
  }

  /** Takes a connection over. */
  readonly accept = (socket: Socket): void => this.#server.accept(socket)

  /** From now on every answer is the last of its connection; without `replaced` idle ones end. */
  retire(replaced: boolean): void {
    this.#server.retire(replaced)
  }

  /** Lets requests that run finish, for a moment; where another server has taken over (`replaced`) each connection may send one more. */
  stop(replaced = false): Promise<void> {
    return this.#server.stop(lastAnswers, replaced)
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { config } = this.#options
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    // Nobody reads what comes with it.
    if (!isRead || !config.keep_alives_enabled) response.shouldKeepAlive = false
    const { page, headers = {} } = isRead
      ? this.#answer(request, response)
      : { page: textPage(405, 'this server only answers GET'), headers: { allow: 'GET, HEAD' } }
    const { origin } = request.headers
    const allowed = this.#cors?.answer(origin) ?? []
    for (let i = 0; i < allowed.length; i += 2) response.setHeader(allowed[i], allowed[i + 1])
    for (const [name, value] of Object.entries(config.response_headers)) response.setHeader(name, value.reveal())
    const write = (made: Page): void => {
      const body = made.body ?? made.text
      response.writeHead(made.status, {
        ...pageHeaders,
        ...headers,
        ...made.headers,
        'content-type': made.type,
        'content-length': Buffer.byteLength(body),
      })
      response.end(body)
    }
    if (page instanceof Promise) page.then(write, () => write(textPage(500, 'internal error')))
    else write(page)
  }

  #answer({ headers, url = '/', socket }: IncomingMessage, response: ServerResponse): Answered {
    const [path, query = ''] = url.split('?', 2)
    // Origins that the configuration allows are welcome.
    const { origin, ...rest } = headers
    const isWelcome = this.#cors?.answer(origin).includes('access-control-allow-origin') === true
    const refused = this.#refuse(isWelcome ? rest : headers)
    if (refused !== undefined) return { page: textPage(403, refused) }
    const page = () => this.#options.page(path, new URLSearchParams(query), headers) ?? textPage(404, `no page ${path}`)
    if (this.#doorman === undefined) return { page: page() }
    const { remoteAddress, remotePort } = socket
    const answer = this.#doorman.ask(
      headerOf(headers),
      remoteAddress === undefined ? '' : `${remoteAddress}:${remotePort}`,
    )
    if (!isPending(answer)) return { page: isRefusal(answer) ? refusalPage(answer) : page() }
    response.once('close', () => answer.cancel())
    const told = new Promise<Page>((resolve, reject) => {
      answer.whenTold(now => {
        if (isRefusal(now)) resolve(refusalPage(now))
        else Promise.resolve(page()).then(resolve, reject)
      })
    })
    return { page: told }
  }
}

/** What is answered to a request, and with which headers. */
interface Answered {
  readonly page: Page | Promise<Page>
  readonly headers?: Record<string, string>
}

function refusalPage({ kind, message, challenge }: AuthRefusal): Page {
  const page = textPage(kind === 'denied' ? 401 : 503, message)
  return challenge === undefined ? page : { ...page, headers: { 'www-authenticate': challenge } }
}
