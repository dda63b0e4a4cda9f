/** APM stats of spans as Datadog's rules have them, added up span by span in plain maps. */
import {
  type Attributes,
  attributes,
  isMeasured,
  lookup,
  operation,
  resourceName,
  service,
  statusCode,
  tagValue,
  typeOf,
  withoutValues,
} from './datadog-reference.ts'
import { decode, listOf, type Plain } from './otlp-proto.ts'

/** What spans that are counted together have in common, and their counts. */
export interface Row {
  readonly env: string
  readonly version: string
  readonly hostname: string
  readonly start: number
  readonly service: string
  readonly name: string
  readonly resource: string
  readonly type: string
  readonly kind: string
  readonly status: number
  readonly root: boolean
  readonly peers: string
  hits: number
  errors: number
  topLevel: number
  duration: number
  ok: number[]
  failed: number[]
}

export interface Rules {
  readonly byKind: boolean
  readonly topLevelByKind: boolean
  readonly peers: boolean
  readonly interval: number
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const peers = [
  'db.name',
  'db.namespace',
  'db.system',
  'db.system.name',
  'messaging.destination.name',
  'messaging.system',
  'rpc.service',
  'rpc.system',
]

/** The rows of a request, by what tells them apart. */
export function expectedStats(body: Buffer, rules: Rules): Map<string, Row> {
  const rows = new Map<string, Row>()
  for (const group of listOf(decode('traces', body), 'resource_spans')) {
    const resource = attributes((group['resource'] ?? {}) as Plain)
    const spans = listOf(group, 'scope_spans').flatMap(scopes => listOf(scopes, 'spans'))
    for (const plain of spans) count(plain, spans, resource, rules, rows)
  }
  return rows
}

function isTop(plain: Plain, spans: readonly Plain[], resource: Attributes, byKind: boolean): boolean {
  if (plain['parent_span_id'] === undefined) return true
  if (byKind) return plain['kind'] === 2 || plain['kind'] === 5
  const parent = spans.findLast(one => one['span_id'] === plain['parent_span_id'])
  if (parent === undefined || parent['trace_id'] !== plain['trace_id']) return true
  return service(attributes(parent), resource) !== service(attributes(plain), resource)
}

function count(
  plain: Plain,
  spans: readonly Plain[],
  resource: Attributes,
  rules: Rules,
  rows: Map<string, Row>,
): void {
  const span = attributes(plain)
  const kind = Number(plain['kind'] ?? 0)
  const top = isTop(plain, spans, resource, rules.topLevelByKind)
  const counts = (rules.byKind || rules.topLevelByKind) && kind >= 2 && kind <= 5
  if (!top && !counts && !isMeasured(span, resource)) return
  const row = rowOf(plain, span, kind, resource, rules)
  const key = JSON.stringify(row)
  const known = rows.get(key) ?? row
  rows.set(key, known)
  const duration = Number(
    BigInt(plain['end_time_unix_nano'] as string) - BigInt(plain['start_time_unix_nano'] as string),
  )
  known.hits++
  known.duration += duration
  if (top) known.topLevel++
  const failed = Number((plain['status'] as Plain | undefined)?.['code'] ?? 0) === 2
  if (failed) known.errors++
  ;(failed ? known.failed : known.ok).push(duration)
}

function rowOf(plain: Plain, span: Attributes, kind: number, resource: Attributes, rules: Rules): Row {
  const type = typeOf(kind, span, resource)
  const name = operation(kind, span, resource)
  const tag = (...keys: string[]): string => tagValue(lookup(span, resource, ...keys))
  const called = resourceName(typeof plain['name'] === 'string' ? plain['name'] : '', kind, span, resource)
  const end = Number(BigInt(plain['end_time_unix_nano'] as string) / 1_000_000n)
  const code = statusCode(span, resource) ?? 0
  return {
    env: tag('deployment.environment.name', 'deployment.environment') || 'none',
    version: tag('service.version'),
    hostname: lookup(new Map(), resource, 'host.name') || '__unset__',
    start: end - (end % rules.interval),
    service: service(span, resource),
    name,
    resource: withoutValues(type, called) || name,
    type,
    kind: kinds[kind],
    status: Math.max(0, code),
    root: plain['parent_span_id'] === undefined,
    peers: rules.peers && [3, 4, 5].includes(kind) ? peersOf(span, resource) : '',
    hits: 0,
    errors: 0,
    topLevel: 0,
    duration: 0,
    ok: [],
    failed: [],
  }
}

const peersOf = (span: Attributes, resource: Attributes): string =>
  peers
    .map(key => [key, lookup(span, resource, key)])
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}:${value}`)
    .join(',')
