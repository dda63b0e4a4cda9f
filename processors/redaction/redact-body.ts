import { Arena } from '../../proto/actions.ts'
import { AttributeWalk } from '../../proto/attributes.ts'
import {
  asBuffer,
  encodeField,
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
import { fieldNamed, findField } from '../../proto/views.ts'
import { Cursor, maxDepth, WireError } from '../../proto/wire.ts'
import { type MessageEdit, tagOf } from '../message-edits.ts'
import { Runs } from '../runs.ts'
import { IGNORE, MASK, REMOVE, type Rules } from './rules.ts'
import { bodyNames, recordTag, Summary, type SummaryLevel } from './summary.ts'

const bodyField = fieldNamed('LogRecord', 'body')
const bodyTag = tagOf('LogRecord', 'body')
/** Tags of lists and maps, and of the elements of either. */
const tags = { list: tagOf('AnyValue', 'array_value'), map: tagOf('AnyValue', 'kvlist_value'), element: 0x0a }

/** Redacts the body of a log record: its text, or in a map or list every key and value. */
export class RedactBody implements MessageEdit {
  readonly #rules: Rules
  readonly #summary: Summary
  readonly #runs = new Runs()
  readonly #body = new Range()
  readonly #between = new Arena(256)

  constructor(rules: Rules, summary: SummaryLevel) {
    this.#rules = rules
    this.#summary = new Summary(summary, bodyNames)
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
    const range = new Range()
    const kind = valueKind(bytes, start, end, range)
    if (kind === MAP) return this.#redactMap(asBuffer(range.bytes), range.start, range.end, '', 1)
    if (kind === LIST) return this.#redactList(asBuffer(range.bytes), range.start, range.end, '', 1)
    const written = valueText(readValue(bytes, start, end))
    // Of a body that is allowed as a whole nothing is told, as in the Collector.
    return this.#rules.allows(written) ? undefined : this.#mask(written, 'body')
  }

  #mask(written: string, path: string): Buffer | undefined {
    const masked = this.#rules.masked(written)
    if (masked === written) return undefined
    this.#summary.add('masked', path)
    return encodeValue(masked)
  }

  #redactValue(bytes: Buffer, start: number, end: number, path: string, depth: number): Buffer | undefined {
    if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
    const range = new Range()
    const kind = valueKind(bytes, start, end, range)
    if (kind === MAP) return this.#redactMap(asBuffer(range.bytes), range.start, range.end, `${path}.`, depth + 1)
    if (kind === LIST) return this.#redactList(asBuffer(range.bytes), range.start, range.end, `${path}.`, depth + 1)
    const written = valueText(readValue(bytes, start, end))
    if (!this.#rules.allows(written)) return this.#mask(written, path)
    this.#summary.add('allowed', path)
    return undefined
  }

  #redactMap(bytes: Buffer, start: number, end: number, path: string, depth: number): Buffer | undefined {
    const value = new Range()
    const key = new Range()
    const parts = new Parts(bytes, start)
    const walk = new AttributeWalk(bytes, start, end, tags.element)
    while (walk.next()) {
      const { from, to } = walk
      readKeyValue(bytes, from, to, key, value)
      const name = text(key.bytes, key.start, key.end)
      const verdict = this.#rules.ofName(name)
      if (verdict === IGNORE) this.#summary.add('ignored', path + name)
      else if (verdict === REMOVE) {
        this.#summary.add('redacted', path + name)
        parts.replace(walk, undefined)
      } else {
        const { bytes: content, start: at, end: last } = value
        const made =
          verdict === MASK
            ? this.#maskWhole(asBuffer(content), at, last, path + name)
            : this.#redactValue(asBuffer(content), at, last, path + name, depth)
        if (made !== undefined) parts.replace(walk, withValue(bytes, from, to, tags.element, made))
      }
    }
    return parts.whole(tags.map, end)
  }

  #maskWhole(bytes: Buffer, start: number, end: number, path: string): Buffer {
    this.#summary.add('masked', path)
    const range = new Range()
    const isText = valueKind(bytes, start, end, range) === TEXT
    return encodeValue(this.#rules.wholly(isText ? text(range.bytes, range.start, range.end) : ''))
  }

  #redactList(bytes: Buffer, start: number, end: number, path: string, depth: number): Buffer | undefined {
    const parts = new Parts(bytes, start)
    const walk = new AttributeWalk(bytes, start, end, tags.element)
    for (let i = 0; walk.next(); i++) {
      const made = this.#redactValue(bytes, walk.from, walk.to, `${path}[${i}]`, depth)
      if (made !== undefined) parts.replace(walk, encodeField(tags.element, made))
    }
    return parts.whole(tags.list, end)
  }
}

/** A list or map of which elements are replaced. */
class Parts {
  readonly #bytes: Buffer
  readonly #parts: Buffer[] = []
  #copied: number
  #changed = false

  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes
    this.#copied = start
  }

  replace({ field, to }: AttributeWalk, by: Buffer | undefined): void {
    this.#changed = true
    this.#parts.push(this.#bytes.subarray(this.#copied, field))
    if (by !== undefined) this.#parts.push(by)
    this.#copied = to
  }

  /** The value as a field of AnyValue; undefined when nothing was replaced. */
  whole(tag: number, end: number): Buffer | undefined {
    if (!this.#changed) return undefined
    return encodeField(tag, Buffer.concat([...this.#parts, this.#bytes.subarray(this.#copied, end)]))
  }
}
