/** Small components with real schemas, so that the loader is tested without any that ships. */
import * as z from 'zod'
import {
  defineConnector,
  defineExporter,
  defineExtension,
  defineProcessor,
  defineReceiver,
  type Definition,
  type Exporter,
} from '../../core/component.ts'
import { duration, int, secret, texts } from '../../core/fields.ts'
import { sending } from '../../core/sending.ts'
import { ConfigErrors, type LoadOptions } from '../../config/load.ts'
import { loadPlan, type Planned } from '../../plan/load.ts'

const all = ['traces', 'metrics', 'logs'] as const
const declared = { stability: 'alpha', summary: 'A toy.', examples: [] } as const
const send: Exporter = { send: () => Promise.resolve(undefined) }

const tls = z.strictObject({
  insecure: z.boolean().default(false),
  ca_file: z.string().default(''),
  min_version: z.enum(['1.2', '1.3']).default('1.2'),
})

/** A schema that contains itself. */
const anything: z.ZodType = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.array(anything), z.record(z.string(), anything)]),
)

/** The components of the toy build. */
export const toys: readonly Definition[] = [
  defineReceiver({
    ...declared,
    type: 'otlp',
    signals: all,
    config: z
      .strictObject({
        protocols: z.strictObject({
          grpc: z
            .strictObject({
              endpoint: z.string().default('localhost:4317'),
              max_recv_msg_size_mib: int(0).default(64),
              keepalive: z.strictObject({ time: duration().prefault('0s') }).nullish(),
            })
            .optional(),
          http: z.strictObject({ endpoint: z.string().default('localhost:4318') }).optional(),
        }),
      })
      .refine(c => c.protocols.grpc !== undefined || c.protocols.http !== undefined, {
        error: 'must specify at least one protocol: `grpc` or `http`',
      }),
    create: () => ({}),
  }),
  defineReceiver({
    ...declared,
    type: 'syslog',
    signals: ['logs'],
    config: z.strictObject({
      mode: z
        .discriminatedUnion('type', [
          z.strictObject({ type: z.literal('tcp'), listen_address: z.string() }),
          z.strictObject({ type: z.literal('udp'), max_octets: int(1).default(8192) }),
        ])
        .optional(),
      source: z
        .union([z.strictObject({ file_path: z.string() }), z.strictObject({ port: z.number().min(1).max(65_535) })])
        .optional(),
    }),
    create: () => ({}),
  }),
  defineProcessor({
    ...declared,
    type: 'batch',
    signals: all,
    hold: 'flush',
    config: z.strictObject({
      timeout: duration().prefault('200ms'),
      send_batch_size: int(0).default(8192),
      metadata_keys: texts().default([]),
    }),
    touches: () => [{ depth: 'request', does: 'moves', key: '', what: 'requests into larger batches' }],
    create: () => source => source,
  }),
  defineProcessor({
    ...declared,
    type: 'resource',
    signals: all,
    hold: 'none',
    config: z.strictObject({
      attributes: z
        .array(
          z.strictObject({
            key: z.string().min(1),
            value: anything,
            action: z.enum(['insert', 'update', 'upsert', 'delete']),
          }),
        )
        .min(1),
    }),
    create: () => source => source,
  }),
  ...(['memory_limiter', 'namespace_filter', 'filter', 'any'] as const).map(type =>
    defineProcessor({
      ...declared,
      type,
      signals: all,
      hold: 'none',
      first: type === 'memory_limiter',
      touches: () =>
        type === 'filter' ? [{ depth: 'item', does: 'drops', key: '', what: 'some', reason: 'some' }] : [],
      config: z.looseObject({}),
      create: () => source => source,
    }),
  ),
  defineProcessor({
    ...declared,
    type: 'tail_sampling',
    signals: ['traces'],
    hold: 'state',
    config: z.strictObject({ ratio: z.number().min(0).max(1).default(1), on: z.boolean().default(true) }),
    create: () => source => source,
  }),
  defineExporter({
    ...declared,
    type: 'otlp_grpc',
    aliases: ['otlp'],
    signals: all,
    ordering: 'none',
    config: z.strictObject({
      ...sending(),
      endpoint: z.string().min(1),
      tls: tls.prefault({}),
      headers: z.record(z.string(), secret()).default({}),
      compression: z.enum(['gzip', 'zstd', 'none']).default('gzip'),
    }),
    create: () => send,
  }),
  defineExporter({
    ...declared,
    type: 'otlp_http',
    aliases: ['otlphttp'],
    signals: all,
    ordering: 'none',
    config: z.strictObject({
      ...sending({ timeout: '30s' }),
      endpoint: z.string().min(1),
      password: secret().optional(),
      pin: secret().optional(),
    }),
    create: () => send,
  }),
  defineExporter({
    ...declared,
    type: 'debug',
    signals: all,
    ordering: 'none',
    config: z.strictObject({
      ...sending({ queue: false }),
      verbosity: z.enum(['basic', 'normal', 'detailed']).default('basic'),
    }),
    create: () => send,
  }),
  defineConnector({
    ...declared,
    type: 'forward',
    signals: all,
    hold: 'none',
    joins: [
      ['traces', 'traces'],
      ['metrics', 'metrics'],
      ['logs', 'logs'],
    ],
    config: z.strictObject({}),
    create: () => source => source,
  }),
  defineConnector({
    ...declared,
    type: 'span_metrics',
    aliases: ['spanmetrics'],
    signals: ['traces'],
    hold: 'state',
    joins: [['traces', 'metrics']],
    config: z.strictObject({}),
    create: () => source => source,
  }),
  defineExtension({
    ...declared,
    type: 'health_check',
    signals: [],
    config: z.strictObject({ endpoint: z.string().default('localhost:13133') }),
    create: () => ({}),
  }),
]

/** Loads YAML texts, merged in order. */
export function load(texts: string | readonly string[], more: Partial<LoadOptions> = {}): Planned {
  const sources = typeof texts === 'string' ? [`yaml:${texts}`] : texts.map(text => `yaml:${text}`)
  return loadPlan({ components: toys, env: {}, sources, ...more })
}

/** Errors as `line:column message (hint)`; empty when there are none. */
export function errorsOf(texts: string | readonly string[], more: Partial<LoadOptions> = {}): string[] {
  try {
    load(texts, more)
  } catch (error) {
    if (error instanceof ConfigErrors) return error.errors.map(lineOf)
    throw error
  }
  return []
}

/** Warnings of a configuration without errors, in the same form. */
export function warningsOf(texts: string | readonly string[], more: Partial<LoadOptions> = {}): string[] {
  return load(texts, more).warnings.map(lineOf)
}

function lineOf({ position, message, hint }: ConfigErrors['errors'][number]): string {
  const where = position === undefined ? '' : `${position.line}:${position.column} `
  return `${where}${message}${hint === undefined ? '' : ` (${hint})`}`
}

/** A configuration around the sections under test. */
export const around = (sections: string, pipeline = 'receivers: [otlp], exporters: [debug]') =>
  `receivers: {otlp: {protocols: {grpc: }}}
${sections.includes('exporters:') ? '' : 'exporters: {debug: }'}
service: {pipelines: {traces: {${pipeline}}}}
${sections}`
