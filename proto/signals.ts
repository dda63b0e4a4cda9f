/**
 * What differs between the signals, as data. All three have one shape on the wire (OTLP specification, "Protocol
 * Details"): request = repeated resource group (1); resource group = resource (1), repeated scope group (2), schema URL
 * (3); scope group = scope (1), repeated item (2), schema URL (3).
 */

/** A kind of telemetry, named as in `service.pipelines`. */
export type Signal = 'traces' | 'metrics' | 'logs'

/** What stands in for a signal's name in paths, messages and metrics. */
export interface SignalFacts {
  /** Path of the OTLP/HTTP endpoint. */
  readonly path: string
  /** Path of the OTLP/gRPC method. */
  readonly grpcPath: string
  /** What one item is called in texts: items are spans, log records, data points. */
  readonly noun: string
  /** What one item is called in the Collector's metric names, as in `otelcol_exporter_sent_spans`. */
  readonly metricNoun: string
  /** Message of a request, of one resource group, of one scope group and of one wire item, as in proto/schema.ts. */
  readonly request: string
  readonly resourceGroup: string
  readonly scopeGroup: string
  readonly item: string
  /** Message of the response, and the name of its partial success counter. */
  readonly response: string
  readonly rejectedField: string
}

const facts = (
  path: string,
  singular: 'trace' | 'metrics' | 'logs',
  service: 'Trace' | 'Metrics' | 'Logs',
  names: Pick<SignalFacts, 'noun' | 'metricNoun' | 'resourceGroup' | 'scopeGroup' | 'item' | 'rejectedField'>,
): SignalFacts => ({
  path,
  grpcPath: `/opentelemetry.proto.collector.${singular}.v1.${service}Service/Export`,
  request: `Export${service}ServiceRequest`,
  response: `Export${service}ServiceResponse`,
  ...names,
})

/** The table of differences; a new signal starts with a row here. */
export const signals = {
  traces: facts('/v1/traces', 'trace', 'Trace', {
    noun: 'spans',
    metricNoun: 'spans',
    resourceGroup: 'ResourceSpans',
    scopeGroup: 'ScopeSpans',
    item: 'Span',
    rejectedField: 'rejected_spans',
  }),
  metrics: facts('/v1/metrics', 'metrics', 'Metrics', {
    noun: 'data points',
    metricNoun: 'metric_points',
    resourceGroup: 'ResourceMetrics',
    scopeGroup: 'ScopeMetrics',
    item: 'Metric',
    rejectedField: 'rejected_data_points',
  }),
  logs: facts('/v1/logs', 'logs', 'Logs', {
    noun: 'log records',
    metricNoun: 'log_records',
    resourceGroup: 'ResourceLogs',
    scopeGroup: 'ScopeLogs',
    item: 'LogRecord',
    rejectedField: 'rejected_log_records',
  }),
} as const satisfies Record<Signal, SignalFacts>

/** Every signal, in the order of the Collector's documentation. */
export const allSignals: readonly Signal[] = ['traces', 'metrics', 'logs']
