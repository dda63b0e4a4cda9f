/** The admin server: metrics, health and status of one process. It answers questions and changes nothing. */
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance } from 'fastify'
import { maxHeaderBytes } from '../net/header-limits.ts'
import { type Binding, ListenError, type Listeners } from '../net/listeners.ts'
import { hostCheck } from '../net/local-host.ts'
import type { MetricsPage } from '../telemetry/metrics.ts'
import type { Route } from './api.ts'
import { QueryError, type RawQuery } from './query.ts'

/** What the admin server shows. */
export interface AdminPages {
  /** Undefined when `service.telemetry.metrics.level` is none. */
  readonly metrics: (() => Promise<MetricsPage>) | undefined
  /** Whether data is taken; and why not. */
  ready(): { ready: boolean; phase: string }
  status(): object
  /** Pages with questions in them. */
  readonly routes?: readonly Route[]
}

/** A running admin server. */
export interface Admin {
  /** `127.0.0.1:8888`. */
  readonly address: string
  close(): Promise<void>
}

const owner = 'admin server'

/** Opens the admin server on `endpoint` (`host:port`). */
export async function startAdmin(endpoint: string, pages: AdminPages, listeners: Listeners): Promise<Admin> {
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const app = fastify({
    // The port is one of the process's listeners; this server is only handed connections.
    serverFactory: handler => {
      const settings = { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: maxHeaderBytes }
      const server = createServer(settings, handler)
      servers.push(server)
      return server
    },
  })
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

function addPages(app: FastifyInstance, { metrics, ready, status, routes = [] }: AdminPages): void {
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
  for (const route of routes) addRoute(app, route)
  const paths = [
    ...(metrics === undefined ? [] : ['/metrics']),
    '/health/live',
    '/health/ready',
    '/status',
    ...routes.map(({ path }) => path),
  ]
  app.get('/', () => ({ kymo: 'admin server', pages: paths }))
  app.setNotFoundHandler((request, reply) => {
    if (request.method !== 'GET') {
      return reply.code(405).header('allow', 'GET').send({ error: 'this server only answers GET' })
    }
    return reply.code(404).send({ error: `no page ${request.url}`, pages: paths })
  })
}

function addRoute(app: FastifyInstance, { path, answer }: Route): void {
  app.get<{ Params: { '*'?: string }; Querystring: RawQuery }>(path, ({ params, query }, reply) => {
    try {
      return reply.send(answer(params['*'] ?? '', query))
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      const { code, message, hint } = error
      return reply.code(code).send({ error: message, ...(hint === undefined ? {} : { hint }) })
    }
  })
}
