/** Whose data may be shown to those who operate: where a configuration redacts, only what has been redacted. */
import type { NodeName } from '../../core/books.ts'
import type { Configured, ConfiguredPipeline } from '../../core/configured.ts'
import type { TapSide } from '../flow/tapped.ts'

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

/** Says why data may not be shown as it is at a node; undefined where it may be. */
export type TapRule = (name: NodeName, side: TapSide) => string | undefined

/**
 * What may be tapped. As `shownBy`, but for each family of pipelines by itself, that is those which have data in common; and what
 * the last redaction of a pipeline hands on may be seen, too. `before`: what ran until now, whose data may still be on its way.
 */
export function tapRule(configured: Configured, before?: Configured): TapRule {
  const strict =
    before === undefined ? [] : familiesOf(before).filter(family => redacts({ ...before, pipelines: family }))
  const families = familiesOf(configured).map(pipelines => {
    const part = { ...configured, pipelines }
    const wasRedacted = strict.flat().some(old => pipelines.some(one => one.id === old.id || isFed(one, old)))
    return { pipelines, shows: shownBy(part, wasRedacted), redacting: redacting(part) }
  })
  return (name, side) => {
    const { kind, id, pipeline } = name
    const mine = families.filter(family => family.pipelines.some(one => isIn(one, name)))
    for (const { pipelines, shows, redacting: those } of mine) {
      if (shows(name)) continue
      const own = pipelines.find(one => one.id === pipeline)
      const last = own && own.processors[lastRedaction(configured, own)]
      if (kind === 'processor' && side === 'out' && id === last) continue
      const [first] = own === undefined || last === undefined ? those : [{ id: last, pipeline: own.id }]
      if (first === undefined) return 'a redaction was taken out just now, and what came before may still be on its way'
      return `processor \`${first.id}\` of pipeline \`${first.pipeline}\` redacts this data, and here it is not redacted yet`
    }
    return undefined
  }
}

/** Whether a node is part of a pipeline. */
function isIn({ id, signal, receivers, exporters }: ConfiguredPipeline, name: NodeName): boolean {
  if (name.kind === 'processor') return name.pipeline === id
  if (name.kind === 'connector') return exporters.includes(name.id)
  return signal === name.signal && (name.kind === 'receiver' ? receivers : exporters).includes(name.id)
}

/** Whether they are fed by the same receiver or connector. */
const isFed = (one: ConfiguredPipeline, other: ConfiguredPipeline): boolean =>
  one.signal === other.signal && one.receivers.some(id => other.receivers.includes(id))

/** Pipelines in families: two that are fed alike, or of which one feeds the other, are of one. */
function familiesOf({ pipelines, connectors }: Configured): ConfiguredPipeline[][] {
  const feeds = (one: ConfiguredPipeline, other: ConfiguredPipeline): boolean =>
    one.exporters.some(id => connectors.has(id) && other.receivers.includes(id))
  const families: ConfiguredPipeline[][] = []
  for (const pipeline of pipelines) {
    const isKin = (other: ConfiguredPipeline) =>
      isFed(pipeline, other) || feeds(pipeline, other) || feeds(other, pipeline)
    const kin = families.filter(family => family.some(isKin))
    for (const family of kin) families.splice(families.indexOf(family), 1)
    families.push([...kin.flat(), pipeline])
  }
  return families
}

/** Each last redaction of a pipeline. */
const redacting = (configured: Configured): { readonly id: string; readonly pipeline: string }[] =>
  configured.pipelines.flatMap(pipeline => {
    const id = pipeline.processors[lastRedaction(configured, pipeline)]
    return id === undefined ? [] : [{ id, pipeline: pipeline.id }]
  })

/** Whether anything in it redacts. */
export const redacts = (configured: Configured): boolean =>
  configured.pipelines.some(pipeline => lastRedaction(configured, pipeline) >= 0)

/** Where in a pipeline its last redaction is, or -1. */
const lastRedaction = ({ processors }: Configured, pipeline: ConfiguredPipeline): number =>
  pipeline.processors.findLastIndex(id => processors.get(id)?.definition.redacts === true)
