/**
 * OTLP/JSON (OTLP specification, "JSON Protobuf Encoding") read straight to protobuf bytes, in one pass and without an
 * object in between. Keys in lowerCamelCase or snake_case; ids in hex, other bytes in base64; 64-bit integers as strings
 * or numbers, to the last digit; enums as numbers or names; null means absent; unknown keys are passed over; of a key
 * that stands twice the last wins.
 */
import { isUtf8 } from 'node:buffer'
import {
  BASE64,
  BOOL,
  DOUBLE,
  ENUM,
  type FieldPlan,
  FIXED32,
  FIXED64,
  HEX,
  INT32,
  INT64,
  MESSAGE,
  type Plan,
  planCount,
  planOf,
  SFIXED64,
  SINT32,
  TEXT,
  UINT32,
  UINT64,
} from './json-plan.ts'
import {
  BACKSLASH,
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  escapes,
  hexDigit,
  isPlain,
  JsonScanner,
  NULL,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
  special,
} from './json-scan.ts'
import { ProtoSink, slack } from './json-sink.ts'
import { maxDepth, putVarint, varintSize, WireError } from './wire.ts'

/**
 * The protobuf bytes of a message, such as `ExportTraceServiceRequest`, written as OTLP/JSON.
 * @throws WireError where the text is no such message; says where and what
 */
export function jsonToProtobuf(message: string, text: Buffer): Buffer {
  if (!isUtf8(text)) throw new WireError(`the text is not valid UTF-8 (byte ${firstDifference(text)})`)
  const reader = new JsonReader(text)
  return reader.read(planOf(message))
}

/** Where the text differs from what it is once its bad bytes are replaced. */
function firstDifference(text: Buffer): number {
  const repaired = Buffer.from(text.toString())
  let at = 0
  while (text[at] === repaired[at]) at++
  return at
}

const keyValue = planOf('KeyValue')
const anyValue = planOf('AnyValue')
const [keyField, valueField] = keyValue.fields
const [textField] = anyValue.fields
const wordsOf = (text: string) => Int32Array.from({ length: text.length / 4 }, (_, i) => Buffer.from(text).readInt32LE(i * 4))
const attributeStart = wordsOf('{"key":"')
const attributeMiddle = wordsOf(',"value":{"stringValue":')

class JsonReader {
  readonly #scan: JsonScanner
  readonly #sink: ProtoSink

  constructor(text: Buffer) {
    this.#scan = new JsonScanner(text)
    // What is written is shorter than what was read, but for a few numbers, which make room themselves.
    this.#sink = new ProtoSink(text.length + slack, planCount + 1)
  }

  read(plan: Plan): Buffer {
    const scan = this.#scan
    if (scan.next() !== OPEN_OBJECT) throw scan.unexpected('`{`')
    this.#message(plan, 0)
    if (scan.next() >= 0) throw scan.unexpected('the end of the text')
    return this.#sink.done()
  }

