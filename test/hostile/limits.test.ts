/** What senders may take up: each attack beside a healthy sender, which is served; and when it is over nothing is held. */
import type { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { HttpServer } from '../../net/http-server.ts'
import { protobufFormat } from '../../net/http-exchange.ts'
import type { AdmissionLimits } from '../../net/admission.ts'
import { Listeners } from '../../net/listeners.ts'
import { GrpcCode } from '../../proto/status.ts'
import { call, cleanup, frame as message, session, statusOf } from '../support/grpc-serving.ts'
import { attacker, frame, head, preface } from '../support/http2-frames.ts'
import { httpSend } from '../support/receiving.ts'
import { until } from '../support/until.ts'

const path = '/test.Echo/Call'
const open: (() => unknown)[] = []
afterEach(async () => {
  await cleanup()
  for (const close of open.splice(0).toReversed()) await close()
})

interface Setup {
  limits?: object
  admission?: Partial<AdmissionLimits>
  budget?: Budget
  /** Answers later, or never. */
  holds?: boolean
}

async function grpcVictim({ limits = {}, admission = {}, budget = new Budget(64 << 20), holds }: Setup = {}) {
  const lines: { fields: object; message: string }[] = []
  const log = { ...silent, warn: (fields: object, message: string) => void lines.push({ fields, message }) }
  const listeners = new Listeners()
  const held: (() => void)[] = []
  const server = new GrpcServer({
    config: grpcServer({ endpoint: '127.0.0.1:0' }).parse({ limits, max_concurrent_streams: 1000 }),
    budget,
    log: { ...log, child: () => log },
    connected: peer => ({ peer }),
    limits: { sweep: 20, ...admission },
  })
  server.register(path, one => {
    budget.release(one.charge)
    if (holds && one.body.length > 0) held.push(() => one.reply(one.body))
    else one.reply(one.body)
  })
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  open.push(
    () => listeners.close(),
    () => server.stop(0),
  )
  const sockets: Socket[] = []
  const attack = (from?: string) => {
    const socket = attacker(port, from)
    sockets.push(socket)
    return socket
  }
  open.push(() => sockets.forEach(socket => socket.destroy()))
  const client = await session(port)
  const healthy = async () => statusOf(await call(client, message(Buffer.alloc(0))))
  return { server, budget, port, lines, held, attack, healthy, sockets, refusals: server.admission.refusals }
}

const fields = head(path)
const oneCall = (stream: number, body: Buffer) =>
  Buffer.concat([frame(1, 4, stream, fields), frame(0, 1, stream, body)])

test('answers that nobody takes stay charged, are given up in time, and the connection ends', async () => {
  const { server, budget, attack, healthy, refusals } = await grpcVictim({ limits: { answer_timeout: '3s' } })
  const attackers = Array.from({ length: 3 }, () => attack())
  let closed = 0
  for (const socket of attackers) {
    socket.on('close', () => closed++)
    const calls = Array.from({ length: 200 }, (_, i) => oneCall(2 * i + 1, message(Buffer.from('x'))))
    socket.write(Buffer.concat([preface(0), ...calls]))
  }
  await until(() => expect(budget.used).toBeGreaterThan(600 * 8192))
  expect(await healthy()).toBe(0)
  await until(() => expect(closed).toBe(3))
  await until(() => expect(budget.used).toBe(0))
  expect(refusals.unread).toBeGreaterThanOrEqual(30)
  expect([server.admission.open, server.admission.occupancy.requests]).toEqual([0, 0])
  expect(await healthy()).toBe(0)
})

test('calls that announce 60 MB and stay silent hold what they are, are ended sooner where it is crowded, and shut nobody out', async () => {
  const { server, budget, attack, healthy, refusals } = await grpcVictim({
    budget: new Budget(512 << 20),
    admission: { rateGrace: 60_000, crowdedGrace: 300 },
    limits: { max_requests: 1200 },
  })
  const prefix = Buffer.from([0, 3, 0xc0, 0, 0])
  for (let n = 0; n < 3; n++) {
    const calls = Array.from({ length: 500 }, (_, i) =>
      Buffer.concat([frame(1, 4, 2 * i + 1, fields), frame(0, 0, 2 * i + 1, prefix)]),
    )
    attack().write(Buffer.concat([preface(), ...calls]))
  }
  await until(() => expect(server.admission.occupancy.requests).toBeGreaterThanOrEqual(900))
  expect(budget.used).toBeLessThan(1500 * 9000)
  expect(await healthy()).toBe(0)
  await until(() => expect(server.admission.occupancy.requests).toBeLessThanOrEqual(900))
  expect(refusals.slow + refusals.requests).toBeGreaterThan(0)
  expect(await healthy()).toBe(0)
})

test.each([
  ['connections', { max_connections: 6 }, 'connections'],
  ['connections of one peer', { max_connections_per_peer: 6 }, 'connections'],
])('beyond the limit of %s new ones are closed at once, counted and told once', async (_what, limits, kind) => {
  const { server, attack, healthy, refusals, lines, sockets } = await grpcVictim({ limits })
  for (let i = 0; i < 20; i++) attack().write(preface())
  await until(() => expect(sockets.filter(socket => socket.closed)).toHaveLength(15))
  expect(refusals.connections).toBe(15)
  expect(server.admission.occupancy.usage['connections']?.used).toBe(6)
  expect(lines.filter(({ fields }) => 'limit' in fields && fields.limit === kind)).toHaveLength(1)
  expect(JSON.stringify(lines)).toContain('127.0.0.1')
  expect(await healthy()).toBe(0)
})

test.each([
  ['in flight', { max_requests: 40 }, 'requests'],
  ['of one peer', { max_requests_per_peer: 40 }, 'peer'],
] as const)('of requests %s the last quarter is for connections that have little', async (_what, limits, kind) => {
  const { port, held, healthy, refusals, server } = await grpcVictim({ limits, holds: true })
  const greedy = await session(port)
  const answers = Array.from({ length: 60 }, () => call(greedy, message(Buffer.from('x'))))
  await until(() => expect(held.length + refusals[kind]).toBe(60))
  expect(held).toHaveLength(30)
  expect(refusals[kind]).toBe(30)
  expect(await healthy()).toBe(0)
  for (const reply of held) reply()
  const statuses = (await Promise.all(answers)).map(statusOf)
  expect(statuses.filter(status => status === 0)).toHaveLength(30)
  expect(statuses.filter(status => status === GrpcCode.UNAVAILABLE)).toHaveLength(30)
  await until(() => expect(server.admission.occupancy.requests).toBe(0))
})

test('memory is shared by peer: one that sends from many connections leaves room for the others', async () => {
  const { attack, port, refusals, budget, healthy } = await grpcVictim({ budget: new Budget(8 << 20) })
  const prefix = Buffer.from([0, 0, 0x10, 0, 0])
  // What is announced is a megabyte; a quarter of it comes, for which memory is made.
  for (let n = 0; n < 12; n++) {
    const pieces = [frame(1, 4, 1, fields), frame(0, 0, 1, prefix)]
    for (let i = 0; i < 18; i++) pieces.push(frame(0, 0, 1, Buffer.alloc(15_000)))
    attack('127.0.0.2').write(Buffer.concat([preface(), ...pieces]))
  }
  await until(() => expect(refusals.peer).toBeGreaterThan(0))
  expect(budget.used).toBeLessThanOrEqual(budget.limit / 2 + 20 * 9000)
  expect(await healthy()).toBe(0)
  const other = await session(port)
  expect(statusOf(await call(other, message(Buffer.alloc(300_000))))).toBe(0)
})

const empty = (type: number, flags: number, stream: number, size: number) =>
  Buffer.concat(Array.from({ length: 40_000 }, () => frame(type, flags, stream, Buffer.alloc(size, 1))))

test.each<[string, Buffer]>([
  ['SETTINGS', empty(4, 0, 0, 0)],
  ['acknowledgements of settings', empty(4, 1, 0, 0)],
  ['PING', empty(6, 0, 0, 8)],
  ['answers to pings', empty(6, 1, 0, 8)],
  [
    'WINDOW_UPDATE of one byte',
    Buffer.concat(Array.from({ length: 40_000 }, () => frame(8, 0, 0, Buffer.from([0, 0, 0, 1])))),
  ],
  ['PRIORITY', Buffer.concat(Array.from({ length: 40_000 }, () => frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 1]))))],
  ['frames of unknown types', empty(0xee, 0, 0, 8)],
  ['empty DATA', Buffer.concat([frame(1, 4, 1, fields), empty(0, 0, 1, 0)])],
  [
    'RST_STREAM of calls',
    Buffer.concat(
      Array.from({ length: 3000 }, (_, i) =>
        Buffer.concat([frame(1, 4, 2 * i + 1, fields), frame(3, 0, 2 * i + 1, Buffer.from([0, 0, 0, 8]))]),
      ),
    ),
  ],
  ['HEADERS without an end', Buffer.concat([frame(1, 0, 1, fields), empty(9, 0, 1, 0)])],
])('a connection that sends %s without end is ended, and others are served', async (_what, flood) => {
  const { attack, healthy, budget } = await grpcVictim()
  const socket = attack()
  socket.write(preface())
  const over = new Promise<void>(resolve => void socket.on('close', () => resolve()))
  for (let sent = 0; !socket.closed && sent < 400 << 20; sent += flood.length) {
    const isTaken = socket.write(flood)
    if (!isTaken) await Promise.race([over, new Promise(resolve => socket.once('drain', resolve))])
    await new Promise(resolve => setImmediate(resolve))
  }
  await over
  expect(await healthy()).toBe(0)
  await until(() => expect(budget.used).toBe(0))
})

