/** What is legal but seldom meant: told as warnings. */
import type { Configured } from '../core/configured.ts'
import { type Components, kinds } from './components.ts'
import type { MapEntry } from './document.ts'
import { type ServiceSection, usedIn } from './pipelines.ts'
import type { Report } from './report.ts'
import { durationsIn, nameOf } from './roles.ts'

/** One trap, at a component that a pipeline names. */
export interface Trap {
  /** Id of the pipeline. */
  readonly pipeline: string
  readonly list: 'processors' | 'exporters'
  /** Id of the component, as the list has it. */
  readonly id: string
  readonly message: string
  readonly hint: string
}

/** Finds what follows from what components do, which the layers above know. */
export type FindTraps = (configured: Configured) => readonly Trap[]

/** Warns of `traps`, each where its component is first named. */
export function warnOfTraps(traps: readonly Trap[], { pipelines }: ServiceSection, report: Report): void {
  for (const { pipeline: name, list, id, message, hint } of traps) {
    const place = pipelines.find(pipeline => pipeline.id === name)?.[list].find(one => one.id === id)?.place
    report.warn('CONFIG_PIPELINE', place, `service::pipelines::${name}: ${message}`, hint)
  }
}

/** Warns of what is configured and does not run. */
export function warnOfUnused(components: Components, service: ServiceSection, report: Report): void {
  const used = usedIn(service)
  for (const kind of kinds) {
    for (const [id, { key }] of components[kind]) {
      if (used[kind].has(id)) continue
      const where = kind === 'extension' ? '`service::extensions`' : 'any pipeline'
      report.warn('CONFIG_REFERENCE', key, `${kind}s::${id}: not used in ${where}`, 'it is checked, but does not run')
    }
  }
}

/** Nanoseconds below which a number without a unit is hardly meant: a millisecond. */
const hardlyMeant = 1_000_000

/** Warns of durations that have no unit: they are nanoseconds, as in the Collector. */
export function warnOfNanoseconds(components: Components, report: Report): void {
  for (const section of kinds.flatMap(kind => [...components[kind].values()])) {
    for (const key of durationsIn(section)) {
      if (key.node?.kind !== 'scalar' || typeof key.node.value !== 'number') continue
      const { value } = key.node
      if (value === 0 || Math.abs(value) >= hardlyMeant) continue
      const unit = value === 1 ? 'nanosecond' : 'nanoseconds'
      const message = `${nameOf(key)}: a number without a unit is in nanoseconds, so this is ${value} ${unit}`
      report.warn('CONFIG_INVALID_VALUE', key.place, message, `write \`${value}s\` or \`${value}ms\``)
    }
  }
}

/** Warns of the old form of the address that metrics are served on. */
export function warnOfAddress(telemetry: MapEntry | undefined, report: Report): void {
  const metrics = telemetry?.value.kind === 'map' ? telemetry.value.entries.get('metrics')?.value : undefined
  const address = metrics?.kind === 'map' ? metrics.entries.get('address') : undefined
  if (address === undefined) return
  const message = 'service::telemetry::metrics: `address` is the old form of `readers`; it is still understood'
  const { value } = address
  const { host = 'localhost', port = '8888' } =
    /^(?<host>.*):(?<port>\d+)$/.exec(value.kind === 'scalar' ? String(value.value) : '')?.groups ?? {}
  const place = `{host: ${host === '' ? '0.0.0.0' : host.replaceAll(/[[\]]/g, '')}, port: ${port}}`
  const hint = `write \`readers: [{pull: {exporter: {prometheus: ${place}}}}]\``
  report.warn('CONFIG_UNKNOWN_KEY', address.key, message, hint)
}
