/** From version v1alpha1 of Kyma's documents to v1beta1: renamed keys. What is renamed keeps its place. */
import type { MapEntry, MapNode, Node } from '../document.ts'
import { list, scalar } from './nodes.ts'

/** The document in the form of v1beta1. */
export function toBeta(document: MapNode): MapNode {
  return within(document, ['spec'], spec => {
    const renamed = within(spec, ['input'], input => {
      const named = rename(input, 'application', 'runtime')
      const selected = within(named, ['runtime', 'namespaces'], everyNamespace)
      return within(selected, ['otlp'], otlp => rename(otlp, 'disabled', 'enabled', inverted))
    })
    return within(renamed, ['output', 'http', 'tls'], tls =>
      rename(rename(tls, 'disabled', 'insecure'), 'skipCertificateValidation', 'insecureSkipVerify'),
    )
  })
}

/** A section in which the section at a path is changed, if there is one. */
function within(node: MapNode, path: readonly string[], change: (section: MapNode) => MapNode): MapNode {
  const [key, ...rest] = path
  if (key === undefined) return change(node)
  const entry = node.entries.get(key)
  if (entry?.value.kind !== 'map') return node
  return { ...node, entries: new Map(node.entries).set(key, { ...entry, value: within(entry.value, rest, change) }) }
}

/** A key under its new name. One that stands there under both is left for the check to find. */
function rename(node: MapNode, from: string, to: string, change: (value: Node) => Node = value => value): MapNode {
  if (!node.entries.has(from) || node.entries.has(to)) return node
  const entries = new Map<string, MapEntry>()
  for (const [key, entry] of node.entries) {
    if (key === from) entries.set(to, { ...entry, value: change(entry.value) })
    else entries.set(key, entry)
  }
  return { ...node, entries }
}

const inverted = (node: Node): Node =>
  node.kind === 'scalar' && typeof node.value === 'boolean' ? { ...node, value: !node.value } : node

const systemNamespaces = ['kyma-system', 'kube-system', 'istio-system']

/** `system: true` was the way to say every namespace, which an empty selector says now. */
function everyNamespace(node: MapNode): MapNode {
  const system = node.entries.get('system')
  if (system?.value.kind !== 'scalar' || typeof system.value.value !== 'boolean') return node
  const { place } = system.value
  const entries = new Map([...node.entries].filter(([key]) => key !== 'system'))
  if (!system.value.value && entries.size === 0) {
    const value = list(
      place,
      systemNamespaces.map(name => scalar(place, name)),
    )
    entries.set('exclude', { key: system.key, value })
  }
  return { ...node, entries }
}
