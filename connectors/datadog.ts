import { Observable, type Subscriber } from 'rxjs'
import * as z from 'zod'
import { Account } from '../core/account.ts'
import type { Batch } from '../core/batch.ts'
import { budgetKey } from '../core/budget.ts'
import type { Timer } from '../core/clock.ts'
import { type ConnectorContext, defineConnector, type Step } from '../core/component.ts'
import { messageOf } from '../core/errors.ts'
import { duration, int, texts } from '../core/fields.ts'
import { patterns } from '../core/pattern-field.ts'
import { nobody, ownBatch } from '../core/own-batch.ts'
import { unused } from '../net/client-keys.ts'
import { SpanStats } from '../backends/datadog/stats-spans.ts'
import { statsRequest } from '../backends/datadog/stats.ts'
import { containerTags } from '../backends/datadog/tags.ts'
import { ownNames } from '../backends/datadog/traces-group.ts'
import { compilePattern } from '../proto/pattern.ts'

const traces = z
  .strictObject({
    ignore_resources: patterns()
      .default([])
      .describe('Spans with a resource name that one of these regular expressions matches are not counted.'),
    span_name_remappings: z
      .record(z.string().min(1), z.string().min(1))
      .default({})
      .describe("Names for operations in place of Datadog's own; set the same in the exporter."),
    span_name_as_resource_name: z
      .boolean()
      .default(false)
      .describe("A span's name is its operation's; set the same in the exporter."),
    compute_stats_by_span_kind: z
      .boolean()
      .default(true)
      .describe(
        'All spans of kind server, client, consumer and producer are counted. Off: only those at the top of a service.',
      ),
    compute_top_level_by_span_kind: z
      .boolean()
      .default(false)
      .describe(
        'Root spans and spans of kind server or consumer are at the top of a service; set the same in the exporter. ' +
          'Off: spans whose parent is of another service, or not in the same request.',
      ),
    peer_tags_aggregation: z
      .boolean()
      .default(true)
      .describe('Peers (databases, queues, other services) are told apart in the stats of those who call them.'),
    peer_service_aggregation: unused('`peer_tags_aggregation` has taken its place.').optional(),
    peer_tags: texts().default([]).describe('Attributes that name a peer, besides those that Datadog knows.'),
    resource_attributes_as_container_tags: texts()
      .default([])
      .describe('Attributes of the resource that stats have as tags of the container, such as `cloud.region`.'),
    bucket_interval: duration({ min: 1000 })
      .prefault('10s')
      .describe('Length of a bucket of time, and how often those that are over are handed on.'),
    max_groups: int(100)
      .default(20_000)
      .describe(
        'How many combinations of service, operation, resource and so on are counted apart in a bucket. What is more, or ' +
          'finds no memory, is counted under `agent_blocked_value` in place of its resource.',
      ),
    trace_buffer: unused('spans are counted when they come.').optional(),
  })
  .prefault({})
  .describe('How spans are counted.')

const config = z.strictObject({ traces })
type Config = z.output<typeof config>

/** APM stats for Datadog. */
export const datadogConnector = defineConnector<Config>({
  type: 'datadog',
  stability: 'alpha',
  runs: 'each',
  summary: "Counts spans for Datadog's service pages, which stay empty without it, and hands traces on.",
  signals: ['traces'],
  joins: [
    ['traces', 'metrics'],
    ['traces', 'traces'],
  ],
  hold: 'none',
  config,
  examples: [
    { title: 'In front of whatever samples', config: {} },
    {
      title: 'Tops of services by kind of span, health checks not counted',
      config: { traces: { compute_top_level_by_span_kind: true, ignore_resources: ['^GET /health'] } },
    },
  ],
  touches() {
    return [{ depth: 'item', does: 'reads', key: '', what: 'ids, times, kind, status and attributes of each span' }]
  },
  create(config, context) {
    // Both parts see the same spans; those that are handed on stay as they are.
    return context.emits === 'traces' ? source => source : statsStep(config, context)
  },
})

function statsStep(config: Config, context: ConnectorContext): Step {
  return source =>
    new Observable<Batch>(subscriber => {
      const stats = new Stats(config, context, subscriber)
      const subscription = source.subscribe({
        next: batch => stats.add(batch),
        error: error => subscriber.error(error),
        complete: () => {
          stats.flush(true)
          subscriber.complete()
        },
      })
      return () => {
        subscription.unsubscribe()
        stats.close()
      }
    })
}

class Stats {
  readonly #context: ConnectorContext
  readonly #subscriber: Subscriber<Batch>
  readonly #spans: SpanStats
  readonly #account: Account
  readonly #timer: Timer
  /** What was said of before. */
  #overflowed = 0
  #unreadable = 0

  constructor({ traces }: Config, context: ConnectorContext, subscriber: Subscriber<Batch>) {
    this.#context = context
    this.#subscriber = subscriber
    this.#account = new Account(context.host.find(budgetKey), 'connector', context.id)
    const wanted = traces.resource_attributes_as_container_tags
    this.#spans = new SpanStats(
      {
        names: ownNames(traces.span_name_as_resource_name, traces.span_name_remappings),
        topLevelByKind: traces.compute_top_level_by_span_kind,
        ignored: traces.ignore_resources.map(compilePattern),
        byKind: traces.compute_stats_by_span_kind,
        peerTags: traces.peer_tags_aggregation ? traces.peer_tags : undefined,
        interval: traces.bucket_interval,
        mostGroups: traces.max_groups,
        containerTags: new Set(wanted.map(name => containerTags.get(name) ?? name)),
      },
      context.clock.wall(),
      this.#account,
    )
    this.#timer = context.clock.every(traces.bucket_interval, () => this.flush(false))
  }

  /** Counts the spans of a batch, which ends here. */
  add(batch: Batch): void {
    try {
      this.#spans.add(batch.groups, this.#context.clock.wall())
    } catch (error) {
      // What is derived never refuses what it is derived from.
      this.#context.log.error({ error: messageOf(error), items: batch.items }, 'the spans of a batch are not counted')
    }
    this.#context.consume(batch)
  }

  /** Hands on what is over; `all`: what is not, too. */
  flush(all: boolean): void {
    const now = this.#context.clock.wall()
    this.#tell()
    const payloads = this.#spans.flush(now, all)
    if (payloads.length === 0) return
    const bytes = statsRequest(payloads, now)
    const made = ownBatch(this.#context.host.get(budgetKey), 'metrics', bytes, nobody)
    if (made !== undefined) this.#subscriber.next(made)
  }

  #tell(): void {
    const { overflowed, unreadable } = this.#spans
    const { log } = this.#context
    if (overflowed > this.#overflowed) {
      const spans = overflowed - this.#overflowed
      log.warn(
        { spans },
        'more groups than `traces.max_groups` or memory for them: spans were counted without their resource',
      )
    }
    if (unreadable > this.#unreadable) {
      log.warn({ spans: unreadable - this.#unreadable }, 'spans that cannot be read are not counted')
    }
    this.#overflowed = overflowed
    this.#unreadable = unreadable
  }

  close(): void {
    this.#timer.cancel()
    this.#account.close()
  }
}
