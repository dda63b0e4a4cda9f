/** Several documents into one, as the Collector does it: sections merge, anything else is replaced by what comes later. */
import type { MapEntry, MapNode, Node } from './document.ts'
import { isNull, plainOf } from './document.ts'
import { jsonOf } from './json.ts'
import type { Report } from './report.ts'

/** A tree in which every key with `::` in it is nested: `a::b: 1` is `a: {b: 1}`. */
export function splitKeys(node: Node, report: Report): Node {
  if (node.kind === 'list') return { ...node, items: node.items.map(item => splitKeys(item, report)) }
  if (node.kind === 'scalar') return node
  const entries = new Map<string, MapEntry>()
  for (const [key, { key: place, value }] of node.entries) {
    const [first = key, ...words] = key.split('::')
    let entry: MapEntry = { key: place, value: splitKeys(value, report) }
    for (const word of words.toReversed())
      entry = { key: place, value: { kind: 'map', place: entry.value.place, entries: new Map([[word, entry]]) } }
    join(entries, first, entry, [], report)
  }
  return { ...node, entries }
}

/** Adds an entry; the same value written in both forms has no defined winner, so it is an error. */
function join(
  entries: Map<string, MapEntry>,
  key: string,
  entry: MapEntry,
  path: readonly string[],
  report: Report,
): void {
  const there = entries.get(key)
  if (there === undefined) {
    entries.set(key, entry)
    return
  }
  if (there.value.kind === 'map' && entry.value.kind === 'map') {
    // All sections here are made by `splitKeys`; a copy for each key would be quadratic.
    const inner = there.value.entries as Map<string, MapEntry>
    for (const [word, below] of entry.value.entries) join(inner, word, below, [...path, key], report)
    return
  }
  const name = [...path, key].join('::')
  report.error('CONFIG_SYNTAX', entry.key, `\`${name}\` is given twice, once with \`::\` in its key`)
}

/** How values meet. */
export interface MergeOptions {
  /** Lists of references are joined (the gate `confmap.enableMergeAppendOption`). */
  readonly append?: boolean
}

/** `later` over `earlier`. A null that erases a section is legal, but seldom meant. */
export function merge(
  earlier: MapNode,
  later: MapNode,
  report: Report,
  path: readonly string[] = [],
  options: MergeOptions = {},
): MapNode {
  const entries = new Map(earlier.entries)
  for (const [key, entry] of later.entries) {
    const before = entries.get(key)?.value
    if (before?.kind === 'map' && entry.value.kind === 'map') {
      entries.set(key, { key: entry.key, value: merge(before, entry.value, report, [...path, key], options) })
      continue
    }
    if (before?.kind === 'map' && before.entries.size > 0 && isNull(entry.value)) {
      const name = [...path, key].join('::')
      const message = `\`${name}\` is empty here and erases what ${before.place.source.name} says of it`
      report.warn('CONFIG_INVALID_VALUE', entry.key, message, `write \`${key}: {}\` to keep it, or leave the key out`)
    }
    const isJoined = options.append === true && isJoinable([...path, key])
    entries.set(key, isJoined ? { ...entry, value: appended(before, entry.value) } : entry)
  }
  return { ...later, entries }
}

/** Whether order says nothing in a list, so that two of them can be joined: not so for processors. */
function isJoinable([section, ...rest]: readonly string[]): boolean {
  if (section !== 'service') return false
  const last = rest.at(-1)
  return (last === 'extensions' && rest.length === 1) || last === 'receivers' || last === 'exporters'
}

function appended(earlier: Node | undefined, later: Node): Node {
  if (earlier?.kind !== 'list' || later.kind !== 'list') return later
  const known = new Set(earlier.items.map(item => jsonOf(plainOf(item))))
  return {
    ...later,
    items: [...earlier.items, ...later.items.filter(item => !known.has(jsonOf(plainOf(item))))],
  }
}
