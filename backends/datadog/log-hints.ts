/** What the attributes of a log record say of the entry that is made of it, besides being attributes. */
import * as names from './log-names.ts'
import { filled } from './log-fields.ts'
import { hexDigit } from '../../proto/json-scan.ts'
import { Range, readValue, TEXT, valueKind, valueText } from '../../proto/values.ts'

/** Texts for the entry; empty where no attribute has one. To be used again for each record. */
export class LogHints {
  readonly message = new Range()
  readonly status = new Range()
  readonly tags = new Range()
  readonly source = new Range()
  /** Ids in hex. */
  readonly trace = new Range()
  readonly span = new Range()

  clear(bytes: Uint8Array): void {
    this.message.set(bytes, 0, 0)
    this.status.set(bytes, 0, 0)
    this.tags.set(bytes, 0, 0)
    this.source.set(bytes, 0, 0)
    this.trace.set(bytes, 0, 0)
    this.span.set(bytes, 0, 0)
  }

  /** Takes the value of an attribute whose name has this meaning, and says whether that is all it is good for. */
  take(meaning: number, value: Range): boolean {
    switch (meaning) {
      case names.MESSAGE:
        textOf(value, this.message)
        return true
      case names.STATUS:
        textOf(value, this.status)
        return true
      case names.TAGS:
        textOf(value, this.tags)
        return true
      case names.TRACE:
        return takeId(value, this.trace, 32)
      case names.SPAN:
        return takeId(value, this.span, 16)
      case names.NAMED_SOURCE:
        textOf(value, this.source)
        return false
      default:
        return false
    }
  }
}

/** Sets `out` to a value as text. */
function textOf(value: Range, out: Range): void {
  if (valueKind(value.bytes, value.start, value.end, out) === TEXT) return
  const made = Buffer.from(valueText(readValue(value.bytes, value.start, value.end)))
  out.set(made, 0, made.length)
}

/** Sets `out` to an id in hex, if it is one and the first; says whether it is one. */
function takeId(value: Range, out: Range, digits: number): boolean {
  const { bytes, start, end } = out
  const first = !filled(out)
  textOf(value, out)
  let good = out.end - out.start === digits
  for (let i = out.start; good && i < out.end; i++) good = hexDigit[out.bytes[i]] < 16
  if (!good || !first) out.set(bytes, start, end)
  return good
}
