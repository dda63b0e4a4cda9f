/** Taps of a graph: where they are, who may not look, and where they are after another configuration was taken over. */
import { quoted, suggest } from '../../config/nearest.ts'
import type { NodeName } from '../../core/books.ts'
import type { Tap, TapSide } from '../flow/tapped.ts'
import type { Assembly } from './assembly.ts'
import type { TapRule } from './shown.ts'

/** Where somebody wants to look. Without a component or a pipeline: at all that exporters are given. */
export interface TapPlace {
  readonly component: string | undefined
  readonly pipeline: string | undefined
  /** Without it: both of a processor, else what there is. */
  readonly side: TapSide | undefined
}

/** Who looks. */
export interface TapViewer {
  /** What looks at one node, at the sides that are wanted. Asked again when another configuration is taken over. */
  at(name: NodeName, sides: readonly TapSide[]): { readonly [side in TapSide]?: Tap }
  /** Nothing is seen from now on, for this reason. */
  ended(why: string): void
}

/** A node at which somebody looks. */
export interface TapNode {
  readonly name: NodeName
  readonly sides: readonly TapSide[]
}

/** Nobody can look there; the message is for whoever asked. */
export class TapError extends Error {
  override name = 'TapError'
  readonly kind: 'wrong' | 'unknown' | 'redacted'
  /** What to ask instead. */
  readonly hint: string | undefined

  constructor(kind: TapError['kind'], message: string, hint?: string) {
    super(message)
    this.kind = kind
    this.hint = hint
  }
}

/** A node that can be looked at. */
interface Tappable {
  readonly name: NodeName
  readonly sides: readonly TapSide[]
  tap(side: TapSide, taps: readonly Tap[]): void
}

/** Those who look at one side of a node. */
interface Point {
  readonly node: Tappable
  readonly side: TapSide
  readonly taps: Tap[]
}

/** See above. Nothing of it is touched by data. */
export class Taps {
  readonly #views = new Map<TapViewer, TapPlace>()
  #points: readonly Point[] = []

  /**
   * Has `viewer` look at a place, until the returned function is called.
   * @throws TapError
   */
  add(place: TapPlace, viewer: TapViewer, assembly: Assembly, rule: TapRule): readonly TapNode[] {
    const nodes = checked(place, assembly, rule)
    this.#views.set(viewer, place)
    this.lay(assembly, rule)
    return nodes.map(({ node, sides }) => ({ name: node.name, sides }))
  }

