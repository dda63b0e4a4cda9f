/** What may be set for the `datadog` exporter, with the Collector's keys. */
import * as z from 'zod'
import { credential, duration, int, type Secret, texts } from '../../core/fields.ts'
import { patterns } from '../../core/pattern-field.ts'
import { sending } from '../../core/sending.ts'
import { unused } from '../../net/client-keys.ts'
import { checkLevel, httpClient } from '../../net/http-client-keys.ts'
import type { Signal } from '../../proto/signals.ts'

const endpoint = (what: string) =>
  z
    .url({ protocol: /^https?$/, error: 'write a URL with http:// or https://' })
    .optional()
    .describe(`Where ${what} are sent; without it what belongs to \`api.site\`.`)

/** A key that the Collector had and that has another name now. */
const renamed = (name: string) =>
  z
    .unknown()
    .refine(value => value === undefined, { error: `it is called \`${name}\` now` })
    .describe(`Removed; it is called \`${name}\` now.`)
    .optional()

const api = z
  .strictObject({
    key: credential().describe('API key of the Datadog account; `${env:DD_API_KEY}` keeps it out of the file.'),
    site: z
      .string()
      .regex(/^[a-z0-9.-]+$/i, { error: 'write a host name, such as `datadoghq.eu`' })
      .default('datadoghq.com')
      .describe('Site of the account, such as `datadoghq.com`, `us3.datadoghq.com`, `datadoghq.eu`.'),
    fail_on_invalid_key: z
      .boolean()
      .default(false)
      .describe('Do not start with a key that Datadog does not know. Off: the status says so.'),
  })
  .describe('The account.')

const hostMetadata = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Tell Datadog of the host Kymo runs on, for its list of hosts.'),
    hostname_source: z
      .enum(['config_or_system', 'first_resource'])
      .default('config_or_system')
      .describe("Whose name that host has: `hostname` or the machine's, or that of the first resource that has one."),
    tags: texts().default([]).describe('Tags of the host.'),
    reporter_period: duration()
      .prefault('30m')
      .refine(period => period >= 300_000, { error: 'must be at least 5m' })
      .describe('How often it is told again.'),
  })
  .prefault({})
  .describe('What Datadog is told of the host.')

const metrics = z
  .strictObject({
    endpoint: endpoint('metrics'),
    delta_ttl: int(1)
      .default(3600)
      .describe('Seconds for which the last value of a cumulative series is kept, to take differences from.'),
    resource_attributes_as_tags: z
      .boolean()
      .default(false)
      .describe('All resource attributes become tags, not only those that Datadog has a tag for.'),
    instrumentation_scope_metadata_as_tags: z
      .boolean()
      .default(true)
      .describe('Name, version and attributes of the instrumentation scope become tags.'),
    disable_hostname: z
      .boolean()
      .default(false)
      .describe('Metrics of a resource that has no host name get none; not that of this machine.'),
    histograms: z
      .strictObject({
        mode: z
          .enum(['distributions', 'counters', 'nobuckets'])
          .default('distributions')
          .describe('Histograms become distributions, one count per bucket, or nothing but their aggregations.'),
        send_aggregation_metrics: z
          .boolean()
          .default(false)
          .describe('Send `.count`, `.sum`, `.min` and `.max` besides.'),
        send_count_sum_metrics: renamed('send_aggregation_metrics'),
      })
      .refine(h => h.mode !== 'nobuckets' || h.send_aggregation_metrics, {
        error: '`nobuckets` leaves nothing of histograms; set `send_aggregation_metrics: true` with it',
        path: ['mode'],
      })
      .prefault({})
      .describe('What becomes of histograms.'),
    sums: z
      .strictObject({
        cumulative_monotonic_mode: z
          .enum(['to_delta', 'raw_value'])
          .default('to_delta')
          .describe('Counters are sent as counts of differences, or as gauges of what they say.'),
        initial_cumulative_monotonic_value: z
          .enum(['auto', 'drop', 'keep'])
          .optional()
          .describe(
            'What the first value of a counter counts: `auto` (the default) all of it where the counter started after Kymo, ' +
              '`drop` nothing, `keep` all of it. One that is known and begins anew counts all it says.',
          ),
      })
      .refine(s => s.cumulative_monotonic_mode === 'to_delta' || s.initial_cumulative_monotonic_value === undefined, {
        error: 'it needs `cumulative_monotonic_mode: to_delta`',
        path: ['initial_cumulative_monotonic_value'],
      })
      .prefault({})
      .describe('What becomes of sums.'),
    summaries: z
      .strictObject({
        mode: z
          .enum(['gauges', 'noquantiles'])
          .default('gauges')
          .describe('Quantiles of summaries are sent as gauges with a tag `quantile`, or not at all.'),
      })
      .prefault({})
      .describe('What becomes of summaries.'),
    send_monotonic_counter: renamed('sums.cumulative_monotonic_mode'),
    report_quantiles: renamed('summaries.mode'),
  })
  .prefault({})
  .describe('Metrics.')

