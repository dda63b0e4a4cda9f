/** `output.otlp` of Kyma's pipelines as an exporter. */
import type { Definition } from '../../core/component.ts'
import type { Signal } from '../../proto/signals.ts'
import type { MapNode, Node } from '../document.ts'
import type { Report } from '../report.ts'
import { readAuthentication } from './authentication.ts'
import { at, entryAt, flagAt, itemsAt, section, textAt } from './nodes.ts'
import type { KymaPipeline } from './shapes.ts'
import { Values } from './values.ts'

/** An exporter, and the extension it authenticates with. */
export interface Output {
  readonly id: string
  readonly exporter: MapNode
  readonly extension?: { readonly id: string; readonly config: MapNode } | undefined
}

/** The exporter; undefined when, as the report then says, there is none here for this output. */
export function readOutput(
  pipeline: KymaPipeline,
  signal: Signal,
  definitions: readonly Definition[],
  report: Report,
): Output | undefined {
  const { path, document } = pipeline
  for (const key of ['http', 'custom']) {
    const entry = entryAt(document, 'spec', 'output', key)
    if (entry === undefined) continue
    const message = `${path}::spec::output::${key}: this output is one of Fluent Bit's, which is not part of Kymo`
    report.error('CONFIG_UNKNOWN_COMPONENT', entry.key, message, 'use `output.otlp`')
    return undefined
  }
  const otlp = at(document, 'spec', 'output', 'otlp')
  if (otlp === undefined) return undefined
  const temporality = entryAt(otlp, 'temporality')
  if (temporality !== undefined && textAt(otlp, 'temporality') === 'delta') {
    const message = `${path}::spec::output::otlp::temporality: this build does not turn cumulative metrics into deltas yet`
    report.error('CONFIG_UNKNOWN_COMPONENT', temporality.value.place, message, 'write `preserve`')
  }
  const values = new Values(`${path}::spec::output::otlp`, otlp, report)
  const type = textAt(otlp, 'protocol') === 'http' ? 'otlp_http' : 'otlp_grpc'
  const name = `${pipeline.kind.toLowerCase()}-${pipeline.name}`
  const authentication = readAuthentication(values, name, definitions, report)
  const target = type === 'otlp_grpc' ? grpcTarget(values, report) : httpTarget(values, signal)
  const insecure = target.insecure || flagAt(otlp, false, 'tls', 'insecure')
  if (authentication?.needsTls && insecure && type === 'otlp_grpc') {
    const message = `${values.path}::authentication::oauth2: with gRPC it needs TLS`
    report.error('CONFIG_INVALID_VALUE', entryAt(otlp, 'authentication', 'oauth2')?.key, message, 'use `https://`')
  }
  const { place } = otlp
  return {
    id: `${type}/${name}`,
    extension: authentication,
    exporter: section(place, {
      ...target.keys,
      compression: at(otlp, 'compression'),
      tls: section(at(otlp, 'tls')?.place ?? place, {
        insecure: insecure ? true : undefined,
        insecure_skip_verify: at(otlp, 'tls', 'insecureSkipVerify'),
        ca_pem: values.read('tls', 'ca'),
        cert_pem: values.read('tls', 'cert'),
        key_pem: values.read('tls', 'key'),
      }),
      headers: headersOf(values),
      auth: authentication === undefined ? undefined : section(place, { authenticator: authentication.id }),
    }),
  }
}

interface Target {
  readonly keys: Readonly<Record<string, Node | undefined>>
  readonly insecure: boolean
}

/** `http://` in front says that there is no TLS. */
function grpcTarget(values: Values, report: Report): Target {
  const endpoint = values.read('endpoint')
  if (endpoint?.kind !== 'scalar' || typeof endpoint.value !== 'string') return { keys: { endpoint }, insecure: false }
  const { value, place } = endpoint
  const bare = value.replace(/^https?:\/\//i, '')
  if (!value.includes('${') && !/:\d+\/?$/.test(bare)) {
    const message = `${values.path}::endpoint: \`${value}\` has no port`
    report.error('CONFIG_INVALID_VALUE', place, message, `write it with one, such as \`${value}:4317\``)
  }
  const insecure = /^http:/i.test(value)
  return { keys: { endpoint: insecure ? { ...endpoint, value: bare } : endpoint }, insecure }
}

function httpTarget(values: Values, signal: Signal): Target {
  const endpoint = values.read('endpoint')
  const path = textAt(values.otlp, 'path')
  if (path === undefined || endpoint?.kind !== 'scalar') return { keys: { endpoint }, insecure: false }
  const whole = `${String(endpoint.value).replace(/\/$/, '')}/${path.replace(/^\//, '')}`
  return { keys: { [`${signal}_endpoint`]: { ...endpoint, value: whole } }, insecure: false }
}

function headersOf(values: Values): MapNode | undefined {
  const headers = itemsAt(values.otlp, 'headers')
  const [first] = headers
  if (first === undefined) return undefined
  const made: Record<string, Node | undefined> = {}
  for (const [i, header] of headers.entries()) {
    const value = values.valueOf(header, `headers[${i}]`)
    const prefix = textAt(header, 'prefix')
    const name = textAt(header, 'name') ?? ''
    made[name] =
      prefix === undefined || value?.kind !== 'scalar' ? value : { ...value, value: `${prefix} ${String(value.value)}` }
  }
  return section(first.place, made)
}
