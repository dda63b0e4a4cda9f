/** What a service is made of, and what it asks of its graph. */
import type { Books } from '../core/books.ts'
import type { Clock } from '../core/clock.ts'
import type { Kind } from '../core/component.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { RunningComponent } from '../core/health.ts'
import type { Host } from '../core/host.ts'
import type { Journal } from '../core/journal.ts'
import type { Logger } from '../core/logger.ts'
import type { Prepared, ReloadPlan } from '../core/reload.ts'
import type { State, Status } from '../core/status.ts'
import type { TriedListener } from '../core/trial.ts'
import type { Plan } from '../plan/plan.ts'
import type { QueueFigures } from '../telemetry/family.ts'
import type { LogControl } from '../telemetry/logger.ts'
import type { SelfReport } from '../telemetry/self-report.ts'
import type { Sampling } from '../telemetry/tracer.ts'
import type { Access } from './access.ts'
import type { OwnExport } from './own-exports.ts'
import type { NamedStorage } from './queue-pages.ts'
import type { ReloadsParts } from './reloads.ts'
import type { Entrances } from './replay.ts'
import type { TappedGraph } from './tap.ts'

/** What a graph is given by the service. */
export interface GraphSurroundings {
  readonly host: Host
  readonly log: Logger
  readonly books: Books
  readonly journal: Journal
  readonly onStatus: (component: { kind: Kind; id: string }, status: Status, from: State) => void
}

/** What waits can be tried when somebody asks. */
export interface Retryable {
  /** Tries it now; `listener` hears of the next attempt that ends. */
  retry(listener: TriedListener): void
}

/** What the service needs of a graph. */
export interface RunningGraph extends Partial<Entrances>, Partial<TappedGraph> {
  readonly components: readonly RunningComponent[]
  readonly pipelines?: readonly ConfiguredPipeline[]
  start(): Promise<void>
  stop(deadline: number): Promise<{ lost: number }>
  exporters(): readonly (QueueFigures & Partial<Retryable>)[]
  /** Storages of queues that have started. */
  storages?(): readonly NamedStorage[]
  /** What it runs, and how to make it run something else; without these it cannot. */
  readonly plan?: Plan
  prepare?(plan: Plan, changes: ReloadPlan): Promise<Prepared>
}

/** What one service is made of. */
export interface ServicePlan {
  /** Makes the graph; it does not start it. */
  readonly graph: (surroundings: GraphSurroundings) => RunningGraph
  readonly log: Logger
  /** How `log` is shown and changed while it is written; without it, it is not. */
  readonly logs?: LogControl
  readonly version: string
  /** By which events are told; that of the machine unless said. */
  readonly clock?: Clock
  readonly admin: {
    /** `host:port`, or `unix:PATH`. */
    readonly endpoint: string
    /** Whether `/metrics` is served. */
    readonly metrics: boolean
    /** Where all pages are served in place of `endpoint`, which keeps metrics and health. */
    readonly apart?: string | undefined
    /** What it is called besides localhost and its addresses. */
    readonly names?: readonly string[]
    /** Whether data may be looked at through it. */
    readonly tap?: boolean
  }
  /** What is told about the process itself, besides the pages; without it nothing is. */
  readonly own?: {
    readonly report: SelfReport
    readonly exports: readonly OwnExport[]
    readonly sampling: Sampling
  }
  /** How another configuration is come by; without it there is none. */
  readonly reload?: Pick<ReloadsParts, 'load' | 'first' | 'deadline' | 'applyTelemetry'>
  /** Who may change anything through the admin server; nobody unless said. */
  readonly access?: Access
}
