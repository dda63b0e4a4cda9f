/** Who waits for what a pipeline gathers: whether senders hear of it before it leaves, or only when a destination has it. */
import type { Configured, ConfiguredComponent, ConfiguredPipeline } from '../core/configured.ts'
import type { Touch } from '../core/touch.ts'
import type { QueuePolicy } from './queue-policy.ts'

/** What is asked of a plan. */
export interface WaitingParts extends Configured {
  readonly queues: ReadonlyMap<string, QueuePolicy>
  touchesOf(component: ConfiguredComponent<'processor'>): readonly Touch[] | undefined
}

/** How what a pipeline gathers leaves it, and when its senders hear. */
export interface Flushing {
  /** Senders wait until a destination has their data, so that what is gathered leaves as soon as it may. */
  readonly isAwaited: boolean
  /** Id of the processor that answers senders when it has their data: nobody waits for what is behind it. */
  readonly answeredBy: string | undefined
}

/** What follows for a pipeline from the destinations behind it. */
export function flushingOf(pipeline: ConfiguredPipeline, plan: WaitingParts): Flushing {
  const holding = pipeline.processors.find(id => plan.processors.get(id)?.definition.hold === 'state')
  if (holding !== undefined) return { isAwaited: false, answeredBy: holding }
  if (pipeline.exporters.some(id => isAwaited(id, pipeline, plan))) return { isAwaited: true, answeredBy: undefined }
  // One that keeps data for another reason is done with it before anybody notices.
  return { isAwaited: false, answeredBy: pipeline.processors.find(id => gathers(id, plan)) }
}

/** Whether a step keeps data for more to come, which it then puts together. */
export function gathers(id: string, plan: WaitingParts): boolean {
  const step = plan.processors.get(id)
  const touches = (step && plan.touchesOf(step)) ?? []
  return step?.definition.hold === 'flush' && touches.some(({ depth, does }) => depth === 'request' && does === 'moves')
}

/** The pipelines that take from a connector what it makes of the data of `pipeline`. */
export function pipelinesBehind(
  connector: string,
  pipeline: ConfiguredPipeline,
  { connectors, pipelines }: Configured,
): ConfiguredPipeline[] {
  const joins = connectors.get(connector)?.definition.joins ?? []
  return pipelines.filter(
    next =>
      next.receivers.includes(connector) && joins.some(([from, to]) => from === pipeline.signal && to === next.signal),
  )
}

/** Whether senders wait for what stands at the end of `pipeline`; for a connector that hands on, for what is behind it. */
function isAwaited(id: string, pipeline: ConfiguredPipeline, plan: WaitingParts): boolean {
  const connector = plan.connectors.get(id)
  if (connector === undefined) return plan.queues.get(id)?.isAwaited === true
  const { hold } = connector.definition
  if (hold === 'state') return false
  return pipelinesBehind(id, pipeline, plan).some(
    next => !derives(connector, pipeline, next) && flushingOf(next, plan).isAwaited,
  )
}

/** Whether what a connector makes for `to` of the data of `from` is other data, with nobody who waits for it. */
export function derives(
  { definition }: ConfiguredComponent<'connector'>,
  from: ConfiguredPipeline,
  to: ConfiguredPipeline,
): boolean {
  return definition.derives ?? from.signal !== to.signal
}
