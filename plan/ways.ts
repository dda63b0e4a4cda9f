/** The ways that data can take through a configuration: from a pipeline, through connectors, to exporters. */
import type { Configured, ConfiguredPipeline } from '../core/configured.ts'
import type { Plan } from './plan.ts'

/** Where a sender's request ends before an exporter has it: what goes on has no sender that waits. */
export interface Custody {
  /**
   * The last step of a pipeline that gathers data for destinations which accept what they queue, a step that holds data
   * longer than a sender waits, or a connector that makes other data of it.
   */
  readonly as: 'gathers' | 'state' | 'derived'
  readonly kind: 'processor' | 'connector'
  readonly id: string
}

/** One way to one exporter. */
export interface Way {
  /** Ids of pipelines; the exporter is one of the last one's. */
  readonly pipelines: readonly string[]
  readonly exporter: string
  /** The first on the way, if there is any. */
  readonly custody: Custody | undefined
}

/** All ways that begin with `pipeline`. */
export function waysFrom(pipeline: ConfiguredPipeline, plan: Plan): Way[] {
  return follow(pipeline, plan, [], undefined)
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

function follow(
  pipeline: ConfiguredPipeline,
  plan: Plan,
  before: readonly string[],
  earlier: Custody | undefined,
): Way[] {
  // The configuration was checked for cycles; whoever hands in another gets an end all the same.
  if (before.includes(pipeline.id)) return []
  const pipelines = [...before, pipeline.id]
  const custody = earlier ?? custodyOf(pipeline, plan)
  return pipeline.exporters.flatMap(id => {
    const connector = plan.connectors.get(id)
    if (connector === undefined) return [{ pipelines, exporter: id, custody }]
    return pipelinesBehind(id, pipeline, plan).flatMap(next => {
      const { derives = next.signal !== pipeline.signal } = connector.definition
      const as = derives ? 'derived' : connector.definition.hold === 'state' ? 'state' : undefined
      const mine = as === undefined ? undefined : ({ as, kind: 'connector', id } as const)
      return follow(next, plan, pipelines, custody ?? mine)
    })
  })
}

/** Which step of a pipeline answers its senders, if one does. */
export function custodyOf({ processors, exporters }: ConfiguredPipeline, plan: Plan): Custody | undefined {
  const hold = (id: string) => plan.processors.get(id)?.definition.hold
  const holding = processors.find(id => hold(id) === 'state')
  if (holding !== undefined) return { as: 'state', kind: 'processor', id: holding }
  const last = processors.at(-1)
  if (last === undefined || hold(last) !== 'flush' || !gathers(last, plan)) return undefined
  const accept = exporters.every(id => plan.queues.get(id)?.success === 'accepted')
  return accept ? { as: 'gathers', kind: 'processor', id: last } : undefined
}

/** Whether a step keeps data for more to come, which it then puts together. */
export function gathers(id: string, plan: Plan): boolean {
  const step = plan.processors.get(id)
  const touches = (step && plan.touchesOf(step)) ?? []
  return touches.some(({ depth, does }) => depth === 'request' && does === 'moves')
}
