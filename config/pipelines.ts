/** `service.pipelines` and `service.extensions`: what is connected to what, and whether it exists and fits. */
import type { Kind } from '../core/component.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { type Components, type ComponentSection, tellReference } from './components.ts'
import { type MapEntry, isNull, type Node } from './document.ts'
import { parseId } from './ids.ts'
import { tellValue } from './issues.ts'
import { withCause } from './missing.ts'
import { quoted, suggest } from './nearest.ts'
import type { Place } from './place.ts'
import type { Report } from './report.ts'

/** A reference to a component, and where it stands. */
export interface Reference {
  readonly id: string
  readonly place: Place
  /** What is told in place of an id that came from a variable or a file, where no component has it. */
  readonly written?: string | undefined
}

/** A pipeline as the file has it. */
export interface PipelineSection {
  readonly id: string
  readonly signal: Signal
  readonly key: Place
  readonly receivers: readonly Reference[]
  readonly processors: readonly Reference[]
  readonly exporters: readonly Reference[]
}

const serviceKeys = ['telemetry', 'extensions', 'pipelines']
const pipelineKeys = ['receivers', 'processors', 'exporters']
const signalNames: readonly string[] = allSignals

/** What `service` says of extensions and pipelines. */
export interface ServiceSection {
  readonly started: readonly Reference[]
  readonly pipelines: readonly PipelineSection[]
}

/** Ids of the components that run, by kind. */
export function usedIn({ started, pipelines }: ServiceSection): Record<Kind, ReadonlySet<string>> {
  const named = (...lists: ('receivers' | 'processors' | 'exporters')[]): ReadonlySet<string> =>
    new Set(lists.flatMap(list => pipelines.flatMap(pipeline => pipeline[list].map(({ id }) => id))))
  return {
    receiver: named('receivers'),
    processor: named('processors'),
    exporter: named('exporters'),
    connector: named('receivers', 'exporters'),
    extension: new Set(started.map(({ id }) => id)),
  }
}

/** Reads `service` but for `telemetry`. `top` is the place of the whole configuration. */
export function readService(
  service: MapEntry | undefined,
  top: Place | undefined,
  components: Components,
  report: Report,
  { allowNoPipelines = false }: { readonly allowNoPipelines?: boolean } = {},
): ServiceSection {
  const nothing = { started: [], pipelines: [] }
  if (service === undefined || (isNull(service.value) && !service.value.broken)) {
    const message = service === undefined ? 'the section `service` is missing' : 'service: the section is empty'
    const fault = withCause(service?.value, message, 'it needs `pipelines` with at least one pipeline')
    report.error('CONFIG_PIPELINE', service?.key ?? top, fault.message, fault.hint)
    return nothing
  }
  const { key, value } = service
  if (value.broken) return nothing
  if (value.kind !== 'map') {
    report.error('CONFIG_INVALID_VALUE', key, `service: expected a section with ${quoted(serviceKeys)}`)
    return nothing
  }
  tellUnknownKeys(value.entries, serviceKeys, 'service', report)

  const extensions = value.entries.get('extensions')
  const started = extensions === undefined ? [] : readReferences('service::extensions', extensions, report)
  for (const { id, ...where } of started) {
    if (components.extension.has(id)) continue
    tellReference('extension', id, { path: 'service::extensions', ...where }, [...components.extension.keys()], report)
  }
  const pipelines = value.entries.get('pipelines')
  if (allowNoPipelines && isEmpty(pipelines?.value)) return { started, pipelines: [] }
  return { started, pipelines: readPipelines(pipelines, key, components, report) }
}

const isEmpty = (node: Node | undefined) =>
  node === undefined || (isNull(node) && !node.broken) || (node.kind === 'map' && node.entries.size === 0)

function readPipelines(
  section: MapEntry | undefined,
  service: Place,
  components: Components,
  report: Report,
): readonly PipelineSection[] {
  const value = section?.value
  if (value?.broken) return []
  if (value !== undefined && value.kind !== 'map' && !isNull(value)) {
    const message = 'service::pipelines: expected a section with one key for each pipeline'
    report.error('CONFIG_INVALID_VALUE', section?.key, message, `such as \`traces: {receivers: […], exporters: […]}\``)
    return []
  }
  if (value?.kind !== 'map' || value.entries.size === 0) {
    const { message, hint } = withCause(value, 'service must have at least one pipeline')
    report.error('CONFIG_PIPELINE', section?.key ?? service, `service::pipelines: ${message}`, hint)
    return []
  }
  const pipelines: PipelineSection[] = []
  for (const [text, entry] of value.entries) {
    const pipeline = readPipeline(text, entry, report)
    if (pipeline === undefined) continue
    if (pipelines.some(other => other.id === pipeline.id))
      report.error('CONFIG_ID', entry.key, `service::pipelines: duplicate name \`${pipeline.id}\``)
    else pipelines.push(pipeline)
  }
  for (const pipeline of pipelines) checkPipeline(pipeline, components, report)
  return pipelines
}

