/** From a checked configuration to a running graph: which parts there are, how they are joined, start and stop. */
import type { Books, NodeBooks } from '../core/books.ts'
import type { ComponentContext, Exporter, Extension, Kind, Lifecycle } from '../core/component.ts'
import type { Configured, ConfiguredComponent, ConfiguredPipeline } from '../core/configured.ts'
import { InternalError, messageOf } from '../core/errors.ts'
import type { Host } from '../core/host.ts'
import type { Journal } from '../core/journal.ts'
import type { Logger } from '../core/logger.ts'
import type { SendingConfig } from '../core/sending.ts'
import { type State, Status } from '../core/status.ts'
import { allSignals, type Signal } from '../proto/signals.ts'
import { ConnectorSink } from './connector-sink.ts'
import { Destination, type Sink } from './destination.ts'
import { Pipeline } from './pipeline.ts'
import { Source } from './source.ts'
import { processorContext, StepNode } from './step-node.ts'

/** What the graph needs of the process it runs in. */
export interface GraphProcess {
  readonly host: Host
  readonly log: Logger
  readonly books: Books
  readonly journal: Journal
  readonly onStatus?: (component: { kind: Kind; id: string }, status: Status, from: State) => void
}

/** One running component, as status pages show it. */
export interface ComponentInfo {
  readonly kind: Kind
  readonly id: string
  readonly type: string
  /** Of a processor: the pipeline it is in. */
  readonly pipeline: string | undefined
  readonly status: Status
}

interface Part extends ComponentInfo {
  readonly lifecycle: Lifecycle
}

/** The graph of one configuration. */
export class Graph {
  readonly #configured: Configured
  readonly #process: GraphProcess
  readonly #pipelines = new Map<string, Pipeline>()
  readonly #sources = new Map<string, Source>()
  readonly #destinations: { id: string; signal: Signal; destination: Destination }[] = []
  readonly #connectors = new Map<string, ConnectorSink>()
  /** In the order they start: extensions, exporters, receivers. */
  readonly #extensions: Part[] = []
  readonly #extensionById = new Map<string, Extension>()
  readonly #exporters: Part[] = []
  readonly #receivers: Part[] = []
  readonly #steps: ComponentInfo[] = []

