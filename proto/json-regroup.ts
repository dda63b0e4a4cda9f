/**
 * Puts a message in order for JSON, which has one place per key: protobuf lets the elements of a list stand apart, a
 * field stand twice (the last wins, messages are merged), and several members of a oneof stand together (the last wins).
 */
import { type FieldPlan, MESSAGE, type Plan } from './json-plan.ts'
import { Cursor, LENGTH, putVarint, varintSize } from './wire.ts'

/** Thrown by a writer that met a message which must be put in order first. */
export class Irregular extends Error {
  override name = 'Irregular'
}

/** Where one field stands: its tag, its content, its end. */
interface Place {
  readonly from: number
  readonly content: number
  readonly to: number
}

/**
 * The message between `start` and `end` with each field in one place; undefined when it is so already.
 * @throws WireError where a field is not what the schema says
 */
export function regroup(plan: Plan, bytes: Uint8Array, start: number, end: number): Buffer | undefined {
  const found = new Map<FieldPlan, Place[]>()
  const cursor = new Cursor(bytes, start, end)
  let regular = true
  let last: FieldPlan | undefined
  while (cursor.at < end) {
    const from = cursor.at
    const tag = cursor.tag()
    const field = plan.byNumber[tag >>> 3]
    if (field === undefined) {
      cursor.skip(tag)
      continue
    }
    if (tag !== field.tag && !(field.packed && tag === field.packedTag)) {
      cursor.expect(tag, field.tag & 7, `${plan.name}.${field.name}`)
    }
    const length = (tag & 7) === LENGTH ? cursor.length() : 0
    const content = cursor.at
    if ((tag & 7) === LENGTH) cursor.at += length
    else cursor.skip(tag)
    const place = { from, content, to: cursor.at }
    for (const rival of field.rivals) if (found.delete(rival)) regular = false
    const places = found.get(field)
    if (places === undefined) found.set(field, [place])
    else {
      if (!field.repeated || field !== last) regular = false
      if (field.repeated || field.kind === MESSAGE) places.push(place)
      else places[0] = place
    }
    last = field
  }
  return regular ? undefined : join(found, bytes)
}

/** Writes the fields one after the other; what stands more than once and is no list becomes one message. */
function join(found: ReadonlyMap<FieldPlan, readonly Place[]>, bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = []
  for (const [field, places] of found) {
    if (field.repeated || places.length === 1) {
      for (const { from, to } of places) parts.push(bytes.subarray(from, to))
      continue
    }
    const size = places.reduce((sum, { content, to }) => sum + to - content, 0)
    const head = Buffer.alloc(varintSize(field.tag) + varintSize(size))
    putVarint(head, putVarint(head, 0, field.tag), size)
    parts.push(head)
    for (const { content, to } of places) parts.push(bytes.subarray(content, to))
  }
  return Buffer.concat(parts)
}
