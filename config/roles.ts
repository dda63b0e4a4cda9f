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
  /** As the file has it. */
  readonly node: Node | undefined
}

/** Which keys are looked for. */
type Sought = (shape: ReturnType<typeof shapeOf>) => boolean

/** How it is called in messages. */
export const nameOf = ({ section: { kind, id }, path }: Pick<KeyInRole, 'section' | 'path'>): string =>
  [`${kind}s`, id, ...path].join('::')

/** Every key of a component that has this role. */
export const keysInRole = (section: ComponentSection, role: Role): Generator<KeyInRole> =>
  keysWith(section, shape => shape.role === role)

/** Every key of a component with a duration. */
export const durationsIn = (section: ComponentSection): Generator<KeyInRole> =>
  keysWith(section, shape => shape.duration)

function* keysWith(section: ComponentSection, sought: Sought): Generator<KeyInRole> {
  const { definition, config, node } = section
  if (definition === undefined || config === undefined) return
  yield* within(sought, { section, path: [], place: section.key }, definition.config, config, node)
}

function* within(
  sought: Sought,
  at: Pick<KeyInRole, 'section' | 'path' | 'place'>,
  schema: z.core.$ZodType,
  value: unknown,
  node: Node | undefined,
): Generator<KeyInRole> {
  const { schema: bare } = shapeOf(schema)
  const { def } = bare._zod
  if (def.type === 'union') {
    const option = node === undefined ? undefined : nearestOption(def.options, node)
    if (option !== undefined) yield* within(sought, at, option, value, node)
    return
  }
  if (typeof value !== 'object' || value === null || def.type !== 'object') return
  for (const [key, inner] of Object.entries(value)) {
    const of = schemaOfKey(bare, key)
    if (of === undefined) continue
    const entry = node?.kind === 'map' ? node.entries.get(key)?.value : undefined
    const here = { section: at.section, path: [...at.path, key], place: entry?.place ?? node?.place ?? at.place }
    const shape = shapeOf(of)
    if (sought(shape)) {
      const { signal } = shape
      yield { ...here, value: inner, within: value, signal, isWritten: entry !== undefined, node: entry }
    } else yield* within(sought, here, of, inner, entry)
  }
}
