/** `/v1/tap`: live items at any component. They are data itself, so that it takes to see them what it takes to change anything. */
import type { Logger } from '../core/logger.ts'
import { TapError, type TapNode, type TapPlace, type TapViewer } from '../pipelines/graph/taps.ts'
import type { WantedAttribute } from '../proto/item-filter.ts'
import type { FlowRoute, LiveFlow } from './api.ts'
import { Query, QueryError, type RawQuery } from './query.ts'
import type { TapOrder, TapStream } from './tap-stream.ts'

/** A graph at which somebody can look. */
export interface TappedGraph {
  /** @throws TapError */
  tap(place: TapPlace, viewer: TapViewer): readonly TapNode[]
  untap(viewer: TapViewer): void
}

/** What taps of a service are made of. */
export interface TapPagesParts {
  /** Whether there may be any. */
  readonly on: boolean
  readonly log: Logger
  /** The graph, while it takes data. */
  graph(): Partial<TappedGraph> | undefined
}

const parameters = ['component', 'pipeline', 'side', 'where', 'trace', 'limit', 'rate', 'for'] as const
/** Most taps at a time. */
const mostTaps = 4
const mostRate = 100
const usualRate = 10
const mostTime = 10 * 60_000
const usualTime = 30_000
const mostWanted = 8

/** The taps of one process. */
export class TapPages {
  readonly #parts: TapPagesParts
  readonly #log: Logger
  readonly #taps = new Set<TapStream>()

  constructor(parts: TapPagesParts) {
    this.#parts = parts
    this.#log = parts.log.child('tap')
  }

  get routes(): readonly FlowRoute[] {
    return [{ path: '/v1/tap', deed: 'live data was looked at', flow: query => this.#begin(query) }]
  }

  /** All of them end. */
  stop(): void {
    for (const tap of this.#taps) tap.end('stopping', 'the process is stopping')
  }

  async #begin(raw: RawQuery): Promise<LiveFlow> {
    if (!this.#parts.on) {
      const hint =
        'it was started with `--admin-tap off` or KYMO_ADMIN_TAP=off; `kymo batches` tells what happened without the data'
      throw new QueryError(403, 'this Kymo shows no data', hint)
    }
    const { place, order } = read(raw)
    // Many a process is never tapped.
    const { TapStream: Made } = await import('./tap-stream.ts')
    const graph = this.#parts.graph()
    if (graph?.tap === undefined)
      throw new QueryError(503, 'nothing runs here that could be looked at', 'is it starting or stopping?')
    if (this.#taps.size >= mostTaps) {
      throw new QueryError(
        409,
        `there are ${mostTaps} taps already`,
        'end one of them, or wait: none is longer than 10m',
      )
    }
    const tap: TapStream = new Made(order, this.#log, () => {
      this.#taps.delete(tap)
      graph.untap?.(tap)
    })
    this.#taps.add(tap)
    try {
      tap.begin(graph.tap(place, tap))
    } catch (error) {
      tap.stream.destroy()
      if (!(error instanceof TapError)) throw error
      throw new QueryError(codes[error.kind], error.message, error.hint)
    }
    return { contentType: 'application/x-ndjson', stream: tap.stream }
  }
}

const codes = { wrong: 400, unknown: 404, redacted: 403 } as const

/** @throws QueryError */
function read({ where, ...raw }: RawQuery): { readonly place: TapPlace; readonly order: TapOrder } {
  const query = new Query(raw, parameters)
  const time = query.duration('for') ?? usualTime
  if (time > mostTime || time < 1) throw new QueryError(400, 'a tap lasts at most 10m', 'leave `for` out for 30s')
  return {
    place: {
      component: query.text('component'),
      pipeline: query.text('pipeline'),
      side: query.word('side', ['in', 'out'], 'side of a component'),
    },
    order: {
      wanted: wantedOf(where),
      trace: traceOf(query.text('trace')),
      limit: query.count('limit', Number.MAX_SAFE_INTEGER, Infinity),
      rate: query.count('rate', mostRate, usualRate),
      time,
    },
  }
}

function wantedOf(where: unknown): readonly WantedAttribute[] {
  const texts = (Array.isArray(where) ? where : [where]).filter(one => typeof one === 'string' && one !== '')
  if (texts.length > mostWanted) throw new QueryError(400, `\`where\` is given more than ${mostWanted} times`)
  return texts.map((text: string) => {
    const at = text.indexOf('=')
    if (at > 0) return { key: text.slice(0, at), value: text.slice(at + 1) }
    throw new QueryError(400, `\`where\`: \`${text}\` is no condition`, 'write one such as `service.name=checkout`')
  })
}

function traceOf(text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined
  if (/^[0-9a-f]{32}$/i.test(text)) return Buffer.from(text, 'hex')
  throw new QueryError(400, `\`trace\`: \`${text}\` is no trace id`, 'it has 32 hexadecimal digits')
}
