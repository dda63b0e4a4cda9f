/** Whose data may be shown to those who operate: where a configuration redacts, only what has been redacted. */
import type { NodeName } from '../../core/books.ts'
import type { Configured, ConfiguredPipeline } from '../../core/configured.ts'

/**
 * Says of a node whether values of the data at it may be shown: in the journal, in spans, in errors. Where nothing redacts,
 * at all; else at nodes that only data reaches which has passed the last redaction of its pipeline. `strict`: as if something
 * did, whatever is configured.
 */
export function shownBy(configured: Configured, strict = false): (name: NodeName) => boolean {
  const lastOf = (pipeline: ConfiguredPipeline): number => lastRedaction(configured, pipeline)
  const { pipelines, connectors } = configured
  if (!strict && !redacts(configured)) return () => true
  // Pipelines that only data enters which was redacted in others; begun with all that no receiver is in.
  const clean = new Set(pipelines.filter(({ receivers }) => receivers.every(id => connectors.has(id))))
  const isShown = (pipeline: ConfiguredPipeline): boolean => lastOf(pipeline) >= 0 || clean.has(pipeline)
  let before = -1
  while (before !== clean.size) {
    before = clean.size
    for (const one of clean) {
      const into = pipelines.filter(({ exporters }) => exporters.some(id => one.receivers.includes(id)))
      if (!into.every(isShown)) clean.delete(one)
    }
  }
  const shown = new Set<string>()
  for (const pipeline of pipelines) {
    const last = lastOf(pipeline)
    if (!isShown(pipeline)) continue
    for (const id of pipeline.processors.slice(last + 1)) shown.add(`processor ${id} ${pipeline.id}`)
  }
  const ends = new Set(pipelines.flatMap(({ exporters }) => exporters))
  for (const id of ends) {
    if (!pipelines.filter(({ exporters }) => exporters.includes(id)).every(isShown)) continue
    shown.add(`${connectors.has(id) ? 'connector' : 'exporter'} ${id}`)
  }
  return ({ kind, id, pipeline }) => shown.has(kind === 'processor' ? `${kind} ${id} ${pipeline}` : `${kind} ${id}`)
}

/** Whether anything in it redacts. */
export const redacts = (configured: Configured): boolean =>
  configured.pipelines.some(pipeline => lastRedaction(configured, pipeline) >= 0)

/** Where in a pipeline its last redaction is, or -1. */
const lastRedaction = ({ processors }: Configured, pipeline: ConfiguredPipeline): number =>
  pipeline.processors.findLastIndex(id => processors.get(id)?.definition.redacts === true)
