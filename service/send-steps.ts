/** What became of a test item, component by component, as the journal has it. */
import type { ConfiguredPipeline } from '../core/configured.ts'
import type { JournalEvent, JournalRecord } from '../core/journal.ts'

/** What a component did with the item, or does. */
export type StepState =
  | 'received'
  | 'passed'
  | 'consumed'
  | 'dropped'
  | 'held'
  /** A connector took it, and what it makes of it is not followed. */
  | 'taken'
  | 'queued'
  /** An attempt failed, and it is tried again. */
  | 'retrying'
  | 'delivered'
  | 'refused'
  | 'rejected'
  | 'dead_lettered'
  | 'lost'
  | 'not_reached'

/** One component on the way of the item. */
export interface SendStep {
  readonly kind: JournalEvent['kind']
  readonly component: string
  readonly pipeline?: string
  readonly state: StepState
  readonly reason?: string
  /** What a destination or a step said. */
  readonly detail?: string
  /** Milliseconds that the last attempt took. */
  readonly took_ms?: number
  /** Attempts that failed. */
  readonly failed_attempts?: number
}

/** Whether all destinations have it; of what ended otherwise, the word that says most. */
export type SendEnd = 'delivered' | 'dropped' | 'consumed' | 'refused' | 'failed' | 'on_its_way'

/** What is known of one item. */
export interface SendFacts {
  readonly record: JournalRecord
  readonly pipelines: readonly ConfiguredPipeline[]
  /** Ids of connectors: the others at the end of a pipeline are exporters. */
  readonly connectors: ReadonlySet<string>
  /** Nothing of it is on its way in memory any more. */
  readonly isSettled: boolean
}

/** The way of the item from `pipeline` on. */
export function sendSteps(pipeline: string, facts: SendFacts): SendStep[] {
  const first: SendStep = { kind: 'receiver', component: facts.record.receiver, state: 'received' }
  return [first, ...through(pipeline, facts, new Set())]
}

function through(id: string, facts: SendFacts, seen: Set<string>): SendStep[] {
  const pipeline = facts.pipelines.find(one => one.id === id)
  if (pipeline === undefined || seen.has(id)) return []
  seen.add(id)
  const { events, outcome } = facts.record
  const at = (component: string): readonly JournalEvent[] =>
    events.filter(event => event.component === component && event.pipeline === id)
  const { processors, exporters } = pipeline
  const atEnds = events.some(({ kind, component }) => isEnd(kind) && exporters.includes(component))
  // What comes behind a component that something was noted at has been reached, or is next.
  const last = atEnds ? processors.length : processors.findLastIndex(one => at(one).length > 0)
  let isOpen = true
  const steps = processors.map((component, i): SendStep => {
    const told = at(component).findLast(({ what }) => what !== 'attempt_failed')
    const state = !isOpen ? 'not_reached' : told !== undefined ? stateOf(told) : i < last ? 'passed' : 'held'
    isOpen &&= state === 'passed'
    return { kind: 'processor', component, pipeline: id, state, ...saidOf(told) }
  })
  const isRefused = outcome === 'refused'
  const ends = exporters.flatMap(component => {
    if (facts.connectors.has(component)) return connected(component, isOpen && !isRefused, facts, seen)
    return [exported(component, isOpen && !isRefused, events)]
  })
  return [...steps, ...ends]
}

const isEnd = (kind: JournalEvent['kind']): boolean => kind === 'exporter' || kind === 'connector'

function exported(component: string, isReached: boolean, events: readonly JournalEvent[]): SendStep {
  const mine = events.filter(event => event.kind === 'exporter' && event.component === component)
  const failed = mine.filter(({ what }) => what === 'attempt_failed').length
  const told = mine.findLast(({ what }) => what !== 'attempt_failed') ?? mine.at(-1)
  const state = told !== undefined ? stateOf(told) : isReached ? 'queued' : 'not_reached'
  return {
    kind: 'exporter',
    component,
    state,
    ...saidOf(told),
    ...(failed === 0 ? {} : { failed_attempts: failed }),
  }
}

/** A connector, and the pipelines behind it: those where something of the item was seen, or may be yet. */
function connected(component: string, isReached: boolean, facts: SendFacts, seen: Set<string>): SendStep[] {
  const { record, pipelines, isSettled } = facts
  const told = record.events.findLast(event => event.kind === 'connector' && event.component === component)
  const behind = pipelines.filter(one => one.signal === record.signal && one.receivers.includes(component))
  const state = told !== undefined ? stateOf(told) : !isReached ? 'not_reached' : behind.length > 0 ? 'passed' : 'taken'
  const step: SendStep = { kind: 'connector', component, state, ...saidOf(told) }
  if (state !== 'passed') return [step]
  const reached = behind.filter(({ id, exporters }) => {
    const isSeen = record.events.some(
      event => event.pipeline === id || (isEnd(event.kind) && exporters.includes(event.component)),
    )
    return isSeen || !isSettled
  })
  return [step, ...reached.flatMap(({ id }) => through(id, facts, seen))]
}

function stateOf({ what }: JournalEvent): StepState {
  if (what === 'attempt_failed') return 'retrying'
  return what === 'returned' ? 'refused' : what
}

function saidOf(event: JournalEvent | undefined): Pick<SendStep, 'reason' | 'detail' | 'took_ms'> {
  if (event === undefined) return {}
  const { reason, detail, took } = event
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(took === undefined ? {} : { took_ms: Math.round(took * 100) / 100 }),
  }
}

const pending: ReadonlySet<StepState> = new Set(['held', 'queued', 'retrying'])

/** What it all comes to. */
export function sendEnd(steps: readonly SendStep[]): SendEnd {
  const states = new Set(steps.map(({ state }) => state))
  if (steps.some(({ state }) => pending.has(state))) return 'on_its_way'
  if (states.has('rejected') || states.has('dead_lettered') || states.has('lost')) return 'failed'
  if (states.has('refused')) return 'refused'
  if (states.has('dropped')) return 'dropped'
  const ends = steps.filter(({ kind, state }) => kind === 'exporter' || state === 'taken')
  if (ends.length > 0 && ends.every(({ state }) => state === 'delivered' || state === 'taken')) return 'delivered'
  return states.has('consumed') ? 'consumed' : 'failed'
}
