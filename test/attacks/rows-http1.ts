/** Attacks on HTTP/1.1 as bytes: smuggling, heads and bodies that take their time, answers that nobody reads. */
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { connect as connectTcp } from 'node:net'
import { type Attack, flood, repeat, stay, type Target, Wire } from './attack.ts'
import { repeated } from './bodies.ts'

const type = 'content-type: application/x-protobuf\r\n'
const head = (more: string): string => `POST /v1/traces HTTP/1.1\r\nhost: a\r\n${type}${more}\r\n`
const hidden = 'GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n'

/** Requests of which two servers would disagree where they end: only one answer may come, and the rest is no request. */
const smuggled: readonly [what: string, bytes: string][] = [
  [
    'both lengths, chunks shorter',
    `${head(`content-length: ${hidden.length + 5}\r\ntransfer-encoding: chunked\r\n`)}0\r\n\r\n${hidden}`,
  ],
  [
    'both lengths, length shorter',
    `${head('transfer-encoding: chunked\r\ncontent-length: 4\r\n')}2c\r\n${hidden}\r\n0\r\n\r\n`,
  ],
  ['two lengths', `${head(`content-length: 0\r\ncontent-length: ${hidden.length}\r\n`)}${hidden}`],
  ['two lengths in a list', `${head(`content-length: 0, ${hidden.length}\r\n`)}${hidden}`],
  ['a length with a sign', `${head(`content-length: +${hidden.length}\r\n`)}${hidden}`],
  ['a length in hexadecimal', `${head('content-length: 0x0\r\n')}${hidden}`],
  ['a length on two lines', `${head(`content-length:\r\n ${hidden.length}\r\n`)}${hidden}`],
  ['a folded header', `${head(`x: a\r\n content-length: 0\r\ncontent-length: ${hidden.length}\r\n`)}${hidden}`],
  ['a name with a space', `${head(`content-length : ${hidden.length}\r\n`)}${hidden}`],
  ['chunks by another name', `${head('transfer-encoding: xchunked\r\n')}0\r\n\r\n${hidden}`],
  ['chunks, then something else', `${head('transfer-encoding: chunked, identity\r\n')}0\r\n\r\n${hidden}`],
  ['chunks twice', `${head('transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n')}0\r\n\r\n${hidden}`],
  ['a chunk of a size that overflows', `${head('transfer-encoding: chunked\r\n')}ffffffffffffffff1\r\n${hidden}`],
  ['a chunk of a negative size', `${head('transfer-encoding: chunked\r\n')}-1\r\n${hidden}`],
  ['lines that end with \\n alone in chunks', `${head('transfer-encoding: chunked\r\n')}0\n\n${hidden}`],
  ['a header with a bare \\r', `${head('x: a\rtransfer-encoding: chunked\r\n')}0\r\n\r\n${hidden}`],
]

/** Sends each, and counts answers. */
export async function smuggle(target: Target, patience = 400): Promise<void> {
  for (const [what, bytes] of smuggled) {
    const wire = new Wire(target.ports.http)
    await wire.write(Buffer.from(bytes, 'latin1'))
    await wire.ends(patience)
    const answers = wire.text.match(/^HTTP\/1\.1 \d+/gm) ?? []
    target.heard(answers[0] ?? 'nothing')
    // What comes behind a request that is refused is never looked at; a body of no known length is no body.
    const fine = answers.length <= 1 || answers[0] === 'HTTP/1.1 400'
    if (!fine || /smuggled/.test(wire.text)) target.fault(`${what}: ${answers.join(', ')}`)
    if (answers.length === 1 && answers[0] === 'HTTP/1.1 404') target.fault(`${what}: the hidden request was answered`)
    wire.close()
  }
}

/** Connections that are opened at once, each with a beginning, and get a byte each second. */
async function drip(target: Target, count: number, beginning: string, byte: string, seconds: number): Promise<void> {
  const wires: Wire[] = []
  await repeat(target, count, 50, async () => {
    const wire = new Wire(target.ports.http)
    wires.push(wire)
    await wire.write(Buffer.from(beginning))
  })
  for (let i = 0; i < seconds && !target.over.aborted; i++) {
    await stay(target, 1000)
    for (const wire of wires) if (!wire.closed) void wire.write(Buffer.from(byte))
  }
  target.heard(`${wires.filter(wire => wire.closed).length} of ${count} connections ended`)
}

/** Sends the same over a few connections until they end or the time is over. */
const pour = (target: Target, beginning: string, part: Buffer, connections = 4, reads = true, most = 48 << 20) =>
  repeat(target, connections * 3, connections, async () => {
    const wire = new Wire(target.ports.http, connectTcp(target.ports.http, '127.0.0.1'), reads)
    await wire.write(Buffer.from(beginning))
    await flood(target, wire, part, most)
    await wire.ends(100)
    target.heard(wire.closed ? 'the connection ended' : 'it was read')
    wire.close()
  })

