/** Where the parts of one log record stand. One reader is used for all records, so that none costs an object. */
import { asBuffer, Range } from '../../proto/values.ts'
import { fieldNamed, findField } from '../../proto/views.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

const bodyField = fieldNamed('LogRecord', 'body')

/** A log record as positions in its bytes; see `LogRecord` in schema.ts. */
export class LogRecordReader {
  /** Times in nanoseconds as two halves; 0 where they are not set. */
  timeLow = 0
  timeHigh = 0
  observedLow = 0
  observedHigh = 0
  severity = 0
  dropped = 0
  flags = 0
  /** Contents: start and end, the same where there is none. */
  severityStart = 0
  severityEnd = 0
  traceStart = 0
  traceEnd = 0
  spanStart = 0
  spanEnd = 0
  eventStart = 0
  eventEnd = 0
  /** The body's AnyValue, which stands in `bodyBytes`. */
  bodyBytes: Buffer = Buffer.alloc(0)
  bodyStart = 0
  bodyEnd = 0
  /** From the first attribute's tag to the end of the last. */
  attributesStart = 0
  attributesEnd = 0
  readonly #cursor = new Cursor(this.bodyBytes)

  /** @throws WireError where the bytes are no log record */
  read(bytes: Buffer, start: number, end: number): void {
    this.#clear(bytes, start)
    const cursor = this.#cursor.set(bytes, start, end)
    let attributes = false
    let bodies = 0
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      switch (tag) {
        case 0x09: {
          const { at } = cursor
          cursor.advance(8)
          this.timeLow = word(bytes, at)
          this.timeHigh = word(bytes, at + 4)
          break
        }
        case 0x59: {
          const { at } = cursor
          cursor.advance(8)
          this.observedLow = word(bytes, at)
          this.observedHigh = word(bytes, at + 4)
          break
        }
        case 0x10:
          this.severity = cursor.uint32() | 0
          break
        case 0x1a:
          this.severityEnd = content(cursor)
          this.severityStart = cursor.at
          cursor.at = this.severityEnd
          break
        case 0x2a:
          bodies++
          this.bodyEnd = content(cursor)
          this.bodyStart = cursor.at
          cursor.at = this.bodyEnd
          break
        case 0x32:
          if (!attributes) this.attributesStart = field
          attributes = true
          cursor.at = this.attributesEnd = content(cursor)
          break
        default:
          this.#rare(bytes, tag)
      }
    }
    if (bodies > 1) this.#merge(bytes, start, end)
  }

  #rare(bytes: Buffer, tag: number): void {
    const cursor = this.#cursor
    switch (tag) {
      case 0x38:
        this.dropped = cursor.uint32()
        return
      case 0x45: {
        const { at } = cursor
        cursor.advance(4)
        this.flags = word(bytes, at)
        return
      }
      case 0x4a:
        this.traceEnd = content(cursor)
        this.traceStart = cursor.at
        cursor.at = this.traceEnd
        return
      case 0x52:
        this.spanEnd = content(cursor)
        this.spanStart = cursor.at
        cursor.at = this.spanEnd
        return
      case 0x62:
        this.eventEnd = content(cursor)
        this.eventStart = cursor.at
        cursor.at = this.eventEnd
        return
      default:
        if (tag >>> 3 <= 12 && tag >>> 3 !== 4) {
          throw new WireError(`field ${tag >>> 3} of a log record has wire type ${tag & 7}`)
        }
        cursor.skip(tag)
    }
  }

  /** A body that stands in pieces is what they are together. */
  #merge(bytes: Buffer, start: number, end: number): void {
    const body = new Range()
    findField(bytes, start, end, bodyField, body)
    this.bodyBytes = asBuffer(body.bytes)
    this.bodyStart = body.start
    this.bodyEnd = body.end
  }

  #clear(bytes: Buffer, start: number): void {
    this.timeLow = this.timeHigh = this.observedLow = this.observedHigh = 0
    this.severity = this.dropped = this.flags = 0
    this.severityStart = this.severityEnd = start
    this.traceStart = this.traceEnd = this.spanStart = this.spanEnd = start
    this.eventStart = this.eventEnd = start
    this.bodyBytes = bytes
    this.bodyStart = this.bodyEnd = start
    this.attributesStart = this.attributesEnd = start
  }
}

/** Reads a length and gives where the content ends; the cursor stands where it starts. */
function content(cursor: Cursor): number {
  const length = cursor.length()
  return cursor.at + length
}

/** The 32 bits at `at`. */
function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}
