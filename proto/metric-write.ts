/** Writes metrics of single numbers as OTLP: plain code, an object per point, for what is taken now and then. */
import { encodeField, encodeKeyValue, encodeValue, type Writable } from './values.ts'

/** Attributes by name. */
export type Attributes = Readonly<Record<string, Writable>>

/** One point of a metric. */
export interface NumberPoint {
  readonly attributes: Attributes
  readonly value: number
}

/** A metric whose points are numbers. */
export interface NumberMetric {
  readonly name: string
  readonly description: string
  readonly unit: string
  /** A counter only grows; a sum may shrink, and adds up over its points, what a gauge does not. */
  readonly kind: 'counter' | 'sum' | 'gauge'
  /** Whether values are doubles; whole numbers otherwise. */
  readonly fractional: boolean
  /** Since when it is counted, and when it was read; milliseconds since the epoch. Without a start it is not known. */
  readonly start: number | undefined
  readonly now: number
  readonly points: readonly NumberPoint[]
}

/** A scope with its items: metrics, or spans or log records, which stand in the same field. */
export interface WrittenScope {
  readonly name: string
  readonly version: string
  readonly items: readonly Buffer[]
}

/** Key-value pairs, each in a field of `tag`. */
export const encodeAttributes = (tag: number, all: Attributes): Buffer[] =>
  Object.entries(all).map(([key, value]) => encodeKeyValue(tag, Buffer.from(key), encodeValue(value)))

/** A text; nothing where it is empty. */
export const encodeText = (tag: number, value: string): Buffer =>
  value === '' ? Buffer.alloc(0) : encodeField(tag, Buffer.from(value))

/** A fixed64 field of nanoseconds since the epoch, of milliseconds that may have a fraction. */
export function encodeTime(tag: readonly number[], milliseconds: number): Buffer {
  const out = Buffer.alloc(tag.length + 8)
  out.set(tag)
  const whole = Math.floor(milliseconds)
  out.writeBigUInt64LE(BigInt(whole) * 1_000_000n + BigInt(Math.round((milliseconds - whole) * 1e6)), tag.length)
  return out
}

/** Cumulative, and whether it only grows. */
const counterEnd = Buffer.from([0x10, 2, 0x18, 1])
const sumEnd = Buffer.from([0x10, 2])

/** Bytes of the metric: opentelemetry.proto.metrics.v1.Metric. */
export function encodeNumberMetric(metric: NumberMetric): Buffer {
  const { name, description, unit, kind, fractional, start, now, points } = metric
  const times = [...(start === undefined ? [] : [encodeTime([0x11], start)]), encodeTime([0x19], now)]
  const written = points.map(({ attributes, value }) => {
    const number = Buffer.alloc(9)
    number[0] = fractional ? 0x21 : 0x31
    if (fractional) number.writeDoubleLE(value, 1)
    else number.writeBigInt64LE(BigInt(Math.trunc(value)), 1)
    return encodeField(0x0a, Buffer.concat([...encodeAttributes(0x3a, attributes), ...times, number]))
  })
  const data =
    kind === 'gauge'
      ? encodeField(0x2a, Buffer.concat(written))
      : encodeField(0x3a, Buffer.concat([...written, kind === 'counter' ? counterEnd : sumEnd]))
  return Buffer.concat([encodeText(0x0a, name), encodeText(0x12, description), encodeText(0x1a, unit), data])
}

/** A resource group of scopes: a piece of a request. */
export function encodeResourceGroup(resource: Attributes, scopes: readonly WrittenScope[], schemaUrl = ''): Buffer {
  const inScopes = scopes.map(({ name, version, items }) => {
    const scope = Buffer.concat([encodeText(0x0a, name), encodeText(0x12, version)])
    return encodeField(0x12, Buffer.concat([encodeField(0x0a, scope), ...items.map(item => encodeField(0x12, item))]))
  })
  const attributes = encodeField(0x0a, Buffer.concat(encodeAttributes(0x0a, resource)))
  return encodeField(0x0a, Buffer.concat([attributes, ...inScopes, encodeText(0x1a, schemaUrl)]))
}
