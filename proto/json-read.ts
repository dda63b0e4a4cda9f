/**
 * OTLP/JSON (OTLP specification, "JSON Protobuf Encoding") read straight to protobuf bytes, in one pass and without an
 * object in between. Keys in lowerCamelCase or snake_case; ids in hex, other bytes in base64; 64-bit integers as strings
 * or numbers, to the last digit; enums as numbers or names; null means absent; unknown keys are passed over; of a key
 * that stands twice the last wins.
 */
import { isUtf8 } from 'node:buffer'
import type { Memory } from './growing.ts'
import { KEY_ONLY, readAttribute, WHOLE } from './json-attribute.ts'
import { BASE64, BOOL, type FieldPlan, HEX, MESSAGE, type Plan, planCount, planOf, TEXT } from './json-plan.ts'
import { readBase64, readId, readNumber, readText } from './json-scalars.ts'
import {
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  JsonScanner,
  NULL,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
} from './json-scan.ts'
import { ProtoSink, slack } from './json-sink.ts'
import { maxDepth, WireError } from './wire.ts'

/**
 * The protobuf bytes of a message, such as `ExportTraceServiceRequest`, that is written as OTLP/JSON. They are in a
 * buffer of their own, from `memory` where that is given.
 * @throws WireError where the text is no such message; says where and what
 */
export function jsonToProtobuf(message: string, text: Buffer, memory?: Memory): Buffer {
  if (!isUtf8(text)) throw new WireError(`the text is not valid UTF-8 (byte ${firstBadByte(text)})`)
  const sink = new ProtoSink(text.length + slack, planCount + 1, memory)
  try {
    new JsonReader(text, sink).read(planOf(message))
    return sink.done()
  } catch (error) {
    sink.abandon()
    throw error
  }
}

/** Where the first byte stands that is no UTF-8. The text may be large, so it is looked at in pieces. */
function firstBadByte(text: Buffer): number {
  for (let start = 0; ;) {
    let end = Math.min(start + 65_536, text.length)
    while (end < text.length && end > start && (text[end] & 0xc0) === 0x80) end--
    const piece = text.subarray(start, end)
    if (piece.length === 0 || !isUtf8(piece)) {
      // Replacing bad bytes changes the first of them.
      const repaired = Buffer.from(piece.toString())
      let at = 0
      while (at < piece.length && piece[at] === repaired[at]) at++
      return start + at
    }
    start = end
  }
}

const keyValue = planOf('KeyValue')
const [keyField, valueField] = keyValue.fields

class JsonReader {
  readonly #scan: JsonScanner
  readonly #sink: ProtoSink

  /** `sink` has room for the length of the text: but for a few numbers, which make room themselves, what is written is shorter. */
  constructor(text: Buffer, sink: ProtoSink) {
    this.#scan = new JsonScanner(text)
    this.#sink = sink
  }

  read(plan: Plan): void {
    const scan = this.#scan
    if (scan.next() !== OPEN_OBJECT) throw scan.unexpected('`{`')
    this.#message(plan, 1)
    if (scan.next() >= 0) throw scan.unexpected('the end of the text')
  }

