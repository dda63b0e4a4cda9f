/** The five sections of components: ids, types, and every section checked by its component's schema. */
import type { Definition, Kind } from '../core/component.ts'
import type { Named } from '../core/listed.ts'
import { type MapEntry, hide, isNull, type Node } from './document.ts'
import { parseId } from './ids.ts'
import { check } from './issues.ts'
import { collectorTypes, removed } from './known.ts'
import { nearest, quoted, suggest } from './nearest.ts'
import { positionOf, type Place } from './place.ts'
import type { Report } from './report.ts'

/** The kinds in the order of the pipeline. */
export const kinds = ['receiver', 'processor', 'exporter', 'connector', 'extension'] as const satisfies Kind[]

/** A component as the file names it: with faults it has no definition, or no config. */
export interface ComponentSection {
  readonly kind: Kind
  readonly id: string
  readonly key: Place
  readonly definition: Definition | undefined
  readonly config: unknown
  /** Its section as the file has it. */
  readonly node: Node
}

/** All components of a configuration by kind and id. */
export type Components = Readonly<Record<Kind, ReadonlyMap<string, ComponentSection>>>

/** A type the Collector has and this build has not. */
interface Missing {
  readonly kind: Kind
  readonly type: string
  readonly key: Place
}

/** The components that the sections name, as far as their ids can be read. */
export function namedIn(sections: ReadonlyMap<string, MapEntry>): Named[] {
  return kinds.flatMap(kind => {
    const node = sections.get(`${kind}s`)?.value
    if (node?.kind !== 'map') return []
    return [...node.entries.keys()].flatMap(text => {
      const id = parseId(text)
      return typeof id === 'string' ? [] : { kind, type: id.type }
    })
  })
}

/** Reads the sections of components. */
export function readComponents(
  sections: ReadonlyMap<string, MapEntry>,
  definitions: readonly Definition[],
  report: Report,
): Components {
  const missing: Missing[] = []
  const noted = new Set<string>()
  const read = (kind: Kind): ReadonlyMap<string, ComponentSection> => {
    const section = sections.get(`${kind}s`)
    const found = new Map<string, ComponentSection>()
    if (section === undefined) return found
    for (const { id, type, entry } of readIds(kind, section, report)) {
      const same = found.get(id)
      if (same !== undefined) {
        const { line } = positionOf(same.key)
        report.error('CONFIG_ID', entry.key, `${kind}s: duplicate name \`${id}\`, which line ${line} has already`)
        continue
      }
      const definition = findDefinition(kind, type, definitions)
      if (definition === undefined) {
        // No schema says which of its values are secret.
        hide(entry.value)
        tellUnknown(kind, id, type, entry.key, { definitions, missing, report })
      }
      if (definition !== undefined && definition.type !== type) tellAlias(definition, type, entry.key, noted, report)
      const config = definition === undefined ? undefined : readConfig(kind, id, entry, definition, report)
      found.set(id, { kind, id, key: entry.key, definition, config, node: entry.value })
    }
    return found
  }
  const components = {
    receiver: read('receiver'),
    processor: read('processor'),
    exporter: read('exporter'),
    connector: read('connector'),
    extension: read('extension'),
  }
  tellMissing(missing, report)
  tellAmbiguous(components, report)
  return components
}

function* readIds(
  kind: Kind,
  { key, value }: MapEntry,
  report: Report,
): Generator<{ id: string; type: string; entry: MapEntry }> {
  if (value.broken || isNull(value)) return
  if (value.kind !== 'map') {
    const hint = 'write each id as a key: `type:` or `type/name:`'
    report.error('CONFIG_INVALID_VALUE', key, `${kind}s: expected a section with the ids of ${kind}s`, hint)
    return
  }
  for (const [text, entry] of value.entries) {
    const id = parseId(text)
    if (typeof id === 'string') report.error('CONFIG_ID', entry.key, `${kind}s: ${id}`)
    else yield { id: id.text, type: id.type, entry }
  }
}

function readConfig(kind: Kind, id: string, entry: MapEntry, definition: Definition, report: Report): unknown {
  const { value } = entry
  // A component with nothing behind its id has its defaults.
  const empty = { kind: 'map', place: value.place, origin: value.origin, entries: new Map() } as const
  const node: Node = isNull(value) && !value.broken ? empty : value
  return check({ path: `${kind}s::${id}`, key: entry.key, node }, definition.config, report)
}