const slow: readonly Attack[] = [
  {
    name: '2,000 connections whose heads come a byte a second (slowloris)',
    of: 'held',
    seconds: 15,
    run: target => drip(target, 2000, 'POST /v1/traces HTTP/1.1\r\nx: ', 'x', 12),
  },
  {
    name: '2,000 connections whose bodies come a byte a second',
    of: 'held',
    seconds: 15,
    run: target => drip(target, 2000, head('content-length: 1000000\r\n'), 'x', 12),
  },
  {
    name: '2,000 connections whose chunks come a byte a second',
    of: 'held',
    seconds: 15,
    run: target => drip(target, 2000, head('transfer-encoding: chunked\r\n'), '1\r\nx\r\n', 12),
  },
  {
    name: '100 connections of requests whose answers are never read',
    of: 'held',
    seconds: 15,
    async run(target) {
      const requests = Buffer.from(head('content-length: 0\r\n').repeat(500))
      const bytes = repeated(requests, requests.length)
      await pour(target, '', bytes, 100, false, 4 << 20)
    },
  },
]

const heads: readonly Attack[] = [
  { name: 'requests that hide another one (smuggling)', of: 'held', seconds: 12, run: target => smuggle(target) },
  {
    name: 'heads without an end',
    of: 'held',
    run: target => pour(target, 'POST /v1/traces HTTP/1.1\r\nx: ', Buffer.alloc(65_536, 'x')),
  },
  {
    name: 'heads of headers without number',
    of: 'held',
    run: target => pour(target, 'POST /v1/traces HTTP/1.1\r\n', repeated('a: b\r\n', 65_536)),
  },
  {
    name: 'bodies in chunks of one byte',
    of: 'held',
    run: target => pour(target, head('transfer-encoding: chunked\r\n'), repeated('1\r\nx\r\n', 65_536)),
  },
  {
    name: 'chunks with extensions without an end',
    of: 'held',
    run: target => pour(target, `${head('transfer-encoding: chunked\r\n')}1;`, Buffer.alloc(65_536, 'x')),
  },
  {
    name: 'trailers without an end',
    of: 'held',
    run: target => pour(target, `${head('transfer-encoding: chunked\r\n')}0\r\n`, repeated('a: b\r\n', 65_536)),
  },
  {
    name: 'empty requests one behind the other (pipelining)',
    of: 'held',
    run: target => pour(target, '', repeated(head('content-length: 0\r\n'), 65_536)),
  },
  {
    name: 'requests that ask whether to go on, and never do',
    of: 'held',
    run: target => drip(target, 1000, head('expect: 100-continue\r\ncontent-length: 60000000\r\n'), '', 6),
  },
]

/** What a client says first, cut off. */
const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])

/** Handshakes one after the other, a few at once. */
async function shake(target: Target, port: number, together: number, times: number): Promise<void> {
  await repeat(target, times, together, async () => {
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: 'TLSv1.2' })
    await new Promise(resolve => socket.on('secureConnect', resolve).on('error', resolve).on('close', resolve))
    target.heard(socket.authorizationError === undefined && !socket.encrypted ? 'no handshake' : 'shaken')
    socket.destroy()
  })
}

const connections: readonly Attack[] = [
  {
    name: '10,000 connections that say nothing',
    of: 'held',
    seconds: 18,
    async run(target) {
      const wires: Wire[] = []
      const ports = [target.ports.http, target.ports.grpc]
      await repeat(target, 10_000, 200, async i => {
        const wire = new Wire(ports[i % 2])
        wires.push(wire)
        await new Promise(resolve => wire.socket.once('connect', resolve).once('close', resolve))
      })
      await stay(target, 8000)
      target.heard(`${wires.filter(wire => wire.closed).length} of ${wires.length} connections ended`)
    },
  },
  {
    name: 'connections that are opened and closed, as many as go',
    of: 'held',
    run: target =>
      repeat(target, 20_000, 50, async i => {
        const wire = new Wire(i % 2 === 0 ? target.ports.http : target.ports.grpc)
        await new Promise(resolve => wire.socket.once('connect', resolve).once('close', resolve))
        wire.close()
      }),
  },
  {
    name: '3,000 TLS handshakes that stop in the middle',
    of: 'held',
    victim: 'tls',
    seconds: 16,
    async run(target) {
      const { grpcTls, httpTls } = target.ports
      await repeat(target, 3000, 100, async i => {
        const wire = new Wire(i % 2 === 0 ? grpcTls : httpTls)
        await wire.write(i % 3 === 0 ? Buffer.alloc(0) : hello)
      })
      await stay(target, 12_000)
    },
  },
  {
    name: 'TLS handshakes, as many as go',
    of: 'held',
    victim: 'tls',
    run: target => shake(target, target.ports.httpTls, 8, 20_000),
  },
  {
    name: 'TLS records of noise',
    of: 'held',
    victim: 'tls',
    run: target =>
      repeat(target, 4000, 20, async i => {
        const wire = new Wire(target.ports.grpcTls, connectTcp(target.ports.grpcTls, '127.0.0.1'))
        await wire.write(Buffer.concat([hello, Buffer.alloc(16_000, i)]))
        await wire.ends(50)
        wire.close()
      }),
  },
  {
    name: 'plain HTTP to a port with TLS, and TLS to a plain one',
    of: 'held',
    victim: 'tls',
    run: target =>
      repeat(target, 2000, 10, async i => {
        const wire = new Wire(i % 2 === 0 ? target.ports.httpTls : target.ports.http)
        await wire.write(i % 2 === 0 ? Buffer.from(head('content-length: 0\r\n')) : hello)
        await wire.ends(50)
        wire.close()
      }),
  },
]

/** The rows. */
export const http1Attacks: readonly Attack[] = [...heads, ...slow, ...connections]
