/** What Kymo tells about itself, as OTLP. A few items now and then: plain code, an object per item. */
import { encodeField, encodeKeyValue, encodeValue, type Writable } from '../proto/values.ts'
import type { MetricFamily, Row } from './metrics.ts'

/** Attributes by name. */
export type Attributes = Readonly<Record<string, Writable>>

const attributes = (tag: number, all: Attributes): Buffer[] =>
  Object.entries(all).map(([key, value]) => encodeKeyValue(tag, Buffer.from(key), encodeValue(value)))

const text = (tag: number, value: string): Buffer =>
  value === '' ? Buffer.alloc(0) : encodeField(tag, Buffer.from(value))

/** A fixed64 field of nanoseconds since the epoch, of milliseconds that may have a fraction. */
function nanoseconds(tag: readonly number[], milliseconds: number): Buffer {
  const out = Buffer.alloc(tag.length + 8)
  out.set(tag)
  const whole = Math.floor(milliseconds)
  out.writeBigUInt64LE(BigInt(whole) * 1_000_000n + BigInt(Math.round((milliseconds - whole) * 1e6)), tag.length)
  return out
}

/** A request of any signal: one resource, one scope, these items. */
export function encodeRequest(resource: Attributes, version: string, items: readonly Buffer[]): Buffer {
  const scope = Buffer.concat([text(0x0a, 'kymo'), text(0x12, version)])
  const inScope = items.map(item => encodeField(0x12, item))
  return encodeField(
    0x0a,
    Buffer.concat([
      encodeField(0x0a, Buffer.concat(attributes(0x0a, resource))),
      encodeField(0x12, Buffer.concat([encodeField(0x0a, scope), ...inScope])),
    ]),
  )
}

/** One metric with its points, in milliseconds since the epoch; undefined when it has none. */
export function encodeMetric<Sources>(
  { name, type, help, fractional = false, read }: MetricFamily<Sources>,
  sources: Sources,
  times: { readonly start: number; readonly now: number },
): Buffer | undefined {
  const rows = addedUp(read(sources))
  if (rows.length === 0) return undefined
  const start = nanoseconds([0x11], times.start)
  const now = nanoseconds([0x19], times.now)
  const points = rows.map(({ labels, value }) => {
    const number = Buffer.alloc(9)
    number[0] = fractional ? 0x21 : 0x31
    if (fractional) number.writeDoubleLE(value, 1)
    else number.writeBigInt64LE(BigInt(Math.trunc(value)), 1)
    return encodeField(0x0a, Buffer.concat([...attributes(0x3a, labels), start, now, number]))
  })
  // A counter is a sum: cumulative, only growing.
  const data =
    type === 'counter'
      ? encodeField(0x3a, Buffer.concat([...points, Buffer.from([0x10, 2, 0x18, 1])]))
      : encodeField(0x2a, Buffer.concat(points))
  return Buffer.concat([text(0x0a, name), text(0x12, help), data])
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
    nanoseconds([0x09], at),
    nanoseconds([0x59], at),
    Buffer.from([0x10, severities[level]]),
    text(0x1a, level.toUpperCase()),
    encodeField(0x2a, encodeValue(message)),
    ...attributes(0x32, record.attributes),
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
  const status = error === undefined ? undefined : Buffer.concat([text(0x12, error), Buffer.from([0x18, 2])])
  return Buffer.concat([
    encodeField(0x0a, traceId),
    encodeField(0x12, spanId),
    ...(parentId === undefined ? [] : [encodeField(0x22, parentId)]),
    text(0x2a, name),
    Buffer.from([0x30, spanKinds[kind]]),
    nanoseconds([0x39], start),
    nanoseconds([0x41], end),
    ...attributes(0x4a, span.attributes),
    ...(status === undefined ? [] : [encodeField(0x7a, status)]),
    // Flags: sampled.
    Buffer.from([0x85, 0x01, 1, 0, 0, 0]),
  ])
}
