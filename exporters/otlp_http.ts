import * as z from 'zod'
import { defineExporter, type ExporterContext } from '../core/component.ts'
import { ConfigError } from '../core/errors.ts'
import { sending } from '../core/sending.ts'
import { checkLevel, httpClient } from '../net/http-client-keys.ts'
import { allSignals, type Signal, signals } from '../proto/signals.ts'
import { checkHttpUrl } from './http-url.ts'
import { OtlpHttp } from './otlp-http-send.ts'

const url = (what: string, signal?: Signal) =>
  z
    .string()
    .default('')
    .superRefine((text, context) => {
      if (text !== '') checkHttpUrl('http://gateway:4318')(text, context)
    })
    .meta({ role: 'sends OTLP', ...(signal && { signal }) })
    .describe(what)

const config = z
  .strictObject({
    endpoint: url('Base URL; `/v1/traces`, `/v1/metrics` or `/v1/logs` is added.'),
    traces_endpoint: url('Whole URL for traces, in place of the one made from `endpoint`.', 'traces'),
    metrics_endpoint: url('Whole URL for metrics, in place of the one made from `endpoint`.', 'metrics'),
    logs_endpoint: url('Whole URL for logs, in place of the one made from `endpoint`.', 'logs'),
    profiles_endpoint: z.string().optional().describe('Accepted and without effect: there are no profiles here.'),
    encoding: z.enum(['proto', 'json']).default('proto').describe('What the requests are written in.'),
    ...httpClient({ compression: 'gzip' }),
    ...sending({ timeout: '30s' }),
  })
  .superRefine(checkLevel)
  .refine(c => c.endpoint || c.traces_endpoint || c.metrics_endpoint || c.logs_endpoint, {
    error: '`endpoint` is missing; write a URL, such as `endpoint: http://gateway:4318`',
    path: ['endpoint'],
  })

type Config = z.output<typeof config>

/** OTLP over HTTP. */
export const otlpHttpExporter = defineExporter<Config>({
  type: 'otlp_http',
  aliases: ['otlphttp'],
  stability: 'beta',
  runs: 'each',
  summary: 'Sends to any OTLP backend or collector over HTTP.',
  signals: allSignals,
  ordering: 'none',
  config,
  examples: [
    { title: 'A gateway in the same cluster', config: { endpoint: 'http://gateway:4318' } },
    {
      title: 'Loki, which has a URL of its own',
      config: { logs_endpoint: 'http://loki:3100/otlp/v1/logs', headers: { 'X-Scope-OrgID': 'shop' } },
    },
  ],
  unfit(config, signal) {
    if (urlOf(config, signal) !== undefined) return []
    const key = `${signal}_endpoint`
    const problem = `it is in a pipeline of ${signal} and has no URL for them`
    return [{ path: [], problem, hint: `set \`endpoint\` or \`${key}\`, or take it out of the pipeline` }]
  },
  touches({ encoding }) {
    return encoding === 'json'
      ? [{ depth: 'item', does: 'reads', key: 'encoding', what: 'everything, to write it as JSON' }]
      : []
  },
  create(config, context) {
    return new OtlpHttp(config, context, urlsOf(config, context), config.encoding === 'json')
  },
})

/** The URLs of the signals that are wanted. */
function urlsOf(config: Config, context: ExporterContext): Map<Signal, URL> {
  const urls = new Map<Signal, URL>()
  for (const signal of allSignals) {
    const url = urlOf(config, signal)
    if (url) urls.set(signal, url)
    else if (context.signals.has(signal)) {
      const key = `${signal}_endpoint`
      throw new ConfigError(
        'CONFIG_INVALID_VALUE',
        `exporter ${context.id} is in a pipeline of ${signal} and has no URL for them; set \`endpoint\` or \`${key}\``,
      )
    }
  }
  return urls
}

function urlOf(config: Config, signal: Signal): URL | undefined {
  const whole = config[`${signal}_endpoint`]
  if (!whole && !config.endpoint) return undefined
  const url = new URL(whole || config.endpoint)
  if (!whole) url.pathname = url.pathname.replace(/\/$/, '') + signals[signal].path
  return url
}
