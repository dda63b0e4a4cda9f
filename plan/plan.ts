/**
 * What a checked configuration means, resolved once: the graph runs it, `explain`, `validate`, `diff` and reload tell of it,
 * and none of them reads the keys of a component again.
 */
import type { Configured, ConfiguredComponent } from '../core/configured.ts'
import type { SendingConfig } from '../core/sending.ts'
import type { Keeping, Touch } from '../core/touch.ts'
import type { Signal } from '../proto/signals.ts'
import { type Carried, carriedBatches, type Gathered, gatheredBy } from './carried.ts'
import { type QueuePolicy, queuePolicy } from './queue-policy.ts'
import { queueTouches } from './queue-touches.ts'
import { type Flushing, flushingOf, type WaitingParts } from './who-waits.ts'

/** A component that data goes through. */
export type FlowComponent =
  | ConfiguredComponent<'processor'>
  | ConfiguredComponent<'exporter'>
  | ConfiguredComponent<'connector'>

/** See above. */
export interface Plan extends Configured {
  /** How each exporter takes data, by its id. */
  readonly queues: ReadonlyMap<string, QueuePolicy>
  /**
   * What a component does with data: by itself, by its queue, by the extensions it uses. Undefined where its declaration does
   * not say.
   */
  touchesOf(component: FlowComponent): readonly Touch[] | undefined
  /** How what a pipeline gathers leaves it, by its id. */
  flushingIn(pipeline: string): Flushing
  /** The last step of a pipeline where it is not run: its destinations gather in its place, behind their queues. */
  carriedIn(pipeline: string): Carried | undefined
  /** How an exporter puts together what it is given of one signal. */
  gatheredBy(exporter: string, signal: Signal): Gathered | undefined
  /** What a list of a pipeline names by `id`: a processor; an exporter, or a connector in its place. */
  stepOf(list: 'processors' | 'exporters', id: string): FlowComponent | undefined
  /** What of requests a receiver can keep beside their data, at each of its ways in. Empty where it can keep nothing. */
  keptBy(receiver: string): readonly Keeping[]
}

/** The plan of a configuration. */
export function planOf(configured: Configured): Plan {
  const queues = new Map(
    [...configured.exporters].map(([id, { definition, config }]) => [
      id,
      // The schema of every exporter has the shared keys; see defineExporter.
      queuePolicy((config as SendingConfig).sending_queue, definition.local),
    ]),
  )
  const { processors, exporters, connectors, receivers, pipelines } = configured
  const parts: WaitingParts = {
    ...configured,
    queues,
    touchesOf: component => touchesOf(component, configured),
  }
  const carried = carriedBatches(parts)
  const flushing = new Map(pipelines.map(pipeline => [pipeline.id, flushingOf(pipeline, parts)]))
  return {
    ...configured,
    queues,
    touchesOf: component => touchesOf(component, configured),
    flushingIn: id => flushing.get(id) ?? { isAwaited: true, answeredBy: undefined },
    carriedIn: id => carried.get(id),
    gatheredBy: (id, signal) => gatheredBy(id, signal, carried, parts),
    stepOf: (list, id) => (list === 'processors' ? processors.get(id) : (exporters.get(id) ?? connectors.get(id))),
    keptBy(id) {
      const receiver = receivers.get(id)
      // The definition's own schema has made it.
      return receiver?.definition.keeps?.(receiver.config as never) ?? []
    },
  }
}

function touchesOf(component: FlowComponent, configured: Configured): readonly Touch[] | undefined {
  const { definition, config } = component
  const own = definition.touches?.(config as never)
  if (own === undefined || definition.kind !== 'exporter') return own
  const helpers = extensionsBehind(component, configured).flatMap(({ key, extension }) =>
    (extension.definition.touches?.(extension.config as never) ?? []).map(touch => ({ ...touch, key })),
  )
  return [...queueTouches(config as SendingConfig), ...own, ...helpers]
}

type Using = Pick<ConfiguredComponent, 'uses'>

/** Extensions that a component uses, and those that they use, each with the key of the component that leads there. */
function extensionsBehind(component: Using, { extensions }: Configured) {
  const found = new Map<string, { key: string; extension: ConfiguredComponent<'extension'> }>()
  const follow = ({ uses }: Using, key: string | undefined): void => {
    for (const { id, path } of uses) {
      const extension = extensions.get(id)
      if (extension === undefined || found.has(id)) continue
      found.set(id, { key: `${key ?? path}: ${id}`, extension })
      follow(extension, key ?? path)
    }
  }
  follow(component, undefined)
  return [...found.values()]
}
