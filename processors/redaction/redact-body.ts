import { Arena } from '../../proto/actions.ts'
import {
  asBuffer,
  BYTES,
  encodeField,
  encodeValue,
  LIST,
  MAP,
  Range,
  readValue,
  valueKind,
  valueText,
} from '../../proto/values.ts'
import { fieldNamed, findField } from '../../proto/views.ts'
import { Cursor } from '../../proto/wire.ts'
import { type MessageEdit, tagOf } from '../message-edits.ts'
import { Runs } from '../../proto/runs.ts'
import { RedactNested } from './redact-nested.ts'
import type { Rules } from './rules.ts'
import { bodyNames, recordTag, RedactionSummary, type SummaryLevel } from './summary.ts'

const bodyField = fieldNamed('LogRecord', 'body')
const bodyTag = tagOf('LogRecord', 'body')

/** Redacts the body of a log record: its text, or in a map or list every key and value. */
export class RedactBody implements MessageEdit {
  readonly #rules: Rules
  readonly #summary: RedactionSummary
  readonly #runs = new Runs()
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
    if (!findField(bytes, start, end, bodyField, body)) body.set(bytes, start, start)
    const made = this.#redactBody(asBuffer(body.bytes), body.start, body.end)
    if (made === undefined && !summary.tells) return false
    const runs = this.#runs
    try {
      if (made === undefined) runs.add(bytes, start, end)
      else this.#replace(bytes, start, end, made)
      if (!summary.tells) runs.into(out)
      else {
        const between = this.#between
        between.at = 0
        runs.into(between)
        summary.addTo(between.bytes, between.from, between.at, recordTag, out)
      }
      return true
    } finally {
      runs.clear()
    }
  }

  /** The record with another body. */
  #replace(bytes: Buffer, start: number, end: number, body: Buffer): void {
    const cursor = new Cursor(bytes, start, end)
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      cursor.skip(tag)
      if (tag !== bodyTag) this.#runs.add(bytes, field, cursor.at)
    }
    const written = encodeField(bodyTag, body)
    this.#runs.add(written, 0, written.length)
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
