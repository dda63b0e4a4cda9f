/** Settings of HTTP clients, with the Collector's keys. */
import * as z from 'zod'
import { duration, int } from '../core/fields.ts'
import { clientAuth } from './auth.ts'
import { headers, missing, tls, tlsReader, unused } from './client-keys.ts'
import type { Encoding } from './compression.ts'
import type { HttpClientOptions } from './http-client.ts'

const compressions = ['gzip', 'zlib', 'deflate', 'snappy', 'x-snappy-framed', 'zstd', 'lz4', 'none', ''] as const

/** Names of compressions that a configuration may have. */
export type Compression = Exclude<(typeof compressions)[number], 'lz4'>

/**
 * The Collector's HTTP client group but for `endpoint`, which differs between components, and `timeout`, which
 * `sending` has.
 */
export const httpClient = (defaults: { compression: Compression }) => ({
  compression: z
    .enum(compressions)
    .refine(name => name !== 'lz4', { error: 'this build has no lz4; use `zstd` or `snappy`' })
    .default(defaults.compression)
    .describe('How requests are compressed.'),
  compression_params: z
    .strictObject({ level: int().default(0).describe('Level of the codec; 0 is what suits telemetry best.') })
    .nullish()
    .transform(given => given ?? { level: 0 })
    .describe('How hard to compress.'),
  tls: tls(),
  headers: headers(/^(?:connection|keep-alive|content-length|transfer-encoding|upgrade|expect|te|trailer)$/i),
  proxy_url: z
    .url({ protocol: /^https?$/ })
    .or(z.literal(''))
    .default('')
    .describe('HTTP proxy to go through.'),
  max_conns_per_host: int(0).default(0).describe('Most connections to one server; 0 sets no limit.'),
  idle_conn_timeout: duration()
    .prefault('90s')
    .describe('Connections that are not used are closed after this; 0 never.'),
  disable_keep_alives: z.boolean().default(false).describe('A connection for each request.'),
  max_idle_conns: unused('connections close after `idle_conn_timeout`.').optional(),
  max_idle_conns_per_host: unused('connections close after `idle_conn_timeout`.').optional(),
  read_buffer_size: unused('buffers grow as they are needed.').optional(),
  write_buffer_size: unused('buffers grow as they are needed.').optional(),
  force_attempt_http2: unused('requests go over HTTP/1.1.').optional(),
  http2_read_idle_timeout: unused('requests go over HTTP/1.1.').optional(),
  http2_ping_timeout: unused('requests go over HTTP/1.1.').optional(),
  auth: clientAuth(),
  middlewares: missing('middlewares', 'middleware extension').optional(),
  cookies: z
    .strictObject({ enabled: z.boolean().default(false).describe('Not supported yet.') })
    .nullish()
    .refine(cookies => !cookies?.enabled, { error: 'this build keeps no cookies yet; remove `cookies`' })
    .describe('Not supported yet.'),
})

/** What `httpClient` parses to. */
export type HttpClientConfig = z.output<z.ZodObject<ReturnType<typeof httpClient>>>

/** Whether the level is one of the codec's. */
export function checkLevel(config: HttpClientConfig, context: z.core.$RefinementCtx): void {
  const { compression, compression_params } = config
  const { level } = compression_params
  if (level === 0) return
  const wrong = (message: string) =>
    context.addIssue({ code: 'custom', message, path: ['compression_params', 'level'] })
  if (compression === 'gzip' || compression === 'zlib' || compression === 'deflate') {
    if (level < -1 || level > 9) wrong(`\`${compression}\` has levels from -1 to 9`)
  } else if (compression === 'zstd') {
    if (level < 1 || level > 22) wrong('`zstd` has levels from 1 to 22')
  } else wrong(`\`${compression || 'none'}\` has no levels; remove \`level\``)
}

/** The header of a compression and what makes it; undefined: none. */
export function encodingOfConfig(compression: Compression): { header: string; encoding: Encoding } | undefined {
  if (compression === '' || compression === 'none') return undefined
  return { header: compression, encoding: compression === 'zlib' ? 'deflate' : compression }
}

/** The options of a client with this configuration. */
export function httpClientOptions(config: HttpClientConfig): HttpClientOptions {
  return {
    tls: tlsReader(config.tls),
    maxConnections: config.max_conns_per_host,
    idleTimeout: config.idle_conn_timeout,
    keepAlive: !config.disable_keep_alives,
    proxy: config.proxy_url || undefined,
  }
}
