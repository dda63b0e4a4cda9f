/** A configuration as it may be told of: for explanations, which quote values. */
import type { Kind } from '../core/component.ts'
import type { Configured, ConfiguredComponent } from '../core/configured.ts'
import { kinds } from './components.ts'
import { type MapEntry, everyNode, type MapNode, type Node } from './document.ts'
import { parseId } from './ids.ts'
import type { Loaded } from './load.ts'
import { inputFor } from './shape.ts'
import { shown } from './shown.ts'

/**
 * The same components and pipelines, where what came from variables and files is its reference. A component whose schema
 * does not take that (a number, one of some words) is as it is: what it does depends on it.
 */
export function disclosedOf({ configured, root }: Pick<Loaded, 'configured' | 'root'>): Configured {
  const ids = new Set(kinds.flatMap(kind => [...configured[`${kind}s`].keys()]))
  const disclosed = <K extends Kind>(kind: K, configured: ReadonlyMap<string, ConfiguredComponent<K>>) => {
    const made = new Map(configured)
    const section = root.entries.get(`${kind}s`)?.value
    for (const [text, { value }] of section?.kind === 'map' ? section.entries : []) {
      const id = parseId(text)
      const component = typeof id === 'string' ? undefined : made.get(id.text)
      if (component === undefined || ![...everyNode(value)].some(({ origin }) => origin !== undefined)) continue
      const { config } = component.definition
      const parsed = config.safeParse(inputFor(withReferences(value, ids), config))
      if (parsed.success) made.set(component.id, { ...component, config: parsed.data })
    }
    return made
  }
  return {
    ...configured,
    receivers: disclosed('receiver', configured.receivers),
    processors: disclosed('processor', configured.processors),
    exporters: disclosed('exporter', configured.exporters),
    connectors: disclosed('connector', configured.connectors),
    extensions: disclosed('extension', configured.extensions),
  }
}

/** What came from outside as its reference, but for ids, which are told wherever a component is. */
function withReferences(node: Node, ids: ReadonlySet<string>): Node {
  if (node.kind === 'list') return { ...node, items: node.items.map(item => withReferences(item, ids)) }
  if (node.kind === 'map') {
    const entries = [...node.entries].map(([key, entry]): [string, MapEntry] => [
      key,
      { ...entry, value: withReferences(entry.value, ids) },
    ])
    return { ...node, entries: new Map(entries) } satisfies MapNode
  }
  const { origin, text, value, place, kind } = node
  if (origin === undefined || typeof value !== 'string' || ids.has(text ?? value)) return node
  return { kind, place, value: shown(node) }
}
