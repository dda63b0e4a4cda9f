/** From the texts a user gives to a checked configuration, or to everything that is wrong with it. */
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Definition } from '../core/component.ts'
import type { Configured } from '../core/configured.ts'
import { type ConfigError, InternalError } from '../core/errors.ts'
import { type Listed, loadNamed, type Named } from '../core/listed.ts'
import { metricsEndpoint, telemetryConfig, type TelemetryConfig } from '../telemetry/config.ts'
import { kinds, namedIn, readComponents } from './components.ts'
import { tellCycles, tellHalfUsed } from './connectors.ts'
import { type MapEntry, everyNode, hide, isNull, type MapNode, type Node, plainOf, readDocument } from './document.ts'
import { expandSections } from './expand.ts'
import { readGates } from './gates.ts'
import { check } from './issues.ts'
import { jsonOf } from './json.ts'
import { readKyma, hasKyma } from './kyma/documents.ts'
import { kymaUses } from './kyma/authentication.ts'
import { TooMuch } from './limits.ts'
import { isBareReference } from './masking.ts'
import { merge, splitKeys } from './merge.ts'
import { quoted, suggest } from './nearest.ts'
import { configuredPipelines, readService } from './pipelines.ts'
import type { Place, SourceText } from './place.ts'
import { warnOfCertificates } from './certificates.ts'
import { tellSameAddress, warnOfLoops } from './listening.ts'
import { configuredOf, tellExtensionsInUse } from './references.ts'
import { ConfigErrors, Report } from './report.ts'
import { concealedOf, shown } from './shown.ts'
import { type ReadFile, readOnce, readSources } from './sources.ts'
import { type FindTraps, warnOfAddress, warnOfNanoseconds, warnOfTraps, warnOfUnused } from './traps.ts'

export { renderErrors } from './render.ts'
export { ConfigErrors } from './report.ts'

/** What a configuration is read from, and what it may name. */
export interface LoadOptions {
  /** `--config` values, in order: `file:...`, bare paths, `env:NAME`, `yaml:...`. */
  readonly sources: readonly string[]
  /** `--set` values. */
  readonly sets?: readonly string[] | undefined
  /** The components of this build. */
  readonly components: readonly Definition[]
  readonly env?: NodeJS.ProcessEnv | undefined
  /** Taken in place of the sources. */
  readonly text?: { readonly name: string; readonly text: string } | undefined
  /** Reads a file that the sources or references name. */
  readonly readFile?: ReadFile | undefined
  /** Characters of sources, and of what they refer to, beyond which `TooMuch` is thrown. */
  readonly most?: number | undefined
  /** Text of the built-in configuration, used when there are no sources. */
  readonly builtIn?: string | undefined
  /** `--feature-gates` values. */
  readonly gates?: readonly string[] | undefined
}

/** A configuration that nothing is wrong with. */
export interface Loaded {
  readonly configured: Configured
  readonly telemetry: TelemetryConfig
  readonly warnings: readonly ConfigError[]
  /** The merged document as plain values, as they may be shown. */
  readonly document: unknown
  /** Says which configuration it is; without what comes from outside, and without secrets. */
  readonly hash: string
  /** The same with the place of each value. */
  readonly root: MapNode
  /** What each feature gate that was named means here. */
  readonly notes: readonly string[]
}

const sections = [...kinds.map(kind => `${kind}s`), 'service']

/**
 * Reads, merges, expands and checks a configuration. `trapsOf` finds what is legal but seldom meant, to be told as warnings.
 * @throws ConfigErrors with everything that is wrong with it
 */
export function loadConfig(options: LoadOptions, trapsOf: FindTraps = () => []): Loaded {
  try {
    const loading = loaded(options, trapsOf)
    for (let step = loading.next(); ; step = loading.next(options.components)) if (step.done === true) return step.value
  } catch (error) {
    throw told(error)
  }
}

/** What is read where components are not loaded yet. */
export type ListedOptions = Omit<LoadOptions, 'components'> & { readonly components: readonly Listed[] }

/**
 * The same, and loads of the components only those that the configuration names: all others take no memory. Where it is wrong,
 * all are loaded, so that it can be told what else there is.
 * @throws ConfigErrors with everything that is wrong with it
 */
export async function loadListedConfig(given: ListedOptions, trapsOf: FindTraps = () => []): Promise<Loaded> {
  const { components, ...rest } = given
  const options = { ...rest, readFile: readOnce(given.readFile) }
  try {
    const loading = loaded(options, trapsOf)
    let step = loading.next()
    while (step.done !== true) step = loading.next(await loadNamed(components, step.value))
    return step.value
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw told(error)
  }
  const all: Definition[] = []
  for (const one of components) {
    all.push(await one.load())
    // Its schema and what else it brings is made now: in a process that moves data others have their turn in between.
    await nextTurn()
  }
  return loadConfig({ ...options, components: all }, trapsOf)
}

/** What may be told of `error`. */
function told(error: unknown): unknown {
  return error instanceof ConfigErrors || error instanceof TooMuch ? error : unquoting(error)
}

/** A fault of ours: where it was, without its message, which may quote anything. */
function unquoting(error: unknown): Error {
  const { name, stack = '' } = error instanceof Error ? error : new Error('unknown')
  const made = new InternalError(`the configuration could not be read: ${name}`)
  made.stack = [`${made.name}: ${made.message}`, ...stack.split('\n').filter(line => /^ {4}at /.test(line))].join('\n')
  return made
}