  remove(viewer: TapViewer, assembly: Assembly, rule: TapRule): void {
    if (this.#views.delete(viewer)) this.lay(assembly, rule)
  }

  /** Nobody looks any more, until `lay`. */
  lift(): void {
    for (const { node, side } of this.#points) node.tap(side, [])
    this.#points = []
  }

  /** Everybody looks at what they asked for, as the graph is now. Those who cannot any more hear why. */
  lay(assembly: Assembly, rule: TapRule): void {
    this.lift()
    const points = new Map<string, Point>()
    const ended: (() => void)[] = []
    for (const [viewer, place] of this.#views) {
      try {
        for (const { node, sides } of checked(place, assembly, rule)) {
          const taps = viewer.at(node.name, sides)
          for (const side of sides) if (taps[side] !== undefined) add(points, node, side, taps[side])
        }
      } catch (error) {
        if (!(error instanceof TapError)) throw error
        this.#views.delete(viewer)
        ended.push(() => viewer.ended(`another configuration was taken over: ${error.message}`))
      }
    }
    this.#points = [...points.values()]
    for (const { node, side, taps } of this.#points) node.tap(side, taps)
    for (const tell of ended) tell()
  }
}

function add(points: Map<string, Point>, node: Tappable, side: TapSide, tap: Tap): void {
  const { kind, id, pipeline, signal } = node.name
  const key = `${kind} ${id} ${pipeline} ${signal} ${side}`
  const point = points.get(key) ?? { node, side, taps: [] }
  points.set(key, point)
  point.taps.push(tap)
}

interface Chosen {
  readonly node: Tappable
  readonly sides: readonly TapSide[]
}

/** The nodes of a place, which may be shown. @throws TapError */
function checked(place: TapPlace, assembly: Assembly, rule: TapRule): readonly Chosen[] {
  const chosen =
    place.component === undefined ? ofPipeline(place, assembly) : ofComponent(place.component, place, assembly)
  for (const { node, sides } of chosen) {
    for (const side of sides) {
      const why = rule(node.name, side)
      if (why === undefined) continue
      const what = `${side === 'in' ? 'what is handed to' : 'what comes out of'} ${node.name.kind} \`${node.name.id}\``
      throw new TapError(
        'redacted',
        `${what} is not shown: ${why}`,
        'tap that processor with --out, or what is behind it',
      )
    }
  }
  return chosen
}

const isOf = ({ name }: Tappable, kind: NodeName['kind']): boolean => name.kind === kind

function ofPipeline({ pipeline, side = 'out' }: TapPlace, assembly: Assembly): Chosen[] {
  const nodes = tappable(assembly)
  const ends = { in: ['in'], out: ['out'] } as const
  if (pipeline === undefined) {
    if (side === 'in') throw new TapError('wrong', 'say of what: `--in` is of a component or a pipeline')
    return nodes.filter(one => isOf(one, 'exporter')).map(node => ({ node, sides: ends.in }))
  }
  const { signal, receivers } = pipelineOf(pipeline, assembly)
  const steps = nodes.filter(one => isOf(one, 'processor') && one.name.pipeline === pipeline)
  const step = steps.at(side === 'in' ? 0 : -1)
  if (step !== undefined) return [{ node: step, sides: ends[side] }]
  // Nothing is between its ends: what comes in goes out.
  return nodes
    .filter(({ name }) => receivers.includes(name.id) && name.kind !== 'exporter' && name.signal === signal)
    .map(node => ({ node, sides: ends.out }))
}

function pipelineOf(id: string, { plan }: Assembly) {
  const found = plan.pipelines.find(one => one.id === id)
  if (found !== undefined) return found
  const ids = plan.pipelines.map(one => one.id)
  throw new TapError('unknown', `there is no pipeline \`${id}\` here`, suggest(id, ids, `pipelines: ${quoted(ids)}`))
}

function ofComponent(id: string, { pipeline, side }: TapPlace, assembly: Assembly): Chosen[] {
  const { plan } = assembly
  const within = pipeline === undefined ? undefined : pipelineOf(pipeline, assembly)
  const all = tappable(assembly).filter(({ name }) => name.id === id)
  if (all.length === 0) throw unknown(id, assembly)
  const there = all.filter(({ name: { kind, pipeline: own, signal } }) => {
    if (within === undefined) return true
    const { receivers, exporters } = within
    if (kind === 'processor') return own === pipeline
    if (kind === 'connector') return exporters.includes(id) || receivers.includes(id)
    return signal === within.signal && (kind === 'receiver' ? receivers : exporters).includes(id)
  })
  if (there.length === 0) {
    const using = plan.pipelines.filter(one => [one.receivers, one.processors, one.exporters].flat().includes(id))
    const hint = `it is in ${quoted(using.map(one => one.id))}`
    throw new TapError('unknown', `pipeline \`${pipeline}\` has no \`${id}\``, hint)
  }
  const kinds = [...new Set(there.map(({ name }) => name.kind))]
  if (side === undefined && kinds.length > 1) {
    const hint = 'add --out for what the receiver takes, or --in for what the exporter is given'
    throw new TapError('wrong', `\`${id}\` is the id of ${kinds.map(kind => `a ${kind}`).join(' and ')}`, hint)
  }
  const fitting = there.filter(one => side === undefined || one.sides.includes(side))
  if (fitting.length === 0) {
    const [only] = there[0]?.sides ?? []
    const why = only === 'in' ? 'what comes out of it is no OTLP' : 'what comes into it is no OTLP yet'
    throw new TapError('wrong', `${kinds[0]} \`${id}\` has no --${side}: ${why}`, `tap it with --${only}`)
  }
  return fitting.map(node => ({ node, sides: side === undefined ? usual(node) : [side] }))
}

/** What is looked at where nobody says: of a processor both, to see what it changes. */
const usual = ({ name, sides }: Tappable): readonly TapSide[] => (name.kind === 'connector' ? ['in'] : sides)

function unknown(id: string, assembly: Assembly): TapError {
  const { plan } = assembly
  for (const { id: pipeline, processors, exporters } of plan.pipelines) {
    if (!processors.includes(id)) continue
    const hint = `tap its exporter: ${quoted(exporters)}`
    return new TapError(
      'unknown',
      `\`${id}\` of pipeline \`${pipeline}\` gathers behind the queue of an exporter`,
      hint,
    )
  }
  const ids = [...new Set(tappable(assembly).map(({ name }) => name.id)), ...plan.pipelines.map(one => one.id)]
  return new TapError('unknown', `nothing here is called \`${id}\``, suggest(id, ids, `there are ${quoted(ids)}`))
}

/** Every node, from the front to the back. */
function tappable({ sources, pipelines, connectors, destinations }: Assembly): Tappable[] {
  return [
    ...[...sources.values()].map((source): Tappable => ({
      name: source.books.name,
      sides: ['out'],
      tap: (_, taps) => source.tap(taps),
    })),
    ...[...pipelines.values()].flatMap(({ pipeline, steps }) =>
      steps.map(({ node }): Tappable => ({
        name: node.books.name,
        sides: ['in', 'out'],
        tap: (side, taps) => pipeline.tap(node, side, taps),
      })),
    ),
    ...[...connectors.values()].map(({ sink }): Tappable => ({
      name: sink.books.name,
      sides: ['in', 'out'],
      tap: (side, taps) => sink.tap(side, taps),
    })),
    ...destinations.map((one): Tappable => ({ name: one.books.name, sides: ['in'], tap: (_, taps) => one.tap(taps) })),
  ]
}
