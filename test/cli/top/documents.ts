/** What a process would answer, for tests of the terminal view. */
import type { Look } from '../../../cli/top/look.ts'
import { type Model, started } from '../../../cli/top/model.ts'
import { Books } from '../../../core/books.ts'
import { Status } from '../../../core/status.ts'
import type { State } from '../../../core/status.ts'
import { componentDocuments } from '../../../service/component-pages.ts'
import { Rates } from '../../../service/rates.ts'

/** The time of the look. */
export const now = Date.parse('2026-11-20T03:00:00Z')

/** One exporter that is to be there. */
export interface Made {
  readonly id: string
  readonly state?: State
  readonly error?: string
  readonly lost?: number
  readonly queueSize?: number
  readonly oldest?: number
  readonly nextAttempt?: number
}

/** Documents of these exporters, made as the service makes them. */
function exporterDocuments(made: readonly Made[]) {
  const books = new Books()
  const components = made.map(({ id, state = 'OK', error, lost = 0 }) => {
    books.node({ kind: 'exporter', id, pipeline: '', signal: 'traces' }).lost.of('expired').value = lost
    const status = new Status()
    status.set('Starting')
    status.set(state, error)
    return { kind: 'exporter' as const, id, type: 'sink', pipeline: undefined, status }
  })
  const figures = { queueSize: 0, queueCapacity: 100, inFlight: 0, latency: { quantile: () => 12 } }
  return componentDocuments({
    books,
    rates: new Rates(books, now),
    components: () => components,
    exporters: () => made.map(one => ({ ...figures, ...one, signal: 'traces' as const })),
  })
}

type Pipeline = NonNullable<Look['whole']['pipelines']>[number]

/** A pipeline, as `/status` has it. */
export const pipeline = (id: string, more: Partial<Pipeline> = {}): Pipeline => ({
  id,
  signal: 'traces',
  receivers: ['otlp'],
  processors: ['batch'],
  exporters: ['one'],
  state: 'OK',
  in: 0,
  out: 0,
  dropped: 0,
  lost: 0,
  held: 0,
  items_per_second: { in: 0, out: 0 },
  ...more,
})

/** A look at a process that has these. */
export function lookOf(
  exporters: readonly Made[],
  pipelines: readonly Pipeline[] = [pipeline('traces')],
  needs: Look['whole']['needs_you'] = [],
): Look {
  return {
    at: now,
    whole: {
      process: { version: '1.2.3', phase: 'running', pid: 7, started: new Date(now - 180_000).toISOString() },
      memory: { rss_bytes: 90 * 2 ** 20, limit_bytes: 512 * 2 ** 20, pressed: false },
      needs_you: needs,
      lost_for_good: 0,
      books_faults: [],
      pipelines,
    },
    components: exporterDocuments(exporters),
  }
}

/** A model of that look. */
export const modelOf = (look: Look, more: Partial<Model> = {}): Model => ({ ...started('localhost:1'), look, ...more })
