/** From a checked configuration to a running graph: how its parts are joined, started, exchanged and stopped. */
import { config as rxjs } from 'rxjs'
import type { Batch } from '../../core/batch.ts'
import type { NodeBooks, NodeName } from '../../core/books.ts'
import { offeredBy } from '../../core/capability.ts'
import type { ConfiguredPipeline } from '../../core/configured.ts'
import { messageOf } from '../../core/errors.ts'
import type { RunningComponent } from '../../core/health.ts'
import type { Journal } from '../../core/journal.ts'
import type { Prepared, ReloadPlan } from '../../core/reload.ts'
import { sendersKey } from '../../core/senders.ts'
import { type Storage, storageKey } from '../../core/storage.ts'
import { listenersKey } from '../../net/listeners.ts'
import type { Plan } from '../../plan/plan.ts'
import type { Signal } from '../../proto/signals.ts'
import { Assembly } from './assembly.ts'
import type { GraphProcess } from './process.ts'
import type { TriedListener } from '../../core/trial.ts'
import type { Destination } from '../sending/destination.ts'
import { reasonOf } from '../flow/fanout.ts'
import { join, successorOf } from './join.ts'
import { Leaving, roomFor, until } from './leaving.ts'
import { redacts, shownBy, type TapRule, tapRule } from './shown.ts'
import { type TapNode, type TapPlace, Taps, type TapViewer } from './taps.ts'
import { type Part, type ReceiverPart, runPart, startPart, stopPart } from './part.ts'
import { Preparation } from './preparation.ts'
import type { Pipeline } from '../flow/pipeline.ts'
import type { Source } from '../flow/source.ts'

/** The graph of one process. Its configuration can be exchanged while it runs. */
export class Graph {
  readonly #process: GraphProcess
  /** Every way in, by receiver and signal, those of receivers that are stopping included. */
  readonly #sources = new Map<string, Source>()
  readonly #leaving = new Set<Leaving>()
  /** Pipelines that are none any more and in which something still waits for room. */
  readonly #lingering = new Set<Pipeline>()
  /** Accounts of those that come in besides. */
  readonly #guests = new Set<NodeBooks>()
  readonly #taps = new Taps()
  #tapRule: TapRule
  #assembly: Assembly
  #preparation: Preparation | undefined
  #isStopping = false