/** Where APM stats are made. */
const byConnector = 'stats are made by the connector `datadog`, which has this key, too.'

const traces = z
  .strictObject({
    endpoint: endpoint('traces and APM stats'),
    ignore_resources: patterns()
      .default([])
      .describe('Traces whose root has a resource name that one of these regular expressions matches are left out.'),
    span_name_remappings: z
      .record(z.string().min(1), z.string().min(1))
      .default({})
      .describe("Names for spans in place of Datadog's own."),
    span_name_as_resource_name: z
      .boolean()
      .default(false)
      .describe("Use a span's name as its resource name, and not what Datadog's rules make of its attributes."),
    compute_stats_by_span_kind: unused(byConnector).optional(),
    compute_top_level_by_span_kind: z
      .boolean()
      .default(false)
      .describe('Root spans and spans of kind server or consumer are those at the top of a service.'),
    peer_tags_aggregation: unused(byConnector).optional(),
    peer_service_aggregation: unused(byConnector).optional(),
    peer_tags: unused(byConnector).optional(),
    trace_buffer: unused('the queue in front of the destination holds what waits.').optional(),
  })
  .prefault({})
  .describe('Traces.')

const logs = z
  .strictObject({
    endpoint: endpoint('logs'),
    use_compression: z.boolean().default(true).describe('Compress logs.'),
    compression_level: int(0)
      .refine(level => level <= 9, { error: 'gzip has levels from 0 to 9' })
      .optional()
      .describe('Level of gzip for logs, where `compression` is `gzip`; without it the one that suits telemetry best.'),
    batch_wait: unused('`sending_queue.batch` says how long logs may wait for more.').optional(),
    dump_payloads: unused('`kymo batches` shows what became of a batch.').optional(),
  })
  .prefault({})
  .describe('Logs.')

/** Keys of the HTTP client that this exporter sets itself. */
const client = httpClient({ compression: 'gzip' })

/** The schema of the exporter. */
export const config = z
  .strictObject({
    api,
    hostname: z
      .string()
      .regex(/^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,253}[a-zA-Z0-9])?$/, { error: 'it is no host name' })
      .or(z.literal(''))
      .default('')
      .describe("Host of what does not say where it comes from; without it the machine's own name."),
    hostname_detection_timeout: unused("the machine's own name takes no time to find.").optional(),
    only_metadata: z
      .boolean()
      .default(false)
      .describe('Send nothing but what Datadog is to know of the host; data is taken and left out.'),
    host_metadata: hostMetadata,
    metrics,
    traces,
    logs,
    orchestrator_explorer: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Not supported yet.'),
        endpoint: endpoint('manifests'),
      })
      .nullish()
      .refine(given => !given?.enabled, { error: 'this build sends no manifests of Kubernetes objects; remove it' })
      .describe('Not supported yet.'),
    tags: renamed('host_metadata.tags'),
    send_metadata: renamed('host_metadata.enabled'),
    use_resource_metadata: renamed('host_metadata.hostname_source'),
    ...client,
    compression: z
      .enum(['gzip', 'zstd', 'none'])
      .optional()
      .describe(
        'How requests are compressed; without it as the Agent does it: logs and metrics by `zstd`, traces and APM stats by `gzip`.',
      ),
    ...sending({ timeout: '15s' }),
  })
  .superRefine((c, context) => checkLevel({ ...c, compression: c.compression ?? 'gzip' }, context))
  .refine(c => !c.only_metadata || (c.host_metadata.enabled && c.host_metadata.hostname_source === 'first_resource'), {
    error: 'it needs `host_metadata.enabled` and `host_metadata.hostname_source: first_resource`',
    path: ['only_metadata'],
  })

/** What the schema parses to. */
export type DatadogConfig = z.output<typeof config>

/** The key as it is sent. */
export const keyOf = ({ api }: { readonly api: { readonly key: Secret } }): string => api.key.reveal().trim()

/** The base URL of what takes a signal. */
export function endpointOf(config: DatadogConfig, signal: Signal): URL {
  const { site } = config.api
  switch (signal) {
    case 'logs':
      return new URL(config.logs.endpoint ?? `https://http-intake.logs.${site}`)
    case 'metrics':
      return new URL(config.metrics.endpoint ?? `https://api.${site}`)
    case 'traces':
      return new URL(config.traces.endpoint ?? `https://trace.agent.${site}`)
  }
}
