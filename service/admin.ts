/**
 * The admin server: metrics, health and status of one process. Whoever can connect may ask, unless a token is wanted for
 * that, too; who may change anything stands in access.ts.
 */
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { type Binding, ListenError, type Listeners, parseEndpoint } from '../net/listeners.ts'
import { hostCheck, type Reach, reachOf } from '../net/local-host.ts'
import { pageHeaders } from '../net/page-headers.ts'
import { lastAnswers, PortlessServer } from '../net/portless-server.ts'
import { clearSocketPlace, privately } from '../net/unix-socket.ts'
import type { MetricsPage } from '../telemetry/metrics.ts'
import { type Access, type Stake, tokenAccess } from './access.ts'
import type { ActionRoute, AnyRoute, FlowRoute, Route, TextRoute } from './api.ts'
import { paced } from './paced.ts'
import { QueryError, type RawQuery } from './query.ts'

/** What the admin server shows. */
export interface AdminPages {
  /** Undefined when `service.telemetry.metrics.level` is none. */
  readonly metrics: (() => Promise<MetricsPage>) | undefined
  /** Whether data is taken; and why not. */
  ready(): { ready: boolean; phase: string }
  /** Undefined on an address that is only for metrics and health. */
  readonly status?: (() => object) | undefined
  /** Pages with questions in them. */
  readonly routes?: readonly AnyRoute[]
  /** Who may ask and change; without it, as if there was no token. */
  readonly access?: Access
  /** What the server is called besides localhost and its addresses. */
  readonly names?: readonly string[]
}

/** A running admin server. */
export interface Admin {
  /** `127.0.0.1:8888`, or `unix:PATH`. */
  readonly address: string
  close(): Promise<void>
}

const owner = 'admin server'
/** Largest text that is taken, in bytes. */
const largestBody = 4 * 2 ** 20
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
  const app = fastify({
    bodyLimit: largestBody,
    clientErrorHandler: endWith,
    // The port is one of the process's listeners; this server is only handed connections.
    serverFactory: handler => {
      server.node.on('request', (request, response) => {
        for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value)
        handler(request, response)
      })
      return server.node
    },
  })
  // Forms of web pages can send it, and nobody else does.
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser(/^(?:application|text)\/(?:x-)?yaml\b/, { parseAs: 'string' }, (_, body, done) =>
    done(null, body),
  )
  const refuse = hostCheck(endpoint, { names: pages.names ?? [] })
  app.addHook('onRequest', (request, reply, done) => {
    // Who probes is called as it pleases, and there is nothing to read.
    const refusal = isHealth(request.url) ? undefined : refuse(request.headers)
    if (refusal === undefined) done()
    else reply.code(403).header('connection', 'close').send({ error: refusal, hint: namesHint })
  })
  addPages(app, pages, reachOf(endpoint))
  await app.ready()
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

const isHealth = (url: string): boolean => /^\/health\/(?:live|ready)(?:\?|$)/.test(url)
const namesHint = 'names are allowed with `kymo run --admin-host NAME`, or KYMO_ADMIN_HOSTS'

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

function addPages(app: FastifyInstance, pages: AdminPages, reach: Reach): void {
  const { metrics, ready, status, routes = [], access = tokenAccess({}) } = pages
  const door: Door = stake => admit(access, stake, reach)
  const reading = { onRequest: door('reading') }
  if (metrics !== undefined) {
    app.get('/metrics', { onRequest: door('metrics') }, async (_, reply) => {
      const { contentType, text } = await metrics()
      return reply.type(contentType).send(text)
    })
  }
  app.get('/health/live', () => ({ status: 'live' }))
  app.get('/health/ready', (_, reply) => {
    const { ready: isReady, phase } = ready()
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not ready', phase })
  })
  if (status !== undefined) app.get('/status', reading, () => status())
  for (const route of routes) addRoute(app, route, door)
  const paths = [
    ...(metrics === undefined ? [] : ['/metrics']),
    '/health/live',
    '/health/ready',
    ...(status === undefined ? [] : ['/status']),
    ...new Set(routes.map(({ path }) => path)),
  ]
  const actions = new Set(routes.filter(route => 'act' in route || 'take' in route).map(({ path }) => path))
  app.get('/', reading, () => ({ kymo: 'admin server', pages: paths }))
  const elsewhere =
    status === undefined ? { hint: 'this address only has these; ask where `--admin` of this Kymo says' } : {}
  app.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?')
    const allowed = actions.has(path) ? 'POST' : 'GET'
    if (request.method !== allowed) {
      return reply
        .code(405)
        .header('allow', allowed)
        .send({ error: `this page only answers ${allowed}`, ...elsewhere })
    }
    return reply.code(404).send({ error: `no page ${request.url}`, pages: paths, ...elsewhere })
  })
}

/** Lets in who may. */
type Door = (stake: Stake) => ReturnType<typeof admit>

function addRoute(app: FastifyInstance, route: AnyRoute, door: Door): void {
  if ('act' in route) addAction(app, route, door)
  else if ('take' in route) addText(app, route, door)
  else if ('flow' in route) addFlow(app, route, door)
  else addPage(app, route, door)
}

function addPage(app: FastifyInstance, { path, answer }: Route, door: Door): void {
  type Asked = { Params: { '*'?: string }; Querystring: RawQuery }
  app.get<Asked>(path, { onRequest: door('reading') }, ({ params, query }, reply) =>
    answered(reply, () => answer(params['*'] ?? '', query)),
  )
}

/** The data itself is not for everybody who may ask how things are. */
function addFlow(app: FastifyInstance, { path, flow }: FlowRoute, door: Door): void {
  app.get<{ Querystring: RawQuery }>(path, { onRequest: door('action') }, ({ query }, reply) =>
    answered(reply, () => {
      const { contentType, chunks } = flow(query)
      reply.type(contentType)
      return paced(chunks)
    }),
  )
}

/** Web pages are kept out as everywhere here, and by the content type; the rest is a matter of who asks. */
function admit(access: Access, stake: Stake, reach: Reach) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const denial = access({ headers: request.headers, peer: request.socket.remoteAddress, reach }, stake)
    if (denial === undefined) return done()
    const { code, message, hint } = denial
    if (code === 401) reply.header('www-authenticate', 'Bearer')
    // Nobody reads what comes with it.
    reply.code(code).header('connection', 'close').send({ error: message, hint })
  }
}

function addAction(app: FastifyInstance, { path, act }: ActionRoute, door: Door): void {
  app.post(path, { onRequest: door('action') }, ({ body }, reply) =>
    answered(reply, () => {
      if (typeof body !== 'object' || body === null || Array.isArray(body)) {
        throw new QueryError(400, 'a JSON object is expected, such as {}')
      }
      return act(body as Record<string, unknown>)
    }),
  )
}

function addText(app: FastifyInstance, { path, stake, take }: TextRoute, door: Door): void {
  app.post<{ Querystring: RawQuery }>(path, { onRequest: door(stake) }, ({ body, query }, reply) =>
    answered(reply, async () => {
      if (body !== undefined && body !== null && typeof body !== 'string') {
        throw new QueryError(
          400,
          'a configuration is expected as YAML',
          'send it with `content-type: application/yaml`',
        )
      }
      const { code, body: told } = await take(body ?? '', query)
      reply.code(code)
      return told
    }),
  )
}

async function answered(reply: FastifyReply, make: () => object | Promise<object>): Promise<FastifyReply> {
  let answer: object
  try {
    answer = await make()
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    const { code, message, hint } = error
    return reply.code(code).send({ error: message, ...(hint === undefined ? {} : { hint }) })
  }
  return reply.send(answer)
}
