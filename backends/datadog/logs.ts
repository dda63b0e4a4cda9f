/** Log records as entries of Datadog's log intake, written straight from their bytes. */
import { usualKey, usualValue } from '../../proto/attributes.ts'
import { Literal } from '../../proto/json-text.ts'
import { LogJson } from './log-json.ts'
import type { Block, Blocks } from './log-block.ts'
import { cutEntry } from './log-cut.ts'
import { filled, LogFields, nonZero } from './log-fields.ts'
import { LogHints } from './log-hints.ts'
import * as names from './log-names.ts'
import type { Group } from '../../proto/group.ts'
import type { Memory } from '../../proto/growing.ts'
import { CLOSE_LIST, CLOSE_OBJECT, COLON, COMMA, OPEN_LIST, OPEN_OBJECT } from '../../proto/json-scan.ts'
import {
  BOOL,
  BYTES,
  DOUBLE,
  INT,
  LIST,
  MAP,
  NOTHING,
  Range,
  readDouble,
  readKeyValue,
  readValue,
  readVarint64,
  TEXT,
  text,
  valueKind,
  valueText,
} from '../../proto/values.ts'
import { ItemCursor } from '../../proto/views.ts'
import { Cursor } from '../../proto/wire.ts'

/** How many levels of maps in an attribute get keys joined by dots, and what is deeper is a text. */
const levels = 9

/** What the ranges of numbers say where nobody gave a text. */
const statuses = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'].map(
  status => new Literal(`"status":"${status}",`),
)

const status = new Literal('"status":')
const message = new Literal('"message":')
const tags = new Literal(',')
const source = new Literal('"ddsource":')
const severityText = new Literal('"otel.severity_text":')
const severityNumber = new Literal('"otel.severity_number":"')
/** The same with each number that is usual. */
const severityNumbers = Array.from({ length: 25 }, (_, n) => new Literal(`"otel.severity_number":"${n}",`))
const timestamp = new Literal('"otel.timestamp":"')
const zone = new Literal('Z",')
const event = new Literal('"otel.event_name":')
const traceId = new Literal('"dd.trace_id":"')
const otelTraceId = new Literal('"otel.trace_id":"')
const spanId = new Literal('"dd.span_id":"')
const otelSpanId = new Literal('"otel.span_id":"')
const end = new Literal('",')

/** What came of writing log records. */
export interface LogEntries {
  readonly body: Buffer
  /** Entries that were cut. */
  readonly cut: number
}

/**
 * The records of these groups as a JSON array of entries, in memory that starts with `size` bytes; entries of more than
 * `most` bytes are cut.
 * @throws WireError where a group is not what it should be
 */
export function logEntries(
  groups: readonly Group[],
  size: number,
  blocks: Blocks,
  most: number,
  memory?: Memory,
): LogEntries {
  const writer = new LogWriter(size, memory, blocks, most)
  try {
    writer.groups(groups)
    return { body: memory === undefined ? writer.done() : writer.written(), cut: writer.cut }
  } catch (error) {
    writer.abandon()
    throw error
  }
}

class LogWriter extends LogJson {
  /** Entries that were cut. */
  cut = 0
  readonly #blocks: Blocks
  readonly #most: number
  readonly #items = new ItemCursor()
  readonly #attributes = new Cursor(Buffer.alloc(0))
  readonly #key = new Range()
  readonly #value = new Range()
  readonly #inner = new Range()
  readonly #fields = new LogFields()
  readonly #hints = new LogHints()
  /** One bit per meaning of a name that was written as an attribute. */
  #written = 0
  /** The second whose date was written last, and that with its label. */
  #second = -1
  #date = new Literal('')

  constructor(size: number, memory: Memory | undefined, blocks: Blocks, most: number) {
    super(size, memory)
    this.#blocks = blocks
    this.#most = most
  }

  groups(groups: readonly Group[]): void {
    this.byte(OPEN_LIST)
    for (const group of groups) this.#group(group)
    if (this.bytes[this.at - 1] === COMMA) this.at--
    this.byte(CLOSE_LIST)
  }

