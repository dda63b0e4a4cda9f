import * as z from 'zod'
import { defineExporter } from '../../core/component.ts'
import { int, texts } from '../../core/fields.ts'
import { sending } from '../../core/sending.ts'
import type { Touch } from '../../core/touch.ts'
import { unused } from '../../net/client-keys.ts'
import { httpClient } from '../../net/http-client-keys.ts'
import { checkHttpUrl } from '../http-url.ts'
import { namingKeys } from '../prometheus-naming.ts'
import { RemoteWrite } from './send.ts'

const { sending_queue: queue, ...rest } = sending({ retry: { initial: '50ms', longest: '5s' } })

const noEndpoint = '`endpoint` is missing; write a URL, such as `endpoint: http://prometheus:9090/api/v1/write`'

const endpoint = () =>
  z
    .string({ error: noEndpoint })
    .superRefine(checkHttpUrl('http://prometheus:9090/api/v1/write'))
    .describe('The whole URL: of Prometheus `http://HOST:9090/api/v1/write`, of Mimir `http://HOST/api/v1/push`.')

const client = () => ({
  ...httpClient({ compression: 'snappy' }),
  compression: z
    .enum(['snappy', ''], { error: 'remote write is compressed with snappy and nothing else; remove `compression`' })
    .default('snappy')
    .describe('Always snappy, as the protocol has it.'),
  compression_params: unused('snappy has no levels.').optional(),
})

const config = z
  .strictObject({
    ...client(),
    endpoint: endpoint().optional(),
    http: z
      .strictObject({ endpoint: endpoint(), ...client() })
      .nullish()
      .describe(
        'The keys of the HTTP client in a section of their own, as newer Collectors have them; goes before the others.',
      ),
    ...namingKeys(),
    external_labels: z
      .record(z.string().min(1, { error: 'a label has a name' }), z.string().min(1, { error: 'a label has a value' }))
      .nullish()
      .transform(labels => labels ?? {})
      .describe('Labels of every series that has none of that name, such as `cluster: prod`.'),
    target_info: z
      .strictObject({ enabled: z.boolean().default(true).describe('Write it.') })
      .prefault({})
      .describe('The series `target_info`, with the attributes of each resource as labels.'),
    disable_scope_info: z
      .boolean()
      .default(false)
      .describe('Leave out the labels with name, version, schema URL and attributes of the scope.'),
    protobuf_message: z
      .enum(['prometheus.WriteRequest', 'io.prometheus.write.v2.Request', 'auto'])
      .default('prometheus.WriteRequest')
      .describe(
        'The version: remote write 1.0, or 2.0, which says what was stored of a request and knows start times and metadata; ' +
          '`auto` speaks 2.0 until the server says that it does not know it.',
      ),
    send_metadata: z
      .boolean()
      .default(false)
      .describe('Send type, help and unit of metrics with 1.0; 2.0 always has them.'),
    convert_explicit_histograms_to_nhcb: z
      .boolean()
      .default(false)
      .describe('Write histograms with explicit bounds as native histograms with custom buckets.'),
    keep_classic_histograms: z
      .boolean()
      .default(false)
      .describe('But the classic series `_bucket`, `_sum` and `_count` as well.'),
    native_delta_ingestion: z
      .boolean()
      .default(false)
      .describe(
        'Write sums and histograms of delta temporality as they are, histograms as gauges; as Prometheus does with ' +
          '`otlp-native-delta-ingestion`. Off: they are rejected, with the reason delta.',
      ),
    max_batch_size_bytes: int(0)
      .transform(size => size || 3_000_000)
      .default(3_000_000)
      .describe('What is larger before compression goes in several requests.'),
    max_batch_request_parallelism: int(1)
      .optional()
      .describe('How many of these are sent side by side; `remote_write_queue.num_consumers` without it.'),
    remote_write_queue: z
      .strictObject({
        enabled: z.boolean().default(true).describe("Off: the sender waits for the destination's answer."),
        queue_size: int(1).default(10_000).describe('Room, in requests.'),
        num_consumers: int(1)
          .default(5)
          .describe('How many requests of a large batch are sent side by side; each series is in one of them.'),
      })
      .prefault({})
      .describe(
        'The queue by its name in the Collector; `sending_queue`, where it is there, says more and goes before it.',
      ),
    include_metadata_keys: texts()
      .default([])
      .describe("Headers of the senders' requests that are sent on, such as X-Scope-OrgID; see `include_metadata`."),
    wal: z
      .unknown()
      .refine(wal => wal === undefined || wal === null, {
        error:
          'what waits is kept on disk by `sending_queue.storage`: name a file_storage extension there, and remove `wal`',
      })
      .describe('Not here: see `sending_queue.storage`.')
      .optional(),
    ...rest,
    sending_queue: queue.unwrap().nullish().describe('The queue in front of the destination.'),
  })
  .superRefine((config, context) => {
    if (config.endpoint === undefined && !config.http) {
      context.addIssue({ code: 'custom', message: noEndpoint, path: ['endpoint'] })
    }
    for (const [i, key] of config.include_metadata_keys.entries()) {
      if (!reserved.has(key.toLowerCase())) continue
      const path = ['include_metadata_keys', i]
      context.addIssue({ code: 'custom', message: `\`${key}\` is set by the protocol itself; remove it`, path })
    }
  })
  .transform(config => {
    const { enabled, queue_size } = config.remote_write_queue
    return { ...config, sending_queue: config.sending_queue ?? queue.unwrap().parse({ enabled, queue_size }) }
  })

/** Headers that the protocol sets. */
const reserved = new Set(['content-encoding', 'content-type', 'user-agent', 'x-prometheus-remote-write-version'])

/** What the schema parses to. */
export type RemoteWriteConfig = z.output<typeof config>

/** Prometheus remote write, 1.0 and 2.0. */
export const prometheusRemoteWrite = defineExporter<RemoteWriteConfig>({
  type: 'prometheus_remote_write',
  aliases: ['prometheusremotewrite'],
  stability: 'beta',
  runs: { by: 'series' },
  summary: 'Pushes metrics to Prometheus, Mimir, Thanos or whatever else takes remote write.',
  signals: ['metrics'],
  ordering: 'series',
  config,
  examples: [
    { title: 'A Prometheus', config: { endpoint: 'http://prometheus:9090/api/v1/write' } },
    {
      title: 'Mimir over 2.0, with two attributes of the resource as labels',
      config: {
        endpoint: 'https://mimir/api/v1/push',
        protobuf_message: 'auto',
        headers: { 'X-Scope-OrgID': 'shop' },
        resource_constant_labels: { included: ['k8s.namespace.name', 'k8s.pod.name'] },
      },
    },
  ],
  touches({ include_metadata_keys: keys }) {
    const headers = keys.map<Touch>((key, i) => ({
      depth: 'request',
      does: 'reads',
      key: `include_metadata_keys[${i}]`,
      what: `metadata.${key.toLowerCase()}`,
    }))
    return [...headers, { depth: 'item', does: 'reads', key: '', what: 'every data point, to write it as samples' }]
  },
  create: (config, context) => new RemoteWrite(config, context),
})