function readPipeline(text: string, { key, value }: MapEntry, report: Report): PipelineSection | undefined {
  const id = parseId(text)
  if (typeof id === 'string') {
    report.error('CONFIG_ID', key, `service::pipelines: ${id}`)
    return undefined
  }
  if (!isSignal(id.type)) {
    const message = `service::pipelines: unknown signal \`${id.type}\` in the id \`${id.text}\``
    const known = `signals: ${quoted(signalNames)}`
    const hint =
      id.type === 'profiles' ? `profiles are not supported yet; ${known}` : suggest(id.type, signalNames, known)
    report.error('CONFIG_PIPELINE', key, message, hint)
    return undefined
  }
  const path = `service::pipelines::${id.text}`
  if (value.broken) return undefined
  if (value.kind !== 'map' && !isNull(value)) {
    report.error('CONFIG_INVALID_VALUE', key, `${path}: expected a section with ${quoted(pipelineKeys)}`)
    return undefined
  }
  const entries: ReadonlyMap<string, MapEntry> = value.kind === 'map' ? value.entries : new Map()
  tellUnknownKeys(entries, pipelineKeys, path, report)
  const list = (name: string) => {
    const entry = entries.get(name)
    return entry === undefined ? [] : readReferences(`${path}::${name}`, entry, report)
  }
  const pipeline = {
    id: id.text,
    signal: id.type,
    key,
    receivers: list('receivers'),
    processors: list('processors'),
    exporters: list('exporters'),
  }
  for (const [name, kind] of [
    ['receivers', 'receiver'],
    ['exporters', 'exporter'],
  ] as const) {
    const entry = entries.get(name)
    const empty =
      entry === undefined || isNull(entry.value) || (entry.value.kind === 'list' && !entry.value.items.length)
    if (!empty || entry?.value.broken) continue
    const { message, hint } = withCause(entry?.value, `must have at least one ${kind}`)
    report.error('CONFIG_PIPELINE', entry?.key ?? key, `${path}: ${message}`, hint)
  }
  return pipeline
}

const isSignal = (text: string): text is Signal => signalNames.includes(text)

function tellUnknownKeys(
  entries: ReadonlyMap<string, MapEntry>,
  known: readonly string[],
  path: string,
  report: Report,
): void {
  for (const [name, { key }] of entries)
    if (!known.includes(name))
      report.error(
        'CONFIG_UNKNOWN_KEY',
        key,
        `${path}: unknown key \`${name}\``,
        suggest(name, known, `known keys: ${quoted(known)}`),
      )
}

function readReferences(path: string, { key, value }: MapEntry, report: Report): Reference[] {
  if (value.broken || isNull(value)) return []
  if (value.kind !== 'list') {
    report.error('CONFIG_INVALID_VALUE', key, `${path}: expected a list of ids`, 'write it as `[a, b]`')
    return []
  }
  const references: Reference[] = []
  for (const item of value.items) {
    const reference = readReference(path, item, report)
    if (reference !== undefined) references.push(reference)
  }
  return references
}

function readReference(path: string, item: Node, report: Report): Reference | undefined {
  if (item.broken) return undefined
  const text = item.text ?? (item.kind === 'scalar' ? item.value : undefined)
  const id = typeof text === 'string' ? parseId(text) : 'expected the id of a component'
  const written = item.origin?.written
  if (typeof id !== 'string') return { id: id.text, place: item.place, written }
  const fault = written === undefined ? id : `what \`${written}\` stands for is no id of a component`
  const { message, hint } = withCause(item, fault)
  report.error('CONFIG_ID', item.place, `${path}: ${message}`, hint)
  return undefined
}

/** Whether everything a pipeline names exists, and takes its signal. */
function checkPipeline(pipeline: PipelineSection, components: Components, report: Report): void {
  const path = `service::pipelines::${pipeline.id}`
  const ends = { receiver: pipeline.receivers, exporter: pipeline.exporters } as const
  for (const kind of ['receiver', 'exporter'] as const) {
    const candidates = [...components[kind].keys(), ...components.connector.keys()]
    for (const { id, place, written } of ends[kind]) {
      const found = components[kind].get(id)
      if (found !== undefined) tellSignal(found, pipeline, place, report)
      else if (!components.connector.has(id)) tellReference(kind, id, { path, place, written }, candidates, report)
    }
  }
  const seen = new Set<string>()
  for (const { id, place, written } of pipeline.processors) {
    if (seen.has(id))
      report.error('CONFIG_PIPELINE', place, `${path}: references processor \`${written ?? id}\` multiple times`)
    seen.add(id)
    const found = components.processor.get(id)
    if (found !== undefined) tellSignal(found, pipeline, place, report)
    else tellReference('processor', id, { path, place, written }, [...components.processor.keys()], report)
  }
}

/** Whether a component takes the signal of a pipeline that names it at `place`, and what is configured of it does. */
function tellSignal(
  { kind, id, key, definition, config, node }: ComponentSection,
  { id: pipeline, signal }: PipelineSection,
  place: Place,
  report: Report,
): void {
  if (definition === undefined) return
  const { signals } = definition
  if (!signals.includes(signal)) {
    const message = `service::pipelines::${pipeline}: the ${kind} \`${id}\` does not support ${signal}`
    report.error('CONFIG_PIPELINE', place, message, `it supports ${signals.join(', ') || 'no signal'}`)
  } else if (config !== undefined) {
    const section = { path: `${kind}s::${id}`, key, node }
    // The definition's own schema has made it.
    for (const { path, problem, hint } of definition.unfit?.(config as never, signal) ?? [])
      tellValue(section, path, problem, hint, report)
  }
}

/** The pipelines as the graph is built from them. A receiver or exporter named twice is one. */
export function configuredPipelines(pipelines: readonly PipelineSection[]): ConfiguredPipeline[] {
  const ids = (references: readonly Reference[]) => [...new Set(references.map(({ id }) => id))]
  return pipelines.map(({ id, signal, receivers, processors, exporters }) => ({
    id,
    signal,
    receivers: ids(receivers),
    processors: ids(processors),
    exporters: ids(exporters),
  }))
}
