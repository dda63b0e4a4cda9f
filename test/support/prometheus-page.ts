/** A page to put metrics on, and requests to do so with. */
import { Ingest } from '../../exporters/prometheus/ingest.ts'
import { namingOf } from '../../exporters/prometheus/naming.ts'
import type { PageWriter } from '../../exporters/prometheus/families.ts'
import { TextPage } from '../../exporters/prometheus/page.ts'
import { prometheus, type PrometheusConfig } from '../../exporters/prometheus/prometheus.ts'
import { ProtobufPage } from '../../exporters/prometheus/protobuf-page.ts'
import { Table } from '../../exporters/prometheus/table.ts'
import type { Batch } from '../../core/batch.ts'
import type { Sent } from '../../core/component.ts'
import { metricName } from '../../backends/prometheus/names.ts'
import { pageFormat } from '../../backends/prometheus/text-format.ts'
import type { Room } from '../../proto/room.ts'
import { batchOf } from './exporting.ts'
import { encode } from './otlp.ts'

/** Attributes as OTLP has them. */
export const attributes = (values: Readonly<Record<string, string>>): object[] =>
  Object.entries(values).map(([key, value]) => ({ key, value: { string_value: value } }))

/** What stands around metrics. */
export interface Around {
  readonly resource?: Readonly<Record<string, string>>
  readonly scope?: object
  readonly schemaUrl?: string
}

/** A request of these metrics. */
export function metricsRequest(metrics: readonly object[], { resource = {}, scope, schemaUrl }: Around = {}): Buffer {
  return encode('ExportMetricsServiceRequest', {
    resource_metrics: [
      {
        resource: { attributes: attributes(resource) },
        scope_metrics: [{ ...(scope && { scope }), metrics, ...(schemaUrl && { schema_url: schemaUrl }) }],
      },
    ],
  })
}

/** Accept headers by format. */
export const accepting = {
  text: 'text/plain;version=0.0.4',
  openMetrics: 'application/openmetrics-text;version=1.0.0',
  protobuf: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
} as const

const bytesOf = (pieces: PageWriter): Buffer => Buffer.concat([...pieces].filter(piece => piece !== undefined))

/** A table with what fills and shows it. */
export class TestPage {
  readonly table: Table
  readonly #ingest: Ingest
  readonly #config: PrometheusConfig

  /** `room`: where memory is taken for what the table keeps. */
  constructor(settings: object = {}, room?: Room) {
    this.#config = prometheus.config.parse({
      endpoint: 'localhost:0',
      without_scope_info: true,
      enable_open_metrics: true,
      ...settings,
    })
    this.table = new Table([this.infoName], room)
    this.table.limit = this.#config.series_limit
    this.table.expiration = this.#config.metric_expiration
    this.#ingest = new Ingest(this.table, namingOf(this.#config))
  }

  private get infoName(): string {
    const { strategy, namespace } = namingOf(this.#config)
    return metricName('target_info', '', 'gauge', strategy, namespace)
  }

  /** Takes a request, or the metrics of one. */
  take(what: Buffer | readonly object[], now = 1000, around: Around = {}): Sent | undefined {
    const body = Buffer.isBuffer(what) ? what : metricsRequest(what, around)
    return this.takeBatch(batchOf(body, 'metrics'), now)
  }

  takeBatch(batch: Batch, now = 1000): Sent | undefined {
    const steps = this.steps(batch, now)
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    return step.value
  }

  /** The same, one step after the other. */
  steps(batch: Batch, now = 1000): Generator<undefined, Sent | undefined> {
    return this.#ingest.take(batch, now)
  }

  /** Takes what was not heard of for too long off the page. */
  expire(now: number): void {
    for (const _ of this.#ingest.expire(now));
  }

  /** The same without the lookups, which know it still. */
  expireTable(now: number): void {
    for (const _ of this.table.expire(now));
  }

  /** The page for a reader that sends `accept`. */
  text(accept: string = accepting.text): string {
    const { strategy } = namingOf(this.#config)
    const format = pageFormat(accept, { openMetrics: true, protobuf: false })
    const settings = { strategy, infoName: this.infoName, withTimestamps: this.#config.send_timestamps }
    const source = { table: this.table, format, settings }
    return bytesOf(new TextPage(source).write()).toString()
  }

  /** The page of messages, for a reader that takes names escaped so. */
  protobuf(escaping = 'allow-utf-8'): Buffer {
    const { strategy } = namingOf(this.#config)
    const format = pageFormat(`${accepting.protobuf};escaping=${escaping}`, { openMetrics: true, protobuf: true })
    const settings = { strategy, infoName: this.infoName, withTimestamps: this.#config.send_timestamps }
    return bytesOf(new ProtobufPage({ table: this.table, format, settings }).write())
  }
}
