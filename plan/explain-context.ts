/** What of a request's context (headers, identity, address) later components need, and where it is lost on the way. */
import type { Configured, ConfiguredPipeline } from '../core/configured.ts'
import type { Touch } from '../core/touch.ts'
import { pipelinesBehind } from './ways.ts'

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
  configured: Configured,
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
        if (does === 'moves') before.push({ by: id, key, apart: apart ?? [] })
        else if (!needs.some(need => need.by === id && need.what === what)) {
          const lost = [...upstream(pipeline, what, configured, stagesOf, []), ...losses(before, what)]
          needs.push({ by: id, key, what, lost })
        }
      }
    }
    for (const merge of before)
      if (!merges.some(({ by, key }) => by === merge.by && key === merge.key)) merges.push(merge)
  }
  return { merges, needs }
}

const losses = (merges: readonly Merge[], what: string) =>
  merges.filter(({ apart }) => !apart.includes(what)).map(({ by, key }) => ({ at: by, key }))

/** Where `what` is lost before the data is in `pipeline`. */
function upstream(
  pipeline: ConfiguredPipeline,
  what: string,
  configured: Configured,
  stagesOf: (pipeline: ConfiguredPipeline) => readonly (readonly Stage[])[],
  seen: readonly string[],
): Need['lost'] {
  if (seen.includes(pipeline.id)) return []
  return pipeline.receivers.flatMap((id): Need['lost'] => {
    const connector = configured.connectors.get(id)
    if (connector === undefined) return receiverLosses(id, what, configured)
    return configured.pipelines
      .filter(before => before.exporters.includes(id) && pipelinesBehind(id, before, configured).includes(pipeline))
      .flatMap(before => {
        if (before.signal !== pipeline.signal) return [{ at: id, key: '' }]
        const steps = stagesOf(before)[0]?.filter(stage => before.processors.includes(stage.id)) ?? []
        const merges = steps.flatMap(stage =>
          stage.touches
            .filter(({ depth, does }) => depth === 'request' && does === 'moves')
            .map(({ key, apart = [] }): Merge => ({ by: stage.id, key, apart })),
        )
        return [...upstream(before, what, configured, stagesOf, [...seen, pipeline.id]), ...losses(merges, what)]
      })
  })
}

/** Headers are kept where a receiver is told to, identities where it asks for one. */
function receiverLosses(id: string, what: string, { receivers }: Configured): Need['lost'] {
  const config = receivers.get(id)?.config
  if (what.startsWith('metadata.')) {
    const places = [...placesOf('include_metadata', config, '')]
    if (places.length === 0) return [{ at: id, key: '' }]
    return places.filter(({ value }) => value !== true).map(({ path }) => ({ at: id, key: path }))
  }
  if (!what.startsWith('auth.')) return []
  const asks = [...placesOf('auth', config, '')].some(({ value }) => typeof value === 'object' && value !== null)
  return asks ? [] : [{ at: id, key: 'auth' }]
}

/** Where a key stands in a configuration, however deep. */
function* placesOf(key: string, config: unknown, at: string): Generator<{ path: string; value: unknown }> {
  if (typeof config !== 'object' || config === null) return
  for (const [name, value] of Object.entries(config)) {
    const path = at === '' ? name : `${at}.${name}`
    if (name === key) yield { path, value }
    else yield* placesOf(key, value, path)
  }
}
