import { Arena } from '../../proto/actions.ts'
import { AttributeWalk, usualKey, usualValue } from '../../proto/attributes.ts'
import {
  asBuffer,
  BYTES,
  encodeKeyValue,
  encodeValue,
  LIST,
  MAP,
  Range,
  readKeyValue,
  readValue,
  TEXT,
  text,
  valueKind,
  valueText,
  withValue,
} from '../../proto/values.ts'
import type { MessageEdit } from '../message-edits.ts'
import { Runs } from '../../proto/runs.ts'
import { RedactNested } from './redact-nested.ts'
import { IGNORE, type KeyVerdict, MASK, REMOVE, type Rules } from './rules.ts'
import { attributeNames, RedactionSummary, type SummaryLevel } from './summary.ts'

const summaryPrefix = Buffer.from('redaction.')

/** Redacts one list of attributes: that with `tag` in the message it is applied to. */
export class RedactAttributes implements MessageEdit {
  readonly #rules: Rules
  readonly #tag: number
  readonly #allTypes: boolean
  readonly #summary: RedactionSummary
  readonly #nested: RedactNested
  readonly #runs = new Runs()
  readonly #key = new Range()
  readonly #value = new Range()
  readonly #between = new Arena(256)
  /** Whether the list has a summary already. */
  #summed = false

  constructor(rules: Rules, tag: number, allTypes: boolean, summary: SummaryLevel) {
    this.#rules = rules
    this.#tag = tag
    this.#allTypes = allTypes
    this.#summary = new RedactionSummary(summary, attributeNames)
    this.#nested = new RedactNested(rules, false, false, undefined)
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena): boolean {
    const summary = this.#summary
    const runs = this.#runs
    summary.clear()
    this.#summed = false
    try {
      const walk = new AttributeWalk(bytes, start, end, this.#tag)
      let copied = start
      let changed = false
      while (walk.next()) {
        const made = this.#redact(bytes, walk)
        if (made === undefined) continue
        changed = true
        runs.add(bytes, copied, walk.field)
        runs.add(made, 0, made.length)
        copied = walk.to
      }
      if (!changed && !summary.tells) return false
      runs.add(bytes, copied, end)
      this.#finish(out)
      return true
    } finally {
      runs.clear()
    }
  }

  /** Writes what was found, and the summary of it. */
  #finish(out: Arena): void {
    const runs = this.#runs
    if (!this.#summary.tells) {
      runs.into(out)
    } else if (this.#summed) {
      const between = this.#between
      between.at = 0
      runs.into(between)
      this.#summary.addTo(between.bytes, between.from, between.at, this.#tag, out)
    } else {
      for (const field of this.#summary.fields(this.#tag)) runs.add(field, 0, field.length)
      runs.into(out)
    }
  }

  /** What an attribute becomes: undefined when it stays, empty when it goes. */
  #redact(bytes: Buffer, { from, to }: AttributeWalk): Buffer | undefined {
    const rules = this.#rules
    const key = this.#key
    const value = this.#value
    const length = usualKey(bytes, from, to)
    if (length >= 0) {
      key.set(bytes, from + 2, from + 2 + length)
      value.set(bytes, usualValue(bytes, from, length), to)
    } else readKeyValue(bytes, from, to, key, value)
    const verdict = rules.ofKey(key.bytes, key.start, key.end)
    if (verdict === IGNORE) return this.#note('ignored', undefined)
    if (verdict === REMOVE) return this.#note('redacted', nothing)
    this.#summed ||= startsWith(key, summaryPrefix)
    const content = this.#content(verdict)
    if (content === undefined) return undefined
    return this.#note(
      'masked',
      length < 0
        ? withValue(bytes, from, to, this.#tag, content)
        : encodeKeyValue(this.#tag, bytes.subarray(from + 2, from + 2 + length), content),
    )
  }

  /** The content of the value in place of `#value`; undefined when that stays. */
  #content(verdict: KeyVerdict): Buffer | undefined {
    const rules = this.#rules
    const { bytes, start, end } = this.#value
    const range = this.#value.other
    if (verdict !== MASK && !rules.looksAtValues && !rules.looksAtKeys) return undefined
    const kind = valueKind(bytes, start, end, range)
    if (verdict !== MASK && kind === BYTES) {
      const masked = rules.maskedBytes(asBuffer(range.bytes).subarray(range.start, range.end))
      if (masked !== undefined) return encodeValue(masked)
    }
    // Where all types are looked at as text, so are these, as the Collector does it.
    if (verdict !== MASK && !this.#allTypes && (kind === LIST || kind === MAP)) {
      return this.#nested.redact(asBuffer(bytes), start, end, '')
    }
    const written = kind === TEXT ? text(range.bytes, range.start, range.end) : this.#otherText(bytes, start, end)
    if (rules.allows(written)) return this.#note('allowed', undefined)
    const masked = verdict === MASK ? rules.wholly(written) : rules.masked(written)
    return verdict !== MASK && masked === written ? undefined : encodeValue(masked)
  }

  #note<T>(kind: 'ignored' | 'redacted' | 'allowed' | 'masked', result: T): T {
    const { bytes, start, end } = this.#key
    this.#summary.add(kind, this.#summary.wantsKeys ? text(bytes, start, end) : '')
    return result
  }

  /** A value that is no text counts as empty, unless all types are redacted. */
  #otherText(bytes: Uint8Array, start: number, end: number): string {
    return this.#allTypes ? valueText(readValue(bytes, start, end)) : ''
  }
}

const nothing = Buffer.alloc(0)

function startsWith({ bytes, start, end }: Range, prefix: Buffer): boolean {
  if (end - start < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false
  return true
}
