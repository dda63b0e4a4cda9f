/** Components that need headers of requests, behind receivers that do not keep them. */
import { quoted } from '../config/nearest.ts'
import type { Trap } from '../config/traps.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import { type Needed, neededBehind, neededOf } from './apart.ts'
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
  return [...inPipeline('processors'), ...inPipeline('exporters'), ...apartTraps(pipeline, plan)]
}

/** Where requests are put together of which components behind need something that is not named there. */
function apartTraps(pipeline: ConfiguredPipeline, plan: Plan): Trap[] {
  const at = (list: Trap['list'], id: string, key: string, needed: readonly Needed[]): Trap[] => {
    const user = plan.stepOf(list, id)
    const moves = ((user && plan.touchesOf(user)) ?? []).find(
      ({ depth, does }) => depth === 'request' && does === 'moves',
    )
    if (moves === undefined) return []
    const unnamed = needed.filter(({ what }) => what.startsWith('metadata.') && !moves.apart?.includes(what))
    const headers = new Set(unnamed.map(({ what }) => what.slice('metadata.'.length)))
    if (headers.size === 0) return []
    const users = quoted(new Set(unnamed.map(({ by }) => by)))
    const what = headers.size === 1 ? 'the header' : 'headers'
    const message = `\`${id}\` puts requests together of which ${users} needs ${what} ${quoted(headers)}, and keeps them apart by it`
    return [{ pipeline: pipeline.id, list, id, message, hint: `name it in \`${key}\`, so that it is seen` }]
  }
  return [
    ...pipeline.processors.flatMap(id => at('processors', id, 'metadata_keys', neededBehind(id, pipeline, plan))),
    ...pipeline.exporters.flatMap(id =>
      at('exporters', id, 'sending_queue::batch::partition::metadata_keys', neededOf(id, plan.exporters.get(id), plan)),
    ),
  ]
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
