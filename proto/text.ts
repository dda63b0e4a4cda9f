/**
 * Telemetry as text, for people: one line per item, or everything as a tree. Nothing here throws; what cannot be read
 * is shown as `<malformed: ...>`.
 */
import { AttributeWalk } from './attributes.ts'
import { encodeGroups, type Group } from './group.ts'
import { enums, type Field, type Message, messageNamed } from './schema.ts'
import { type Signal, signals } from './signals.ts'
import {
  asBuffer,
  BOOL,
  BYTES,
  DOUBLE,
  INT,
  LIST,
  MAP,
  Range,
  readKeyValue,
  readValue,
  TEXT,
  text,
  valueKind,
  valueText,
} from './values.ts'
import {
  eachElement,
  eachPoint,
  fieldNamed,
  findField,
  ItemCursor,
  packedNumbers,
  readField,
  readNumbers,
  readScalar,
  readText,
  type ScalarValue,
} from './views.ts'
import { Cursor, LENGTH, maxDepth, WireError } from './wire.ts'

/** `make()`, or a word on why the bytes cannot be read. */
function legible(make: () => string): string {
  try {
    return make()
  } catch (error) {
    if (error instanceof WireError) return `<malformed: ${error.message}>`
    throw error
  }
}

/** About one line per item: what the Collector's debug exporter writes with `verbosity: normal`. */
export function normalText(signal: Signal, groups: readonly Group[]): string {
  const lines: string[] = []
  const { resourceGroup, scopeGroup, item } = signals[signal]
  const cursor = new ItemCursor()
  const scope = new Range()
  groups.forEach((group, g) => {
    const { resource, resourceStart, resourceEnd } = group
    const url = readText(group.bytes, group.start, group.end, groupUrl)
    const attributes = attributesText(resource, resourceStart, resourceEnd, messageNamed('Resource'))
    lines.push(words(`${resourceGroup} #${g}`, url && `[${url}]`, attributes))
    const line = legible(() => {
      cursor.set(group)
      for (let s = 0; cursor.nextScope(); s++) {
        const found = cursor.scope(scope)
        const name = found ? scopeName(scope) : ''
        const scopeUrl = cursor.scopeSchemaUrl()
        const attributes = found
          ? attributesText(scope.bytes, scope.start, scope.end, messageNamed('InstrumentationScope'))
          : ''
        lines.push(words(`${scopeGroup} #${s}`, name, scopeUrl && `[${scopeUrl}]`, attributes))
        const { bytes } = cursor
        while (cursor.nextItem()) lines.push(legible(() => itemLine(item, bytes, cursor.start, cursor.end)))
      }
      return ''
    })
    if (line !== '') lines.push(line)
  })
  return printable(lines)
}

const groupUrl = fieldNamed('ResourceSpans', 'schema_url')
const words = (...parts: string[]): string => parts.filter(part => part !== '').join(' ')

function scopeName({ bytes, start, end }: Range): string {
  const version = readText(bytes, start, end, fieldNamed('InstrumentationScope', 'version'))
  return readText(bytes, start, end, fieldNamed('InstrumentationScope', 'name')) + (version === '' ? '' : `@${version}`)
}

/** Attributes as `key=value`, whichever field of the message they are. */
function attributesText(bytes: Uint8Array, start: number, end: number, message: Message, separator = ' '): string {
  const list = message.fields.find(field => field.of === 'KeyValue')
  if (list === undefined) return ''
  return legible(() => {
    const walk = new AttributeWalk(bytes, start, end, (list.number << 3) | LENGTH)
    const key = new Range()
    const value = new Range()
    const parts: string[] = []
    while (walk.next()) {
      readKeyValue(bytes, walk.from, walk.to, key, value)
      parts.push(`${text(key.bytes, key.start, key.end)}=${valueText(readValue(value.bytes, value.start, value.end))}`)
    }
    return parts.join(separator)
  })
}

