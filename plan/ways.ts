/** The ways that data can take through a configuration: from a pipeline, through connectors, to exporters. */
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { Plan } from './plan.ts'
import { derives, pipelinesBehind } from './who-waits.ts'

/** Where a sender's request ends before an exporter has it: what goes on has no sender that waits. */
export interface Custody {
  /**
   * The first step that gathers data for destinations of which nobody waits for the answer, a step that holds data longer
   * than a sender waits, or a connector that makes other data of it.
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
      const as = derives(connector, pipeline, next)
        ? 'derived'
        : connector.definition.hold === 'state'
          ? 'state'
          : undefined
      const mine = as === undefined ? undefined : ({ as, kind: 'connector', id } as const)
      return follow(next, plan, pipelines, custody ?? mine)
    })
  })
}

/** Which step of a pipeline answers its senders, if one does. */
export function custodyOf({ id: pipeline }: ConfiguredPipeline, plan: Plan): Custody | undefined {
  const id = plan.flushingIn(pipeline).answeredBy
  if (id === undefined) return undefined
  const as = plan.processors.get(id)?.definition.hold === 'state' ? 'state' : 'gathers'
  return { as, kind: 'processor', id }
}
