/**
 * What Datadog's Agent makes of OpenTelemetry spans, written as plainly as possible from its rules: maps and texts, one
 * span after the other. The encoder is compared with it.
 */
import { STATUS_CODES } from 'node:http'
import type { AgentPayload, Chunk, DatadogSpan, TracerPayload } from './datadog-proto.ts'
import { decode, listOf, type Plain } from './otlp-proto.ts'

type Any = string | number | bigint | boolean | null
export type Attributes = Map<string, Any>

/** Attributes by name; only single values, the first of each name. */
export function attributes(holder: Plain): Attributes {
  const found: Attributes = new Map()
  for (const { key, value } of listOf(holder, 'attributes')) {
    const [[member, single] = ['', null]] = Object.entries((value ?? {}) as Plain)
    const read = member === 'int_value' ? BigInt(single as string) : single
    if (!found.has(typeof key === 'string' ? key : '')) found.set(typeof key === 'string' ? key : '', read as Any)
  }
  return found
}

export const asText = (value: Any | undefined): string =>
  value === null || value === undefined ? '' : typeof value === 'number' && Object.is(value, -0) ? '-0' : String(value)
const isNumber = (value: Any): value is number | bigint => typeof value === 'number' || typeof value === 'bigint'

/** A field as a text; '' where it is not set. */
const field = (plain: Plain, name: string): string => {
  const value = plain[name]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** The first of the keys that has a text on the span, else on the resource. */
export function lookup(span: Attributes, resource: Attributes, ...keys: string[]): string {
  for (const key of keys) {
    const found = asText(span.get(key)) || asText(resource.get(key))
    if (found !== '') return found
  }
  return ''
}

export function tagValue(text: string): string {
  const characters = Array.from(text)
    .slice(0, 200)
    .map(c => (Buffer.byteLength(c.toLowerCase()) === Buffer.byteLength(c) ? c.toLowerCase() : c))
  return characters
    .join('')
    .replace(/[^\p{L}\p{Nd}:./-]+/gu, '_')
    .replace(/_$/, '')
}

export function nameOf(text: string): string {
  const letters = text.slice(0, 100).replace(/^[^A-Za-z]+/, '')
  if (letters === '') return 'unnamed_operation'
  // What is a name already keeps even an underscore behind a dot.
  if (/^(?:[A-Za-z0-9]|(?<!_)[._])+$/.test(letters)) return letters.replace(/_$/, '')
  return letters
    .replace(/[^A-Za-z0-9.]+/g, '_')
    .replace(/_\./g, '.')
    .replace(/\._/g, '.')
    .replace(/_$/, '')
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const titles = ['Internal', 'Internal', 'Server', 'Client', 'Producer', 'Consumer']

/** Rules of which the first that holds names the operation: for which kinds, and what it is made of; '' where a part is missing. */
const operations: readonly (readonly [
  kinds: string,
  of: (tag: (...keys: string[]) => string, kind: string) => string,
])[] = [
  ['unspecified internal server client producer consumer', tag => tag('operation.name')],
  ['server client', (tag, kind) => tag('http.request.method', 'http.method') && `http.${kind}.request`],
  ['client', tag => joined(tag('db.system.name', 'db.system'), 'query')],
  ['server client producer consumer', tag => joined(tag('messaging.system'), tag('messaging.operation'))],
  ['client', tag => (tag('rpc.system') === 'aws-api' ? `aws.${tag('rpc.service') || 'client'}.request` : '')],
  ['server client', (tag, kind) => joined(tag('rpc.system'), kind, 'request')],
  ['client', tag => joined(tag('faas.invoked_provider'), tag('faas.invoked_name'), 'invoke')],
  ['server', tag => joined(tag('faas.trigger'), 'invoke')],
  [
    'unspecified internal server client producer consumer',
    tag => tag('graphql.operation.type') && 'graphql.server.request',
  ],
  ['server client', (tag, kind) => joined(tag('network.protocol.name'), kind, 'request')],
  ['server client', (_, kind) => `${kind}.request`],
]

const joined = (...parts: string[]): string => (parts.includes('') ? '' : parts.join('.'))

export function operation(kind: number, span: Attributes, resource: Attributes): string {
  const name = kinds[kind] ?? 'unspecified'
  const tag = (...keys: string[]): string => tagValue(lookup(span, resource, ...keys))
  const names = operations.filter(([kinds]) => kinds.split(' ').includes(name)).map(([, of]) => of(tag, name))
  return nameOf(names.find(one => one !== '') ?? titles[kind] ?? 'Internal')
}

export function resourceName(name: string, kind: number, span: Attributes, resource: Attributes): string {
  const of = (...keys: string[]): string => lookup(span, resource, ...keys)
  const pair = (first: string, second: string): string => (second === '' ? first : `${first} ${second}`)
  const method = of('http.request.method', 'http.method')
  if (of('resource.name') !== '') return of('resource.name')
  if (method !== '') {
    const more = kind === 2 ? of('http.route') : kind === 3 ? of('url.template') : ''
    return pair(method === '_OTHER' ? 'HTTP' : method, more)
  }
  if (of('messaging.operation') !== '') {
    return pair(of('messaging.operation'), of('messaging.destination', 'messaging.destination.name'))
  }
  if (of('rpc.method') !== '') return pair(of('rpc.method'), of('rpc.service'))
  if (of('graphql.operation.type') !== '') return pair(of('graphql.operation.type'), of('graphql.operation.name'))
  if (of('db.system.name', 'db.system') !== '' && of('db.statement', 'db.query.text') !== '') {
    return of('db.statement', 'db.query.text')
  }
  return name
}

const databases: Record<string, string> = { postgresql: 'sql', mysql: 'sql', redis: 'redis', mongodb: 'mongodb' }

export function typeOf(kind: number, span: Attributes, resource: Attributes): string {
  if ([...span.keys()].some(key => key.startsWith('gen_ai.'))) return 'llm'
  const given = lookup(span, resource, 'span.type')
  if (given !== '') return given
  if (kind === 2) return 'web'
  if (kind !== 3) return 'custom'
  const system = lookup(span, resource, 'db.system.name', 'db.system')
  return system === '' ? 'http' : (databases[tagValue(system)] ?? 'db')
}

/** Values of a statement taken out: only as far as the statements of the tests need it. */
export const withoutValues = (type: string, statement: string): string => {
  if (type === 'redis') return statement.split(' ')[0].toUpperCase()
  if (type !== 'sql') return statement
  return statement
    .replace(/'[^']*'|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b/g, '?')
    .replace(/\?(?:\s*,\s*\?)+/g, '?')
    .replace(/\s+/g, ' ')
    .trim()
}

const renamed: Record<string, string> = {
  'client.address': 'http.client_ip',
  'http.response.body.size': 'http.response.content_length',
  'http.response.status_code': 'http.status_code',
  'http.request.body.size': 'http.request.content_length',
  'http.request.header.referrer': 'http.referrer',
  'http.request.method': 'http.method',
  'network.protocol.version': 'http.version',
  'server.address': 'http.server_name',
  'url.full': 'http.url',
  'user_agent.original': 'http.useragent',
}
const left = [
  'service.name',
  'operation.name',
  'resource.name',
  'span.type',
  'span.kind',
  'otel.trace_id',
  'otel.status_code',
]

function key(name: string): string {
  if (renamed[name]) return renamed[name]
  if (left.includes(name)) return ''
  return name.replace(/^http\.request\.header\./, 'http.request.headers.')
}

const status = ['Unset', 'Ok', 'Error']

export function statusCode(span: Attributes, resource: Attributes): number | undefined {
  for (const name of ['http.status_code', 'http.response.status_code']) {
    for (const value of [span.get(name), resource.get(name)]) {
      if (value !== undefined && isNumber(value)) return Math.trunc(Number(value))
    }
    const text = lookup(span, resource, name)
    if (/^\d+$/.test(text)) return Number(text)
  }
  return undefined
}

export const service = (span: Attributes, resource: Attributes): string =>
  tagValue(lookup(span, resource, 'service.name').slice(0, 100)) || 'otlpresourcenoservicename'

/** The low 64 bits of an id in hex. */
export const low64 = (id: unknown): string => (typeof id === 'string' ? BigInt(`0x${id.slice(-16)}`).toString() : '0')

interface Seen {
  readonly plain: Plain
  readonly span: Attributes
  readonly scope: Plain
}

function spanOf(seen: Seen, resource: Attributes, topLevel: boolean, byKind: boolean): DatadogSpan {
  const { plain, span } = seen
  const kind = Number(plain['kind'] ?? 0)
  const type = typeOf(kind, span, resource)
  const name = operation(kind, span, resource)
  return {
    service: service(span, resource),
    name,
    resource: withoutValues(type, resourceName(field(plain, 'name'), kind, span, resource)) || name,
    type,
    traceID: low64(plain['trace_id']),
    spanID: low64(plain['span_id']),
    parentID: low64(plain['parent_span_id']),
    ...times(plain),
    error: statusOf(plain)[0] === 2 ? 1 : 0,
    meta: metaOf(seen, kind, type, resource),
    metrics: metricsOf(span, resource, kind, topLevel, byKind),
  }
}

export const isMeasured = (span: Attributes, resource: Attributes): boolean =>
  [span, resource]
    .map(attributes => attributes.get('_dd.measured') ?? '')
    .filter(isNumber)
    .slice(0, 1)
    .some(n => Math.trunc(Number(n)) === 1)

function metricsOf(span: Attributes, resource: Attributes, kind: number, topLevel: boolean, byKind: boolean) {
  const metrics: Record<string, number> = {}
  const code = statusCode(span, resource)
  if (code !== undefined && code >= 0) metrics['http.status_code'] = code
  if (topLevel) metrics['_top_level'] = 1
  if (isMeasured(span, resource) || (byKind && (kind === 3 || kind === 4))) metrics['_dd.measured'] = 1
  for (const [name, value] of span) {
    const to = key(name) === 'sampling.priority' ? '_sampling_priority_v1' : key(name)
    if (value !== null && isNumber(value) && to !== '' && !(to in metrics)) metrics[to] = Number(value)
  }
  return metrics
}

function metaOf({ plain, span, scope }: Seen, kind: number, type: string, resource: Attributes) {
  const meta: Record<string, string> = { 'span.kind': kinds[kind] ?? 'unspecified' }
  const put = (name: string, value: string): void => {
    if (value !== '' && !meta[name]) meta[name] = value
  }
  const tag = (...keys: string[]): string => tagValue(lookup(span, resource, ...keys))
  for (const [name, value] of span) {
    const to = key(name)
    if (to === '' || meta[to] || (value !== null && isNumber(value))) continue
    const isStatement = ['db.statement', 'db.query.text', 'sql.query'].includes(name) && type === 'sql'
    meta[to] = isStatement ? withoutValues(type, asText(value)) : asText(value)
  }
  const [code, message] = statusOf(plain)
  put('otel.trace_id', field(plain, 'trace_id').slice(2))
  put('otel.status_code', status[code] ?? 'Unset')
  put('version', tag('service.version'))
  put('env', tag('deployment.environment.name', 'deployment.environment'))
  if (code === 2) put('error.msg', message || httpText(statusCode(span, resource)))
  put('otel.status_description', message)
  put('w3c.tracestate', field(plain, 'trace_state'))
  for (const part of ['name', 'version']) {
    put(`otel.scope.${part}`, field(scope, part))
    put(`otel.library.${part}`, field(scope, part))
  }
  for (const [from, value] of resource) {
    const to = key(from)
    if (to !== '' && !meta[to]) meta[to] = asText(value)
  }
  for (const [from, value] of attributes(scope)) if (from !== '') meta[from] = asText(value)
  put('db.name', lookup(span, resource, 'db.namespace'))
  return meta
}

const httpText = (code: number | undefined): string =>
  code === undefined ? '' : `${code} ${STATUS_CODES[code] ?? ''}`.trimEnd()

const statusOf = (plain: Plain): [number, string] => {
  const told = (plain['status'] ?? {}) as Plain
  return [Number(told['code'] ?? 0), field(told, 'message')]
}

function times(plain: Plain): { start: string; duration: string } {
  const start = BigInt(field(plain, 'start_time_unix_nano') || '0')
  const end = BigInt(field(plain, 'end_time_unix_nano') || '0')
  return { start: String(start), duration: String(end > start ? end - start : 0n) }
}

/** The payload for a request. */
export function expectedPayload(body: Buffer, rules: { byKind?: boolean; hostname?: string } = {}): AgentPayload {
  const { byKind = false, hostname = '' } = rules
  const tracerPayloads: TracerPayload[] = []
  for (const group of listOf(decode('traces', body), 'resource_spans')) {
    const resource = attributes((group['resource'] ?? {}) as Plain)
    const seen = listOf(group, 'scope_spans').flatMap(scopes =>
      listOf(scopes, 'spans').map((plain): Seen => ({
        plain,
        span: attributes(plain),
        scope: (scopes['scope'] ?? {}) as Plain,
      })),
    )
    const traces = Map.groupBy(seen, ({ plain }) => low64(plain['trace_id']))
    const chunks = [...traces.values()].map(spans => chunkOf(spans, resource, byKind))
    if (chunks.length === 0) continue
    const tag = (...keys: string[]): string => tagValue(lookup(new Map(), resource, ...keys))
    tracerPayloads.push({
      containerID: tag('container.id'),
      languageName: tag('telemetry.sdk.language'),
      tracerVersion: `otlp-${tag('telemetry.sdk.version')}`,
      env: tag('deployment.environment.name', 'deployment.environment'),
      hostname: asText(resource.get('host.name')) || hostname,
      appVersion: tag('service.version'),
      tags: {},
      chunks,
    })
  }
  return { hostName: hostname, env: 'none', agentVersion: '', tracerPayloads }
}

function chunkOf(spans: Seen[], resource: Attributes, byKind: boolean): Chunk {
  const ids = new Map(spans.map(one => [one.plain['span_id'], one]))
  const made = spans.map(one => {
    const { plain, span } = one
    const parent = ids.get(plain['parent_span_id'])
    const kind = Number(plain['kind'] ?? 0)
    const isRoot = !plain['parent_span_id'] || /^0x0*$/.test(field(plain, 'parent_span_id'))
    const top = byKind
      ? isRoot || kind === 2 || kind === 5
      : isRoot || parent === undefined || service(parent.span, resource) !== service(span, resource)
    return spanOf(one, resource, top, byKind)
  })
  const priorities = made.map(one => one.metrics['_sampling_priority_v1']).filter(one => one !== undefined)
  const priority = Math.trunc(Math.min(2, Math.max(-1, priorities.at(-1) ?? 1)))
  const maker = priorities.length > 0 ? '-4' : '-9'
  return {
    priority,
    origin: '',
    tags: priority > 0 ? { '_dd.otlp_sr': '1.00', '_dd.p.dm': maker } : { '_dd.otlp_sr': '1.00' },
    spans: made,
  }
}
