import * as z from 'zod'
import { defineExporter } from '../../core/component.ts'
import { duration, int, texts } from '../../core/fields.ts'
import { sending } from '../../core/sending.ts'
import type { Touch } from '../../core/touch.ts'
import { unused } from '../../net/client-keys.ts'
import { checkLevel, type Compression, httpClient, type HttpClientConfig } from '../../net/http-client-keys.ts'
import { checkHttpUrl } from '../http-url.ts'
import { Loki } from './send.ts'
import { isTenant } from './tenants.ts'

/** What Loki's own OTLP endpoint makes labels of, without those that its documentation advises against. */
const defaultLabels = [
  'service.name',
  'service.namespace',
  'deployment.environment',
  'deployment.environment.name',
  'cloud.region',
  'cloud.availability_zone',
  'k8s.cluster.name',
  'k8s.namespace.name',
  'k8s.container.name',
  'container.name',
  'k8s.replicaset.name',
  'k8s.deployment.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.job.name',
]

const labels = z.strictObject({
  resource_attributes: texts()
    .default(defaultLabels)
    .describe('Resource attributes that become labels, where they are there; the first 15 that are.'),
  attributes: texts()
    .default([])
    .describe('Attributes of log records that become labels: only such as have few values.'),
  static: z
    .record(z.string(), z.string().min(1, { error: 'a label cannot be empty' }))
    .superRefine((given, context) => {
      for (const name of Object.keys(given)) {
        if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) continue
        const message = `\`${name}\` is no label; write letters, digits and underscores`
        context.addIssue({ code: 'custom', message, path: [name] })
      }
    })
    .default({})
    .describe('Labels that every stream has, such as `cluster: prod`.'),
  severity: z
    .boolean()
    .default(false)
    .describe('The label `level`: trace, debug, info, warn, error or fatal, by the severity.'),
  max_streams: int(0)
    .default(5000)
    .describe(
      'Most streams (label sets) in use at a time, of all tenants together; 0 sets no limit. Beyond it, labels with the most values go ' +
        'with the records as structured metadata. Loki refuses new streams from 5000 on, by default.',
    ),
  stream_idle: duration({ exclusive: true })
    .prefault('30m')
    .describe('A stream without data for so long does not count any more.'),
})

const tenantText = (text: string) => isTenant(text)
const noTenant = { error: "a tenant has up to 150 letters, digits and !-_.*'()" }

const tenant = z.union(
  [
    z
      .string()
      .refine(tenantText, noTenant)
      .transform(value => ({ source: 'static' as const, value, default: undefined })),
    z
      .strictObject({
        source: z
          .enum(['static', 'context', 'attributes'])
          .describe('`static`: the value itself; `context`: request metadata; `attributes`: a resource attribute.'),
        value: z.string().min(1).describe('The tenant, or the name of the metadata or the attribute that has it.'),
        default: z.string().refine(tenantText, noTenant).optional().describe('The tenant of data without one.'),
      })
      .refine(({ source, value }) => source !== 'static' || isTenant(value), { ...noTenant, path: ['value'] }),
  ],
  { error: 'expected a text, or `source` and `value`' },
)

