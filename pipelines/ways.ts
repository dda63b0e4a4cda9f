/** The ways that data can take through a configuration: from a pipeline, through connectors, to exporters. */
import type { Configured, ConfiguredPipeline } from '../core/configured.ts'

/** Where a sender's request ends before an exporter has it: what goes on has no sender that waits. */
export interface Custody {
  /** A step that holds data longer than a sender waits, or a connector that makes other data of it. */
  readonly as: 'state' | 'derived'
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
export function waysFrom(pipeline: ConfiguredPipeline, configured: Configured): Way[] {
  return follow(pipeline, configured, [], undefined)
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
  configured: Configured,
  before: readonly string[],
  earlier: Custody | undefined,
): Way[] {
  // The configuration was checked for cycles; whoever hands in another gets an end all the same.
  if (before.includes(pipeline.id)) return []
  const pipelines = [...before, pipeline.id]
  const held = pipeline.processors.find(id => configured.processors.get(id)?.definition.hold === 'state')
  const custody = earlier ?? (held === undefined ? undefined : ({ as: 'state', kind: 'processor', id: held } as const))
  return pipeline.exporters.flatMap(id => {
    const connector = configured.connectors.get(id)
    if (connector === undefined) return [{ pipelines, exporter: id, custody }]
    return pipelinesBehind(id, pipeline, configured).flatMap(next => {
      const { derives = next.signal !== pipeline.signal } = connector.definition
      const as = derives ? 'derived' : connector.definition.hold === 'state' ? 'state' : undefined
      const mine = as === undefined ? undefined : ({ as, kind: 'connector', id } as const)
      return follow(next, configured, pipelines, custody ?? mine)
    })
  })
}
