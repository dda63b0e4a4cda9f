/** Somebody who knows nothing asks who sends, and what was turned away at the door: who, what, why. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { encodeField, encodeKeyValue, encodeValue } from '../../proto/values.ts'
import { literal } from '../attacks/frames.ts'
import { kymo as command } from '../support/command.ts'
import { head } from '../support/http2-exchange.ts'
import { inWords, preface, readFrames } from '../support/http2-frames.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

interface Kymo {
  readonly running: KymoProcess
  readonly admin: string
  readonly grpc: number
  readonly http: number
}

const all: KymoProcess[] = []
afterAll(async () => {
  for (const { child } of all) child.kill('SIGKILL')
  await Promise.all(all.map(({ ended }) => ended))
})

interface Parts {
  readonly processors?: string
  readonly exporters?: string
  readonly in?: string
  /** A token that senders need. */
  readonly token?: string
}

async function start(more: Parts = {}): Promise<Kymo> {
  const [grpcPort, http] = [await freePort(), await freePort()]
  const { processors = '{}', exporters = '{nop: {}}', in: pipeline = 'exporters: [nop]' } = more
  const { token } = more
  const auth = token === undefined ? '' : ', auth: {authenticator: bearertokenauth}'
  const extensions = token === undefined ? '{}' : `{bearertokenauth: {token: ${token}}}`
  const config = `
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:${grpcPort}'}, http: {endpoint: '127.0.0.1:${http}', max_request_body_size: 100000${auth}}}}}
extensions: ${extensions}
processors: ${processors}
exporters: ${exporters}
service:
  extensions: [${token === undefined ? '' : 'bearertokenauth'}]
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {logs: {receivers: [otlp], ${pipeline}}}
`
  const running = spawnKymo(['run', '--config', `yaml:${config}`])
  all.push(running)
  await running.until('"admin":"')
  return { running, admin: /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? '', grpc: grpcPort, http }
}

const protobuf = 'application/x-protobuf'

async function post(
  port: number,
  agent: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
  path = '/v1/logs',
) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': protobuf, 'user-agent': agent, authorization: 'Bearer s3cret', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  })
  return answer.status
}

const logsMethod = '/opentelemetry.proto.collector.logs.v1.LogsService/Export'

/** Calls an Export method, and gives the code of the answer. */
function call(port: number, agent: string, body: Buffer, path = logsMethod) {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.primary_user_agent': agent,
  })
  const raw = (bytes: Buffer) => bytes
  return new Promise<number>(resolve => {
    client.makeUnaryRequest(path, raw, raw, body, error => {
      client.close()
      resolve(error?.code ?? 0)
    })
  })
}

/** Says something on a connection, and waits until that is over. */
const say = (port: number, text: string) =>
  new Promise<void>(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('error', () => {}).on('close', () => resolve())
    socket.resume()
  })

/** Sends a call whose headers break the rules, and waits until it is reset. */
const breakHead = (port: number) =>
  new Promise<void>((resolve, reject) => {
    let heard = Buffer.alloc(0)
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(Buffer.concat([preface(), head(1, literal('Upper', 'x'))]))
    })
    socket.on('error', reject).on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
      if (!readFrames(heard).frames.some(one => inWords(one).startsWith('RST_STREAM 1'))) return
      socket.destroy()
      resolve()
    })
  })

const shake = (port: number) =>
  new Promise<void>(resolve => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('error', () => {}).on('close', () => resolve())
  })

/** A request of `records` log records. */
function logs(records: number): Buffer {
  const attribute = encodeKeyValue(0x0a, Buffer.from('service.name'), encodeValue('shop'))
  const record = encodeField(0x12, encodeField(0x2a, encodeValue('hello')))
  const scope = Buffer.concat(Array.from({ length: records }, () => record))
  return encodeField(0x0a, Buffer.concat([encodeField(0x0a, attribute), encodeField(0x12, scope)]))
}

