/** How the process is, for extensions that tell others. */
import type { Kind } from './component.ts'
import type { ConfiguredPipeline } from './configured.ts'
import { HostKey } from './host.ts'
import type { Status } from './status.ts'

/** One component that runs. */
export interface RunningComponent {
  readonly kind: Kind
  readonly id: string
  readonly type: string
  /** Of a processor: the pipeline it is in. */
  readonly pipeline: string | undefined
  readonly status: Status
}

/** What is known of the process. */
export interface Health {
  readonly version: string
  /** When it was started, in milliseconds since the epoch. */
  readonly started: number
  /** Where it is in its life: `starting`, `running`, `stopping`. */
  phase(): string
  /** Whether data is taken. */
  ready(): boolean
  components(): readonly RunningComponent[]
  pipelines(): readonly ConfiguredPipeline[]
}

/** The health of the process. */
export const healthKey = new HostKey<Health>('health')
