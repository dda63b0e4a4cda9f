/** From `service.telemetry` and the environment to what the process is told about itself. */
import type { TelemetryConfig } from '../telemetry/config.ts'
import { type LogSettings, parseLogLevels } from '../telemetry/logger.ts'

/** What follows from `service.telemetry`. */
export interface OwnTelemetry {
  readonly logs: LogSettings
  /** `stderr`, `stdout`, or a file. */
  readonly logPath: string
  readonly admin: {
    /** `host:port`. */
    readonly endpoint: string
    readonly metrics: boolean
  }
  /** What was asked for and is not done. */
  readonly warnings: readonly string[]
}

/**
 * Reads the settings; `KYMO_LOG` wins over the configuration.
 * @throws Error when `KYMO_LOG` is no list of levels
 */
export function ownTelemetry({ logs, metrics }: TelemetryConfig, env: NodeJS.ProcessEnv): OwnTelemetry {
  const warnings: string[] = []
  const asked = logLevelsOf(env['KYMO_LOG'] ?? '')
  const [logPath = 'stderr', ...more] = logs.output_paths
  if (more.length > 0) warnings.push(`logs go to one place in this build: ${logPath}, not ${more.join(', ')}`)
  return {
    logs: {
      level: asked.level ?? logs.level,
      encoding: logs.encoding,
      modules: { ...logs.levels, ...asked.modules },
      fields: logs.initial_fields,
      sampling: logs.sampling.enabled ? logs.sampling : undefined,
    },
    logPath,
    admin: { endpoint: adminEndpoint(metrics, warnings), metrics: metrics.level !== 'none' },
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

function adminEndpoint({ address, readers }: TelemetryConfig['metrics'], warnings: string[]): string {
  const pulls = readers.flatMap(({ pull }) => {
    const found = pull?.exporter.prometheus ?? pull?.exporter['prometheus/development']
    return found === undefined ? [] : [found]
  })
  if (readers.some(({ periodic }) => periodic !== undefined)) {
    warnings.push('this build does not send its own metrics; it serves them: periodic `readers` are left out')
  }
  if (address) return address.startsWith(':') ? `0.0.0.0${address}` : address
  const [{ host, port } = { host: 'localhost', port: 8888 }, ...others] = pulls
  if (others.length > 0) warnings.push('metrics are served on one address: the first pull reader of `readers`')
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