/** What stands in one line, and in those below it that are further in. */
const row = (cells: string, below: string) =>
  new RegExp(`^\\d\\d:\\d\\d:\\d\\d +1 +127\\.0\\.0\\.1 +${cells.replaceAll(' ', ' +')}\\n    ${below}`, 'm')

const garbage = Buffer.from([0x0a, 0xff, 0x01, 0x02])

let it: Kymo
beforeAll(async () => {
  it = await start()
})

const binary = '\n    begins as binary: 0a ff 01 02\n'
const text = (shown: string) => `\n    begins as text: ${shown}\n`
const json = { 'content-type': 'application/json' }

test.each<[what: string, act: (kymo: Kymo) => Promise<unknown>, expected: number | undefined, row: RegExp]>([
  [
    'garbage over gRPC',
    kymo => call(kymo.grpc, 'bad-sdk/2.0', garbage),
    grpc.status.INVALID_ARGUMENT,
    row('otlp grpc INVALID_ARGUMENT malformed bad-sdk/2\\.0 grpc-node-js/.*', `truncated .* at byte 3${binary}`),
  ],
  [
    'garbage over HTTP as protobuf',
    kymo => post(kymo.http, 'bad-sdk/1.0', garbage),
    400,
    row('otlp http 400 malformed bad-sdk/1\\.0', `truncated .* at byte 3${binary}`),
  ],
  [
    'garbage over HTTP as JSON',
    kymo => post(kymo.http, 'a-script', '{"resourceLogs":\t[{"x"}]}', json),
    400,
    row('otlp http 400 malformed a-script', `resourceLogs.*${text('\\{"resourceLogs":\\\\t\\[.*')}`),
  ],
  [
    'text where gzip is said to be',
    kymo => post(kymo.http, 'no-gzip', '{"resourceLogs":[]}', { 'content-encoding': 'gzip' }),
    400,
    row('otlp http 400 malformed no-gzip', `body is no valid gzip: .*${text('\\{.*')}`),
  ],
  [
    'a type that is not taken',
    kymo => post(kymo.http, 'csv', 'a,b', { 'content-type': 'text/csv' }),
    415,
    row(
      'otlp http 415 unserved csv',
      '415 content type text/csv is not supported; send application/x-protobuf or .*\\n',
    ),
  ],
  [
    'an encoding that is not taken',
    kymo => post(kymo.http, 'br', 'a', { 'content-encoding': 'br' }),
    415,
    row('otlp http 415 unserved br', 'content-encoding br is not supported; use .*gzip.*\\n'),
  ],
  [
    'a path that is not there',
    kymo => post(kymo.http, 'zipkin', 'x', {}, '/api/v2/spans'),
    404,
    row('otlp http 404 unserved zipkin', 'this server does not serve /api/v2/spans\\n'),
  ],
  [
    'more than may be sent',
    kymo => post(kymo.http, 'large', Buffer.alloc(100_001)),
    413,
    row('otlp http 413 too_large large', 'request is larger than the limit of 100000 bytes; send smaller batches\\n'),
  ],
  [
    'a method that is not there',
    kymo => call(kymo.grpc, 'old', garbage, '/a.B/C'),
    grpc.status.UNIMPLEMENTED,
    row('otlp grpc UNIMPLEMENTED unserved old .*', 'this server does not serve /a.B/C\\n'),
  ],
  [
    'TLS to the plain HTTP port',
    kymo => shake(kymo.http),
    undefined,
    row(
      'otlp http none malformed',
      'this port speaks plain text, and this is a TLS handshake: is the sender set to TLS\\?\\n',
    ),
  ],
  [
    'TLS to the plain gRPC port',
    kymo => shake(kymo.grpc),
    undefined,
    row(
      'otlp grpc none malformed',
      'this port speaks plain text, and this is a TLS handshake: is the sender set to TLS\\?\\n',
    ),
  ],
  [
    'HTTP/1.1 to the gRPC port',
    kymo => say(kymo.grpc, 'POST /v1/logs HTTP/1.1\r\nauthorization: Bearer s3cret\r\n\r\n'),
    undefined,
    row('otlp grpc none malformed', '.*no HTTP/2.*\\n'),
  ],
  [
    'headers that break HTTP/2',
    kymo => breakHead(kymo.grpc),
    undefined,
    row('otlp grpc none malformed', 'the headers of a call break the rules of HTTP/2\\n'),
  ],
  [
    'what is no HTTP, to the HTTP port',
    kymo => say(kymo.http, 'authorization: s3cret\r\n\r\n'),
    undefined,
    row('otlp http 400 malformed', 'the first line is no `METHOD TARGET HTTP/1.1`\\n'),
  ],
])('%s: one command tells who, what and why', async (_, act, expected, row) => {
  expect(await act(it)).toBe(expected)
  const { code, out } = await command(['senders', '--refused', '--admin', it.admin])
  expect(code).toBe(0)
  expect(out).toMatch(row)
  expect(out).not.toContain('s3cret')
})

