/** What one item, and what stands beside items, may be made of: work is done per field, and goes on until an item ends. */
import { type Message, messageNamed } from './schema.ts'
import { Cursor, LENGTH, maxDepth, WireError } from './wire.ts'

/** Items up to this many bytes are not looked into when they come in: they cannot have too many fields. */
export const smallItem = 64 * 1024

/**
 * Fields that one span, log record or data point may have, those of its attributes, events and links among them. The
 * limits of SDKs (specification: 128 attributes, events, links, and attributes of each) make 132,000.
 */
export const maxFields = 150_000

/**
 * Bytes that may stand beside the items of a scope group, the scope groups of a resource group and the points of a
 * metric, but for the scope and the resource themselves: schema URLs, names, what is not known. It is repeated wherever
 * the items are cut.
 */
export const maxBeside = 16 * 1024

/**
 * Looks into one large item.
 * @throws WireError where it has more than `maxFields` fields, nests too deep, or cannot be walked
 */
export function checkItem(message: Message, bytes: Uint8Array, start: number, end: number): void {
  countFields(message, new Cursor(bytes, start, end), maxFields, 4)
}

/** Counts the fields between the cursor and its end down from `left`. */
function countFields(message: Message, cursor: Cursor, left: number, depth: number): number {
  if (depth > maxDepth) throw new WireError(`messages nested more than ${maxDepth} deep`)
  const end = cursor.end
  while (cursor.at < end) {
    if (--left < 0) throw new WireError(`a ${message.name} has more than ${maxFields} fields (byte ${cursor.at})`)
    const tag = cursor.tag()
    const field = message.byNumber[tag >>> 3]
    if (field?.type !== 'message' || (tag & 7) !== LENGTH) {
      cursor.skip(tag)
      continue
    }
    const inner = cursor.length() + cursor.at
    cursor.end = inner
    left = countFields(messageNamed(field.of), cursor, left, depth + 1)
    cursor.at = inner
    cursor.end = end
  }
  return left
}
