/** How the configuration says that names and labels are made. */
import { labelName } from '../../backends/prometheus/names.ts'
import { promotionOf, strategyOf } from '../prometheus-naming.ts'
import type { PrometheusConfig } from './prometheus.ts'
import type { Naming } from './streams.ts'

/** The naming, and what tells it from others. */
export function namingOf(config: PrometheusConfig): Naming & { readonly identity: string } {
  const strategy = strategyOf(config)
  const { namespace, without_scope_info: withoutScope, const_labels: constant } = config
  const entries = Object.entries(constant ?? {}).map(([name, value]): [string, string] => [
    labelName(name, strategy),
    value,
  ])
  const given = Object.fromEntries(entries.filter(([name]) => name !== ''))
  const conversion = config.resource_to_telemetry_conversion
  const resource = config.resource_constant_labels
  const names = new Map<string, string>()
  return {
    strategy,
    namespace,
    labels: {
      labelName: key => remembered(names, key, () => labelName(key, strategy)),
      promotes: promotionOf(config),
      scopeLabels: !withoutScope,
      constant: given,
    },
    identity: JSON.stringify([strategy, namespace, withoutScope, entries, conversion, resource]),
  }
}

/** So many names are kept, of keys up to this length; there are more only where keys are made up. */
const mostNames = 10_000
const longestKey = 200

function remembered(names: Map<string, string>, key: string, make: () => string): string {
  const known = names.get(key)
  if (known !== undefined) return known
  const made = make()
  if (names.size < mostNames && key.length <= longestKey) names.set(key, made)
  return made
}
