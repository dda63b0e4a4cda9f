/** What of a request's context (headers, identity, address) later components need, and where it is lost on the way. */
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { Touch } from '../core/touch.ts'
import { namesOf, neededBehind, neededOf } from './apart.ts'
import type { Plan } from './plan.ts'
import { pipelinesBehind } from './who-waits.ts'

/** A place where requests are put together. */
export interface Merge {
  readonly by: string
  readonly key: string
  /** What must be the same of requests that are put together; what differs otherwise is gone. */
  readonly apart: readonly string[]
}

/** A component that needs something of the request. */
export interface Need {
  readonly by: string
  readonly key: string
  /** `metadata.x`, `auth.x` or `client.address`. */
  readonly what: string
  /** Where it is lost on the way, with the key that would keep it. Empty: it is there. */
  readonly lost: readonly { readonly at: string; readonly key: string }[]
}

/** A component in a pipeline, with what it does. */
export interface Stage {
  readonly id: string
  readonly touches: readonly Touch[]
}

/** What of the context is put together and needed in `pipeline`, whose components in order are `stages`. */
export function explainContext(
  pipeline: ConfiguredPipeline,
  plan: Plan,
  stagesOf: (pipeline: ConfiguredPipeline) => readonly (readonly Stage[])[],
): { merges: readonly Merge[]; needs: readonly Need[] } {
  const merges: Merge[] = []
  const needs: Need[] = []
  const lines = stagesOf(pipeline)
  // Exporters stand side by side: what one puts together is not put together for the next.
  for (const line of lines) {
    const before: Merge[] = []
    for (const { id, touches } of line) {
      for (const { depth, does, key, what, apart } of touches) {
        if (depth !== 'request') continue
        if (does === 'moves') before.push({ by: id, key, apart: allApart(apart, id, pipeline, plan) })
        else if (!needs.some(need => need.by === id && need.what === what)) {
          const lost = [...upstream(pipeline, what, plan, stagesOf, []), ...losses(before, what)]
          needs.push({ by: id, key, what, lost })
        }
      }
    }
    for (const merge of before)
      if (!merges.some(({ by, key }) => by === merge.by && key === merge.key)) merges.push(merge)
  }
  return { merges, needs }
}

/** What the configuration names, and what components behind need. */
function allApart(named: readonly string[] = [], id: string, pipeline: ConfiguredPipeline, plan: Plan): string[] {
  const needed = pipeline.processors.includes(id)
    ? neededBehind(id, pipeline, plan)
    : neededOf(id, plan.stepOf('exporters', id), plan)
  return [...new Set([...named, ...namesOf(needed)])]
}

const losses = (merges: readonly Merge[], what: string) =>
  merges.filter(({ apart }) => !apart.includes(what)).map(({ by, key }) => ({ at: by, key }))

/** Where `what` is lost before the data is in `pipeline`. */
function upstream(
  pipeline: ConfiguredPipeline,
  what: string,
  plan: Plan,
  stagesOf: (pipeline: ConfiguredPipeline) => readonly (readonly Stage[])[],
  seen: readonly string[],
): Need['lost'] {
  if (seen.includes(pipeline.id)) return []
  return pipeline.receivers.flatMap((id): Need['lost'] => {
    const connector = plan.connectors.get(id)
    if (connector === undefined) return receiverLosses(id, what, plan)
    return plan.pipelines
      .filter(before => before.exporters.includes(id) && pipelinesBehind(id, before, plan).includes(pipeline))
      .flatMap(before => {
        if (before.signal !== pipeline.signal) return [{ at: id, key: '' }]
        const steps = stagesOf(before)[0]?.filter(stage => before.processors.includes(stage.id)) ?? []
        const merges = steps.flatMap(stage =>
          stage.touches
            .filter(({ depth, does }) => depth === 'request' && does === 'moves')
            .map(({ key, apart }): Merge => ({ by: stage.id, key, apart: allApart(apart, stage.id, before, plan) })),
        )
        return [...upstream(before, what, plan, stagesOf, [...seen, pipeline.id]), ...losses(merges, what)]
      })
  })
}

/** The ways into a receiver at which `what` of a request is not kept beside its data. */
function receiverLosses(id: string, what: string, plan: Plan): Need['lost'] {
  const kind = what.split('.', 1)[0]
  if (kind !== 'metadata' && kind !== 'auth') return []
  const ways = plan.keptBy(id).filter(way => way.what === kind)
  return ways.length === 0
    ? [{ at: id, key: '' }]
    : ways.filter(({ kept }) => !kept).map(({ key }) => ({ at: id, key }))
}
