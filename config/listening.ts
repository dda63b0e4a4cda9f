/** Addresses that components listen on: two at one address can never run together. */
import type * as z from 'zod'
import { type Address, parseEndpoint } from '../net/listeners.ts'
import { isLoopback } from '../net/local-host.ts'
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
      if (!used[kind].has(id)) continue
      for (const one of addressesOf(section)) {
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

/** Warns of exporters that send to a receiver of their own pipeline: what they send never ends. */
export function warnOfLoops(components: Components, { pipelines }: ServiceSection, report: Report): void {
  for (const { id: pipeline, receivers, exporters } of pipelines) {
    const doors = receivers.flatMap(({ id }) => {
      const section = components.receiver.get(id)
      return section === undefined ? [] : [...addressesOf(section)]
    })
    for (const { id } of exporters) {
      const section = components.exporter.get(id)
      // Others may have the same address by mistake; what they send is not taken there.
      const speaksOtlp = section?.definition?.type.startsWith('otlp') === true
      const target = speaksOtlp ? targetOf(section.config) : undefined
      const door = doors.find(({ address }) => target !== undefined && leadsTo(target, address))
      if (section === undefined || door === undefined) continue
      const message = `exporters::${id}: it sends to where ${pathOf(door)} listens, in the same pipeline (${pipeline})`
      report.warn('CONFIG_PIPELINE', section.key, message, 'what is sent comes in again, and is sent again without end')
    }
  }
}

/** Where an exporter sends, if that is an address of its `endpoint`. */
function targetOf(config: unknown): Address | undefined {
  if (typeof config !== 'object' || config === null || !('endpoint' in config)) return undefined
  const { endpoint } = config
  if (typeof endpoint !== 'string') return undefined
  return parseEndpoint(endpoint.replace(/^(?:https?|dns):\/+/, '').replace(/\/.*$/, ''))
}

/** Whether whoever connects to `target` comes to what listens on `door`, as far as that can be known. */
function leadsTo(target: Address, door: Address): boolean {
  if ('path' in target || 'path' in door) return false
  if (target.port !== door.port || target.host === undefined || !isLoopback(target.host)) return false
  const host = target.host === 'localhost' ? '127.0.0.1' : target.host
  return door.host === undefined || anywhere.has(door.host) || door.host === host
}

const anywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

function* addressesOf(section: ComponentSection): Generator<Listening> {
  const { definition, config, node } = section
  if (definition !== undefined && config !== undefined) {
    yield* listeningIn(section, definition.config, config, node, [])
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
