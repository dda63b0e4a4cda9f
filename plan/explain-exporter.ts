/** What an exporter does with what it is given: when it counts as taken, and what comes of it when things go wrong. */
import { orderingOf } from '../core/component.ts'
import type { ConfiguredComponent, ConfiguredPipeline } from '../core/configured.ts'
import type { RetryConfig, SendingConfig } from '../core/sending.ts'
import type { Signal } from '../proto/signals.ts'
import type { Plan } from './plan.ts'
import { type QueuePolicy, queuePolicy, type Success, type WhenFull } from './queue-policy.ts'
import type { Way } from './ways.ts'

/** What a full queue of one exporter, or an answer that does not come, means for others. */
export interface Stops {
  readonly pipeline: string
  /** Exporters and connectors beside it: they get nothing that it has no room for. */
  readonly stopped: readonly string[]
  /** Exporters elsewhere that get the same data: a sender that comes again sends it to them twice. */
  readonly twice: readonly string[]
  /** Whose senders are refused, or wait. */
  readonly receivers: readonly string[]
}

/** One exporter. Each signal has a queue of its own. */
export interface ExporterExplained {
  readonly id: string
  readonly type: string
  readonly signals: readonly Signal[]
  readonly success: Success
  /** The settings that make it so. */
  readonly because: readonly string[]
  readonly queue:
    | {
        readonly size: number
        readonly sizer: string
        readonly consumers: number
        /** Signals of which batches leave one after the other, whatever `consumers` says. */
        readonly in_order: readonly Signal[]
        readonly storage: string | null
        readonly gathers: boolean
      }
    | undefined
  /** The last step of its pipelines, in whose place it puts requests together itself. */
  readonly in_place_of: string | undefined
  /** What happens when the queue is full; `wait`: senders wait for room. Undefined without a queue. */
  readonly when_full: WhenFull | undefined
  /** The setting that makes it so. */
  readonly when_full_because: string | undefined
  /** What happens when the disk of its storage is full, too. Undefined without a storage. */
  readonly when_storage_full: QueuePolicy['atLast']
  readonly stops: readonly Stops[]
  readonly timeout_seconds: number
  readonly retry:
    | {
        readonly initial_seconds: number
        readonly multiplier: number
        readonly max_seconds: number
        /** When a batch is given up; null: never. */
        readonly give_up_after_seconds: number | null
      }
    | undefined
  /** What becomes of what is still here when the process ends: its books say `shutdown`, its senders come again, or it waits on disk. */
  readonly at_shutdown: 'lost' | 'refused' | 'kept'
  /** Reasons under which what did not arrive may be counted. */
  readonly reasons: {
    readonly lost: readonly string[]
    readonly rejected: readonly string[]
    /** What is not rejected but put aside. */
    readonly dead_lettered: readonly string[]
  }
}

/** The ways of one signal from one receiver. */
export interface Fed {
  readonly receiver: string
  readonly ways: readonly Way[]
}

