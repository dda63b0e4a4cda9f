/** The fields of log records and scopes as Loki's structured metadata, with the names that its OTLP endpoint gives them. */
import { attributeTags } from '../../proto/attributes.ts'
import type { MetadataWriter } from './metadata.ts'
import { MetadataName } from './metadata-names.ts'
import type { LogRecordReader } from './record.ts'
import { asBuffer, Range } from '../../proto/values.ts'
import { fieldNamed, findField, readField } from '../../proto/views.ts'

const observed = new MetadataName('observed_timestamp')
const severityNumber = new MetadataName('severity_number')
const severityText = new MetadataName('severity_text')
const dropped = new MetadataName('dropped_attributes_count')
const flags = new MetadataName('flags')
const trace = new MetadataName('trace_id')
const span = new MetadataName('span_id')
const event = new MetadataName('event_name')
const scopeName = new MetadataName('scope_name')
const scopeVersion = new MetadataName('scope_version')
const scopeDropped = new MetadataName('scope_dropped_attributes_count')

const scope = {
  name: fieldNamed('InstrumentationScope', 'name'),
  version: fieldNamed('InstrumentationScope', 'version'),
  dropped: fieldNamed('InstrumentationScope', 'dropped_attributes_count'),
}

/** Writes what the record at the reader has besides body and attributes. */
export function putFields(out: MetadataWriter, reader: LogRecordReader, bytes: Buffer): void {
  // Where only the observed time is set, it is the time of the entry.
  if (hasTime(reader.timeLow, reader.timeHigh) && hasTime(reader.observedLow, reader.observedHigh)) {
    out.number(observed, reader.observedLow, reader.observedHigh)
  }
  if (reader.severity !== 0) {
    out.number(severityNumber, reader.severity >>> 0, reader.severity >> 31, true)
  }
  const { severityStart, severityEnd } = reader
  if (severityEnd > severityStart) out.text(severityText, bytes, severityStart, severityEnd)
  putDropped(out, reader.dropped)
  if (reader.flags !== 0) out.number(flags, reader.flags, 0)
  if (reader.traceEnd > reader.traceStart) out.hex(trace, bytes, reader.traceStart, reader.traceEnd)
  if (reader.spanEnd > reader.spanStart) out.hex(span, bytes, reader.spanStart, reader.spanEnd)
  if (reader.eventEnd > reader.eventStart) out.text(event, bytes, reader.eventStart, reader.eventEnd)
}

/** Writes how many attributes of a record are missing. */
export function putDropped(out: MetadataWriter, count: number): void {
  if (count > 0) out.number(dropped, count, 0)
}

const hasTime = (low: number, high: number): boolean => (low | high) !== 0

/** Writes what a scope has. @throws WireError where its bytes are none */
export function putScope(out: MetadataWriter, { bytes, start, end }: Range): void {
  const buffer = asBuffer(bytes)
  out.attributes(buffer, start, end, attributeTags.scope)
  const range = new Range()
  for (const [field, name] of [
    [scope.name, scopeName],
    [scope.version, scopeVersion],
  ] as const) {
    if (!findField(buffer, start, end, field, range) || range.start === range.end) continue
    out.text(name, asBuffer(range.bytes), range.start, range.end)
  }
  const count = Number(readField(buffer, start, end, scope.dropped) ?? 0)
  if (count > 0) out.number(scopeDropped, count, 0)
}