function findDefinition(kind: Kind, type: string, definitions: readonly Definition[]): Definition | undefined {
  const ofKind = definitions.filter(definition => definition.kind === kind)
  return (
    ofKind.find(definition => definition.type === type) ??
    ofKind.find(definition => definition.aliases?.includes(type) === true)
  )
}

function tellAlias(definition: Definition, type: string, key: Place, noted: Set<string>, report: Report): void {
  const { kind } = definition
  if (noted.has(`${kind} ${type}`)) return
  noted.add(`${kind} ${type}`)
  const message = `${kind}s: \`${type}\` is the older name of \`${definition.type}\`; both mean the same`
  report.warn('CONFIG_ID', key, message, `write \`${definition.type}\`, here and where the id is used`)
}

function tellUnknown(
  kind: Kind,
  id: string,
  type: string,
  key: Place,
  to: { definitions: readonly Definition[]; missing: Missing[]; report: Report },
): void {
  const message = `${kind}s: unknown type \`${type}\` for id \`${id}\``
  const gone = removed.get(`${kind} ${type}`)
  if (gone !== undefined) return to.report.error('CONFIG_UNKNOWN_COMPONENT', key, message, gone)
  if (collectorTypes[kind].includes(type)) {
    to.missing.push({ kind, type, key })
    return
  }
  const elsewhere = to.definitions.find(definition => definition.kind !== kind && definition.type === type)
  const valid = to.definitions.filter(definition => definition.kind === kind).map(definition => definition.type)
  const list = valid.length === 0 ? `this build has no ${kind}s` : `${kind}s of this build: ${quoted(valid.toSorted())}`
  const known = [...valid, ...to.definitions.flatMap(d => (d.kind === kind ? (d.aliases ?? []) : []))]
  const meant = nearest(type, known)
  if (meant === undefined && elsewhere !== undefined) {
    const hint = `\`${type}\` is one of the ${elsewhere.kind}s: move it to \`${elsewhere.kind}s\``
    return to.report.error('CONFIG_UNKNOWN_COMPONENT', key, message, hint)
  }
  const hint = meant === undefined ? list : `did you mean \`${meant}\`? ${list}`
  to.report.error('CONFIG_UNKNOWN_COMPONENT', key, message, hint)
}

/** One error for all components that are the Collector's and not ours yet: what a user who brings a file has to know. */
function tellMissing(missing: readonly Missing[], report: Report): void {
  const [first] = missing
  if (first === undefined) return
  const list = missing.map(({ kind, type, key }) => {
    const { file, line, column } = positionOf(key)
    return `${kind} \`${type}\` (${file}:${line}:${column})`
  })
  const [one, are] = missing.length === 1 ? ['component', 'is'] : ['components', 'are']
  const message = `${missing.length} ${one} of the OpenTelemetry Collector ${are} not in this build: ${list.join(', ')}`
  report.error('CONFIG_UNKNOWN_COMPONENT', first.key, message, 'remove them, or use components this build has')
}

function tellAmbiguous(components: Components, report: Report): void {
  for (const [id, { key }] of components.connector) {
    for (const kind of ['receiver', 'exporter'] as const) {
      if (!components[kind].has(id)) continue
      const message = `connectors::${id}: ambiguous id: there is also the ${kind} \`${id}\``
      report.error('CONFIG_ID', key, message, `rename the connector, for example to \`${id}/connector\``)
    }
  }
}

/** What is wrong with a reference to an id that is not configured, in the Collector's words. */
export function tellReference(
  kind: Kind,
  id: string,
  where: { readonly path: string; readonly place: Place; readonly written?: string | undefined },
  candidates: readonly string[],
  report: Report,
): void {
  const { path, place, written } = where
  const message = `${path}: references ${kind} \`${written ?? id}\` which is not configured`
  const otherwise = candidates.length === 0 ? `no ${kind}s are configured` : `configured: ${quoted(candidates)}`
  report.error(
    'CONFIG_REFERENCE',
    place,
    message,
    written === undefined ? suggest(id, candidates, otherwise) : otherwise,
  )
}
