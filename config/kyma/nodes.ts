/** Reading the tree of a document of Kyma's, and making the tree of a configuration from it. */
import { type MapEntry, isNull, type ListNode, type MapNode, type Node, type ScalarNode } from '../document.ts'
import type { Place } from '../place.ts'

/** What stands at a path; a null is as if nothing was there. */
export function at(node: Node | undefined, ...path: readonly string[]): Node | undefined {
  let found = node
  for (const key of path) found = found?.kind === 'map' ? found.entries.get(key)?.value : undefined
  return found === undefined || isNull(found) ? undefined : found
}

/** The entry at a path: its key's place says where a missing value would stand. */
export function entryAt(node: Node | undefined, ...path: readonly string[]): MapEntry | undefined {
  const around = at(node, ...path.slice(0, -1))
  return around?.kind === 'map' ? around.entries.get(path.at(-1) ?? '') : undefined
}

/** The text at a path. */
export function textAt(node: Node | undefined, ...path: readonly string[]): string | undefined {
  const found = at(node, ...path)
  return found?.kind === 'scalar' && typeof found.value === 'string' ? found.value : undefined
}

/** The truth value at a path. */
export function flagAt(node: Node | undefined, otherwise: boolean, ...path: readonly string[]): boolean {
  const found = at(node, ...path)
  return found?.kind === 'scalar' && typeof found.value === 'boolean' ? found.value : otherwise
}

/** The items of a list at a path. */
export function itemsAt(node: Node | undefined, ...path: readonly string[]): readonly Node[] {
  const found = at(node, ...path)
  return found?.kind === 'list' ? found.items : []
}

/** A single value that stands at `place`. */
export const scalar = (place: Place, value: ScalarNode['value']): ScalarNode => ({ kind: 'scalar', place, value })

/** A text as it is: all but whole references to variables and files is meant literally. */
export const literal = (place: Place, text: string): ScalarNode =>
  scalar(
    place,
    text.replaceAll('$$', () => '$$$$'),
  )

/** A list that stands at `place`. */
export const list = (place: Place, items: readonly Node[]): ListNode => ({ kind: 'list', place, items })

/** A section that stands at `place`; keys without a value are left out, single values stand where it begins. */
export function section(
  place: Place,
  values: Readonly<Record<string, Node | ScalarNode['value'] | undefined>>,
): MapNode {
  const entries = new Map<string, MapEntry>()
  const beginning = { ...place, end: place.start }
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue
    const node = typeof value === 'object' && value !== null ? value : scalar(beginning, value)
    entries.set(key, { key: node.place, value: node })
  }
  return { kind: 'map', place, entries }
}