  constructor(plan: Plan, process: GraphProcess) {
    this.#process = process
    // What a step throws in a subscription of its own RxJS would throw again, from a timer, and so end the process.
    rxjs.onUnhandledError = (error: unknown) => {
      process.books.stray++
      process.log.error(
        { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
        'step failed',
      )
    }
    this.#assembly = new Assembly(plan, process, this.#sources)
    this.#assembly.build()
    this.#show(shownBy(plan), !redacts(plan))
    this.#tapRule = tapRule(plan)
    join(this.#assembly)
  }

  /** What it runs. */
  get plan(): Plan {
    return this.#assembly.plan
  }

  /** Every component that runs, and those that still stop. */
  get components(): readonly RunningComponent[] {
    const standing = this.#assembly.components
    const ids = new Set(standing.map(({ kind, id }) => `${kind} ${id}`))
    const leaving = [...this.#leaving].flatMap(one => one.components)
    return [...standing, ...leaving.filter(({ kind, id }) => !ids.has(`${kind} ${id}`))]
  }

  /** How they are connected. */
  get pipelines(): readonly ConfiguredPipeline[] {
    return this.plan.pipelines
  }

  /** Storages of queues that have started, by the id of their extension. */
  storages(): readonly { readonly id: string; readonly storage: Storage }[] {
    return of(this.#assembly.extensions).flatMap(({ id, status: { state }, lifecycle }) => {
      // Before it has started it has none to give.
      const storage = state === 'OK' || state === 'RecoverableError' ? offeredBy(lifecycle, storageKey) : undefined
      return storage === undefined ? [] : [{ id, storage }]
    })
  }

  /** The queue of each exporter and signal. */
  exporters() {
    const all = new Map<object, Destination>()
    const leaving = [...this.#leaving].flatMap(one => one.destinations)
    for (const one of [...leaving, ...this.#assembly.destinations]) all.set(one.books, one)
    return [...all.values()].map(destination => ({
      id: destination.id,
      signal: destination.books.name.signal,
      queueSize: destination.queueSize,
      queueCapacity: destination.queueCapacity,
      inFlight: destination.inFlight,
      lastSuccess: destination.lastSuccess,
      ...destination.ages,
      spills: destination.spills,
      latency: destination.latency,
      nextAttempt: destination.nextAttempt,
      retry: (listener: TriedListener) => destination.retry(listener),
    }))
  }

  /** Items that wait for an exporter's destination, or are on their way to it. */
  waiting(exporter: string): number {
    let items = 0
    for (const { id, books } of this.#assembly.destinations) if (id === exporter) items += books.held()
    return items
  }

  /**
   * The way into a pipeline for data that comes from `from`, which is none of its receivers; undefined when there is no
   * such pipeline now. To be asked for each batch, which is to be counted as handed on before it is pushed.
   */
  entrance(pipeline: string, from: NodeBooks): ((batch: Batch) => void) | undefined {
    const way = this.#assembly.pipelines.get(pipeline)?.pipeline.way
    if (way === undefined) return undefined
    this.#guests.add(from)
    return batch => way.push(batch, from)
  }

  /**
   * The way to one exporter alone, past all pipelines; as `entrance`. What finds no room is refused, also where the
   * exporter's queue would drop it.
   */
  exporterEntrance(exporter: string, from: NodeBooks): ((batch: Batch) => void) | undefined {
    const sink = this.#assembly.exporters.get(exporter)?.destinations.get(from.name.signal)
    if (sink === undefined) return undefined
    this.#guests.add(from)
    const { books, journal } = this.#process
    return batch => {
      books.edge(from, sink.books).carried += batch.items
      const full = sink.reserve(batch)
      if (full === undefined) return sink.take(batch, () => {})
      const reason = reasonOf(full)
      sink.books.refused.of(reason).value += batch.items
      journal.note(sink.books.name, 'refused', batch, reason, undefined)
      batch.refuse(full)
    }
  }

  /** Has `viewer` look at a place; says at which nodes that is. @throws TapError */
  tap(place: TapPlace, viewer: TapViewer): readonly TapNode[] {
    return this.#taps.add(place, viewer, this.#assembly, this.#tapRule)
  }

  /** It looks no more. */
  untap(viewer: TapViewer): void {
    this.#taps.remove(viewer, this.#assembly, this.#tapRule)
  }

  /** Starts from the back to the front, so that nothing is taken before it can be passed on. */
  async start(): Promise<void> {
    const { extensions, exporters, connectors, pipelines, receivers, destinations } = this.#assembly
    const { log } = this.#process
    const start = async (part: Part): Promise<void> => {
      await startPart(part)
      runPart(part, log)
    }
    for (const part of [...extensions.values(), ...exporters.values()]) await start(part)
    for (const destination of destinations) destination.open()
    for (const destination of destinations) destination.begin()
    for (const { sink } of connectors.values()) sink.start()
    for (const { pipeline } of pipelines.values()) pipeline.start()
    for (const part of receivers.values()) await start(part)
  }

  /**
   * Stops from the front to the back within `deadline` milliseconds: receivers finish what they have begun, steps flush,
   * queues drain. Resolves to the number of items that were lost.
   */
  async stop(deadline: number): Promise<{ lost: number }> {
    const end = Date.now() + deadline
    const before = this.#lost()
    this.#isStopping = true
    if (this.#preparation !== undefined) await until(this.#giveUp(this.#preparation), end)
    const { receivers, pipelines, connectors, exporters, extensions, destinations } = this.#assembly
    const leaving = [...this.#leaving].map(one => one.over)
    // Receivers wait for answers that only come while the rest still runs.
    await Promise.all([...receivers.values()].map(part => this.#stopPart(part, end)))
    for (const id of this.#assembly.inOrder()) {
      const pipeline = pipelines.get(id)?.pipeline
      for (const { id: connector, to, sink } of connectors.values()) {
        if (this.#assembly.pipelinesFrom(connector, to).some(one => one === pipeline)) await sink.stop(end)
      }
      if (pipeline === undefined) continue
      await pipeline.stop(end)
      // What waits at its end goes through connectors that are stopped next.
      await roomFor(() => [pipeline], end)
    }
    const all = [...of(pipelines).map(({ pipeline }) => pipeline), ...this.#lingering]
    await roomFor(() => all, end)
    await until(Promise.all(leaving), end)
    await Promise.all([...this.#leaving].map(one => one.giveUp()))
    await Promise.all(destinations.map(destination => destination.stop(end)))
    for (const { pipeline } of pipelines.values()) pipeline.stopFanOut()
    for (const pipeline of this.#lingering) pipeline.stopFanOut()
    await Promise.all([...exporters.values()].map(part => this.#stopPart(part, end)))
    await Promise.all([...extensions.values()].map(part => this.#stopPart(part, end)))
    return { lost: this.#lost() - before }
  }

  /**
   * Makes `plan` ready to run; `changes` says what that changes. One at a time; what runs goes on as it is.
   * @throws Error of what cannot be made or started: then nothing has changed
   */
  async prepare(plan: Plan, changes: ReloadPlan): Promise<Prepared> {
    if (this.#isStopping) throw new Error('the process is stopping')
    if (this.#preparation !== undefined)
      throw new Error('another configuration is being prepared: that is to be committed or given up first')
    const previous = this.#assembly
    const next = new Assembly(plan, this.#process, this.#sources, { assembly: previous, reload: changes })
    const preparation = new Preparation(next, {
      log: this.#process.log,
      listeners: this.#process.host.find(listenersKey),
      going: new Set(changes.components.filter(({ action }) => action !== 'start').map(({ id }) => id)),
      isStopping: () => this.#isStopping,
      predecessor: (id, signal) => this.#predecessor(previous, id, signal),
      stopped: receiver => this.#stopped(receiver),
    })
    this.#preparation = preparation
    try {
      await preparation.open()
    } catch (error) {
      this.#forget()
      throw error
    }
    return {
      commit: deadline => this.#commit(preparation, deadline),
      abort: () => this.#giveUp(preparation),
    }
  }

  #commit(preparation: Preparation, deadline: number): { readonly over: Promise<void> } {
    const previous = this.#assembly
    preparation.handOver(previous)
    const leaving = this.#exchange(previous, preparation.next)
    preparation.run()
    this.#preparation = undefined
    const earlier = [...this.#leaving].map(one => one.front)
    this.#leaving.add(leaving)
    this.#retire()
    return { over: leaving.run(Date.now() + deadline, earlier).finally(() => this.#settle(leaving)) }
  }

  async #giveUp(preparation: Preparation): Promise<void> {
    await preparation.abandon()
    if (this.#preparation === preparation) this.#forget()
  }

  /** What was prepared is given up: nothing of it is left. */
  #forget(): void {
    this.#preparation = undefined
    for (const { books } of this.#sources.values()) this.#closeSource(books.name)
    this.#retire()
  }

  /** Who has what `next` is to send. */
  #predecessor(previous: Assembly, id: string, signal: Signal): Destination | undefined {
    const running = previous.exporters.get(id)?.destinations.get(signal)
    if (running !== undefined) return running
    for (const one of [...this.#leaving].toReversed()) {
      const found = one.destination(id, signal)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Puts `next` in the place of `previous`, at once: no data moves meanwhile. */
  #exchange(previous: Assembly, next: Assembly): Leaving {
    const adopted = new Set<Destination>()
    for (const part of next.exporters.values()) {
      if (!next.fresh.has(part)) continue
      for (const [signal, destination] of part.destinations) {
        const old = this.#predecessor(previous, part.id, signal)
        if (old === undefined) continue
        adopted.add(old)
        destination.adopt(old)
      }
    }
    const connectors = without(previous.connectors, next.connectors)
    const gone = previous.inOrder().filter(id => !next.pipelines.has(id))
    const pipelines = gone.flatMap(id => previous.pipelines.get(id)?.pipeline ?? [])
    const left = new Map(pipelines.map(pipeline => [pipeline, pipeline.steps] as const))
    for (const { sink } of without(next.connectors, previous.connectors)) sink.start()
    for (const { steps } of next.pipelines.values()) {
      for (const step of steps.toReversed()) {
        if (!next.fresh.has(step)) continue
        step.node.start()
        if (step.replaces !== undefined) step.node.adopt(step.replaces)
      }
    }
    // What came before may still be on its way to a redaction that is no more: until it has ended nothing else is shown.
    this.#show(shownBy(next.plan, redacts(previous.plan)), !redacts(next.plan))
    this.#tapRule = tapRule(next.plan, previous.plan)
    this.#taps.lift()
    this.#assembly = next
    const steps = join(next)
    this.#taps.lay(next, this.#tapRule)
    // Those of earlier configurations that still have something, too.
    for (const pipeline of [...pipelines, ...this.#ending()])
      pipeline.exchange(pipeline.sinks.map(sink => successorOf(sink, next)))
    const parts = {
      receivers: without(previous.receivers, next.receivers),
      steps,
      pipelines: left,
      connectors,
      exporters: without(previous.exporters, next.exporters),
      adopted,
      extensions: without(previous.extensions, next.extensions),
    }
    return new Leaving(parts, {
      log: this.#process.log,
      ending: () => this.#ending(),
      stopped: receiver => this.#stopped(receiver),
    })
  }

  /** Pipelines that are none any more and may still have something. */
  #ending(): readonly Pipeline[] {
    return [...[...this.#leaving].flatMap(one => one.pipelines), ...this.#lingering]
  }

  /** A receiver has stopped: nothing comes from it any more, unless another instance has taken its place. */
  #stopped({ id, signals, doors }: ReceiverPart): void {
    for (const end of doors) end()
    for (const signal of signals) this.#closeSource({ id, signal })
  }

  /** Closes a way in, unless some instance of its receiver runs, still stops, or is about to run. */
  #closeSource({ id, signal }: Pick<NodeName, 'id' | 'signal'>): void {
    const key = `${id} ${signal}`
    if ([...this.#leaving].some(one => one.receives(id))) return
    if (this.#assembly.sources.has(key) || this.#preparation?.next.sources.has(key) === true) return
    this.#sources.get(key)?.close()
    this.#sources.delete(key)
  }

  /** All that left has ended. */
  #settle(leaving: Leaving): void {
    this.#leaving.delete(leaving)
    for (const pipeline of leaving.pipelines) this.#lingering.add(pipeline)
    for (const pipeline of this.#lingering) {
      if (pipeline.waiting > 0) continue
      pipeline.discard()
      this.#lingering.delete(pipeline)
    }
    this.#retire()
    if (this.#leaving.size > 0) return
    this.#show(shownBy(this.plan), !redacts(this.plan))
    this.#tapRule = tapRule(this.plan)
  }

  /** Says at which nodes values of the data may be shown, and whether bodies may as they came. */
  #show(shows: Journal['shows'], bodies: boolean): void {
    this.#process.journal.shows = shows
    const senders = this.#process.host.find(sendersKey)
    if (senders !== undefined) senders.dismissals.showsBytes = bodies
  }

  /** Marks the accounts of nodes that are not there any more. */
  #retire(): void {
    const standing = new Set([...this.#assembly.nodes, ...this.#guests])
    for (const one of this.#leaving) for (const node of one.nodes) standing.add(node)
    for (const node of this.#process.books.nodes) node.retired = !standing.has(node)
  }

  #stopPart(part: Part, end: number): Promise<void> {
    return stopPart(part, end, this.#process.log)
  }

  /** Items given up so far by those that should have passed them on. */
  #lost(): number {
    let items = 0
    for (const { lost } of this.#process.books.nodes) items += lost.total - lost.of('queue_full').value
    return items
  }
}

const of = <T>(map: ReadonlyMap<unknown, T>): T[] => [...map.values()]

/** What is in the one and not, as it is, in the other. */
function without<T>(one: ReadonlyMap<string, T>, other: ReadonlyMap<string, T>): T[] {
  return [...one].flatMap(([key, part]) => (other.get(key) === part ? [] : [part]))
}
