/** The list: every component of this build. A component that is not in it does not exist. */
import type { Definition } from './core/component.ts'
import { debug } from './exporters/debug.ts'
import { nopExporter } from './exporters/nop.ts'
import { otlpGrpcExporter } from './exporters/otlp_grpc.ts'
import { otlpHttpExporter } from './exporters/otlp_http.ts'
import { batch } from './processors/batch.ts'
import { memoryLimiter } from './processors/memory_limiter.ts'
import { namespaceFilter } from './processors/namespace_filter.ts'
import { resource } from './processors/resource.ts'
import { otlp } from './receivers/otlp/otlp.ts'

/** All of them, in the order of a pipeline. */
export const components: readonly Definition[] = [
  otlp,
  memoryLimiter,
  namespaceFilter,
  resource,
  batch,
  otlpGrpcExporter,
  otlpHttpExporter,
  debug,
  nopExporter,
]
