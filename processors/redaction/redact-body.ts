import { Arena } from '../../proto/actions.ts'
import { ItemIndex } from '../../proto/item-index.ts'
import { asBuffer, BYTES, encodeValue, LIST, MAP, Range, readValue, valueKind, valueText } from '../../proto/values.ts'
import type { MessageEdit } from '../message-edits.ts'
import { RedactNested } from './redact-nested.ts'
import type { Rules } from './rules.ts'
import { bodyNames, recordTag, RedactionSummary, type SummaryLevel } from './summary.ts'

/** The place of the body in the index. */
const BODY = 0

/** Redacts the body of a log record: its text, or in a map or list every key and value. */
export class RedactBody implements MessageEdit {
  readonly #rules: Rules
  readonly #summary: RedactionSummary
  readonly #record = new ItemIndex('LogRecord', 'body')
  readonly #body = new Range()
  readonly #kind = new Range()
  readonly #between = new Arena(256)
  readonly #nested: RedactNested

  constructor(rules: Rules, summary: SummaryLevel) {
    this.#rules = rules
    this.#summary = new RedactionSummary(summary, bodyNames)
    this.#nested = new RedactNested(rules, true, true, this.#summary)
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena): boolean {
    const summary = this.#summary
    summary.clear()
    const body = this.#body
    const record = this.#record
    try {
      record.load(bytes, start, end)
      if (!record.find(BODY, body)) body.set(bytes, start, start)
      const made = this.#redactBody(asBuffer(body.bytes), body.start, body.end)
      if (made !== undefined) record.set(BODY, made)
      if (!summary.tells) return record.write(out)
      const between = this.#between
      between.at = 0
      if (record.write(between)) summary.addTo(between.bytes, between.from, between.at, recordTag, out)
      else summary.addTo(bytes, start, end, recordTag, out)
      return true
    } finally {
      record.clear()
    }
  }

  /** The content of the new AnyValue; undefined when it stays as it is. */
  #redactBody(bytes: Buffer, start: number, end: number): Buffer | undefined {
    const kind = valueKind(bytes, start, end, this.#kind)
    if (kind === MAP || kind === LIST) return this.#nested.redact(bytes, start, end, '')
    if (kind === BYTES) {
      const masked = this.#rules.maskedBytes(asBuffer(this.#kind.bytes).subarray(this.#kind.start, this.#kind.end))
      if (masked !== undefined) {
        this.#summary.add('masked', 'body')
        return encodeValue(masked)
      }
    }
    const written = valueText(readValue(bytes, start, end))
    // Of a body that is allowed as a whole nothing is told, as in the Collector.
    if (this.#rules.allows(written)) return undefined
    const masked = this.#rules.masked(written)
    if (masked === written) return undefined
    this.#summary.add('masked', 'body')
    return encodeValue(masked)
  }
}
