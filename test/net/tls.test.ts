import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createSecureContext, createServer } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { Listeners } from '../../net/listeners.ts'
import { type Presented, ServerTls } from '../../net/server-tls.ts'
import { readClientTls, readServerTls, tlsClient, tlsServer, type TlsServerOptions } from '../../net/tls.ts'
import { authority, clientCert, clientKey, serverCert, serverKey } from './certificates.ts'

const directory = mkdtempSync(join(tmpdir(), 'kymo-tls-'))
const file = (name: string, text: string) => {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}
const cert_file = file('server.crt', serverCert)
const key_file = file('server.key', serverKey)
const server = { cert_file, key_file }
afterEach(() => void vi.useRealTimers())

test.each<[string, object, string]>([
  ['no certificate', {}, 'a server needs `cert_file` and `key_file`'],
  ['a certificate without a key', { cert_file }, 'a certificate needs its key'],
  ['a key without a certificate', { key_file }, 'a certificate needs its key'],
  ['a certificate in two forms', { ...server, cert_pem: 'x' }, 'set `cert_file` or `cert_pem`, not both'],
  ['versions the wrong way round', { ...server, min_version: '1.3', max_version: '1.2' }, 'must not be below'],
  ['an unknown version', { ...server, min_version: '1.4' }, 'expected one of'],
  ['an unknown cipher suite', { ...server, cipher_suites: ['ROT13'] }, '`ROT13` is no known cipher suite'],
  ['an insecure cipher suite', { ...server, cipher_suites: ['TLS_RSA_WITH_AES_128_CBC_SHA'] }, 'is insecure'],
  ['an unknown curve', { ...server, curve_preferences: ['P1'] }, '`P1` is none of'],
  ['a TPM', { ...server, tpm: { enabled: true } }, 'not supported'],
  ['an unknown key', { ...server, cert: 'x' }, 'Unrecognized key'],
  ['an empty key', { cert_file, key_pem: ' ' }, 'it is empty, and an empty credential is none'],
  ['an empty certificate', { cert_pem: '', key_file }, 'it is empty; set the variable'],
  ['no authority to ask certificates of', { ...server, client_ca_file: '' }, 'it is empty; set the variable'],
  ['an empty authority', { ...server, ca_pem: '' }, 'it is empty; set the variable'],
])('a server with %s is refused', (_what, settings, message) => {
  const { error } = tlsServer().safeParse(settings)
  expect(error?.issues.map(issue => issue.message).join()).toContain(message)
})

test('every setting becomes one that Node takes', () => {
  const options = readServerTls(
    tlsServer().parse({
      ...server,
      ca_pem: authority,
      min_version: '1.2',
      max_version: '1.3',
      cipher_suites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_RSA_WITH_AES_128_CBC_SHA'],
      include_insecure_cipher_suites: true,
      curve_preferences: ['X25519', 'P256', 'P384', 'P521'],
    }),
  )
  expect(options).toMatchObject({
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers:
      'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA',
    ecdhCurve: 'X25519:prime256v1:secp384r1:secp521r1',
  })
  createSecureContext(options)
})

const cbc = 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA'
const gcm = 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'
const cbcRsa = 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA'
const gcmRsa = 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'
test.each<[string, object, string, object]>([
  ['CBC alone gets no connection', {}, 'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA', { maxVersion: 'TLSv1.2' }],
  [
    'CBC gets one that names it',
    { cipher_suites: [cbc, cbcRsa] },
    'ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA',
    { maxVersion: 'TLSv1.2' },
  ],
  ['TLS 1.2 gets authenticated encryption', {}, 'ALL', { maxVersion: 'TLSv1.2' }],
  ['TLS 1.3 gets it, also where suites of 1.2 are named', { cipher_suites: [gcm, gcmRsa] }, '', {}],
])('a client of %s', async (_what, settings, ciphers, more) => {
  const running = createServer(readServerTls(tlsServer().parse({ ...server, ...settings })))
  running.on('tlsClientError', () => {}).on('secureConnection', socket => socket.on('error', () => {}))
  await once(running.listen(0, '127.0.0.1'), 'listening')
  const address = running.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const client = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(ciphers ? { ciphers } : {}),
    ...more,
  })
  const heard = await new Promise<string>(resolve => {
    client.once('secureConnect', () => resolve(`${client.getProtocol()} ${client.getCipher().standardName}`))
    client.once('error', () => resolve('refused'))
  })
  client.destroy()
  running.close()
  if (_what.startsWith('CBC alone')) expect(heard).toBe('refused')
  else if (_what.startsWith('CBC')) expect(heard).toMatch(/^TLSv1.2 .*_CBC_/)
  else if (_what.startsWith('TLS 1.2')) expect(heard).toMatch(/^TLSv1.2 .*(GCM|POLY1305)/)
  else expect(heard).toMatch(/^TLSv1.3 TLS_/)
})