/** What one exporter does; `fed` are all ways of data. */
export function explainExporter(
  { id, definition, config }: ConfiguredComponent<'exporter'>,
  { pipelines, queues, gatheredBy }: Plan,
  fed: readonly Fed[],
): ExporterExplained {
  // The schema of every exporter has the shared keys; see defineExporter.
  const { timeout, sending_queue: queue, retry_on_failure: retry } = config as SendingConfig
  const own = queues.get(id) ?? queuePolicy(queue)
  const mine = pipelines.filter(({ exporters }) => exporters.includes(id))
  const signals = [...new Set(mine.map(({ signal }) => signal))]
  const step = signals.map(signal => gatheredBy(id, signal)?.inPlaceOf).find(one => one !== undefined)
  // What works in this process gathers in the place of a step, and answers as that would have.
  const policy: QueuePolicy = step === undefined || own.isAwaited ? own : { ...own, success: 'accepted' }
  const { success, keeps, atLast } = policy
  return {
    id,
    type: definition.type,
    signals,
    success,
    because: policy.because,
    queue: queue.enabled
      ? {
          size: queue.queue_size,
          sizer: queue.sizer,
          consumers: queue.num_consumers,
          in_order: signals.filter(signal => orderingOf(definition, signal) !== 'none'),
          storage: policy.storage ?? null,
          gathers: queue.batch !== undefined,
        }
      : undefined,
    in_place_of: step,
    when_full: policy.whenFull,
    when_full_because: policy.whenFullBecause,
    when_storage_full: keeps === 'disk' ? atLast : undefined,
    stops: atLast === 'drop' ? [] : stopsOf(id, policy, mine, fed),
    timeout_seconds: timeout / 1000,
    retry: retry.enabled
      ? {
          initial_seconds: retry.initial_interval / 1000,
          multiplier: retry.multiplier,
          max_seconds: retry.max_interval / 1000,
          give_up_after_seconds: retry.max_elapsed_time === 0 ? null : retry.max_elapsed_time / 1000,
        }
      : undefined,
    at_shutdown: keeps === 'disk' ? 'kept' : success === 'delivered' ? 'refused' : 'lost',
    reasons: {
      lost: [...withoutRoom(id, policy, mine, fed), ...lossesOf(policy, retry)],
      // Without a sender who waits, what is denied is kept until the exporter is mended.
      rejected: ['rejected', 'too_large', ...(success === 'delivered' ? ['denied'] : []), 'partial_success'],
      dead_lettered: keeps === 'disk' ? ['rejected', 'too_large', 'suspect'] : [],
    },
  }
}

/** Reasons for which what finds no room is given up. */
function withoutRoom(
  id: string,
  { atLast }: QueuePolicy,
  mine: readonly ConfiguredPipeline[],
  fed: readonly Fed[],
): string[] {
  return atLast === 'drop' ? ['queue_full'] : atLast === undefined ? [] : unattendedLosses(id, mine, fed)
}

/** Reasons for which what was accepted is given up: also what was found on disk at a start, for which nobody waits. */
function lossesOf({ success, keeps }: QueuePolicy, { enabled, max_elapsed_time }: RetryConfig): string[] {
  if (keeps === 'disk') return [enabled ? 'expired' : 'not_retried', 'denied', 'corrupt']
  if (success === 'delivered') return []
  if (!enabled) return ['not_retried', 'denied', 'shutdown']
  return ['suspect', ...(max_elapsed_time > 0 ? ['expired', 'denied'] : []), 'shutdown']
}

/** What connectors made of other data has no sender that could be asked again: without room it is lost. */
function unattendedLosses(id: string, mine: readonly ConfiguredPipeline[], fed: readonly Fed[]): string[] {
  const losing = mine.filter(pipeline =>
    fed.some(({ ways }) =>
      ways.some(way => way.exporter === id && way.pipelines.at(-1) === pipeline.id && way.custody?.as === 'derived'),
    ),
  )
  // The door of a pipeline stands in front of its first processor.
  return [...new Set(losing.map(({ processors }) => (processors.length === 0 ? 'queue_full' : 'pipeline_closed')))]
}

function stopsOf(
  id: string,
  { keeps, success }: QueuePolicy,
  mine: readonly ConfiguredPipeline[],
  fed: readonly Fed[],
): Stops[] {
  return mine.map(pipeline => {
    const hits = (way: Way) => way.exporter === id && way.pipelines.at(-1) === pipeline.id
    // Derived data has no sender: those of what it was made of hear nothing of it.
    const feeding = fed.filter(({ ways }) => ways.some(way => hits(way) && way.custody?.as !== 'derived'))
    // Room is found for all of a pipeline or for none; an answer comes when the others have theirs.
    const twice = feeding
      .flatMap(({ ways }) => ways)
      .filter(way => success === 'delivered' || way.pipelines.at(-1) !== pipeline.id)
      .map(way => way.exporter)
    return {
      pipeline: pipeline.id,
      stopped: keeps !== undefined ? pipeline.exporters.filter(other => other !== id) : [],
      twice: [...new Set(twice)].filter(other => other !== id),
      receivers: feeding.map(({ receiver }) => receiver),
    }
  })
}