test('messages in small frames are no flood, however many there are', async () => {
  const { attack, healthy, budget, refusals, server } = await grpcVictim({ budget: new Budget(512 << 20) })
  const socket = attack()
  const size = 4 << 20
  const whole = message(Buffer.alloc(size))
  const pieces = [preface(16 << 20), frame(1, 4, 1, fields)]
  for (let at = 0; at < whole.length; at += 100) {
    pieces.push(frame(0, at + 100 >= whole.length ? 1 : 0, 1, whole.subarray(at, at + 100)))
  }
  let answered = 0
  socket.on('data', chunk => (answered += chunk.length))
  socket.write(Buffer.concat(pieces))
  await until(() => expect(answered).toBeGreaterThan(100))
  // Beyond the next looks at the connection.
  await new Promise(resolve => setTimeout(resolve, 2500))
  expect([refusals.flood, socket.destroyed, server.connections]).toEqual([0, false, 2])
  expect(await healthy()).toBe(0)
  socket.destroy()
  await until(() => expect(budget.used).toBe(0))
})

async function httpVictim(settings: object, holds = false) {
  const budget = new Budget(64 << 20)
  const server = new HttpServer({
    config: httpServer({ endpoint: '127.0.0.1:0' }).parse(settings),
    budget,
    log: silent,
    connected: peer => ({ peer }),
    limits: { sweep: 20 },
  })
  const held: (() => void)[] = []
  server.register('/v1/traces', [protobufFormat], exchange => {
    budget.release(exchange.charge)
    const { body } = exchange
    if (holds && body.length > 0) held.push(() => exchange.reply(body))
    else exchange.reply(Buffer.alloc(1000))
  })
  await server.ready()
  const listeners = new Listeners()
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  open.push(
    () => listeners.close(),
    () => server.stop(0),
  )
  return { server, budget, port, held }
}

