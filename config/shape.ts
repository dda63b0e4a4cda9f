/** What a zod schema says of a place in a configuration: which keys it has, what kind of value, whether it is secret. */
import * as z from 'zod'
import { Capability } from '../core/capability.ts'
import type { Signal } from '../proto/signals.ts'
import { hide, type MapNode, type Node, plainOf, type ScalarNode } from './document.ts'
import { nearest } from './nearest.ts'

type Schema = z.core.$ZodType

/** What a key is for the network: an address that is listened on, one that OTLP is sent to, or certificates. */
export type Role = 'listens' | 'sends OTLP' | 'certificates'

/** A schema without what is wrapped around it. */
export interface SchemaShape {
  readonly schema: z.core.$ZodTypes
  readonly nullable: boolean
  readonly secret: boolean
  /** Whether it decides what is dropped. */
  readonly deciding: boolean
  /** Whether it is written as a duration, such as `5s`. */
  readonly duration: boolean
  /** What the extension has to offer whose id it is; undefined when it is none. */
  readonly reference: Capability | undefined
  /** What it is for the network; undefined when it is nothing there. */
  readonly role: Role | undefined
  /** Of what alone it is, where it is not of all. */
  readonly signal: Signal | undefined
}

/** Takes off defaults, optionals, transforms. */
export function shapeOf(schema: Schema): SchemaShape {
  let at = schema as z.core.$ZodTypes // the union of all of them, which the base class does not say of itself
  let nullable = false
  let secret = false
  let deciding = false
  let duration = false
  let reference: Capability | undefined
  let role: Role | undefined
  let signal: Signal | undefined
  for (;;) {
    const meta = z.globalRegistry.get(at)
    secret ||= meta?.['secret'] === true
    deciding ||= meta?.['deciding'] === true
    duration ||= meta?.['format'] === 'duration'
    role ??= meta?.['role'] as Role | undefined
    signal ??= meta?.['signal'] as Signal | undefined
    if (meta?.['reference'] instanceof Capability) reference ??= meta['reference']
    const { def } = at._zod
    let inner: Schema
    if (def.type === 'nullable') {
      nullable = true
      inner = def.innerType
    } else if (at._zod.def.type === 'lazy') inner = (at as z.core.$ZodLazy)._zod.innerType
    else if (def.type === 'pipe') inner = def.in._zod.def.type === 'transform' ? def.out : def.in
    else if ('innerType' in def) inner = def.innerType
    else return { schema: at, nullable, secret, deciding, duration, reference, role, signal }
    at = inner as z.core.$ZodTypes
  }
}

/** What goes into zod: plain values, where fields that take a text get the text a reference stood for. */
export function inputFor(node: Node, schema: Schema): unknown {
  const shape = shapeOf(schema)
  const single = node.kind === 'scalar' && node.value !== null
  if (shape.deciding) node.deciding = true
  if (shape.secret || (single && holdsSecrets(schema))) hide(node)
  if (node.kind === 'scalar' && node.value === null) return inputForNull(node, shape)
  const { def } = shape.schema._zod
  if (takesText(shape.schema)) return textOf(node)
  if (def.type === 'union') return unionInput(node, def.options)
  if (node.kind === 'map' && mapTypes.has(def.type)) return mapInput(node, shape.schema)
  if (node.kind === 'list' && def.type === 'array') return node.items.map(item => inputFor(item, def.element))
  if (node.kind === 'list' && def.type === 'tuple')
    return node.items.map((item, i) => inputFor(item, def.items[i] ?? def.rest ?? z.unknown()))
  return node.kind === 'scalar' ? scalarFor(node, [shape.schema]) : plain(node)
}

/** A value as it is; a large whole number as the nearest double where no schema takes it with all its digits. */
function scalarFor({ value }: ScalarNode, schemas: readonly z.core.$ZodTypes[]): ScalarNode['value'] {
  return typeof value !== 'bigint' || schemas.some(takesDigits) ? value : Number(value)
}

