/** Where own telemetry is sent: the exporters of the OpenTelemetry declarative configuration, in both its generations. */
import * as z from 'zod'
import { isEmptyCredential } from '../core/auth.ts'
import { emptyCredential, int, secret, type Secret } from '../core/fields.ts'
import { shownUrl } from '../core/shown-url.ts'

const headers = z
  .union(
    [
      z.record(z.string(), secret()),
      z
        .array(z.strictObject({ name: z.string(), value: secret() }))
        .transform(list => Object.fromEntries(list.map(({ name, value }) => [name, value]))),
    ],
    { error: 'expected names and values, or a list of `{name, value}`' },
  )
  .nullish()
  .transform((given, context): Record<string, Secret> => {
    for (const [name, value] of Object.entries(given ?? {})) {
      if (!isEmptyCredential(name, value.reveal())) continue
      context.addIssue({ code: 'custom', message: `\`${name}\`: ${emptyCredential}`, path: [name] })
    }
    return given ?? {}
  })
  .describe('Headers of each request, such as credentials.')

const file = () => z.string().nullish()

const shared = {
  endpoint: z.string({ error: '`endpoint` is missing' }).min(1),
  headers,
  compression: z.enum(['gzip', 'none']).nullish().describe('How requests are compressed.'),
  timeout: int(0).default(10_000).describe('Of one request, in milliseconds.'),
  temporality_preference: z.literal('cumulative').nullish(),
  default_histogram_aggregation: z.string().nullish(),
}
const tls = z
  .strictObject({ ca_file: file(), cert_file: file(), key_file: file(), insecure: z.boolean().nullish() })
  .nullish()

/** A destination as the service needs it. */
export interface OwnDestination {
  readonly protocol: 'grpc' | 'http'
  /** For `http` a URL, for `grpc` host and port. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, Secret>>
  readonly gzip: boolean
  /** Milliseconds. */
  readonly timeout: number
  readonly insecure: boolean
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

interface Given {
  readonly endpoint: string
  readonly headers: Record<string, Secret>
  readonly compression?: 'gzip' | 'none' | null | undefined
  readonly timeout: number
}
interface GivenTls {
  readonly ca_file?: string | null | undefined
  readonly cert_file?: string | null | undefined
  readonly key_file?: string | null | undefined
  readonly insecure?: boolean | null | undefined
}

function destination(protocol: 'grpc' | 'http', given: Given, tls: GivenTls): OwnDestination {
  const { endpoint, headers, compression, timeout } = given
  return {
    protocol,
    endpoint,
    headers,
    gzip: compression === 'gzip',
    timeout,
    insecure: tls.insecure ?? endpoint.startsWith('http://'),
    caFile: tls.ca_file ?? undefined,
    certFile: tls.cert_file ?? undefined,
    keyFile: tls.key_file ?? undefined,
  }
}

/** The older form: one exporter with a protocol. */
const otlp = z
  .strictObject({
    protocol: z.enum(['grpc', 'http/protobuf']).default('http/protobuf'),
    insecure: z.boolean().nullish(),
    certificate: file(),
    client_certificate: file(),
    client_key: file(),
    ...shared,
  })
  .transform(given => {
    const { protocol, insecure, certificate, client_certificate, client_key } = given
    const tls = { insecure, ca_file: certificate, cert_file: client_certificate, key_file: client_key }
    return destination(protocol === 'grpc' ? 'grpc' : 'http', given, tls)
  })
const otlpGrpc = z.strictObject({ ...shared, tls }).transform(given => destination('grpc', given, given.tls ?? {}))
const otlpHttp = z
  .strictObject({ ...shared, tls, encoding: z.literal('protobuf').nullish() })
  .transform(given => destination('http', given, given.tls ?? {}))

/** Schema of `exporter` in readers and processors. */
export const ownExporter = z
  .strictObject({ otlp: otlp.optional(), otlp_grpc: otlpGrpc.optional(), otlp_http: otlpHttp.optional() })
  .transform((given, context): OwnDestination => {
    const found = [given.otlp, given.otlp_grpc, given.otlp_http].filter(one => one !== undefined)
    const [only] = found
    if (only === undefined || found.length !== 1) {
      context.addIssue({ code: 'custom', message: 'name one exporter: `otlp`, `otlp_grpc` or `otlp_http`' })
      return z.NEVER
    }
    if (only.protocol === 'http' && !/^https?:\/\/[^/]/.test(only.endpoint)) {
      const message = `\`endpoint\`: \`${shownUrl(only.endpoint)}\` is no URL; write one such as \`http://localhost:4318\``
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }
    return only
  })
  .describe('Where it is sent to.')

/** Schema of one entry of `processors`, for spans and for logs. */
export const ownProcessor = (delay: number) =>
  z
    .strictObject({
      batch: z
        .strictObject({
          schedule_delay: int(1).default(delay).describe('In milliseconds.'),
          export_timeout: int(0).default(30_000).describe('In milliseconds.'),
          max_queue_size: int(1).default(2048),
          max_export_batch_size: int(1).default(512),
          exporter: ownExporter,
        })
        .optional(),
      simple: z
        .strictObject({ exporter: ownExporter })
        .transform(({ exporter }) => ({ ...simply, exporter }))
        .optional(),
    })
    .transform((given, context) => {
      const found = given.batch ?? given.simple
      if (found !== undefined && (given.batch === undefined) !== (given.simple === undefined)) return found
      context.addIssue({ code: 'custom', message: 'a processor has either `batch` or `simple`' })
      return z.NEVER
    })

/** Not gathered for long. */
const simply = { schedule_delay: 50, export_timeout: 30_000, max_queue_size: 2048, max_export_batch_size: 512 }

/** What a sampler says: how many of all requests are traced. */
const simple = z
  .strictObject({
    always_on: z.looseObject({}).nullable().optional(),
    always_off: z.looseObject({}).nullable().optional(),
    trace_id_ratio_based: z.strictObject({ ratio: z.number().min(0).max(1).default(1) }).optional(),
  })
  .transform((given, context): number => {
    const [name, ...others] = Object.keys(given)
    if (name !== undefined && others.length === 0) {
      return given.trace_id_ratio_based?.ratio ?? (name === 'always_on' ? 1 : 0)
    }
    const message = 'name one sampler: `always_on`, `always_off`, `trace_id_ratio_based` or `parent_based`'
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })

/** Schema of `sampler`; parses to the share of requests that is traced. */
export const ownSampler = z.union([
  z
    .strictObject({
      parent_based: z.looseObject({ root: simple.optional() }),
    })
    .transform(({ parent_based }) => parent_based.root ?? 1),
  simple,
])
