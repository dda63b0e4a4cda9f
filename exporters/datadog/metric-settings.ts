/** What of the configuration the mapping of metrics depends on. */
import type { DatadogConfig } from './config.ts'

/** Settings in the words of the mapping. */
export interface MetricSettings {
  readonly histograms: DatadogConfig['metrics']['histograms']['mode']
  /** `.count`, `.sum`, `.min` and `.max` of histograms. */
  readonly aggregations: boolean
  readonly quantiles: boolean
  /** Counters are sent as what they say, not as differences. */
  readonly raw: boolean
  readonly initial: 'auto' | 'drop' | 'keep'
  /** Milliseconds for which series are known. */
  readonly lifetime: number
  /** When this process started, in nanoseconds: what began to count later is counted from its beginning. */
  readonly since: number
}

/** The settings that a configuration says. */
export function metricSettings({ metrics }: DatadogConfig): MetricSettings {
  const { histograms, sums, summaries, delta_ttl } = metrics
  return {
    histograms: histograms.mode,
    aggregations: histograms.send_aggregation_metrics,
    quantiles: summaries.mode === 'gauges',
    raw: sums.cumulative_monotonic_mode === 'raw_value',
    initial: sums.initial_cumulative_monotonic_value ?? 'auto',
    lifetime: delta_ttl * 1000,
    since: performance.timeOrigin * 1e6,
  }
}

/** Whether the first value of a series that began to count at `start` is all counted. */
export function countsFirst({ initial, since }: MetricSettings, start: number, time: number): boolean {
  return initial === 'keep' || (initial === 'auto' && start > since && start !== time)
}
