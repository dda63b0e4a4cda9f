/** Taking over another configuration while data moves: one at a time, of those that wait the latest; a wrong one changes nothing. */
import { ConfigErrors } from '../config/report.ts'
import { type ConfigError, messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ComponentReload, Prepared, ReloadPlan } from '../core/reload.ts'
import type { Plan } from '../plan/plan.ts'
import { planReload, startOnly, unreloadable } from '../plan/reload.ts'
import type { TelemetryConfig } from '../telemetry/config.ts'
import type { ConfigFigures } from '../telemetry/family.ts'

/** A checked configuration, and what it means. */
export interface Candidate {
  readonly plan: Plan
  readonly telemetry: TelemetryConfig
  readonly warnings: readonly ConfigError[]
  /** Says which one it is. */
  readonly hash: string
  /** Writes it down without its secrets, as YAML, with where each value came from. */
  print?(): Promise<string>
}

/** What is asked for. */
export interface ReloadRequest {
  readonly trigger: 'SIGHUP' | 'files' | 'request'
  /** Who asked, where somebody did: an address, or that it was a unix socket. */
  readonly by?: string | undefined
  /** A configuration to run in place of that of the sources. */
  readonly text?: string | undefined
  /** Only tells what would happen. */
  readonly dryRun?: boolean
}

/** One thing that is wrong. */
export interface Complaint {
  readonly code?: string
  readonly message: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly hint?: string
}

/** What came of it. */
export interface ReloadOutcome {
  readonly result: 'applied' | 'unchanged' | 'planned' | 'failed' | 'superseded' | 'refused'
  /** What it changed, or would. */
  readonly plan?: ReloadPlan
  /** Settings that differ and only take effect when the process starts again. */
  readonly restart_needed?: readonly string[]
  readonly warnings?: readonly Complaint[]
  readonly errors?: readonly Complaint[]
}

/** The last time it was tried. */
export interface LastReload extends ReloadOutcome {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly trigger: ReloadRequest['trigger']
  readonly by?: string
}

/** What runs. */
export interface Reloadable {
  readonly plan: Plan
  /** Makes another one ready to run beside it. @throws Error when that cannot run */
  prepare(plan: Plan, changes: ReloadPlan): Promise<Prepared>
  /** Items that wait for an exporter's destination, or are on their way to it. */
  waiting(exporter: string): number
}

/** What reloading needs. */
export interface ReloadsParts {
  /** Reads the sources again, or takes a text in place of them. @throws ConfigErrors */
  load(text?: string): Promise<Candidate> | Candidate
  /** What was loaded at start. */
  readonly first: Candidate
  /** Milliseconds that what leaves has to finish. */
  readonly deadline: number
  /** Takes over what can be of `service.telemetry`. */
  applyTelemetry(telemetry: TelemetryConfig): void
  /** What runs; undefined unless it does. */
  running(): Reloadable | undefined
  /** Told when all has ended that has no place in it. */
  ended?(): void
  /** Told after another configuration has been taken over. */
  applied(): void
  readonly log: Logger
  /** Told of who reloaded, and what came of it; `hash` says what runs now. */
  reloaded?(last: LastReload, hash: string): void
}

interface Waiting {
  readonly request: ReloadRequest
  readonly answer: (outcome: ReloadOutcome) => void
}

interface Considered {
  readonly candidate: Candidate
  readonly graph: Reloadable
  readonly changes: ReloadPlan
  readonly outcome: Omit<ReloadOutcome, 'result'>
}

/** Configurations that wait to be looked at without being taken over. */
const mostPlans = 8

const unready: ReloadOutcome = { result: 'refused', errors: [{ message: 'the process is starting or stopping' }] }

/** The reloads of one process. */
export class Reloads implements ConfigFigures {
  readonly #parts: ReloadsParts
  readonly #log: Logger
  readonly #telemetry: TelemetryConfig
  #waiting: Waiting | undefined
  #busy: Promise<void> | undefined
  #last: LastReload | undefined
  #plans = 0
  #planning: Promise<unknown> = Promise.resolve()
  readonly reloads: Record<string, number> = { applied: 0, unchanged: 0, failed: 0, superseded: 0 }
  lastWorked = true
  lastSuccess = Date.now()
  hash: string
  #print: Candidate['print']
  #printing: Promise<string> | undefined

  constructor(parts: ReloadsParts) {
    this.#parts = parts
    this.#log = parts.log.child('reload')
    this.#telemetry = parts.first.telemetry
    this.hash = parts.first.hash
    this.#print = parts.first.print
  }

  /** How the last one went; undefined before the first. */
  get last(): LastReload | undefined {
    return this.#last
  }

  /** Takes over another configuration, or says why not. */
  request(request: ReloadRequest): Promise<ReloadOutcome> {
    if (request.dryRun === true) return this.#planInTurn(request)
    if (this.#parts.running() === undefined) return Promise.resolve(unready)
    return new Promise(answer => {
      if (this.#waiting !== undefined) {
        this.#count('superseded')
        this.#waiting.answer({ result: 'superseded' })
      }
      this.#waiting = { request, answer }
      this.#busy ??= this.#work()
    })
  }

  /** What runs, as YAML; whoever asks meanwhile hears the same. @throws Error when it cannot be told */
  async printed(): Promise<{ readonly hash: string; readonly yaml: string }> {
    const { hash } = this
    if (this.#print === undefined) throw new Error('it was not kept as it was read')
    this.#printing ??= this.#print()
    const mine = this.#printing
    try {
      return { hash, yaml: await mine }
    } finally {
      // A reload may have begun another one meanwhile.
      if (this.#printing === mine) this.#printing = undefined
    }
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.#busy
  }

  async #work(): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { request, answer } = next
      try {
        answer(await this.#run(request))
      } catch (error) {
        // A fault of ours: whoever asked hears of it, and the next reload is another try.
        this.#log.error({ code: 'INTERNAL', error }, 'fault of Kymo, please report it; what ran goes on')
        answer({ result: 'failed', errors: [{ message: messageOf(error) }] })
      }
    }
    this.#busy = undefined
  }

  #count(result: ReloadOutcome['result']): void {
    this.reloads[result] = (this.reloads[result] ?? 0) + 1
  }

  #next(): Waiting | undefined {
    const next = this.#waiting
    this.#waiting = undefined
    return next
  }

