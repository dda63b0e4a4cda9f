import { AttributeWalk } from '../../proto/attributes.ts'
import {
  asBuffer,
  BYTES,
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
import { maxDepth, WireError } from '../../proto/wire.ts'
import { tagOf } from '../message-edits.ts'
import { IGNORE, MASK, REMOVE, type Rules } from './rules.ts'
import type { RedactionSummary } from './summary.ts'

/** Tags of AnyValue's list, map and bytes, and of the elements of the first two. */
const tags = {
  list: tagOf('AnyValue', 'array_value'),
  map: tagOf('AnyValue', 'kvlist_value'),
  bytes: tagOf('AnyValue', 'bytes_value'),
  element: 0x0a,
}

/** Redacts values with all that is nested in them. */
export class RedactNested {
  readonly #rules: Rules
  readonly #allTypes: boolean
  readonly #removes: boolean
  readonly #summary: RedactionSummary | undefined

  /**
   * `allTypes`: numbers and bools are looked at as text; `removes`: keys of maps that are not allowed go, as they do in the
   * Collector from bodies but not from attributes.
   */
  constructor(rules: Rules, allTypes: boolean, removes: boolean, summary: RedactionSummary | undefined) {
    this.#rules = rules
    this.#allTypes = allTypes
    this.#removes = removes
    this.#summary = summary
  }

  /** The content of the new AnyValue; undefined when it stays as it is. `path` leads to it. */
  redact(bytes: Buffer, start: number, end: number, path: string, depth = 0): Buffer | undefined {
    if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
    const range = new Range()
    const kind = valueKind(bytes, start, end, range)
    const inside = path === '' ? '' : `${path}.`
    if (kind === MAP) return this.#redactMap(asBuffer(range.bytes), range.start, range.end, inside, depth + 1)
    if (kind === LIST) return this.#redactList(asBuffer(range.bytes), range.start, range.end, inside, depth + 1)
    if (kind === BYTES) {
      const content = asBuffer(range.bytes).subarray(range.start, range.end)
      const masked = this.#rules.maskedBytes(content)
      if (masked !== undefined) {
        this.#summary?.add('masked', path)
        return encodeField(tags.bytes, masked)
      }
    }
    if (kind !== TEXT && !this.#allTypes) return undefined
    const written = kind === TEXT ? text(range.bytes, range.start, range.end) : valueText(readValue(bytes, start, end))
    if (this.#rules.allows(written)) {
      this.#summary?.add('allowed', path)
      return undefined
    }
    const masked = this.#rules.masked(written)
    if (masked === written) return undefined
    this.#summary?.add('masked', path)
    return encodeValue(masked)
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
      const verdict = this.#rules.ofName(name, this.#removes)
      if (verdict === IGNORE) this.#summary?.add('ignored', path + name)
      else if (verdict === REMOVE) {
        this.#summary?.add('redacted', path + name)
        parts.replace(walk, undefined)
      } else {
        const content = asBuffer(value.bytes)
        const made =
          verdict === MASK
            ? this.#maskWhole(content, value.start, value.end, path + name)
            : this.redact(content, value.start, value.end, path + name, depth)
        if (made !== undefined) parts.replace(walk, withValue(bytes, from, to, tags.element, made))
      }
    }
    return parts.whole(tags.map, end)
  }

  #maskWhole(bytes: Buffer, start: number, end: number, path: string): Buffer {
    this.#summary?.add('masked', path)
    const range = new Range()
    const isText = valueKind(bytes, start, end, range) === TEXT
    return encodeValue(this.#rules.wholly(isText ? text(range.bytes, range.start, range.end) : ''))
  }

  #redactList(bytes: Buffer, start: number, end: number, path: string, depth: number): Buffer | undefined {
    const parts = new Parts(bytes, start)
    const walk = new AttributeWalk(bytes, start, end, tags.element)
    for (let i = 0; walk.next(); i++) {
      const made = this.redact(bytes, walk.from, walk.to, `${path}[${i}]`, depth)
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
