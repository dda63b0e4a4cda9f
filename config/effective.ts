/** The configuration as it takes effect: in the form users write, with every default filled in. */
import * as z from 'zod'
import { parseDuration } from '../core/fields.ts'
import { telemetryConfig } from '../telemetry/config.ts'
import { kinds } from './components.ts'
import { type MapEntry, isNull, type MapNode, type Node } from './document.ts'
import { durationText } from './duration-text.ts'
import { sameValue } from './equal.ts'
import { parseId } from './ids.ts'
import type { Loaded } from './load.ts'
import { defaultPlace, type Place } from './place.ts'
import { inputFor, nearestOption, type SchemaShape, shapeOf } from './shape.ts'

type Schema = z.core.$ZodType

/** All of a configuration that nothing is wrong with. What came from no source has `defaultPlace`. */
export function effectiveOf({ configured, root }: Pick<Loaded, 'configured' | 'root'>): MapNode {
  const entries = new Map<string, MapEntry>()
  for (const kind of kinds) {
    const section = root.entries.get(`${kind}s`)
    if (section === undefined) continue
    const made = new Map<string, MapEntry>()
    for (const [text, { key, value }] of entriesOf(section.value)) {
      const id = parseId(text)
      const component = typeof id === 'string' ? undefined : configured[`${kind}s`].get(id.text)
      if (component === undefined) continue
      // A component with nothing behind its id has its defaults.
      const given = isNull(value) ? emptyAt(value.place) : value
      const config = filled(component.definition.config, given)
      if (config !== undefined) made.set(component.id, { key, value: config })
    }
    entries.set(`${kind}s`, { key: section.key, value: { ...emptyAt(section.value.place), entries: made } })
  }
  const service = root.entries.get('service')
  if (service !== undefined) entries.set('service', { key: service.key, value: effectiveService(service.value) })
  return { ...root, entries }
}

const entriesOf = (node: Node | undefined): ReadonlyMap<string, MapEntry> =>
  node?.kind === 'map' ? node.entries : new Map()

const emptyAt = (place: Place): MapNode => ({ kind: 'map', place, entries: new Map() })

function effectiveService(service: Node): Node {
  const given = entriesOf(service)
  const pipelines = new Map<string, MapEntry>()
  for (const [id, { key, value }] of entriesOf(given.get('pipelines')?.value)) {
    const lists = new Map<string, MapEntry>()
    for (const list of ['receivers', 'processors', 'exporters']) lists.set(list, listOr(entriesOf(value).get(list)))
    pipelines.set(id, { key, value: { ...emptyAt(value.place), entries: lists } })
  }
  const telemetry = given.get('telemetry')
  const entries = new Map<string, MapEntry>()
  entries.set('telemetry', {
    key: telemetry?.key ?? defaultPlace,
    value:
      filled(
        telemetryConfig,
        telemetry === undefined || isNull(telemetry.value) ? emptyAt(defaultPlace) : telemetry.value,
      ) ?? emptyAt(defaultPlace),
  })
  entries.set('extensions', listOr(given.get('extensions')))
  const at = given.get('pipelines')
  entries.set('pipelines', {
    key: at?.key ?? defaultPlace,
    value: { ...emptyAt(at?.value.place ?? defaultPlace), entries: pipelines },
  })
  return { kind: 'map', place: service.place, entries }
}

function listOr(entry: MapEntry | undefined): MapEntry {
  if (entry?.value.kind === 'list') return entry
  return { key: entry?.key ?? defaultPlace, value: { kind: 'list', place: defaultPlace, items: [] } }
}

/** What a schema makes of a value, as a user would have written it; undefined where there is no value and no default. */
export function filled(schema: Schema, node: Node | undefined): Node | undefined {
  const given = node === undefined ? undefined : present(schema, node)
  if (given === undefined) {
    const preset = presetOf(schema)
    return preset === undefined ? undefined : filled(schema, preset)
  }
  const shape = shapeOf(schema)
  const { def } = shape.schema._zod
  if (given.kind === 'map') {
    if (def.type === 'object') return filledObject(def, given)
    if (def.type === 'record') return eachValue(given, value => filled(def.valueType, value))
    if (def.type === 'intersection') return intersected(filled(def.left, given), filled(def.right, given))
  }
  if (given.kind === 'list') {
    if (def.type === 'array') return { ...given, items: given.items.map(item => filled(def.element, item) ?? item) }
    if (def.type === 'tuple')
      return {
        ...given,
        items: given.items.map((item, i) => filled(def.items[i] ?? def.rest ?? z.unknown(), item) ?? item),
      }
  }
  if (def.type === 'union' && given.kind !== 'scalar') {
    const option = nearestOption(def.options, given)
    return option === undefined ? given : filled(option, given)
  }
  return given.kind === 'scalar' ? leaf(schema, shape, given) : given
}

