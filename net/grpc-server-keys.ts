/** Settings of gRPC servers and what all servers share, with the Collector's keys. */
import * as z from 'zod'
import { duration, int } from '../core/fields.ts'
import { grpcServerAuth } from './auth.ts'
import { callLimits } from './limit-keys.ts'
import { parseEndpoint } from './listeners.ts'
import { tlsServer } from './tls.ts'

/** A key that other collectors have and this build has not. */
export const unsupported = (message: string) =>
  z
    .unknown()
    .refine(value => value === undefined || value === null || (Array.isArray(value) && value.length === 0), {
      error: message,
    })
    .optional()
    .describe('Not supported yet.')

/** Keys of every server. */
export const serverKeys = (defaults: { endpoint: string }) => ({
  endpoint: z
    .string()
    .default(defaults.endpoint)
    .meta({ role: 'listens' })
    .describe('Where to listen: `host:port`, or a path with `unix`.'),
  transport: z.enum(['tcp', 'tcp4', 'tcp6', 'unix']).default('tcp').describe('Kind of socket.'),
  tls: tlsServer()
    .nullish()
    .transform(tls => tls ?? undefined)
    .describe('Certificates; without it connections are not encrypted.'),
  include_metadata: z.boolean().default(false).describe('Keep request headers beside the data, for later components.'),
  middlewares: unsupported('this build has no middleware extension yet; remove `middlewares`'),
})

/** Whether the endpoint is one. */
export function checkEndpoint(
  server: { readonly endpoint: string; readonly transport: string },
  context: z.core.$RefinementCtx,
): void {
  if (parseEndpoint(server.endpoint, server.transport) !== undefined) return
  context.addIssue({
    code: 'custom',
    message: `\`${server.endpoint}\` is no address; write it as \`host:port\``,
    path: ['endpoint'],
  })
}

const parameters = z
  .strictObject({
    max_connection_idle: duration()
      .prefault('0s')
      .describe('Connections without calls are closed after this; 0 never.'),
    max_connection_age: duration()
      .prefault('10m')
      .describe('Connections are ended gently after this, give or take a tenth; 0 never.'),
    max_connection_age_grace: duration()
      .prefault('1m')
      .describe('What a connection that is being ended has to finish its calls; 0 sets no limit.'),
    time: duration().prefault('2h').describe('A connection that is silent for this long is asked whether it is there.'),
    timeout: duration().prefault('20s').describe('How long the answer to that may take.'),
  })
  .nullish()

const policy = z
  .strictObject({
    min_time: duration().prefault('5m').describe('Clients that ping more often than this are turned away.'),
    permit_without_stream: z.boolean().default(false).describe('Allow pings while no call is running.'),
  })
  .nullish()

const keepalive = z
  .strictObject({
    server_parameters: parameters
      .transform(value => value ?? parameters.unwrap().unwrap().parse({}))
      .prefault({})
      .describe('What Kymo does with connections.'),
    enforcement_policy: policy
      .transform(value => value ?? policy.unwrap().unwrap().parse({}))
      .prefault({})
      .describe('What senders may do with them.'),
  })
  .nullish()

/** A gRPC server. */
export const grpcServer = (defaults: { endpoint: string }) =>
  z
    .strictObject({
      ...serverKeys(defaults),
      auth: grpcServerAuth(),
      max_recv_msg_size_mib: int(0)
        .default(64)
        .transform(size => size || 64)
        .describe('Largest message in MiB, as sent and after inflating. (The Collector takes 4.)'),
      max_concurrent_streams: int(0)
        .default(100)
        .transform(streams => streams || 100)
        .describe('Calls that one connection may have open; clients let further ones wait. 0 is the default.'),
      read_buffer_size: int(0).default(0).describe('Has no effect here.'),
      write_buffer_size: int(0).default(0).describe('Has no effect here.'),
      limits: callLimits(),
      keepalive: keepalive
        .transform(value => value ?? keepalive.unwrap().unwrap().parse({}))
        .prefault({})
        .describe('How long connections live.'),
    })
    .superRefine(checkEndpoint)

/** What `grpcServer` parses to. */
export type GrpcServerConfig = z.output<ReturnType<typeof grpcServer>>
