/** Many statuses as one: of a pipeline, of the whole process. */
import type { RunningComponent, Health } from '../../core/health.ts'
import { isTrouble, type State } from '../../core/status.ts'

/** Which errors make unhealthy. */
export interface HealthRules {
  readonly include_permanent_errors: boolean
  readonly include_recoverable_errors: boolean
  /** Milliseconds a recoverable error may last. */
  readonly recovery_duration: number
}

/** The status of one component, or of several together. */
export interface HealthVerdict {
  readonly healthy: boolean
  readonly state: State
  readonly error: string | undefined
  /** When the state was entered, in milliseconds since the epoch. */
  readonly since: number
  /** Of what it is made. */
  readonly parts: ReadonlyMap<string, HealthVerdict>
}

/** What counts most among several, last to first. */
const order: readonly State[] = [
  'Stopped',
  'None',
  'OK',
  'Stopping',
  'Starting',
  'RecoverableError',
  'PermanentError',
  'FatalError',
]

/** The verdict over the whole process at `now`, milliseconds since the epoch, with its extensions and pipelines as parts. */
export function judge(health: Health, rules: HealthRules, now: number): HealthVerdict {
  const components = health.components()
  const parts = new Map<string, HealthVerdict>()
  const extensions = components.filter(one => one.kind === 'extension')
  if (extensions.length > 0) parts.set('extensions', judgeTogether(extensions, rules, now))
  for (const { id, receivers, processors, exporters } of health.pipelines()) {
    const ends = new Set([...receivers, ...exporters])
    const members = components.filter(({ kind, id: own, pipeline }) => {
      if (kind === 'processor') return pipeline === id && processors.includes(own)
      return kind !== 'extension' && ends.has(own)
    })
    parts.set(`pipeline:${id}`, judgeTogether(members, rules, now))
  }
  const verdict = together(parts, rules, health.started)
  if (health.ready()) return verdict
  if (verdict.state === 'FatalError') return verdict
  const state = health.phase() === 'stopping' ? 'Stopping' : 'Starting'
  return { ...verdict, state, healthy: false, since: health.started }
}

/** Whether data of a verdict's components flows: what a probe wants to know, as a status of HTTP. */
export function httpStatusOf({ healthy, state }: HealthVerdict): number {
  if (state === 'None' || state === 'Starting' || state === 'Stopping' || state === 'Stopped') return 503
  return healthy ? 200 : 500
}

function judgeTogether(members: readonly RunningComponent[], rules: HealthRules, now: number): HealthVerdict {
  const parts = new Map(members.map(one => [`${one.kind}:${one.id}`, judgeOne(one, rules, now)]))
  return together(parts, rules, now)
}

function judgeOne({ status }: RunningComponent, rules: HealthRules, now: number): HealthVerdict {
  const { state, since, lastError } = status
  return {
    healthy: isHealthy(state, now - since, rules),
    state,
    error: isTrouble(state) ? lastError : undefined,
    since,
    parts: new Map(),
  }
}

function isHealthy(state: State, lasting: number, rules: HealthRules): boolean {
  switch (state) {
    case 'OK':
      return true
    case 'RecoverableError':
      return !rules.include_recoverable_errors || lasting < rules.recovery_duration
    case 'PermanentError':
      return !rules.include_permanent_errors
    case 'None':
    case 'Starting':
    case 'Stopping':
    case 'Stopped':
    case 'FatalError':
      return false
  }
}

function together(parts: ReadonlyMap<string, HealthVerdict>, rules: HealthRules, empty: number): HealthVerdict {
  let worst: HealthVerdict = { healthy: true, state: 'OK', error: undefined, since: empty, parts }
  let first = true
  for (const part of parts.values()) {
    if (first || weight(part.state, rules) > weight(worst.state, rules)) worst = { ...part, parts }
    first = false
  }
  return { ...worst, healthy: [...parts.values()].every(({ healthy }) => healthy) }
}

/** Where only recoverable errors count, they are what there is to tell. */
function weight(state: State, rules: HealthRules): number {
  if (state === 'RecoverableError' && rules.include_recoverable_errors && !rules.include_permanent_errors) {
    return order.indexOf('PermanentError') + 0.5
  }
  return order.indexOf(state)
}

/** A verdict as the pages of the Collector's extension have it. */
export function verdictDocument(verdict: HealthVerdict, detailed: boolean, started?: number): object {
  const { healthy, state, error, since, parts } = verdict
  return {
    ...(started === undefined ? {} : { start_time: new Date(started).toISOString() }),
    healthy,
    status: `Status${state}`,
    ...(error === undefined ? {} : { error }),
    status_time: new Date(since).toISOString(),
    ...(detailed && parts.size > 0
      ? { components: Object.fromEntries([...parts].map(([id, part]) => [id, verdictDocument(part, true)])) }
      : {}),
  }
}
