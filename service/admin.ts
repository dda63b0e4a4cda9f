/** The admin server: metrics, health and status of one process. It answers questions and changes nothing. */
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance } from 'fastify'
import { type Binding, ListenError, type Listeners } from '../net/listeners.ts'
import type { MetricsPage } from '../telemetry/metrics.ts'

/** What the admin server shows. */
export interface AdminPages {
  /** Undefined when `service.telemetry.metrics.level` is none. */
  readonly metrics: (() => Promise<MetricsPage>) | undefined
  /** Whether data is taken; and why not. */
  ready(): { ready: boolean; phase: string }
  status(): object
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
      const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, handler)
      servers.push(server)
      return server
    },
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

function addPages(app: FastifyInstance, { metrics, ready, status }: AdminPages): void {
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
  const paths = [...(metrics === undefined ? [] : ['/metrics']), '/health/live', '/health/ready', '/status']
  app.get('/', () => ({ kymo: 'admin server', pages: paths }))
  app.setNotFoundHandler((request, reply) => {
    if (request.method !== 'GET') {
      return reply.code(405).header('allow', 'GET').send({ error: 'this server only answers GET' })
    }
    return reply.code(404).send({ error: `no page ${request.url}`, pages: paths })
  })
}
