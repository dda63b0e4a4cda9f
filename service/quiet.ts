/** Which components own telemetry passes: what they log would become more of it, without end. */
import type { ConfiguredPipeline } from '../core/configured.ts'

/** As `kind id`. */
export function quietComponents(graph: {
  readonly components: readonly { readonly kind: string; readonly id: string; readonly type: string }[]
  readonly pipelines?: readonly ConfiguredPipeline[] | undefined
}): ReadonlySet<string> {
  const { components, pipelines = [] } = graph
  const connectors = new Set(components.filter(({ kind }) => kind === 'connector').map(({ id }) => id))
  const begins = components.filter(({ kind, type }) => kind === 'receiver' && type === 'internal').map(({ id }) => id)
  const quiet = new Set(begins.map(id => `receiver ${id}`))
  const seen = new Set<ConfiguredPipeline>()
  // A connector is the end of one pipeline and the beginning of others.
  for (const begin of begins) {
    for (const pipeline of pipelines) {
      if (seen.has(pipeline) || !pipeline.receivers.includes(begin)) continue
      seen.add(pipeline)
      for (const id of pipeline.processors) quiet.add(`processor ${id}`)
      for (const id of pipeline.exporters) {
        quiet.add(connectors.has(id) ? `connector ${id}` : `exporter ${id}`)
        if (connectors.has(id)) begins.push(id)
      }
    }
  }
  return quiet
}
