/** What taking over a new configuration does to what runs: which components start, stop, restart, and which stay. */
import type { Kind } from '../core/component.ts'
import type { ConfiguredComponent } from '../core/configured.ts'
import type { ComponentReload, PipelineReload, ReloadPlan, ReloadReason } from '../core/reload.ts'
import type { TelemetryConfig } from '../telemetry/config.ts'
import { kinds } from '../config/components.ts'
import { sameValue } from '../config/equal.ts'
import type { Plan } from './plan.ts'
import type { QueuePolicy } from './queue-policy.ts'

/** Whether two components are one and the same: kind, id, and configuration with all defaults. */
export function sameComponent(a: ConfiguredComponent, b: ConfiguredComponent): boolean {
  const sameDefinition = a.definition.kind === b.definition.kind && a.definition.type === b.definition.type
  return sameDefinition && a.id === b.id && sameValue(a.config, b.config)
}

/** Compares what runs with what is to run. */
export function planReload(before: Plan, after: Plan): ReloadPlan {
  let moved: ReadonlySet<string> = new Set()
  let extensions = planKind('extension', before, after, moved)
  // Extensions use extensions, too.
  while (extensions.length > moved.size) {
    moved = new Set(extensions.map(({ id }) => id))
    extensions = planKind('extension', before, after, moved)
  }
  const others = kinds.filter(kind => kind !== 'extension').flatMap(kind => planKind(kind, before, after, moved))
  return { components: [...others, ...extensions], pipelines: planPipelines(before, after) }
}

/** What keeps a plan from being carried out while the process runs. */
export function unreloadable({ components }: ReloadPlan, after: Plan): { message: string; hint: string }[] {
  return components
    .filter(({ kind, action }) => kind === 'extension' && action === 'restart')
    .filter(({ id }) => after.extensions.get(id)?.definition.exclusive === true)
    .map(({ id }) => ({
      message: `extension ${id} cannot change while the process runs: a second one cannot have what it has`,
      hint: 'start the process again, or configure an extension with another id beside it',
    }))
}

/** Keys of `service.telemetry` that differ and are only looked at when the process starts. */
export function startOnly(before: TelemetryConfig, after: TelemetryConfig): string[] {
  const levels = { level: undefined, levels: undefined }
  const fixed = (one: TelemetryConfig) => ({ ...one, logs: { ...one.logs, ...levels } })
  const [old, now] = [fixed(before), fixed(after)]
  const sections = ['logs', 'metrics', 'traces', 'resource'] as const
  return sections.filter(name => !sameValue(old[name], now[name])).map(name => `service::telemetry::${name}`)
}

function planPipelines(before: Plan, after: Plan): PipelineReload[] {
  const ids = new Set([...before.pipelines, ...after.pipelines].map(({ id }) => id))
  const found: PipelineReload[] = []
  for (const id of ids) {
    const old = before.pipelines.find(pipeline => pipeline.id === id)
    const now = after.pipelines.find(pipeline => pipeline.id === id)
    if (!sameValue(old, now)) found.push({ id, before: old, after: now })
  }
  return found
}

/** One running instance of a component: processors have one in each pipeline, all others one. */
interface Instance {
  readonly component: ConfiguredComponent
  /** Of an exporter. */
  readonly queue: QueuePolicy | undefined
  readonly pipelines: Set<string>
  /** What it was made for beside its configuration. */
  readonly signals: Set<string>
}

function planKind(kind: Kind, before: Plan, after: Plan, moved: ReadonlySet<string>): ComponentReload[] {
  const old = instancesOf(kind, before)
  const now = instancesOf(kind, after)
  const reordered = kind === 'processor' ? reorderedIn(before, after) : new Set()
  const found: ComponentReload[] = []
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const was = old.get(key)
    const is = now.get(key)
    const reason = reasonFor(was, is, moved) ?? (reordered.has(key) ? 'order' : undefined)
    const { component, pipelines } = is ?? was ?? {}
    if (reason === undefined || component === undefined || pipelines === undefined) continue
    const action = was === undefined ? 'start' : is === undefined ? 'stop' : 'restart'
    found.push({ kind, id: component.id, action, reason, pipelines: [...pipelines], ...heldBy(was, is) })
  }
  return kind === 'processor' ? joined(found) : found
}

