/**
 * OTLP/JSON (OTLP specification, "JSON Protobuf Encoding") read straight to protobuf bytes, in one pass and without an
 * object in between. Keys in lowerCamelCase or snake_case; ids in hex, other bytes in base64; 64-bit integers as strings
 * or numbers, to the last digit; enums as numbers or names; null means absent; unknown keys are passed over; of a key
 * that stands twice the last wins.
 */
import { isUtf8 } from 'node:buffer'
import type { Memory } from './growing.ts'
import { measure } from './json-measure.ts'
import { KEY_ONLY, readAttribute, WHOLE } from './json-attribute.ts'
import { maxGroups, tooManyGroups } from './framer.ts'
import { maxFields } from './item-limits.ts'
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
import { isTold, unknownKey } from './json-unknown.ts'
import { isData } from './points.ts'
import { type Signal, signals } from './signals.ts'
import { maxDepth, WireError } from './wire.ts'

/**
 * The protobuf bytes of a message, such as `ExportTraceServiceRequest`, that is written as OTLP/JSON. They are in a
 * buffer of their own, from `memory` where that is given. `told` hears of the first key that is passed over above the items.
 * @throws WireError where the text is no such message; says where and what. TooManyUnknown where more keys than `mostUnknown`
 * are passed over
 */
export function jsonToProtobuf(
  message: string,
  text: Buffer,
  memory?: Memory,
  told?: (note: string) => void,
  mostUnknown = Infinity,
): Buffer {
  if (!isUtf8(text)) throw new WireError(`the text is not valid UTF-8 (byte ${firstBadByte(text)})`)
  const sink = new ProtoSink(text.length + slack, planCount + 1, memory)
  try {
    new JsonReader(text, sink, told, mostUnknown).read(planOf(message))
    return sink.done()
  } catch (error) {
    sink.abandon()
    throw error
  }
}

/** Bytes of text that are read between two pauses, and from where on that is done. */
const slice = 64 * 1024
export const largeText = 1024 * 1024
/** A text with more keys than this that OTLP does not have is read in steps, however short it is: such keys are slow to read. */
export const manyUnknown = 16_384

/** There are so many keys of nobody that the text is to be read in steps. */
export class TooManyUnknown extends Error {
  override name = 'TooManyUnknown'
}

/**
 * The same in steps that take a short while each; what is returned stands in a buffer from `memory`. Between two pauses
 * one item is read at most, so items are bounded: see json-measure.ts. `onRead` is called once the text is needed no more.
 */
export function* jsonInSlices(
  signal: Signal,
  text: Buffer,
  memory: Memory,
  onRead: () => void,
  told?: (note: string) => void,
): Generator<undefined, Buffer> {
  if (!isUtf8(text)) throw new WireError(`the text is not valid UTF-8 (byte ${firstBadByte(text)})`)
  const sink = new ProtoSink(text.length + slack, planCount + 1, memory, 2 * (text.length + slack))
  let isDone = false
  try {
    yield* new JsonReader(text, sink, told).slices(planOf(signals[signal].request), spineOf(signal))
    onRead()
    yield
    const body = sink.done()
    isDone = true
    return body
  } finally {
    if (!isDone) sink.abandon()
  }
}

