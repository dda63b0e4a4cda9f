/** Pipelines as `/status` tells them: what goes in, what comes out, and how it fares with the components on the way. */
import type { Books, NodeBooks } from '../core/books.ts'
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { RunningComponent } from '../core/health.ts'
import { severity } from '../core/status.ts'
import type { Rates } from './rates.ts'

/** What is told of pipelines. */
export interface PipelineSources {
  readonly pipelines: readonly ConfiguredPipeline[]
  readonly components: readonly RunningComponent[]
  readonly books: Books
  readonly rates: Rates
}

/** One pipeline as `/status` tells it. */
export type PipelineDocument = ReturnType<typeof pipelineDocuments>[number]

const minute = 60_000

/** All of them, in the order of the configuration. */
export function pipelineDocuments({ pipelines, components, books, rates }: PipelineSources) {
  const nodes = Map.groupBy(
    books.nodes.filter(({ retired }) => !retired),
    ({ name }) => keyOf(name.id, name.pipeline === '' ? name.signal : name.pipeline),
  )
  const statesOf = Map.groupBy(components, ({ id }) => id)
  const now = Date.now()
  return pipelines.map(({ id, signal, receivers, processors, exporters }) => {
    const steps = processors.flatMap(one => nodes.get(keyOf(one, id)) ?? [])
    const sources = receivers.flatMap(one => nodes.get(keyOf(one, signal)) ?? [])
    const ways = { first: steps.at(0), last: steps.at(-1), sources }
    const own = ({ pipeline }: RunningComponent): boolean => pipeline === undefined || pipeline === id
    const found = [...receivers, ...processors, ...exporters]
      .flatMap(one => statesOf.get(one)?.filter(own) ?? [])
      .map(({ status }) => severity.indexOf(status.state))
    return {
      id,
      signal,
      receivers,
      processors,
      exporters,
      /** The worst of its components. */
      state: severity[Math.min(...found)] ?? 'None',
      ...counts(ways, books, exporters, nodes, signal),
      dropped: sum(steps, ({ dropped }) => dropped.total),
      lost: sum(steps, ({ lost }) => lost.total),
      held: sum(steps, node => node.held()),
      items_per_second: paces(ways, rates, now),
    }
  })
}

/** Where items come in and go out: its steps, or where it has none what its receivers hand on. */
interface Ways {
  readonly first: NodeBooks | undefined
  readonly last: NodeBooks | undefined
  readonly sources: readonly NodeBooks[]
}

const keyOf = (id: string, place: string): string => `${id}\0${place}`

const sum = (nodes: readonly NodeBooks[], of: (node: NodeBooks) => number): number =>
  nodes.reduce((total, node) => total + of(node), 0)

function counts(
  { first, last, sources }: Ways,
  books: Books,
  exporters: readonly string[],
  nodes: ReadonlyMap<string, readonly NodeBooks[]>,
  signal: string,
): { in: number; out: number } {
  if (first !== undefined && last !== undefined) return { in: first.in, out: last.out }
  // All destinations of a fan-out are carried the same.
  const [to] = exporters.flatMap(one => nodes.get(keyOf(one, signal)) ?? [])
  const carried = books.edges.reduce(
    (all, edge) => all + (edge.to === to && sources.includes(edge.from) ? edge.carried : 0),
    0,
  )
  return { in: carried, out: carried }
}

function paces({ first, last, sources }: Ways, rates: Rates, now: number): { in: number; out: number } {
  const pace = (node: NodeBooks) => rates.of(node, minute, now)
  if (first !== undefined && last !== undefined) return { in: round(pace(first).in), out: round(pace(last).out) }
  const out = round(sum([...sources], node => pace(node).out))
  return { in: out, out }
}

const round = (rate: number): number => Math.round(rate * 1000) / 1000
