/** The rows of the terminal view: pipelines, then exporters by signal, as documents have them. */
import type { Sorting } from '../options.ts'
import { count, escaped, since, span } from '../format.ts'
import type { Look } from './look.ts'

/** One row, and what can be asked about it. */
export interface Selectable {
  /** Stays the same from look to look, so that what is selected stays selected. */
  readonly key: string
  readonly of: 'pipeline' | 'exporter'
  /** As the process calls it, which may hold anything. */
  readonly id: string
  readonly signal: string
  readonly troubled: boolean
  /** A text for each of the columns of its kind, without what a terminal would obey. */
  readonly cells: readonly string[]
  /** All there is to say of what is wrong; empty when nothing is. */
  readonly error: string
  readonly orders: Readonly<Record<Exclude<Sorting, 'name'>, number>>
}

/** A column: the larger its rank, the sooner it is left out of a narrow terminal. */
export interface Column {
  readonly heading: string
  readonly rank: number
  readonly right?: true
}

/** The columns of each kind of row. */
export const columns: Readonly<Record<Selectable['of'], readonly Column[]>> = {
  pipeline: [
    { heading: 'PIPELINE', rank: 0 },
    { heading: 'STATE', rank: 3 },
    { heading: 'IN/S', rank: 1, right: true },
    { heading: 'OUT/S', rank: 2, right: true },
    { heading: 'DROPPED', rank: 5, right: true },
    { heading: 'LOST', rank: 4, right: true },
    { heading: 'HELD', rank: 6, right: true },
    { heading: 'WAY', rank: 7 },
  ],
  exporter: [
    { heading: 'EXPORTER', rank: 0 },
    { heading: 'STATE', rank: 4 },
    { heading: 'QUEUE', rank: 1, right: true },
    { heading: 'OLDEST', rank: 3, right: true },
    { heading: 'NEXT', rank: 2, right: true },
    { heading: 'OUT/S', rank: 5, right: true },
    { heading: 'LOST', rank: 6, right: true },
    { heading: 'FAILED', rank: 7, right: true },
    { heading: 'ERROR', rank: 8 },
  ],
}

/** What is looked for, and what comes first. */
export interface Choice {
  readonly sort: Sorting | undefined
  readonly filter: string
}

/** Rows of the one look: pipelines first, each kind sorted by itself. */
export function rowsOf({ whole, components, at }: Look, { sort, filter }: Choice): Selectable[] {
  const wanted = filter.toLowerCase()
  const matches = ({ of, cells }: Selectable) => `${of} ${cells.join(' ')}`.toLowerCase().includes(wanted)
  const arranged = (rows: Selectable[]) => {
    const found = rows.filter(matches)
    if (sort === 'name') return found.sort((a, b) => a.id.localeCompare(b.id))
    return sort === undefined ? found : found.sort((a, b) => b.orders[sort] - a.orders[sort])
  }
  const exporters = components.filter(({ kind }) => kind === 'exporter').flatMap(one => exporterRows(one, at))
  return [...arranged((whole.pipelines ?? []).map(pipelineRow)), ...arranged(exporters)]
}

const fine = new Set(['OK', 'None', 'Starting'])
const total = (by: Readonly<Record<string, number>>): number => Object.values(by).reduce((sum, n) => sum + n, 0)
/** What is in trouble stands above what only was. */
const errorsOf = (troubled: boolean, gone: number): number => (troubled ? 1e15 : 0) + gone

function pipelineRow(pipeline: NonNullable<Look['whole']['pipelines']>[number]): Selectable {
  const { id, signal, state, receivers, processors, exporters, dropped, lost, held, items_per_second: pace } = pipeline
  const way = [receivers, processors, exporters].filter(ids => ids.length > 0).map(ids => ids.join(', '))
  const troubled = !fine.has(state)
  const counts = [pace.in, pace.out, dropped, lost, held].map(count)
  return {
    key: `pipeline ${id}`,
    of: 'pipeline',
    id,
    signal,
    troubled,
    cells: [escaped(id), escaped(state), ...counts, escaped(way.join(' -> '))],
    error: '',
    orders: { rate: pace.in, queue: held, age: 0, errors: errorsOf(troubled, lost) },
  }
}

function exporterRows(component: Look['components'][number], at: number): Selectable[] {
  return component.parts.map(part => {
    const { id } = component
    const { signal, state, queue, items_per_second: pace, failed_attempts: failed = 0 } = part
    const gone = total(part.rejected) + total(part.dead_lettered) + total(part.lost)
    const full = queue === undefined || queue.capacity === 0 ? undefined : queue.size / queue.capacity
    const troubled = !fine.has(state)
    const oldest = queue?.oldest_seconds ?? undefined
    const error = troubled ? escaped(part.last_error ?? '') : ''
    return {
      key: `exporter ${id} ${signal}`,
      of: 'exporter',
      id,
      signal,
      troubled,
      cells: [
        `${escaped(id)} (${escaped(signal)})`,
        `${escaped(state)} ${since(part.since, at)}`,
        full === undefined ? '' : `${Math.round(100 * full)}%`,
        oldest === undefined ? '' : span(oldest * 1000),
        nextText(queue?.next_attempt_in_seconds ?? undefined),
        count(pace.delivered.last_1m),
        count(gone),
        count(failed),
        error,
      ],
      error,
      orders: {
        rate: pace.delivered.last_1m,
        queue: full ?? 0,
        age: oldest ?? -1,
        errors: errorsOf(troubled, gone) + failed / 1e6,
      },
    }
  })
}

/** When what waits is tried; versions before `kymo retry` do not tell. */
const nextText = (seconds: number | undefined): string =>
  seconds === undefined ? '' : seconds <= 0 ? 'now' : span(Math.ceil(seconds) * 1000)
