import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterAll, afterEach, expect, test } from 'vitest'
import { otlpGrpcExporter } from '../../exporters/otlp_grpc.ts'
import { otlpHttpExporter } from '../../exporters/otlp_http.ts'
import { authority, clientCert, clientKey, serverCert, serverKey } from '../net/certificates.ts'
import { batchOf, exporterOf, forever, refusal } from '../support/exporting.ts'
import { grpcJs } from '../support/grpc-peer.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-tls-'))
afterAll(() => rmSync(folder, { recursive: true }))
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

const batch = batchOf(tracesRequest([{ spans: ['a'] }]))

/** A server of each kind; both answer with success. */
const servers = {
  otlp_grpc: async (mutual: boolean, hosts: readonly string[]) => {
    const credentials = grpc.ServerCredentials.createSsl(
      Buffer.from(authority),
      [{ cert_chain: Buffer.from(serverCert), private_key: Buffer.from(serverKey) }],
      mutual,
    )
    const server = await grpcJs((_call, done) => done(null, Buffer.alloc(0)), { credentials })
    open.push(() => server.stop())
    return hosts.map(host => `${host}:${server.port}`)
  },
  otlp_http: async (mutual: boolean, hosts: readonly string[]) => {
    const server = https.createServer(
      { key: serverKey, cert: serverCert, ca: authority, requestCert: mutual, rejectUnauthorized: mutual },
      (request, response) => request.resume().on('end', () => response.end()),
    )
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    open.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return hosts.map(host => `https://${host}:${(server.address() as AddressInfo).port}`)
  },
}
const definitions = { otlp_grpc: otlpGrpcExporter, otlp_http: otlpHttpExporter }
const types = ['otlp_grpc', 'otlp_http'] as const

async function against(type: (typeof types)[number], config: object, mutual = false, host = '127.0.0.1') {
  const [endpoint] = await servers[type](mutual, [host])
  const { exporter } = exporterOf(definitions[type], { endpoint, ...config })
  open.push(() => exporter.stop?.())
  return exporter
}

test.each(types)('%s: a server that the authority vouches for is trusted, by address and by name', async type => {
  for (const host of ['127.0.0.1', 'localhost']) {
    const exporter = await against(type, { tls: { ca_pem: authority } }, false, host)
    expect(await exporter.send(batch, forever)).toBeUndefined()
  }
})

test.each(types)('%s: a server that nobody vouches for is not, and nothing is sent', async type => {
  const exporter = await against(type, {})
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry', maybeTaken: false })
  expect(error.message).toMatch(/certificate/)
})

test.each(types)('%s: unless the check is turned off', async type => {
  const exporter = await against(type, { tls: { insecure_skip_verify: true } })
  expect(await exporter.send(batch, forever)).toBeUndefined()
})

test.each(types)('%s: another name than the one in the certificate is refused', async type => {
  const exporter = await against(type, { tls: { ca_pem: authority, server_name_override: 'other.example' } })
  expect((await refusal(exporter.send(batch, forever))).message).toMatch(/other\.example/)
})

test.each(types)('%s: a server that asks for a certificate gets it', async type => {
  const exporter = await against(type, { tls: { ca_pem: authority, cert_pem: clientCert, key_pem: clientKey } }, true)
  expect(await exporter.send(batch, forever)).toBeUndefined()
})

test.each(types)('%s: without one it is unreachable', async type => {
  const exporter = await against(type, { tls: { ca_pem: authority } }, true)
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry' })
  // Over HTTP the end of the connection may be seen before the alert that says why.
  if (type === 'otlp_grpc') expect(error.message).toMatch(/TLS: .*certificate required; set `tls.cert_file`/)
})

