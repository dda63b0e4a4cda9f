/** What a scraper of `host_metrics` is: the metrics it can take, the keys it has, and how it takes them. */
import * as z from 'zod'
import type { Clock } from '../../core/clock.ts'
import {
  type Attributes,
  encodeNumberMetric,
  encodeResourceGroup,
  type NumberMetric,
  type NumberPoint,
} from '../../proto/metric-write.ts'
import type { HostFiles } from './host-files.ts'

/** What is known of a metric before it is taken. */
export interface MetricDeclaration {
  readonly description: string
  readonly unit: string
  readonly kind: NumberMetric['kind']
  /** Values are doubles. */
  readonly fractional?: true
  /** Taken only where it is switched on. */
  readonly optional?: true
}

/** Metrics by name. */
export type HostMetricTable = Readonly<Record<string, MetricDeclaration>>

/** Metrics that are switched on or off, by name. */
export type MetricSwitches = Readonly<Record<string, { readonly enabled: boolean }>>

/** Versions of the semantic conventions that these names are of, as the Collector says them. */
const schemaUrl = 'https://opentelemetry.io/schemas/1.9.0'
/** Scopes are named as the Collector names them: what looks for its data finds ours. */
const scopePrefix =
  'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver/internal/scraper/'

/** Times of one scrape, in milliseconds since the epoch. */
export interface ScrapeTimes {
  /** When the machine, or the process, was started; undefined where nobody says. */
  readonly start: number | undefined
  readonly now: number
}

/** What one scrape has found of one resource. */
export class Readings<Name extends string = string> {
  readonly #table: HostMetricTable
  readonly #switches: MetricSwitches
  readonly #points = new Map<string, NumberPoint[]>()

  constructor(table: HostMetricTable, switches: MetricSwitches) {
    this.#table = table
    this.#switches = switches
  }

  /** Whether any of them is switched on. */
  wants(...names: readonly Name[]): boolean {
    return names.some(name => this.#switches[name]?.enabled)
  }

  /** Notes a value, where the metric is switched on. What is no number was not to be had. */
  record(name: Name, value: number | undefined, attributes: Attributes = {}): void {
    if (value === undefined || !Number.isFinite(value) || !this.wants(name)) return
    const points = this.#points.get(name)
    if (points === undefined) this.#points.set(name, [{ attributes, value }])
    else points.push({ attributes, value })
  }

  /** As a resource group of OTLP; nothing where nothing was found. */
  encoded(scraper: string, resource: Attributes, { start, now }: ScrapeTimes): Buffer {
    const items = Array.from(this.#points, ([name, points]) => {
      const declaration = this.#table[name]
      if (declaration === undefined) throw new Error(`${name} is declared nowhere`)
      const { description, unit, kind, fractional = false } = declaration
      const since = kind === 'gauge' ? undefined : start
      return encodeNumberMetric({ name, description, unit, kind, fractional, start: since, now, points })
    })
    if (items.length === 0) return Buffer.alloc(0)
    return encodeResourceGroup(resource, [{ name: `${scopePrefix}${scraper}scraper`, version: '', items }], schemaUrl)
  }
}

/** What a scrape is given. */
export interface Scrape<Name extends string> {
  readonly files: HostFiles
  readonly clock: Clock
  readonly times: ScrapeTimes
  readonly switches: MetricSwitches
  /** What is told about the host as a whole. */
  readonly readings: Readings<Name>
  /** Tells of something else: a process. */
  add(resource: Attributes, readings: Readings<Name>, times: ScrapeTimes): void
  /** Something could not be read, and the rest goes on. `what` is the same for all that is alike. */
  failed(what: string, error: unknown): void
}

/** Takes the metrics once. @throws Error where none of them can be had */
export type TakeMetrics<Name extends string> = (scrape: Scrape<Name>) => Promise<void>

/** A scraper, whatever its keys and metrics. */
export interface Scraper {
  readonly name: string
  readonly metrics: HostMetricTable
  readonly schema: z.ZodType<{ readonly metrics: MetricSwitches }>
  /** Makes one of its settings, as `schema` gives them. */
  make(settings: unknown): TakeMetrics<string>
}

/** A scraper as it is written down. */
interface Written<Table extends HostMetricTable, Keys extends z.ZodRawShape> {
  readonly name: string
  readonly summary: string
  readonly metrics: Table
  readonly keys?: Keys
  create(settings: z.output<z.ZodObject<Keys>>): TakeMetrics<keyof Table & string>
}

/** Declares a scraper. */
export function defineScraper<Table extends HostMetricTable, Keys extends z.ZodRawShape>(
  written: Written<Table, Keys>,
): Scraper {
  const { name, summary, metrics, keys, create } = written
  const schema = z
    .preprocess(
      settings => settings ?? {},
      z.strictObject({
        metrics: switchesOf(metrics).prefault({}).describe('Metrics that are switched on or off.'),
        ...keys,
      }),
    )
    .describe(summary)
  return {
    name,
    metrics,
    schema,
    make: settings => create(settings as z.output<z.ZodObject<Keys>>),
  }
}

function switchesOf(metrics: HostMetricTable) {
  const each = Object.entries(metrics).map(([name, { description, optional = false }]) => {
    const enabled = z.boolean().default(!optional).describe('Whether it is taken.')
    return [name, z.strictObject({ enabled }).prefault({}).describe(description)] as const
  })
  return z.strictObject(Object.fromEntries(each))
}
