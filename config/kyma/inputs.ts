/** Inputs of Kyma's pipelines that only a cluster has. */
import type { Report } from '../report.ts'
import { entryAt, flagAt } from './nodes.ts'
import type { KymaPipeline } from './shapes.ts'

/** What each of them would read. */
const inputs = {
  runtime: { LogPipeline: 'the log files of containers', MetricPipeline: 'metrics of pods and nodes' },
  prometheus: { LogPipeline: '', MetricPipeline: 'what annotated pods and services serve to Prometheus' },
  istio: { LogPipeline: '', MetricPipeline: 'metrics of Istio proxies' },
} as const

/** Warns of each input that is on and has nothing to read here. */
export function tellMissingInputs({ kind, path, document }: KymaPipeline, report: Report): void {
  if (kind === 'TracePipeline') return
  for (const [name, what] of Object.entries(inputs)) {
    if (what[kind] === '') continue
    const entry = entryAt(document, 'spec', 'input', name)
    // Container logs are read unless one says not to.
    const byDefault = kind === 'LogPipeline'
    const said = entryAt(document, 'spec', 'input', name, 'enabled')
    if (!flagAt(entry?.value, byDefault, 'enabled')) continue
    const place = said?.key ?? entry?.key ?? entryAt(document, 'metadata', 'name')?.value.place
    const message = `${path}::spec::input::${name}: ${what[kind]} need Kubernetes, which this build does not read: left out`
    const why = said === undefined ? `it is on by default; outside of a cluster say` : 'outside of a cluster say'
    report.warn('CONFIG_UNKNOWN_COMPONENT', place, message, `${why} \`${name}: {enabled: false}\``)
  }
}
