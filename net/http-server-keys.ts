/** Settings of HTTP servers, with the Collector's keys. */
import * as z from 'zod'
import { duration, int, secret, texts } from '../core/fields.ts'
import { httpServerAuth } from './auth.ts'
import { encodingOf } from './compression.ts'
import { checkEndpoint, serverKeys } from './grpc-server-keys.ts'
import { connectionLimits, requestLimits } from './limit-keys.ts'

const cors = z.strictObject({
  allowed_origins: texts().default([]).describe('Origins of web pages that may send; `*` stands for any text.'),
  allowed_headers: texts().default([]).describe('Request headers they may use beside the common ones; `*` for all.'),
  exposed_headers: texts().default([]).describe('Response headers they may read.'),
  max_age: int(0).default(0).describe('Seconds for which browsers may remember the answer.'),
})

const algorithms = texts()
  .default(['', 'gzip', 'zstd', 'zlib', 'snappy', 'deflate', 'x-snappy-framed'])
  .superRefine((names, context) => {
    for (const name of names) {
      if (name === '' || encodingOf(name) !== undefined) continue
      context.addIssue({ code: 'custom', message: `\`${name}\` is no compression this build knows` })
    }
  })
  .describe('Compressions to accept in requests; the empty text stands for none.')

/** An HTTP server. Its default timeouts are those of a server that waits for slow destinations but not for slow senders. */
export const httpServer = (defaults: { endpoint: string }) =>
  z
    .strictObject({
      ...serverKeys(defaults),
      ...httpKeys(),
      limits: requestLimits(),
    })
    .superRefine(checkEndpoint)

/** An HTTP server of pages. */
export const pageServer = (defaults: { endpoint: string }) =>
  z
    .strictObject({
      ...serverKeys(defaults),
      ...httpKeys(),
    })
    .superRefine(checkEndpoint)

/** The keys of an HTTP server beside those of every server, to be spread into a schema. */
export const httpKeys = () => ({
  auth: httpServerAuth(),
  limits: connectionLimits(),
  cors: cors
    .nullish()
    .transform(value => value ?? undefined)
    .describe('Which web pages may send.'),
  max_request_body_size: int(0)
    .default(64 * 2 ** 20)
    .transform(size => size || 64 * 2 ** 20)
    .describe('Largest body in bytes, as sent and after inflating. (The Collector takes 20 MiB.)'),
  compression_algorithms: algorithms,
  response_headers: z.record(z.string(), secret()).default({}).describe('Headers to add to every answer.'),
  read_timeout: duration().prefault('0s').describe('How long a body may take to arrive; 0 leaves it at two minutes.'),
  read_header_timeout: duration().prefault('1m').describe('How long the head of a request may take; 0 sets no limit.'),
  write_timeout: duration()
    .prefault('0s')
    .describe('How long an answer may take from the request on; 0 sets no limit.'),
  idle_timeout: duration()
    .prefault('2m')
    .describe('How long a connection may be idle between requests; 0 sets no limit.'),
  keep_alives_enabled: z.boolean().default(true).describe('Off: each connection serves one request.'),
})

/** What `httpServer` parses to. */
export type HttpServerConfig = z.output<ReturnType<typeof httpServer>>
/** What `pageServer` parses to. */
export type PageServerConfig = z.output<ReturnType<typeof pageServer>>
