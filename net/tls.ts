/** TLS with the Collector's keys, for servers and clients. */
import { readFileSync } from 'node:fs'
import type { ConnectionOptions, SecureContextOptions } from 'node:tls'
import * as z from 'zod'
import { messageOf } from '../core/errors.ts'
import { credential, duration, texts } from '../core/fields.ts'
import { nodeCrypto, nodeTls } from './on-demand.ts'

const version = z.enum(['1.0', '1.1', '1.2', '1.3'], { error: 'expected one of `1.0`, `1.1`, `1.2`, `1.3`' })
const versions = { '1.0': 'TLSv1', '1.1': 'TLSv1.1', '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const
const curves: Record<string, string> = {
  X25519: 'X25519',
  P256: 'prime256v1',
  P384: 'secp384r1',
  P521: 'secp521r1',
  X25519MLKEM768: 'X25519MLKEM768',
}

/** Names of cipher suites as configurations have them (Go's), and as OpenSSL has them. TLS 1.3 suites are not chosen. */
const suites: Record<string, string> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
}
const insecureSuites: Record<string, string> = {
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
}

/** TLS 1.3 has no others, and Node leaves 1.3 away where a list names none of them. */
const modern = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']
/** What is offered unless `cipher_suites` says otherwise: authenticated encryption and forward secrecy only, no CBC. */
const offered = [
  ...modern,
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]

const file = (what: string) => z.string().optional().describe(`File with ${what}, in PEM.`)
/** Empty it would stand for nothing, and nothing would be checked, or anybody trusted whom the system trusts. */
const filled = () =>
  z
    .string()
    .refine(text => text.trim() !== '', {
      error: 'it is empty; set the variable or file it comes from, or remove the key',
    })
    .optional()
const pem = (what: string) => filled().describe(`${what} itself, in PEM.`)

const shared = {
  ca_file: file('the certificates of the authorities to trust'),
  ca_pem: pem('Certificates of the authorities to trust'),
  cert_file: file('the certificate to present'),
  cert_pem: pem('Certificate to present'),
  key_file: file('the private key of the certificate'),
  key_pem: credential().optional().describe('Private key of the certificate itself, in PEM.'),
  include_system_ca_certs_pool: z
    .boolean()
    .default(false)
    .describe("Trust the system's authorities beside those given."),
  min_version: version.default('1.2').describe('Lowest version of TLS.'),
  max_version: version.optional().describe('Highest version of TLS.'),
  cipher_suites: z
    .array(z.string())
    .default([])
    .describe(
      'Cipher suites up to TLS 1.2, by their IANA names. Without it those with authenticated encryption and forward secrecy; suites with CBC have to be named. Those of TLS 1.3 are always there.',
    ),
  include_insecure_cipher_suites: z.boolean().default(false).describe('Allow insecure suites in `cipher_suites`.'),
  curve_preferences: texts().default([]).describe('Curves to offer: X25519, P256, P384, P521, X25519MLKEM768.'),
  reload_interval: duration()
    .prefault('0s')
    .describe('How often certificate files are read again; 0 only when they are needed.'),
  tpm: z
    .unknown()
    .refine(value => value === undefined || value === null, { error: 'keys in a TPM are not supported; remove `tpm`' })
    .optional()
    .describe('Not supported.'),
}

type Shared = z.output<z.ZodObject<typeof shared>>

/** What can be wrong between the keys. */
function check(tls: Shared, context: z.core.$RefinementCtx): void {
  const wrong = (key: string, message: string) => context.addIssue({ code: 'custom', message, path: [key] })
  for (const name of ['ca', 'cert', 'key'] as const) {
    if (tls[`${name}_file`] && tls[`${name}_pem`])
      wrong(`${name}_pem`, `set \`${name}_file\` or \`${name}_pem\`, not both`)
  }
  const cert = Boolean(tls.cert_file ?? tls.cert_pem)
  const key = Boolean(tls.key_file ?? tls.key_pem)
  if (cert !== key) wrong(cert ? 'cert_file' : 'key_file', 'a certificate needs its key, and a key its certificate')
  if (tls.max_version !== undefined && tls.max_version < tls.min_version) {
    wrong('max_version', '`max_version` must not be below `min_version`')
  }
  for (const name of tls.cipher_suites) {
    if (name in suites || (tls.include_insecure_cipher_suites && name in insecureSuites)) continue
    wrong(
      'cipher_suites',
      name in insecureSuites
        ? `\`${name}\` is insecure; set \`include_insecure_cipher_suites: true\` or leave it out`
        : `\`${name}\` is no known cipher suite`,
    )
  }
  for (const name of tls.curve_preferences) {
    if (!(name in curves)) wrong('curve_preferences', `\`${name}\` is none of ${Object.keys(curves).join(', ')}`)
  }
}

/** `tls` of a server. */
export const tlsServer = () =>
  z
    .strictObject({
      ...shared,
      client_ca_file: filled().describe(
        'File with the authorities that sign client certificates, in PEM; turns mutual TLS on.',
      ),
      client_ca_file_reload: z.boolean().default(false).describe('Read `client_ca_file` again when it changes.'),
    })
    .superRefine(check)
    .refine(tls => tls.cert_file ?? tls.cert_pem ?? tls.key_file ?? tls.key_pem, {
      error: 'a server needs `cert_file` and `key_file`',
      path: ['cert_file'],
    })
    .meta({ role: 'certificates' })

