/** What taking over a new configuration does to what runs: which components start, stop, restart, and which stay. */
import type { Kind } from './component.ts'
import type { ConfiguredPipeline } from './configured.ts'

/** Why a component does not simply go on. */
export type ReloadReason =
  /** It was not in use before. */
  | 'added'
  /** It is not in use any more. */
  | 'removed'
  /** Its configuration, with all defaults, differs. */
  | 'config'
  /** The pipelines that use it are of other signals than before. */
  | 'signals'
  /** It uses an extension that starts, stops or restarts. */
  | 'extension'
  /** Processors of its pipeline change places: what is inside goes through them in the order it came for. */
  | 'order'

/** What happens to one component. Those that are not in the plan go on as they are, with their queues and state. */
export interface ComponentReload {
  readonly kind: Kind
  readonly id: string
  readonly action: 'start' | 'stop' | 'restart'
  readonly reason: ReloadReason
  /** Ids of the pipelines in which it happens; a processor may go on in others. Empty for extensions. */
  readonly pipelines: readonly string[]
  /**
   * What becomes of the data that waits in an exporter's queue: the new one sends it (`kept`), or the old one until the
   * deadline (`drained`).
   */
  readonly queue?: 'kept' | 'drained'
  /** What becomes of the rest of a drained queue at the deadline. */
  readonly remainder?: 'lost' | 'on_disk'
  /** Items that wait in a queue that is drained. */
  readonly waiting?: number
  /** A step that gathers data: what it holds goes on to the next step before it ends. */
  readonly flushes?: boolean
}

/** A pipeline that comes, goes, or connects other components than before. */
export interface PipelineReload {
  readonly id: string
  readonly before: ConfiguredPipeline | undefined
  readonly after: ConfiguredPipeline | undefined
}

/** A configuration that is ready to run beside the one that does. One of the two is called, once. */
export interface Prepared {
  /**
   * Runs it from now on, in this turn; gives when all that has no place in it has ended, which takes `deadline` milliseconds
   * at most. What can be known before was looked at before.
   * @throws Error when it was committed or given up already, as a stop does
   */
  commit(deadline: number): { readonly over: Promise<void> }
  /** Gives it up: what runs goes on as if it had never been. */
  abort(): Promise<void>
}

/** All that a reload does. Nothing in it: nothing changes. */
export interface ReloadPlan {
  readonly components: readonly ComponentReload[]
  readonly pipelines: readonly PipelineReload[]
}