function takesDigits(schema: z.core.$ZodTypes): boolean {
  const { def } = schema._zod
  if (def.type === 'union') return def.options.some(option => takesDigits(shapeOf(option).schema))
  return def.type === 'bigint' || def.type === 'unknown' || def.type === 'any'
}

const mapTypes: ReadonlySet<string> = new Set(['object', 'record', 'intersection', 'map'])
const listTypes: ReadonlySet<string> = new Set(['array', 'tuple', 'set'])

const plain = (node: Node) => plainOf(node)

function textOf(node: Node): unknown {
  return node.text ?? plain(node)
}

/** A null scalar is the zero of its kind, as in the Collector; a null section or list is its default. */
function inputForNull(node: Node, { schema, nullable }: SchemaShape): unknown {
  if (takesText(schema)) return node.text ?? (nullable ? null : '')
  if (nullable) return null
  const { def } = schema._zod
  if (def.type === 'boolean') return false
  if (def.type === 'number') return 0
  if (def.type === 'object') return {}
  if (def.type === 'union') return nullForUnion(def.options) ? null : (node.text ?? '')
  return def.type === 'record' || def.type === 'map' || listTypes.has(def.type) ? undefined : null
}

/** Null stays null where an option takes it, or none takes a text. */
function nullForUnion(options: readonly Schema[]): boolean {
  const shapes = options.map(shapeOf)
  if (shapes.some(({ schema, nullable }) => nullable || schema._zod.def.type === 'null')) return true
  return !shapes.some(({ schema }) => takesText(schema))
}

/** Whether a schema takes texts and nothing else. */
function takesText(schema: z.core.$ZodTypes): boolean {
  const { def } = schema._zod
  if (def.type === 'string' || def.type === 'template_literal') return true
  if (def.type === 'enum') return Object.values(def.entries).every(value => typeof value === 'string')
  return def.type === 'literal' && def.values.every(value => typeof value === 'string')
}

function mapInput(node: MapNode, schema: z.core.$ZodTypes): Record<string, unknown> {
  const made: [string, unknown][] = []
  for (const [key, { value }] of node.entries) {
    const input = inputFor(value, schemaOfKey(schema, key) ?? z.unknown())
    if (input !== undefined) made.push([key, input])
  }
  return Object.fromEntries(made)
}

/** A scalar goes in as YAML has it if some option wants that, else as its text; a section as the nearest option has it. */
function unionInput(node: Node, options: readonly Schema[]): unknown {
  const shapes = options.map(shapeOf)
  if (node.kind !== 'scalar') {
    const option = nearestOption(options, node)
    return option === undefined ? plain(node) : inputFor(node, option)
  }
  if (shapes.some(({ secret }) => secret)) hide(node)
  const own = shapes.some(({ schema }) => isOfKind(schema, node))
  const text = shapes.some(({ schema }) => takesText(schema))
  if (text && !(own && typeof node.value !== 'string')) return textOf(node)
  return scalarFor(
    node,
    shapes.map(({ schema }) => schema),
  )
}

/** Whether a value could be one of a schema by its kind alone. */
function isOfKind(schema: z.core.$ZodTypes, node: Node): boolean {
  const { def } = schema._zod
  if (def.type === 'any' || def.type === 'unknown') return true
  if (def.type === 'union') return def.options.some(option => isOfKind(shapeOf(option).schema, node))
  if (mapTypes.has(def.type)) return node.kind === 'map'
  if (listTypes.has(def.type)) return node.kind === 'list'
  if (node.kind !== 'scalar') return false
  if (def.type === 'literal') return def.values.some(value => typeof value === typeof node.value)
  if (typeof node.value === 'bigint' && def.type === 'number') return true
  return typeof node.value === (takesText(schema) ? 'string' : def.type)
}

