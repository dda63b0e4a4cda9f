/** Components as the graph has them: what pages show of them, and how they start and stop. */
import type { NodeBooks } from '../../core/books.ts'
import type { KeptApart } from '../../plan/apart.ts'
import { type GuardedClock, waitUntil } from '../../core/clock.ts'
import type { Exporter, Extension, Lifecycle } from '../../core/component.ts'
import { messageOf } from '../../core/errors.ts'
import type { RunningComponent } from '../../core/health.ts'
import type { Logger } from '../../core/logger.ts'
import type { Signal } from '../../proto/signals.ts'
import type { ConnectorSink } from '../flow/connector-sink.ts'
import type { Destination } from '../sending/destination.ts'
import type { Pipeline } from '../flow/pipeline.ts'
import type { StepNode } from '../flow/step-node.ts'

/** A component that starts and stops. */
export interface Part extends RunningComponent {
  readonly lifecycle: Lifecycle
  readonly clock: GuardedClock
}

export interface ExtensionPart extends Part {
  readonly lifecycle: Extension
}

export interface ExporterPart extends Part {
  readonly lifecycle: Exporter
  readonly destinations: ReadonlyMap<Signal, Destination>
}

export interface ReceiverPart extends Part {
  readonly signals: ReadonlySet<Signal>
  readonly books: readonly NodeBooks[]
  /** Take what it counts at its doors out of the books' hands. */
  readonly doors: (() => void)[]
}

/** A processor in one pipeline. */
export interface StepPart extends RunningComponent {
  readonly node: StepNode
  /** The instance whose place it takes, of which it is to have what that keeps. */
  readonly replaces: StepNode | undefined
}

export interface PipelinePart {
  readonly pipeline: Pipeline
  readonly steps: readonly StepPart[]
  readonly apart: KeptApart
}

export interface ConnectorPart extends RunningComponent {
  readonly sink: ConnectorSink
  readonly to: Signal
}

/** Starts a part. @throws Error naming it when it cannot */
export async function startPart({ kind, id, status, lifecycle }: Part): Promise<void> {
  status.set('Starting')
  try {
    await lifecycle.start?.()
  } catch (error) {
    status.set('FatalError', messageOf(error))
    throw new Error(`failed to start ${kind} ${id}: ${status.tell(messageOf(error))}`, { cause: error })
  }
  // Unless it has something to tell of itself already.
  if (status.state === 'Starting') status.set('OK')
}

/** What has started runs from now on. A fault there is its own: whatever else runs does. */
export function runPart({ kind, id, status, lifecycle }: Part, log: Logger): void {
  try {
    lifecycle.run?.()
  } catch (error) {
    status.set('PermanentError', messageOf(error))
    log.error({ kind, id, error: status.tell(messageOf(error)) }, 'failed to run, though it had started')
  }
}

/** Milliseconds that each part has to stop, also where others have used up the deadline. */
const leastTime = 500

/** A part that does not stop in time, or fails to, keeps nobody else from stopping. */
export async function stopPart({ kind, id, status, lifecycle, clock }: Part, end: number, log: Logger): Promise<void> {
  status.set('Stopping')
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<'late'>(
      resolve => (timer = setTimeout(() => resolve('late'), Math.max(waitUntil(end), leastTime))),
    )
    const stopped = Promise.resolve(lifecycle.stop?.()).then(() => 'stopped' as const)
    if ((await Promise.race([stopped, late])) === 'late') log.warn({ kind, id }, 'did not stop within the deadline')
  } catch (error) {
    log.warn({ kind, id, error: status.tell(messageOf(error)) }, 'failed to stop')
  } finally {
    clearTimeout(timer)
    clock.stop()
  }
  status.set('Stopped')
}