/** What the metrics say was turned away, by the labels in the order they stand. */
async function counted(admin: string): Promise<Record<string, number>> {
  const page = await (await fetch(`${admin}/metrics`)).text()
  const rows = page.matchAll(
    /^kymo_receiver_refused_requests_total\{receiver="otlp",transport="(\w+)",status="(\w+)",reason="(\w+)"\} (\d+)$/gm,
  )
  return Object.fromEntries(
    [...rows]
      .filter(([, , , , n]) => n !== '0')
      .map(([, transport, status, reason, n]) => [`${transport} ${status} ${reason}`, Number(n)]),
  )
}

test('all of it is counted by transport, status and reason, in the metrics, the status, and the log', async () => {
  const expected = {
    'grpc INVALID_ARGUMENT malformed': 1,
    'grpc UNIMPLEMENTED unserved': 1,
    'grpc none malformed': 3,
    'http 400 malformed': 4,
    'http 404 unserved': 1,
    'http 413 too_large': 1,
    'http 415 unserved': 2,
    'http none malformed': 1,
  }
  expect(await counted(it.admin)).toEqual(expected)
  const { doors } = (await (await fetch(`${it.admin}/status`)).json()) as Status
  const told = doors.flatMap(({ transport, turned_away }) =>
    turned_away.map(({ status, reason, requests }) => [`${transport} ${status} ${reason}`, requests]),
  )
  expect(Object.fromEntries(told)).toEqual(expected)
  const { out } = await command(['status', '--admin', it.admin])
  expect(out).toMatch(/^ {2}! 1 sender turned away for good lately: .* \(since \S+\)\n {6}kymo senders --refused$/m)
  expect(out).toMatch(
    /^Turned away since the start: 4 malformed \(otlp\/http 400\), .*, 2 more kinds; see `kymo senders --refused`$/m,
  )
  const lines = it.running.lines().filter(({ msg }) => String(msg).startsWith('a sender was turned away'))
  expect(lines).toHaveLength(4)
  expect(lines[0]).toMatchObject({
    receiver: 'otlp',
    transport: 'grpc',
    peer: '127.0.0.1',
    status: 'INVALID_ARGUMENT',
    reason: 'malformed',
    fault: expect.stringContaining('truncated'),
  })
})

interface Status {
  readonly doors: readonly {
    readonly transport: string
    readonly turned_away: readonly { readonly status: string; readonly reason: string; readonly requests: number }[]
  }[]
}

