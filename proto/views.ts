/**
 * Lazy views: what one asks for is read where it stands, the rest is skipped. Cursors are used again and again, so that
 * walking makes no object per item.
 */
import { attributeTags, findAttribute } from './attributes.ts'
import type { Group } from './group.ts'
import type { Growing } from './growing.ts'
import { type Field, type Message, messageNamed } from './schema.ts'
import {
  addPiece,
  asBuffer,
  joinPieces,
  Range,
  readDouble,
  readValue,
  readVarint64,
  signed,
  text,
  type Value,
} from './values.ts'
import { Cursor, LENGTH, WireError } from './wire.ts'

/** A resource attribute of a group; undefined where it has none of that name. */
export function resourceAttribute(group: Group, key: Uint8Array): Value | undefined {
  const { resource, resourceStart, resourceEnd } = group
  const range = new Range()
  return findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, key, range)
    ? readValue(range.bytes, range.start, range.end)
    : undefined
}

/** Goes through the scope groups and items of a group. Spans, log records and metrics are items alike. */
export class ItemCursor {
  bytes: Buffer = Buffer.alloc(0)
  /** The scope group's field with its tag, and its content. */
  scopeField = 0
  scopeStart = 0
  scopeEnd = 0
  /** The item's field with its tag, and its content. */
  field = 0
  start = 0
  end = 0
  readonly #cursor = new Cursor(this.bytes)
  #groupEnd = 0

  /** Points this before the first scope group. */
  set(group: Group): this {
    this.bytes = group.bytes
    this.scopeEnd = group.start
    this.#groupEnd = group.end
    return this
  }

  /** Moves to the next scope group and says whether there is one. @throws WireError */
  nextScope(): boolean {
    const cursor = this.#cursor.set(this.bytes, this.scopeEnd, this.#groupEnd)
    const field = seek(cursor)
    if (field < 0) return false
    this.scopeField = field
    this.scopeStart = this.end = cursor.at
    this.scopeEnd = cursor.end
    return true
  }

  /** Moves to the next item of the scope group and says whether there is one. @throws WireError */
  nextItem(): boolean {
    const cursor = this.#cursor.set(this.bytes, this.end, this.scopeEnd)
    const field = seek(cursor)
    if (field < 0) return false
    this.field = field
    this.start = cursor.at
    this.end = cursor.end
    return true
  }

  /** Sets `out` to the content of the InstrumentationScope, which may stand before or after the items. */
  scope(out: Range): boolean {
    return findField(this.bytes, this.scopeStart, this.scopeEnd, scopeOf, out)
  }

  /** Schema URL of the scope group. */
  scopeSchemaUrl(): string {
    return readText(this.bytes, this.scopeStart, this.scopeEnd, schemaUrl)
  }
}

/** Moves to the content of the next field 2 and gives where that field starts, or -1. */
function seek(cursor: Cursor): number {
  while (cursor.at < cursor.end) {
    const field = cursor.at
    const tag = cursor.tag()
    if (tag === 0x12) {
      cursor.end = cursor.length() + cursor.at
      return field
    }
    cursor.skip(tag)
  }
  return -1
}

/** The field of that name, which must be one of the schema's. */
export function fieldNamed(message: string, name: string): Field {
  const field = messageNamed(message).byName.get(name)
  if (field === undefined) throw new TypeError(`the OTLP message ${message} has no field ${name}`)
  return field
}

const scopeOf = fieldNamed('ScopeSpans', 'scope')
const schemaUrl = fieldNamed('ScopeSpans', 'schema_url')

/**
 * Sets `out` to the content of a singular field of the message between `start` and `end`: the last one, or for a message
 * all of them joined. Says whether there is one. Members of a oneof are found by `findMember`.
 */
export function findField(bytes: Uint8Array, start: number, end: number, field: Field, out: Range): boolean {
  const cursor = new Cursor(bytes, start, end)
  let found = false
  let pieces: Growing | undefined
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag >>> 3 !== field.number) {
      cursor.skip(tag)
      continue
    }
    if (found && field.type === 'message') pieces = addPiece(pieces, out)
    take(cursor, tag, field, out)
    found = true
  }
  joinPieces(pieces, out)
  return found
}

/** Sets `out` to the content of the oneof member that is set, and gives its field. */
export function findMember(
  bytes: Uint8Array,
  start: number,
  end: number,
  message: Message,
  oneof: string,
  out: Range,
): Field | undefined {
  const cursor = new Cursor(bytes, start, end)
  let member: Field | undefined
  let pieces: Growing | undefined
  while (cursor.at < end) {
    const tag = cursor.tag()
    const field = message.byNumber[tag >>> 3]
    if (field === undefined || field.oneof !== oneof) {
      cursor.skip(tag)
      continue
    }
    if (field !== member) pieces = undefined
    else if (field.type === 'message') pieces = addPiece(pieces, out)
    take(cursor, tag, field, out)
    member = field
  }
  joinPieces(pieces, out)
  return member
}

