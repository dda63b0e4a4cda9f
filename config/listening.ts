/** Addresses that components listen on: two at one address can never run together. */
import { isIP, isIPv4 } from 'node:net'
import { allSignals, type Signal } from '../proto/signals.ts'
import { type Address, parseEndpoint, shownHost } from '../net/listeners.ts'
import { isLoopback } from '../net/local-host.ts'
import { type Components, type ComponentSection, kinds } from './components.ts'
import { type ServiceSection, usedIn } from './pipelines.ts'
import type { Report } from './report.ts'
import { type KeyInRole, keysInRole, nameOf } from './roles.ts'

/** Where a component listens. */
interface Listening extends KeyInRole {
  readonly address: Address
}

/** Tells of components that run and listen where another does, or where Kymo serves its own metrics (`own`). */
export function tellSameAddress(
  components: Components,
  service: ServiceSection,
  own: string | undefined,
  report: Report,
): void {
  const used = usedIn(service)
  const known: { readonly address: Address; readonly name: string; readonly key: Listening | undefined }[] = []
  const mine = own === undefined ? undefined : parseEndpoint(own)
  if (mine !== undefined)
    known.push({ address: mine, name: 'the server of metrics and administration', key: undefined })
  for (const kind of kinds) {
    for (const [id, section] of components[kind]) {
      if (!used[kind].has(id)) continue
      for (const one of addressesOf(section)) {
        const other = known.find(({ address }) => isShared(address, one.address))
        if (other === undefined) known.push({ address: one.address, name: nameOf(one), key: one })
        // What is not written may stand for nothing, as where a component has two ways to be asked.
        else if (other.key?.section !== section || (other.key.isWritten && one.isWritten)) {
          const message = `${nameOf(one)}: ${other.name} listens on ${textOf(other.address)} already`
          report.error('CONFIG_INVALID_VALUE', one.place, message, 'give one of them another `endpoint`')
        }
      }
    }
  }
}

/** Warns of exporters that send to a receiver of their own pipeline: what they send never ends. */
export function warnOfLoops(components: Components, { pipelines }: ServiceSection, report: Report): void {
  const listening = eachOnce(components.receiver, section => [...addressesOf(section)])
  const sending = allSignals.map(
    signal => [signal, eachOnce(components.exporter, one => targetsOf(one, signal))] as const,
  )
  const targets = new Map(sending)
  for (const { id: pipeline, signal, receivers, exporters } of pipelines) {
    const doors = receivers.flatMap(({ id }) => listening(id))
    for (const { id } of exporters) {
      const section = components.exporter.get(id)
      const to = targets.get(signal)?.(id) ?? []
      const door = doors.find(({ address }) => to.some(target => leadsTo(target, address)))
      if (section === undefined || door === undefined) continue
      const message = `exporters::${id}: it sends to where ${nameOf(door)} listens, in the same pipeline (${pipeline})`
      report.warn('CONFIG_PIPELINE', section.key, message, 'what is sent comes in again, and is sent again without end')
    }
  }
}

/** What is found in the section of a component, which many pipelines may name. */
function eachOnce<T>(sections: ReadonlyMap<string, ComponentSection>, find: (section: ComponentSection) => T[]) {
  const found = new Map<string, T[]>()
  return (id: string): T[] => {
    const section = sections.get(id)
    const all = found.get(id) ?? (section === undefined ? [] : find(section))
    found.set(id, all)
    return all
  }
}

/** Where an exporter sends OTLP of `signal`. */
function targetsOf(section: ComponentSection, signal: Signal): Address[] {
  const all = [...keysInRole(section, 'sends OTLP')].filter(({ value }) => value !== '')
  const own = all.filter(one => one.signal === signal)
  const used = own.length > 0 ? own : all.filter(one => one.signal === undefined)
  return used.flatMap(({ value }) => targetOf(value) ?? [])
}

/** The address in a target or URL. */
function targetOf(endpoint: unknown): Address | undefined {
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
  for (const key of keysInRole(section, 'listens')) {
    const address = addressOf(key.value, key.within)
    if (address !== undefined) yield { ...key, address }
  }
}

/** Whether both cannot be had. Of names it is not known what addresses they are. */
function isShared(a: Address, b: Address): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  const [one, other] = [a.host ?? '::', b.host ?? '::']
  return one === other || isAllOf(one, other) || isAllOf(other, one)
}

/** Whether `host` stands for all addresses of the machine that `other` may be one of. */
const isAllOf = (host: string, other: string): boolean =>
  host === '::' ? isIP(other) !== 0 : host === '0.0.0.0' && (isIPv4(other) || other === '::')

const textOf = (address: Address): string =>
  'path' in address ? `unix:${address.path}` : `${shownHost(address.host ?? '0.0.0.0')}:${address.port}`

/** The address that `endpoint` is, beside the kind of its socket. */
function addressOf(endpoint: unknown, server: object): Address | undefined {
  const transport: unknown = 'transport' in server ? server.transport : undefined
  if (typeof endpoint !== 'string') return undefined
  return parseEndpoint(endpoint, typeof transport === 'string' ? transport : 'tcp')
}
