/** Whether the destinations of a configuration would take data: asked before it runs, and of one that does. */
import { quoted, suggest } from '../config/nearest.ts'
import { Budget, budgetKey } from '../core/budget.ts'
import { Canceller } from '../core/cancellation.ts'
import { clientAuthenticatorKey } from '../core/auth.ts'
import { finderFor } from '../core/capability.ts'
import { type Checkable, CheckFailure, type CheckSteps, type CheckFinding } from '../core/check.ts'
import { GuardedClock, machineClock } from '../core/clock.ts'
import type { ComponentContext, Extension } from '../core/component.ts'
import { Concealed } from '../core/concealed.ts'
import type { Configured, ConfiguredComponent } from '../core/configured.ts'
import { messageOf } from '../core/errors.ts'
import { Host } from '../core/host.ts'
import type { Logger } from '../core/logger.ts'
import { Status } from '../core/status.ts'
import { soleWorker } from '../core/worker.ts'
import { QueryError } from './query.ts'

/** What is asked. */
export interface ConnectionQuestion {
  /** Ids of exporters; none: all that are in a pipeline. */
  readonly exporters: readonly string[]
  /** Milliseconds that each step may take. */
  readonly timeout: number
  /** The configuration runs in this process. */
  readonly isRunning: boolean
}

/** How a step went. */
export type StepResult = 'ok' | 'warning' | 'failed'

/** What `/v1/check` answers, and `kymo check --connect --json` prints. */
export type ConnectionsDocument = Awaited<ReturnType<typeof checkConnections>>
/** One step of it. */
export interface StepDocument {
  readonly step: string
  readonly result: StepResult
  readonly took_ms: number
  readonly text: string
  readonly hint?: string
  readonly facts?: CheckFinding['facts']
}

/** Destinations that are looked at side by side. */
const abreast = 8
/** Nobody gives what does not hold back more to read than this. */
const longestText = 1000

/**
 * Asks each destination. Clients and authenticators are made for it, of the configuration as it is, and ended afterwards: what
 * runs is not touched, and nothing that it holds open hides what a new connection would meet.
 * @throws QueryError where there is no such exporter
 */
export async function checkConnections(configured: Configured, question: ConnectionQuestion) {
  const { timeout, isRunning } = question
  const chosen = chosenOf(configured, question.exporters)
  const extensions = await Extensions.startedFor(chosen, configured)
  try {
    const jobs: (() => Promise<void>)[] = []
    const exporters = chosen.map(component => {
      const asked = new AskedExporter(component, extensions, { configured, timeout, isRunning })
      jobs.push(...asked.jobs)
      return asked
    })
    await inTurns(jobs)
    await Promise.all(exporters.map(one => one.stop()))
    const documents = exporters.map(one => one.document())
    const results = documents.flatMap(({ result }) => result)
    return { result: worst(results), exporters: documents }
  } finally {
    await extensions.stop()
  }
}

type Chosen = ConfiguredComponent<'exporter'>

function chosenOf({ exporters, pipelines }: Configured, ids: readonly string[]): readonly Chosen[] {
  const used = [...exporters.values()].filter(({ id }) => pipelines.some(one => one.exporters.includes(id)))
  if (ids.length === 0) return used
  const known = used.map(({ id }) => id)
  for (const id of ids) {
    if (known.includes(id)) continue
    const what = exporters.has(id) ? 'is in no pipeline, so that nothing is sent there' : 'is no exporter here'
    throw new QueryError(404, `\`${id}\` ${what}`, suggest(id, known, `exporters: ${quoted(known)}`))
  }
  return used.filter(({ id }) => ids.includes(id))
}

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent }

