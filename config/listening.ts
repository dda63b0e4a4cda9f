/** Addresses that components listen on: two at one address can never run together. */
import type * as z from 'zod'
import { type Address, parseEndpoint } from '../net/listeners.ts'
import { type Components, type ComponentSection, kinds } from './components.ts'
import type { Node } from './document.ts'
import { type ServiceSection, usedIn } from './pipelines.ts'
import type { Place } from './place.ts'
import type { Report } from './report.ts'
import { nearestOption, schemaOfKey, shapeOf } from './shape.ts'

/** Where a component listens. */
interface Listening {
  readonly section: ComponentSection
  readonly address: Address
  /** The keys that lead to it, and where the last of them that is written stands. */
  readonly path: readonly string[]
  readonly place: Place
  /** Whether the file says so itself; else it is a default. */
  readonly isWritten: boolean
}

/** Tells of components that run and listen where another does. */
export function tellSameAddress(components: Components, service: ServiceSection, report: Report): void {
  const used = usedIn(service)
  const first = new Map<string, Listening>()
  for (const kind of kinds) {
    for (const [id, section] of components[kind]) {
      if (!used[kind].has(id) || section.definition === undefined || section.config === undefined) continue
      for (const one of listeningIn(section, section.definition.config, section.config, section.node, [])) {
        const key = keyOf(one.address)
        const other = key === undefined ? undefined : first.get(key)
        if (key !== undefined && other === undefined) first.set(key, one)
        // What is not written may stand for nothing, as where a component has two ways to be asked.
        else if (other !== undefined && (other.section !== section || (other.isWritten && one.isWritten))) {
          const message = `${pathOf(one)}: ${pathOf(other)} listens on ${key} already`
          report.error('CONFIG_INVALID_VALUE', one.place, message, 'give one of them another `endpoint`')
        }
      }
    }
  }
}

const pathOf = ({ section: { kind, id }, path }: Listening): string => [`${kind}s`, id, ...path].join('::')

/** The same for addresses that cannot be had twice; undefined where the system finds a port. */
function keyOf(address: Address): string | undefined {
  if ('path' in address) return `unix:${address.path}`
  const { host = '0.0.0.0', port } = address
  return port === 0 ? undefined : `${host}:${port}`
}

/** Every address in a configuration that its schema says is listened on. */
function* listeningIn(
  section: ComponentSection,
  schema: z.core.$ZodType,
  value: unknown,
  node: Node | undefined,
  path: readonly string[],
  place: Place = section.key,
): Generator<Listening> {
  const { schema: bare } = shapeOf(schema)
  const { def } = bare._zod
  if (def.type === 'union') {
    const option = node === undefined ? undefined : nearestOption(def.options, node)
    if (option !== undefined) yield* listeningIn(section, option, value, node, path, place)
    return
  }
  if (typeof value !== 'object' || value === null || def.type !== 'object') return
  for (const [key, inner] of Object.entries(value)) {
    const of = schemaOfKey(bare, key)
    if (of === undefined) continue
    const entry = node?.kind === 'map' ? node.entries.get(key)?.value : undefined
    const here = { section, path: [...path, key], place: entry?.place ?? node?.place ?? place }
    if (!shapeOf(of).listens) yield* listeningIn(section, of, inner, entry, here.path, here.place)
    else {
      const address = addressOf(inner, value)
      if (address !== undefined) yield { ...here, address, isWritten: entry !== undefined }
    }
  }
}

/** The address that `endpoint` is, beside the kind of its socket. */
function addressOf(endpoint: unknown, server: object): Address | undefined {
  const transport: unknown = 'transport' in server ? server.transport : undefined
  if (typeof endpoint !== 'string') return undefined
  return parseEndpoint(endpoint, typeof transport === 'string' ? transport : 'tcp')
}
