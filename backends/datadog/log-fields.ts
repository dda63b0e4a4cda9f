/** The fields of a log record, found in its bytes. */
import * as names from './log-names.ts'
import { Range } from '../../proto/values.ts'
import { fieldNamed, findField } from '../../proto/views.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

const bodyField = fieldNamed('LogRecord', 'body')

/** Wire types of the fields of LogRecord, by number. */
const known: readonly (number | undefined)[] = [undefined, 1, 0, 2, undefined, 2, 2, 0, 5, 2, 2, 1, 2]

/** Where the fields of one record stand; empty where it has none. To be used again for each. */
export class LogFields {
  readonly time = new Range()
  readonly observed = new Range()
  readonly severity = new Range()
  readonly event = new Range()
  readonly trace = new Range()
  readonly span = new Range()
  readonly body = new Range()
  /** The severity's number; 0 where it has none. */
  number = 0
  /** Where its first attribute stands; -1 where it has none. */
  attributes = -1
  readonly #cursor = new Cursor(Buffer.alloc(0))

  /** Finds what there is of the record between `start` and `end`. @throws WireError */
  find(bytes: Uint8Array, start: number, end: number): void {
    this.#clear(bytes)
    let bodies = 0
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      const place = this.#place(tag)
      if (place !== undefined) {
        const size = (tag & 7) === 2 ? cursor.length() : 8
        const from = cursor.at
        cursor.advance(size)
        if (place === this.body) bodies++
        place.set(bytes, from, cursor.at)
      } else if (tag === 0x10) this.number = cursor.uint32() | 0
      else {
        if (tag === 0x32 && this.attributes < 0) this.attributes = field
        else if (known[tag >>> 3] !== undefined && known[tag >>> 3] !== (tag & 7)) {
          throw new WireError(`field ${tag >>> 3} of a log record has wire type ${tag & 7}`)
        }
        cursor.skip(tag)
      }
    }
    // A body that stands in pieces is what they are together.
    if (bodies > 1) findField(bytes, start, end, bodyField, this.body)
  }

  #clear(bytes: Uint8Array): void {
    this.time.set(bytes, 0, 0)
    this.observed.set(bytes, 0, 0)
    this.severity.set(bytes, 0, 0)
    this.event.set(bytes, 0, 0)
    this.trace.set(bytes, 0, 0)
    this.span.set(bytes, 0, 0)
    this.body.set(bytes, 0, 0)
    this.number = 0
    this.attributes = -1
  }

  #place(tag: number): Range | undefined {
    switch (tag) {
      case 0x09:
        return this.time
      case 0x1a:
        return this.severity
      case 0x2a:
        return this.body
      case 0x4a:
        return this.trace
      case 0x52:
        return this.span
      case 0x59:
        return this.observed
      case 0x62:
        return this.event
      default:
        return undefined
    }
  }

  /** Whether something is written of the record's own under names with this meaning. */
  has(meaning: number): boolean {
    switch (meaning) {
      case names.TIME:
        return nonZero(this.time) || nonZero(this.observed)
      case names.OWN_TRACE:
        return nonZero(this.trace)
      case names.OWN_SPAN:
        return nonZero(this.span)
      case names.SEVERITY_TEXT:
        return filled(this.severity)
      case names.SEVERITY_NUMBER:
        return this.number !== 0
      case names.EVENT_NAME:
        return filled(this.event)
      default:
        return false
    }
  }
}

/** Whether there is anything between its ends. */
export const filled = ({ start, end }: Range): boolean => end > start

/** Whether any byte of it is not 0. */
export function nonZero({ bytes, start, end }: Range): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return true
  return false
}