function contextOf(
  { id, uses, concealed }: Pick<ConfiguredComponent, 'id' | 'uses' | 'concealed'>,
  running: (id: string) => Extension | undefined,
): ComponentContext & { readonly clock: GuardedClock } {
  return {
    id,
    log: silent,
    status: new Status(undefined, concealed),
    host: new Host().provide(budgetKey, new Budget(Infinity)),
    worker: soleWorker,
    extension: finderFor({ id, uses }, running),
    clock: new GuardedClock(machineClock, () => {}),
  }
}

/** The authenticators that exporters name, and those that these do. */
class Extensions {
  readonly #started = new Map<string, { readonly extension: Extension; readonly clock: GuardedClock }>()
  /** Why others could not be had. */
  readonly failures = new Map<string, string>()

  static async startedFor(components: readonly Chosen[], configured: Configured): Promise<Extensions> {
    const all = new Extensions()
    for (const component of components) await all.#startUsed(component, configured)
    return all
  }

  find(id: string): Extension | undefined {
    return this.#started.get(id)?.extension
  }

  async stop(): Promise<void> {
    for (const { extension, clock } of this.#started.values()) {
      await extension.stop?.()
      clock.stop()
    }
  }

  /** Others stay as they are: the directory of a storage can only be had once. */
  async #startUsed({ uses }: Pick<ConfiguredComponent, 'uses'>, configured: Configured): Promise<void> {
    for (const { id, needs } of uses) {
      const component = needs === clientAuthenticatorKey.name ? configured.extensions.get(id) : undefined
      if (component === undefined || this.#started.has(id) || this.failures.has(id)) continue
      const { definition, config } = component
      await this.#startUsed(component, configured)
      try {
        const context = contextOf(component, one => this.find(one))
        const extension = definition.create(config as never, context)
        this.#started.set(id, { extension, clock: context.clock })
        await extension.start?.()
      } catch (error) {
        this.#started.delete(id)
        this.failures.set(id, component.concealed?.tell(messageOf(error)) ?? messageOf(error))
      }
    }
  }
}

interface Surroundings extends Pick<ConnectionQuestion, 'timeout' | 'isRunning'> {
  readonly configured: Configured
}

/** One exporter, made to be asked. */
class AskedExporter {
  readonly jobs: readonly (() => Promise<void>)[]
  readonly #component: Chosen
  readonly #hidden: Concealed
  readonly #destinations: { readonly of: Checkable; readonly steps: StepDocument[] }[] = []
  readonly #stop: () => Promise<void>
  #note: string | undefined

  constructor(component: Chosen, extensions: Extensions, { configured, timeout, isRunning }: Surroundings) {
    this.#component = component
    this.#hidden = hiddenOf(component.concealed)
    const { id, definition, config, uses } = component
    const context = contextOf(component, one => extensions.find(one))
    const signals = new Set(
      configured.pipelines.filter(({ exporters }) => exporters.includes(id)).map(({ signal }) => signal),
    )
    const failure = uses.flatMap(use => extensions.failures.get(use.id) ?? [])[0]
    this.#stop = async () => context.clock.stop()
    try {
      const exporter = definition.create(config as never, { ...context, signals, reached() {} })
      this.#stop = async () => {
        await exporter.stop?.()
        context.clock.stop()
      }
      for (const of of exporter.check?.(isRunning) ?? []) this.#destinations.push({ of, steps: [] })
      if (this.#destinations.length === 0)
        this.#note = 'not looked at: this exporter connects to nobody, or has no way to find out'
    } catch (error) {
      this.#fail(messageOf(error))
    }
    if (failure !== undefined) this.#fail(`an extension that it uses cannot start: ${failure}`)
    this.jobs = this.#destinations.map(
      ({ of, steps }) =>
        () =>
          of.check(new TimedSteps(timeout, steps, text => this.#told(text))),
    )
  }

  #told(text: string): string {
    const told = this.#hidden.tell(text)
    return told.length > longestText ? `${told.slice(0, longestText)}...` : told
  }

