import * as z from 'zod'
import { defineExporter } from '../../core/component.ts'
import { duration, int } from '../../core/fields.ts'
import { sending } from '../../core/sending.ts'
import { checkEndpoint, serverKeys } from '../../net/grpc-server-keys.ts'
import { httpKeys } from '../../net/http-server-keys.ts'
import { namingKeys } from '../prometheus-naming.ts'
import { PrometheusPage } from './exporter.ts'

const config = z
  .strictObject({
    ...serverKeys({ endpoint: '' }),
    ...httpKeys(),
    endpoint: z
      .string({ error: '`endpoint` is missing; write where Prometheus shall scrape, such as `endpoint: 0.0.0.0:8889`' })
      .meta({ role: 'listens' })
      .describe('Where the page `/metrics` is served: `host:port`, or a path with `unix`.'),
    ...namingKeys(),
    const_labels: z
      .record(z.string(), z.string())
      .nullish()
      .describe('Labels of every series that has none of that name.'),
    send_timestamps: z
      .boolean()
      .default(false)
      .describe('Show the time of each point; without it Prometheus takes its own.'),
    metric_expiration: duration()
      .prefault('5m')
      .describe(
        'A series that nothing was heard of for so long leaves the page; 0 never. What deltas added up to is kept while ' +
          'there is memory for it, and goes on when the next one comes; else the counter begins anew.',
      ),
    enable_open_metrics: z
      .boolean()
      .default(false)
      .describe('Answer in OpenMetrics where the reader asks for it; only there exemplars can be shown.'),
    without_scope_info: z
      .boolean()
      .default(false)
      .describe('Leave out the labels with name, version, schema URL and attributes of the scope.'),
    series_limit: int(0)
      .default(200_000)
      .describe(
        'Most series on the page, a histogram counting as one; 0 sets no limit. Points of further ones are rejected with ' +
          'the reason cardinality_limit and counted on the page; those for which there is no memory, with memory_limit.',
      ),
    ...sending({ queue: false }),
  })
  .superRefine(checkEndpoint)

/** What the schema parses to. */
export type PrometheusConfig = z.output<typeof config>

/** The page that Prometheus scrapes. */
export const prometheus = defineExporter<PrometheusConfig>({
  type: 'prometheus',
  stability: 'beta',
  runs: 'one',
  summary: 'Serves metrics on a page that Prometheus scrapes.',
  signals: ['metrics'],
  ordering: 'series',
  local: true,
  config,
  examples: [
    { title: 'A page for Prometheus', config: { endpoint: '0.0.0.0:8889' } },
    {
      title: 'With exemplars, and two attributes of the resource as labels',
      config: {
        endpoint: 'localhost:8889',
        enable_open_metrics: true,
        resource_constant_labels: { included: ['k8s.namespace.name', 'k8s.pod.name'] },
      },
    },
  ],
  touches() {
    return [{ depth: 'item', does: 'reads', key: '', what: 'every data point, to keep the last value of each series' }]
  },
  create: (config, context) => new PrometheusPage(config, context),
})
