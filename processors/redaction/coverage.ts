/**
 * Every text of OTLP, and what covers it: what is redacted is made from this table, as are the page about it and the test
 * of each field.
 */
import { type Field, messageNamed } from '../../proto/schema.ts'

/** What covers a field. */
export type Cover =
  /** Rules of keys and of values, on attributes with what is nested in them. */
  | 'attributes'
  /** The same for a body: the keys of its maps are taken as those of attributes. */
  | 'body'
  /** `blocked_values`, unless `redact_texts` is off. */
  | 'text'
  /** Nothing. */
  | 'none'

/** A field of a message that can hold text. */
export interface Covered {
  readonly message: string
  readonly field: string
  readonly cover: Cover
  /** Why it is not covered. */
  readonly why?: string
}

const attributes = (message: string, field = 'attributes'): Covered => ({ message, field, cover: 'attributes' })
const text = (message: string, ...fields: string[]): Covered[] =>
  fields.map(field => ({ message, field, cover: 'text' }))
const none = (why: string, message: string, ...fields: string[]): Covered[] =>
  fields.map(field => ({ message, field, cover: 'none', why }))

const schemaUrl = 'it names the version of the conventions, a constant of the SDK'
const entity = 'it names attributes of the resource, whose values are covered there'

/** The table. */
export const coverage: readonly Covered[] = [
  attributes('Resource'),
  ...none(entity, 'EntityRef', 'schema_url', 'type', 'id_keys', 'description_keys'),
  ...['ResourceSpans', 'ScopeSpans', 'ResourceLogs', 'ScopeLogs', 'ResourceMetrics', 'ScopeMetrics'].flatMap(message =>
    none(schemaUrl, message, 'schema_url'),
  ),
  attributes('InstrumentationScope'),
  ...text('InstrumentationScope', 'name', 'version'),

  attributes('Span'),
  ...text('Span', 'name', 'trace_state'),
  attributes('Event'),
  ...text('Event', 'name'),
  attributes('Link'),
  ...text('Link', 'trace_state'),
  ...text('Status', 'message'),

  attributes('LogRecord'),
  { message: 'LogRecord', field: 'body', cover: 'body' },
  ...text('LogRecord', 'severity_text', 'event_name'),

  ...text('Metric', 'name', 'description', 'unit'),
  attributes('Metric', 'metadata'),
  attributes('NumberDataPoint'),
  attributes('HistogramDataPoint'),
  attributes('ExponentialHistogramDataPoint'),
  attributes('SummaryDataPoint'),
  attributes('Exemplar', 'filtered_attributes'),
]

/** What covers a field of a message; undefined for what is no text, or is told apart by what is in it. */
export function coverOf(message: string, { name }: Field): Cover | undefined {
  return coverage.find(one => one.message === message && one.field === name)?.cover
}

/** Fields of a message, and of the messages in it, that can hold text, with the message they are in. */
export function textFields(message: string): readonly (readonly [message: string, field: string])[] {
  return messageNamed(message).fields.flatMap(({ name, type, of }) => {
    if (type === 'string') return [[message, name] as const]
    if (type !== 'message') return []
    return of === 'KeyValue' || of === 'AnyValue' ? [[message, name] as const] : textFields(of)
  })
}

/** The table as a page shows it. */
export const coverageTable = {
  title: 'What is covered',
  text:
    'Every text of OTLP. Attributes: rules of keys and of values, also for what is nested in lists and maps, and for bytes ' +
    'as text. Body: the same, with the keys of its maps as keys. Text: `blocked_values`, unless `redact_texts` is off. Keys ' +
    'of attributes are never masked: one that is not to be seen is not in `allowed_keys`.',
  head: ['Message', 'Field', 'Covered as'],
  rows: coverage.map(({ message, field, cover, why }) => [
    message,
    `\`${field}\``,
    why === undefined ? cover : `no: ${why}`,
  ]),
}