const config = z
  .strictObject({
    endpoint: z
      .string({ error: '`endpoint` is missing; write a URL, such as `endpoint: http://loki:3100`' })
      .superRefine(checkHttpUrl('http://loki:3100'))
      .describe(
        'Base URL, to which the path is added; a URL that ends in `/push` or `/otlp/v1/logs` is taken as it is.',
      ),
    protocol: z
      .enum(['push', 'otlp'])
      .optional()
      .describe(
        '`push`: the push API, labels are chosen here; `otlp`: OTLP as it came, at the least cost, labels are chosen by ' +
          'Loki. Without a choice: what the endpoint ends in, else `push`.',
      ),
    encoding: z.enum(['protobuf', 'json']).default('protobuf').describe('What the requests are written in.'),
    tenant: tenant
      .nullish()
      .transform(given => given ?? undefined)
      .describe('Whose data it is, for Loki with several tenants: sent as X-Scope-OrgID.'),
    labels: labels
      .prefault({})
      .describe(
        'What becomes a label. For `push` only. Hints in attributes (`loki.resource.labels` and others of the exporter that the ' +
          'Collector had) are attributes like others.',
      ),
    structured_metadata: z
      .boolean()
      .default(true)
      .describe(
        'Send what is no label as structured metadata. Off: it is left out; for schemas before v13. For `push` only.',
      ),
    oversize: z
      .enum(['reject', 'truncate'])
      .default('reject')
      .describe(
        'Records over the limits below: `reject` leaves them out, counted with the reason; `truncate` cuts the line, and ' +
          'leaves out attributes, as far as needed.',
      ),
    max_line_size: int(0)
      .default(262_144)
      .describe("Most bytes of a line; as Loki's `max_line_size`. 0 sets no limit. For `push` only."),
    max_structured_metadata_size: int(0)
      .default(65_536)
      .describe('Most bytes of names and values of a record; as in Loki. 0 sets no limit. For `push` only.'),
    max_structured_metadata_entries: int(0)
      .default(128)
      .describe(
        "Most attributes of a record; Loki's `max_structured_metadata_entries_count`. 0 sets no limit. For `push` only.",
      ),
    max_request_size: int(0)
      .default(4 * 1024 * 1024)
      .describe(
        'Larger batches are split: most bytes of lines and attributes. Above `ingestion_burst_size_mb` Loki never takes a ' +
          'request, so that a record which is larger by itself is rejected as too_large, unsent. 0 sets no limit.',
      ),
    default_labels_enabled: unused('choose labels with `labels`; `service_name` is always there.').optional(),
    ...httpClient({ compression: 'gzip' }),
    compression: z
      .enum(['gzip', 'zstd', 'snappy', 'none', ''])
      .optional()
      .describe('`gzip` unless set otherwise; `zstd` for `otlp` only. A push in protobuf is always `snappy`.'),
    ...sending({ timeout: '30s' }),
  })
  .superRefine(check)

type Config = z.output<typeof config>

/** What of the configuration `check` looks at. */
interface Checked extends Omit<HttpClientConfig, 'compression'> {
  readonly compression?: Compression | undefined
  readonly endpoint: string
  readonly protocol?: 'push' | 'otlp' | undefined
  readonly encoding: 'protobuf' | 'json'
  readonly tenant: unknown
  readonly labels: z.output<typeof labels>
}

/** How requests are sent and compressed. */
function settled(given: Pick<Checked, 'endpoint' | 'protocol' | 'encoding' | 'compression'>) {
  const protocol = given.protocol ?? protocolOf(given.endpoint) ?? 'push'
  const block = protocol === 'push' && given.encoding === 'protobuf'
  const compression: Compression = block ? 'snappy' : (given.compression ?? 'gzip')
  return { protocol, block, compression }
}

/** Whether keys go together. */
function check(given: Checked, context: z.core.$RefinementCtx): void {
  const { protocol, block, compression } = settled(given)
  const wrong = (key: string, message: string) => context.addIssue({ code: 'custom', message, path: [key] })
  const known = protocolOf(given.endpoint)
  if (known !== undefined && known !== protocol) {
    wrong('protocol', `the endpoint is that of \`${known}\`; write its base URL, or no \`protocol\``)
  }
  const complaint = aboutCompression(block, protocol, given.compression)
  if (complaint !== undefined) wrong('compression', complaint)
  else checkLevel({ ...given, compression }, context)
  if (given.tenant && Object.keys(given.headers).some(name => name.toLowerCase() === 'x-scope-orgid')) {
    wrong('tenant', '`headers` has `X-Scope-OrgID` as well; remove one of them')
  }
  if (protocol === 'otlp' && !isDefault(given.labels)) {
    wrong('labels', 'Loki chooses the labels of what comes as OTLP; set `protocol: push`, or remove `labels`')
  }
}