test('who sends is listed by address and program, with what they were answered', async () => {
  for (let i = 0; i < 3; i++) expect(await post(it.http, 'good-sdk/1.0', logs(5))).toBe(200)
  expect(await post(it.http, 'good-sdk/1.0', garbage)).toBe(400)
  expect(await call(it.grpc, 'good-sdk/2.0', logs(7))).toBe(0)
  const { code, out } = await command(['senders', '--admin', it.admin])
  expect(code).toBe(0)
  // The last two columns of numbers are what was turned away for good, and what is to be sent again.
  expect(out).toMatch(/^127\.0\.0\.1 +otlp +http +\S+ +\S+ +\S+ +\S+ \S+ +4 +15 +0 +1 +0 +good-sdk\/1\.0$/m)
  expect(out).toMatch(/^127\.0\.0\.1 +otlp +grpc +\S+ +\S+ +\S+ +\S+ \S+ +1 +7 +0 +0 +0 +good-sdk\/2\.0 grpc-node-js/m)
  expect(out).toContain('`kymo senders --refused` tells of the last')

  const json = await command(['senders', '--json', '--transport', 'http', '--sort', 'refused', '--admin', it.admin])
  const { senders } = JSON.parse(json.out) as { senders: Record<string, unknown>[] }
  expect(senders.find(({ user_agent }) => user_agent === 'good-sdk/1.0')).toMatchObject({
    receiver: 'otlp',
    peer: '127.0.0.1',
    requests: 4,
    items: 15,
    bytes: 3 * logs(5).length + garbage.length,
    answers: { accepted: 3, partial: 0, rejected: 1, refused: 0 },
  })
  expect(senders.every(({ transport }) => transport === 'http')).toBe(true)
})

test('what cannot be asked is told, with the nearest right word', async () => {
  const wrong = await fetch(`${it.admin}/v1/senders?sort=request`)
  expect([wrong.status, await wrong.json()]).toEqual([
    400,
    expect.objectContaining({ hint: expect.stringContaining('requests') }),
  ])
})

test('who is not let in is told, and not with what', async () => {
  const kymo = await start({ token: 'right' })
  expect(await post(kymo.http, 'stranger/1', logs(1))).toBe(401)
  const { out } = await command(['senders', '--refused', '--admin', kymo.admin])
  expect(out).toMatch(row('otlp http 401 denied stranger/1', '.*'))
  expect(out).not.toMatch(/s3cret|right/)
  expect(await counted(kymo.admin)).toEqual({ 'http 401 denied': 1 })
})

test('where the configuration redacts, it is not shown how bodies begin', async () => {
  const kymo = await start({
    processors: '{redaction: {allow_all_keys: true}}',
    in: 'processors: [redaction], exporters: [nop]',
  })
  expect(await post(kymo.http, 'a', garbage)).toBe(400)
  const { out } = await command(['senders', '--refused', '--admin', kymo.admin])
  expect(out).toMatch(row('otlp http 400 malformed a', 'truncated .* at byte 3\\nhow bodies begin is not shown'))
  expect(out).not.toContain('0a ff')
})

test('a full queue is told when senders are refused for it: in the log, the status, and among the senders', async () => {
  const exporters =
    "{otlp_http/down: {endpoint: 'http://127.0.0.1:1', sending_queue: {queue_size: 1}, retry_on_failure: {initial_interval: 1m, max_interval: 1m}}}"
  const kymo = await start({ exporters, in: 'exporters: [otlp_http/down]' })
  const answers: number[] = []
  for (let i = 0; i < 5; i++) answers.push(await post(kymo.http, 'steady', logs(1)))
  expect(answers).toEqual([200, 503, 503, 503, 503])
  const cause = 'the queue of exporter otlp_http/down is full'
  await kymo.running.until(`senders are refused: ${cause}`)
  expect(kymo.running.log().match(/senders are refused/g)).toHaveLength(1)
  expect(await counted(kymo.admin)).toEqual({ 'http 503 queue_full': 4 })
  const status = await command(['status', '--admin', kymo.admin])
  expect(status.out).toMatch(
    /^ {2}! senders are refused, 4 requests so far: the queue of exporter otlp_http\/down is full \(since /m,
  )
  const list = await command(['senders', '--admin', kymo.admin])
  expect(list.out).toMatch(/^senders are refused since .*\n.*\n127\.0\.0\.1 .* 5 +1 +0 +0 +4 +steady$/m)
})
