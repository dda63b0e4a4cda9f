/** What a configuration will do, told from the declarations of its components, without running anything. */
import type { Hold } from '../core/component.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { Depth, Touch } from '../core/touch.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { explainContext, type Merge, type Need, type Stage } from './explain-context.ts'
import { explainExporter, type ExporterExplained, type Fed } from './explain-exporter.ts'
import type { FlowComponent, Plan } from './plan.ts'
import type { Success } from './queue-policy.ts'
import { type Custody, custodyOf, type Way, waysFrom } from './ways.ts'

/** The whole of it. */
export interface Explanation {
  readonly receivers: readonly ReceiverExplained[]
  readonly pipelines: readonly PipelineExplained[]
  readonly exporters: readonly ExporterExplained[]
}

/** What "success" means to whoever sends one signal to one receiver: all of `answers` have taken it. */
export interface ReceiverExplained {
  readonly id: string
  /** Who hears of it: a sender, what is read, or nobody but Kymo. */
  readonly origin: 'sender' | 'source' | 'itself'
  readonly type: string
  readonly signal: Signal
  readonly pipelines: readonly string[]
  readonly answers: readonly AnswerExplained[]
}

/** Where a request ends, and what is then said of it. */
export interface AnswerExplained {
  readonly by: string
  readonly kind: 'exporter' | 'processor' | 'connector'
  /** `gathers`, `state`, `derived`: it is in memory there, and goes on without a sender that waits. */
  readonly success: Success | Custody['as']
  readonly because: readonly string[]
  /** The pipelines on the way. */
  readonly pipelines: readonly string[]
}

/** How deep a component goes; `unknown` where its declaration does not say. */
export type DepthReached = 'nothing' | Exclude<Depth, 'request'> | 'unknown'

/** One component in a pipeline. */
export interface StepExplained {
  readonly kind: 'processor' | 'exporter' | 'connector'
  readonly id: string
  readonly type: string
  readonly reach: DepthReached
  readonly touches: readonly Touch[]
  /** How long it holds what it is given; an exporter does as its queue says. */
  readonly hold: Hold | undefined
}

/** What the processors of a pipeline do with the bytes at one depth. */
export type BytesUse = 'untouched' | 'read' | 'edited' | 'unknown'

/** One pipeline. */
export interface PipelineExplained {
  readonly id: string
  readonly signal: Signal
  readonly receivers: readonly string[]
  readonly steps: readonly StepExplained[]
  readonly bytes: Readonly<Record<Exclude<Depth, 'request'>, BytesUse>>
  /** What makes it go as deep as it goes. */
  readonly deepest: {
    readonly reach: DepthReached
    readonly by: readonly { readonly id: string; readonly key: string }[]
  }
  /** What may be dropped by rule, under which reason. */
  readonly drops: readonly {
    readonly by: string
    readonly reason: string
    readonly key: string
    readonly what: string
  }[]
  /** The step that answers senders before an exporter has their data. */
  readonly custody: Custody | undefined
  /** The last step, where the exporters gather in its place behind their queues: each request is handed to them as it comes. */
  readonly carried: string | undefined
  readonly merges: readonly Merge[]
  readonly needs: readonly Need[]
}

/** Explains a configuration. */
export function explain(plan: Plan): Explanation {
  const { receivers, pipelines, exporters } = plan
  const fed: Fed[] = []
  const answers: ReceiverExplained[] = []
  for (const { id, definition } of receivers.values()) {
    for (const signal of allSignals) {
      const mine = pipelines.filter(one => one.signal === signal && one.receivers.includes(id))
      if (mine.length === 0) continue
      const found = mine.flatMap(pipeline => waysFrom(pipeline, plan))
      fed.push({ receiver: id, ways: found })
      const ids = mine.map(one => one.id)
      const { type, origin = 'sender' } = definition
      answers.push({ id, origin, type, signal, pipelines: ids, answers: answersOf(found, plan) })
    }
  }
  return {
    receivers: answers,
    pipelines: pipelines.map(pipeline => explainPipeline(pipeline, plan)),
    exporters: [...exporters.values()]
      .filter(({ id }) => pipelines.some(pipeline => pipeline.exporters.includes(id)))
      .map(exporter => explainExporter(exporter, plan, fed)),
  }
}