  /** Reads an object, from its bracket to past the closing one, as the content of a message. */
  #message(plan: Plan, depth: number): void {
    const scan = this.#scan
    if (depth > maxDepth) throw scan.error(`values nested more than ${maxDepth} deep`)
    scan.at++
    if (scan.next() === CLOSE_OBJECT) scan.at++
    else this.#members(plan, depth, this.#sink.at, 0)
  }

  /** Reads the object from one of its keys on; `seen` are the fields of the message at `start` that stand already. */
  #members(plan: Plan, depth: number, start: number, seen: number): void {
    const scan = this.#scan
    let guess = plan.fields[0]
    let replaced: Map<number, number> | undefined
    do {
      if (scan.next() !== QUOTE) throw scan.unexpected('a key in quotes')
      const field = this.#key(plan, guess)
      if (field === undefined) {
        scan.skip(depth + 1)
        continue
      }
      guess = field.next
      const byte = scan.next()
      const absent = byte === NULL
      if ((seen & (absent ? field.bit : field.conflicts)) !== 0) {
        replaced = this.#replace(field, absent, (replaced ??= new Map()))
      }
      seen |= field.bit
      if (absent) scan.word('null')
      else if (field.repeated) this.#list(field, byte, depth)
      else this.#field(field, byte, depth)
    } while (this.#more(CLOSE_OBJECT))
    if (replaced !== undefined) this.#sink.remove(start, replaced)
  }

  /** Moves past the comma or closing bracket that comes; says whether it was a comma. */
  #more(close: number): boolean {
    const scan = this.#scan
    const byte = scan.next()
    if (byte !== COMMA && byte !== close) throw scan.unexpected(close === CLOSE_OBJECT ? '`,` or `}`' : '`,` or `]`')
    scan.at++
    return byte === COMMA
  }

  /** Notes that what was written of the field so far, and of those that cannot stand beside it, is to be taken out. */
  #replace(field: FieldPlan, absent: boolean, replaced: Map<number, number>): Map<number, number> {
    replaced.set(field.number, this.#sink.at)
    if (!absent) for (const rival of field.rivals) replaced.set(rival.number, this.#sink.at)
    return replaced
  }

  /** Reads a key and its colon and gives its field; undefined when the message has none of that name. */
  #key(plan: Plan, guess: FieldPlan): FieldPlan | undefined {
    const scan = this.#scan
    const { view, at } = scan
    const label = guess.label.comes(view, at) ? guess.label : plan.labelAt(view, at)
    if (label !== undefined) {
      scan.at = at + label.bytes.length
      return label.field
    }
    const name = scan.string()
    if (scan.next() !== COLON) throw scan.unexpected('`:`')
    scan.at++
    return plan.named(name)
  }

  #list(field: FieldPlan, byte: number, depth: number): void {
    const scan = this.#scan
    if (byte !== OPEN_LIST) throw scan.unexpected('`[`')
    scan.at++
    if (scan.next() === CLOSE_LIST) {
      scan.at++
      return
    }
    const sink = this.#sink
    const reserved = sink.expected(planCount)
    const start = field.packed ? sink.open(field.packedTag, reserved) : 0
    do {
      byte = scan.next()
      if (field.packed) readNumber(scan, sink, field, false)
      else if (byte === NULL && field.kind === MESSAGE) {
        // An element that is null is one without content, so that those after it keep their places.
        scan.word('null')
        sink.varint(field.tag)
        sink.varint(0)
      } else this.#field(field, byte, depth)
    } while (this.#more(CLOSE_LIST))
    if (field.packed) sink.close(start, reserved, planCount)
  }

  /** Reads one value and writes it with its tag. */
  #field(field: FieldPlan, byte: number, depth: number): void {
    const scan = this.#scan
    const sink = this.#sink
    switch (field.kind) {
      case TEXT:
        if (byte !== QUOTE) throw scan.unexpected('a string')
        readText(scan, sink, field)
        return
      case MESSAGE: {
        if (field.plan === keyValue && this.#attribute(field, depth)) return
        if (byte !== OPEN_OBJECT) throw scan.unexpected('`{`')
        const reserved = sink.expected(field.plan.index)
        const start = sink.open(field.tag, reserved)
        this.#message(field.plan, depth + 1)
        sink.close(start, reserved, field.plan.index)
        return
      }
      case HEX:
        if (byte !== QUOTE) throw scan.unexpected('a string of hex digits')
        readId(scan, sink, field)
        return
      case BASE64:
        if (byte !== QUOTE) throw scan.unexpected('a string in base64')
        readBase64(scan, sink, field)
        return
      case BOOL: {
        if (byte !== 0x74 && byte !== 0x66) throw scan.unexpected('`true` or `false`')
        scan.word(byte === 0x74 ? 'true' : 'false')
        if (byte === 0x66 && field.implicit) return
        sink.varint(field.tag)
        sink.varint(byte === 0x74 ? 1 : 0)
        return
      }
      default:
        readNumber(scan, sink, field, true)
    }
  }

  /** Reads an attribute where it starts in one of the usual ways; else says no and has done nothing. */
  #attribute(field: FieldPlan, depth: number): boolean {
    const scan = this.#scan
    const sink = this.#sink
    const start = sink.at + 2
    if (depth + 2 > maxDepth || field.tag > 0x7f) return false
    const read = readAttribute(scan, sink, field.tag)
    if (read !== KEY_ONLY) return read === WHOLE
    this.#field(valueField, OPEN_OBJECT, depth + 1)
    if (this.#more(CLOSE_OBJECT)) this.#members(keyValue, depth + 1, start, keyField.bit | valueField.bit)
    sink.bytes[start - 2] = field.tag
    sink.close(start, 1, keyValue.index)
    return true
  }
}
