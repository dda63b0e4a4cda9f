/** One process: what it offers to components, the graph, the admin server; started and stopped in order. */
import { Account } from '../core/account.ts'
import { Books } from '../core/books.ts'
import { Budget, budgetKey } from '../core/budget.ts'
import { chronicleKey } from '../core/chronicle.ts'
import { machineClock } from '../core/clock.ts'
import { type Health, healthKey, type RunningComponent } from '../core/health.ts'
import { Host } from '../core/host.ts'
import { Journal } from '../core/journal.ts'
import type { Logger } from '../core/logger.ts'
import { MemoryPlan, memoryPlanKey } from '../core/memory.ts'
import { Senders, sendersKey } from '../core/senders.ts'
import { Suspects, suspectsKey } from '../core/standing.ts'
import { readAhead } from '../net/admission.ts'
import { Listeners, listenersKey } from '../net/listeners.ts'
import { ownFamilies } from '../telemetry/families.ts'
import type { MetricSources } from '../telemetry/family.ts'
import { createMetricsPage } from '../telemetry/metrics.ts'
import { encodeMetric } from '../telemetry/otlp-write.ts'
import { SelfReport, selfReportKey } from '../telemetry/self-report.ts'
import { BatchTracer } from '../telemetry/tracer.ts'
import { tokenAccess } from './access.ts'
import { type Admin, startAdmin } from './admin.ts'
import type { Deed } from './admin-pages.ts'
import { type AnyRoute, apiRoutes, detailOf } from './api.ts'
import { configRoutes, reloadDocument } from './config-api.ts'
import { connectionRoutes } from './connection-pages.ts'
import { ProcessMeter } from './figures.ts'
import { Losses } from './losses.ts'
import { leastWindows, MemoryWatch, surveyMemory } from './memory.ts'
import { OwnExports } from './own-exports.ts'
import { type NamedStorage, storageStatus } from './queue-pages.ts'
import { needs } from './needs.ts'
import { OrphanExpiry } from './orphans.ts'
import { type PipelineDocument, pipelineDocuments } from './pipeline-pages.ts'
import { profileRoutes } from './profile-pages.ts'
import { Outlook } from './outlook.ts'
import { Queues } from './queues.ts'
import { quietComponents } from './quiet.ts'
import { Rates } from './rates.ts'
import { retryRoute } from './retry.ts'
import { type Reloadable, type ReloadOutcome, type ReloadRequest, Reloads } from './reloads.ts'
import { Sends } from './send.ts'
import { senderRoutes } from './sender-pages.ts'
import type { RunningGraph, ServicePlan } from './service-plan.ts'
import { stateLine } from './state-line.ts'
import { lossesOf, statusDocument } from './status.ts'
import { TapPages } from './tap.ts'
import { Telling } from './telling.ts'

/** Whether it says what it runs, and can run something else. */
const canReload = (graph: RunningGraph): graph is RunningGraph & Reloadable =>
  graph.plan !== undefined && graph.prepare !== undefined

/** Where a service is in its life. */
export type Phase = 'created' | 'starting' | 'running' | 'stopping' | 'stopped'

