/**
 * By what requests are kept apart where they are gathered: by what the configuration names, and by what components behind need
 * of each. Without that a request would go out without its header, or with that of nobody.
 */
import { keepsApart } from '../core/apart.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { FlowComponent, Plan } from './plan.ts'
import { pipelinesBehind } from './who-waits.ts'

/** What a component needs of requests, and which one it is. */
export interface Needed {
  readonly by: string
  readonly what: string
}

/** What is needed of requests behind the processor `id`, in its pipeline and behind connectors. */
export function neededBehind(id: string, pipeline: ConfiguredPipeline, plan: Plan): Needed[] {
  return follow(pipeline, pipeline.processors.indexOf(id) + 1, plan, [])
}

/** What is needed of requests behind the queue of an exporter: by itself, and by extensions that it uses. */
export function neededOf(id: string, component: FlowComponent | undefined, plan: Plan): Needed[] {
  const touches = (component && plan.touchesOf(component)) ?? []
  const found = touches.filter(({ depth, does, what }) => depth === 'request' && does !== 'moves' && keepsApart(what))
  return [...new Set(found.map(({ what }) => what))].map(what => ({ by: id, what }))
}

function follow(pipeline: ConfiguredPipeline, from: number, plan: Plan, seen: readonly string[]): Needed[] {
  if (seen.includes(pipeline.id)) return []
  const steps = pipeline.processors.slice(from).flatMap(id => neededOf(id, plan.processors.get(id), plan))
  const ends = pipeline.exporters.flatMap(id => {
    const own = neededOf(id, plan.stepOf('exporters', id), plan)
    if (!plan.connectors.has(id)) return own
    const behind = pipelinesBehind(id, pipeline, plan).flatMap(next => follow(next, 0, plan, [...seen, pipeline.id]))
    return [...own, ...behind]
  })
  return [...steps, ...ends]
}

/** What keeps requests apart at the processors of a pipeline, by their ids. It changes with what stands behind them. */
export interface KeptApart {
  at: ReadonlyMap<string, readonly string[]>
}

/** That of a pipeline. */
export const apartAt = (pipeline: ConfiguredPipeline, plan: Plan): KeptApart['at'] =>
  new Map(pipeline.processors.map(id => [id, namesOf(neededBehind(id, pipeline, plan))]))

/** Each of what is needed once, in a fixed order. */
export const namesOf = (needed: readonly Needed[]): string[] =>
  [...new Set(needed.map(({ what }) => what))].toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
