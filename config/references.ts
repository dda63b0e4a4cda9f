/** Components that use extensions by their ids, such as `auth::authenticator`: those must exist and be started. */
import type * as z from 'zod'
import type { Definition } from '../core/component.ts'
import { type Components, kinds, tellReference } from './components.ts'
import type { Entry, Node, ScalarNode } from './document.ts'
import { parseId } from './ids.ts'
import type { Reference } from './pipelines.ts'
import type { Report } from './report.ts'
import { nearestOption, schemaOfKey, shapeOf } from './shape.ts'

type Schema = z.core.$ZodType

/** A value that names a component. */
interface Use {
  readonly kind: string
  readonly node: ScalarNode
  readonly path: string
  /** What it has to offer. */
  readonly offering: string | undefined
}

/** Tells of extensions that are named and are not there, or not in `service.extensions`. */
export function tellExtensionsInUse(
  sections: ReadonlyMap<string, Entry>,
  components: Components,
  started: readonly Reference[],
  report: Report,
): void {
  for (const kind of kinds) {
    const section = sections.get(`${kind}s`)?.value
    if (section?.kind !== 'map') continue
    for (const [text, { value }] of section.entries) {
      const id = parseId(text)
      const schema = typeof id === 'string' ? undefined : components[kind].get(id.text)?.definition?.config
      if (schema === undefined) continue
      for (const use of usesIn(schema, value, `${kind}s::${text}`))
        if (use.kind === 'extension') tellExtension(use, components, started, report)
    }
  }
}

function tellExtension(
  { node, path, offering }: Use,
  components: Components,
  started: readonly Reference[],
  report: Report,
): void {
  const id = parseId(node.text ?? String(node.value))
  const { place, origin } = node
  const written = origin?.written
  if (typeof id === 'string') {
    const fault = written === undefined ? id : `what \`${written}\` stands for is no id of an extension`
    report.error('CONFIG_ID', place, `${path}: ${fault}`)
  } else if (!components.extension.has(id.text))
    tellReference('extension', id.text, { path, place, written }, [...components.extension.keys()], report)
  else if (offering !== undefined && !offers(components.extension.get(id.text)?.definition, offering)) {
    const able = [...components.extension].filter(([, one]) => offers(one.definition, offering)).map(([other]) => other)
    const hint = able.length > 0 ? `write \`${able.join('` or `')}\`` : `configure one, such as \`file_storage\``
    report.error('CONFIG_REFERENCE', place, `${path}: the extension \`${id.text}\` is no ${offering}`, hint)
  } else if (!started.some(one => one.id === id.text)) {
    const message = `${path}: the extension \`${id.text}\` is configured but not started`
    report.error('CONFIG_REFERENCE', place, message, 'name it in `service::extensions`')
  }
}

const offers = (definition: Definition | undefined, what: string): boolean =>
  definition?.kind === 'extension' && definition.offers?.some(one => one === what) === true

/** Every value in a section that its schema says is the id of a component. */
function* usesIn(schema: Schema, node: Node, path: string): Generator<Use> {
  const { schema: bare, reference, offering } = shapeOf(schema)
  const { def } = bare._zod
  if (node.kind === 'scalar') {
    if (reference !== undefined && node.value !== null && node.value !== '' && !node.broken)
      yield { kind: reference, node, path, offering }
    return
  }
  if (def.type === 'union') {
    const option = nearestOption(def.options, node)
    if (option !== undefined) yield* usesIn(option, node, path)
  } else if (node.kind === 'list') {
    if (def.type === 'array')
      for (const [i, item] of node.items.entries()) yield* usesIn(def.element, item, `${path}[${i}]`)
  } else {
    for (const [key, { value }] of node.entries) {
      const inner = schemaOfKey(bare, key)
      if (inner !== undefined) yield* usesIn(inner, value, `${path}::${key}`)
    }
  }
}
