/** Certificates that are replaced while a server runs, and while a client does. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls, { connect, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import { GrpcClient } from '../../net/grpc-client.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { GrpcServer } from '../../net/grpc-server.ts'
import { HttpClient } from '../../net/http-client.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { HttpServer } from '../../net/http-server.ts'
import { tlsReader } from '../../net/client-keys.ts'
import { Listeners } from '../../net/listeners.ts'
import { tlsClient } from '../../net/tls.ts'
import * as certificates from './certificates.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-reload-'))
afterAll(() => rmSync(folder, { recursive: true }))
const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const open: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of open.splice(0).toReversed()) await close()
})

const protocols = ['grpc', 'http'] as const
type Protocol = (typeof protocols)[number]

/** A server on files, on a port that stays. */
async function serve(protocol: Protocol, more: object) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const errors: (string | undefined)[] = []
  const options = {
    budget: new Budget(1 << 20),
    log: silent,
    connected: () => undefined,
    onTls: (error: string | undefined) => void errors.push(error),
  }
  const settings = {
    tls: {
      cert_file: put('server.crt', certificates.serverCert),
      key_file: put('server.key', certificates.serverKey),
      ...more,
    },
  }
  const listeners = new Listeners()
  const listen = vi.spyOn(listeners, 'listen')
  const server =
    protocol === 'grpc'
      ? new GrpcServer({ config: grpcServer({ endpoint: '127.0.0.1:0' }).parse(settings), ...options })
      : new HttpServer({ config: httpServer({ endpoint: '127.0.0.1:0' }).parse(settings), ...options })
  if (server instanceof HttpServer) await server.ready()
  const { port } = await listeners.listen('127.0.0.1:0', server.accept, 'test')
  open.push(
    () => listeners.close(),
    () => server.stop(0),
  )
  const dial = (options: tls.ConnectionOptions = {}): Promise<TLSSocket> => {
    const ALPNProtocols = [protocol === 'grpc' ? 'h2' : 'http/1.1']
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols, ...options })
    open.push(() => socket.destroy())
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('end', () => reject(new Error('ended')))
      socket.once('secureConnect', () => {
        // In TLS 1.3 the server checks the client's certificate behind the client's back.
        if (options.cert === undefined && !('ca' in more)) return resolve(socket)
        socket.once('data', () => resolve(socket))
        socket.write(
          protocol === 'grpc'
            ? 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'
            : 'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
        )
      })
    })
  }
  return { dial, errors, listen }
}

const nameOf = (socket: TLSSocket) => String(socket.getPeerCertificate().subject.CN)

test.each(protocols)(
  '%s: a replaced certificate is used for new connections; port and old connections stay',
  async protocol => {
    const { dial, errors, listen } = await serve(protocol, { reload_interval: '30s' })
    const before = await dial()
    expect(nameOf(before)).toBe('server')
    put('server.crt', certificates.otherServerCert)
    put('server.key', certificates.otherServerKey)
    expect(nameOf(await dial())).toBe('server')
    vi.advanceTimersByTime(30_000)
    expect(nameOf(await dial())).toBe('other server')
    expect([before.destroyed, before.readyState]).toEqual([false, 'open'])
    expect(listen).toHaveBeenCalledTimes(1)
    expect(errors).toEqual([undefined])
  },
)

test.each<[string, () => void]>([
  ['a certificate without its key', () => void put('server.crt', certificates.otherServerCert)],
  ['half a file', () => void put('server.crt', certificates.otherServerCert.slice(0, 300))],
  ['no file', () => rmSync(join(folder, 'server.key'))],
])('%s does not take the place of what is in use, and is told', async (_what, spoil) => {
  const { dial, errors } = await serve('http', { reload_interval: '30s' })
  spoil()
  vi.advanceTimersByTime(30_000)
  expect(errors.at(-1)).toBeTypeOf('string')
  expect(nameOf(await dial())).toBe('server')
  put('server.crt', certificates.otherServerCert)
  put('server.key', certificates.otherServerKey)
  vi.advanceTimersByTime(30_000)
  expect(errors.at(-1)).toBeUndefined()
  expect(nameOf(await dial())).toBe('other server')
})

test.each(protocols)('%s: replaced authorities of clients count for new connections', async protocol => {
  const client_ca_file = put('clients.crt', certificates.authority)
  const { dial } = await serve(protocol, { client_ca_file, client_ca_file_reload: true })
  const old = { cert: certificates.clientCert, key: certificates.clientKey }
  const other = { cert: certificates.otherClientCert, key: certificates.otherClientKey }
  expect(nameOf(await dial(old))).toBe('server')
  await expect(dial(other)).rejects.toThrow()
  put('clients.crt', certificates.otherAuthority)
  vi.advanceTimersByTime(5000)
  expect(nameOf(await dial(other))).toBe('server')
  await expect(dial(old)).rejects.toThrow()
})

/** A server that knows one authority after another, and says which clients it saw. */
async function peer(protocol: Protocol) {
  const seen: string[] = []
  const server = tls.createServer({
    cert: certificates.serverCert,
    key: certificates.serverKey,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [protocol === 'grpc' ? 'h2' : 'http/1.1'],
  })
  server.on('secureConnection', socket => {
    seen.push(nameOf(socket))
    socket.on('error', () => {})
    socket.end()
  })
  server.on('tlsClientError', () => seen.push('refused'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => server.close())
  return { seen, server, port: (server.address() as AddressInfo).port }
}

test.each(protocols)('%s: a client reads its files for each new connection', async protocol => {
  const { seen, server, port } = await peer(protocol)
  const files = {
    ca_file: put('ca.crt', certificates.authority),
    cert_file: put('client.crt', certificates.clientCert),
    key_file: put('client.key', certificates.clientKey),
  }
  const read = tlsReader(tlsClient().parse(files))
  const send = async (): Promise<unknown> => {
    // A client each time: what is asked is whether a connection that is made anew reads them anew.
    if (protocol === 'http') return http.post(new URL(`https://127.0.0.1:${port}/`), {}, Buffer.alloc(1)).catch(String)
    const backoff = { initial: 1, max: 1, multiplier: 1, jitter: 0 }
    const client = new GrpcClient({ endpoint: `127.0.0.1:${port}`, tls: read, userAgent: 'test', log: silent, backoff })
    open.push(() => client.close())
    return client.call('/a/b', Buffer.alloc(5), { timeout: 300 }).catch(String)
  }
  const http = new HttpClient({ tls: read })
  open.push(() => http.close())
  await send()
  expect(new Set(seen.splice(0))).toEqual(new Set(['client']))
  put('client.crt', certificates.otherClientCert)
  put('client.key', certificates.otherClientKey)
  await send()
  expect(new Set(seen.splice(0))).toEqual(new Set(['other client']))
  // The server changes its authority: until the client's file is replaced, nothing is sent.
  server.setSecureContext({ cert: certificates.otherServerCert, key: certificates.otherServerKey })
  expect(await send()).toMatch(/certificate|unable to verify/)
  expect(new Set(seen.splice(0))).not.toContain('other client')
  put('ca.crt', certificates.otherAuthority)
  await send()
  expect(seen).toContain('other client')
})