  constructor(configured: Configured, process: GraphProcess) {
    this.#configured = configured
    this.#process = process
    for (const id of configured.started) this.#addExtension(need(configured.extensions, id, 'extension'))
    for (const component of configured.exporters.values()) this.#addExporter(component)
    for (const pipeline of configured.pipelines) this.#addPipeline(pipeline)
    for (const connector of this.#connectors.values()) connector.connect(id => need(this.#pipelines, id, 'pipeline'))
    for (const component of configured.receivers.values()) this.#addReceiver(component)
  }

  /** Every component that runs. */
  get components(): readonly ComponentInfo[] {
    return [...this.#receivers, ...this.#steps, ...this.#exporters, ...this.#extensions]
  }

  /** How they are connected. */
  get pipelines(): readonly ConfiguredPipeline[] {
    return this.#configured.pipelines
  }

  /** The queue of each exporter and signal. */
  exporters() {
    return this.#destinations.map(({ id, signal, destination }) => ({
      id,
      signal,
      queueSize: destination.queueSize,
      queueCapacity: destination.queueCapacity,
      inFlight: destination.inFlight,
      lastSuccess: destination.lastSuccess,
      oldest: destination.oldest,
      latency: destination.latency,
    }))
  }

  /** Starts from the back to the front, so that nothing is taken before it can be passed on. */
  async start(): Promise<void> {
    for (const part of [...this.#extensions, ...this.#exporters]) await startPart(part)
    for (const { destination } of this.#destinations) destination.open(id => this.#extensionById.get(id)?.storage)
    for (const connector of this.#connectors.values()) connector.start()
    for (const pipeline of this.#pipelines.values()) pipeline.start()
    for (const part of this.#receivers) await startPart(part)
  }

  /**
   * Stops from the front to the back within `deadline` milliseconds: receivers finish what they have begun, steps flush,
   * queues drain. Resolves to the number of items that were lost.
   */
  async stop(deadline: number): Promise<{ lost: number }> {
    const end = Date.now() + deadline
    // Receivers wait for answers that only come while the rest still runs.
    await Promise.all(this.#receivers.map(part => stopPart(part, end, this.#process.log)))
    for (const pipeline of this.#inOrder()) {
      for (const connector of this.#connectors.values()) if (connector.feeds(pipeline.id)) await connector.stop(end)
      await pipeline.stop(end)
    }
    const lost = await Promise.all(this.#destinations.map(({ destination }) => destination.stop(end)))
    for (const pipeline of this.#pipelines.values()) pipeline.stopFanOuts()
    await Promise.all(this.#exporters.map(part => stopPart(part, end, this.#process.log)))
    await Promise.all(this.#extensions.map(part => stopPart(part, end, this.#process.log)))
    return { lost: lost.reduce((sum, n) => sum + n, 0) }
  }

  /** Pipelines so that each comes before those it feeds through connectors. */
  #inOrder(): Pipeline[] {
    const ordered: Pipeline[] = []
    const visit = (pipeline: Pipeline): void => {
      if (ordered.includes(pipeline)) return
      for (const connector of this.#connectors.values()) {
        if (!connector.feeds(pipeline.id)) continue
        for (const id of connector.sources) visit(need(this.#pipelines, id, 'pipeline'))
      }
      ordered.push(pipeline)
    }
    for (const pipeline of this.#pipelines.values()) visit(pipeline)
    return ordered
  }

  #context(kind: Kind, id: string): ComponentContext & { status: Status } {
    const { host, log, onStatus } = this.#process
    const status = new Status((changed, from) => onStatus?.({ kind, id }, changed, from))
    return { id, log: log.child(id, { kind }), status, host, extension: name => this.#extensionById.get(name) }
  }

  #addExtension({ id, definition, config }: ConfiguredComponent<'extension'>): void {
    const context = this.#context('extension', id)
    const lifecycle = definition.create(config as never, context)
    this.#extensionById.set(id, lifecycle)
    this.#extensions.push({
      kind: 'extension',
      id,
      type: definition.type,
      pipeline: undefined,
      status: context.status,
      lifecycle,
    })
  }

  #addExporter({ id, definition, config }: ConfiguredComponent<'exporter'>): void {
    const signals = this.#signalsOf(id, pipeline => pipeline.exporters)
    if (signals.size === 0) return
    const context = { ...this.#context('exporter', id), signals }
    const exporter: Exporter = definition.create(config as never, context)
    const { status, log } = context
    this.#exporters.push({
      kind: 'exporter',
      id,
      type: definition.type,
      pipeline: undefined,
      status,
      lifecycle: exporter,
    })
    for (const signal of signals) {
      const { journal } = this.#process
      const books = this.#process.books.node({ kind: 'exporter', id, pipeline: '', signal })
      // The schema of every exporter has the shared keys; see defineExporter.
      const destination = new Destination(id, {
        exporter,
        config: config as SendingConfig,
        books,
        journal,
        log,
        status,
      })
      this.#destinations.push({ id, signal, destination })
    }
  }

  #addPipeline(configured: ConfiguredPipeline): void {
    const { id, signal } = configured
    const { books, journal } = this.#process
    const sinks = configured.exporters.flatMap(sinkId => this.#sinks(sinkId, signal, id))
    const pipeline = new Pipeline(id, signal, books, journal)
    const steps = configured.processors.map(processorId => {
      const { definition, config } = need(this.#configured.processors, processorId, 'processor')
      const context = this.#context('processor', processorId)
      const { status, log } = context
      const node: StepNode = new StepNode({
        books: books.node({ kind: 'processor', id: processorId, pipeline: id, signal }),
        hold: definition.hold,
        journal,
        make: () =>
          definition.create(config as never, {
            ...context,
            ...processorContext(node, { id, signal, downstream: pipeline }),
          }),
        log,
        status,
      })
      this.#steps.push({ kind: 'processor', id: processorId, type: definition.type, pipeline: id, status })
      return node
    })
    pipeline.connect(steps, sinks)
    this.#pipelines.set(id, pipeline)
  }

  #sinks(id: string, signal: Signal, pipeline: string): readonly Sink[] {
    const connector = this.#configured.connectors.get(id)
    if (connector !== undefined) return this.#connectorSinks(connector, signal, pipeline)
    const found = this.#destinations.find(one => one.id === id && one.signal === signal)
    if (found === undefined) throw new InternalError(`pipeline ${pipeline}: no exporter ${id} for ${signal}`)
    return [found.destination]
  }

  /** One sink for each signal that the connector turns this one into and that some pipeline takes from it. */
  #connectorSinks(component: ConfiguredComponent<'connector'>, from: Signal, pipeline: string): ConnectorSink[] {
    const { id, definition } = component
    const wanted = new Set(this.#pipelinesFrom(id).map(one => one.signal))
    const sinks = definition.joins.filter(([input, output]) => input === from && wanted.has(output))
    return sinks.map(([, to]) => {
      const key = `${id} ${from} ${to}`
      let sink = this.#connectors.get(key)
      if (sink === undefined) {
        const context = this.#context('connector', id)
        sink = new ConnectorSink(component, { from, to }, this.#configured.pipelines, context, this.#process)
        this.#connectors.set(key, sink)
        this.#steps.push({ kind: 'connector', id, type: definition.type, pipeline: undefined, status: context.status })
      }
      sink.sources.add(pipeline)
      return sink
    })
  }

  #addReceiver({ id, definition, config }: ConfiguredComponent<'receiver'>): void {
    const signals = this.#signalsOf(id, pipeline => pipeline.receivers)
    if (signals.size === 0) return
    const context = this.#context('receiver', id)
    for (const signal of signals) {
      const books = this.#process.books.node({ kind: 'receiver', id, pipeline: '', signal })
      const pipelines = this.#pipelinesFrom(id).filter(one => one.signal === signal)
      const targets = pipelines.map(one => need(this.#pipelines, one.id, 'pipeline'))
      this.#sources.set(`${id} ${signal}`, new Source(books, targets, this.#process.journal))
    }
    const source = (signal: Signal): Source => need(this.#sources, `${id} ${signal}`, 'receiver')
    const lifecycle = definition.create(config as never, {
      ...context,
      signals,
      push: batch => source(batch.signal).push(batch),
      books: (signal: Signal): NodeBooks => source(signal).books,
      door: (transport, refusals) => {
        this.#process.books.doors.push({ receiver: id, transport, refusals })
        // So that there is a count from the beginning, of nothing.
        for (const signal of signals) source(signal).books.answersTo(transport)
      },
    })
    this.#receivers.push({
      kind: 'receiver',
      id,
      type: definition.type,
      pipeline: undefined,
      status: context.status,
      lifecycle,
    })
  }

  /** Pipelines that begin with this receiver or connector. */
  #pipelinesFrom(id: string): ConfiguredPipeline[] {
    return this.#configured.pipelines.filter(one => one.receivers.includes(id))
  }

  #signalsOf(id: string, ids: (pipeline: ConfiguredPipeline) => readonly string[]): Set<Signal> {
    const using = this.#configured.pipelines.filter(pipeline => ids(pipeline).includes(id))
    return new Set(allSignals.filter(signal => using.some(pipeline => pipeline.signal === signal)))
  }
}

function need<T>(map: ReadonlyMap<string, T>, id: string, what: string): T {
  const found = map.get(id)
  if (found === undefined)
    throw new InternalError(`the checked configuration names ${what} ${id}, which it does not have`)
  return found
}

async function startPart({ kind, id, status, lifecycle }: Part): Promise<void> {
  status.set('Starting')
  try {
    await lifecycle.start?.()
  } catch (error) {
    status.set('FatalError', messageOf(error))
    throw new Error(`failed to start ${kind} ${id}: ${messageOf(error)}`, { cause: error })
  }
  // Unless it has something to tell of itself already.
  if (status.state === 'Starting') status.set('OK')
}

/** A part that does not stop in time, or fails to, keeps nobody else from stopping. */
async function stopPart({ kind, id, status, lifecycle }: Part, end: number, log: Logger): Promise<void> {
  status.set('Stopping')
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<'late'>(
      resolve => (timer = setTimeout(() => resolve('late'), Math.max(0, end - Date.now()))),
    )
    const stopped = Promise.resolve(lifecycle.stop?.()).then(() => 'stopped' as const)
    if ((await Promise.race([stopped, late])) === 'late') log.warn({ kind, id }, 'did not stop within the deadline')
  } catch (error) {
    log.warn({ kind, id, error: messageOf(error) }, 'failed to stop')
  } finally {
    clearTimeout(timer)
  }
  status.set('Stopped')
}
