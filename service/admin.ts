/**
 * The admin server: metrics, health and status of one process. Whoever can connect may ask; only this machine may change
 * anything.
 */
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { maxHeaderBytes } from '../net/header-limits.ts'
import { type Binding, ListenError, type Listeners } from '../net/listeners.ts'
import { hostCheck } from '../net/local-host.ts'
import type { MetricsPage } from '../telemetry/metrics.ts'
import { type Access, type Stake, tokenAccess } from './access.ts'
import type { ActionRoute, AnyRoute, FlowRoute, Route, TextRoute } from './api.ts'
import { QueryError, type RawQuery } from './query.ts'

/** What the admin server shows. */
export interface AdminPages {
  /** Undefined when `service.telemetry.metrics.level` is none. */
  readonly metrics: (() => Promise<MetricsPage>) | undefined
  /** Whether data is taken; and why not. */
  ready(): { ready: boolean; phase: string }
  status(): object
  /** Pages with questions in them. */
  readonly routes?: readonly AnyRoute[]
  /** Who may change anything; without it, as if there was no token. */
  readonly access?: Access
}

/** A running admin server. */
export interface Admin {
  /** `127.0.0.1:8888`. */
  readonly address: string
  close(): Promise<void>
}

const owner = 'admin server'
/** Largest text that is taken, in bytes. */
const largestBody = 4 * 2 ** 20

/** Opens the admin server on `endpoint` (`host:port`). */
export async function startAdmin(endpoint: string, pages: AdminPages, listeners: Listeners): Promise<Admin> {
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const app = fastify({
    bodyLimit: largestBody,
    // The port is one of the process's listeners; this server is only handed connections.
    serverFactory: handler => {
      const settings = { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: maxHeaderBytes }
      const server = createServer(settings, handler)
      servers.push(server)
      return server
    },
  })
  // Forms of web pages can send it, and nobody else does.
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser(/^(?:application|text)\/(?:x-)?yaml\b/, { parseAs: 'string' }, (_, body, done) =>
    done(null, body),
  )
  const refuse = hostCheck(endpoint)
  app.addHook('onRequest', (request, reply, done) => {
    const refusal = refuse(request.headers)
    if (refusal === undefined) done()
    else reply.code(403).send({ error: refusal })
  })
  addPages(app, pages)
  await app.ready()
  const [server] = servers
  const binding = await listen(endpoint, listeners, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    server.emit('connection', socket)
  })
  return {
    address: binding.address,
    async close() {
      await binding.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function listen(endpoint: string, listeners: Listeners, accept: (socket: Socket) => void): Promise<Binding> {
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

function addPages(app: FastifyInstance, pages: AdminPages): void {
  const { metrics, ready, status, routes = [], access = tokenAccess({}) } = pages
  if (metrics !== undefined) {
    app.get('/metrics', async (_, reply) => {
      const { contentType, text } = await metrics()
      return reply.type(contentType).send(text)
    })
  }
  app.get('/health/live', () => ({ status: 'live' }))
  app.get('/health/ready', (_, reply) => {
    const { ready: isReady, phase } = ready()
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not ready', phase })
  })
  app.get('/status', () => status())
  for (const route of routes) addRoute(app, route, access)
  const paths = [
    ...(metrics === undefined ? [] : ['/metrics']),
    '/health/live',
    '/health/ready',
    '/status',
    ...new Set(routes.map(({ path }) => path)),
  ]
  const actions = new Set(routes.filter(route => 'act' in route || 'take' in route).map(({ path }) => path))
  app.get('/', () => ({ kymo: 'admin server', pages: paths }))
  app.setNotFoundHandler((request, reply) => {
    const allowed = actions.has(request.url.split('?')[0]) ? 'POST' : 'GET'
    if (request.method !== allowed) {
      return reply
        .code(405)
        .header('allow', allowed)
        .send({ error: `this page only answers ${allowed}` })
    }
    return reply.code(404).send({ error: `no page ${request.url}`, pages: paths })
  })
}

function addRoute(app: FastifyInstance, route: AnyRoute, access: Access): void {
  if ('act' in route) addAction(app, route, access)
  else if ('take' in route) addText(app, route, access)
  else if ('flow' in route) addFlow(app, route, access)
  else addPage(app, route)
}

function addPage(app: FastifyInstance, { path, answer }: Route): void {
  app.get<{ Params: { '*'?: string }; Querystring: RawQuery }>(path, ({ params, query }, reply) =>
    answered(reply, () => answer(params['*'] ?? '', query)),
  )
}

/** The data itself is not for everybody who may ask how things are. */
function addFlow(app: FastifyInstance, { path, flow }: FlowRoute, access: Access): void {
  app.get<{ Querystring: RawQuery }>(path, { onRequest: admit(access, 'action') }, ({ query }, reply) =>
    answered(reply, () => {
      const { contentType, chunks } = flow(query)
      reply.type(contentType)
      return Readable.from(chunks, { objectMode: false })
    }),
  )
}

/** Web pages are kept out as everywhere here, and by the content type; the rest is a matter of who asks. */
function admit(access: Access, stake: Stake) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const denial = access({ headers: request.headers, peer: request.socket.remoteAddress }, stake)
    if (denial === undefined) return done()
    const { code, message, hint } = denial
    if (code === 401) reply.header('www-authenticate', 'Bearer')
    reply.code(code).send({ error: message, hint })
  }
}

function addAction(app: FastifyInstance, { path, act }: ActionRoute, access: Access): void {
  app.post(path, { onRequest: admit(access, 'action') }, ({ body }, reply) =>
    answered(reply, () => {
      if (typeof body !== 'object' || body === null || Array.isArray(body)) {
        throw new QueryError(400, 'a JSON object is expected, such as {}')
      }
      return act(body as Record<string, unknown>)
    }),
  )
}

function addText(app: FastifyInstance, { path, stake, take }: TextRoute, access: Access): void {
  app.post<{ Querystring: RawQuery }>(path, { onRequest: admit(access, stake) }, ({ body, query }, reply) =>
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
