/** The status document of each component: how it is, how fast items move through it, what waits, what was dropped. */
import type { Books, NodeBooks } from '../core/books.ts'
import { elementAt } from '../core/element-at.ts'
import type { RunningComponent } from '../core/health.ts'
import { severity, type Status } from '../core/status.ts'
import type { QueueFigures } from '../telemetry/family.ts'
import type { Foreseen } from './outlook.ts'
import type { Pace, Rates } from './rates.ts'
import { account, byReason, demandOf, secondsUntil, time, usageOf, wholeSeconds } from './status.ts'

/** What the documents are made of. */
export interface ComponentSources {
  readonly books: Books
  readonly rates: Rates
  /** How long there is room yet; not told without it. */
  readonly outlook?: Foreseen | undefined
  components(): readonly RunningComponent[]
  exporters(): readonly QueueFigures[]
}

const minute = 60_000

/** The documents of all components: first those that run in front. */
export function componentDocuments(sources: ComponentSources): ComponentDocument[] {
  const documents = new Map<string, RunningComponent[]>()
  for (const view of sources.components()) {
    const key = `${view.kind} ${view.id}`
    const views = documents.get(key)
    if (views === undefined) documents.set(key, [view])
    else views.push(view)
  }
  return [...documents.values()].map(views => componentDocument(views, sources))
}

/** One component as `/v1/components` tells it. */
export type ComponentDocument = ReturnType<typeof componentDocument>

/** The document of one component, of which `views` are the instances: a processor has one in each pipeline. */
export function componentDocument(views: readonly RunningComponent[], sources: ComponentSources) {
  const { kind, id, type } = elementAt(views, 0)
  const { books, rates } = sources
  const nodes = books.nodes.filter(({ name, retired }) => name.kind === kind && name.id === id && !retired)
  const bySeverity = views.toSorted((a, b) => severity.indexOf(a.status.state) - severity.indexOf(b.status.state))
  const worst = elementAt(bySeverity, 0)
  const doors = kind === 'receiver' ? books.doors.filter(({ receiver }) => receiver === id) : []
  return {
    kind,
    id,
    type,
    ...health(worst.status),
    items_per_second: pace(nodes, rates),
    dropped: sum(nodes.map(({ dropped }) => byReason(dropped))),
    ...(doors.length === 0
      ? {}
      : {
          refused_requests: Object.fromEntries(doors.map(({ transport, refusals }) => [transport, refusals])),
          limits: Object.fromEntries(doors.map(({ transport, usage }) => [transport, usageOf(usage)])),
        }),
    parts: nodes.map(node => ({
      ...account(node),
      // Only a processor has instances of its own in each pipeline.
      ...health((views.find(({ pipeline }) => pipeline === node.name.pipeline) ?? worst).status),
      items_per_second: pace([node], rates),
      ...(kind === 'exporter' ? sending(node, sources.exporters(), sources.outlook) : {}),
    })),
  }
}

function health(status: Status) {
  const { state, since, lastError, lastErrorAt } = status
  const error = lastError === undefined ? {} : { last_error: lastError, last_error_at: time(lastErrorAt) }
  return { state, since: time(since), ...demandOf(status), ...error }
}

function pace(nodes: readonly NodeBooks[], rates: Rates) {
  const now = Date.now()
  const last = nodes.map(node => rates.of(node, minute, now))
  const longer = nodes.map(node => rates.of(node, 5 * minute, now))
  const both = (part: keyof Pace) => ({
    last_1m: round(last.reduce((total, one) => total + one[part], 0)),
    last_5m: round(longer.reduce((total, one) => total + one[part], 0)),
  })
  return { in: both('in'), out: both('out'), delivered: both('delivered') }
}

/** What an exporter has besides its account: the time attempts take, and what waits. */
function sending({ name }: NodeBooks, exporters: readonly QueueFigures[], outlook: Foreseen | undefined) {
  const figures = exporters.find(({ id, signal }) => id === name.id && signal === name.signal)
  if (figures === undefined) return {}
  const { queueSize, queueCapacity, inFlight, oldest, lastSuccess, latency, nextAttempt, expiresIn } = figures
  const quantile = (q: number) => {
    const value = latency?.quantile(q)
    return value === undefined ? null : round(value)
  }
  return {
    export_ms: { p50: quantile(0.5), p99: quantile(0.99) },
    queue: {
      size: queueSize,
      capacity: queueCapacity,
      in_flight: inFlight,
      oldest_seconds: oldest === undefined ? null : round(Math.max(0, Date.now() - oldest) / 1000),
      next_attempt_in_seconds: secondsUntil(nextAttempt),
      full_in_seconds: wholeSeconds(outlook?.ofQueue(figures)),
      oldest_expires_in_seconds: secondsUntil(expiresIn),
    },
    last_success: lastSuccess ? time(lastSuccess) : null,
  }
}

function sum(counts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const one of counts) for (const [reason, n] of Object.entries(one)) total[reason] = (total[reason] ?? 0) + n
  return total
}

const round = (n: number) => Math.round(n * 10) / 10
