/** Checks resources and scopes fully: rules read all of them, whatever else they do. */
import { isUtf8 } from 'node:buffer'
import { WrittenTwice } from './normalise.ts'
import { type Cursor, FIXED64, LENGTH, maxDepth, VARINT, WireError } from './wire.ts'

/**
 * Attributes that one resource or scope may have: rules are applied to them one by one. SDKs stop at 128 (specification:
 * common, attribute limits).
 */
export const maxAttributes = 10_000

/** Bytes that one resource or scope may have: each is checked, read and rewritten in one go. */
export const maxHead = 1024 * 1024

function tooManyAttributes(of: string, cursor: Cursor): WireError {
  return new WireError(`a ${of} has more than ${maxAttributes} attributes (byte ${cursor.at})`)
}

/** Checks a Resource message (cursor to its end) fully; `limited`: that it holds no more than a sender may put there. */
export function checkResource(cursor: Cursor, limited: boolean): void {
  const end = cursor.end
  if (limited && end - cursor.at > maxHead)
    throw new WireError(`a resource is larger than ${maxHead} bytes (byte ${cursor.at})`)
  let attributes = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x0a) {
      cursor.end = cursor.length() + cursor.at
      if (++attributes > maxAttributes && limited) throw tooManyAttributes('resource', cursor)
      checkKeyValue(cursor, 4)
    } else if (tag === 0x1a) {
      cursor.end = cursor.length() + cursor.at
      checkEntityRef(cursor)
    } else {
      if (tag >>> 3 === 1) cursor.expect(tag, LENGTH, 'attributes of a resource')
      if (tag >>> 3 === 2) cursor.expect(tag, VARINT, 'dropped_attributes_count')
      if (tag >>> 3 === 3) cursor.expect(tag, LENGTH, 'entity_refs')
      cursor.skip(tag)
    }
  }
}

/** Checks an EntityRef message (cursor to its end) fully: all its fields are texts. */
function checkEntityRef(cursor: Cursor): void {
  const end = cursor.end
  while (cursor.at < end) {
    const tag = cursor.tag()
    if (tag >>> 3 > 4) cursor.skip(tag)
    else {
      cursor.expect(tag, LENGTH, 'field of an entity')
      checkText(cursor, 'field of an entity')
    }
  }
}

/** Checks an InstrumentationScope message (cursor to its end) likewise. */
export function checkScope(cursor: Cursor, limited: boolean): void {
  const end = cursor.end
  if (limited && end - cursor.at > maxHead)
    throw new WireError(`a scope is larger than ${maxHead} bytes (byte ${cursor.at})`)
  let attributes = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x1a) {
      cursor.end = cursor.length() + cursor.at
      if (++attributes > maxAttributes && limited) throw tooManyAttributes('scope', cursor)
      checkKeyValue(cursor, 5)
    } else if (tag === 0x0a || tag === 0x12) checkText(cursor, 'name or version of a scope')
    else {
      if (tag >>> 3 <= 3) cursor.expect(tag, LENGTH, 'field of a scope')
      if (tag >>> 3 === 4) cursor.expect(tag, VARINT, 'dropped_attributes_count')
      cursor.skip(tag)
    }
  }
}

function checkKeyValue(cursor: Cursor, depth: number): void {
  const end = cursor.end
  let seen = false
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x0a) checkText(cursor, 'key of an attribute')
    else if (tag === 0x12) {
      if (seen) throw new WrittenTwice('value of an attribute')
      seen = true
      cursor.end = cursor.length() + cursor.at
      checkAnyValue(cursor, depth + 1)
    } else {
      if (tag >>> 3 <= 2) cursor.expect(tag, LENGTH, 'field of an attribute')
      cursor.skip(tag)
    }
  }
}

/** Wire types of the fields of AnyValue, by number: text, bool, int, double, array, list of pairs, bytes, string index. */
const valueWires = [-1, LENGTH, VARINT, VARINT, FIXED64, LENGTH, LENGTH, LENGTH, VARINT]

function checkAnyValue(cursor: Cursor, depth: number): void {
  if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
  const end = cursor.end
  let structured = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    const field = tag >>> 3
    if (field < valueWires.length) cursor.expect(tag, valueWires[field], 'value of an attribute')
    if (tag === 0x0a) checkText(cursor, 'text of an attribute')
    else if (field === 5 || field === 6) {
      if (structured++ > 0) throw new WrittenTwice('list of an attribute')
      cursor.end = cursor.length() + cursor.at
      checkList(cursor, depth + 1, field === 5)
    } else cursor.skip(tag)
  }
}

/** ArrayValue and KeyValueList: both are one repeated message in field 1. */
function checkList(cursor: Cursor, depth: number, values: boolean): void {
  if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
  const end = cursor.end
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x0a) {
      cursor.end = cursor.length() + cursor.at
      if (values) checkAnyValue(cursor, depth + 1)
      else checkKeyValue(cursor, depth + 1)
    } else {
      if (tag >>> 3 === 1) cursor.expect(tag, LENGTH, 'values of a list')
      cursor.skip(tag)
    }
  }
}

/** Checks a length-delimited text and moves past it. */
export function checkText(cursor: Cursor, what: string): void {
  const length = cursor.length()
  const { bytes, at } = cursor
  const end = at + length
  cursor.at = end
  for (let i = at; i < end; i++) {
    if (bytes[i] > 0x7f) {
      if (!isUtf8(bytes.subarray(i, end))) throw new WireError(`${what} is not valid UTF-8 (byte ${i})`)
      return
    }
  }
}
