/**
 * The list: every component of this build, each loaded when a configuration has it. A component that is not in it does not
 * exist.
 */
import type { Definition } from './core/component.ts'
import type { Listed } from './core/listed.ts'

/** All of them, in the order of a pipeline. */
export const components: readonly Listed[] = [
  { kind: 'receiver', names: ['otlp'], load: async () => (await import('./receivers/otlp/otlp.ts')).otlp },
  {
    kind: 'receiver',
    names: ['otlp_json_file', 'otlpjsonfile'],
    load: async () => (await import('./receivers/otlp_json_file/otlp_json_file.ts')).otlpJsonFile,
  },
  {
    kind: 'receiver',
    names: ['host_metrics', 'hostmetrics'],
    load: async () => (await import('./receivers/host_metrics/host_metrics.ts')).hostMetrics,
  },
  { kind: 'receiver', names: ['internal'], load: async () => (await import('./receivers/internal.ts')).internal },
  {
    kind: 'processor',
    names: ['memory_limiter'],
    load: async () => (await import('./processors/memory_limiter.ts')).memoryLimiter,
  },
  {
    kind: 'processor',
    names: ['namespace_filter'],
    load: async () => (await import('./processors/namespace_filter.ts')).namespaceFilter,
  },
  {
    kind: 'processor',
    names: ['probabilistic_sampler'],
    load: async () =>
      (await import('./processors/probabilistic_sampler/probabilistic_sampler.ts')).probabilisticSampler,
  },
  {
    kind: 'processor',
    names: ['resource_detection', 'resourcedetection'],
    load: async () => (await import('./processors/resource_detection/resource_detection.ts')).resourceDetection,
  },
  { kind: 'processor', names: ['resource'], load: async () => (await import('./processors/resource.ts')).resource },
  {
    kind: 'processor',
    names: ['attributes'],
    load: async () => (await import('./processors/attributes.ts')).attributes,
  },
  {
    kind: 'processor',
    names: ['redaction'],
    load: async () => (await import('./processors/redaction/redaction.ts')).redaction,
  },
  {
    kind: 'processor',
    names: ['groupbyattrs'],
    load: async () => (await import('./processors/groupbyattrs/groupbyattrs.ts')).groupByAttrs,
  },
  { kind: 'processor', names: ['batch'], load: async () => (await import('./processors/batch.ts')).batch },
  {
    kind: 'exporter',
    names: ['otlp_grpc', 'otlp'],
    load: async () => (await import('./exporters/otlp_grpc.ts')).otlpGrpcExporter,
  },
  {
    kind: 'exporter',
    names: ['otlp_http', 'otlphttp'],
    load: async () => (await import('./exporters/otlp_http.ts')).otlpHttpExporter,
  },
  { kind: 'exporter', names: ['jaeger'], load: async () => (await import('./exporters/jaeger.ts')).jaeger },
  { kind: 'exporter', names: ['loki'], load: async () => (await import('./exporters/loki/loki.ts')).loki },
  {
    kind: 'exporter',
    names: ['prometheus'],
    load: async () => (await import('./exporters/prometheus/prometheus.ts')).prometheus,
  },
  {
    kind: 'exporter',
    names: ['prometheus_remote_write', 'prometheusremotewrite'],
    load: async () =>
      (await import('./exporters/prometheus_remote_write/prometheus_remote_write.ts')).prometheusRemoteWrite,
  },
  {
    kind: 'exporter',
    names: ['datadog'],
    load: async () => (await import('./exporters/datadog/datadog.ts')).datadogExporter,
  },
  { kind: 'exporter', names: ['debug'], load: async () => (await import('./exporters/debug.ts')).debug },
  { kind: 'exporter', names: ['file'], load: async () => (await import('./exporters/file.ts')).file },
  { kind: 'exporter', names: ['nop'], load: async () => (await import('./exporters/nop.ts')).nopExporter },
  { kind: 'connector', names: ['forward'], load: async () => (await import('./connectors/forward.ts')).forward },
  { kind: 'connector', names: ['count'], load: async () => (await import('./connectors/count/count.ts')).count },
  {
    kind: 'connector',
    names: ['datadog'],
    load: async () => (await import('./connectors/datadog.ts')).datadogConnector,
  },
  {
    kind: 'extension',
    names: ['health_check'],
    load: async () => (await import('./extensions/health_check/health_check.ts')).healthCheck,
  },
  {
    kind: 'extension',
    names: ['basicauth'],
    load: async () => (await import('./extensions/basicauth/basicauth.ts')).basicauth,
  },
  {
    kind: 'extension',
    names: ['bearertokenauth'],
    load: async () => (await import('./extensions/bearertokenauth.ts')).bearertokenauth,
  },
  {
    kind: 'extension',
    names: ['headers_setter'],
    load: async () => (await import('./extensions/headers_setter.ts')).headersSetter,
  },
  {
    kind: 'extension',
    names: ['file_storage'],
    load: async () => (await import('./extensions/file_storage/file_storage.ts')).fileStorage,
  },
  { kind: 'extension', names: ['pprof'], load: async () => (await import('./extensions/pprof.ts')).pprof },
  {
    kind: 'extension',
    names: ['cgroup_runtime', 'cgroupruntime'],
    load: async () => (await import('./extensions/cgroup_runtime.ts')).cgroupRuntime,
  },
  { kind: 'extension', names: ['zpages'], load: async () => (await import('./extensions/zpages.ts')).zpages },
]

/** Loads all of them, for what tells of all. */
export const everyComponent = (): Promise<readonly Definition[]> => Promise.all(components.map(one => one.load()))
