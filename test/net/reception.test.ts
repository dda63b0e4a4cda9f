/** Connections on which nobody can talk: each is counted, and one line of the log says why. */
import { connect } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { afterAll, afterEach, expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { machineClock } from '../../core/clock.ts'
import { type Logger, silent } from '../../core/logger.ts'
import { Senders } from '../../core/senders.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { HttpServer } from '../../net/http-server.ts'
import { Listeners } from '../../net/listeners.ts'
import { ConnectionShare, Peer } from '../../net/occupancy.ts'
import { Reception } from '../../net/reception.ts'
import type { RefusalKind } from '../../net/refusal.ts'
import {
  authority,
  clientCert,
  clientKey,
  otherClientCert,
  otherClientKey,
  serverCert,
  serverKey,
} from './certificates.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-strangers-'))
afterAll(() => rmSync(folder, { recursive: true }))
const client_ca_file = join(folder, 'ca.crt')
writeFileSync(client_ca_file, authority)
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const tls = { cert_pem: serverCert, key_pem: serverKey }
const mutual = { ...tls, client_ca_file }

async function serve(protocol: 'grpc' | 'http', settings: object) {
  const lines: unknown[] = []
  const log: Logger = { ...silent, warn: ({ fault }, text) => void lines.push(fault ?? text) }
  const senders = new Senders(undefined, machineClock, log)
  cleanups.push(() => senders.close())
  const reception = { place: { receiver: 'test', transport: protocol }, senders }
  const options = { budget: new Budget(64 << 20), log, connected: () => undefined, handshakeTimeout: 100, reception }
  const server =
    protocol === 'grpc'
      ? new GrpcServer({ config: grpcServer({ endpoint: '127.0.0.1:0' }).parse(settings), ...options })
      : new HttpServer({ config: httpServer({ endpoint: '127.0.0.1:0' }).parse(settings), ...options })
  const listeners = new Listeners()
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  cleanups.push(() => listeners.close())
  cleanups.push(() => server.stop(0))
  return { server, port, lines }
}

/** Says `bytes` and waits until the connection is over, or goes at once. */
const says =
  (bytes: string, goes = false) =>
  (port: number) =>
    new Promise<void>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {}).on('close', () => resolve())
      socket.resume()
      socket.write(Buffer.from(bytes, 'latin1'), () => goes && socket.destroy())
    })

const shakes = (more: ConnectionOptions) => (port: number) =>
  new Promise<void>(resolve => {
    const options = { port, host: '127.0.0.1', ca: authority, checkServerIdentity: () => undefined, ...more }
    const socket = connectTls(options)
    socket.on('error', () => {}).on('close', () => resolve())
    socket.resume()
  })

const hello = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
const cert = { cert: clientCert, key: clientKey }

