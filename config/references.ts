/** Components that use extensions by their ids, such as `auth::authenticator`: those must exist and be started. */
import type * as z from 'zod'
import type { Definition, Kind } from '../core/component.ts'
import type { ConfiguredComponent, Use } from '../core/configured.ts'
import { type Components, type ComponentSection, kinds, tellReference } from './components.ts'
import type { Node, ScalarNode } from './document.ts'
import { parseId } from './ids.ts'
import { withCause } from './missing.ts'
import type { Reference } from './pipelines.ts'
import type { Report } from './report.ts'
import { nearestOption, schemaOfKey, shapeOf } from './shape.ts'
import { concealedOf } from './shown.ts'

type Schema = z.core.$ZodType

/** A value that names a component. */
interface Naming {
  readonly kind: string
  readonly node: ScalarNode
  /** The keys that lead to it. */
  readonly path: readonly string[]
  /** What it has to offer. */
  readonly offering: string | undefined
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
    const uses = [...extensionsNamed(declared)].map(({ path, node }): Use => ({ path: path.join('.'), id: idOf(node) }))
    // The line above has narrowed it, which the compiler cannot follow through the type parameter.
    made.set(id, {
      id,
      definition: definition as Extract<Definition, { kind: K }>,
      config,
      concealed: concealedOf(node),
      uses,
    })
  }
  return made
}

/** Every extension that a section names, where the schema of its component says so. */
function* extensionsNamed({ definition, node }: ComponentSection): Generator<Naming> {
  if (definition === undefined) return
  for (const naming of namesIn(definition.config, node, [])) if (naming.kind === 'extension') yield naming
}

const idOf = ({ text, value }: ScalarNode): string => {
  const id = parseId(text ?? String(value))
  return typeof id === 'string' ? '' : id.text
}

function tellExtension(
  { kind, id: user }: ComponentSection,
  { node, path: keys, offering }: Naming,
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
  else if (offering !== undefined && !offers(components.extension.get(id.text)?.definition, offering)) {
    const able = [...components.extension].filter(([, one]) => offers(one.definition, offering)).map(([other]) => other)
    const others = definitions.filter(one => offers(one, offering)).map(({ type }) => type)
    const [verb, choice] = able.length > 0 ? ['write', able] : ['configure', others]
    const hint = choice.length > 0 ? `${verb} \`${choice.join('` or `')}\`` : `this build has no ${offering}`
    report.error('CONFIG_REFERENCE', place, `${path}: the extension \`${id.text}\` is no ${offering}`, hint)
  } else if (!started.some(one => one.id === id.text)) {
    const message = `${path}: the extension \`${id.text}\` is configured but not started`
    report.error('CONFIG_REFERENCE', place, message, 'name it in `service::extensions`')
  }
}

const offers = (definition: Definition | undefined, what: string): boolean =>
  definition?.kind === 'extension' && definition.offers?.some(one => one === what) === true

/** Every value in a section that its schema says is the id of a component. */
function* namesIn(schema: Schema, node: Node, path: readonly string[]): Generator<Naming> {
  const { schema: bare, reference, offering } = shapeOf(schema)
  const { def } = bare._zod
  if (node.kind === 'scalar') {
    if (reference !== undefined && node.value !== null && node.value !== '' && !node.broken)
      yield { kind: reference, node, path, offering }
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