function itemLine(name: string, bytes: Uint8Array, start: number, end: number): string {
  const message = messageNamed(name)
  const field = (fieldName: string) => fieldNamed(name, fieldName)
  const attributes = (): string => attributesText(bytes, start, end, message)
  if (name === 'Span') {
    const id = (fieldName: string): string =>
      scalarText(field(fieldName), readField(bytes, start, end, field(fieldName)))
    return words(readText(bytes, start, end, field('name')), id('trace_id'), id('span_id'), attributes())
  }
  if (name === 'LogRecord') {
    const body = new Range()
    const found = findField(bytes, start, end, field('body'), body)
    return words(found ? valueText(readValue(body.bytes, body.start, body.end)) : '', attributes())
  }
  const lines: string[] = []
  const metric = readText(bytes, start, end, field('name'))
  eachPoint(bytes, start, end, (point, b, from, to) => {
    lines.push(legible(() => `${metric}{${attributesText(b, from, to, point, ',')}} ${pointText(point, b, from, to)}`))
  })
  return lines.join('\n')
}

/** The value of a data point in one line. */
function pointText(point: Message, bytes: Uint8Array, start: number, end: number): string {
  const parts: string[] = []
  const bounds = numbersOf(point, 'explicit_bounds', bytes, start, end)
  const counts = numbersOf(point, 'bucket_counts', bytes, start, end)
  for (const field of point.fields) {
    if (field.repeated || field.type === 'message' || unshown.has(field.name)) continue
    const value = readField(bytes, start, end, field)
    if (value === undefined) continue
    parts.push(field.oneof === 'value' ? scalarText(field, value) : `${field.name}=${scalarText(field, value)}`)
  }
  counts.forEach((count, i) => parts.push(i < bounds.length ? `le${bounds[i]}=${count}` : String(count)))
  for (const side of ['negative', 'positive']) parts.push(...bucketsText(point, side, bytes, start, end))
  const quantiles = point.byName.get('quantile_values')
  if (quantiles !== undefined) {
    eachElement(bytes, start, end, quantiles, (b, from, to) => {
      const of = (name: string) => Number(readField(b, from, to, fieldNamed('ValueAtQuantile', name)) ?? 0)
      parts.push(`q${of('quantile')}=${of('value')}`)
    })
  }
  return parts.join(' ')
}

/** Fields of a data point that its line leaves out. */
const unshown = new Set(['start_time_unix_nano', 'time_unix_nano', 'flags', 'scale', 'zero_threshold'])

function numbersOf(message: Message, name: string, bytes: Uint8Array, start: number, end: number) {
  const field = message.byName.get(name)
  return field === undefined ? [] : readNumbers(bytes, start, end, field)
}

/** Buckets of an exponential histogram, by their lower bounds. */
function bucketsText(point: Message, side: string, bytes: Uint8Array, start: number, end: number): string[] {
  const field = point.byName.get(side)
  const buckets = new Range()
  if (field === undefined || !findField(bytes, start, end, field, buckets)) return []
  const scale = Number(readField(bytes, start, end, fieldNamed(point.name, 'scale')) ?? 0)
  const offset = Number(readField(buckets.bytes, buckets.start, buckets.end, fieldNamed('Buckets', 'offset')) ?? 0)
  const counts = numbersOf(messageNamed('Buckets'), 'bucket_counts', buckets.bytes, buckets.start, buckets.end)
  const sign = side === 'negative' ? '-' : ''
  return counts.map((count, i) => `${sign}${2 ** ((offset + i) * 2 ** -scale)}=${count}`)
}

/** Everything there is, as a tree, fields that are not known included. */
export function detailedText(signal: Signal, groups: readonly Group[]): string {
  const lines: string[] = []
  const message = messageNamed(signals[signal].resourceGroup)
  groups.forEach((group, g) => {
    lines.push(`${message.name} #${g}`)
    // A group that was edited is written first, so that it shows as it will be sent.
    const bytes = group.untouched ? group.bytes : encodeGroups([group])
    const start = group.untouched ? group.start : bytes.length - group.contentSize
    tree(lines, message, bytes, start, group.untouched ? group.end : bytes.length, 1)
  })
  return printable(lines)
}

/** What moves a terminal's cursor, and what turns the text behind it. */
// oxlint-disable-next-line no-control-regex -- they are what this is about
const obeyed = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Lines without the characters that senders may have put there for a terminal to obey. */
function printable(lines: readonly string[]): string {
  return lines.join('\n').replace(obeyed, '\ufffd')
}

