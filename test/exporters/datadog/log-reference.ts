/** Entries of log records written as simply as it can be said, from plain values: what the writer must come to. */
import { encode } from '../../support/otlp.ts'

/** A value of an attribute, before it is one. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | { readonly double: number }
  | { readonly map: { readonly [key: string]: PlainValue } }
  | readonly PlainValue[]

type List = readonly (readonly [key: string, value: PlainValue])[]

/** A record in plain values. */
export interface PlainRecord {
  readonly time: bigint
  readonly observed: bigint
  readonly number: number
  readonly severity: string
  readonly trace: string
  readonly span: string
  readonly event: string
  readonly body: PlainValue
  readonly attributes: List
}

const isList = (value: PlainValue): value is readonly PlainValue[] => Array.isArray(value)
/** Lists and bytes have something of that name, too. */
const isMap = (value: PlainValue): boolean =>
  value !== null && typeof value === 'object' && !(value instanceof Uint8Array) && !isList(value) && 'map' in value

function otlp(value: PlainValue): object {
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (typeof value === 'number') return { int_value: value }
  if (value === null) return {}
  if (value instanceof Uint8Array) return { bytes_value: value }
  if (isList(value)) return { array_value: { values: value.map(otlp) } }
  if ('double' in value) return { double_value: value.double }
  return { kvlist_value: { values: pairs(Object.entries(value.map)) } }
}
/** Attributes as OTLP has them. */
export const pairs = (list: List): object[] => list.map(([key, value]) => ({ key, value: otlp(value) }))

/** A number as JSON can say it. */
const finite = (n: number): number | string => (Number.isFinite(n) ? n : String(n))

/** What stands for a value inside a text of JSON. */
function plain(value: PlainValue): unknown {
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (isList(value)) return value.map(plain)
  if ('double' in value) return finite(value.double)
  const sorted = Object.entries(value.map).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([key, inner]) => [key, plain(inner)]))
}

/** A value as text. */
export function asText(value: PlainValue): string {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (typeof value !== 'object') return String(value)
  if (!isList(value) && 'double' in value) return Object.is(value.double, -0) ? '-0' : String(value.double)
  // Go escapes what could end a script.
  return goText(value)
}

/** JSON with its keys in order, as Go writes it. */
function goText(value: PlainValue): string {
  if (value !== null && typeof value === 'object' && !(value instanceof Uint8Array)) {
    if (isList(value)) return `[${value.map(goText).join(',')}]`
    if ('map' in value) {
      const sorted = Object.entries(value.map).sort(([a], [b]) => (a < b ? -1 : 1))
      return `{${sorted.map(([key, inner]) => `${escaped(key)}:${goText(inner)}`).join(',')}}`
    }
    if (Object.is(value.double, -0)) return '-0'
  }
  return escaped(plain(value))
}
const escaped = (value: unknown): string =>
  JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** What a value is in an entry, `level` maps and lists down. */
function flat(key: string, value: PlainValue, level: number): [string, unknown][] {
  if (value === null) return [[key, '']]
  if (value instanceof Uint8Array || typeof value !== 'object')
    return [[key, value instanceof Uint8Array ? asText(value) : value]]
  if (isList(value)) {
    const items = value.map(item => {
      const inner = flat('', item, level + 1)
      return isMap(item) && level + 1 < 10 ? Object.fromEntries(inner) : inner[0][1]
    })
    return [[key, items]]
  }
  if ('double' in value) return [[key, finite(value.double)]]
  if (level === 10) return [[key, asText(value)]]
  return Object.entries(value.map).flatMap(([name, inner]) =>
    flat(key === '' ? name : `${key}.${name}`, inner, level + 1),
  )
}

const any = (names: string): Set<string> => new Set(names.split(' '))
const messages = any('msg message log')
const statuses = any('status severity level syslog.severity')
const traces = any('traceid trace_id contextmap.traceid oteltraceid')
const spans = any('spanid span_id contextmap.spanid otelspanid')
const reserved = any(
  'message status hostname service ddsource ddtags @timestamp dd.trace_id dd.span_id otel.trace_id otel.span_id ' +
    'otel.severity_text otel.severity_number otel.timestamp otel.event_name',
)
const isHex = (text: string, length: number): boolean => text.length === length && /^[0-9a-f]*$/i.test(text)
const decimal = (hex: string): string => BigInt(`0x${hex.slice(-16)}`).toString()

function resourceEntries(resource: List, scope: List): Map<string, string> {
  const out = new Map<string, string>()
  for (const [key, value] of [...resource, ...scope]) out.set(reserved.has(key) ? `otel.${key}` : key, asText(value))
  return out
}

