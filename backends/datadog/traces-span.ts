/** One OTLP span taken apart into fields that are used again for the next one. */
import { attributeTags } from '../../proto/attributes.ts'
import { AttributeColumns, larger } from './traces-attributes.ts'
import type { KeyTable } from './traces-keys.ts'
import { Cursor, FIXED64, LENGTH, VARINT, WireError } from '../../proto/wire.ts'

/** Kinds of spans, as in OTLP. */
export const INTERNAL = 1
export const SERVER = 2
export const CLIENT = 3
export const PRODUCER = 4
export const CONSUMER = 5

/** A status of OTLP. */
export const ERROR = 2

const noBytes = Buffer.alloc(0)

/** Positions of many parts of one kind, such as the events of a span: pairs of start and end. */
export class Parts {
  count = 0
  at = new Int32Array(16)

  add(start: number, end: number): void {
    if (this.count * 2 === this.at.length) this.at = larger(this.at, this.at.length * 2)
    this.at[this.count * 2] = start
    this.at[this.count * 2 + 1] = end
    this.count++
  }
}

/** The span that was loaded last. */
export class SpanReader {
  bytes: Buffer = noBytes
  readonly attributes: AttributeColumns
  readonly events = new Parts()
  readonly links = new Parts()
  /** Where the ids start; -1 without one of the right length that is not all zeros. */
  traceId = -1
  spanId = -1
  parentId = -1
  kind = 0
  status = 0
  /** Times in two halves. */
  startLow = 0
  startHigh = 0
  endLow = 0
  endHigh = 0
  nameStart = 0
  nameEnd = 0
  stateStart = 0
  stateEnd = 0
  messageStart = 0
  messageEnd = 0
  readonly #cursor = new Cursor(noBytes)

  constructor(table: KeyTable) {
    this.attributes = new AttributeColumns(table)
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.bytes = noBytes
    this.attributes.clear()
  }

  /** Loads the span between `start` and `end`. @throws WireError */
  load(bytes: Buffer, start: number, end: number): this {
    this.attributes.clear()
    this.bytes = bytes
    this.events.count = this.links.count = 0
    this.traceId = this.spanId = this.parentId = -1
    this.kind = this.status = this.startLow = this.startHigh = this.endLow = this.endHigh = 0
    this.nameStart = this.nameEnd = this.stateStart = this.stateEnd = this.messageStart = this.messageEnd = 0
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      cursor.end = end
      const tag = cursor.tag()
      if ((tag & 7) === LENGTH && tag < 0x80) {
        const length = cursor.length()
        const { at } = cursor
        cursor.at = at + length
        this.#part(tag, at, at + length)
      } else this.#number(tag, cursor)
    }
    return this
  }

  #part(tag: number, start: number, end: number): void {
    switch (tag) {
      case attributeTags.span:
        this.attributes.add(this.bytes, start, end)
        return
      case 0x0a:
        this.traceId = idAt(this.bytes, start, end, 16)
        return
      case 0x12:
        this.spanId = idAt(this.bytes, start, end, 8)
        return
      case 0x1a:
        this.stateStart = start
        this.stateEnd = end
        return
      case 0x22:
        this.parentId = idAt(this.bytes, start, end, 8)
        return
      case 0x2a:
        this.nameStart = start
        this.nameEnd = end
        return
      case 0x5a:
        this.events.add(start, end)
        return
      case 0x6a:
        this.links.add(start, end)
        return
      case 0x7a:
        this.#status(start, end)
        return
      default:
        if (expected[tag >>> 3] !== LENGTH) throw new WireError(`field ${tag >>> 3} of a span has wire type 2`)
    }
  }

  #number(tag: number, cursor: Cursor): void {
    switch (tag) {
      case 0x30:
        this.kind = cursor.uint32()
        return
      case 0x39:
      case 0x41: {
        const { at, bytes } = cursor
        cursor.advance(8)
        const low = word(bytes, at)
        const high = word(bytes, at + 4)
        if (tag === 0x39) {
          this.startLow = low
          this.startHigh = high
        } else {
          this.endLow = low
          this.endHigh = high
        }
        return
      }
      default:
        if (tag >>> 3 < 16 && expected[tag >>> 3] !== (tag & 7)) {
          throw new WireError(`field ${tag >>> 3} of a span has wire type ${tag & 7}`)
        }
        cursor.skip(tag)
    }
  }

  #status(start: number, end: number): void {
    const cursor = new Cursor(this.bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      if (tag === 0x18) this.status = cursor.uint32()
      else if (tag === 0x12) {
        const to = cursor.length() + cursor.at
        this.messageStart = cursor.at
        this.messageEnd = cursor.at = to
      } else cursor.skip(tag)
    }
  }
}

/** Wire types of the fields of a span, by number. */
const expected = [-1, LENGTH, LENGTH, LENGTH, LENGTH, LENGTH, VARINT, FIXED64, FIXED64, LENGTH, VARINT, LENGTH, VARINT]
expected.push(LENGTH, VARINT, LENGTH)

/** The 32 bits at `at`, unsigned. */
export const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0

/** The same with the highest byte first. */
export const bigEndian = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0

/** `start`, when the bytes are an id of that length and not all zeros; else -1. */
export function idAt(bytes: Uint8Array, start: number, end: number, length: number): number {
  if (end - start !== length) return -1
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return start
  return -1
}