function tree(lines: string[], message: Message, bytes: Uint8Array, start: number, end: number, depth: number): void {
  const indent = '  '.repeat(depth)
  const seen = new Map<number, number>()
  const read = (): string => {
    if (depth > maxDepth) throw new WireError(`messages nested more than ${maxDepth} deep`)
    const cursor = new Cursor(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      const from = cursor.at
      cursor.skip(tag)
      const to = cursor.at
      const field = message.byNumber[tag >>> 3]
      if (field === undefined) {
        lines.push(`${indent}unknown field ${tag >>> 3}: ${to - from} bytes`)
        continue
      }
      const content = contentOf(field, tag, bytes, from, to)
      const count = seen.get(field.number) ?? 0
      seen.set(field.number, count + 1)
      branch(lines, field, tag, content, count, depth)
    }
    return ''
  }
  const fault = legible(read)
  if (fault !== '') lines.push(indent + fault)
}

/** A field's content: without the length, where it has one. */
function contentOf(field: Field, tag: number, bytes: Uint8Array, from: number, to: number): Range {
  const content = new Range()
  const wire = tag & 7
  const packed = wire === LENGTH && field.repeated
  if (wire !== field.wire && !packed) {
    throw new WireError(`${field.name} has wire type ${wire} instead of ${field.wire}`)
  }
  content.set(bytes, wire === LENGTH ? to - new Cursor(bytes, from, to).length() : from, to)
  return content
}

function branch(lines: string[], field: Field, tag: number, content: Range, count: number, depth: number): void {
  const indent = '  '.repeat(depth)
  const { bytes, start, end } = content
  if (field.of === 'AnyValue') lines.push(`${indent}${field.name}: ${typedText(bytes, start, end)}`)
  else if (field.of === 'KeyValue') {
    if (count === 0) lines.push(`${indent}${field.name}:`)
    lines.push(`${indent}  ${legible(() => keyValueText(bytes, start, end))}`)
  } else if (field.type === 'message') {
    lines.push(`${indent}${field.name}${field.repeated ? ` #${count}` : ''}`)
    tree(lines, messageNamed(field.of), bytes, start, end, depth + 1)
  } else if ((tag & 7) === LENGTH && field.wire !== LENGTH) {
    const numbers = packedNumbers(field, bytes, start, end)
    lines.push(`${indent}${field.name}: [${numbers.map(number => scalarText(field, number)).join(', ')}]`)
  } else lines.push(`${indent}${field.name}: ${scalarText(field, readScalar(field, content))}`)
}

function keyValueText(bytes: Uint8Array, start: number, end: number): string {
  const key = new Range()
  const value = new Range()
  readKeyValue(bytes, start, end, key, value)
  return `${text(key.bytes, key.start, key.end)}: ${typedText(value.bytes, value.start, value.end)}`
}

/** Names of AnyValue's members as the Collector writes them. */
const kinds: Readonly<Record<number, string>> = {
  [TEXT]: 'Str',
  [BOOL]: 'Bool',
  [INT]: 'Int',
  [DOUBLE]: 'Double',
  [LIST]: 'Slice',
  [MAP]: 'Map',
  [BYTES]: 'Bytes',
}

function typedText(bytes: Uint8Array, start: number, end: number): string {
  return legible(() => {
    const kind = valueKind(bytes, start, end, new Range())
    return `${kinds[kind] ?? 'Empty'}(${valueText(readValue(bytes, start, end))})`
  })
}

/** A single value as text: ids as hex, times as dates, enums by name. */
function scalarText(field: Field, value: ScalarValue | undefined): string {
  if (value === undefined) return ''
  if (value instanceof Uint8Array) return asBuffer(value).toString(field.hex ? 'hex' : 'base64')
  if (field.name.endsWith('_unix_nano')) return timeText(value)
  if (field.type === 'enum') {
    const name = Object.entries(enums[field.of as keyof typeof enums]).find(([, number]) => number === value)?.[0]
    return name ?? String(value)
  }
  return valueText(value)
}

/** Nanoseconds since 1970 as a date with all its digits. */
function timeText(value: ScalarValue): string {
  const nanos = BigInt(typeof value === 'bigint' || typeof value === 'number' ? value : 0)
  const date = new Date(Number(nanos / 1_000_000n))
  if (Number.isNaN(date.getTime())) return String(nanos)
  return date.toISOString().replace(/\.\d+Z$/, `.${String(nanos % 1_000_000_000n).padStart(9, '0')}Z`)
}
