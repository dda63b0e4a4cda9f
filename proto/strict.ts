/**
 * The check of a message against what a strict decoder of the OTLP schema refuses: wire types, lengths, varints over ten
 * bytes or 64 bits, field 0, groups, depth, ids of another size than theirs. Text that is no UTF-8 is counted, as it can be mended.
 */
import { isUtf8 } from 'node:buffer'
import { type Field, messages } from './schema.ts'
import { Cursor, FIXED32, FIXED64, LENGTH, maxDepth, VARINT, WireError } from './wire.ts'

/** A field of a message, with the rules of what it holds where that is a message. */
export interface FieldRule {
  readonly field: Field
  readonly inner: FieldRules | undefined
  /** Bytes that it has where it is not empty: ids. */
  readonly size: number
}

/** The fields of a message, by number. */
export type FieldRules = readonly (FieldRule | undefined)[]

const idSizes: Readonly<Record<string, number>> = { trace_id: 16, span_id: 8, parent_span_id: 8 }

function rulesOfAll(): ReadonlyMap<string, FieldRules> {
  const all = new Map<string, (FieldRule | undefined)[]>([...messages.keys()].map(name => [name, []]))
  for (const { name, fields } of messages.values()) {
    const mine = all.get(name) ?? []
    for (const field of fields) {
      const inner = field.type === 'message' ? all.get(field.of) : undefined
      mine[field.number] = { field, inner, size: field.hex ? (idSizes[field.name] ?? 0) : 0 }
    }
  }
  return all
}

const allRules = rulesOfAll()

/** The rules of the message of that name, which must be one of the schema's. */
export function rulesNamed(name: string): FieldRules {
  const found = allRules.get(name)
  if (found === undefined) throw new TypeError(`the OTLP schema has no message ${name}`)
  return found
}

/** How deep resources, scopes and items stand in a request, which is 1. */
export const headDepth = 3
export const itemDepth = 4

/** Text up to this many bytes is looked at byte by byte. */
const shortText = 48

/** Walks over messages. Meant to be used for many. */
export class StrictReader {
  readonly cursor = new Cursor(Buffer.alloc(0))
  /** Bytes of the texts so far that are no UTF-8. */
  brokenText = 0

  /** Checks the message between `start` and `end`. @throws WireError where a strict decoder refuses it */
  check(rules: FieldRules, bytes: Uint8Array, start: number, end: number, depth: number): void {
    this.cursor.set(bytes, start, end)
    this.#message(rules, end, depth)
  }

  /** Checks the value of one field, whose tag was read; the cursor stands behind it afterwards, its end where it was. */
  value(rules: FieldRules, tag: number, depth: number): void {
    const { cursor } = this
    const rule = rules[tag >>> 3]
    const wire = tag & 7
    if (rule === undefined) {
      if (wire === VARINT) this.#varint()
      else cursor.skip(tag)
      return
    }
    const { field } = rule
    if (wire !== field.wire) return this.#packed(field, wire)
    if (wire === VARINT) return this.#varint()
    if (wire !== LENGTH) return cursor.advance(wire === FIXED64 ? 8 : 4)
    const length = cursor.length()
    const { at, end } = cursor
    if (rule.inner !== undefined) {
      cursor.end = at + length
      this.#message(rule.inner, cursor.end, depth + 1)
      cursor.end = end
      return
    }
    cursor.at = at + length
    if (rule.size > 0) {
      if (length > 0 && length !== rule.size) {
        throw new WireError(`${field.name} has ${length} bytes instead of ${rule.size} (byte ${at})`)
      }
    } else if (field.type === 'string' && !isText(cursor.bytes, at, cursor.at)) this.brokenText += length
  }

  #message(rules: FieldRules, end: number, depth: number): void {
    if (depth > maxDepth) throw new WireError(`messages nested more than ${maxDepth} deep`)
    const { cursor } = this
    while (cursor.at < end) this.value(rules, cursor.tag(), depth)
  }

  /** Repeated numbers may stand in one field; anything else of another wire type is refused. */
  #packed(field: Field, wire: number): void {
    const { cursor } = this
    if (!field.repeated || wire !== LENGTH || field.wire === LENGTH) {
      throw new WireError(`${field.name} has wire type ${wire} instead of ${field.wire} (byte ${cursor.at})`)
    }
    const length = cursor.length()
    const to = cursor.at + length
    const { end } = cursor
    if (field.wire === VARINT) {
      cursor.end = to
      while (cursor.at < to) this.#varint()
      cursor.end = end
      return
    }
    const size = field.wire === FIXED32 ? 4 : 8
    if (length % size !== 0) throw new WireError(`${field.name} ends inside a number (byte ${to})`)
    cursor.at = to
  }

  #varint(): void {
    const { cursor } = this
    const { at } = cursor
    cursor.skipVarint()
    if (cursor.at - at === 10 && cursor.bytes[at + 9] > 1) throw new WireError(`varint over 64 bits at byte ${at}`)
  }
}

/** Whether the bytes between `from` and `to` are UTF-8. */
export function isText(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from > shortText) return isUtf8(bytes.subarray(from, to))
  for (let i = from; i < to; i++) if (bytes[i] > 0x7f) return isUtf8(bytes.subarray(i, to))
  return true
}
