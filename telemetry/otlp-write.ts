/** What Kymo tells about itself, as OTLP. A few items now and then: plain code, an object per item. */
import {
  type Attributes,
  encodeAttributes,
  encodeNumberMetric,
  encodeResourceGroup,
  encodeText,
  encodeTime,
} from '../proto/metric-write.ts'
import { encodeField, encodeValue } from '../proto/values.ts'
import type { MetricFamily, Row } from './metrics.ts'

/** A request of any signal: one resource, one scope, these items. */
export function encodeRequest(resource: Attributes, version: string, items: readonly Buffer[]): Buffer {
  return encodeResourceGroup(resource, [{ name: 'kymo', version, items }])
}

/** One metric with its points, in milliseconds since the epoch; undefined when it has none. */
export function encodeMetric<Sources>(
  { name, type, help, fractional = false, read }: MetricFamily<Sources>,
  sources: Sources,
  times: { readonly start: number; readonly now: number },
): Buffer | undefined {
  const rows = addedUp(read(sources))
  if (rows.length === 0) return undefined
  return encodeNumberMetric({
    name,
    description: help,
    unit: '',
    kind: type,
    fractional,
    start: times.start,
    now: times.now,
    points: rows.map(({ labels, value }) => ({ attributes: labels, value })),
  })
}

/** Rows with equal labels are one. */
function addedUp(rows: Iterable<Row>): Row[] {
  const sums = new Map<string, Row>()
  for (const { labels, value } of rows) {
    const key = JSON.stringify(labels)
    sums.set(key, { labels, value: value + (sums.get(key)?.value ?? 0) })
  }
  return [...sums.values()]
}

/** What severities are in OTLP. */
const severities = { debug: 5, info: 9, warn: 13, error: 17 } as const

/** One log record. */
export function encodeLogRecord(record: {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly level: keyof typeof severities
  readonly message: string
  readonly attributes: Attributes
}): Buffer {
  const { at, level, message } = record
  return Buffer.concat([
    encodeTime([0x09], at),
    encodeTime([0x59], at),
    Buffer.from([0x10, severities[level]]),
    encodeText(0x1a, level.toUpperCase()),
    encodeField(0x2a, encodeValue(message)),
    ...encodeAttributes(0x32, record.attributes),
  ])
}

/** Kinds of spans in OTLP. */
export const spanKinds = { internal: 1, server: 2, client: 3 } as const

/** One span. */
export interface OwnSpan {
  readonly traceId: Uint8Array
  readonly spanId: Uint8Array
  readonly parentId: Uint8Array | undefined
  readonly name: string
  readonly kind: keyof typeof spanKinds
  /** Milliseconds since the epoch, with a fraction. */
  readonly start: number
  readonly end: number
  readonly attributes: Attributes
  /** What went wrong; undefined: nothing. */
  readonly error: string | undefined
}

/** Its bytes. */
export function encodeSpan(span: OwnSpan): Buffer {
  const { traceId, spanId, parentId, name, kind, start, end, error } = span
  const status = error === undefined ? undefined : Buffer.concat([encodeText(0x12, error), Buffer.from([0x18, 2])])
  return Buffer.concat([
    encodeField(0x0a, traceId),
    encodeField(0x12, spanId),
    ...(parentId === undefined ? [] : [encodeField(0x22, parentId)]),
    encodeText(0x2a, name),
    Buffer.from([0x30, spanKinds[kind]]),
    encodeTime([0x39], start),
    encodeTime([0x41], end),
    ...encodeAttributes(0x4a, span.attributes),
    ...(status === undefined ? [] : [encodeField(0x7a, status)]),
    // Flags: sampled.
    Buffer.from([0x85, 0x01, 1, 0, 0, 0]),
  ])
}
