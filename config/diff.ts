/** What differs between two configurations once references are followed and defaults filled in. */
import type { Configured } from '../core/configured.ts'
import { kinds } from './components.ts'
import { type MapEntry, everyNode, type MapNode, type Node, plainOf } from './document.ts'
import { effectiveOf } from './effective.ts'
import { sameValue } from './equal.ts'
import { shown } from './shown.ts'

/** One value that differs, as it may be shown: secrets as `[REDACTED]`, what came from outside as its reference. */
export interface KeyDifference {
  /** Keys from the component on, joined with `::`. */
  readonly key: string
  /** Undefined: it was not there. */
  readonly before: unknown
  readonly after: unknown
  readonly secret: boolean
}

/** A component, pipeline or part of `service` that differs. */
export interface Difference {
  /** Such as `exporters::otlp_grpc` or `service::pipelines::traces`. */
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
  /** Values that differ; only for `changed`. */
  readonly keys: readonly KeyDifference[]
}

/** A configuration as it was loaded. */
export interface DiffSide {
  readonly configured: Configured
  readonly root: MapNode
}

/** Compares two configurations; empty when they mean the same. */
export function differencesOf(before: DiffSide, after: DiffSide): Difference[] {
  const old = unitsOf(effectiveOf(before))
  const now = unitsOf(effectiveOf(after))
  const found: Difference[] = []
  const paths = [...new Set([...old.keys(), ...now.keys()])]
  for (const path of paths.toSorted((a, b) => rankOf(a) - rankOf(b))) {
    const was = old.get(path)
    const is = now.get(path)
    if (was === undefined) found.push({ path, change: 'added', keys: [] })
    else if (is === undefined) found.push({ path, change: 'removed', keys: [] })
    else {
      const keys = keysThatDiffer(was, is)
      if (keys.length > 0) found.push({ path, change: 'changed', keys })
    }
  }
  return found
}

const sections = [...kinds.map(kind => `${kind}s`), 'service']
const rankOf = (path: string) => sections.findIndex(section => path === section || path.startsWith(`${section}::`))

/** The parts that are compared, in the order of the file. */
function unitsOf(root: MapNode): Map<string, Node> {
  const units = new Map<string, Node>()
  for (const [section, { value }] of root.entries) {
    for (const [name, { value: unit }] of entriesOf(value)) {
      if (section !== 'service' || name !== 'pipelines') units.set(`${section}::${name}`, unit)
      else for (const [id, pipeline] of entriesOf(unit)) units.set(`${section}::${name}::${id}`, pipeline.value)
    }
  }
  return units
}

const entriesOf = (node: Node): ReadonlyMap<string, MapEntry> => (node.kind === 'map' ? node.entries : new Map())

function keysThatDiffer(was: Node, is: Node): KeyDifference[] {
  const old = new Map(leavesOf(was, []))
  const now = new Map(leavesOf(is, []))
  const found: KeyDifference[] = []
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const sides = [old.get(key), now.get(key)]
    const [before, after] = sides.map(side => plainOf(side))
    if (sameValue(before, after)) continue
    const secret = sides.some(side =>
      [...everyNode(side)].some(node => node.secret === true || node.origin !== undefined),
    )
    const [shownBefore, shownAfter] = sides.map(side => plainOf(side, shown))
    found.push({ key, before: shownBefore, after: shownAfter, secret })
  }
  return found
}

/** Single values and lists of them, by their path. */
function* leavesOf(node: Node, path: readonly string[]): Generator<[key: string, leaf: Node]> {
  if (node.kind === 'map') {
    for (const [key, { value }] of node.entries) yield* leavesOf(value, [...path, key])
  } else if (node.kind === 'list' && node.items.some(item => item.kind !== 'scalar')) {
    for (const [i, item] of node.items.entries()) yield* leavesOf(item, [...path, String(i)])
  } else yield [path.join('::'), node]
}
