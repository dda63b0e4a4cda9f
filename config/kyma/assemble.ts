/** From Kyma's pipelines to components and pipelines, with the figures of Kyma's gateway. */
import type { Definition } from '../../core/component.ts'
import { elementAt } from '../../core/element-at.ts'
import type { Signal } from '../../proto/signals.ts'
import type { MapNode, Node } from '../document.ts'
import type { Place } from '../place.ts'
import type { Report } from '../report.ts'
import { tellMissingInputs } from './inputs.ts'
import { at, entryAt, flagAt, list, section } from './nodes.ts'
import { readOutput } from './output.ts'
import type { KymaPipeline, PipelineKind } from './shapes.ts'

/** What differs between the three kinds. */
const facts: Readonly<Record<PipelineKind, { signal: Signal; batch: string }>> = {
  LogPipeline: { signal: 'logs', batch: 'batch' },
  TracePipeline: { signal: 'traces', batch: 'batch' },
  MetricPipeline: { signal: 'metrics', batch: 'batch/metrics' },
}

/** Batches that wait for all destinations of one signal together. */
const queued = 256

/** Sections as they come together. */
class Sections {
  readonly processors = new Map<string, Node>()
  readonly exporters = new Map<string, Node>()
  readonly extensions = new Map<string, Node>()
  readonly pipelines = new Map<string, Node>()
}

/** One configuration for all pipelines. */
export function assemble(
  pipelines: readonly KymaPipeline[],
  definitions: readonly Definition[],
  report: Report,
): MapNode {
  const made = new Sections()
  const place = placeOf(elementAt(pipelines, 0))
  const limiter = { check_interval: '1s', limit_percentage: 75, spike_limit_percentage: 15 }
  made.processors.set('memory_limiter', section(place, limiter))
  for (const pipeline of pipelines) {
    const { signal } = facts[pipeline.kind]
    const alike = pipelines.filter(({ kind }) => kind === pipeline.kind).length
    tellMissingInputs(pipeline, report)
    tellMissingSteps(pipeline, report)
    const output = readOutput(pipeline, signal, definitions, report)
    if (output === undefined) continue
    made.exporters.set(output.id, withQueue(output.exporter, alike))
    if (output.extension !== undefined) made.extensions.set(output.extension.id, output.extension.config)
    addPipeline(pipeline, output.id, made)
  }
  const text = 'enrichment with what Kubernetes knows of a pod is not in this build: resources stay as they arrive'
  report.warn('CONFIG_UNKNOWN_COMPONENT', place, text, 'set `k8s.*` attributes at the sender')
  return section(place, {
    receivers: section(place, { otlp: receiver(place) }),
    processors: section(place, Object.fromEntries(made.processors)),
    exporters: section(place, Object.fromEntries(made.exporters)),
    ...(made.extensions.size > 0 ? { extensions: section(place, Object.fromEntries(made.extensions)) } : {}),
    service: section(place, {
      extensions: list(
        place,
        [...made.extensions.keys()].map(id => ({ kind: 'scalar', place, value: id })),
      ),
      pipelines: section(place, Object.fromEntries(made.pipelines)),
    }),
  })
}

const placeOf = ({ document }: KymaPipeline): Place => at(document, 'metadata', 'name')?.place ?? document.place

/** Where Kyma's gateway listens: on the address of its pod, and without one on this machine only. */
function receiver(place: Place): Node {
  const protocol = (port: number) => section(place, { endpoint: `\${env:MY_POD_IP:-localhost}:${port}` })
  return section(place, { protocols: section(place, { grpc: protocol(4317), http: protocol(4318) }) })
}

function addPipeline(pipeline: KymaPipeline, exporter: string, { processors, pipelines }: Sections): void {
  const { kind, name, document } = pipeline
  const { signal, batch } = facts[kind]
  const place = placeOf(pipeline)
  const size = kind === 'MetricPipeline' ? 1024 : 512
  const steps = ['memory_limiter']
  const selector = entryAt(document, 'spec', 'input', 'otlp', 'namespaces')
  const [include, exclude] = [at(selector?.value, 'include'), at(selector?.value, 'exclude')]
  if (selector !== undefined && (include !== undefined || exclude !== undefined)) {
    const id = `namespace_filter/${kind.toLowerCase()}-${name}`
    // What a selector does not name is not treated in a way of its own: system namespaces are like others.
    processors.set(id, section(selector.value.place, { include, exclude, system: true }))
    steps.push(id)
  }
  if (!processors.has(batch))
    processors.set(batch, section(place, { send_batch_size: size, send_batch_max_size: size, timeout: '10s' }))
  steps.push(batch)
  const ids = (names: readonly string[]) =>
    list(
      place,
      names.map(value => ({ kind: 'scalar', place, value })),
    )
  pipelines.set(
    `${signal}/${name}`,
    section(place, { receivers: ids(['otlp']), processors: ids(steps), exporters: ids([exporter]) }),
  )
}

/**
 * The queue and the retries of Kyma's gateway. One that is full drops, so that no backend stops another, and refuses
 * where there is no other.
 */
function withQueue(exporter: MapNode, alike: number): MapNode {
  const { place } = exporter
  const queue_size = Math.max(1, Math.floor(queued / alike))
  const { entries } = section(place, {
    sending_queue: section(place, { queue_size, ...(alike > 1 ? { when_full: 'drop' } : {}) }),
    retry_on_failure: section(place, { initial_interval: '5s', max_interval: '30s' }),
  })
  return { ...exporter, entries: new Map([...exporter.entries, ...entries]) }
}

/** OTTL and what comes with it. */
function tellMissingSteps({ path, document }: KymaPipeline, report: Report): void {
  for (const key of ['transform', 'filter'] as const) {
    const entry = entryAt(document, 'spec', key)
    if (entry?.value.kind !== 'list' || entry.value.items.length === 0) continue
    const message = `${path}::spec::${key}: this build has no OTTL yet, so it cannot \`${key}\``
    report.error('CONFIG_UNKNOWN_COMPONENT', entry.key, message, `remove \`${key}\``)
  }
  for (const key of ['filters', 'files', 'variables']) {
    const entry = entryAt(document, 'spec', key)
    if (entry?.value.kind !== 'list' || entry.value.items.length === 0) continue
    const message = `${path}::spec::${key}: this is for Fluent Bit, which is not part of Kymo`
    report.error('CONFIG_UNKNOWN_COMPONENT', entry.key, message, `remove \`${key}\``)
  }
  const otlp = entryAt(document, 'spec', 'input', 'otlp')
  if (otlp !== undefined && !flagAt(otlp.value, true, 'enabled')) {
    const message = `${path}::spec::input::otlp: it is off, and there is no other input outside of a cluster`
    report.error('CONFIG_PIPELINE', otlp.key, message, 'set `enabled: true`, or leave this pipeline out')
  }
}