function answersOf(ways: readonly Way[], { queues, carriedIn }: Plan): AnswerExplained[] {
  const answers: AnswerExplained[] = []
  for (const { custody, exporter, pipelines } of ways) {
    const by = custody?.id ?? exporter
    const kind = custody?.kind ?? 'exporter'
    if (answers.some(answer => answer.by === by && answer.kind === kind)) continue
    const queue = queues.get(exporter)
    // What works in this process gathers in the place of a step, and answers as that would have.
    const carried = queue?.isAwaited === false ? carriedIn(pipelines.at(-1) ?? '') : undefined
    if (custody !== undefined) answers.push({ by, kind, success: custody.as, because: [], pipelines })
    else if (carried !== undefined) answers.push({ by, kind, success: 'accepted', because: [carried.id], pipelines })
    else if (queue !== undefined) answers.push({ by, kind, success: queue.success, because: queue.because, pipelines })
  }
  return answers
}

function explainPipeline(pipeline: ConfiguredPipeline, plan: Plan): PipelineExplained {
  const { id, signal, receivers } = pipeline
  const processors = pipeline.processors.flatMap(one => stepOf('processor', plan.processors.get(one), plan))
  const ends = pipeline.exporters.flatMap(one => [
    ...stepOf('exporter', plan.exporters.get(one), plan),
    ...stepOf('connector', plan.connectors.get(one), plan),
  ])
  const steps = [...processors, ...ends]
  const stagesOf = (one: ConfiguredPipeline) => stages(one, plan)
  return {
    id,
    signal,
    receivers,
    steps,
    bytes: {
      resource: useOf('resource', processors),
      scope: useOf('scope', processors),
      item: useOf('item', processors),
    },
    deepest: deepestOf(steps),
    drops: steps.flatMap(step =>
      step.touches.flatMap(({ does, reason, key, what }) =>
        does === 'drops' && reason !== undefined ? [{ by: step.id, reason, key, what }] : [],
      ),
    ),
    custody: custodyOf(pipeline, plan),
    carried: plan.carriedIn(id)?.id,
    ...explainContext(pipeline, plan, stagesOf),
  }
}

/** The components of a pipeline in order, once for each of its ends. */
function stages(pipeline: ConfiguredPipeline, plan: Plan): Stage[][] {
  const stage = (component: FlowComponent | undefined): Stage[] =>
    component === undefined ? [] : [{ id: component.id, touches: plan.touchesOf(component) ?? [] }]
  const front = pipeline.processors.flatMap(id => stage(plan.processors.get(id)))
  return pipeline.exporters.map(id => [...front, ...stage(plan.exporters.get(id) ?? plan.connectors.get(id))])
}

function stepOf(kind: StepExplained['kind'], component: FlowComponent | undefined, plan: Plan): StepExplained[] {
  if (component === undefined) return []
  const { id, definition } = component
  const touches = plan.touchesOf(component)
  const hold = definition.kind === 'exporter' ? undefined : definition.hold
  return [{ kind, id, type: definition.type, reach: reachOf(touches), touches: touches ?? [], hold }]
}

const reaches: readonly DepthReached[] = ['nothing', 'resource', 'scope', 'item', 'unknown']

/** Whether it looks into the bytes: what is only put elsewhere is not looked into. */
const looks = ({ depth, does }: Touch) => depth !== 'request' && does !== 'moves'

function reachOf(touches: readonly Touch[] | undefined): DepthReached {
  if (touches === undefined) return 'unknown'
  return touches
    .filter(looks)
    .map(({ depth }): DepthReached => (depth === 'request' ? 'nothing' : depth))
    .reduce((a, b) => (reaches.indexOf(b) > reaches.indexOf(a) ? b : a), 'nothing')
}

function useOf(depth: Depth, steps: readonly StepExplained[]): BytesUse {
  const mine = steps.flatMap(({ touches }) => touches.filter(touch => touch.depth === depth))
  if (mine.some(({ does }) => does === 'edits')) return 'edited'
  if (steps.some(({ reach }) => reach === 'unknown')) return 'unknown'
  return mine.some(looks) ? 'read' : 'untouched'
}

function deepestOf(steps: readonly StepExplained[]): PipelineExplained['deepest'] {
  const reach = steps
    .map(step => step.reach)
    .reduce((a, b) => (reaches.indexOf(b) > reaches.indexOf(a) ? b : a), 'nothing')
  if (reach === 'nothing') return { reach, by: [] }
  const by = steps
    .filter(step => step.reach === reach)
    .flatMap(({ id, touches }) => {
      const keys = touches.filter(touch => looks(touch) && touch.depth === reach).map(({ key }) => key)
      return [...new Set(keys.length === 0 ? [''] : keys)].map(key => ({ id, key }))
    })
  return { reach, by }
}
