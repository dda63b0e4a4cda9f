/** Events and links of a span as the JSON texts that Datadog keeps them in. */
import { attributeTags } from '../../proto/attributes.ts'
import { JsonText, Literal } from '../../proto/json-text.ts'
import type { AttributeColumns } from './traces-attributes.ts'
import { type Parts, word } from './traces-span.ts'
import { BOOL, BYTES, DOUBLE, INT, NOTHING, readVarint64, TEXT } from '../../proto/values.ts'
import { Cursor } from '../../proto/wire.ts'

const literals = {
  open: new Literal('['),
  close: new Literal(']'),
  comma: new Literal(','),
  brace: new Literal('{'),
  end: new Literal('}'),
  colon: new Literal(':'),
  nothing: new Literal('null'),
  time: new Literal('"time_unix_nano":'),
  name: new Literal('"name":'),
  attributes: new Literal('"attributes":{'),
  dropped: new Literal('"dropped_attributes_count":'),
  trace: new Literal('{"trace_id":"'),
  span: new Literal('","span_id":"'),
  quote: new Literal('"'),
  state: new Literal(',"tracestate":'),
}

const exception = Buffer.from('exception')

/** What an exception event says, for the tags of the error. */
export interface ExceptionTexts {
  message: string
  type: string
  stack: string
}

/** Writes the parts of one span at a time; `json` has what was written. */
export class SpanJson {
  readonly json = new JsonText(1024, undefined)
  /** An event was an exception, and what the last one said. */
  hasException = false
  readonly exception: ExceptionTexts = { message: '', type: '', stack: '' }
  readonly #attributes: AttributeColumns
  readonly #cursor = new Cursor(Buffer.alloc(0))

  /** `attributes` are used for each event and link. */
  constructor(attributes: AttributeColumns) {
    this.#attributes = attributes
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.#attributes.clear()
  }

  /** Writes the events. @throws WireError */
  events(bytes: Buffer, parts: Parts): void {
    const { json } = this
    json.at = 0
    this.hasException = false
    this.exception.message = this.exception.type = this.exception.stack = ''
    json.literal(literals.open)
    for (let i = 0; i < parts.count; i++) {
      if (i > 0) json.literal(literals.comma)
      this.#event(bytes, parts.at[i * 2], parts.at[i * 2 + 1])
    }
    json.literal(literals.close)
  }