/** One running configuration. */
export class Service {
  readonly books = new Books()
  readonly budget = new Budget(0)
  readonly #journalAccount = new Account(this.budget, 'service', 'journal')
  readonly #senders: Senders
  readonly #telling: Telling
  readonly #suspects = new Suspects(machineClock, new Account(this.budget, 'service', 'suspects'))
  readonly journal = new Journal(this.#journalAccount)
  readonly memory: MemoryPlan
  readonly #plan: ServicePlan
  readonly #log: Logger
  readonly #listeners = new Listeners()
  readonly #meter = new ProcessMeter()
  readonly #watch: MemoryWatch
  readonly #rates: Rates
  readonly #outlook: Outlook
  readonly #losses = new Losses(this.books, this.journal, this.budget)
  readonly #report: SelfReport
  readonly #exports: OwnExports
  readonly #queues: Queues
  readonly #taps: TapPages
  readonly #expiry: OrphanExpiry
  readonly #created = Date.now()
  readonly #reloads: Reloads | undefined
  #graph: RunningGraph | undefined
  #admin: Admin | undefined
  /** Metrics and health, where the rest is elsewhere. */
  #metricsServer: Admin | undefined
  #phase: Phase = 'created'
  #faults = 0

  constructor(plan: ServicePlan) {
    this.#plan = plan
    this.#log = plan.log.child('service')
    this.memory = new MemoryPlan(this.budget, surveyMemory())
    this.#watch = new MemoryWatch(this.memory, this.budget, this.#log, { windows: () => this.#windows() })
    const { version, logs, clock = machineClock } = plan
    this.#telling = new Telling({
      version,
      logs,
      clock,
      components: () => this.#graph?.components ?? [],
      storages: () => this.#storages(),
    })
    this.#senders = new Senders(this.budget, clock, this.#log, this.#telling.chronicle)
    this.#rates = new Rates(this.books)
    this.#outlook = new Outlook(this.books, this.#rates, () => this.#storages())
    const { report = new SelfReport({}, plan.version), exports = [], sampling } = plan.own ?? {}
    this.#report = report
    this.#exports = new OwnExports(exports, report, plan.log)
    if (sampling !== undefined && sampling.ratio > 0) this.journal.tracer = new BatchTracer(report, sampling)
    if (plan.admin.metrics) report.metrics = () => this.#metricItems()
    this.#queues = new Queues({
      books: this.books,
      journal: this.journal,
      budget: this.budget,
      log: this.#log,
      storages: () => this.#storages(),
      pipelines: () => this.#graph?.pipelines ?? [],
      entrance: (pipeline, from) => this.#taking?.entrance?.(pipeline, from),
      exporterEntrance: (exporter, from) => this.#taking?.exporterEntrance?.(exporter, from),
    })
    this.#taps = new TapPages({ on: plan.admin.tap ?? true, log: this.#log, graph: () => this.#taking })
    this.#expiry = new OrphanExpiry({ books: this.books, log: this.#log, storages: () => this.#storages() })
    this.#reloads =
      plan.reload &&
      new Reloads({
        ...plan.reload,
        log: plan.log,
        running: () => this.#reloadable(),
        applied: () => this.#quieten(),
        ended: () => this.#queues.reportOrphans(),
        reloaded: (last, hash) => this.#telling.reloaded(last, hash),
      })
  }

  get phase(): Phase {
    return this.#phase
  }

  /** Where the admin server listens. */
  get adminAddress(): string | undefined {
    return this.#admin?.address
  }

  /** Where metrics are served. */
  get metricsAddress(): string | undefined {
    return (this.#metricsServer ?? this.#admin)?.address
  }

  /** Counts a fault of Kymo itself. */
  countFault(): void {
    this.#faults++
    this.#telling.fault()
  }

  /** Starts everything. What goes wrong is thrown, and what had started is stopped again. */
  async start(): Promise<void> {
    this.#phase = 'starting'
    this.#telling.starting()
    try {
      // First, so that health can be asked for while the rest starts.
      await this.#startAdmin()
      const host = new Host()
        .provide(budgetKey, this.budget)
        .provide(memoryPlanKey, this.memory)
        .provide(listenersKey, this.#listeners)
        .provide(healthKey, this.#health())
        .provide(selfReportKey, this.#report)
        .provide(suspectsKey, this.#suspects)
        .provide(sendersKey, this.#senders)
        .provide(chronicleKey, this.#telling.chronicle)
      const { log } = this.#plan
      await this.#exports.start()
      this.#graph = this.#plan.graph({
        host,
        log,
        books: this.books,
        journal: this.journal,
        onStatus: (component, status, from) => {
          stateLine(this.#log, component, status, from)
          this.#telling.state(component, status, from)
        },
      })
      this.#quieten()
      await this.#graph.start()
    } catch (error) {
      await this.stop(1000)
      throw error
    }
    this.#watch.start()
    this.#rates.start()
    this.#outlook.start()
    this.#losses.start()
    this.#phase = 'running'
    this.#announce()
    this.#queues.reportOrphans()
    this.#expiry.start()
  }

  /** Takes over another configuration, or says why not. */
  async reload(request: ReloadRequest): Promise<ReloadOutcome> {
    if (this.#reloads === undefined)
      return { result: 'refused', errors: [{ message: 'there is nothing to reload from' }] }
    return this.#reloads.request(request)
  }

  /** The graph, while it takes data. */
  get #taking(): RunningGraph | undefined {
    return this.#phase === 'running' ? this.#graph : undefined
  }

  #reloadable(): Reloadable | undefined {
    const graph = this.#graph
    return this.#phase === 'running' && graph !== undefined && canReload(graph) ? graph : undefined
  }

  /** Own telemetry tells nothing about what it passes itself. */
  #quieten(): void {
    if (this.#graph?.plan !== undefined) this.#report.quiet = quietComponents(this.#graph.plan)
  }

  /** Stops from the front to the back within `deadline` milliseconds. Resolves to the number of items lost. */
  async stop(deadline: number): Promise<{ lost: number }> {
    this.#phase = 'stopping'
    this.#telling.stopping(deadline)
    this.memory.keep()
    this.#queues.stopReplay()
    this.#expiry.stop()
    const { lost } = (await this.#graph?.stop(deadline)) ?? { lost: 0 }
    this.#watch.stop()
    this.#meter.stop()
    this.#rates.stop()
    this.#outlook.stop()
    this.#losses.stop()
    if (lost > 0) this.#log.error({ items: lost, by: lossesOf(this.books) }, 'stopped; not all could be delivered')
    this.#taps.stop()
    await this.#exports.stop(deadline)
    await Promise.all([this.#admin?.close(), this.#metricsServer?.close()])
    await this.#listeners.close()
    this.#journalAccount.close()
    this.#suspects.close()
    this.#senders.close()
    this.#phase = 'stopped'
    return { lost }
  }

  /** What extensions are told. */
  #health(): Health {
    return {
      version: this.#plan.version,
      started: this.#created,
      phase: () => this.#phase,
      ready: () => this.#phase === 'running',
      components: () => this.#graph?.components ?? [],
      pipelines: () => this.#graph?.pipelines ?? [],
    }
  }

  /** The status document. */
  status(): object {
    const signs = {
      books: this.books,
      budget: this.budget,
      components: this.#graph?.components ?? [],
      queues: this.#graph?.exporters() ?? [],
      outlook: this.#outlook,
      orphans: this.#queues.orphans(),
      said: (how: 'lost' | 'rejected') => detailOf(this.journal, how),
      faults: this.#faults + this.books.internalFaults,
    }
    const senders = { shortages: this.#senders.shortages.list(), dismissals: this.#senders.dismissals.list() }
    return statusDocument({
      ...signs,
      version: this.#plan.version,
      phase: this.#phase,
      started: this.#created,
      figures: this.#meter.read(),
      plan: this.memory,
      pipelines: this.#pipelines(signs.components),
      storages: this.#storages().map(one => storageStatus(one, this.#outlook)),
      needs: needs({
        ...signs,
        ...senders,
        storages: this.#storages(),
        lastReload: this.#reloads?.last,
        phase: this.#phase,
        pace: node => this.#rates.of(node, 60_000, Date.now()),
      }),
      shortages: senders.shortages,
      ...(this.#reloads === undefined ? {} : { config: reloadDocument(this.#reloads) }),
    })
  }

  #pipelines(components: readonly RunningComponent[]): readonly PipelineDocument[] {
    const pipelines = this.#graph?.pipelines ?? []
    return pipelineDocuments({ pipelines, components, books: this.books, rates: this.#rates })
  }

  #storages(): readonly NamedStorage[] {
    return this.#graph?.storages?.() ?? []
  }

  #metricSources(): MetricSources {
    return {
      books: this.books,
      budget: this.budget,
      memory: this.memory,
      version: this.#plan.version,
      process: () => this.#meter.read(),
      exporters: () => this.#graph?.exporters() ?? [],
      components: () => this.#graph?.components ?? [],
      faults: () => this.#faults + this.books.internalFaults,
      journal: this.journal,
      connections: () => this.#listeners.connections,
      untold: this.#report.dropped,
      storages: () => this.#storages(),
      config: this.#reloads,
    }
  }

  #metricItems(): readonly Buffer[] {
    const sources = this.#metricSources()
    const times = { start: this.#created, now: Date.now() }
    return ownFamilies.flatMap(family => encodeMetric(family, sources, times) ?? [])
  }

  /** What peers may have sent unasked: of each connection no more waits than one read of it. */
  #windows(): number {
    return Math.max(leastWindows, this.#listeners.connections * readAhead)
  }

  async #startAdmin(): Promise<void> {
    const { endpoint, metrics, apart = endpoint, names = [] } = this.#plan.admin
    const reloads = this.#reloads
    const common = {
      access: this.#plan.access ?? tokenAccess({}),
      names,
      metrics: metrics ? createMetricsPage(ownFamilies, this.#metricSources()) : undefined,
      ready: () => ({ ready: this.#phase === 'running', phase: this.#phase }),
    }
    const pages = {
      ...common,
      status: () => this.status(),
      done: (deed: Deed) => this.#telling.done(deed),
      routes: [
        ...(reloads === undefined ? [] : configRoutes(reloads)),
        ...apiRoutes({
          journal: this.journal,
          books: this.books,
          rates: this.#rates,
          outlook: this.#outlook,
          pipelines: () => this.#graph?.pipelines ?? [],
          components: () => this.#graph?.components ?? [],
          exporters: () => this.#graph?.exporters() ?? [],
        }),
        ...senderRoutes(this.#senders, this.books),
        ...this.#losses.routes,
        ...this.#queues.routes,
        ...this.#taps.routes,
        ...this.#sendRoutes(),
        ...this.#telling.routes,
        ...profileRoutes(machineClock),
        retryRoute(() => this.#graph?.exporters() ?? [], machineClock),
        ...connectionRoutes(() => this.#taking?.plan),
      ],
    }
    this.#admin = await startAdmin(apart, pages, this.#listeners)
    // Who wants no metrics needs no second address.
    if (apart !== endpoint && metrics) this.#metricsServer = await startAdmin(endpoint, common, this.#listeners)
  }

  #sendRoutes(): readonly AnyRoute[] {
    const { journal, books, budget } = this
    const { chronicle } = this.#telling
    return new Sends({ journal, books, budget, chronicle, version: this.#plan.version, graph: () => this.#taking })
      .routes
  }

  #announce(): void {
    const { hard, tight } = this.memory
    const milliseconds = Math.round(performance.now())
    const place = this.adminAddress ?? ''
    const admin = place.startsWith('unix:') ? place : `http://${place}`
    const metrics = this.#metricsServer === undefined ? {} : { metrics: `http://${this.#metricsServer.address}` }
    const fields = { admin, ...metrics, milliseconds, memory_limit: hard, budget: this.budget.limit }
    this.#log.info(fields, 'everything is ready; taking data')
    this.#telling.ready({ milliseconds })
    if (tight) {
      this.#log.warn(
        { limit: hard, least: this.budget.limit },
        'the memory limit leaves less than data needs; raise it, or expect senders to be asked to come again',
      )
    }
  }
}
