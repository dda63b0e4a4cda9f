/** The status document: one answer to what runs, how it is, and where every item went. */
import { keptState } from '../core/account.ts'
import type { Books, Door, NodeBooks, Reasons } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import type { RunningComponent } from '../core/health.ts'
import type { Shortage } from '../core/shortage.ts'
import type { MemoryPlan } from '../core/memory.ts'
import type { Status } from '../core/status.ts'
import type { ProcessFigures, QueueFigures } from '../telemetry/family.ts'
import type { Foreseen } from './outlook.ts'
import type { PipelineDocument } from './pipeline-pages.ts'

/** Something that a person has to look into. */
export interface Attention {
  readonly what: string
  /** Since when, where that is known. */
  readonly since?: string | null
  /** What goes on from there. */
  readonly command: string
}

/** What the document is made of. */
export interface StatusSources {
  readonly version: string
  readonly phase: string
  /** Milliseconds since the epoch. */
  readonly started: number
  readonly figures: ProcessFigures
  readonly budget: Budget
  readonly plan: MemoryPlan
  readonly components: readonly RunningComponent[]
  /** As far as they are connected. */
  readonly pipelines?: readonly PipelineDocument[]
  readonly queues: readonly QueueFigures[]
  /** How long there is room yet; not told without it. */
  readonly outlook?: Foreseen
  /** Storages of queues. */
  readonly storages?: readonly object[]
  /** Queues on disk that nobody sends. */
  readonly orphans?: readonly object[]
  /** For want of what senders are refused now. */
  readonly shortages?: readonly Shortage[]
  readonly books: Books
  readonly faults: number
  /** What a person has to look into. */
  readonly needs: readonly Attention[]
  /** The configuration that runs, and how the last reload went. */
  readonly config?: object
}

/** Makes the document. Names are as in the metrics. */
export function statusDocument(sources: StatusSources): object {
  const { version, phase, started, figures, budget, plan, components, queues, books, faults, needs, config } = sources
  return {
    process: {
      name: 'kymo',
      version,
      phase,
      pid: process.pid,
      node: process.versions.node,
      started: time(started),
      uptime_seconds: round(figures.uptimeSeconds),
      cpu_seconds: round(figures.cpuSeconds),
      internal_faults: faults,
    },
    needs_you: needs,
    /** Items that will never arrive, since the start. */
    lost_for_good: lostForGood(books),
    ...(config === undefined ? {} : { config }),
    memory: {
      rss_bytes: figures.rssBytes,
      limit_bytes: plan.hard,
      soft_limit_bytes: plan.soft,
      pressed: budget.pressed,
      budget: {
        limit_bytes: budget.limit,
        used_bytes: budget.used,
        peak_bytes: budget.peak,
        refusals: budget.refusals,
      },
      kept_bytes: budget.kept,
      kept: keptState(budget.accounts).map(({ keeper, bytes, refused }) => ({ ...keeper, bytes, refused })),
    },
    components: components.map(({ kind, id, type, pipeline, status }) => ({
      kind,
      id,
      type,
      ...(pipeline === undefined ? {} : { pipeline }),
      state: status.state,
      since: time(status.since),
      ...demandOf(status),
      ...(status.lastError === undefined
        ? {}
        : { last_error: status.lastError, last_error_at: time(status.lastErrorAt) }),
    })),
    pipelines: sources.pipelines ?? [],
    queues: queues.map(queue => queueOf(queue, sources.outlook)),
    doors: books.doors.map(({ receiver, transport, refusals, tallies, usage }) => ({
      receiver,
      transport,
      refused_requests: refusals,
      turned_away: tallies.filter(({ requests }) => requests > 0),
      limits: usageOf(usage),
    })),
    shortages: (sources.shortages ?? []).map(shortageDocument),
    storages: sources.storages ?? [],
    orphans: sources.orphans ?? [],
    books: books.nodes.filter(node => !node.retired).map(account),
    books_faults: books.faults(),
  }
}

function queueOf(queue: QueueFigures, outlook: Foreseen | undefined) {
  const { id, signal, queueSize, queueCapacity, inFlight, lastSuccess, nextAttempt, expiresIn } = queue
  return {
    exporter: id,
    signal,
    size: queueSize,
    capacity: queueCapacity,
    in_flight: inFlight,
    last_success: lastSuccess ? time(lastSuccess) : null,
    next_attempt_in_seconds: secondsUntil(nextAttempt),
    full_in_seconds: wholeSeconds(outlook?.ofQueue(queue)),
    oldest_expires_in_seconds: secondsUntil(expiresIn),
  }
}

/** What was lost, or rejected by a destination. */
function lostForGood({ nodes }: Pick<Books, 'nodes'>): number {
  return nodes.reduce(
    (sum, { name, lost, rejected }) => sum + lost.total + (name.kind === 'exporter' ? rejected.total : 0),
    0,
  )
}

/** For want of what senders are refused, as it is told. */
export const shortageDocument = ({ cause, since, last, requests }: Shortage) => ({
  cause,
  since: time(since),
  last: time(last),
  requests,
})

/** The account of one node: where its items went. */
export function account(node: NodeBooks) {
  const { kind, id, pipeline, signal } = node.name
  return {
    kind,
    id,
    ...(pipeline === '' ? {} : { pipeline }),
    signal,
    in: node.in,
    created: node.created,
    recovered: node.recovered,
    out: node.out,
    consumed: node.consumed,
    delivered: node.delivered,
    held: node.held(),
    dropped: byReason(node.dropped),
    rejected: byReason(node.rejected),
    dead_lettered: byReason(node.deadLettered),
    lost: byReason(node.lost),
    returned: byReason(node.returned),
    refused: byReason(node.refused),
    ...(kind === 'receiver' ? { answered: node.answered } : {}),
    ...(kind === 'exporter' ? { attempts: node.attempts, failed_attempts: node.failedAttempts } : {}),
    maybe_twice: node.maybeTwice,
    unaccounted: node.balance(),
  }
}

/** How near each limit of a door is; null where there is none. */
export function usageOf(usage: Door['usage'] = {}) {
  return Object.fromEntries(
    Object.entries(usage).map(([what, { used, limit }]) => [what, { used, limit: limit ?? null }]),
  )
}

/** What was counted, by reason. */
export function byReason(reasons: Reasons): Record<string, number> {
  return Object.fromEntries([...reasons.all()].filter(({ value }) => value > 0).map(c => [c.reason, c.value]))
}

/** That only a person can mend it, and what; a state of its own beside those of the Collector. */
export const demandOf = ({ demand }: Status): { needs?: 'configuration'; demand?: string } =>
  demand === undefined ? {} : { needs: 'configuration', demand }

/** Seconds of milliseconds from now; null where there is no such time. */
export const secondsUntil = (milliseconds: number | undefined): number | null =>
  milliseconds === undefined ? null : round(milliseconds / 1000)

/** Seconds that are only about right; null where there are none. */
export const wholeSeconds = (seconds: number | undefined): number | null =>
  seconds === undefined ? null : Math.round(seconds)

/** A time as it is told, of milliseconds since the epoch. */
export function time(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString()
}

const round = (seconds: number) => Math.round(seconds * 1000) / 1000

/** Who lost how much, by reason. */
export function lossesOf({ nodes }: Pick<Books, 'nodes'>): Record<string, number> {
  const losses: Record<string, number> = {}
  for (const { name, lost } of nodes)
    for (const { reason, value } of lost.all())
      if (value > 0) losses[`${name.kind} ${name.id} (${name.signal}): ${reason}`] = value
  return losses
}
