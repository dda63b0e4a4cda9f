/** What tests of the exporter need to run it against an intake of their own. */
import type { Exporter } from '../../../core/component.ts'
import type { Status } from '../../../core/status.ts'
import { datadogExporter } from '../../../exporters/datadog/datadog.ts'
import { exporterOf } from '../../support/exporting.ts'
import { encode } from '../../support/otlp.ts'
import { FakeIntake } from './fake-intake.ts'

/** A key as it is in the configuration; nothing may print it. */
export const key = 'f00ba4f00ba4f00ba4f00ba4f00ba4f0'

/** An exporter and the intake it sends to. */
export interface Run {
  readonly exporter: Exporter
  readonly intake: FakeIntake
  readonly status: Status
  stop(): Promise<void>
}

/** The configuration that sends all to `url`. */
export const configFor = (url: string, more: Readonly<Record<string, object | string | boolean>> = {}): object => ({
  api: { key },
  hostname: 'gateway',
  host_metadata: { enabled: false },
  ...more,
  metrics: { endpoint: url, ...(more['metrics'] as object | undefined) },
  logs: { endpoint: url, ...(more['logs'] as object | undefined) },
  traces: { endpoint: url, ...(more['traces'] as object | undefined) },
})

export async function run(more: Readonly<Record<string, object | string | boolean>> = {}): Promise<Run> {
  const intake = await new FakeIntake().start()
  const { exporter, status } = exporterOf(datadogExporter, configFor(intake.url, more))
  return {
    exporter,
    intake,
    status,
    async stop() {
      await exporter.stop?.()
      intake.stop()
    },
  }
}

/** Attributes as OTLP has them. */
export const attributes = (values: Readonly<Record<string, unknown>>): object[] =>
  Object.entries(values).map(([name, value]) => ({ key: name, value: anyValue(value) }))

function anyValue(value: unknown): object {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { int_value: value } : { double_value: value }
  if (value instanceof Uint8Array) return { bytes_value: value }
  if (Array.isArray(value)) return { array_value: { values: value.map(anyValue) } }
  if (typeof value === 'object' && value !== null)
    return { kvlist_value: { values: attributes(value as Record<string, unknown>) } }
  return {}
}

type Values = Readonly<Record<string, unknown>>

/** A request of metrics of one resource and scope. */
export const metricsRequest = (metrics: readonly object[], resource: Values = {}, scope: object = {}): Buffer =>
  encode('ExportMetricsServiceRequest', {
    resource_metrics: [{ resource: { attributes: attributes(resource) }, scope_metrics: [{ scope, metrics }] }],
  })

/** A request of logs of one resource and scope. */
export const logsRequest = (records: readonly object[], resource: Values = {}, scope: object = {}): Buffer =>
  encode('ExportLogsServiceRequest', {
    resource_logs: [{ resource: { attributes: attributes(resource) }, scope_logs: [{ scope, log_records: records }] }],
  })