/** Asks for the components that are named, once it is known which. */
function* loaded(
  options: Omit<LoadOptions, 'components'>,
  trapsOf: FindTraps,
): Generator<readonly Named[], Loaded, readonly Definition[]> {
  const { env = process.env } = options
  const report = new Report()
  const sources = readSources({ ...options, env }, report)
  const kyma = readKyma(sources, hasKyma(sources) ? yield kymaUses : [], report)
  const documents = sources.map(source => kyma.replaced.get(source) ?? readTop(source, report))
  if (report.failed) {
    throw report.asErrors(kyma.documents.flatMap(secretsOf))
  }

  const gates = readGates(options.gates ?? [], report)
  const append = gates.on.has('confmap.enableMergeAppendOption')
  const merged = documents.reduce((earlier, later) => merge(earlier, later, report, [], { append }))
  const root = expandSections(merged, env, report, options)
  const { entries } = root
  tellUnknownSections(entries, report)

  const definitions = yield namedIn(entries)
  const components = readComponents(entries, definitions, report)
  const top = sources[0] === undefined ? undefined : { source: sources[0], start: 0, end: 0 }
  const service = readService(entries.get('service'), top, components, report, {
    allowNoPipelines: gates.on.has('service.AllowNoPipelines'),
  })
  tellHalfUsed(service.pipelines, components, report)
  tellCycles(service.pipelines, components, report)
  tellExtensionsInUse(components, service.started, definitions, report)
  const telemetryEntry = telemetryOf(entries.get('service'))
  const telemetry = readTelemetry(telemetryEntry, top, report)
  const isServed = telemetry !== undefined && telemetry.metrics.level !== 'none'
  tellSameAddress(components, service, isServed ? metricsEndpoint(telemetry.metrics) : undefined, report)
  const configured = {
    receivers: configuredOf('receiver', components),
    processors: configuredOf('processor', components),
    exporters: configuredOf('exporter', components),
    connectors: configuredOf('connector', components),
    extensions: configuredOf('extension', components),
    started: service.started.map(({ id }) => id),
    pipelines: configuredPipelines(service.pipelines),
  }
  // Beside errors these would only mislead: what is misspelt looks unused.
  if (!report.failed) {
    report.concealed = concealedOf(root)
    warnOfTraps(trapsOf(configured), service, report)
    warnOfUnused(components, service, report)
    warnOfLoops(components, service, report)
    warnOfCertificates(components, service, report)
    warnOfNanoseconds(components, report)
    warnOfAddress(telemetryEntry, report)
    report.concealed = undefined
  }
  warnOfMissing(root, report)

  const secrets = [root, ...kyma.documents].flatMap(secretsOf)
  if (report.failed || telemetry === undefined) throw report.asErrors(secrets)
  const document = plainOf(root, shown)
  const hash = createHash('sha256').update(jsonOf(document)).digest('hex').slice(0, 16)
  return { configured, telemetry, warnings: report.warnings(secrets), document, hash, root, notes: gates.notes }
}

/** The top level of one source, which must be a section; an empty source is an empty one. */
function readTop(source: SourceText, report: Report): MapNode {
  const node = readDocument(source, report)
  const place = { source, start: 0, end: 0 }
  const empty: MapNode = { kind: 'map', place, entries: new Map() }
  if (node === undefined || isNull(node)) return empty
  if (node.kind !== 'map') {
    const message = `expected sections (${quoted(sections)}), got a ${node.kind === 'list' ? 'list' : 'single value'}`
    report.error('CONFIG_SYNTAX', node.place, message)
    return empty
  }
  const split = splitKeys(node, report)
  return split.kind === 'map' ? split : empty
}

function tellUnknownSections(entries: ReadonlyMap<string, MapEntry>, report: Report): void {
  for (const [name, { key, value }] of entries) {
    if (sections.includes(name)) continue
    hide(value)
    const hint = suggest(name, sections, `sections: ${quoted(sections)}`)
    report.error('CONFIG_UNKNOWN_KEY', key, `unknown section \`${name}\``, hint)
  }
}

function telemetryOf(service: MapEntry | undefined): MapEntry | undefined {
  return service?.value.kind === 'map' ? service.value.entries.get('telemetry') : undefined
}

function readTelemetry(
  entry: MapEntry | undefined,
  top: Place | undefined,
  report: Report,
): TelemetryConfig | undefined {
  if (entry === undefined || top === undefined) return telemetryConfig.parse({})
  const node: Node = isNull(entry.value) ? { kind: 'map', place: entry.value.place, entries: new Map() } : entry.value
  return check({ path: 'service::telemetry', key: entry.key, node }, telemetryConfig, report)
}

/** Warns of references that bring nothing, where that is no error. */
function warnOfMissing(root: Node, report: Report): void {
  for (const { secret, origin } of everyNode(root)) {
    if (secret || origin?.whole !== true) continue
    for (const { what, hint, place } of origin.missing)
      report.warn('CONFIG_SOURCE', place, what.endsWith('empty') ? what : `${what}: empty here`, hint)
  }
}

/** Where secrets stand in the sources. A reference and nothing else is none: its name helps, its value is elsewhere. */
function secretsOf(root: Node): Place[] {
  const places: Place[] = []
  for (const { kind, secret, place } of everyNode(root)) {
    const { source, start, end } = place
    if (secret && kind === 'scalar' && end > start && !isBareReference(source.text.slice(start, end)))
      places.push(place)
  }
  return places
}
