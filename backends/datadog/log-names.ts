/** Names of attributes of log records that mean something to Datadog, found by their bytes. */
import { KeyTable } from './traces-keys.ts'
import { text } from '../../proto/values.ts'

/** The message itself. */
export const MESSAGE = 1
export const STATUS = 2
/** Ids as hex, from loggers that write them. */
export const TRACE = 3
export const SPAN = 4
export const TAGS = 5
/** Names that entries have themselves; those of the record stand in place of them. */
export const HOSTNAME = 6
export const SERVICE = 7
export const SOURCE = 8
/** Names of what is written of a record's fields, where it has them. */
export const TIME = 9
export const OWN_TRACE = 10
export const OWN_SPAN = 11
export const SEVERITY_TEXT = 12
export const SEVERITY_NUMBER = 13
export const EVENT_NAME = 14
/** Says what `ddsource` is to be. */
export const NAMED_SOURCE = 15

const anyCase: readonly (readonly [meaning: number, names: string])[] = [
  [MESSAGE, 'msg message log'],
  [STATUS, 'status severity level syslog.severity'],
  [TRACE, 'traceid trace_id contextmap.traceid oteltraceid'],
  [SPAN, 'spanid span_id contextmap.spanid otelspanid'],
  [TAGS, 'ddtags'],
]
const exact: readonly (readonly [meaning: number, names: string])[] = [
  [HOSTNAME, 'hostname'],
  [SERVICE, 'service'],
  [SOURCE, 'ddsource'],
  [TIME, '@timestamp otel.timestamp'],
  [OWN_TRACE, 'dd.trace_id otel.trace_id'],
  [OWN_SPAN, 'dd.span_id otel.span_id'],
  [SEVERITY_TEXT, 'otel.severity_text'],
  [SEVERITY_NUMBER, 'otel.severity_number'],
  [EVENT_NAME, 'otel.event_name'],
  [NAMED_SOURCE, 'datadog.log.source'],
]

const list = [...anyCase, ...exact].flatMap(([meaning, names]) => names.split(' ').map(name => ({ name, meaning })))
const table = new KeyTable(list.map(({ name }) => name))
const meanings = Uint8Array.from(list, ({ meaning }) => meaning)
const lowered = new Map(anyCase.flatMap(([meaning, names]) => names.split(' ').map(name => [name, meaning] as const)))
const longest = Math.max(...list.map(({ name }) => name.length))

/** Names that entries have for what is no attribute. */
export const reserved: ReadonlySet<string> = new Set([
  'message',
  'status',
  'ddtags',
  ...exact.filter(([meaning]) => meaning !== NAMED_SOURCE).flatMap(([, names]) => names.split(' ')),
])

/** What the name between `start` and `end` means; 0 where it is an attribute like others. */
export function meaningOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length > longest) return 0
  const found = table.find(bytes, start, length)
  if (found >= 0) return meanings[found]
  for (let i = start; i < end; i++) {
    if (bytes[i] >= 0x41 && bytes[i] <= 0x5a) return lowered.get(text(bytes, start, end).toLowerCase()) ?? 0
  }
  return 0
}
