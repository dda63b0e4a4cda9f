/** All parts of one configuration: made anew, or taken from the configuration before where nothing about them changes. */
import type { Batch } from '../../core/batch.ts'
import type { NodeBooks } from '../../core/books.ts'
import { type ComponentContext, type Kind, orderingOf, type ReceiverContext } from '../../core/component.ts'
import { type Budget, budgetKey } from '../../core/budget.ts'
import { chronicleKey } from '../../core/chronicle.ts'
import { finderFor } from '../../core/capability.ts'
import { type Clock, clockKey, GuardedClock, machineClock } from '../../core/clock.ts'
import { credentialKeys } from '../../core/credentials.ts'
import { concealing } from '../../core/concealed.ts'
import type { ConfiguredComponent, ConfiguredPipeline } from '../../core/configured.ts'
import { Entrance, type Remark } from '../../core/entrance.ts'
import { InternalError, messageOf } from '../../core/errors.ts'
import type { ReloadPlan } from '../../core/reload.ts'
import { Rooms } from '../../core/room.ts'
import type { SendingConfig } from '../../core/sending.ts'
import type { RunningComponent } from '../../core/health.ts'
import { Status } from '../../core/status.ts'
import { soleWorker, workerKey } from '../../core/worker.ts'
import { namesOf, neededOf, apartAt, type KeptApart } from '../../plan/apart.ts'
import type { Plan } from '../../plan/plan.ts'
import { allSignals, type Signal } from '../../proto/signals.ts'
import { ConnectorSink } from '../flow/connector-sink.ts'
import { Destination } from '../sending/destination.ts'
import type { Sink } from '../sending/sink.ts'
import type { ConnectorPart, ExporterPart, ExtensionPart, PipelinePart, ReceiverPart, StepPart } from './part.ts'
import type { GraphProcess } from './process.ts'
import { Pipeline } from '../flow/pipeline.ts'
import { Source } from '../flow/source.ts'
import { processorContext } from '../flow/processor-context.ts'
import { StepNode } from '../flow/step-node.ts'

/** What a component is given, as what it is made of. */
type MadeContext = ComponentContext & { readonly status: Status; readonly clock: GuardedClock }

/** What runs when an assembly is made. */
export interface Before {
  readonly assembly: Assembly
  readonly reload: ReloadPlan
}

/** The parts by id; nothing of it starts or is joined here. */
export class Assembly {
  readonly plan: Plan
  readonly extensions = new Map<string, ExtensionPart>()
  readonly exporters = new Map<string, ExporterPart>()
  readonly connectors = new Map<string, ConnectorPart>()
  readonly pipelines = new Map<string, PipelinePart>()
  readonly receivers = new Map<string, ReceiverPart>()
  /** Ways in, by receiver and signal. */
  readonly sources = new Map<string, Source>()
  /** What was made for it, not taken over. */
  readonly fresh = new Set<RunningComponent>()
  readonly #process: GraphProcess
  /** What runs; not longer than until parts are taken over from it. */
  #kept: Assembly | undefined
  readonly #changed: ReadonlySet<string>
  readonly #livingSources: Map<string, Source>

