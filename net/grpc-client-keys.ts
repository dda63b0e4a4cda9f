/** Settings of gRPC clients, with the Collector's keys. */
import * as z from 'zod'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { duration } from '../core/fields.ts'
import { clientAuth } from './auth.ts'
import { headers, missing, revealed, tls, tlsReader, unused } from './client-keys.ts'
import type { GrpcClientOptions } from './grpc-client.ts'
import { parseTarget } from './grpc-target.ts'
import { userAgent } from './user-agent.ts'

/** Shorter intervals are taken as this, as in gRPC. */
const leastKeepalive = 10_000

const keepalive = z
  .strictObject({
    time: duration()
      .prefault('10s')
      .transform(time => (time === 0 ? 0 : Math.max(time, leastKeepalive)))
      .describe('Quiet time after which the server is asked whether it is there; at least 10s, 0 never asks.'),
    timeout: duration()
      .prefault('10s')
      .transform(timeout => timeout || 20_000)
      .describe('How long its answer may take before the connection is given up; 0 is 20s.'),
    permit_without_stream: z.boolean().default(false).describe('Ask also while nothing is being sent.'),
  })
  .nullish()
  .transform(given => given ?? undefined)
  .describe('Pings that find dead connections; off unless set.')

/** Where a gRPC client connects to. */
const endpoint = z
  .string({ error: '`endpoint` is missing; write host and port, such as `endpoint: gateway:4317`' })
  .superRefine((text, context) => {
    try {
      parseTarget(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) })
    }
  })
  .meta({ role: 'sends OTLP' })
  .describe('Where to send: `host:port`, `dns:///host:port` or `unix:///path`; `https://` in front asks for TLS.')

/** The Collector's gRPC client group. */
export const grpcClient = () => ({
  endpoint,
  compression: z.enum(['gzip', 'snappy', 'zstd', 'none', '']).default('gzip').describe('How requests are compressed.'),
  tls: tls(),
  headers: headers(/^(?:te|connection|host|content-type|content-length|transfer-encoding|user-agent|grpc-.*)$/i),
  keepalive,
  balancer_name: z
    .enum(['round_robin', 'pick_first'])
    .default('round_robin')
    .describe('How requests are spread over the addresses of the endpoint.'),
  authority: z
    .string()
    .default('')
    .describe("In place of the endpoint in `:authority` and in the certificate's check."),
  wait_for_ready: z.boolean().default(false).describe('Wait for a connection in place of failing while there is none.'),
  user_agent: z.string().default('').describe('What to call ourselves to the server.'),
  read_buffer_size: unused('buffers grow as they are needed.').optional(),
  write_buffer_size: unused('buffers grow as they are needed.').optional(),
  auth: clientAuth(),
  middlewares: missing('middlewares', 'middleware extension').optional(),
})

/** What `grpcClient` parses to. */
export type GrpcClientConfig = z.output<z.ZodObject<ReturnType<typeof grpcClient>>>

/** The options of a client with this configuration. */
export function grpcClientOptions(config: GrpcClientConfig, log: Logger): GrpcClientOptions {
  const { endpoint, compression } = config
  const { https } = parseTarget(endpoint)
  const secure = https || !config.tls.insecure || config.tls.ca_file !== undefined || config.tls.ca_pem !== undefined
  if (secure && /^http:/i.test(endpoint)) {
    log.warn({ endpoint }, '`http://` does not turn TLS off for gRPC; for a plain connection set `tls.insecure: true`')
  }
  return {
    endpoint,
    tls: secure ? tlsReader(config.tls) : undefined,
    headers: revealed(config.headers),
    compression: compression === '' || compression === 'none' ? undefined : compression,
    keepalive: config.keepalive,
    userAgent: config.user_agent || userAgent,
    authority: config.authority || undefined,
    waitForReady: config.wait_for_ready,
    balancer: config.balancer_name,
    log,
  }
}