/** Takes the value at the cursor. */
function take(cursor: Cursor, tag: number, field: Field, out: Range): void {
  if ((tag & 7) !== field.wire) throw new WireError(`${field.name} has wire type ${tag & 7} instead of ${field.wire}`)
  const from = cursor.at
  if (field.wire !== LENGTH) {
    cursor.skip(tag)
    out.set(cursor.bytes, from, cursor.at)
    return
  }
  const length = cursor.length()
  const to = cursor.at + length
  out.set(cursor.bytes, cursor.at, to)
  cursor.at = to
}

/** A single value of a field; 64-bit integers that a number cannot hold exactly are bigints. */
export type ScalarValue = string | number | bigint | boolean | Uint8Array

/** The value of a field that `findField` found: anything but a message. */
export function readScalar(field: Field, { bytes, start, end }: Range): ScalarValue {
  switch (field.type) {
    case 'string':
      return text(bytes, start, end)
    case 'bytes':
      return bytes.subarray(start, end)
    case 'bool':
      return readVarint64(bytes, start, end) !== 0
    case 'double':
      return readDouble(bytes, start)
    case 'fixed32':
      return asBuffer(bytes).readUInt32LE(start)
    case 'fixed64':
      return shrink(asBuffer(bytes).readBigUInt64LE(start))
    case 'sfixed64':
      return shrink(asBuffer(bytes).readBigInt64LE(start))
    case 'int64':
      return signed(readVarint64(bytes, start, end))
    case 'uint64':
      return readVarint64(bytes, start, end)
    case 'sint32': {
      const n = low32(bytes, start, end)
      return (n >>> 1) ^ -(n & 1)
    }
    case 'uint32':
      return low32(bytes, start, end)
    case 'int32':
    case 'enum':
      return low32(bytes, start, end) | 0
    case 'message':
      throw new TypeError(`${field.name} is a message`)
  }
}

const low32 = (bytes: Uint8Array, start: number, end: number): number => new Cursor(bytes, start, end).uint32()

const shrink = (n: bigint): number | bigint =>
  n <= Number.MAX_SAFE_INTEGER && n >= Number.MIN_SAFE_INTEGER ? Number(n) : n

/** A singular field of the message between `start` and `end`; undefined when it is not set. */
export function readField(bytes: Uint8Array, start: number, end: number, field: Field): ScalarValue | undefined {
  const range = new Range()
  return findField(bytes, start, end, field, range) ? readScalar(field, range) : undefined
}

/** A text field of the message between `start` and `end`; '' when it is not set. */
export function readText(bytes: Uint8Array, start: number, end: number, field: Field): string {
  const value = readField(bytes, start, end, field)
  return typeof value === 'string' ? value : ''
}

/** The values of a repeated number, packed or not. */
export function readNumbers(bytes: Uint8Array, start: number, end: number, field: Field): (number | bigint)[] {
  const cursor = new Cursor(bytes, start, end)
  const values: (number | bigint)[] = []
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag >>> 3 !== field.number) cursor.skip(tag)
    else if ((tag & 7) === LENGTH) {
      const to = cursor.length() + cursor.at
      for (const value of packedNumbers(field, bytes, cursor.at, to)) values.push(value)
      cursor.at = to
    } else {
      cursor.expect(tag, field.wire, field.name)
      values.push(nextNumber(cursor, field))
    }
  }
  return values
}

/** The values of a packed field's content. */
export function packedNumbers(field: Field, bytes: Uint8Array, start: number, end: number): (number | bigint)[] {
  const cursor = new Cursor(bytes, start, end)
  const values: (number | bigint)[] = []
  while (cursor.at < end) values.push(nextNumber(cursor, field))
  return values
}

function nextNumber(cursor: Cursor, field: Field): number | bigint {
  const from = cursor.at
  cursor.skip(field.wire)
  const range = new Range()
  range.set(cursor.bytes, from, cursor.at)
  const value = readScalar(field, range)
  return typeof value === 'bigint' ? value : Number(value)
}

/** Calls `visit` with the content of each element of a repeated message, text or bytes field. */
export function eachElement(
  bytes: Uint8Array,
  start: number,
  end: number,
  field: Field,
  visit: (bytes: Uint8Array, start: number, end: number) => void,
): void {
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag >>> 3 !== field.number) {
      cursor.skip(tag)
      continue
    }
    cursor.expect(tag, LENGTH, field.name)
    const to = cursor.length() + cursor.at
    visit(bytes, cursor.at, to)
    cursor.at = to
  }
}

const metric = messageNamed('Metric')

/**
 * Calls `visit` with the content of each data point of a metric, and with the message it is (`NumberDataPoint`, ...).
 * The data that stands last wins.
 */
export function eachPoint(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (message: Message, bytes: Uint8Array, start: number, end: number) => void,
): void {
  const data = new Range()
  const member = findMember(bytes, start, end, metric, 'data', data)
  if (member === undefined) return
  const points = fieldNamed(member.of, 'data_points')
  const message = messageNamed(points.of)
  eachElement(data.bytes, data.start, data.end, points, (b, from, to) => visit(message, b, from, to))
}
