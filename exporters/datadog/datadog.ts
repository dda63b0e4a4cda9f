import { Account } from '../../core/account.ts'
import type { Batch } from '../../core/batch.ts'
import type { Checkable } from '../../core/check.ts'
import { type Attempt, defineExporter, type Exporter, type ExporterContext, type Sent } from '../../core/component.ts'
import { Kept } from '../../core/kept.ts'
import type { Touch } from '../../core/touch.ts'
import { allSignals } from '../../proto/signals.ts'
import { intakeChecks } from './check.ts'
import { KeyCheck } from './api-key.ts'
import { config, type DatadogConfig } from './config.ts'
import { HostMetadata } from './host-metadata.ts'
import { Intake } from './intake.ts'
import { DatadogLogs } from './logs.ts'
import { KnownSeries } from './metric-mapping.ts'
import { DatadogMetrics } from './metrics.ts'
import { DatadogTraces } from './traces.ts'

/** Datadog. */
export const datadogExporter = defineExporter<DatadogConfig>({
  type: 'datadog',
  stability: 'alpha',
  runs: { logs: 'each', metrics: { by: 'series' }, traces: 'each' },
  summary: "Sends logs, metrics, traces and APM stats to Datadog's intakes.",
  signals: allSignals,
  // Differences of counters need their points in order.
  ordering: { logs: 'none', metrics: 'series', traces: 'none' },
  config,
  examples: [
    { title: 'An account in Europe', config: { api: { key: '${env:DD_API_KEY}', site: 'datadoghq.eu' } } },
    {
      title: 'Counts and sums of histograms, and all resource attributes as tags',
      config: {
        api: { key: '${env:DD_API_KEY}' },
        metrics: { resource_attributes_as_tags: true, histograms: { send_aggregation_metrics: true } },
      },
    },
  ],
  touches() {
    return touches
  },
  create(config, context) {
    return new Datadog(config, context)
  },
})

const touches: readonly Touch[] = [
  { depth: 'item', does: 'reads', key: 'api', what: "everything, to write it in Datadog's formats" },
]

class Datadog implements Exporter {
  readonly #config: DatadogConfig
  readonly #context: ExporterContext
  /** That of traces and APM stats. */
  readonly #intake: Intake
  readonly #metricsIntake: Intake
  readonly #logs: DatadogLogs
  readonly #metrics: DatadogMetrics
  readonly #traces: DatadogTraces
  #kept: Kept<KnownSeries>
  readonly #key: KeyCheck
  readonly #metadata: HostMetadata | undefined

  constructor(config: DatadogConfig, context: ExporterContext) {
    this.#config = config
    this.#context = context
    this.#intake = new Intake(config, context)
    this.#logs = new DatadogLogs(config, context)
    this.#metricsIntake = new Intake(config, context, 'zstd')
    const account = new Account(this.#intake.push.budget, 'exporter', context.id)
    const known = new KnownSeries(config.metrics.delta_ttl * 1000, () => context.clock.now(), account)
    this.#kept = new Kept(known, account, this)
    this.#metrics = new DatadogMetrics(this.#metricsIntake, this.#intake, known)
    this.#traces = new DatadogTraces(this.#intake)
    this.#key = new KeyCheck(this.#intake)
    if (config.host_metadata.enabled) this.#metadata = new HostMetadata(this.#intake)
  }

  async start(): Promise<void> {
    this.#intake.push.start()
    this.#metricsIntake.push.start()
    this.#logs.start()
    await this.#key.start()
  }

  run(): void {
    this.#metadata?.start()
  }

  /** What counters said last: their differences go on with it, whatever else is configured anew. */
  leave(): Kept<KnownSeries> {
    return this.#kept
  }

  adopt(state: unknown): boolean {
    if (!(state instanceof Kept) || !(state.known instanceof KnownSeries)) return false
    state.handTo(this)
    this.#kept = state
    this.#metrics.adopt(state.known)
    return true
  }

  fits(batch: Batch): boolean {
    if (this.#config.only_metadata) return true
    switch (batch.signal) {
      case 'logs':
        return this.#logs.fits(batch)
      case 'metrics':
        return this.#metrics.fits(batch)
      case 'traces':
        return this.#traces.fits(batch)
    }
  }

  async send(batch: Batch, attempt: Attempt): Promise<Sent | undefined> {
    this.#metadata?.see(batch)
    if (this.#config.only_metadata) {
      return { rejected: batch.items, message: '`only_metadata` is set', reasons: { only_metadata: batch.items } }
    }
    switch (batch.signal) {
      case 'logs':
        return this.#logs.send(batch, attempt)
      case 'metrics':
        return this.#metrics.send(batch, attempt)
      case 'traces':
        return this.#traces.send(batch, attempt)
    }
  }

  check(): readonly Checkable[] {
    return intakeChecks(this.#intake, this.#context.signals)
  }

  async stop(): Promise<void> {
    this.#key.stop()
    this.#metadata?.stop()
    this.#kept.release(this)
    await Promise.all([this.#intake.push.stop(), this.#metricsIntake.push.stop(), this.#logs.stop()])
  }
}