/** What records have of their own fields. */
function own(record: PlainRecord): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  const { trace, span, severity, number, event } = record
  if (/[1-9a-f]/.test(trace)) Object.assign(out, { 'dd.trace_id': decimal(trace), 'otel.trace_id': trace })
  if (/[1-9a-f]/.test(span)) Object.assign(out, { 'dd.span_id': decimal(span), 'otel.span_id': span })
  if (severity !== '') out['otel.severity_text'] = severity
  if (number !== 0) out['otel.severity_number'] = String(number)
  if (event !== '') out['otel.event_name'] = event
  const time = record.time || record.observed
  if (time !== 0n) {
    out['otel.timestamp'] = String(time)
    out['@timestamp'] = new Date(Number(time / 1_000_000n)).toISOString()
  }
  return out
}

/** What attributes say of an entry, and those that are only attributes. */
function attributesOf(record: PlainRecord, fields: object, common: ReadonlyMap<string, string>) {
  const said: Record<string, string> = {}
  const out: Record<string, unknown> = {}
  for (const [key, value] of record.attributes) {
    const low = key.toLowerCase()
    const text = asText(value)
    if (messages.has(low)) said['message'] = text
    else if (statuses.has(low)) said['status'] = text
    else if (low === 'ddtags') said['tags'] = text
    else if (traces.has(low) && isHex(text, 32)) said['trace_id'] ??= text
    else if (spans.has(low) && isHex(text, 16)) said['span_id'] ??= text
    else {
      for (const [name, inner] of flat(key, value, 1))
        if (!Object.hasOwn(fields, name) && !common.has(name)) out[name] = inner
    }
  }
  for (const id of ['trace_id', 'span_id']) {
    const ours = `dd.${id}`
    const whole = `otel.${id}`
    if (said[id] === undefined || Object.hasOwn(fields, whole) || Object.hasOwn(out, ours) || Object.hasOwn(out, whole))
      continue
    Object.assign(out, { [ours]: decimal(said[id]), [whole]: said[id] })
  }
  return { said, out }
}

const ranges = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

function statusOf(record: PlainRecord, said: string | undefined): object {
  const ofNumber = record.number === 0 ? undefined : (ranges[Math.ceil(record.number / 4) - 1] ?? 'error')
  const status = said || record.severity || ofNumber
  return status === undefined ? {} : { status }
}

function entry(record: PlainRecord, resource: List, scope: List, hostname: string): object {
  const common = resourceEntries(resource, scope)
  const fields = own(record)
  const { said, out } = attributesOf(record, fields, common)
  const service = resource.find(([key, value]) => key === 'service.name' && asText(value) !== '')
  const tags = said['tags'] ? [...tagsOf(resource), said['tags']] : tagsOf(resource)
  return {
    hostname,
    ...(service === undefined ? {} : { service: asText(service[1]) }),
    ddsource: 'otlp_log_ingestion',
    ...out,
    ...Object.fromEntries(common),
    ...fields,
    ...statusOf(record, said['status']),
    ddtags: tags.join(','),
    message: said['message'] || asText(record.body),
  }
}

/** Of the names that the generator makes only these are tags. */
function tagsOf(resource: List): string[] {
  const tags = resource.filter(([key, value]) => key === 'service' && asText(value) !== '')
  const service = resource.find(([key, value]) => key === 'service.name' && asText(value) !== '')
  if (service !== undefined) return [`service:${asText(service[1])}`]
  return tags.map(([, value]) => `service:${asText(value)}`)
}

/** The request of these records, and the entries that must come of it. */
export function entryOf(
  records: readonly PlainRecord[],
  resource: List,
  scope: List,
  hostname: string,
): { request: Buffer; expected: object[] } {
  const request = encode('ExportLogsServiceRequest', {
    resource_logs: [
      {
        resource: { attributes: pairs(resource) },
        scope_logs: [
          {
            scope: { attributes: pairs(scope) },
            log_records: records.map(one => ({
              time_unix_nano: String(one.time),
              observed_time_unix_nano: String(one.observed),
              severity_number: one.number,
              severity_text: one.severity,
              trace_id: Buffer.from(one.trace, 'hex'),
              span_id: Buffer.from(one.span, 'hex'),
              event_name: one.event,
              body: otlp(one.body),
              attributes: pairs(one.attributes),
            })),
          },
        ],
      },
    ],
  })
  // As JSON says it: -0 stays, what is undefined goes.
  return { request, expected: records.map(one => entry(one, resource, scope, hostname)) }
}
