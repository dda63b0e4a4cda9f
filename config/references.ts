/** Components that use extensions by their ids, such as `auth::authenticator`: those must exist and be started. */
import type * as z from 'zod'
import type { Definition, Kind } from '../core/component.ts'
import type { Capability, Use } from '../core/capability.ts'
import type { ConfiguredComponent } from '../core/configured.ts'
import { type Components, type ComponentSection, kinds, tellReference } from './components.ts'
import type { Node, ScalarNode } from './document.ts'
import { parseId } from './ids.ts'
import { withCause } from './missing.ts'
import type { Reference } from './pipelines.ts'
import type { Report } from './report.ts'
import { nearestOption, schemaOfKey, shapeOf } from './shape.ts'
import { concealedOf } from './shown.ts'

type Schema = z.core.$ZodType

/** A value that names an extension. */
interface Naming {
  readonly node: ScalarNode
  /** The keys that lead to it. */
  readonly path: readonly string[]
  /** What the extension has to offer. */
  readonly needs: Capability
}

/** Tells of extensions that are named and are not there, or not in `service.extensions`. */
export function tellExtensionsInUse(
  components: Components,
  started: readonly Reference[],
  definitions: readonly Definition[],
  report: Report,
): void {
  for (const kind of kinds) {
    for (const declared of components[kind].values())
      for (const naming of extensionsNamed(declared))
        tellExtension(declared, naming, { components, started, definitions, report })
  }
}

/** The components of one kind, once nothing is wrong with them. */
export function configuredOf<K extends Kind>(kind: K, components: Components): Map<string, ConfiguredComponent<K>> {
  const made = new Map<string, ConfiguredComponent<K>>()
  for (const [id, declared] of components[kind]) {
    const { definition, config, node } = declared
    if (definition?.kind !== kind) continue
    const uses = [...extensionsNamed(declared)].map(({ path, node, needs }): Use => ({
      path: path.join('.'),
      id: idOf(node),
      needs: needs.name,
    }))
    // The line above has narrowed it, which the compiler cannot follow through the type parameter.
    made.set(id, {
      id,
      definition: definition as Extract<Definition, { kind: K }>,
      config,
      // What it sends may hold secrets of the extensions it uses.
      concealed: concealedOf(node, ...uses.flatMap(({ id }) => components.extension.get(id)?.node ?? [])),
      uses,
    })
  }
  return made
}

/** Every extension that a section names, where the schema of its component says so. */
function* extensionsNamed({ definition, node }: ComponentSection): Generator<Naming> {
  if (definition === undefined) return
  yield* namesIn(definition.config, node, [])
}

const idOf = ({ text, value }: ScalarNode): string => {
  const id = parseId(text ?? String(value))
  return typeof id === 'string' ? '' : id.text
}

function tellExtension(
  { kind, id: user }: ComponentSection,
  { node, path: keys, needs }: Naming,
  {
    components,
    started,
    definitions,
    report,
  }: {
    readonly components: Components
    readonly started: readonly Reference[]
    readonly definitions: readonly Definition[]
    readonly report: Report
  },
): void {
  const id = parseId(node.text ?? String(node.value))
  const path = keys.reduce((text, key) => `${text}${key.startsWith('[') ? '' : '::'}${key}`, `${kind}s::${user}`)
  const { place, origin } = node
  const written = origin?.written
  if (typeof id === 'string') {
    const fault = written === undefined ? id : `what \`${written}\` stands for is no id of an extension`
    const { message, hint } = withCause(node, fault)
    report.error('CONFIG_ID', place, `${path}: ${message}`, hint)
  } else if (!components.extension.has(id.text))
    tellReference('extension', id.text, { path, place, written }, [...components.extension.keys()], report)
  else if (!offers(components.extension.get(id.text), needs)) {
    const { definition } = components.extension.get(id.text) ?? {}
    const able = [...components.extension].filter(([, one]) => offers(one, needs)).map(([other]) => other)
    const others = definitions.filter(one => mayOffer(one, needs)).map(({ type }) => type)
    const [verb, choice] = able.length > 0 ? ['write', able] : ['configure', others]
    const hint = choice.length > 0 ? `${verb} \`${choice.join('` or `')}\`` : `this build has no ${needs.name}`
    const fault = `is no ${needs.name}${mayOffer(definition, needs) ? ' as it is configured' : ''}`
    report.error('CONFIG_REFERENCE', place, `${path}: the extension \`${id.text}\` ${fault}`, hint)
  } else if (!started.some(one => one.id === id.text)) {
    const message = `${path}: the extension \`${id.text}\` is configured but not started`
    report.error('CONFIG_REFERENCE', place, message, 'name it in `service::extensions`')
  }
}

const mayOffer = (definition: Definition | undefined, what: Capability): boolean =>
  definition?.kind === 'extension' && definition.offers?.includes(what) === true

/** Whether an extension offers what is needed. What is not configured rightly is told of there, and offers what it may. */
function offers(extension: ComponentSection | undefined, what: Capability): boolean {
  const { definition, config } = extension ?? {}
  if (definition?.kind !== 'extension' || !mayOffer(definition, what)) return false
  // The definition's own schema has made it.
  return config === undefined || definition.offersAs?.(config as never).includes(what) !== false
}

/** Every value in a section that its schema says is the id of an extension. */
function* namesIn(schema: Schema, node: Node, path: readonly string[]): Generator<Naming> {
  const { schema: bare, reference: needs } = shapeOf(schema)
  const { def } = bare._zod
  if (node.kind === 'scalar') {
    if (needs !== undefined && node.value !== null && node.value !== '' && !node.broken) yield { node, path, needs }
    return
  }
  if (def.type === 'union') {
    const option = nearestOption(def.options, node)
    if (option !== undefined) yield* namesIn(option, node, path)
  } else if (node.kind === 'list') {
    if (def.type === 'array')
      for (const [i, item] of node.items.entries()) yield* namesIn(def.element, item, [...path, `[${i}]`])
  } else {
    for (const [key, { value }] of node.entries) {
      const inner = schemaOfKey(bare, key)
      if (inner !== undefined) yield* namesIn(inner, value, [...path, key])
    }
  }
}
