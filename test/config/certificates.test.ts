import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { authority, clientCert, serverCert, serverKey } from '../net/certificates.ts'
import { components } from '../support/components.ts'
import { warningsOf } from './toys.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-certificates-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const cert = file('server.crt', serverCert)
const key = file('server.key', serverKey)
const ca = file('ca.crt', authority)
const other = file('client.crt', clientCert)
const garbage = file('garbage.pem', 'garbage')

const server = (tls: string): string[] =>
  warningsOf(
    `receivers: {otlp: {protocols: {grpc: {tls: ${tls}}}}}
exporters: {debug: }
service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`,
    { components },
  )
const client = (tls: string): string[] =>
  warningsOf(
    `receivers: {otlp: {protocols: {grpc: }}}
exporters: {otlp_grpc: {endpoint: 'gateway:4317', tls: ${tls}}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_grpc]}}}`,
    { components },
  )

test.each<[what: string, warnings: string[], expected: string | undefined]>([
  ['a server, as it should be', server(`{cert_file: ${cert}, key_file: ${key}, client_ca_file: ${ca}}`), undefined],
  [
    'a server, without its certificate',
    server(`{cert_file: /nowhere.crt, key_file: ${key}}`),
    'receivers::otlp::protocols::grpc::tls: cannot read `cert_file` /nowhere.crt: ENOENT',
  ],
  [
    'a server, with garbage for its certificate',
    server(`{cert_file: ${garbage}, key_file: ${key}}`),
    `receivers::otlp::protocols::grpc::tls: \`cert_file\` ${garbage} holds no certificate in PEM`,
  ],
  [
    'a server, with garbage for its key',
    server(`{cert_file: ${cert}, key_file: ${garbage}}`),
    `\`key_file\` ${garbage} holds no private key in PEM that can be read without a passphrase`,
  ],
  [
    'a server, with the certificate of another key',
    server(`{cert_file: ${other}, key_file: ${key}}`),
    `\`key_file\` ${key} is not the key of \`cert_file\` ${other}`,
  ],
  [
    'a server, without those who sign for its clients',
    server(`{cert_file: ${cert}, key_file: ${key}, client_ca_file: /nowhere.crt}`),
    'cannot read `client_ca_file` /nowhere.crt',
  ],
  [
    'a server, with garbage for those who sign for its clients',
    server(`{cert_file: ${cert}, key_file: ${key}, client_ca_file: ${garbage}}`),
    'the authorities to trust are no certificates in PEM',
  ],
  ['a server of another machine', server('{cert_file: /nowhere/tls.crt, key_file: /nowhere/tls.key}'), undefined],
  ['a client, as it should be', client(`{ca_file: ${ca}}`), undefined],
  ['a client without anything', client('{}'), undefined],
  ['a client that does without', client('{insecure: true, ca_file: /nowhere.crt}'), undefined],
  [
    'a client, without those it trusts',
    client('{ca_file: /nowhere.crt}'),
    'exporters::otlp_grpc::tls: cannot read `ca_file` /nowhere.crt',
  ],
])('%s', (_, warnings, expected) => {
  if (expected === undefined) return expect(warnings).toEqual([])
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain(expected)
  expect(warnings[0]).toContain('the certificate of before is used')
  expect(warnings.join()).not.toContain('PRIVATE')
})