  /** `sources` are all that live, those of receivers that are still stopping included. */
  constructor(plan: Plan, process: GraphProcess, sources: Map<string, Source>, before?: Before) {
    this.plan = plan
    this.#process = process
    this.#livingSources = sources
    this.#kept = before?.assembly
    this.#changed = new Set(
      before?.reload.components.flatMap(({ kind, id, pipelines }) =>
        kind === 'processor' ? pipelines.map(pipeline => keyOf(kind, id, pipeline)) : [keyOf(kind, id)],
      ),
    )
  }

  /** Makes or takes over every part. @throws Error of a component that cannot be made; `fresh` has those that were */
  build(): void {
    const { plan } = this
    for (const id of plan.started) this.#addExtension(need(plan.extensions, id, 'extension'))
    for (const component of plan.exporters.values()) this.#addExporter(component)
    for (const pipeline of plan.pipelines) this.#addPipeline(pipeline)
    for (const component of plan.receivers.values()) this.#addReceiver(component)
    this.#kept = undefined
  }

  /** Every component, from the front to the back. */
  get components(): readonly RunningComponent[] {
    const steps = [...this.pipelines.values()].flatMap(pipeline => pipeline.steps)
    return [
      ...this.receivers.values(),
      ...steps,
      ...this.connectors.values(),
      ...this.exporters.values(),
      ...this.extensions.values(),
    ]
  }

  get destinations(): readonly Destination[] {
    return [...this.exporters.values()].flatMap(({ destinations }) => [...destinations.values()])
  }

  /** The accounts of its nodes. */
  get nodes(): readonly NodeBooks[] {
    return [
      ...[...this.sources.values()].map(({ books }) => books),
      ...[...this.pipelines.values()].flatMap(({ steps }) => steps.map(({ node }) => node.books)),
      ...[...this.connectors.values()].map(({ sink }) => sink.books),
      ...this.destinations.map(({ books }) => books),
    ]
  }

  /** What pipeline `id` ends in. */
  sinksOf(id: string): readonly Sink[] {
    const { signal, exporters } = need(this.#byId(), id, 'pipeline')
    return exporters.flatMap((sinkId): readonly Sink[] => {
      if (this.plan.connectors.has(sinkId)) {
        return [...this.connectors].filter(([key]) => key.startsWith(`${sinkId} ${signal} `)).map(([, one]) => one.sink)
      }
      const destination = this.exporters.get(sinkId)?.destinations.get(signal)
      if (destination === undefined) throw new InternalError(`pipeline ${id}: no exporter ${sinkId} for ${signal}`)
      return [destination]
    })
  }

  /** Pipelines that begin with a receiver or connector, of one signal. */
  pipelinesFrom(id: string, signal: Signal): Pipeline[] {
    return this.#configuredFrom(id)
      .filter(one => one.signal === signal)
      .map(one => need(this.pipelines, one.id, 'pipeline').pipeline)
  }

  /** Ids of pipelines so that each comes before those it feeds through connectors. */
  inOrder(): string[] {
    const ordered: string[] = []
    const visit = (pipeline: ConfiguredPipeline): void => {
      if (ordered.includes(pipeline.id)) return
      for (const one of this.plan.pipelines) {
        if (one.exporters.some(id => this.plan.connectors.has(id) && pipeline.receivers.includes(id))) visit(one)
      }
      ordered.push(pipeline.id)
    }
    for (const pipeline of this.plan.pipelines) visit(pipeline)
    return ordered
  }

  #byId(): ReadonlyMap<string, ConfiguredPipeline> {
    return new Map(this.plan.pipelines.map(one => [one.id, one]))
  }

  #configuredFrom(id: string): ConfiguredPipeline[] {
    return this.plan.pipelines.filter(one => one.receivers.includes(id))
  }

  #signalsOf(id: string, ids: (pipeline: ConfiguredPipeline) => readonly string[]): Set<Signal> {
    const using = this.plan.pipelines.filter(pipeline => ids(pipeline).includes(id))
    return new Set(allSignals.filter(signal => using.some(pipeline => pipeline.signal === signal)))
  }

  /** What there was before, if nothing about it changes. */
  #keep<T>(before: T | undefined, kind: Kind, id: string, pipeline?: string): T | undefined {
    return this.#changed.has(keyOf(kind, id, pipeline)) ? undefined : before
  }

  #made<T extends RunningComponent>(part: T): T {
    this.fresh.add(part)
    return part
  }

  #context(kind: Kind, { id, uses, concealed }: Named): MadeContext {
    const { host, log: all, onStatus } = this.#process
    const { extensions } = this
    const status = new Status((changed, from) => onStatus?.({ kind, id }, changed, from), concealed)
    const extension = finderFor({ id, uses }, name => extensions.get(name)?.lifecycle)
    const log = concealing(all.child(id, { kind }), concealed)
    const clock = new GuardedClock(this.#clock, error => {
      const stack = error instanceof Error ? error.stack : undefined
      log.error({ error: messageOf(error), stack }, 'a timer of the component failed')
    })
    const worker = host.find(workerKey) ?? soleWorker
    return { id, log, status, host, worker, extension, clock }
  }

  get #clock(): Clock {
    return this.#process.host.find(clockKey) ?? machineClock
  }

  #addExtension(component: ConfiguredComponent<'extension'>): void {
    const { id, definition, config } = component
    let part = this.#keep(this.#kept?.extensions.get(id), 'extension', id)
    if (part === undefined) {
      const context = this.#context('extension', component)
      const lifecycle = named('extension', component, () => definition.create(config as never, context))
      part = this.#made({ ...infoOf('extension', id, definition.type, context), lifecycle })
    }
    this.extensions.set(id, part)
  }

  #addExporter(component: ConfiguredComponent<'exporter'>): void {
    const { id, definition, config } = component
    const signals = this.#signalsOf(id, pipeline => pipeline.exporters)
    if (signals.size === 0) return
    const kept = this.#keep(this.#kept?.exporters.get(id), 'exporter', id)
    if (kept !== undefined) return void this.exporters.set(id, kept)
    const { host, books, journal } = this.#process
    const context = this.#context('exporter', component)
    const { status, log, extension } = context
    const destinations = new Map<Signal, Destination>()
    const reached = (): void => destinations.forEach(destination => destination.reached())
    const whole = { ...context, signals, reached }
    const exporter = named('exporter', component, () => definition.create(config as never, whole))
    const info = infoOf('exporter', id, definition.type, context)
    this.exporters.set(id, this.#made({ ...info, lifecycle: exporter, destinations }))
    for (const signal of signals) {
      const parts = {
        exporter,
        ordered: orderingOf(definition, signal) !== 'none',
        // The schema of every exporter has the shared keys; see defineExporter.
        config: config as SendingConfig,
        policy: need(this.plan.queues, id, 'queue of exporter'),
        apart: namesOf(neededOf(id, component, this.plan)),
        books: books.node({ kind: 'exporter', id, pipeline: '', signal }),
        journal,
        log,
        status,
        credentials: credentialKeys(config, component.uses),
        chronicle: host.find(chronicleKey),
        clock: this.#clock,
        budget: () => host.get(budgetKey),
        extension,
      }
      destinations.set(signal, new Destination(id, parts))
    }
  }

  #addPipeline(configured: ConfiguredPipeline): void {
    const { id, signal } = configured
    const before = this.#kept?.pipelines.get(id)
    const pipeline = before?.pipeline ?? new Pipeline(id, signal, this.#process.books, this.#process.journal)
    // What a step keeps has been through those in front of it, and no others.
    const ids = before?.steps.map(step => step.id) ?? []
    const carried = this.plan.carriedIn(id)?.id
    const processors = configured.processors.filter(processor => processor !== carried)
    const inOrder = isSameOrder(ids, processors)
    // A step that is kept asks of what stands behind it now.
    const apart: KeptApart = before?.apart ?? { at: new Map() }
    apart.at = apartAt(configured, this.plan)
    const steps = processors.map(processor => {
      const old = before?.steps.find(step => step.id === processor)
      return (
        this.#keep(old, 'processor', processor, id) ??
        this.#makeStep(processor, pipeline, apart, inOrder ? old : undefined)
      )
    })
    this.pipelines.set(id, { pipeline, steps, apart })
    for (const sink of configured.exporters) this.#addConnectors(sink, signal)
  }

  #makeStep(processor: string, pipeline: Pipeline, apart: KeptApart, before: StepPart | undefined): StepPart {
    const component = need(this.plan.processors, processor, 'processor')
    const { definition, config } = component
    const { id, signal } = pipeline
    const { books, journal } = this.#process
    const context = this.#context('processor', component)
    const { status, log } = context
    const place = { id, signal, downstream: pipeline, apart: () => apart.at.get(processor) ?? [] }
    const node: StepNode = new StepNode({
      books: books.node({ kind: 'processor', id: processor, pipeline: id, signal }),
      hold: definition.hold,
      longest: definition.longest?.(config as never),
      journal,
      make: () =>
        named('processor', component, () =>
          definition.create(config as never, { ...context, ...processorContext(node, place) }),
        ),
      clock: context.clock,
      log,
      status,
      downstream: pipeline,
      budget: () => this.#process.host.get(budgetKey),
    })
    const replaces = definition.reload === 'again' && before?.type === definition.type ? before.node : undefined
    return this.#made({ ...infoOf('processor', processor, definition.type, context), pipeline: id, node, replaces })
  }

  /** One sink for each signal that a connector turns this one into and that some pipeline takes from it. */
  #addConnectors(id: string, from: Signal): void {
    const component = this.plan.connectors.get(id)
    if (component === undefined) return
    const { definition } = component
    const wanted = new Set(this.#configuredFrom(id).map(one => one.signal))
    for (const [input, to] of definition.joins) {
      const key = `${id} ${from} ${to}`
      if (input !== from || !wanted.has(to) || this.connectors.has(key)) continue
      let part = this.#keep(this.#kept?.connectors.get(key), 'connector', id)
      if (part === undefined) {
        const context = this.#context('connector', component)
        const sink = named(
          'connector',
          component,
          () => new ConnectorSink(component, { from, to }, context, this.#process),
        )
        part = this.#made({ ...infoOf('connector', id, definition.type, context), sink, to })
      }
      this.connectors.set(key, part)
    }
  }

  #addReceiver(component: ConfiguredComponent<'receiver'>): void {
    const { id, definition, config } = component
    const signals = this.#signalsOf(id, pipeline => pipeline.receivers)
    if (signals.size === 0) return
    for (const signal of signals) this.sources.set(`${id} ${signal}`, this.#sourceOf(id, signal))
    const kept = this.#keep(this.#kept?.receivers.get(id), 'receiver', id)
    if (kept !== undefined) return void this.receivers.set(id, kept)
    const context = this.#context('receiver', component)
    // An instance keeps its sources, whatever assembly comes after this one.
    const mine = new Map([...signals].map(signal => [signal, this.#sourceOf(id, signal)] as const))
    const source = (signal: Signal): Source => need(mine, signal, 'receiver')
    const doors: (() => void)[] = []
    const push = (batch: Batch): void => source(batch.signal).push(batch)
    const budget = (): Budget => this.#process.host.get(budgetKey)
    // One that is handed nothing in this way needs no budget.
    let way: Entrance | undefined
    const told: Remark = (signal, from, note) => source(signal).remark(from, note)
    const entrance = (): Entrance => (way ??= new Entrance(budget(), push, true, told))
    let rooms: Rooms | undefined
    const whole: ReceiverContext = {
      ...context,
      signals,
      origin: ({ transport, peer }) => ({ receiver: id, transport, peer, metadata: undefined, auth: undefined }),
      enter: (signal, body, charge, origin, by) => entrance().enter(signal, body, charge, origin, by),
      enterJson: (signal, text, charge, origin, by) => entrance().enterJson(signal, text, charge, origin, by),
      get rooms() {
        return (rooms ??= new Rooms(budget(), context.clock, push, told))
      },
      push,
      books: signal => source(signal).books,
      door: (transport, refusals, sources) => {
        doors.push(this.#process.books.door(id, transport, refusals, sources))
        // So that there is a count from the beginning, of nothing.
        for (const signal of signals) source(signal).books.answersTo(transport)
      },
    }
    const lifecycle = named('receiver', component, () => definition.create(config as never, whole))
    const info = infoOf('receiver', id, definition.type, context)
    const books = [...mine.values()].map(one => one.books)
    this.receivers.set(id, this.#made({ ...info, lifecycle, signals, books, doors }))
  }

  #sourceOf(id: string, signal: Signal): Source {
    const key = `${id} ${signal}`
    let source = this.#livingSources.get(key)
    if (source === undefined) {
      const { books, journal } = this.#process
      source = new Source(books.node({ kind: 'receiver', id, pipeline: '', signal }), journal)
      this.#livingSources.set(key, source)
    }
    return source
  }
}

/** What of a component its context is made from, and its errors are told with. */
type Named = Pick<ConfiguredComponent, 'id' | 'uses' | 'concealed'>

/** What a component makes of its configuration. What it throws is told with its name, and without what it may quote. */
function named<T>(kind: Kind, component: Named, make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw withName(kind, component, error)
  }
}

function withName(kind: Kind, { id, concealed }: Named, error: unknown): Error {
  const message = messageOf(error)
  const cause = concealed?.tellAll(error) ?? error
  return new Error(`${kind} ${id}: ${concealed?.tell(message) ?? message}`, { cause })
}

/** Whether those that are in both lists stand in the same order. */
function isSameOrder(before: readonly string[], after: readonly string[]): boolean {
  const common = after.filter(id => before.includes(id))
  return before.filter(id => after.includes(id)).every((id, i) => id === common[i])
}

const keyOf = (kind: Kind, id: string, pipeline = ''): string => `${kind} ${id} ${pipeline}`

function infoOf<K extends Kind>(kind: K, id: string, type: string, { status, clock }: MadeContext) {
  return { kind, id, type, pipeline: undefined, status, clock }
}

function need<K, T>(map: ReadonlyMap<K, T>, id: K, what: string): T {
  const found = map.get(id)
  if (found === undefined)
    throw new InternalError(`the checked configuration names ${what} ${String(id)}, which it does not have`)
  return found
}