  #group(group: Group): void {
    const items = this.#items.set(group)
    const resource = { bytes: group.resource, start: group.resourceStart, end: group.resourceEnd }
    const scope = new Range()
    while (items.nextScope()) {
      let block: Block | undefined
      while (items.nextItem()) {
        block ??= this.#blocks.of(resource, items.scope(scope) ? scope : new Range())
        this.#record(items.bytes, items.start, items.end, block)
      }
    }
  }

  #record(bytes: Buffer, start: number, end: number, block: Block): void {
    const from = this.at
    const fields = this.#fields
    fields.find(bytes, start, end)
    this.#hints.clear(bytes)
    this.#written = 0
    this.byte(OPEN_OBJECT)
    if (fields.attributes >= 0) this.#writeAttributes(bytes, fields.attributes, end, block)
    this.#writeBlock(block)
    this.#writeTrace()
    this.#writeSpan()
    this.#writeSeverity()
    this.#writeTime()
    if (filled(fields.event)) this.#labelled(event, fields.event)
    this.literal(message)
    this.#writeMessage()
    this.byte(CLOSE_OBJECT)
    if (this.at - from > this.#most) this.#cutEntry(from)
    this.byte(COMMA)
  }

  #writeAttributes(bytes: Buffer, start: number, end: number, block: Block): void {
    const cursor = this.#attributes.set(bytes, start, end)
    const key = this.#key
    const value = this.#value
    while (cursor.at < end) {
      cursor.end = end
      const tag = cursor.tag()
      if (tag !== 0x32) {
        cursor.skip(tag)
        continue
      }
      const size = cursor.length()
      const from = cursor.at
      const to = from + size
      const length = usualKey(bytes, from, to)
      if (length >= 0) {
        key.set(bytes, from + 2, from + 2 + length)
        value.set(bytes, usualValue(bytes, from, length), to)
      } else readKeyValue(bytes, from, to, key, value)
      this.#attribute(key, value, block)
      cursor.set(bytes, to, end)
    }
  }

  #attribute(key: Range, value: Range, block: Block): void {
    const meaning = names.meaningOf(key.bytes, key.start, key.end)
    const kind = this.#kind(value)
    if (kind === MAP) return this.#map(meaning, key, value, block)
    if (meaning !== 0 && this.#takes(meaning, value)) return
    // What the resource or the scope says under the same name is what counts.
    if (block.keys.find(key.bytes, key.start, key.end - key.start) >= 0) return
    const { bytes, start, end } = this.#inner
    this.text(key.bytes, key.start, key.end)
    this.byte(COLON)
    if (kind === TEXT) this.text(bytes, start, end)
    else if (kind === INT) this.varint(bytes, start, end)
    else if (kind === BOOL) this.ascii(readVarint64(bytes, start, end) === 0 ? 'false' : 'true')
    else if (kind === DOUBLE) this.double(readDouble(bytes, start))
    else if (kind === LIST || kind === BYTES) this.value(readValue(value.bytes, value.start, value.end), levels)
    else if (kind === NOTHING) this.ascii('""')
    this.byte(COMMA)
  }

  /** Which member of AnyValue it is, and in `#inner` where. The usual ones are told without making anything. */
  #kind({ bytes, start, end }: Range): number {
    const inner = this.#inner
    const first = start < end ? bytes[start] : 0
    if (first === 0x18 && end - start <= 11) {
      let at = start + 1
      while (at < end && bytes[at] > 0x7f) at++
      if (at === end - 1) {
        inner.set(bytes, start + 1, end)
        return INT
      }
    } else if (first === 0x21 && end - start === 9) {
      inner.set(bytes, start + 1, end)
      return DOUBLE
    } else if (first === 0x10 && end - start === 2 && bytes[start + 1] < 2) {
      inner.set(bytes, start + 1, end)
      return BOOL
    } else if (first === 0x0a && end - start > 0x81 && bytes[start + 1] > 0x7f && bytes[start + 2] < 0x80) {
      if (start + 3 + ((bytes[start + 1] & 0x7f) | (bytes[start + 2] << 7)) === end) {
        inner.set(bytes, start + 3, end)
        return TEXT
      }
    }
    return valueKind(bytes, start, end, inner)
  }

  #map(meaning: number, key: Range, value: Range, block: Block): void {
    if (meaning !== 0 && this.#hints.take(meaning, value)) return
    const map = readValue(value.bytes, value.start, value.end)
    if (!(map instanceof Map)) return
    const from = this.at
    this.flattened(text(key.bytes, key.start, key.end), map, levels, name => {
      const bytes = Buffer.from(name)
      const inner = names.meaningOf(bytes, 0, bytes.length)
      if (this.#fields.has(inner) || block.keys.find(bytes, 0, bytes.length) >= 0) return false
      this.#written |= 1 << inner
      if (this.at > from) this.byte(COMMA)
      this.quoted(name)
      this.byte(COLON)
      return true
    })
    if (this.at > from) this.byte(COMMA)
  }

  /** Takes what an attribute says of the entry, and says whether it is no attribute of it. */
  #takes(meaning: number, value: Range): boolean {
    if (this.#fields.has(meaning) || this.#hints.take(meaning, value)) return true
    this.#written |= 1 << meaning
    return false
  }

  #writeBlock(block: Block): void {
    const written = this.#written
    const mask = (1 << names.HOSTNAME) | (1 << names.SERVICE) | (1 << names.SOURCE)
    if ((written & mask) === 0 && !filled(this.#hints.tags) && !filled(this.#hints.source))
      return this.copy(block.whole)
    this.copy(block.attributes)
    if ((written & (1 << names.HOSTNAME)) === 0) this.copy(block.hostname)
    if ((written & (1 << names.SERVICE)) === 0) this.copy(block.service)
    if ((written & (1 << names.SOURCE)) === 0) {
      if (filled(this.#hints.source)) this.#labelled(source, this.#hints.source)
      else this.copy(block.source)
    }
    this.copy(block.tags)
    if (filled(this.#hints.tags)) {
      if (block.hasTags) this.literal(tags)
      this.content(this.#hints.tags.bytes, this.#hints.tags.start, this.#hints.tags.end)
    }
    this.literal(end)
  }

  #labelled(label: Literal, { bytes, start, end }: Range): void {
    this.literal(label)
    this.text(bytes, start, end)
    this.byte(COMMA)
  }

  #writeTrace(): void {
    if (nonZero(this.#fields.trace)) this.#writeId(this.#fields.trace, 16, traceId, otelTraceId)
    else if (filled(this.#hints.trace) && (this.#written & (1 << names.OWN_TRACE)) === 0) {
      this.#writeIdText(this.#hints.trace, traceId, otelTraceId)
    }
  }

  #writeSpan(): void {
    if (nonZero(this.#fields.span)) this.#writeId(this.#fields.span, 8, spanId, otelSpanId)
    else if (filled(this.#hints.span) && (this.#written & (1 << names.OWN_SPAN)) === 0) {
      this.#writeIdText(this.#hints.span, spanId, otelSpanId)
    }
  }

  /** An id: its low 64 bits in decimal, as Datadog has it, and all of it in hex. */
  #writeId({ bytes, start, end: to }: Range, size: number, own: Literal, whole: Literal): void {
    if (to - start === size) {
      this.literal(own)
      this.unsigned(big(bytes, to - 4), big(bytes, to - 8))
      this.literal(end)
    }
    this.literal(whole)
    this.hex(bytes, start, to)
    this.literal(end)
  }

  #writeIdText({ bytes, start, end: to }: Range, own: Literal, whole: Literal): void {
    const id = Buffer.from(text(bytes, to - 16, to), 'hex')
    this.literal(own)
    this.unsigned(big(id, 4), big(id, 0))
    this.literal(end)
    this.literal(whole)
    this.content(bytes, start, to)
    this.literal(end)
  }

  #writeSeverity(): void {
    const { number, severity } = this.#fields
    if (filled(this.#hints.status)) this.#labelled(status, this.#hints.status)
    else if (filled(severity)) this.#labelled(status, severity)
    else if (number !== 0) this.literal(statuses[number < 0 ? 0 : number > 24 ? 4 : (number - 1) >> 2])
    if (filled(severity)) this.#labelled(severityText, severity)
    if (number > 0 && number < severityNumbers.length) this.literal(severityNumbers[number])
    else if (number !== 0) {
      this.literal(severityNumber)
      this.ascii(String(number))
      this.literal(end)
    }
  }

  #writeTime(): void {
    const time = nonZero(this.#fields.time) ? this.#fields.time : this.#fields.observed
    if (!nonZero(time)) return
    this.literal(timestamp)
    const from = this.at
    this.unsigned(little(time.bytes, time.start), little(time.bytes, time.start + 4))
    const digits = this.at - from
    let second = 0
    for (let at = from; at < this.at - 9; at++) second = second * 10 + this.bytes[at] - 0x30
    if (second !== this.#second) {
      this.#second = second
      this.#date = new Literal(`","@timestamp":"${new Date(second * 1000).toISOString().slice(0, 20)}`)
    }
    this.literal(this.#date)
    this.ensure(3)
    // Milliseconds are the first three of the nine digits after the second; there may be fewer digits.
    for (let i = 9; i > 6; i--) this.bytes[this.at++] = digits >= i ? this.bytes[from + digits - i] : 0x30
    this.literal(zone)
  }

  #writeMessage(): void {
    if (filled(this.#hints.message))
      return this.text(this.#hints.message.bytes, this.#hints.message.start, this.#hints.message.end)
    const body = this.#fields.body
    const kind = this.#kind(body)
    if (kind === TEXT) this.text(this.#inner.bytes, this.#inner.start, this.#inner.end)
    else if (kind === NOTHING) this.ascii('""')
    else this.quoted(valueText(readValue(body.bytes, body.start, body.end)))
  }

  /** Writes the entry from `from` on again, smaller. */
  #cutEntry(from: number): void {
    const entry = JSON.parse(this.bytes.toString('utf8', from, this.at)) as Record<string, unknown>
    this.at = from
    this.copy(Buffer.from(cutEntry(entry, this.#most, names.reserved)))
    this.cut++
  }
}

const little = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0

const big = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
