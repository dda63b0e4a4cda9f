/** What the keys of a component are for the network, as its schema declares it. */
import type * as z from 'zod'
import type { Signal } from '../proto/signals.ts'
import type { ComponentSection } from './components.ts'
import type { Node } from './document.ts'
import type { Place } from './place.ts'
import { nearestOption, type Role, schemaOfKey, shapeOf } from './shape.ts'

/** One key that has a role. */
export interface KeyInRole {
  readonly section: ComponentSection
  /** The keys that lead to it, and where the last of them that is written stands. */
  readonly path: readonly string[]
  readonly place: Place
  readonly value: unknown
  /** The section that it stands in, as it was parsed. */
  readonly within: object
  /** Of what alone it is, where it is not of all. */
  readonly signal: Signal | undefined
  /** Whether the file says so itself; else it is a default. */
  readonly isWritten: boolean
}

/** How it is called in messages. */
export const nameOf = ({ section: { kind, id }, path }: Pick<KeyInRole, 'section' | 'path'>): string =>
  [`${kind}s`, id, ...path].join('::')

/** Every key of a component that has this role. */
export function* keysInRole(section: ComponentSection, role: Role): Generator<KeyInRole> {
  const { definition, config, node } = section
  if (definition === undefined || config === undefined) return
  yield* within(role, { section, path: [], place: section.key }, definition.config, config, node)
}

function* within(
  role: Role,
  at: Pick<KeyInRole, 'section' | 'path' | 'place'>,
  schema: z.core.$ZodType,
  value: unknown,
  node: Node | undefined,
): Generator<KeyInRole> {
  const { schema: bare } = shapeOf(schema)
  const { def } = bare._zod
  if (def.type === 'union') {
    const option = node === undefined ? undefined : nearestOption(def.options, node)
    if (option !== undefined) yield* within(role, at, option, value, node)
    return
  }
  if (typeof value !== 'object' || value === null || def.type !== 'object') return
  for (const [key, inner] of Object.entries(value)) {
    const of = schemaOfKey(bare, key)
    if (of === undefined) continue
    const entry = node?.kind === 'map' ? node.entries.get(key)?.value : undefined
    const here = { section: at.section, path: [...at.path, key], place: entry?.place ?? node?.place ?? at.place }
    const shape = shapeOf(of)
    if (shape.role === role)
      yield { ...here, value: inner, within: value, signal: shape.signal, isWritten: entry !== undefined }
    else yield* within(role, here, of, inner, entry)
  }
}
