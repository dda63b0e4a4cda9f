/** `service.telemetry`: what Kymo tells of itself. Keys and defaults are the Collector's. */
import * as z from 'zod'
import { duration, int, texts } from '../core/fields.ts'
import { ownExporter, ownProcessor, ownSampler } from './destination-config.ts'

/** The Collector takes levels in any case. */
const lowerCase = z.string().transform(text => text.toLowerCase())

/** Log levels by their names; those above `error` are Go's and mean the same here. */
const logLevel = lowerCase
  .pipe(z.enum(['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal']))
  .transform(level => (level === 'dpanic' || level === 'panic' || level === 'fatal' ? 'error' : level))

const logs = z.strictObject({
  level: logLevel.prefault('info').describe('Least level that is logged: `debug`, `info`, `warn`, `error`.'),
  levels: z.record(z.string(), logLevel).default({}).describe('Levels of single modules, such as `otlp: debug`.'),
  encoding: z.enum(['console', 'json']).default('console').describe('One line of text, or JSON.'),
  sampling: z
    .strictObject({
      enabled: z.boolean().default(true),
      tick: duration().prefault('10s'),
      initial: int(0).default(10).describe('Equal messages logged in each tick before sampling starts.'),
      thereafter: int(0).default(100).describe('From then on, one of so many.'),
    })
    .prefault({})
    .describe('Keeps a message that repeats from filling the log.'),
  output_paths: texts().default(['stderr']).describe('Where logs go: `stderr`, `stdout`, or files.'),
  error_output_paths: texts().default(['stderr']).describe("Where the logger's own errors go."),
  development: z.boolean().default(false).describe("Accepted as the Collector's; without effect."),
  disable_caller: z.boolean().default(false).describe("Accepted as the Collector's; without effect."),
  disable_stacktrace: z.boolean().default(false).describe('Leaves stack traces out.'),
  disable_zap_resource: z.boolean().default(false).describe("Accepted as the Collector's; without effect."),
  initial_fields: z.record(z.string(), z.unknown()).default({}).describe('Fields added to every line.'),
  processors: z.array(ownProcessor(1000)).default([]).describe('Where logs are sent besides.'),
})

const prometheus = z.strictObject({
  host: z.string().default('localhost'),
  port: int(0).default(8888),
  without_scope_info: z.boolean().nullish(),
  without_type_suffix: z.boolean().nullish(),
  without_units: z.boolean().nullish(),
  with_resource_constant_labels: z.looseObject({}).nullish(),
  translation_strategy: z.string().nullish(),
})

/** One way out for Kymo's own metrics, in the form of the OpenTelemetry declarative configuration. */
const reader = z
  .strictObject({
    pull: z
      .strictObject({
        exporter: z.looseObject({ prometheus: prometheus.optional(), 'prometheus/development': prometheus.optional() }),
      })
      .optional()
      .describe('Served to whoever scrapes it.'),
    periodic: z
      .strictObject({
        interval: int(1).default(60_000).describe('In milliseconds.'),
        timeout: int(0).default(30_000).describe('In milliseconds.'),
        exporter: ownExporter,
        producers: z.array(z.unknown()).nullish(),
        cardinality_limits: z.looseObject({}).nullish(),
      })
      .optional()
      .describe('Sent at intervals.'),
  })
  .refine(one => (one.pull === undefined) !== (one.periodic === undefined), {
    error: 'a reader has either `pull` or `periodic`',
  })

const ownReader = { pull: { exporter: { prometheus: {} } } }

const metrics = z
  .strictObject({
    level: lowerCase
      .pipe(z.enum(['none', 'basic', 'normal', 'detailed']))
      .prefault('normal')
      .describe('How many metrics there are: `none`, `basic`, `normal`, `detailed`.'),
    readers: z.array(reader).prefault([ownReader]).describe('Where metrics can be had.'),
    views: z.array(z.looseObject({})).default([]).describe('Changes to single metrics; only with level `detailed`.'),
    address: z.string().nullish().describe('Removed from the Collector; accepted as the address of the pull reader.'),
  })
  .refine(m => m.level === 'none' || m.readers.length > 0, {
    error: 'needs at least one reader unless `level` is `none`',
    path: ['readers'],
  })
  .refine(m => m.views.length === 0 || m.level === 'detailed', {
    error: 'only allowed with `level: detailed`',
    path: ['views'],
  })

const attribute = z.strictObject({ name: z.string(), value: z.unknown(), type: z.string().nullish() })

/** Schema of `service.telemetry`. */
export const telemetryConfig = z.strictObject({
  logs: logs.prefault({}).describe("Kymo's own logs."),
  metrics: metrics.prefault({}).describe("Kymo's own metrics."),
  traces: z
    .strictObject({
      level: lowerCase.pipe(z.enum(['none', 'basic', 'normal', 'detailed'])).prefault('basic'),
      propagators: texts().default([]).describe('How trace context travels: `tracecontext`, `b3`.'),
      processors: z.array(ownProcessor(5000)).default([]).describe('Where spans are sent.'),
      sampler: ownSampler
        .nullish()
        .describe('How many batches are traced; without it one in a hundred, 50 a second at most.'),
    })
    .prefault({})
    .describe("Kymo's own traces."),
  resource: z
    .looseObject({
      attributes: z.array(attribute).nullish(),
      attributes_list: z.string().nullish(),
      schema_url: z.string().nullish(),
      'detection/development': z.looseObject({}).nullish(),
    })
    .default({})
    .describe('Resource attributes of own telemetry: a flat section (null leaves a default out), or `attributes`.'),
})

/** What `service.telemetry` parses to. */
export type TelemetryConfig = z.output<typeof telemetryConfig>

/** Where metrics are asked for, as its pull readers say; one is used. */
export const pullsOf = ({ readers }: TelemetryConfig['metrics']) =>
  readers.flatMap(({ pull }) => pull?.exporter.prometheus ?? pull?.exporter['prometheus/development'] ?? [])

/** Where the admin server listens, and metrics are served, unless the command line has another place: `host:port`, or `unix:PATH`. */
export function metricsEndpoint(metrics: TelemetryConfig['metrics']): string {
  const { address } = metrics
  if (address) return address.startsWith(':') ? `0.0.0.0${address}` : address
  const [{ host, port } = { host: 'localhost', port: 8888 }] = pullsOf(metrics)
  // A socket has no port.
  if (host.startsWith('unix:')) return host
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