test('a client has what it needs to connect, and nothing when it is insecure', () => {
  expect(readClientTls(tlsClient().parse({ insecure: true }))).toBeUndefined()
  const options = readClientTls(
    tlsClient().parse({
      ca_pem: authority,
      cert_pem: clientCert,
      key_pem: clientKey,
      insecure_skip_verify: true,
      server_name_override: 'backend',
      include_system_ca_certs_pool: true,
    }),
  )
  expect(options).toMatchObject({ rejectUnauthorized: false, servername: 'backend', cert: clientCert, key: clientKey })
  expect(options?.ca).toContain(authority)
  expect(options?.ca?.length).toBeGreaterThan(10)
})

test('a key never prints', () => {
  expect(JSON.stringify(tlsClient().parse({ cert_pem: clientCert, key_pem: clientKey }))).not.toContain('PRIVATE')
})

test('a file that cannot be read is named', () => {
  const tls = tlsServer().parse({ cert_file: '/nowhere/tls.crt', key_file })
  expect(() => readServerTls(tls)).toThrow('cannot read `cert_file` /nowhere/tls.crt')
})

/** Tells a server how to serve, as Node would: what it cannot use is a fault. */
function applying(applied: TlsServerOptions[]) {
  return (options: TlsServerOptions): void => {
    createSecureContext(options)
    applied.push(options)
  }
}

test.each<[string, Record<string, string>]>([
  ['is not there', { cert_file: '/nowhere/tls.crt' }],
  ['is no certificate', { cert_pem: 'garbage' }],
  ['has another key', { cert_pem: clientCert }],
])('a certificate that %s leaves the one of before in use at its address, and only there', (_, given) => {
  const listeners = new Listeners()
  const serve = (config: object, endpoint: string) => {
    const applied: TlsServerOptions[] = []
    const heard: (string | undefined)[] = []
    const tls = new ServerTls(tlsServer().parse(config), error => heard.push(error), listeners.presented(endpoint))
    tls.start(applying(applied))
    tls.stop()
    return { tls, applied, heard }
  }
  serve({ cert_pem: serverCert, key_file }, '127.0.0.1:4317')
  const { tls, applied, heard } = serve({ ...given, key_file, min_version: '1.3' }, '127.0.0.1:4317')
  expect(applied).toMatchObject([{ cert: serverCert, key: serverKey, minVersion: 'TLSv1.3' }])
  expect(tls.ready).toBe(true)
  expect(heard).toEqual([expect.stringMatching(/; the certificate of before is presented$/)])
  const elsewhere = serve({ ...given, key_file }, '127.0.0.1:4318')
  expect([elsewhere.tls.ready, elsewhere.applied]).toEqual([false, []])
  expect(elsewhere.heard).toEqual([expect.stringMatching(/; nobody is let in until there is one$/)])
})

test('who has to trust clients otherwise than before does not go on with the certificate of before', () => {
  const presented: Presented = {}
  const serve = (config: object): ServerTls => {
    const tls = new ServerTls(tlsServer().parse({ key_file, ...config }), () => {}, presented)
    tls.start(applying([]))
    tls.stop()
    return tls
  }
  expect(serve({ cert_pem: serverCert }).ready).toBe(true)
  expect(serve({ cert_pem: serverCert, client_ca_file: '/nowhere/ca.crt' }).ready).toBe(false)
  const ca = join(directory, 'clients.crt')
  writeFileSync(ca, authority)
  expect(serve({ cert_pem: 'garbage', client_ca_file: ca }).ready).toBe(false)
  expect(serve({ cert_pem: serverCert, client_ca_file: ca }).ready).toBe(true)
  rmSync(ca)
  expect(serve({ cert_pem: serverCert, client_ca_file: ca }).ready).toBe(true)
  expect(serve({ cert_pem: serverCert, client_ca_file: '/nowhere/ca.crt' }).ready).toBe(false)
})

test('what was presented at an address is forgotten when nobody listens there any more', async () => {
  const listeners = new Listeners()
  const free = await listeners.listen('127.0.0.1:0', () => {}, 'test')
  const at = free.address
  await free.close()
  const binding = await listeners.listen(at, () => {}, 'test')
  const presented = listeners.presented(at)
  presented.identity = { cert: serverCert }
  expect(listeners.presented(at)).toBe(presented)
  // Which port that will be nobody knows.
  expect(listeners.presented('127.0.0.1:0')).not.toBe(listeners.presented('127.0.0.1:0'))
  await binding.close()
  expect(listeners.presented(at)).toEqual({})
})

test('certificates that are not there yet are taken up when they are, and good ones stay when they become bad', () => {
  vi.useFakeTimers()
  const late = join(directory, 'late.crt')
  const heard: (string | undefined)[] = []
  const applied: unknown[] = []
  const tls = new ServerTls(tlsServer().parse({ cert_file: late, key_file, reload_interval: '10s' }), error =>
    heard.push(error),
  )
  tls.start(options => applied.push(options.cert))
  expect([tls.ready, applied.length]).toEqual([false, 0])
  expect(heard[0]).toContain(late)
  writeFileSync(late, serverCert)
  vi.advanceTimersByTime(6000)
  expect([tls.ready, heard.at(-1), applied]).toEqual([true, undefined, [serverCert]])
  writeFileSync(late, clientCert)
  vi.advanceTimersByTime(10_000)
  expect(applied.at(-1)).toBe(clientCert)
  tls.stop()
  vi.advanceTimersByTime(60_000)
  expect(applied).toHaveLength(2)
})