  /** Reads an object, from its bracket to past the closing one, as the content of a message. */
  #message(plan: Plan, depth: number): void {
    const scan = this.#scan
    if (depth > maxDepth) throw scan.error(`values nested more than ${maxDepth} deep`)
    const start = this.#sink.at
    let seen = 0
    let guess = plan.fields[0]
    let replaced: Map<number, number> | undefined
    scan.at++
    let byte = scan.next()
    if (byte === CLOSE_OBJECT) {
      scan.at++
      return
    }
    for (;;) {
      if (byte !== QUOTE) throw scan.unexpected('a key in quotes')
      const field = this.#key(plan, guess)
      byte = scan.next()
      if (field === undefined) scan.skip(depth + 1)
      else {
        guess = field.next
        const absent = byte === NULL
        if ((seen & (absent ? field.bit : field.conflicts)) !== 0) {
          replaced = this.#replace(field, absent, (replaced ??= new Map()))
        }
        seen |= field.bit
        if (absent) scan.word('null')
        else if (field.repeated) this.#list(field, byte, depth)
        else this.#field(field, byte, depth)
      }
      byte = scan.next()
      if (byte === COMMA) {
        scan.at++
        byte = scan.next()
      } else if (byte === CLOSE_OBJECT) break
      else throw scan.unexpected('`,` or `}`')
    }
    scan.at++
    if (replaced !== undefined) this.#sink.remove(start, replaced)
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
    const { text, end } = scan
    if (this.#isLabel(guess)) {
      scan.at += guess.label.length
      return guess
    }
    const start = scan.at + 1
    let at = start
    while (at < end && isPlain(text[at])) at++
    let field: FieldPlan | undefined
    if (at < end && text[at] === QUOTE) {
      scan.at = at + 1
      field = plan.find(text, start, at + 1)
    } else {
      const odd = Buffer.from(`${scan.string()}"`)
      field = plan.find(odd, 0, odd.length)
    }
    if (scan.next() !== COLON) throw scan.unexpected('`:`')
    scan.at++
    return field
  }

  /** Whether the key and colon of this field come next, without white space. */
  #isLabel({ labelWords, labelMask }: FieldPlan): boolean {
    const { view, at, end } = this.#scan
    const last = labelWords.length - 1
    if (at + last * 4 + 4 > end) return false
    for (let i = 0; i < last; i++) if (view.getInt32(at + i * 4, true) !== labelWords[i]) return false
    return ((view.getInt32(at + last * 4, true) ^ labelWords[last]) & labelMask) === 0
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
    const start = field.packed ? sink.open(field.packedTag, planCount) : 0
    for (;;) {
      byte = scan.next()
      if (field.packed) this.#number(field, false)
      else if (byte === NULL && field.kind === MESSAGE) {
        scan.word('null')
        sink.varint(field.tag)
        sink.varint(0)
      } else this.#field(field, byte, depth)
      byte = scan.next()
      if (byte === CLOSE_LIST) break
      if (byte !== COMMA) throw scan.unexpected('`,` or `]`')
      scan.at++
    }
    scan.at++
    if (field.packed) sink.close(start, planCount)
  }

  /** Reads one value and writes it with its tag. */
  #field(field: FieldPlan, byte: number, depth: number): void {
    const scan = this.#scan
    const sink = this.#sink
    switch (field.kind) {
      case TEXT:
        if (byte !== QUOTE) throw scan.unexpected('a string')
        this.#text(field)
        return
      case MESSAGE: {
        if (field.plan === keyValue && this.#attribute(field)) return
        if (byte !== OPEN_OBJECT) throw scan.unexpected('`{`')
        const start = sink.open(field.tag, field.plan.index)
        this.#message(field.plan, depth + 1)
        sink.close(start, field.plan.index)
        return
      }
      case HEX:
        if (byte !== QUOTE) throw scan.unexpected('a string of hex digits')
        this.#id(field)
        return
      case BASE64:
        if (byte !== QUOTE) throw scan.unexpected('a string in base64')
        this.#base64(field)
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
        this.#number(field, true)
    }
  }

  /**
   * The usual attribute, a text written without white space: `{"key":"...","value":{"stringValue":"..."}}`. Most of a
   * request is made of these. Leaves everything as it was where something else comes.
   */
  #attribute(field: FieldPlan): boolean {
    const scan = this.#scan
    const { at, end } = scan
    if (!this.#comes(attributeStart, at)) return false
    const sink = this.#sink
    const before = sink.at
    const start = sink.open(field.tag, keyValue.index)
    scan.at = at + attributeStart.length * 4 - 1
    this.#text(keyField)
    const middle = scan.at + attributeMiddle.length * 4
    if (this.#comes(attributeMiddle, scan.at) && middle < end && scan.text[middle] === QUOTE) {
      scan.at = middle
      const inner = sink.open(valueField.tag, anyValue.index)
      this.#text(textField)
      if (scan.at + 2 <= end && scan.view.getUint16(scan.at) === 0x7d7d) {
        scan.at += 2
        sink.close(inner, anyValue.index)
        sink.close(start, keyValue.index)
        return true
      }
    }
    scan.at = at
    sink.at = before
    return false
  }

  #comes(words: Int32Array, at: number): boolean {
    const { view, end } = this.#scan
    if (at + words.length * 4 > end) return false
    for (let i = 0; i < words.length; i++) if (view.getInt32(at + i * 4, true) !== words[i]) return false
    return true
  }

  #text(field: FieldPlan): void {
    const { text, view, end, at: open } = this.#scan
    const sink = this.#sink
    const { bytes: out, view: outView, at: before } = sink
    sink.varint(field.tag)
    const start = sink.at + 1
    let at = start
    let from = open + 1
    for (;;) {
      while (from <= end - 4) {
        const four = view.getInt32(from, true)
        outView.setInt32(at, four, true)
        const found = special(four)
        if (found !== 0) {
          const before = (31 - Math.clz32(found & -found)) >> 3
          from += before
          at += before
          break
        }
        from += 4
        at += 4
      }
      while (from < end && isPlain(text[from])) out[at++] = text[from++]
      if (from >= end) throw this.#scan.error('string without an end', open)
      if (text[from] === QUOTE) break
      if (text[from] !== BACKSLASH) throw this.#scan.error(`control character ${text[from]} in a string`, from)
      const length = this.#scan.escapeLength(from)
      sink.at = at
      from += length === 2 ? length : this.#unicode(from)
      if (length === 2) sink.bytes[sink.at++] = escapes[text[from - 1]] ?? 0
      at = sink.at
    }
    this.#scan.at = from + 1
    const size = at - start
    if (size === 0 && field.implicit) sink.at = before
    else if (size < 0x80) {
      out[start - 1] = size
      sink.at = at
    } else {
      const needed = varintSize(size)
      out.copyWithin(start + needed - 1, start, at)
      putVarint(out, start - 1, size)
      sink.at = at + needed - 1
    }
  }

  /** Writes the character of a `\u` escape and gives its length: two make one where they are a pair of surrogates. */
  #unicode(at: number): number {
    const { text, end } = this.#scan
    const unit = (from: number) => parseInt(text.latin1Slice(from + 2, from + 6), 16)
    let code = unit(at)
    let length = 6
    if (code >= 0xd800 && code <= 0xdfff) {
      const paired = code < 0xdc00 && at + 8 < end && text[at + 6] === BACKSLASH && text[at + 7] === 0x75
      const low = paired && this.#scan.escapeLength(at + 6) === 6 ? unit(at + 6) : 0
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + low - 0xdc00
        length = 12
      } else {
        // Half a pair, as senders leave it that cut texts at a number of UTF-16 units. UTF-8 has no bytes for it.
        code = 0xfffd
      }
    }
    const sink = this.#sink
    sink.at += sink.bytes.write(String.fromCodePoint(code), sink.at)
    return length
  }

  #id(field: FieldPlan): void {
    const scan = this.#scan
    const { text, end, at: open } = scan
    const sink = this.#sink
    const { bytes: out } = sink
    const close = open + 1 + field.idBytes * 2
    if (open + 1 < end && text[open + 1] === QUOTE) {
      scan.at += 2
      return
    }
    let from = open + 1
    let at = sink.at + 2
    let all = 0
    if (close < end) {
      for (; from < close; from += 2) {
        const high = hexDigit[text[from]]
        const low = hexDigit[text[from + 1]]
        all |= high | low
        out[at++] = (high << 4) | low
      }
    }
    if (close < end && all <= 15 && text[close] === QUOTE) scan.at = close + 1
    else {
      const id = scan.string()
      if (!/^[0-9a-f]*$/i.test(id)) throw scan.error('id that is not written in hex digits', open)
      if (id.length !== field.idBytes * 2) {
        throw scan.error(`id of ${id.length} hex digits, where ${field.idBytes * 2} or none are allowed`, open)
      }
      at = sink.at + 2 + out.write(id, sink.at + 2, 'hex')
    }
    out[sink.at] = field.tag
    out[sink.at + 1] = field.idBytes
    sink.at = at
  }

  #base64(field: FieldPlan): void {
    const scan = this.#scan
    const { at: open } = scan
    const text = scan.string()
    if (!/^[\w+/-]*={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1) {
      throw scan.error('bytes that are not written in base64', open)
    }
    const content = Buffer.from(text, 'base64')
    if (content.length === 0 && field.implicit) return
    const sink = this.#sink
    sink.varint(field.tag)
    sink.varint(content.length)
    sink.at += content.copy(sink.bytes, sink.at)
  }

  /** Reads a number and writes it; in a packed list it has no tag. */
  #number(field: FieldPlan, tagged: boolean): void {
    const scan = this.#scan
    const sink = this.#sink
    // Some numbers are shorter in JSON.
    sink.ensure(scan.end - scan.at + slack)
    const { at } = scan
    const { kind } = field
    if (kind === DOUBLE) {
      const n = scan.readNumber()
      if (field.implicit && Object.is(n, 0)) return
      if (tagged) sink.varint(field.tag)
      sink.double(n)
      return
    }
    const negative = kind === ENUM && this.#isName() ? this.#enumName(field) : scan.readInteger()
    const bits = scan.integer
    if ((bits.low | bits.high) === 0) {
      if (field.implicit) return
    } else if (!fits(kind, negative, bits.low, bits.high)) throw scan.error(`number out of range`, at)
    else if (negative) bits.negate()
    if (tagged) sink.varint(field.tag)
    const { low, high } = bits
    switch (kind) {
      case FIXED64:
      case SFIXED64:
        sink.fixed32(low)
        sink.fixed32(high)
        return
      case FIXED32:
        sink.fixed32(low)
        return
      case SINT32:
        sink.varint(((low << 1) ^ (low >> 31)) >>> 0)
        return
      default:
        sink.varint64(low, high)
    }
  }

  /** Whether what comes is a text that is no number: the name of an enum's value. */
  #isName(): boolean {
    const { text, at, end } = this.#scan
    return at + 1 < end && text[at] === QUOTE && (text[at + 1] | 0x20) >= 0x61
  }

  #enumName(field: FieldPlan): boolean {
    const scan = this.#scan
    const { at } = scan
    const value = field.values.get(scan.string())
    if (value === undefined) {
      throw scan.error(`no value of ${field.of}: write its number or a name such as ${[...field.values.keys()][1]}`, at)
    }
    scan.integer.low = value
    scan.integer.high = 0
    return false
  }
}

/** Whether a number of this size is one of the field's type. It is not zero. */
function fits(kind: number, negative: boolean, low: number, high: number): boolean {
  switch (kind) {
    case FIXED64:
    case UINT64:
      return !negative
    case SFIXED64:
    case INT64:
      return high < 0x80000000 || (negative && high === 0x80000000 && low === 0)
    case FIXED32:
    case UINT32:
      return !negative && high === 0
    case INT32:
    case SINT32:
    case ENUM:
      return high === 0 && (low < 0x80000000 || (negative && low === 0x80000000))
    default:
      return false
  }
}