  /** Nothing can be asked for. */
  #fail(text: string): void {
    const of: Checkable = { endpoint: '', signals: [], check: () => Promise.resolve() }
    this.#destinations.splice(0, Infinity, {
      of,
      steps: [{ step: 'start', result: 'failed', took_ms: 0, text: this.#told(text) }],
    })
  }

  async stop(): Promise<void> {
    await this.#stop()
  }

  document() {
    const destinations = this.#destinations.map(({ of: { endpoint, signals }, steps }) => ({
      endpoint: this.#told(endpoint),
      signals,
      result: worst(steps.map(({ result }) => result)),
      steps,
    }))
    return {
      exporter: this.#component.id,
      result: worst(destinations.map(({ result }) => result)),
      destinations,
      ...(this.#note !== undefined && { note: this.#note }),
    }
  }
}

/** Servers that refuse credentials like to tell them, and then without the scheme that stands before them. */
function hiddenOf(concealed: Concealed | undefined): Concealed {
  const values = concealed?.values ?? []
  const bare = values.flatMap(([value, instead]) => {
    const secret = /^[a-z-]+ +(\S+)$/i.exec(value.trim())?.[1]
    return secret === undefined ? [] : [[secret, instead] as const]
  })
  return new Concealed([...values, ...bare])
}

const results: readonly StepResult[] = ['ok', 'warning', 'failed']
const worst = (all: readonly StepResult[]): StepResult => results.findLast(one => all.includes(one)) ?? 'ok'

/** Takes steps of one destination, each with its own time. */
class TimedSteps implements CheckSteps {
  readonly #timeout: number
  readonly #steps: StepDocument[]
  readonly #tell: (text: string) => string

  constructor(timeout: number, steps: StepDocument[], tell: (text: string) => string) {
    this.#timeout = timeout
    this.#steps = steps
    this.#tell = tell
  }

  async take<F extends CheckFinding>(
    step: string,
    work: (cancellation: Canceller) => F | Promise<F>,
  ): Promise<F | undefined> {
    const canceller = new Canceller(() => {})
    const begin = machineClock.now()
    const note = (result: StepResult, { text, hint, facts }: CheckFinding): void => {
      const took_ms = Math.round((machineClock.now() - begin) * 10) / 10
      this.#steps.push({
        step,
        result,
        took_ms,
        text: this.#tell(text),
        ...(hint !== undefined && { hint: this.#tell(hint) }),
        ...(facts !== undefined && { facts: this.#toldFacts(facts) }),
      })
    }
    const late = Promise.withResolvers<never>()
    const timer = machineClock.after(this.#timeout, () => {
      const error = new CheckFailure(
        `no answer within ${this.#timeout}ms`,
        'does something on the way swallow it, or is it slow? (`--timeout` says how long to wait)',
      )
      late.reject(error)
      canceller.cancel(error)
    })
    try {
      // What it throws later, because it is cancelled, says nothing more.
      const found = await Promise.race([Promise.resolve(canceller).then(work), late.promise])
      note(found.isWarning === true ? 'warning' : 'ok', found)
      return found
    } catch (error) {
      const { hint, facts } = error instanceof CheckFailure ? error : { hint: undefined, facts: undefined }
      note('failed', { text: messageOf(error), hint, ...(facts !== undefined && { facts }) })
      return undefined
    } finally {
      timer.cancel()
    }
  }

  #toldFacts(facts: NonNullable<CheckFinding['facts']>): NonNullable<CheckFinding['facts']> {
    const told = (value: unknown): unknown => {
      if (typeof value === 'string') return this.#tell(value)
      if (Array.isArray(value)) return value.map(told)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, told(inner)]))
    }
    return Object.fromEntries(Object.entries(facts).map(([key, value]) => [key, told(value)]))
  }
}

/** Does all of it, some side by side. */
async function inTurns(jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const next = jobs.values()
  const work = async (): Promise<void> => {
    for (const job of next) await job()
  }
  await Promise.all(Array.from({ length: Math.min(abreast, jobs.length) }, work))
}
