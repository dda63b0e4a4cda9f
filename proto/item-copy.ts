/** One item by itself, as a request of its own that may be kept: with its resource and its scope, cut to a size to be shown. */
import { besides, FIRST, SECOND } from './assembly.ts'
import type { Group } from './group.ts'
import type { Runs } from './runs.ts'
import { type Message, messageNamed } from './schema.ts'
import { type Signal, signals } from './signals.ts'
import { encodeField, Range } from './values.ts'
import type { ItemCursor } from './views.ts'
import { Cursor, LENGTH, maxDepth, putVarint, varintSize, WireError } from './wire.ts'

/** Most bytes of each part, beyond which it is cut; together 64 KiB. `rest`: what stands beside, such as a schema URL. */
const most = { resource: 12 * 1024, scope: 2 * 1024, rest: 1024, item: 48 * 1024 }

/** An item as a request, in memory of its own. */
export interface ItemCopy {
  /** The bytes of an OTLP request. */
  readonly request: Buffer
  /** Bytes of item, resource and scope, where not all of them are in `request`. */
  readonly cutFrom: number | undefined
}

/** Copies items of one group, which stands still meanwhile. */
export class ItemCopier {
  readonly #signal: Signal
  readonly #group: Group
  /** The resource, with what stands beside it. */
  readonly #resource: Buffer
  /** The scope of the scope group that begins at `#scopeStart`, with what stands beside it; and how long it is uncut. */
  #scope: Buffer = Buffer.alloc(0)
  #scopeStart = -1
  #scopeSize = 0

  /** @throws WireError */
  constructor(signal: Signal, group: Group) {
    this.#signal = signal
    this.#group = group
    const { bytes, start, end, resource, resourceStart, resourceEnd } = group
    const content = cutMessage(messageNamed('Resource'), resource, resourceStart, resourceEnd, most.resource)
    this.#resource = Buffer.concat([encodeField(FIRST, content), small(besides(bytes, start, end, FIRST, SECOND))])
  }

  /** The item at the cursor, which is in this group. @throws WireError where the bytes cannot be walked */
  copy(cursor: ItemCursor): ItemCopy {
    const { bytes, start, end } = cursor
    if (this.#scopeStart !== cursor.scopeStart) this.#copyScope(cursor)
    const item = cutMessage(messageNamed(signals[this.#signal].item), bytes, start, end, most.item)
    const scopeGroup = encodeField(SECOND, Buffer.concat([this.#scope, encodeField(SECOND, item)]))
    const request = encodeField(FIRST, Buffer.concat([this.#resource, scopeGroup]))
    const resourceSize = this.#group.resourceEnd - this.#group.resourceStart
    const size = end - start
    const isCut = resourceSize > most.resource || this.#scopeSize > most.scope || size > most.item
    return { request, cutFrom: isCut ? resourceSize + this.#scopeSize + size : undefined }
  }

  #copyScope(cursor: ItemCursor): void {
    const { bytes, scopeStart, scopeEnd } = cursor
    const found = new Range()
    const hasScope = cursor.scope(found)
    const rest = small(besides(bytes, scopeStart, scopeEnd, FIRST, SECOND))
    this.#scopeStart = scopeStart
    this.#scopeSize = found.end - found.start
    if (!hasScope) return void (this.#scope = rest)
    const content = cutMessage(messageNamed('InstrumentationScope'), found.bytes, found.start, found.end, most.scope)
    this.#scope = Buffer.concat([encodeField(FIRST, content), rest])
  }
}

/** What stands beside, unless it is much. */
function small(runs: Runs): Buffer {
  if (runs.size > most.rest) return Buffer.alloc(0)
  const out = Buffer.alloc(runs.size)
  runs.write(out, 0)
  return out
}

/**
 * The message between `start` and `end` in at most `room` bytes: fields as they stand as long as there is room. The first that is
 * too long for it is cut, where its beginning is a field of its kind, too, and leaves half of the room to what follows.
 * @throws WireError where the bytes cannot be walked
 */
function cutMessage(message: Message, bytes: Uint8Array, start: number, end: number, room: number, depth = 0): Buffer {
  if (end - start <= room) return Buffer.from(bytes.subarray(start, end))
  if (depth > maxDepth) throw new WireError(`messages nested more than ${maxDepth} deep`)
  const out = Buffer.alloc(room)
  let at = 0
  let hasCut = false
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    const from = cursor.at
    const tag = cursor.tag()
    const afterTag = cursor.at
    cursor.skip(tag)
    const size = cursor.at - from
    if (size <= room - at) {
      out.set(bytes.subarray(from, cursor.at), at)
      at += size
      continue
    }
    const field = message.byNumber[tag >>> 3]
    const left = Math.floor((room - at) / 2) - (afterTag - from) - varintSize(room)
    if (hasCut || field?.wire !== LENGTH || (tag & 7) !== LENGTH || left <= 0) continue
    hasCut = true
    const content = cursor.at - new Cursor(bytes, afterTag, cursor.at).length()
    const cut =
      field.type === 'message'
        ? cutMessage(messageNamed(field.of), bytes, content, cursor.at, left, depth + 1)
        : bytes.subarray(content, field.type === 'string' ? textEnd(bytes, content, content + left) : content + left)
    out.set(bytes.subarray(from, afterTag), at)
    at = putVarint(out, at + (afterTag - from), cut.length)
    out.set(cut, at)
    at += cut.length
  }
  return out.subarray(0, at)
}

/** The last end of a character up to `end`. */
function textEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end
  while (at > start && (bytes[at] & 0xc0) === 0x80) at--
  return at
}