/** The value; undefined when it is a null that stands for the default, an empty section when for one. */
function present(schema: Schema, node: Node): Node | undefined {
  if (!isNull(node) || node.text !== undefined) return node
  const input = inputFor(node, schema)
  if (input === undefined) return undefined
  if (input !== null) return typeof input === 'object' ? emptyAt(node.place) : node
  return meansEmpty(schema, null) ? emptyAt(node.place) : node
}

/** The default of a schema, in the form it would be written. */
function presetOf(schema: Schema): Node | undefined {
  let at = schema as z.core.$ZodTypes // the union of all of them, which the base class does not say of itself
  for (;;) {
    const { def } = at._zod
    if (def.type === 'prefault') return toNode(def.defaultValue)
    if (def.type === 'default') return toNode(asWritten(def.innerType, def.defaultValue))
    let inner: Schema | undefined
    if (def.type === 'pipe') inner = def.in._zod.def.type === 'transform' ? def.out : def.in
    else if (at._zod.def.type === 'lazy') inner = (at as z.core.$ZodLazy)._zod.innerType
    else if ('innerType' in def) inner = def.innerType
    if (inner === undefined) break
    at = inner as z.core.$ZodTypes
  }
  // A section that may be left out, and is then what it would be with nothing in it.
  return meansEmpty(schema, undefined) ? emptyAt(defaultPlace) : undefined
}

/** Whether a missing value or null is taken as a section without content. */
function meansEmpty(schema: Schema, input: null | undefined): boolean {
  const bare = shapeOf(schema).schema
  if (bare._zod.def.type !== 'object') return false
  const absent = z.safeParse(schema, input)
  const empty = z.safeParse(bare, {})
  return absent.success && empty.success && typeof absent.data === 'object' && sameValue(absent.data, empty.data)
}

/** A default is what comes out of a schema, which is mostly what goes in as well. */
function asWritten(schema: Schema, value: unknown): unknown {
  const { duration } = shapeOf(schema)
  return duration && typeof value === 'number' ? durationText(value) : value
}

function filledObject(def: z.core.$ZodObjectDef, node: MapNode): MapNode {
  const entries = new Map<string, MapEntry>()
  for (const [key, inner] of Object.entries(def.shape)) {
    const there = node.entries.get(key)
    const value = filled(inner, there?.value)
    if (value !== undefined) entries.set(key, { key: there?.key ?? defaultPlace, value })
  }
  for (const [key, entry] of node.entries) {
    if (Object.hasOwn(def.shape, key)) continue
    entries.set(key, { ...entry, value: filled(def.catchall ?? z.unknown(), entry.value) ?? entry.value })
  }
  return { ...node, entries }
}

function eachValue(node: MapNode, change: (value: Node) => Node | undefined): MapNode {
  const entries = new Map<string, MapEntry>()
  for (const [key, entry] of node.entries) entries.set(key, { ...entry, value: change(entry.value) ?? entry.value })
  return { ...node, entries }
}

function intersected(left: Node | undefined, right: Node | undefined): Node | undefined {
  if (left?.kind !== 'map' || right?.kind !== 'map') return left ?? right
  return { ...left, entries: new Map([...left.entries, ...right.entries]) }
}

/** A single value as the schema takes it, such as 83 for `0123`, or 64 for a 0 that means the default. */
function leaf(schema: Schema, { secret, duration }: SchemaShape, node: Extract<Node, { kind: 'scalar' }>): Node {
  const input = inputFor(node, schema)
  if (secret) return { ...node, ...(typeof input === 'string' ? { value: input } : {}), secret: true }
  const { success, data } = z.safeParse(schema, input)
  if (!success) return node
  if (duration && typeof data === 'number') {
    const same = typeof input === 'string' && parseDuration(input) === data
    return { ...node, value: same ? input : durationText(data) }
  }
  if (isSingle(data) || data === null) return { ...node, value: data }
  // As a list it would be several values, none of which may be shown.
  if (node.origin !== undefined) return node
  const isPlainList = Array.isArray(data) && data.every(item => typeof item === 'string')
  return isPlainList ? { ...toNode(data), place: node.place } : node
}

/** A value that came from no source. */
function toNode(value: unknown): Node {
  const place = defaultPlace
  if (Array.isArray(value)) return { kind: 'list', place, items: value.map(toNode) }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined)
    return {
      kind: 'map',
      place,
      entries: new Map(entries.map(([key, inner]) => [key, { key: place, value: toNode(inner) }])),
    }
  }
  return { kind: 'scalar', place, value: isSingle(value) ? value : null }
}

function isSingle(value: unknown): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value)
}
