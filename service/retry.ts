/** POST `/v1/retry`: what waits at an exporter is tried now, and what the destination says to it. */
import { quoted, suggest } from '../config/nearest.ts'
import { type Clock, pause } from '../core/clock.ts'
import type { Tried } from '../core/trial.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import type { QueueFigures } from '../telemetry/family.ts'
import type { ActionRoute } from './api.ts'
import { Query, QueryError, wordsOf } from './query.ts'
import type { Retryable } from './service-plan.ts'
import { secondsUntil } from './status.ts'

/** An exporter and signal whose waiting data can be tried. */
export type RetryableQueue = QueueFigures & Partial<Retryable>

/** What came of it for one signal, as `/v1/retry` tells it. */
export interface RetryDocument {
  readonly exporter: string
  readonly signal: Signal
  /** `taken`, `failed`, `nothing_waits`; `no_answer` within the time. */
  readonly outcome: 'taken' | 'failed' | 'nothing_waits' | 'no_answer'
  readonly items?: number
  readonly took_ms?: number
  readonly code?: string
  readonly error?: string
  /** For how long the destination had asked to be left alone yet, where it had: it was tried all the same. */
  readonly asked_to_wait_seconds?: number
  /** What the queue holds now, in its unit, and when it is tried by itself. */
  readonly queue: number
  readonly next_attempt_in_seconds: number | null
}

/** How long an answer is waited for unless said, and at most, in milliseconds. */
const usual = 10_000
const longest = 60_000

/** The page. */
export function retryRoute(queues: () => readonly RetryableQueue[], clock: Clock): ActionRoute {
  return {
    path: '/v1/retry',
    deed: 'had an exporter try what waits',
    async act(body) {
      const query = new Query(wordsOf(body), ['exporter', 'signal', 'timeout'])
      const wait = query.duration('timeout') ?? usual
      if (wait < 1 || wait > longest) throw new QueryError(400, 'an answer is waited for from 1ms to 60s')
      const chosen = choose(queues(), query.text('exporter'), query.word('signal', allSignals, 'signal'))
      const tried = await Promise.all(chosen.map(one => outcomeOf(one, wait, clock)))
      const after = queues()
      return {
        retried: tried.map(({ queue: { id, signal }, told }): RetryDocument => {
          const now = after.find(one => one.id === id && one.signal === signal)
          const next_attempt_in_seconds = secondsUntil(now?.nextAttempt)
          return { exporter: id, signal, ...told, queue: now?.queueSize ?? 0, next_attempt_in_seconds }
        }),
      }
    },
  }
}

function choose(
  queues: readonly RetryableQueue[],
  exporter: string | undefined,
  signal: Signal | undefined,
): readonly RetryableQueue[] {
  const ids = [...new Set(queues.map(({ id }) => id))]
  if (exporter === undefined) throw new QueryError(400, 'say which with `exporter`', `there are: ${quoted(ids)}`)
  const found = queues.filter(({ id }) => id === exporter)
  if (found.length === 0) {
    const hint = suggest(exporter, ids, `there are: ${quoted(ids)}`)
    throw new QueryError(404, `no exporter is called \`${exporter}\``, hint)
  }
  const chosen = found.filter(one => signal === undefined || one.signal === signal)
  if (chosen.length > 0) return chosen
  const signals = quoted(found.map(one => one.signal))
  throw new QueryError(404, `exporter \`${exporter}\` sends no ${signal ?? ''}`, `it sends ${signals}`)
}

async function outcomeOf(queue: RetryableQueue, wait: number, clock: Clock) {
  const done = new AbortController()
  const asked = Math.ceil((queue.askedFor ?? 0) / 1000)
  const tried = new Promise<Tried | undefined>(resolve => {
    if (queue.retry === undefined) resolve(undefined)
    else queue.retry(resolve)
  })
  const late = pause(clock, wait, done.signal).then(() => 'late' as const)
  const told = documentOf(await Promise.race([tried, late]))
  done.abort()
  return { queue, told: asked > 0 ? { ...told, asked_to_wait_seconds: asked } : told }
}

function documentOf(tried: Tried | 'late' | undefined): Pick<RetryDocument, 'outcome'> & Partial<RetryDocument> {
  if (tried === undefined) return { outcome: 'nothing_waits' }
  if (tried === 'late') return { outcome: 'no_answer' }
  const { failure, took, items } = tried
  const figures = { items, took_ms: Math.round(took) }
  if (failure === undefined) return { outcome: 'taken', ...figures }
  return { outcome: 'failed', ...figures, code: failure.code, error: failure.message }
}
