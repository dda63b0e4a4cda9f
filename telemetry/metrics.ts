/**
 * The page of Kymo's own metrics. Nothing is counted here: each family reads plain counters when the page is asked for,
 * so that the hot path pays nothing.
 */

/** One line of a metric. */
export interface Row {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What one value is made of those of several processes, for rows with equal labels. */
export type AddsUp =
  /** Together they have so much. */
  | 'sum'
  /** The largest says it for all. */
  | 'max'
  /** Neither means anything: each has a row of its own, with the label `worker`. */
  | 'each'

/** One metric: its name, what it says, and how it is read from `Sources`. */
export interface MetricFamily<Sources> {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly labels: readonly string[]
  /** How it adds up over several processes. */
  readonly adds: AddsUp
  /** Not only whole numbers. */
  readonly fractional?: boolean
  /** Rows with equal labels are added up. */
  read(sources: Sources): Iterable<Row>
}

/** A page in the Prometheus text format. */
export interface MetricsPage {
  readonly contentType: string
  readonly text: string
}

/** Makes the function that renders `families` as they stand when it is called. */
export function createMetricsPage<Sources>(
  families: readonly MetricFamily<Sources>[],
  sources: Sources,
): () => Promise<MetricsPage> {
  let registry: Promise<{ contentType: string; metrics(): Promise<string> }> | undefined
  return async () => {
    registry ??= register(families, sources)
    const { contentType, metrics } = await registry
    return { contentType, text: await metrics() }
  }
}

async function register<Sources>(families: readonly MetricFamily<Sources>[], sources: Sources) {
  // Loaded at the first scrape: a process that is never scraped does not pay for it.
  const { Gauge, Counter, Registry } = await import('@prometheus-io/client')
  const registry = new Registry()
  for (const { name, type, help, labels, read } of families) {
    const options = { name, help, labelNames: [...labels], registers: [registry] }
    if (type === 'counter') {
      const counter = new Counter({
        ...options,
        collect() {
          counter.reset()
          for (const row of read(sources)) counter.inc(row.labels, row.value)
        },
      })
    } else {
      const gauge = new Gauge({
        ...options,
        collect() {
          gauge.reset()
          for (const row of read(sources)) gauge.inc(row.labels, row.value)
        },
      })
    }
  }
  return { contentType: registry.contentType, metrics: () => registry.metrics() }
}