function aboutCompression(block: boolean, protocol: string, given: Compression | undefined): string | undefined {
  if (!given || given === 'none' || given === 'gzip') {
    return block && given === 'gzip' ? 'a push in protobuf is always snappy; remove `compression`' : undefined
  }
  if (block) return given === 'snappy' ? undefined : 'a push in protobuf is always snappy; remove `compression`'
  if (given === 'snappy') return 'only a push in protobuf is snappy; set `gzip`'
  return protocol === 'push' ? "Loki's push API has no zstd; set `gzip`" : undefined
}

const isDefault = (given: z.output<typeof labels>): boolean =>
  JSON.stringify(given) === JSON.stringify(labels.parse({}))

/** The protocol that goes with a path. */
function protocolOf(endpoint: string): 'push' | 'otlp' | undefined {
  if (!URL.canParse(endpoint)) return undefined
  const path = new URL(endpoint).pathname.replace(/\/$/, '')
  if (path.endsWith('/push')) return 'push'
  return path.endsWith('/otlp') || path.endsWith('/v1/logs') ? 'otlp' : undefined
}

/** The `loki` exporter. */
export const loki = defineExporter<Config>({
  type: 'loki',
  stability: 'beta',
  runs: { by: 'stream' },
  summary: 'Sends logs to Grafana Loki, over its push API or as OTLP.',
  signals: ['logs'],
  ordering: 'stream',
  config,
  examples: [
    { title: 'Loki in the same cluster', config: { endpoint: 'http://loki:3100' } },
    {
      title: 'As OTLP, with the labels that Loki chooses',
      config: { endpoint: 'http://loki:3100/otlp', tenant: 'shop' },
    },
    {
      title: 'A tenant per namespace, and the level as a label',
      config: {
        endpoint: 'http://loki:3100',
        tenant: { source: 'attributes', value: 'k8s.namespace.name', default: 'others' },
        labels: { static: { cluster: 'prod' }, severity: true },
        oversize: 'truncate',
      },
    },
  ],
  touches(config) {
    const { encoding, tenant } = config
    const { protocol } = settled(config)
    const touches: Touch[] = []
    if (tenant?.source === 'context') {
      touches.push({ depth: 'request', does: 'reads', key: 'tenant.value', what: `metadata.${tenant.value}` })
    } else if (tenant?.source === 'attributes') {
      touches.push({ depth: 'resource', does: 'reads', key: 'tenant.value', what: tenant.value })
    }
    if (protocol === 'push') {
      touches.push({ depth: 'item', does: 'reads', key: 'protocol', what: 'everything, to write lines and labels' })
    } else if (encoding === 'json') {
      touches.push({ depth: 'item', does: 'reads', key: 'encoding', what: 'everything, to write it as JSON' })
    }
    return touches
  },
  create(config, context) {
    const { labels, tenant, encoding } = config
    const { protocol, compression } = settled(config)
    return new Loki({ ...config, compression }, context, {
      url: urlOf(config.endpoint, protocol),
      otlp: protocol === 'otlp',
      json: encoding === 'json',
      tenant,
      push: {
        labels: {
          resourceAttributes: labels.resource_attributes,
          fixed: labels.static,
          metadata: config.structured_metadata,
        },
        record: { attributes: labels.attributes, severity: labels.severity },
        limits: {
          lineSize: config.max_line_size,
          metadataSize: config.max_structured_metadata_size,
          metadataEntries: config.max_structured_metadata_entries,
          truncate: config.oversize === 'truncate',
        },
      },
      maxStreams: labels.max_streams,
      streamIdle: labels.stream_idle,
      maxRequest: config.max_request_size,
    })
  },
})

/** Where requests go: what the endpoint lacks of the path is added. */
function urlOf(endpoint: string, protocol: 'push' | 'otlp'): URL {
  const url = new URL(endpoint)
  const path = url.pathname.replace(/\/$/, '')
  if (protocol === 'push') url.pathname = path.endsWith('/push') ? path : `${path}/loki/api/v1/push`
  else if (path.endsWith('/otlp')) url.pathname = `${path}/v1/logs`
  else if (!path.endsWith('/v1/logs')) url.pathname = `${path}/otlp/v1/logs`
  return url
}
