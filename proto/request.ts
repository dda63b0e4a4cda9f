/**
 * What is done to every request when it comes in: its framing is checked down to item boundaries, resource and scope
 * are checked fully, items are counted. What lies inside items is left to whoever reads there.
 */
import { isUtf8 } from 'node:buffer'
import { Group } from './group.ts'
import { normalise, WrittenTwice } from './normalise.ts'
import { type Signal, signals } from './signals.ts'
import { Cursor, FIXED64, LENGTH, maxDepth, VARINT, WireError } from './wire.ts'

/**
 * Attributes that one resource or scope may have: rules are applied to them one by one. SDKs stop at 128 (specification:
 * common, attribute limits).
 */
export const maxAttributes = 10_000

/** The groups of a request and how many items they hold together. */
export interface Request {
  readonly groups: Group[]
  readonly items: number
}

/**
 * Reads a request of `signal` from `body`, which the groups then share.
 * @throws WireError where the bytes are not what the OTLP schema says
 */
export function readRequest(signal: Signal, body: Buffer): Request {
  try {
    return frame(signal, body)
  } catch (error) {
    // A message that stands twice where the schema has one is legal and rare: it is merged once, here.
    if (error instanceof WrittenTwice) return frame(signal, normalise(signals[signal].request, body))
    throw error
  }
}

function frame(signal: Signal, body: Buffer): Request {
  const cursor = new Cursor(body)
  const framer = signal === 'metrics' ? metricPoints : undefined
  const groups: Group[] = []
  let items = 0
  while (cursor.at < body.length) {
    const field = cursor.at
    cursor.end = body.length
    const tag = cursor.tag()
    if (tag !== 0x0a) {
      if (tag >>> 3 === 1) cursor.expect(tag, LENGTH, 'resource group')
      cursor.skip(tag)
      continue
    }
    const group = frameGroup(cursor, field, framer)
    groups.push(group)
    items += group.items
  }
  return { groups, items }
}

function frameGroup(cursor: Cursor, field: number, countItem: ((cursor: Cursor) => number) | undefined): Group {
  const bytes = cursor.bytes as Buffer
  const length = cursor.length()
  const start = cursor.at
  const end = start + length
  let items = 0
  let resourceField = start
  let resourceFieldEnd = start
  let resourceStart = start
  let resourceEnd = start
  let seen = false
  while (cursor.at < end) {
    cursor.end = end
    const at = cursor.at
    const tag = cursor.tag()
    if (tag === 0x12) items += frameScopeGroup(cursor, countItem)
    else if (tag === 0x0a) {
      if (seen) throw new WrittenTwice('resource')
      seen = true
      const n = cursor.length()
      resourceField = at
      resourceStart = cursor.at
      resourceEnd = resourceFieldEnd = resourceStart + n
      cursor.end = resourceEnd
      checkResource(cursor)
    } else if (tag === 0x1a) checkText(cursor, 'schema URL of a resource')
    else {
      if (tag >>> 3 <= 3) cursor.expect(tag, LENGTH, 'field of a resource group')
      cursor.skip(tag)
    }
  }
  return new Group(bytes, field, start, end, resourceField, resourceFieldEnd, bytes, resourceStart, resourceEnd, items)
}

/** Leaves the cursor at the end of the scope group and returns its number of items. */
function frameScopeGroup(cursor: Cursor, countItem: ((cursor: Cursor) => number) | undefined): number {
  const end = cursor.length() + cursor.at
  let items = 0
  let seen = false
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x12) {
      const itemEnd = cursor.length() + cursor.at
      if (countItem === undefined) items++
      else {
        cursor.end = itemEnd
        items += countItem(cursor)
      }
      cursor.at = itemEnd
    } else if (tag === 0x0a) {
      if (seen) throw new WrittenTwice('scope')
      seen = true
      cursor.end = cursor.length() + cursor.at
      checkScope(cursor)
    } else if (tag === 0x1a) checkText(cursor, 'schema URL of a scope')
    else {
      if (tag >>> 3 <= 3) cursor.expect(tag, LENGTH, 'field of a scope group')
      cursor.skip(tag)
    }
  }
  return items
}

/** Fields of Metric that hold data: gauge, sum, histogram, exponential histogram, summary. */
const dataFields = (1 << 5) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 11)

/** Data points of the metric between the cursor and its end: those of the data field that stands last, as it wins. */
export function metricPoints(cursor: Cursor): number {
  const end = cursor.end
  let points = 0
  let last = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    const field = tag >>> 3
    if (field > 11 || ((1 << field) & dataFields) === 0) {
      cursor.skip(tag)
      continue
    }
    cursor.expect(tag, LENGTH, 'data of a metric')
    const dataEnd = cursor.length() + cursor.at
    cursor.end = dataEnd
    // Data of one kind that stands twice is merged, of another kind replaces.
    if (field !== last) points = 0
    last = field
    while (cursor.at < dataEnd) {
      const pointTag = cursor.tag()
      if (pointTag === 0x0a) points++
      cursor.skip(pointTag)
    }
  }
  return points
}

function tooManyAttributes(of: string, cursor: Cursor): WireError {
  return new WireError(`a ${of} has more than ${maxAttributes} attributes (byte ${cursor.at})`)
}

/** Checks a Resource message (cursor to its end) fully. */
function checkResource(cursor: Cursor): void {
  const end = cursor.end
  let attributes = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x0a) {
      cursor.end = cursor.length() + cursor.at
      if (++attributes > maxAttributes) throw tooManyAttributes('resource', cursor)
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

/** Checks an InstrumentationScope message (cursor to its end) fully. */
function checkScope(cursor: Cursor): void {
  const end = cursor.end
  let attributes = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    if (tag === 0x1a) {
      cursor.end = cursor.length() + cursor.at
      if (++attributes > maxAttributes) throw tooManyAttributes('scope', cursor)
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

function checkText(cursor: Cursor, what: string): void {
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
