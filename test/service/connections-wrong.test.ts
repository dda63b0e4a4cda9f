/** Every kind of wrong that a destination can be, against real servers: what each step tells, in the words of our keys. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { afterAll, expect, test } from 'vitest'
import { connectionsText } from '../../cli/check.ts'
import { authority, endedCert, endedKey, namelessCert, otherAuthority } from '../net/certificates.ts'
import { type CheckCase, grpcServer, lastStep, looked, plain, secure, silent, stepsOf } from '../support/checking.ts'
import { freePort } from '../support/kymo.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-check-'))
afterAll(() => rmSync(folder, { recursive: true }))

const ca = { ca_pem: authority }
const headers = { authorization: 'Bearer wrong-secret', 'x-scope-orgid': 'shop' }

const wrongs: readonly CheckCase[] = [
  {
    of: 'a name that nobody knows',
    exporter: 'otlp_grpc',
    config: async () => ({ endpoint: 'nobody.invalid:4317' }),
    steps: ['dns failed'],
    says: [/`nobody\.invalid`/, /`endpoint`/],
  },
  {
    of: 'a port where nobody listens',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://localhost:${await freePort()}` }),
    steps: ['dns ok', 'tcp failed'],
    says: [/127\.0\.0\.1:\d+: connection refused: nobody listens there/],
  },
  {
    of: 'a port that says nothing, over TLS',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `https://127.0.0.1:${await silent()}` }),
    steps: ['tcp ok', 'tls failed'],
    says: [/no answer within 200ms/, /--timeout/],
    timeout: 200,
  },
  {
    of: 'a port that says nothing to a request',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await silent()}` }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/no answer within 200ms/],
    timeout: 200,
  },
  {
    of: 'a port that says nothing to a call',
    exporter: 'otlp_grpc',
    config: async () => ({ endpoint: `127.0.0.1:${await silent()}`, tls: { insecure: true } }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/no answer within 200ms/],
    timeout: 200,
  },
  {
    of: 'an authority that is not trusted',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `https://127.0.0.1:${await secure()}` }),
    steps: ['tcp ok', 'tls failed'],
    says: [
      /not trusted/,
      /`server` of `test authority` for localhost, 127\.0\.0\.1/,
      /Node brings along/,
      /`tls\.ca_file`/,
    ],
  },
  {
    of: 'another authority than the one that is trusted',
    exporter: 'otlp_grpc',
    config: async () => ({
      endpoint: `127.0.0.1:${await grpcServer(undefined, true)}`,
      tls: { ca_pem: otherAuthority },
    }),
    steps: ['tcp ok', 'tls failed'],
    says: [/trusted: `tls\.ca_pem`/, /`tls\.include_system_ca_certs_pool: true`/],
  },
  {
    of: 'a file with authorities that is not there',
    exporter: 'otlp_grpc',
    config: async () => ({
      endpoint: `127.0.0.1:${await grpcServer(undefined, true)}`,
      tls: { ca_file: '/no/ca.pem' },
    }),
    steps: ['tcp ok', 'tls failed'],
    says: [/cannot read `ca_file` \/no\/ca\.pem/],
  },
  {
    of: 'a certificate for another name',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `https://127.0.0.1:${await secure()}`,
      tls: { ...ca, server_name_override: 'other.example' },
    }),
    steps: ['tcp ok', 'tls failed'],
    says: [/not for `other\.example`: it is for localhost, 127\.0\.0\.1/, /`tls\.server_name_override`/],
  },
  {
    of: 'a certificate without names',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `https://127.0.0.1:${await secure({ cert: namelessCert, key: endedKey })}`,
      tls: { ca_pem: namelessCert },
    }),
    steps: ['tcp ok', 'tls failed'],
    says: [/not for `127\.0\.0\.1`: it has no names, only `localhost`/, /subjectAltName/],
  },
  {
    of: 'a certificate that is over',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `https://127.0.0.1:${await secure({ cert: endedCert, key: endedKey })}`,
      tls: { ca_pem: endedCert },
    }),
    steps: ['tcp ok', 'tls failed'],
    says: [/has expired/, /until 2021-01-01/, /renew/],
  },
  {
    of: 'a server that wants a certificate of ours, over gRPC',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `https://127.0.0.1:${await secure({ ca: authority, requestCert: true, rejectUnauthorized: true })}`,
      tls: ca,
    }),
    steps: ['tcp ok', 'tls ok', 'request traces failed'],
    // The end of the connection may be seen before the alert that says why.
    says: [/certificate required|closed|ended|ECONNRESET|other side/],
  },
  {
    of: 'https at a port without TLS',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `https://127.0.0.1:${await plain(200)}` }),
    steps: ['tcp ok', 'tls failed'],
    says: [/does not speak TLS/, /write `http:\/\/`/],
  },
  {
    of: 'http at a port with TLS',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await secure()}` }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/does this port want https\?/],
  },
  {
    of: 'http at a port with TLS that says so',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `http://127.0.0.1:${await plain(400, 'Client sent an HTTP request to an HTTPS server.')}`,
    }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/HTTP 400/, /write `https:\/\/` in the endpoint/],
  },
  {
    of: 'gRPC without TLS at a port with it',
    exporter: 'otlp_grpc',
    config: async () => ({ endpoint: `127.0.0.1:${await grpcServer(undefined, true)}`, tls: { insecure: true } }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/does it expect TLS\?/, /`tls\.insecure: true`/],
  },
  {
    of: 'gRPC with TLS at a port without it',
    exporter: 'otlp_grpc',
    config: async () => ({ endpoint: `127.0.0.1:${await grpcServer()}` }),
    steps: ['tcp ok', 'tls failed'],
    says: [/does not speak TLS/, /`tls\.insecure: true`/],
  },
  {
    of: 'gRPC at a port for HTTP/1.1',
    exporter: 'otlp_grpc',
    config: async () => ({ endpoint: `127.0.0.1:${await plain(200)}`, tls: { insecure: true } }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/is it a gRPC port\?/],
  },
  {
    of: 'gRPC at a port for HTTP/1.1 with TLS',
    exporter: 'otlp_grpc',
    config: async () => ({ endpoint: `127.0.0.1:${await secure()}`, tls: ca }),
    steps: ['tcp ok', 'tls failed'],
    says: [/HTTP\/2|ALPN|no application protocol/i],
  },
  {
    of: 'HTTP/1.1 at a port for gRPC',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await grpcServer()}` }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/gRPC|https/],
  },
  {
    of: '401 without any credentials',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(401)}` }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/HTTP 401/, /no credentials are configured: set `headers` or `auth\.authenticator`/],
  },
  {
    of: '403 with credentials in headers',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(403, 'wrong-secret is wrong')}`, headers }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/HTTP 403/, /`headers\.authorization`, `headers\.x-scope-orgid`/],
  },
  {
    of: 'UNAUTHENTICATED with credentials in headers',
    exporter: 'otlp_grpc',
    config: async () => ({
      endpoint: `127.0.0.1:${await grpcServer(grpc.status.UNAUTHENTICATED)}`,
      tls: { insecure: true },
      headers: { 'api-key': 'wrong-secret' },
    }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/UNAUTHENTICATED: said the server/, /`headers\.api-key`/],
  },
  {
    of: 'UNIMPLEMENTED',
    exporter: 'otlp_grpc',
    config: async () => ({
      endpoint: `127.0.0.1:${await grpcServer(grpc.status.UNIMPLEMENTED)}`,
      tls: { insecure: true },
    }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/UNIMPLEMENTED/, /does not take this signal/],
  },
  {
    of: '404',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(404)}/prefix` }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/HTTP 404/, /\/prefix\/v1\/traces/],
  },
  {
    of: 'a redirect',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `http://127.0.0.1:${await plain(301, '', { location: 'https://user:pw@elsewhere/v1/traces' })}`,
    }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/HTTP 301/, /set the endpoint to https:\/\/\S+elsewhere\/v1\/traces$/],
  },
  {
    of: 'a server in trouble',
    exporter: 'otlp_http',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(503, 'no room')}` }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/HTTP 503: no room/],
  },
  {
    of: 'a page for people',
    exporter: 'otlp_http',
    config: async () => ({
      endpoint: `http://127.0.0.1:${await plain(200, '<html>log in', { 'content-type': 'text/html' })}`,
    }),
    steps: ['tcp ok', 'request traces failed'],
    says: [/web page/],
  },
  {
    of: 'Loki that knows no such tenant',
    exporter: 'loki',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(401, 'no org id')}`, tenant: 'shop' }),
    steps: ['tcp ok', 'request logs failed'],
    says: [/HTTP 401: no org id/, /`tenant`/],
    signal: 'logs',
  },
  {
    of: 'Loki that wants a tenant, and is told none',
    exporter: 'loki',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(401, 'no org id')}` }),
    steps: ['tcp ok', 'request logs failed'],
    says: [/no credentials are configured: set `tenant`, `headers` or `auth\.authenticator`/],
    signal: 'logs',
  },
  {
    of: 'remote write at a path where nothing takes it',
    exporter: 'prometheus_remote_write',
    config: async () => ({ endpoint: `http://127.0.0.1:${await plain(404)}/api/v1/write` }),
    steps: ['tcp ok', 'request metrics failed'],
    says: [/HTTP 404/, /\/api\/v1\/write/],
    signal: 'metrics',
  },
  {
    of: 'a key that Datadog does not know',
    exporter: 'datadog',
    config: async () => ({
      api: { key: 'wrong-secret-key' },
      metrics: { endpoint: `http://127.0.0.1:${await plain(403)}` },
      host_metadata: { enabled: false },
    }),
    steps: ['tcp ok', 'api key failed'],
    says: [/HTTP 403/, /`api\.key`/, /`api\.site`/],
    signal: 'metrics',
  },
  {
    of: 'a key that Datadog does not know, for logs',
    exporter: 'datadog',
    config: async () => ({
      api: { key: 'wrong-secret-key' },
      logs: { endpoint: `http://127.0.0.1:${await silent()}` },
      metrics: { endpoint: `http://127.0.0.1:${await plain(403)}` },
      host_metadata: { enabled: false },
    }),
    steps: ['tcp ok', 'api key failed'],
    says: [/HTTP 403/, /`api\.key`/],
    signal: 'logs',
  },
  {
    of: 'a folder that is not there',
    exporter: 'file',
    config: async () => ({ path: join(folder, 'none', 'x.json') }),
    steps: ['file failed'],
    says: [/there is no folder/, /`create_directory: true`/],
  },
  {
    of: 'a folder where a file is to be',
    exporter: 'file',
    config: async () => ({ path: folder }),
    steps: ['file failed'],
    says: [/is a folder/],
  },
  {
    of: 'a page whose address is taken',
    exporter: 'prometheus',
    config: async () => ({ endpoint: `127.0.0.1:${await plain(200)}` }),
    steps: ['listen failed'],
    says: [/cannot listen on/],
    signal: 'metrics',
  },
]

test.each(wrongs)(
  'what is wrong is found at its step, and told with what to do: $of',
  async ({ exporter, config, steps, says = [], ...how }) => {
    const answer = await looked(exporter, await config(), how)
    expect(stepsOf(answer)).toEqual(steps)
    expect(answer.result).toBe('failed')
    const { text = '', hint = '' } = lastStep(answer) ?? {}
    for (const pattern of says) expect(`${text}\n${hint}`).toMatch(pattern)
    const printed = connectionsText(answer) + JSON.stringify(answer)
    expect(printed).not.toContain('wrong-secret')
    expect(printed).not.toContain('user:pw')
    expect(printed).not.toContain('use-system-ca')
    expect(connectionsText(answer)).toMatch(/\n1 of 1 destination would take no data\n$/)
  },
)
