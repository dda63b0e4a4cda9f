/** What is legal but seldom meant: told as warnings. */
import type { Kind } from '../core/component.ts'
import { type Components, type Declared, kinds } from './components.ts'
import type { Entry } from './document.ts'
import { warnOfMetadata } from './metadata-traps.ts'
import { quoted } from './nearest.ts'
import type { Pipeline, Reference, Service } from './pipelines.ts'
import type { Report } from './report.ts'

/** Types of processors that leave data out: before them, a batch is gathered for nothing. */
const dropping: ReadonlySet<string> = new Set([
  'filter',
  'namespace_filter',
  'probabilistic_sampler',
  'tail_sampling',
  'log_dedup',
])

/** Warns of traps in a configuration that is otherwise right. */
export function warnOfTraps(
  components: Components,
  service: Service,
  telemetry: Entry | undefined,
  report: Report,
): void {
  for (const pipeline of service.pipelines) {
    warnOfOrder(pipeline, components, report)
    warnOfFanOut(pipeline, components, report)
    warnOfMetadata(pipeline, components, report)
  }
  warnOfUnused(components, service, report)
  warnOfAddress(telemetry, report)
}

function warnOfOrder({ id, processors }: Pipeline, components: Components, report: Report): void {
  const typeOf = ({ id }: Reference) => components.processor.get(id)?.definition?.type
  const path = `service::pipelines::${id}`
  for (const [index, processor] of processors.entries()) {
    const type = typeOf(processor)
    if (type === 'memory_limiter' && index > 0) {
      const message = `${path}: \`${processor.id}\` is not the first processor: what is before it works without a limit`
      report.warn('CONFIG_PIPELINE', processor.place, message, 'name it first')
    }
    if (type !== 'batch') continue
    const later = processors.slice(index + 1).find(other => dropping.has(typeOf(other) ?? ''))
    if (later === undefined) continue
    const message = `${path}: \`${processor.id}\` gathers data of which \`${later.id}\` then drops a part`
    report.warn('CONFIG_PIPELINE', processor.place, message, `name it after \`${later.id}\``)
  }
}

/** Whether a full queue of this exporter makes senders wait: the answer to a question nobody was asked. */
function refusesByDefault(exporter: Declared | undefined): boolean {
  const config: unknown = exporter?.config
  if (typeof config !== 'object' || config === null || !('sending_queue' in config)) return false
  const queue = config.sending_queue
  if (typeof queue !== 'object' || queue === null) return false
  const enabled = 'enabled' in queue && queue.enabled === true
  // What has a storage spills.
  const stored = 'storage' in queue && typeof queue.storage === 'string' && queue.storage !== ''
  return enabled && !stored && !('when_full' in queue && queue.when_full !== undefined)
}

function warnOfFanOut({ id, exporters }: Pipeline, components: Components, report: Report): void {
  const all = exporters.filter((one, i) => exporters.findIndex(other => other.id === one.id) === i)
  if (all.length < 2) return
  for (const exporter of all) {
    if (!refusesByDefault(components.exporter.get(exporter.id))) continue
    const others = all.filter(other => other !== exporter).map(other => other.id)
    report.warn(
      'CONFIG_PIPELINE',
      exporter.place,
      `service::pipelines::${id}: \`${exporter.id}\` can stop ${quoted(others)}: when its queue is full, senders are ` +
        'refused and no exporter of the pipeline gets the data',
      `set \`sending_queue::when_full\` of \`${exporter.id}\`: \`refuse\` if that is meant, \`drop\` to lose its part only`,
    )
  }
}

function warnOfUnused(components: Components, { started, pipelines }: Service, report: Report): void {
  const named = (list: 'receivers' | 'processors' | 'exporters') => pipelines.flatMap(pipeline => pipeline[list])
  const uses: Record<Kind, readonly Reference[]> = {
    receiver: named('receivers'),
    processor: named('processors'),
    exporter: named('exporters'),
    connector: [...named('receivers'), ...named('exporters')],
    extension: started,
  }
  for (const kind of kinds) {
    const used = new Set(uses[kind].map(({ id }) => id))
    for (const [id, { key }] of components[kind]) {
      if (used.has(id)) continue
      const where = kind === 'extension' ? '`service::extensions`' : 'any pipeline'
      report.warn('CONFIG_REFERENCE', key, `${kind}s::${id}: not used in ${where}`, 'it is checked, but does not run')
    }
  }
}

function warnOfAddress(telemetry: Entry | undefined, report: Report): void {
  const metrics = telemetry?.value.kind === 'map' ? telemetry.value.entries.get('metrics')?.value : undefined
  const address = metrics?.kind === 'map' ? metrics.entries.get('address') : undefined
  if (address === undefined) return
  const message = 'service::telemetry::metrics: `address` is the old form of `readers`; it is still understood'
  const hint = 'write `readers: [{pull: {exporter: {prometheus: {host: localhost, port: 8888}}}}]`'
  report.warn('CONFIG_UNKNOWN_KEY', address.key, message, hint)
}