/** Which option of a union a value was meant to be: of its kind, and with most of its keys. */
export function nearestOption(options: readonly Schema[], node: Node): Schema | undefined {
  const fitting = options.filter(option => isOfKind(shapeOf(option).schema, node))
  if (node.kind !== 'map' || fitting.length < 2) return fitting[0]
  const score = (option: Schema) => {
    const { schema } = shapeOf(option)
    let points = 0
    for (const [key, { value }] of node.entries) {
      const inner = schemaOfKey(schema, key)
      if (inner === undefined) {
        if (nearest(key, keysOf(option, undefined)) !== undefined) points += 0.5
        continue
      }
      const { def } = shapeOf(inner).schema._zod
      // A literal that agrees tells the option (`type: x`); one that does not, rules it out.
      if (def.type !== 'literal') points += 1
      else points += value.kind === 'scalar' && def.values.some(one => one === value.value) ? 100 : -100
    }
    return points
  }
  return fitting.toSorted((a, b) => score(b) - score(a))[0]
}

/** The schema of one key of a section. */
export function schemaOfKey(schema: z.core.$ZodTypes, key: string): Schema | undefined {
  const { def } = schema._zod
  if (def.type === 'object') {
    if (Object.hasOwn(def.shape, key)) return def.shape[key]
    // A strict object says of its other keys that they are never right.
    return def.catchall?._zod.def.type === 'never' ? undefined : def.catchall
  }
  if (def.type === 'record') return def.valueType
  if (def.type !== 'intersection') return undefined
  return schemaOfKey(shapeOf(def.left).schema, key) ?? schemaOfKey(shapeOf(def.right).schema, key)
}

/** The schema at a path of zod's, given what stands there: of a union on the way, the option that is nearest. */
export function schemaAt(schema: Schema, node: Node | undefined, path: readonly PropertyKey[]): Schema | undefined {
  const [key, ...rest] = path
  if (key === undefined) return schema
  const { schema: bare } = shapeOf(schema)
  const { def } = bare._zod
  if (def.type === 'union') {
    const option = node === undefined ? undefined : nearestOption(def.options, node)
    return option === undefined ? undefined : schemaAt(option, node, path)
  }
  let inner: Schema | undefined
  if (def.type === 'array') inner = def.element
  else if (def.type === 'tuple') inner = def.items[Number(key)] ?? def.rest ?? undefined
  else inner = schemaOfKey(bare, String(key))
  return inner === undefined ? undefined : schemaAt(inner, childOf(node, key), rest)
}

/** What stands under a key or at an index. */
export function childOf(node: Node | undefined, key: PropertyKey): Node | undefined {
  if (node?.kind === 'map') return node.entries.get(String(key))?.value
  return node?.kind === 'list' ? node.items[Number(key)] : undefined
}

/** What a schema says of itself in words. */
export function describedAs(schema: Schema | undefined): string | undefined {
  let at = schema
  while (at !== undefined) {
    const description = z.globalRegistry.get(at)?.description
    if (description !== undefined) return description
    const { def } = (at as z.core.$ZodTypes)._zod
    at = 'innerType' in def ? def.innerType : def.type === 'pipe' ? def.out : undefined
  }
  return undefined
}

/** Whether a value of this schema is a secret, or has secrets in it. */
export function holdsSecrets(schema: Schema, seen: Set<Schema> = new Set()): boolean {
  const { schema: bare, secret } = shapeOf(schema)
  if (secret) return true
  // A schema may contain itself.
  if (seen.has(bare)) return false
  seen.add(bare)
  const { def } = bare._zod
  if (def.type === 'record') return holdsSecrets(def.valueType, seen)
  if (def.type === 'array') return holdsSecrets(def.element, seen)
  const inner = def.type === 'union' ? def.options : def.type === 'object' ? Object.values(def.shape) : []
  return inner.some(one => holdsSecrets(one, seen))
}

/** The keys a section may have; empty when it takes any, or is none. */
export function keysOf(schema: Schema | undefined, node: Node | undefined): string[] {
  if (schema === undefined) return []
  const { def } = shapeOf(schema).schema._zod
  if (def.type === 'object') return Object.keys(def.shape)
  if (def.type === 'intersection') return [...keysOf(def.left, node), ...keysOf(def.right, node)]
  if (def.type !== 'union') return []
  return keysOf(node === undefined ? def.options[0] : nearestOption(def.options, node), node)
}