const post = (size: number) =>
  `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: ${size}\r\n\r\n`

test('HTTP: answers that nobody reads end their connection', async () => {
  const { server, budget, port } = await httpVictim({ limits: { answer_timeout: '200ms' } })
  const socket = attacker(port)
  open.push(() => socket.destroy())
  socket.pause()
  // Requests without end, until what the system buffers of the answers is full.
  const many = Buffer.from(post(0).repeat(200))
  while (server.admission.refusals.unread === 0 && !socket.closed) {
    socket.write(many)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  expect(server.admission.refusals.unread).toBeGreaterThan(0)
  expect((await httpSend(port, Buffer.from('x'))).status).toBe(200)
  socket.destroy()
  await until(() => expect([budget.used, server.admission.open]).toEqual([0, 0]))
})

test('HTTP: who has as many requests in flight as one peer may hears 429 and when to come again', async () => {
  const { port, held, server } = await httpVictim({ limits: { max_requests_per_peer: 8 } }, true)
  const sent = Array.from({ length: 12 }, () => httpSend(port, Buffer.from('x')))
  await until(() => expect(held.length + server.admission.refusals.peer).toBe(12))
  for (const reply of held) reply()
  const answers = await Promise.all(sent)
  const refused = answers.filter(({ status }) => status === 429)
  expect(refused.length).toBe(12 - held.length)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused[0].retryAfter).toBe('1')
  await until(() => expect(server.admission.occupancy.requests).toBe(0))
})

test('HTTP: of requests in a line one is in flight; the others wait unread, and hold nothing when the connection breaks', async () => {
  const { port, budget, held, server } = await httpVictim({}, true)
  const socket = attacker(port)
  let answers = ''
  socket.on('data', bytes => (answers += String(bytes)))
  socket.write(`${post(1)}x`.repeat(5))
  await until(() => expect(held).toHaveLength(1))
  expect(server.admission.open).toBe(1)
  held[0]()
  await until(() => expect(held).toHaveLength(2))
  await until(() => expect(answers.match(/HTTP\/1\.1 200/g)).toHaveLength(1))
  // What waits is charged, too.
  expect(budget.used).toBeGreaterThan(8192 + 65_536)
  socket.destroy()
  await until(() => expect([budget.used, server.admission.open]).toEqual([0, 0]))
  for (const reply of held) reply()
  expect(held).toHaveLength(2)
})
