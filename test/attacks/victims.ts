/** Configurations of the process under attack, and how healthy senders get into each. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { serverCert, serverKey } from '../net/certificates.ts'
import { limitMib } from './limits.ts'

/** Where the process listens, and where its destination is. */
export interface Ports {
  readonly grpc: number
  readonly http: number
  /** The same with TLS, in those that have it. */
  readonly grpcTls: number
  readonly httpTls: number
  readonly admin: number
  readonly sink: number
  /** Page of the `prometheus` exporter. */
  readonly page: number
}

/** A canary: stands in the environment of every victim, and must never be seen. */
export const canary = 'c4n4ry-0f-the-environment'
/** The token of the admin server, of those that have one. */
export const adminToken = 'admin-token-of-the-attacks'

interface Parts {
  readonly receivers?: object
  readonly processors?: object
  readonly exporters?: object
  readonly connectors?: object
  readonly extensions?: object
  /** Of the receiver `otlp`. */
  readonly auth?: object
  readonly admin?: string
  readonly steps?: readonly string[]
}

/** One way to be configured. */
export interface Victim {
  /** Headers that let healthy senders in. */
  readonly headers?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  parts(ports: Ports, folder: string): Parts
}

const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
/** `correct horse`, at bcrypt's cost of 12. */
const costly = '$2b$12$abcdefghijklmnopqrstuuFDJRuYeKkCzo3Wy7h8SxhBSHBAHiPK2'

/** All of them. */
export const victims = {
  gateway: { parts: () => ({}) },
  tls: {
    parts(ports, folder) {
      writeFileSync(join(folder, 'cert.pem'), serverCert)
      writeFileSync(join(folder, 'key.pem'), serverKey)
      const tls = { cert_file: join(folder, 'cert.pem'), key_file: join(folder, 'key.pem') }
      const protocols = {
        grpc: { endpoint: `127.0.0.1:${ports.grpcTls}`, tls },
        http: { endpoint: `127.0.0.1:${ports.httpTls}`, tls },
      }
      return { receivers: { 'otlp/tls': { protocols } } }
    },
  },
  'bearer tokens': {
    headers: { 'x-api-key': 'the key that opens' },
    env: { KEY: 'the key that opens', OLD_KEY: 'one of last year' },
    parts: () => ({
      extensions: {
        bearertokenauth: { header: 'X-API-Key', scheme: '', tokens: ['${env:KEY}', '${env:OLD_KEY}'] },
      },
      auth: { authenticator: 'bearertokenauth' },
    }),
  },
  passwords: {
    headers: { authorization: basic('rightful', 'correct horse') },
    parts(_, folder) {
      writeFileSync(join(folder, 'htpasswd'), `rightful:${costly}\nother:${costly}\n`, { mode: 0o600 })
      return {
        extensions: { basicauth: { htpasswd: { file: join(folder, 'htpasswd') } } },
        auth: { authenticator: 'basicauth' },
      }
    },
  },
  redaction: {
    parts: () => ({
      processors: {
        redaction: {
          allow_all_keys: true,
          blocked_key_patterns: ['.*token.*', '^(a+)+$', '(x+x+)+y'],
          blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '^(a+)+$', '(.*a){20}', '.*.*.*@.*.*'],
          redact_all_types: true,
          summary: 'debug',
        },
        'attributes/match': {
          include: { match_type: 'regexp', resources: [{ key: 'evil', value: '^(a|aa)+$' }] },
          actions: [{ key: 'new', value: 1, action: 'upsert' }],
        },
        'attributes/extract': {
          actions: [{ key: 'evil', action: 'extract', pattern: '^(?P<one>a+)+(?P<two>b)$' }],
        },
      },
    }),
  },
  'every item': {
    parts: () => ({
      processors: {
        namespace_filter: { exclude: ['quiet'] },
        resource: { attributes: [{ key: 'k8s.cluster.name', value: 'prod', action: 'upsert' }] },
        attributes: {
          actions: [
            { key: 'b', action: 'delete' },
            { key: 'a', action: 'hash' },
            { key: 'new', value: 1, action: 'upsert' },
          ],
        },
        groupbyattrs: { keys: ['host.name', 'a'] },
      },
      connectors: { count: {} },
    }),
  },
  files: {
    parts(_, folder) {
      const group = { enabled: true, resource_attribute: 'service.name' }
      mkdirSync(join(folder, 'out'))
      return {
        exporters: {
          file: { path: join(folder, 'out', '*.jsonl'), group_by: group, sending_queue: { enabled: true } },
        },
      }
    },
  },
  series: {
    parts: ({ page }) => ({ exporters: { prometheus: { endpoint: `127.0.0.1:${page}`, metric_expiration: '2s' } } }),
  },
  shown: { parts: () => ({ exporters: { debug: { verbosity: 'detailed' } } }) },
  'admin for all': { env: { KYMO_ADMIN_TOKEN: adminToken }, parts: () => ({ admin: '0.0.0.0' }) },
  'admin for all, without a token': { parts: () => ({ admin: '0.0.0.0' }) },
  'admin with a token': { env: { KYMO_ADMIN_TOKEN: adminToken }, parts: () => ({}) },
} satisfies Record<string, Victim>

/** Name of a configuration. */
export type VictimName = keyof typeof victims

/** What differs between the signals of one victim: `prometheus` takes metrics only. */
const takes = (exporter: string, signal: string) => exporter !== 'prometheus' || signal === 'metrics'

/** Writes the configuration below `folder`; its path. */
export function writeConfig(name: VictimName, ports: Ports, folder: string): string {
  const victim: Victim = victims[name]
  const {
    receivers = {},
    processors = {},
    exporters = {},
    connectors = {},
    extensions = {},
    ...rest
  } = victim.parts(ports, folder)
  const { auth, admin = '127.0.0.1' } = rest
  const server = (port: number) => ({ endpoint: `127.0.0.1:${port}`, ...(auth === undefined ? {} : { auth }) })
  const all = {
    otlp_grpc: { endpoint: `127.0.0.1:${ports.sink}`, tls: { insecure: true }, compression: 'none' },
    ...exporters,
  }
  const pipelines: Record<string, object> = Object.fromEntries(
    ['traces', 'metrics', 'logs'].map(signal => [
      signal,
      {
        receivers: ['otlp', ...Object.keys(receivers)],
        processors: ['memory_limiter', ...Object.keys(processors), 'batch'],
        exporters: [
          ...Object.keys(all).filter(exporter => takes(exporter, signal)),
          ...Object.keys(connectors).filter(() => signal !== 'metrics'),
        ],
      },
    ]),
  )
  if (Object.keys(connectors).length > 0) {
    pipelines['metrics/counted'] = { receivers: Object.keys(connectors), exporters: ['otlp_grpc'] }
  }
  const config = {
    receivers: { otlp: { protocols: { grpc: server(ports.grpc), http: server(ports.http) } }, ...receivers },
    processors: { memory_limiter: { check_interval: '1s', limit_mib: limitMib }, ...processors, batch: {} },
    exporters: all,
    connectors,
    extensions,
    service: {
      extensions: Object.keys(extensions),
      telemetry: {
        metrics: { readers: [{ pull: { exporter: { prometheus: { host: admin, port: ports.admin } } } }] },
      },
      pipelines,
    },
  }
  const path = join(folder, 'kymo.yaml')
  writeFileSync(path, JSON.stringify(config, null, 2))
  // As it was at the start, for attacks that change it.
  cpSync(path, join(folder, 'as-it-was.yaml'))
  return path
}
