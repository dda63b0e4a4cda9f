/** The single values of OTLP/JSON: each function reads one and writes it as a protobuf field. */
import {
  DOUBLE,
  ENUM,
  type FieldPlan,
  FIXED32,
  FIXED64,
  INT32,
  INT64,
  SFIXED64,
  SINT32,
  UINT32,
  UINT64,
} from './json-plan.ts'
import { BACKSLASH, escapes, hexDigit, isPlain, type JsonScanner, QUOTE, special } from './json-scan.ts'
import { type ProtoSink, slack } from './json-sink.ts'
import { putVarint, varintSize } from './wire.ts'

/** Reads the string at the cursor and writes it with its tag. */
export function readText(scan: JsonScanner, sink: ProtoSink, field: FieldPlan): void {
  const { text, view, end, at: open } = scan
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
        const plain = (31 - Math.clz32(found & -found)) >> 3
        from += plain
        at += plain
        break
      }
      from += 4
      at += 4
    }
    while (from < end && isPlain(text[from])) out[at++] = text[from++]
    if (from >= end) throw scan.error('string without an end', open)
    if (text[from] === QUOTE) break
    if (text[from] !== BACKSLASH) throw scan.error(`control character ${text[from]} in a string`, from)
    // A text may be made of nothing but these, so they are not worth a call each.
    let letter = from + 1 < end ? escapes[text[from + 1]] : 0
    if (letter !== 0) {
      do {
        out[at++] = letter
        from += 2
        letter = from + 1 < end && text[from] === BACKSLASH ? escapes[text[from + 1]] : 0
      } while (letter !== 0)
      continue
    }
    sink.at = at
    from += readEscape(scan, sink, from)
    at = sink.at
  }
  scan.at = from + 1
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

/** Writes what the `\u` escape at `at` stands for and gives its length: two make one where they are a pair of surrogates. */
function readEscape(scan: JsonScanner, sink: ProtoSink, at: number): number {
  const { text, end } = scan
  scan.escapeLength(at)
  let code = unitAt(text, at)
  let length = 6
  if (code >= 0xd800 && code <= 0xdfff) {
    const paired = code < 0xdc00 && at + 8 < end && text[at + 6] === BACKSLASH && text[at + 7] === 0x75
    const low = paired && scan.escapeLength(at + 6) === 6 ? unitAt(text, at + 6) : 0
    if (low >= 0xdc00 && low <= 0xdfff) {
      code = 0x10000 + ((code - 0xd800) << 10) + low - 0xdc00
      length = 12
    } else {
      // Half a pair, as senders leave it that cut texts at a number of UTF-16 units. UTF-8 has no bytes for it.
      code = 0xfffd
    }
  }
  sink.at = putCode(sink.bytes, sink.at, code)
  return length
}

/** The UTF-16 unit of an escape whose digits were checked. */
const unitAt = (text: Uint8Array, at: number): number =>
  (hexDigit[text[at + 2]] << 12) |
  (hexDigit[text[at + 3]] << 8) |
  (hexDigit[text[at + 4]] << 4) |
  hexDigit[text[at + 5]]

/** Writes a code point as UTF-8 and returns where it ends. By hand: a text may be made of nothing but escapes. */
function putCode(out: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    out[at] = code
    return at + 1
  }
  if (code < 0x800) out[at++] = 0xc0 | (code >> 6)
  else {
    if (code < 0x10000) out[at++] = 0xe0 | (code >> 12)
    else {
      out[at++] = 0xf0 | (code >> 18)
      out[at++] = 0x80 | ((code >> 12) & 0x3f)
    }
    out[at++] = 0x80 | ((code >> 6) & 0x3f)
  }
  out[at] = 0x80 | (code & 0x3f)
  return at + 1
}

/** Reads a trace or span id, written in hex, and writes it with its tag. */
export function readId(scan: JsonScanner, sink: ProtoSink, field: FieldPlan): void {
  const { text, end, at: open } = scan
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

/** Reads bytes that are written in base64, and writes them with their tag. */
export function readBase64(scan: JsonScanner, sink: ProtoSink, field: FieldPlan): void {
  const { at: open } = scan
  const text = scan.string()
  if (!/^[\w+/-]*={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1) {
    throw scan.error('bytes that are not written in base64', open)
  }
  const content = Buffer.from(text, 'base64')
  if (content.length === 0 && field.implicit) return
  sink.varint(field.tag)
  sink.varint(content.length)
  sink.at += content.copy(sink.bytes, sink.at)
}

/** Reads a number and writes it; in a packed list it has no tag. */
export function readNumber(scan: JsonScanner, sink: ProtoSink, field: FieldPlan, tagged: boolean): void {
  // Some numbers are shorter in JSON.
  sink.ensure(scan.end - scan.at + slack)
  const { at } = scan
  const { kind } = field
  if (at >= scan.end) throw scan.unexpected('a number')
  if (kind === DOUBLE) {
    const n = scan.readNumber()
    if (field.implicit && Object.is(n, 0)) return
    if (tagged) sink.varint(field.tag)
    sink.double(n)
    return
  }
  const negative = kind === ENUM && isName(scan) ? readName(scan, field) : scan.readInteger()
  const bits = scan.integer
  if ((bits.low | bits.high) === 0) {
    if (field.implicit) return
  } else if (!fits(kind, negative, bits.low, bits.high))
    throw scan.error(`number out of range (the field is ${typeName(kind)})`, at)
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
function isName({ text, at, end }: JsonScanner): boolean {
  return at + 1 < end && text[at] === QUOTE && (text[at + 1] | 0x20) >= 0x61
}

function readName(scan: JsonScanner, field: FieldPlan): boolean {
  const { at } = scan
  const value = field.values.get(scan.string())
  if (value === undefined) {
    throw scan.error(`no value of ${field.of}: write its number or a name such as ${[...field.values.keys()][1]}`, at)
  }
  scan.integer.set(value)
  return false
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

const typeName = (kind: number): string =>
  `${kind === FIXED64 || kind === UINT64 || kind === FIXED32 || kind === UINT32 ? 'an unsigned' : 'a signed'} integer of ${kind <= INT64 ? 64 : 32} bits`
