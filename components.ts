/** The list: every component of this build. A component that is not in it does not exist. */
import { count } from './connectors/count/count.ts'
import { datadogConnector } from './connectors/datadog.ts'
import { forward } from './connectors/forward.ts'
import type { Definition } from './core/component.ts'
import { basicauth } from './extensions/basicauth/basicauth.ts'
import { bearertokenauth } from './extensions/bearertokenauth.ts'
import { fileStorage } from './extensions/file_storage/file_storage.ts'
import { headersSetter } from './extensions/headers_setter.ts'
import { healthCheck } from './extensions/health_check/health_check.ts'
import { zpages } from './extensions/zpages.ts'
import { datadogExporter } from './exporters/datadog/datadog.ts'
import { debug } from './exporters/debug.ts'
import { file } from './exporters/file.ts'
import { jaeger } from './exporters/jaeger.ts'
import { loki } from './exporters/loki/loki.ts'
import { nopExporter } from './exporters/nop.ts'
import { otlpGrpcExporter } from './exporters/otlp_grpc.ts'
import { otlpHttpExporter } from './exporters/otlp_http.ts'
import { prometheus } from './exporters/prometheus/prometheus.ts'
import { prometheusRemoteWrite } from './exporters/prometheus_remote_write/prometheus_remote_write.ts'
import { attributes } from './processors/attributes.ts'
import { batch } from './processors/batch.ts'
import { groupByAttrs } from './processors/groupbyattrs/groupbyattrs.ts'
import { memoryLimiter } from './processors/memory_limiter.ts'
import { namespaceFilter } from './processors/namespace_filter.ts'
import { probabilisticSampler } from './processors/probabilistic_sampler/probabilistic_sampler.ts'
import { redaction } from './processors/redaction/redaction.ts'
import { resourceDetection } from './processors/resource_detection/resource_detection.ts'
import { resource } from './processors/resource.ts'
import { internal } from './receivers/internal.ts'
import { otlp } from './receivers/otlp/otlp.ts'
import { otlpJsonFile } from './receivers/otlp_json_file/otlp_json_file.ts'

/** All of them, in the order of a pipeline. */
export const components: readonly Definition[] = [
  otlp,
  otlpJsonFile,
  internal,
  memoryLimiter,
  namespaceFilter,
  probabilisticSampler,
  resourceDetection,
  resource,
  attributes,
  redaction,
  groupByAttrs,
  batch,
  otlpGrpcExporter,
  otlpHttpExporter,
  jaeger,
  loki,
  prometheus,
  prometheusRemoteWrite,
  datadogExporter,
  debug,
  file,
  nopExporter,
  forward,
  count,
  datadogConnector,
  healthCheck,
  basicauth,
  bearertokenauth,
  headersSetter,
  fileStorage,
  zpages,
]
