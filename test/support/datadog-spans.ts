/** Spans written out for tests of what becomes of them at Datadog, and the payload read back. */
import { TraceEncoder, type TracePayload, type TraceRules } from '../../backends/datadog/traces.ts'
import { readRequest } from '../../proto/request.ts'
import { type AgentPayload, decodeDatadog, type DatadogSpan } from './datadog-proto.ts'
import { moment } from './datadog-stats.ts'
import { encode, type Plain } from './otlp-proto.ts'

/** Rules with nothing set. */
export const usual: TraceRules = { names: undefined, ignored: [], topLevelByKind: false, hostname: '', agent: '' }

/** The payload of a request, and as protobufjs reads it. */
export function encoded(body: Buffer, rules: Partial<TraceRules> = {}): TracePayload & { payload: AgentPayload } {
  const made = new TraceEncoder({ ...usual, ...rules }).encode(readRequest('traces', body).groups, moment, undefined)
  return { ...made, payload: decodeDatadog('AgentPayload', made.body) as AgentPayload }
}

const value = (of: unknown): Plain => {
  if (typeof of === 'string') return { string_value: of }
  if (typeof of === 'boolean') return { bool_value: of }
  if (typeof of === 'bigint') return { int_value: String(of) }
  if (typeof of === 'number') return Number.isInteger(of) ? { int_value: of } : { double_value: of }
  if (Array.isArray(of)) return { array_value: { values: of.map(value) } }
  return {}
}
/** Attributes. */
export const list = (attributes: Record<string, unknown>): Plain[] =>
  Object.entries(attributes).map(([key, of]) => ({ key, value: value(of) }))

/** Numbers of the kinds. */
export const kinds = { unspecified: 0, internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const
/** An id that ends in `n`. */
export const id = (n: number, length: number): Buffer => {
  const out = Buffer.alloc(length)
  out.writeUInt32BE(n, length - 4)
  return out
}
/** A span with these attributes. */
export const span = (attributes: Record<string, unknown>, more: Plain = {}): Plain => ({
  trace_id: Buffer.concat([id(0xabcd, 8), id(1, 8)]),
  span_id: id(2, 8),
  name: 'work',
  kind: 1,
  start_time_unix_nano: '1700000000000000000',
  end_time_unix_nano: '1700000000000500000',
  attributes: list(attributes),
  ...more,
})
/** A request of one resource and scope. */
export const request = (
  spans: Plain[],
  resource: Record<string, unknown> = { 'service.name': 'shop' },
  scope: Plain = {},
): Buffer =>
  encode('traces', { resource_spans: [{ resource: { attributes: list(resource) }, scope_spans: [{ scope, spans }] }] })

/** The one span of a request. */
export const only = (body: Buffer, rules: Partial<TraceRules> = {}): DatadogSpan =>
  encoded(body, rules).payload.tracerPayloads[0].chunks[0].spans[0]
