/** What the admin server answers. It is made when somebody asks first: many a process is never asked. */
import type { RequestListener, Server } from 'node:http'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { hostCheck, type Reach, reachOf } from '../net/local-host.ts'
import { type Access, type Stake, tokenAccess } from './access.ts'
import type { AdminPages } from './admin-pages.ts'
import type { ActionRoute, AnyRoute, FlowRoute, Route, TextRoute } from './api.ts'
import { paced } from './paced.ts'
import { QueryError, type RawQuery } from './query.ts'

/** Largest text that is taken, in bytes. */
const largestBody = 4 * 2 ** 20

/** Makes what answers the requests of `server`, which is reached at `endpoint`. */
export async function adminApp(endpoint: string, pages: AdminPages, server: Server): Promise<RequestListener> {
  let answer: RequestListener | undefined
  const app = fastify({
    bodyLimit: largestBody,
    // The port is one of the process's listeners; the server is handed connections, and hands on requests.
    serverFactory(handler) {
      answer = handler
      return server
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
  if (answer === undefined) throw new TypeError('nothing answers')
  return answer
}

const isHealth = (url: string): boolean => /^\/health\/(?:live|ready)(?:\?|$)/.test(url)
const namesHint = 'names are allowed with `kymo run --admin-host NAME`, or KYMO_ADMIN_HOSTS'

function addPages(app: FastifyInstance, pages: AdminPages, reach: Reach): void {
  const { metrics, ready, status, routes = [], access = tokenAccess({}) } = pages
  const door: Door = stake => admit(access, stake, reach)
  const tell: Tell = (request, what, words) => pages.done?.({ what, by: askerOf(request), words })
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
  for (const route of routes) addRoute(app, route, door, tell)
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

/** Who asks, as it is told. */
const askerOf = ({ socket }: FastifyRequest): string => socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unix socket'

/** Tells what somebody did. */
type Tell = (request: FastifyRequest, what: string, words: Readonly<Record<string, unknown>>) => void

/** Lets in who may. */
type Door = (stake: Stake) => ReturnType<typeof admit>

function addRoute(app: FastifyInstance, route: AnyRoute, door: Door, tell: Tell): void {
  if ('act' in route) addAction(app, route, door, tell)
  else if ('take' in route) addText(app, route, door)
  else if ('flow' in route) addFlow(app, route, door, tell)
  else addPage(app, route, door)
}

function addPage(app: FastifyInstance, { path, answer }: Route, door: Door): void {
  type Asked = { Params: { '*'?: string }; Querystring: RawQuery }
  app.get<Asked>(path, { onRequest: door('reading') }, ({ params, query }, reply) =>
    answered(reply, () => answer(params['*'] ?? '', query)),
  )
}

/** The data itself is not for everybody who may ask how things are. */
function addFlow(app: FastifyInstance, { path, deed, flow }: FlowRoute, door: Door, tell: Tell): void {
  app.get<{ Querystring: RawQuery }>(path, { onRequest: door('action') }, (request, reply) =>
    answered(reply, async () => {
      const { query } = request
      const told = await flow(query)
      tell(request, deed ?? path, query)
      reply.type(told.contentType)
      return 'stream' in told ? told.stream : paced(told.chunks)
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

function addAction(app: FastifyInstance, { path, deed, act }: ActionRoute, door: Door, tell: Tell): void {
  app.post(path, { onRequest: door('action') }, (request, reply) =>
    answered(reply, async () => {
      const { body } = request
      if (typeof body !== 'object' || body === null || Array.isArray(body)) {
        throw new QueryError(400, 'a JSON object is expected, such as {}')
      }
      const words = body as Record<string, unknown>
      const told = await act(words, askerOf(request))
      if (deed !== false) tell(request, deed ?? path, words)
      return told
    }),
  )
}

function addText(app: FastifyInstance, { path, stake, take }: TextRoute, door: Door): void {
  app.post<{ Querystring: RawQuery }>(path, { onRequest: door(stake) }, (request, reply) =>
    answered(reply, async () => {
      const { body, query } = request
      if (body !== undefined && body !== null && typeof body !== 'string') {
        throw new QueryError(
          400,
          'a configuration is expected as YAML',
          'send it with `content-type: application/yaml`',
        )
      }
      const { code, body: told } = await take(body ?? '', query, askerOf(request))
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