test.each(types)('%s: a file that is not there yet is an error of the attempt, not of the start', async type => {
  const file = join(folder, `${type}.pem`)
  const exporter = await against(type, { tls: { ca_file: file } })
  await exporter.start?.()
  const error = await refusal(exporter.send(batch, forever))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry', maybeTaken: false })
  expect(error.message).toContain(file)
  // A gRPC client tries again after a second, which its own tests do not wait for.
  if (type === 'otlp_grpc') return
  writeFileSync(file, authority)
  expect(await exporter.send(batch, forever)).toBeUndefined()
})

test('gRPC without TLS against a server with TLS says what may be wrong', async () => {
  const exporter = await against('otlp_grpc', { tls: { insecure: true } })
  expect((await refusal(exporter.send(batch, forever))).message).toContain('does it expect TLS?')
})

test('gRPC with TLS against a server without says how to turn it off', async () => {
  const server = await grpcJs((_call, done) => done(null, Buffer.alloc(0)))
  open.push(() => server.stop())
  const { exporter } = exporterOf(otlpGrpcExporter, { endpoint: server.endpoint })
  open.push(() => exporter.stop?.())
  expect((await refusal(exporter.send(batch, forever))).message).toContain('`tls.insecure: true`')
})

test('`https://` asks for TLS whatever `insecure` says', async () => {
  const [endpoint] = await servers.otlp_grpc(false, ['https://127.0.0.1'])
  const { exporter } = exporterOf(otlpGrpcExporter, { endpoint, tls: { insecure: true, ca_pem: authority } })
  open.push(() => exporter.stop?.())
  expect(await exporter.send(batch, forever)).toBeUndefined()
})

/** What attempts tell where TLS fails: nothing of Node's own, but keys to set. */
const told: readonly { readonly of: string; readonly tls: object; readonly says: readonly RegExp[] }[] = [
  {
    of: 'an authority that is not trusted',
    tls: {},
    says: [/not trusted here/, /`tls\.ca_file`/, /`tls\.include_system_ca_certs_pool: true`/],
  },
  {
    of: 'another name',
    tls: { ca_pem: authority, server_name_override: 'other.example' },
    says: [/not for `other\.example`: it is for localhost, 127\.0\.0\.1/, /`tls\.server_name_override`/],
  },
]
test.each(told.flatMap(row => types.map(type => ({ type, ...row }))))(
  '$type: $of is told in the words of our keys',
  async ({ type, tls, says }) => {
    const exporter = await against(type, { tls })
    const { message } = await refusal(exporter.send(batch, forever))
    for (const pattern of says) expect(message).toMatch(pattern)
    expect(message).not.toMatch(/use-system-ca|altnames/)
  },
)

test('HTTP without TLS against a server with TLS asks whether the port wants https', async () => {
  const [endpoint = ''] = await servers.otlp_http(false, ['127.0.0.1'])
  const { exporter } = exporterOf(otlpHttpExporter, { endpoint: endpoint.replace('https', 'http') })
  open.push(() => exporter.stop?.())
  const { message } = await refusal(exporter.send(batch, forever))
  expect(message).toMatch(/does this port want https\?/)
})

test('HTTP with TLS against a server without asks whether it wants http', async () => {
  const server = http.createServer((request, response) => request.resume().on('end', () => response.end()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => server.close())
  const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { exporter } = exporterOf(otlpHttpExporter, { endpoint })
  open.push(() => exporter.stop?.())
  expect((await refusal(exporter.send(batch, forever))).message).toMatch(/does it want `http:\/\/`\?/)
})

test('an end of a connection to a server that has answered before is no question of TLS', async () => {
  let isBroken = false
  const server = http.createServer((request, response) =>
    request.resume().on('end', () => (isBroken ? request.socket.destroy() : response.end())),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => server.close())
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { exporter } = exporterOf(otlpHttpExporter, { endpoint })
  open.push(() => exporter.stop?.())
  expect(await exporter.send(batch, forever)).toBeUndefined()
  isBroken = true
  expect((await refusal(exporter.send(batch, forever))).message).not.toContain('https')
})