  async #run(request: ReloadRequest): Promise<ReloadOutcome> {
    const outcome = await this.#take(request)
    const { result } = outcome
    if (result === 'refused') return outcome
    this.#count(result)
    const { trigger, by } = request
    this.#last = { at: Date.now(), trigger, ...(by === undefined ? {} : { by }), ...outcome }
    this.lastWorked = result !== 'failed'
    if (this.lastWorked) this.lastSuccess = Date.now()
    this.#tell(request, outcome)
    this.#parts.reloaded?.(this.#last, this.hash)
    return outcome
  }

  async #take(request: ReloadRequest): Promise<ReloadOutcome> {
    const planned = await this.#consider(request)
    if (!('graph' in planned)) return planned
    const { candidate, graph, changes, outcome } = planned
    const isSame = changes.components.length === 0 && changes.pipelines.length === 0
    let prepared: Prepared | undefined
    try {
      prepared = isSame ? undefined : await graph.prepare(candidate.plan, changes)
      this.#parts.applyTelemetry(candidate.telemetry)
      if (prepared !== undefined) this.#commit(prepared)
    } catch (error) {
      await prepared?.abort()
      return { ...outcome, result: 'failed', errors: [{ message: messageOf(error) }] }
    }
    this.hash = candidate.hash
    this.#print = candidate.print
    this.#printing = undefined
    if (!isSame) this.#parts.applied()
    return { ...outcome, result: isSame ? 'unchanged' : 'applied' }
  }

  #commit(prepared: Prepared): void {
    prepared.commit(this.#parts.deadline).over.then(
      () => this.#parts.ended?.(),
      (error: unknown) => this.#log.error({ error: messageOf(error) }, 'what left did not end well'),
    )
  }

  /** One after the other: reading is work, and whoever asks can ask often. */
  async #planInTurn(request: ReloadRequest): Promise<ReloadOutcome> {
    if (this.#plans >= mostPlans)
      return { result: 'refused', errors: [{ message: 'too many others are being looked at' }] }
    this.#plans++
    const before = this.#planning
    const mine = before.then(() => this.#plan(request)).finally(() => this.#plans--)
    this.#planning = mine.catch(() => {})
    return mine
  }

  /** Without doing anything. */
  async #plan(request: ReloadRequest): Promise<ReloadOutcome> {
    const planned = await this.#consider(request)
    return 'graph' in planned ? { ...planned.outcome, result: 'planned' } : planned
  }

  /** What a reload would do, or why it cannot be. */
  async #consider({ text }: ReloadRequest): Promise<Considered | ReloadOutcome> {
    if (this.#parts.running() === undefined) return unready
    let candidate: Candidate
    try {
      candidate = await this.#parts.load(text)
    } catch (error) {
      if (!(error instanceof ConfigErrors)) return { result: 'failed', errors: [{ message: messageOf(error) }] }
      const { errors, warnings } = error
      return { result: 'failed', errors: errors.map(complaint), warnings: warnings.map(complaint) }
    }
    // It may have begun to stop meanwhile.
    const graph = this.#parts.running()
    if (graph === undefined) return unready
    const changes = planReload(graph.plan, candidate.plan)
    const outcome = {
      plan: { ...changes, components: changes.components.map(one => withWaiting(graph, one)) },
      restart_needed: startOnly(this.#telemetry, candidate.telemetry),
      warnings: candidate.warnings.map(complaint),
    }
    const errors = unreloadable(changes, candidate.plan)
    if (errors.length > 0) return { ...outcome, result: 'failed', errors }
    return { candidate, graph, changes, outcome }
  }

  #tell(
    { trigger }: ReloadRequest,
    { result, plan, errors = [], warnings = [], restart_needed = [] }: ReloadOutcome,
  ): void {
    for (const { message, ...fields } of warnings) this.#log.warn(fields, message)
    for (const setting of restart_needed) {
      this.#log.warn({ setting }, `\`${setting}\` differs; it takes effect when the process starts again`)
    }
    if (result === 'failed') {
      for (const { message, ...fields } of errors) this.#log.error(fields, message)
      this.#log.error({ trigger, errors: errors.length }, 'the new configuration was not taken over; what ran goes on')
    } else if (result === 'unchanged') this.#log.info({ trigger }, 'the configuration is as it was')
    else {
      const done = (plan?.components ?? []).map(({ action, kind, id }) => `${action} ${kind} ${id}`)
      const pipelines = (plan?.pipelines ?? []).map(({ id }) => id)
      this.#log.info(
        { trigger, changes: done, pipelines, hash: this.hash },
        'the new configuration has been taken over',
      )
    }
  }
}

/** An error as it is told in an answer and in the status. */
function complaint({ code, message, position, hint }: ConfigError): Complaint {
  return { code, message, ...position, ...(hint === undefined ? {} : { hint }) }
}

/** With what waits in the queue of an exporter that goes. */
function withWaiting(graph: Reloadable, one: ComponentReload): ComponentReload {
  return one.queue === 'drained' ? { ...one, waiting: graph.waiting(one.id) } : one
}