/** Keys of the processors of pipelines in which those that stay change places. */
function reorderedIn(before: Plan, after: Plan): Set<string> {
  const keys = new Set<string>()
  for (const { id, processors } of before.pipelines) {
    const now = after.pipelines.find(pipeline => pipeline.id === id)?.processors ?? []
    const old = processors.filter(processor => now.includes(processor))
    if (
      sameValue(
        old,
        now.filter(processor => old.includes(processor)),
      )
    )
      continue
    for (const processor of old) keys.add(keyOf(id, processor))
  }
  return keys
}

const keyOf = (pipeline: string, processor: string): string => `${pipeline} ${processor}`

function reasonFor(
  was: Instance | undefined,
  is: Instance | undefined,
  moved: ReadonlySet<string>,
): ReloadReason | undefined {
  if (was === undefined) return 'added'
  if (is === undefined) return 'removed'
  if (!sameComponent(was.component, is.component)) return 'config'
  if (!sameValue([...was.signals].toSorted(), [...is.signals].toSorted())) return 'signals'
  return is.component.uses.some(({ id }) => moved.has(id)) ? 'extension' : undefined
}

/** The instances of one kind that some pipeline, or the list of extensions, starts. */
function instancesOf(kind: Kind, configured: Plan): Map<string, Instance> {
  const instances = new Map<string, Instance>()
  const add = (key: string, id: string, pipeline: string | undefined, signals: readonly string[]) => {
    const component: ConfiguredComponent | undefined = lookUp(configured, kind, id)
    if (component === undefined) return
    const queue = kind === 'exporter' ? configured.queues.get(id) : undefined
    const instance = instances.get(key) ?? { component, queue, pipelines: new Set(), signals: new Set() }
    if (pipeline !== undefined) instance.pipelines.add(pipeline)
    for (const signal of signals) instance.signals.add(signal)
    instances.set(key, instance)
  }
  if (kind === 'extension') for (const id of configured.started) add(id, id, undefined, [])
  else if (kind === 'processor') {
    for (const pipeline of configured.pipelines)
      for (const id of pipeline.processors) add(keyOf(pipeline.id, id), id, pipeline.id, [])
  } else {
    for (const pipeline of configured.pipelines) {
      if (kind !== 'exporter')
        for (const id of pipeline.receivers) add(id, id, pipeline.id, [`from ${pipeline.signal}`])
      if (kind !== 'receiver') for (const id of pipeline.exporters) add(id, id, pipeline.id, [`to ${pipeline.signal}`])
    }
  }
  return instances
}

function lookUp(configured: Plan, kind: Kind, id: string): ConfiguredComponent | undefined {
  const all: Record<Kind, { get(id: string): unknown }> = {
    receiver: configured.receivers,
    processor: configured.processors,
    exporter: configured.exporters,
    connector: configured.connectors,
    extension: configured.extensions,
  }
  // A component of one kind is a component of any; the compiler does not see it through the five maps.
  return all[kind].get(id) as ConfiguredComponent | undefined
}

/** One entry for what happens to a processor for the same reason in several pipelines. */
function joined(found: readonly ComponentReload[]): ComponentReload[] {
  const made = new Map<string, ComponentReload>()
  for (const one of found) {
    const key = `${one.id} ${one.action} ${one.reason}`
    const there = made.get(key)
    made.set(key, there === undefined ? one : { ...there, pipelines: [...there.pipelines, ...one.pipelines] })
  }
  return [...made.values()]
}

/** What becomes of the data that an instance has when it ends. */
function heldBy(
  was: Instance | undefined,
  is: Instance | undefined,
): Pick<ComponentReload, 'queue' | 'remainder' | 'flushes'> {
  if (was === undefined) return {}
  const { definition } = was.component
  if ('hold' in definition) return definition.hold === 'none' ? {} : { flushes: true }
  if (was.queue?.keeps === undefined) return {}
  // Data waits for its destination, which is the id: where that stays, the data goes over. What is on disk stays there.
  const { storage } = was.queue
  const kept = is !== undefined && (storage === undefined || storage === is.queue?.storage)
  return kept ? { queue: 'kept' } : { queue: 'drained', remainder: storage === undefined ? 'lost' : 'on_disk' }
}
