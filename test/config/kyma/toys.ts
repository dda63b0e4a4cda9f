/** Documents of Kyma's, and a build that takes whatever they become. */
import * as z from 'zod'
import { plainOf } from '../../../config/document.ts'
import { ConfigErrors, type Loaded, loadConfig, type LoadOptions } from '../../../config/load.ts'
import { defineExporter, defineExtension, defineProcessor, defineReceiver } from '../../../core/component.ts'
import type { SendingConfig } from '../../../core/sending.ts'

export const version = 'apiVersion: telemetry.kyma-project.io/v1beta1'

export const document = (kind: string, name: string, spec: string, api = version) => `${api}
kind: ${kind}
metadata:
  name: ${name}
spec:
${spec.replaceAll(/^/gm, '  ')}
`
export const logs = (spec: string, name = 'l') => document('LogPipeline', name, spec)
export const traces = (spec: string, name = 't') => document('TracePipeline', name, spec)
export const metrics = (spec: string, name = 'm') => document('MetricPipeline', name, spec)
export const output = (more = '', endpoint = 'http://backend:4317') =>
  `output: {otlp: {endpoint: {value: "${endpoint}"}${more === '' ? '' : `, ${more}`}}}`

/** Everything a pipeline may need, taking anything: what is handed to it is what is looked at. */
const anything = { stability: 'alpha', summary: 'A toy.', examples: [], config: z.looseObject({}) } as const
const all = ['traces', 'metrics', 'logs'] as const
export const takers = [
  defineReceiver({ ...anything, type: 'otlp', signals: all, create: () => ({}) }),
  ...['memory_limiter', 'namespace_filter', 'batch'].map(type =>
    defineProcessor({ ...anything, type, signals: all, hold: 'none', create: () => source => source }),
  ),
  ...['otlp_grpc', 'otlp_http'].map(type =>
    defineExporter<SendingConfig>({
      ...anything,
      // What is asked for is looked at as it was written.
      config: z.looseObject({}) as unknown as z.ZodType<SendingConfig>,
      type,
      signals: all,
      ordering: 'none',
      create: () => ({ send: () => Promise.resolve(undefined) }),
    }),
  ),
]
export const authenticators = ['basicauth', 'oauth2client'].map(type =>
  defineExtension({ ...anything, type, signals: [], create: () => ({}) }),
)

export function load(texts: string | readonly string[], more: Partial<LoadOptions> = {}): Loaded {
  const sources = (typeof texts === 'string' ? [texts] : texts).map(text => `yaml:${text}`)
  return loadConfig({ components: takers, env: {}, sources, ...more })
}

/** The configuration that documents stand for. */
export function made(texts: string | readonly string[], more: Partial<LoadOptions> = {}) {
  return plainOf(load(texts, more).root) as {
    receivers: Record<string, unknown>
    processors: Record<string, unknown>
    exporters: Record<string, Record<string, unknown>>
    extensions?: Record<string, unknown>
    service: { pipelines: Record<string, unknown>; extensions: string[] }
  }
}

/** Errors as `line:column message (hint)`. */
export function errors(texts: string | readonly string[], more: Partial<LoadOptions> = {}): string[] {
  try {
    load(texts, more)
  } catch (error) {
    if (error instanceof ConfigErrors) return error.errors.map(lineOf)
    throw error
  }
  return []
}
const lineOf = ({ position, message, hint }: ConfigErrors['errors'][number]) =>
  `${position?.line}:${position?.column} ${message}${hint === undefined ? '' : ` (${hint})`}`

export const warnings = (text: string) =>
  load(text)
    .warnings.map(lineOf)
    .filter(line => !line.includes('enrichment'))