  #event(bytes: Buffer, start: number, end: number): void {
    let nameStart = 0
    let nameEnd = 0
    let low = 0
    let high = 0
    let dropped = 0
    this.#attributes.clear()
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      const { at } = cursor
      if (tag === 0x20) dropped = cursor.uint32()
      else cursor.skip(tag)
      if (tag === 0x09) {
        low = word(bytes, at)
        high = word(bytes, at + 4)
      } else if (tag === 0x12 || tag === attributeTags.event) {
        const from = contentOf(bytes, at)
        if (tag === attributeTags.event) this.#attributes.add(bytes, from, cursor.at)
        else {
          nameStart = from
          nameEnd = cursor.at
        }
      }
    }
    this.#writeEvent(bytes, nameStart, nameEnd, low, high, dropped)
    const isException = nameEnd - nameStart === 9 && bytes.compare(exception, 0, 9, nameStart, nameEnd) === 0
    if (isException) this.#noteException()
  }

  #writeEvent(bytes: Buffer, nameStart: number, nameEnd: number, low: number, high: number, dropped: number): void {
    const { json } = this
    json.literal(literals.brace)
    const start = json.at
    const next = (): void => {
      if (json.at > start) json.literal(literals.comma)
    }
    if (low !== 0 || high !== 0) {
      json.literal(literals.time)
      json.unsigned(low, high)
    }
    if (nameEnd > nameStart) {
      next()
      json.literal(literals.name)
      json.text(bytes, nameStart, nameEnd)
    }
    if (this.#attributes.count > 0) {
      next()
      json.literal(literals.attributes)
      this.#values(false)
      json.literal(literals.end)
    }
    if (dropped > 0) {
      next()
      json.literal(literals.dropped)
      json.ascii(String(dropped))
    }
    json.literal(literals.end)
  }

  #noteException(): void {
    const attributes = this.#attributes
    for (let i = 0; i < attributes.count; i++) {
      const { bytes, start, end } = keyOf(attributes, i)
      const field = exceptionFields.get(Buffer.from(bytes.subarray(start, end)).toString())
      if (field !== undefined) this.exception[field] = attributes.text(i)
    }
    this.hasException = true
  }

  /** Writes the links. @throws WireError */
  links(bytes: Buffer, parts: Parts): void {
    const { json } = this
    json.at = 0
    json.literal(literals.open)
    for (let i = 0; i < parts.count; i++) {
      if (i > 0) json.literal(literals.comma)
      this.#link(bytes, parts.at[i * 2], parts.at[i * 2 + 1])
    }
    json.literal(literals.close)
  }

  #link(bytes: Buffer, start: number, end: number): void {
    const { json } = this
    // By field: where trace id, span id and state stand.
    const at = [0, 0, 0, 0]
    const to = [0, 0, 0, 0]
    let dropped = 0
    this.#attributes.clear()
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      const from = cursor.at
      if (tag === 0x28) dropped = cursor.uint32()
      else cursor.skip(tag)
      if (tag === attributeTags.link) this.#attributes.add(bytes, contentOf(bytes, from), cursor.at)
      else if (tag === 0x0a || tag === 0x12 || tag === 0x1a) {
        at[tag >>> 3] = contentOf(bytes, from)
        to[tag >>> 3] = cursor.at
      }
    }
    json.literal(literals.trace)
    this.#id(bytes, at[1], to[1], 16)
    json.literal(literals.span)
    this.#id(bytes, at[2], to[2], 8)
    json.literal(literals.quote)
    if (to[3] > at[3]) {
      json.literal(literals.state)
      json.text(bytes, at[3], to[3])
    }
    if (this.#attributes.count > 0) {
      json.literal(literals.comma)
      json.literal(literals.attributes)
      this.#values(true)
      json.literal(literals.end)
    }
    if (dropped > 0) {
      json.literal(literals.comma)
      json.literal(literals.dropped)
      json.ascii(String(dropped))
    }
    json.literal(literals.end)
  }

  #id(bytes: Buffer, start: number, end: number, length: number): void {
    if (end - start === length) this.json.hex(bytes, start, end)
    else this.json.ascii('0'.repeat(length * 2))
  }

  /** The attributes without their braces; `asTexts`: every value as a text. */
  #values(asTexts: boolean): void {
    const { json } = this
    const attributes = this.#attributes
    for (let i = 0; i < attributes.count; i++) {
      if (i > 0) json.literal(literals.comma)
      const { bytes, start, end } = keyOf(attributes, i)
      json.text(bytes, start, end)
      json.literal(literals.colon)
      if (asTexts && attributes.kinds[i] !== TEXT) json.quoted(attributes.text(i))
      else this.#value(i)
    }
  }

  #value(i: number): void {
    const { json } = this
    const attributes = this.#attributes
    const bytes = attributes.sources[i]
    const start = attributes.starts[i]
    const end = attributes.ends[i]
    switch (attributes.kinds[i]) {
      case TEXT:
        json.text(bytes, start, end)
        return
      case INT:
        json.varint(bytes, start, end)
        return
      case BOOL:
        json.ascii(readVarint64(bytes, start, end) === 0 ? 'false' : 'true')
        return
      case DOUBLE:
        json.double(attributes.number(i) ?? 0)
        return
      case NOTHING:
        json.literal(literals.nothing)
        return
      default:
        this.#nested(i)
    }
  }

  /** Lists and maps are JSON texts already; bytes become a text. */
  #nested(i: number): void {
    const value = this.#attributes.text(i)
    const isJson = this.#attributes.kinds[i] !== BYTES
    if (isJson) this.json.copy(Buffer.from(value))
    else this.json.quoted(value)
  }
}

const exceptionFields = new Map<string, keyof ExceptionTexts>([
  ['exception.message', 'message'],
  ['exception.type', 'type'],
  ['exception.stacktrace', 'stack'],
])

function keyOf(attributes: AttributeColumns, i: number): { bytes: Uint8Array; start: number; end: number } {
  const start = attributes.keys[i]
  return { bytes: attributes.keySources[i], start, end: start + attributes.keyLengths[i] }
}

/** Where the content starts of a length-delimited field whose length stands at `at`. */
function contentOf(bytes: Uint8Array, at: number): number {
  while (bytes[at] > 0x7f) at++
  return at + 1
}
