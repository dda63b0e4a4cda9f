/** From `service.telemetry` and the environment to what the process is told about itself. */
import { randomUUID } from 'node:crypto'
import { parseEndpoint } from '../net/listeners.ts'
import type { Writable } from '../proto/values.ts'
import { metricsEndpoint, pullsOf, type TelemetryConfig } from '../telemetry/config.ts'
import { type LogSettings, parseLogLevels } from '../telemetry/logger.ts'
import type { Attributes } from '../proto/metric-write.ts'
import type { Sampling } from '../telemetry/tracer.ts'
import type { OwnExport } from './own-exports.ts'

/** What follows from `service.telemetry`. */
export interface OwnTelemetry {
  readonly logs: LogSettings
  /** `stderr`, `stdout`, or a file. */
  readonly logPath: string
  readonly admin: {
    /** `host:port`, or `unix:PATH`. */
    readonly endpoint: string
    readonly metrics: boolean
  }
  /** What it says of this process. */
  readonly resource: Attributes
  /** Where it is sent. */
  readonly exports: readonly OwnExport[]
  /** How many batches are traced, if somebody takes the spans. */
  readonly sampling: Sampling
  /** What was asked for and is not done. */
  readonly warnings: readonly string[]
}

/**
 * Reads the settings; `KYMO_LOG` wins over the configuration.
 * @throws Error when `KYMO_LOG` is no list of levels
 */
export function ownTelemetry(config: TelemetryConfig, env: NodeJS.ProcessEnv, version: string): OwnTelemetry {
  const { logs, metrics } = config
  const warnings: string[] = []
  const asked = logLevelsOf(env['KYMO_LOG'] ?? '')
  const [logPath = 'stderr', ...more] = logs.output_paths
  if (more.length > 0) warnings.push(`logs go to one place in this build: ${logPath}, not ${more.join(', ')}`)
  if (pullsOf(metrics).length > 1)
    warnings.push('metrics are served on one address: the first pull reader of `readers`')
  return {
    logs: {
      level: asked.level ?? logs.level,
      encoding: logs.encoding,
      modules: { ...logs.levels, ...asked.modules },
      fields: logs.initial_fields,
      sampling: logs.sampling.enabled ? logs.sampling : undefined,
    },
    logPath,
    resource: resourceOf(config, version),
    exports: exportsOf(config),
    sampling: samplingOf(config),
    admin: { endpoint: metricsEndpoint(metrics), metrics: metrics.level !== 'none' },
    warnings,
  }
}

function logLevelsOf(text: string): ReturnType<typeof parseLogLevels> {
  try {
    return parseLogLevels(text)
  } catch (error) {
    throw new Error(`environment variable KYMO_LOG: ${error instanceof Error ? error.message : ''}`, { cause: error })
  }
}

/** What the command line says of the admin server. */
export interface AdminOptions {
  readonly admin?: string | undefined
  readonly adminHost?: readonly string[] | undefined
  readonly adminTap?: 'on' | 'off' | undefined
}

/** Where all of it is served, if not where metrics are; and what it is called. */
export interface AdminPlace {
  readonly apart: string | undefined
  readonly names: readonly string[]
  /** Whether data may be looked at through it. */
  readonly tap: boolean
}

/**
 * Reads them, and `KYMO_ADMIN` where it names a socket: that is a place both for who serves and for who asks. An address in
 * it is where commands ask, and may be somebody else's.
 * @throws Error when the place is none
 */
export function adminPlace({ admin, adminHost = [], adminTap }: AdminOptions, env: NodeJS.ProcessEnv): AdminPlace {
  const common = env['KYMO_ADMIN'] ?? ''
  const apart = admin ?? (common.startsWith('unix:') ? common : undefined)
  if (apart !== undefined && parseEndpoint(apart) === undefined) {
    throw new Error(`--admin ${apart} is no place to listen; write \`unix:PATH\` or \`host:port\``)
  }
  return { apart, names: adminHost.filter(name => name !== ''), tap: adminTap !== 'off' }
}

/** Without a sampler: enough to see where time goes, at a cost that nobody feels. */
const usual: Sampling = { ratio: 0.01, perSecond: 50 }
/** Where a sampler is given, it is followed, up to what is a flood. */
const mostPerSecond = 1000

function samplingOf({ traces }: TelemetryConfig): Sampling {
  if (traces.level === 'none') return { ratio: 0, perSecond: 0 }
  const { sampler: ratio } = traces
  return ratio === undefined || ratio === null ? usual : { ratio, perSecond: mostPerSecond }
}

/** How many items of metrics wait: none, they are read when they are sent. */
const unused = { most: 0, room: 0 }

function exportsOf({ metrics, traces, logs }: TelemetryConfig): OwnExport[] {
  const readers = metrics.level === 'none' ? [] : metrics.readers
  const ofMetrics = readers.flatMap(({ periodic }): OwnExport[] => {
    if (periodic === undefined) return []
    const { interval, timeout, exporter: destination } = periodic
    return [{ signal: 'metrics', destination, interval, timeout, ...unused }]
  })
  const gathered = (signal: 'traces' | 'logs', processors: typeof logs.processors): OwnExport[] =>
    processors.map(one => ({
      signal,
      destination: one.exporter,
      interval: one.schedule_delay,
      timeout: one.export_timeout,
      most: one.max_export_batch_size,
      room: Math.max(one.max_queue_size, one.max_export_batch_size),
    }))
  const spans = traces.level === 'none' ? [] : gathered('traces', traces.processors)
  return [...ofMetrics, ...spans, ...gathered('logs', logs.processors)]
}

/** Keys of the section that are no attributes. */
const sectionKeys = new Set(['attributes', 'attributes_list', 'schema_url', 'detection/development'])

function resourceOf({ resource }: TelemetryConfig, version: string): Attributes {
  const listed = (resource.attributes ?? []).map(({ name, value }) => [name, value] as const)
  const flat = Object.entries(resource).filter(([name]) => !sectionKeys.has(name))
  const given: Record<string, unknown> = Object.fromEntries([...flat, ...listed])
  const all: Record<string, unknown> = {
    'service.name': 'kymo',
    'service.version': version,
    'service.instance.id': randomUUID(),
    ...given,
  }
  const attributes: Record<string, Writable> = {}
  for (const [name, value] of Object.entries(all)) if (isWritable(value)) attributes[name] = value
  return attributes
}

/** Null leaves a default out. */
function isWritable(value: unknown): value is string | number | bigint | boolean | string[] {
  if (Array.isArray(value)) return value.every(item => typeof item === 'string')
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
}