test.each<[string, 'grpc' | 'http', object, (port: number) => Promise<void>, 'handshake' | 'malformed', RegExp]>([
  ['plain HTTP at a TLS port', 'http', { tls }, says('POST / HTTP/1.1\r\n\r\n'), 'handshake', /^it speaks plain HTTP/],
  ['plain gRPC at a TLS port', 'grpc', { tls }, says('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'handshake', /not speak TLS/],
  ['half a handshake, then nothing', 'http', { tls }, says(hello), 'handshake', /takes too long$/],
  ['half a handshake, then a goodbye', 'grpc', { tls }, says(hello, true), 'handshake', /^it went away/],
  ['no certificate', 'grpc', { tls: mutual }, shakes({}), 'handshake', /^it has no certificate/],
  [
    'a certificate of somebody else',
    'http',
    { tls: mutual },
    shakes({ cert: otherClientCert, key: otherClientKey }),
    'handshake',
    /not signed as `client_ca_file`|the TLS handshake failed/,
  ],
  ['another authority', 'http', { tls }, shakes({ ca: clientCert }), 'handshake', /^it went away .*does it trust/],
  [
    'a version that is too old',
    'http',
    { tls: { ...tls, min_version: '1.3' } },
    shakes({ maxVersion: 'TLSv1.2' }),
    'handshake',
    /min_version/,
  ],
  [
    'only h2, at the HTTP port',
    'http',
    { tls },
    shakes({ ALPNProtocols: ['h2'] }),
    'handshake',
    /^it offers none of the protocols/,
  ],
  [
    'only http/1.1, at the gRPC port',
    'grpc',
    { tls: mutual },
    shakes({ ...cert, ALPNProtocols: ['http/1.1'] }),
    'handshake',
    /^it offers none of the protocols/,
  ],
  ['no ALPN, at the gRPC port', 'grpc', { tls }, shakes({}), 'handshake', /ALPN h2/],
  ['TLS at a plain HTTP port', 'http', {}, shakes({}), 'malformed', /speaks plain text/],
  ['TLS at a plain gRPC port', 'grpc', {}, shakes({}), 'malformed', /speaks plain text/],
  ['HTTP/1.1 at a plain gRPC port', 'grpc', {}, says('POST / HTTP/1.1\r\nhost: a\r\n\r\n'), 'malformed', /no HTTP\/2/],
])('%s is counted, and told of once', async (_what, protocol, settings, knock, kind, text) => {
  const { server, port, lines } = await serve(protocol, settings)
  await knock(port)
  await knock(port)
  await until(() => expect(server.admission.refusals[kind]).toBe(2))
  expect(lines).toEqual([expect.stringMatching(text)])
  await until(() => expect(server.connections).toBe(0))
})

test('a probe that says nothing is no stranger, and neither is a sender with all that is asked for', async () => {
  const { server, port, lines } = await serve('http', { tls: mutual })
  await says('', true)(port)
  await new Promise<void>(resolve => {
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority, ...cert, checkServerIdentity: () => undefined })
    socket.once('secureConnect', () => socket.end()).on('close', () => resolve())
    socket.resume()
  })
  await until(() => expect(server.connections).toBe(0))
  expect([server.admission.refusals.handshake, lines]).toEqual([0, []])
})

test('who offers h2 and http/1.1 at the HTTP port gets http/1.1', async () => {
  const { port } = await serve('http', { tls })
  const heard = await new Promise<string>(resolve => {
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      ca: authority,
      ALPNProtocols: ['h2', 'http/1.1'],
      checkServerIdentity: () => undefined,
    })
    let text = ''
    socket.once('secureConnect', () => socket.write('GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'))
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.on('close', () => resolve(`${socket.alpnProtocol} ${text.slice(0, 12)}`))
  })
  expect(heard).toBe('http/1.1 HTTP/1.1 404')
})

test.each<[string, RefusalKind, string, string[]]>([
  ['a full queue', 'queue_full', 'the queue of exporter a is full', ['the queue of exporter a is full']],
  ['a full storage', 'storage', 'the storage of exporter a is full', ['the storage of exporter a is full']],
  ['no memory', 'memory', 'the memory budget is used up; retry later', ['the memory budget is used up']],
  ['one connection that has its share', 'memory', 'this connection holds its share; retry later', []],
  ['one peer that has its share', 'peer', 'as many of your requests are in flight as this server takes', []],
  ['garbage', 'malformed', 'it is none', []],
])('that there is no room is told of %s, or not', (_, kind, message, causes) => {
  const senders = new Senders(undefined, machineClock)
  cleanups.push(() => senders.close())
  const reception = new Reception({ place: { receiver: 'a', transport: 'http' }, senders })
  reception.turnedAway({ kind, message, status: '503' }, new ConnectionShare(new Peer('10.0.0.1')), 'sdk', 10)
  expect(senders.shortages.list().map(({ cause }) => cause)).toEqual(causes)
  expect(reception.tallies).toEqual([{ status: '503', reason: kind, requests: 1 }])
  expect([...senders.table.all()]).toMatchObject([{ peer: '10.0.0.1', agent: 'sdk', requests: 1, bytes: 10 }])
})
