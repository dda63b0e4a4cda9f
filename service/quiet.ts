/** Which components own telemetry passes: what they log would become more of it, without end. */
import type { Configured, ConfiguredPipeline } from '../core/configured.ts'

/** As `kind id`. */
export function quietComponents({
  receivers,
  connectors,
  pipelines,
}: Pick<Configured, 'receivers' | 'connectors' | 'pipelines'>): ReadonlySet<string> {
  const begins = [...receivers.values()].filter(({ definition }) => definition.origin === 'itself').map(({ id }) => id)
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
