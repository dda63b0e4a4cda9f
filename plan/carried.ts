/** Where a `batch` that stands last is done: by its step, or behind the queues of the destinations, in its place. */
import type { Configured, ConfiguredPipeline } from '../core/configured.ts'
import type { GatherSettings } from '../core/gathering.ts'
import type { QueueConfig, SendingConfig } from '../core/sending.ts'
import type { Signal } from '../proto/signals.ts'
import { sameValue } from '../config/equal.ts'
import type { QueuePolicy } from './queue-policy.ts'
import { derives, pipelinesBehind } from './who-waits.ts'

/** A step that is not run: the destinations of its pipeline gather for themselves. */
export interface Carried {
  /** Id of the processor. */
  readonly id: string
  readonly settings: GatherSettings
}

/** How what a destination is given is put together behind its queue. */
export interface Gathered {
  readonly settings: GatherSettings
  /** In the place of which step; undefined where its own `sending_queue.batch` is all there is. */
  readonly inPlaceOf: string | undefined
}

/** What is asked of a plan. */
export interface CarriedParts extends Configured {
  readonly queues: ReadonlyMap<string, QueuePolicy>
}

/** Combinations of metadata that a queue gathers apart at a time, so that a sender cannot make more and more of them. */
const mostKeys = 1000

/**
 * The last steps that are carried, by pipeline: where a destination has a queue on disk, each request is to be there as it
 * comes, not when a batch of them is full. A destination gathers in one way: where pipelines that share one differ, theirs
 * stay where they are.
 */
export function carriedBatches(plan: CarriedParts): ReadonlyMap<string, Carried> {
  const carried = new Map<string, Carried>()
  for (const pipeline of plan.pipelines) {
    const last = carriable(pipeline, plan)
    if (last !== undefined) carried.set(pipeline.id, last)
  }
  const sharing = carried.size === 0 ? new Map<string, Sharing>() : sharingIn(plan)
  const open = new Set(sharing.values())
  for (const one of open) {
    open.delete(one)
    if (isAgreed(one, carried)) continue
    for (const { id, signal, exporters } of one) {
      if (!carried.delete(id)) continue
      // What it goes to besides has to be looked at again.
      for (const exporter of exporters) {
        const other = sharing.get(`${signal} ${exporter}`)
        if (other !== undefined && other !== one) open.add(other)
      }
    }
  }
  return carried
}

/** Pipelines that have a destination in common. */
type Sharing = ConfiguredPipeline[]

/** By signal and exporter. */
function sharingIn({ pipelines, exporters }: CarriedParts): ReadonlyMap<string, Sharing> {
  const sharing = new Map<string, Sharing>()
  for (const pipeline of pipelines) {
    for (const id of pipeline.exporters) {
      if (!exporters.has(id)) continue
      const key = `${pipeline.signal} ${id}`
      const there = sharing.get(key)
      if (there === undefined) sharing.set(key, [pipeline])
      else there.push(pipeline)
    }
  }
  return sharing
}

/** Whether all of them have the same carried. */
function isAgreed(pipelines: Sharing, carried: ReadonlyMap<string, Carried>): boolean {
  const [first, ...others] = pipelines.map(({ id }) => carried.get(id)?.settings)
  return others.every(other => sameValue(other, first))
}

function carriable(pipeline: ConfiguredPipeline, plan: CarriedParts): Carried | undefined {
  const step = plan.processors.get(pipeline.processors.at(-1) ?? '')
  // The definition's own schema has made its configuration.
  const settings = step?.definition.gathers?.(step.config as never)
  if (step === undefined || settings === undefined) return undefined
  if (!pipeline.exporters.some(id => plan.queues.get(id)?.keeps === 'disk')) return undefined
  const handsOn = pipeline.exporters.some(id => {
    const connector = plan.connectors.get(id)
    return connector && pipelinesBehind(id, pipeline, plan).some(next => !derives(connector, pipeline, next))
  })
  return handsOn ? undefined : { id: step.id, settings }
}

/** How the exporter `id` puts together what it is given of one signal; undefined where it does not. */
export function gatheredBy(
  id: string,
  signal: Signal,
  carried: ReadonlyMap<string, Carried>,
  plan: CarriedParts,
): Gathered | undefined {
  const { sending_queue: queue } = (plan.exporters.get(id)?.config ?? {}) as Partial<SendingConfig>
  const own = queue === undefined ? undefined : queueGathering(queue)
  const pipeline = plan.pipelines.find(one => one.signal === signal && one.exporters.includes(id))
  const last = pipeline && carried.get(pipeline.id)
  if (last === undefined) return own && { settings: own, inPlaceOf: undefined }
  // Whoever was answered cannot be refused: without a limit of its own there is one all the same.
  const most = last.settings.mostKeys || mostKeys
  if (own === undefined) return { settings: { ...last.settings, mostKeys: most }, inPlaceOf: last.id }
  // The queue has the last word on sizes and times; what either keeps apart stays apart.
  const keys = [...new Set([...own.keys, ...last.settings.keys])]
  return { settings: { ...own, keys, mostKeys: most }, inPlaceOf: last.id }
}

/** What `sending_queue.batch` means. */
export function queueGathering({ enabled, sizer, batch }: QueueConfig): GatherSettings | undefined {
  if (!enabled || batch === undefined) return undefined
  return {
    least: batch.min_size,
    most: batch.max_size,
    sizer: batch.sizer ?? (sizer === 'bytes' ? 'bytes' : 'items'),
    timeout: batch.flush_timeout,
    keys: batch.partition.metadata_keys,
    mostKeys,
  }
}
