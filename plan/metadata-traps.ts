/** Components that need headers of requests, behind receivers that do not keep them. */
import { quoted } from '../config/nearest.ts'
import type { Trap } from '../config/traps.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { FlowComponent, Plan } from './plan.ts'

/** What is needed in a pipeline of the headers that a receiver of it could keep, and does not. */
export function metadataTraps(pipeline: ConfiguredPipeline, plan: Plan): Trap[] {
  const forgetful = pipeline.receivers.filter(id => forgets(id, plan))
  const inPipeline = (list: 'processors' | 'exporters') =>
    pipeline[list].flatMap(id => {
      const user = plan.stepOf(list, id)
      const names = user === undefined ? new Set<string>() : headersFor(user, plan)
      return names.size === 0 ? [] : forgetful.map(receiver => trapOf(pipeline.id, list, id, receiver, names))
    })
  return [...inPipeline('processors'), ...inPipeline('exporters')]
}

function trapOf(pipeline: string, list: Trap['list'], id: string, receiver: string, names: ReadonlySet<string>): Trap {
  const what = names.size === 1 ? 'the header' : 'headers'
  const message = `\`${id}\` needs ${what} ${quoted(names)} of requests, and the receiver \`${receiver}\` keeps none`
  const hint = `set \`include_metadata: true\` at each protocol of \`${receiver}\``
  return { pipeline, list, id, message, hint }
}

/** Whether a receiver could keep headers and is nowhere told to. */
function forgets(id: string, plan: Plan): boolean {
  const ways = plan.keptBy(id).filter(({ what }) => what === 'metadata')
  return ways.length > 0 && !ways.some(({ kept }) => kept)
}

/** The headers a component needs by itself, by its queue, or by the extensions it uses. */
function headersFor(user: FlowComponent, plan: Plan): Set<string> {
  const names = new Set<string>()
  for (const { depth, does, what } of plan.touchesOf(user) ?? [])
    if (depth === 'request' && does !== 'moves' && what.startsWith('metadata.'))
      names.add(what.slice('metadata.'.length))
  return names
}
