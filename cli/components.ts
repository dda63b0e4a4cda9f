/** `kymo components`: what this build has. */
import { everyComponent } from '../components.ts'
import { kinds } from '../config/components.ts'
import { yamlOf } from '../config/document.ts'
import { schemes } from '../config/sources.ts'
import type { Definition, Stability } from '../core/component.ts'
import { runsText } from '../core/worker.ts'
import { allSignals } from '../proto/signals.ts'
import { table } from './table.ts'

/** How to print it. */
export interface ComponentsOptions {
  readonly format: 'text' | 'json' | 'yaml'
  readonly json?: boolean | undefined
}

/** Prints the list on standard output. */
export async function components({ format, json }: ComponentsOptions, version: string): Promise<void> {
  process.stdout.write(componentsText(await everyComponent(), json === true ? 'json' : format, version))
}

/** The list as a table, as JSON, or in the Collector's YAML. */
export function componentsText(
  definitions: readonly Definition[],
  format: ComponentsOptions['format'],
  version: string,
): string {
  const sorted = kinds.flatMap(kind =>
    definitions.filter(one => one.kind === kind).toSorted((a, b) => a.type.localeCompare(b.type)),
  )
  if (format === 'json') return `${JSON.stringify(sorted.map(facts), null, 2)}\n`
  if (format === 'yaml') return yamlOf(collectorList(sorted, version))
  const rows = sorted.map(one => [one.kind, namesOf(one), signalsOf(one), one.stability, runsText(one), one.summary])
  return table(['KIND', 'TYPE', 'SIGNALS', 'STABILITY', 'RUNS', 'SUMMARY'], rows)
}

const namesOf = ({ type, aliases = [] }: Definition) =>
  aliases.length === 0 ? type : `${type} (${aliases.join(', ')})`

function signalsOf(definition: Definition): string {
  if (definition.kind === 'connector') return definition.joins.map(([from, to]) => `${from}->${to}`).join(' ')
  return definition.signals.join(' ') || '-'
}

function facts(definition: Definition): object {
  const { kind, type, aliases = [], signals, stability, runs = 'one', summary } = definition
  const joins = definition.kind === 'connector' ? { joins: definition.joins } : {}
  return { kind, type, aliases, signals, ...joins, stability, runs, summary }
}

/** What the Collector's own `components` prints. */
function collectorList(definitions: readonly Definition[], version: string): object {
  const sections = kinds.map(kind => [
    `${kind}s`,
    definitions
      .filter(one => one.kind === kind)
      .map(one => ({ name: one.type, module: `kymo v${version}`, stability: stabilities(one) })),
  ])
  return {
    buildinfo: { command: 'kymo', description: 'Kymo', version },
    ...Object.fromEntries(sections),
    providers: schemes.map(scheme => ({ scheme, module: `kymo v${version}` })),
    converters: [],
  }
}

const capital = (stability: Stability) => stability.charAt(0).toUpperCase() + stability.slice(1)

function stabilities(definition: Definition): Record<string, string> {
  const { kind, signals, stability } = definition
  const level = capital(stability)
  if (kind === 'extension') return { extension: level }
  if (kind === 'connector') {
    return Object.fromEntries(definition.joins.map(([from, to]) => [`${from}-to-${to}`, level]))
  }
  return Object.fromEntries(allSignals.map(signal => [signal, signals.includes(signal) ? level : 'Undefined']))
}