/** `tls` of a client. */
export const tlsClient = () =>
  z
    .strictObject({
      ...shared,
      insecure: z.boolean().default(false).describe('No TLS at all.'),
      insecure_skip_verify: z.boolean().default(false).describe("Do not check the server's certificate."),
      server_name_override: z
        .string()
        .optional()
        .describe("Name to ask for and to expect in the server's certificate."),
    })
    .superRefine(check)
    .meta({ role: 'certificates' })

/** What `tlsServer` parses to. */
export type TlsServerConfig = z.output<ReturnType<typeof tlsServer>>
/** What `tlsClient` parses to. */
export type TlsClientConfig = z.output<ReturnType<typeof tlsClient>>

/** What a TLS server can be given while it runs; that it asks for certificates is said when it is made. */
export type TlsServerOptions = SecureContextOptions

/**
 * What Node needs to serve; files are read now.
 * @throws Error naming the file that cannot be read
 */
export function readServerTls(tls: TlsServerConfig): TlsServerOptions {
  return { ...settingsOf(tls), ...readIdentity(tls), ...readAuthorities(tls) }
}

/**
 * Whom a server trusts to say who its clients are.
 * @throws Error naming the file that cannot be read
 */
export function readAuthorities(tls: TlsServerConfig): Pick<SecureContextOptions, 'ca'> {
  return tls.client_ca_file === undefined ? readTrusted(tls) : { ca: read('client_ca_file', tls.client_ca_file) }
}

/**
 * What Node needs to connect; files are read now. Undefined with `insecure: true`: no TLS.
 * @throws Error naming the file that cannot be read
 */
export function readClientTls(tls: TlsClientConfig): ConnectionOptions | undefined {
  if (tls.insecure) return undefined
  const options: ConnectionOptions = { ...settingsOf(tls), ...readIdentity(tls), ...readTrusted(tls) }
  if (tls.insecure_skip_verify) options.rejectUnauthorized = false
  if (tls.server_name_override) options.servername = tls.server_name_override
  return options
}

/** What no file says. */
export function settingsOf(tls: Shared): SecureContextOptions {
  const options: SecureContextOptions = { minVersion: versions[tls.min_version] }
  if (tls.max_version) options.maxVersion = versions[tls.max_version]
  const ciphers = ciphersOf(tls)
  if (ciphers !== undefined) options.ciphers = ciphers.join(':')
  if (tls.curve_preferences.length > 0) options.ecdhCurve = tls.curve_preferences.map(name => curves[name]).join(':')
  return options
}

/** Who one is. */
export interface CertificateAndKey {
  readonly cert?: string
  readonly key?: string
}

/**
 * The certificate and its key.
 * @throws Error naming the file that cannot be read
 */
export function readIdentity(tls: Shared): CertificateAndKey {
  const cert = tls.cert_file ? read('cert_file', tls.cert_file) : tls.cert_pem
  const key = tls.key_file ? read('key_file', tls.key_file) : tls.key_pem?.reveal()
  return { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}

/**
 * What is wrong with a certificate and its key, by the keys of the configuration: TLS says it in words of its own. Undefined where
 * nothing is, or where there are none.
 */
export function faultOfIdentity(tls: Shared): string | undefined {
  const { createPrivateKey, X509Certificate } = nodeCrypto()
  const named = (key: 'cert' | 'key') => {
    const path = tls[`${key}_file`]
    return path === undefined ? `\`${key}_pem\`` : `\`${key}_file\` ${path}`
  }
  let pair: CertificateAndKey
  try {
    pair = readIdentity(tls)
  } catch (error) {
    return messageOf(error)
  }
  const { cert, key } = pair
  if (cert === undefined || key === undefined) return undefined
  const certificate = tried(() => new X509Certificate(cert))
  if (certificate === undefined) return `${named('cert')} holds no certificate in PEM`
  const own = tried(() => createPrivateKey(key))
  if (own === undefined) return `${named('key')} holds no private key in PEM that can be read without a passphrase`
  return certificate.checkPrivateKey(own) ? undefined : `${named('key')} is not the key of ${named('cert')}`
}

/** The same of those who are trusted, but for the system's. */
export function faultOfAuthorities(tls: TlsServerConfig | TlsClientConfig): string | undefined {
  const file = 'client_ca_file' in tls ? tls.client_ca_file : undefined
  let ca: string | undefined
  try {
    ca = file === undefined ? readAuthority(tls) : read('client_ca_file', file)
  } catch (error) {
    return messageOf(error)
  }
  const isNone = ca !== undefined && tried(() => new (nodeCrypto().X509Certificate)(ca)) === undefined
  return isNone ? 'the authorities to trust are no certificates in PEM' : undefined
}

/** What `make` makes; undefined where it throws. */
function tried<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

const readAuthority = (tls: Shared): string | undefined => (tls.ca_file ? read('ca_file', tls.ca_file) : tls.ca_pem)

function readTrusted(tls: Shared): Pick<SecureContextOptions, 'ca'> {
  const ca = readAuthority(tls)
  if (ca === undefined && !tls.include_system_ca_certs_pool) return {}
  return { ca: [...(ca === undefined ? [] : [ca]), ...(tls.include_system_ca_certs_pool ? systemAuthorities() : [])] }
}

/** What to offer; what Node does where a version is asked for that has nothing better. */
function ciphersOf({ cipher_suites: named, min_version: least }: Shared): readonly string[] | undefined {
  if (named.length > 0) return [...new Set([...modern, ...named.map(name => suites[name] ?? insecureSuites[name])])]
  return least < '1.2' ? undefined : offered
}

function systemAuthorities(): string[] {
  const { getCACertificates } = nodeTls()
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
}

function read(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`cannot read \`${key}\` ${path}: ${messageOf(error)}`, { cause: error })
  }
}