/** The messages on the way from a request to its items: in them a pause can be made. */
function spineOf(signal: Signal): ReadonlySet<Plan> {
  const { request, resourceGroup, scopeGroup, item } = signals[signal]
  const spine = new Set([request, resourceGroup, scopeGroup].map(planOf))
  if (signal !== 'metrics') return spine
  const metric = planOf(item)
  const data = metric.fields.filter(field => isData(field.number)).map(field => field.plan)
  return new Set([...spine, metric, ...data])
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

/** How deep a value is taken to stand that is in a message of the spine. */
const spineDepth = 6

const keyValue = planOf('KeyValue')
const [keyField, valueField] = keyValue.fields

class JsonReader {
  readonly #scan: JsonScanner
  readonly #sink: ProtoSink
  /** Hears of the first key that is passed over above the items. */
  #told: ((note: string) => void) | undefined
  #pauseAt = slice
  readonly #mostUnknown: number
  #unknown = 0
  /** Resource groups, and how many there were. */
  #group: Plan | undefined
  #groups = 0

  /** `sink` has room for the length of the text: but for a few numbers, which make room themselves, what is written is shorter. */
  constructor(text: Buffer, sink: ProtoSink, told?: (note: string) => void, mostUnknown = Infinity) {
    this.#mostUnknown = mostUnknown
    this.#scan = new JsonScanner(text)
    this.#sink = sink
    this.#told = told
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
        if (++this.#unknown > this.#mostUnknown) throw new TooManyUnknown()
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
    const field = plan.named(name)
    if (field === undefined && this.#told !== undefined && isTold(plan)) {
      this.#told(unknownKey(name))
      this.#told = undefined
    }
    return field
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
      else this.#element(field, byte, depth)
    } while (this.#more(CLOSE_LIST))
    if (field.packed) sink.close(start, reserved, planCount)
  }

  #element(field: FieldPlan, byte: number, depth: number): void {
    if (byte !== NULL || field.kind !== MESSAGE) return this.#field(field, byte, depth)
    // An element that is null is one without content, so that those after it keep their places.
    this.#scan.word('null')
    this.#sink.varint(field.tag)
    this.#sink.varint(0)
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

  /** Reads the whole text as `read` does, with pauses in the messages of `spine`. */
  *slices(plan: Plan, spine: ReadonlySet<Plan>): Generator<undefined, void> {
    const scan = this.#scan
    this.#group = plan.fields[0].plan
    if (scan.next() !== OPEN_OBJECT) throw scan.unexpected('`{`')
    yield* this.#messageInSlices(plan, spine)
    if (scan.next() >= 0) throw scan.unexpected('the end of the text')
  }

  *#messageInSlices(plan: Plan, spine: ReadonlySet<Plan>): Generator<undefined, void> {
    const scan = this.#scan
    scan.at++
    if (scan.next() === CLOSE_OBJECT) {
      scan.at++
      return
    }
    let guess = plan.fields[0]
    let seen = 0
    do {
      if (scan.next() !== QUOTE) throw scan.unexpected('a key in quotes')
      const keyAt = scan.at
      measure(scan)
      const field = this.#key(plan, guess)
      const byte = scan.next()
      if (field === undefined) {
        if (++this.#unknown > maxFields) throw scan.error(`more than ${maxFields} keys that OTLP does not have`, keyAt)
        measure(scan)
        scan.skip(spineDepth)
        // A key that is not known takes as long as many that are.
        if (this.#unknown % 1024 === 0) yield
      } else {
        guess = field.next
        // What was written would have to be taken out again, which can be most of the text.
        if ((seen & (byte === NULL ? field.bit : field.conflicts)) !== 0) {
          throw scan.error(`in a large request ${field.name} cannot stand beside what is there already`, keyAt)
        }
        if (byte === NULL) scan.word('null')
        else {
          seen |= field.bit
          yield* this.#valueInSlices(field, byte, spine)
        }
      }
      if (this.#due()) yield
    } while (this.#more(CLOSE_OBJECT))
  }

  *#valueInSlices(field: FieldPlan, byte: number, spine: ReadonlySet<Plan>): Generator<undefined, void> {
    const scan = this.#scan
    const inSpine = field.kind === MESSAGE && spine.has(field.plan)
    if (field.repeated && field.kind === MESSAGE && byte === OPEN_LIST) {
      scan.at++
      if (scan.next() === CLOSE_LIST) {
        scan.at++
        return
      }
      do {
        const element = scan.next()
        if (field.plan === this.#group && ++this.#groups > maxGroups) throw tooManyGroups()
        if (inSpine && element === OPEN_OBJECT) yield* this.#openInSlices(field, spine)
        else {
          measure(scan)
          this.#element(field, element, spineDepth)
        }
        if (this.#due()) yield
      } while (this.#more(CLOSE_LIST))
    } else if (inSpine && byte === OPEN_OBJECT) yield* this.#openInSlices(field, spine)
    else {
      measure(scan)
      if (field.repeated) this.#list(field, byte, spineDepth)
      else this.#field(field, byte, spineDepth)
    }
  }

  *#openInSlices(field: FieldPlan, spine: ReadonlySet<Plan>): Generator<undefined, void> {
    const sink = this.#sink
    const reserved = sink.expected(field.plan.index)
    const start = sink.open(field.tag, reserved)
    yield* this.#messageInSlices(field.plan, spine)
    sink.close(start, reserved, field.plan.index)
  }

  #due(): boolean {
    const { at } = this.#scan
    if (at < this.#pauseAt) return false
    this.#pauseAt = at + slice
    return true
  }
}
