/** Items of which somebody wants some: by attributes of item, scope or resource, and by trace. Compared on their bytes. */
import { attributeTags, findAttribute } from './attributes.ts'
import type { Group } from './group.ts'
import { type Message, messageNamed } from './schema.ts'
import { type Signal, signals } from './signals.ts'
import { asBuffer, BYTES, LIST, MAP, Range, readValue, TEXT, valueKind, valueText } from './values.ts'
import { eachPoint, findField, type ItemCursor } from './views.ts'
import { LENGTH, sameBytes } from './wire.ts'

/** An attribute that is to have a value, as text. */
export interface WantedAttribute {
  readonly key: string
  readonly value: string
}

interface Wanted {
  readonly key: Buffer
  readonly bytes: Buffer
  readonly text: string
}

const nothing = Buffer.alloc(0)

/** Which items are wanted: those for which everything given holds. To be used again for each group. */
export class ItemFilter {
  readonly #wanted: readonly Wanted[]
  readonly #trace: Buffer | undefined
  /** Those of `#wanted` that the resource does not have, so that each item has to. */
  #open: readonly Wanted[] = []
  /** Those of `#open` that the scope of the scope group that begins at `#scopeStart` does not have. */
  #left: readonly Wanted[] = []
  #scopeStart = -1
  readonly #range = new Range()

  /** `trace`: 16 bytes. */
  constructor(wanted: readonly WantedAttribute[], trace: Buffer | undefined) {
    this.#wanted = wanted.map(({ key, value }) => ({ key: Buffer.from(key), bytes: Buffer.from(value), text: value }))
    this.#trace = trace
  }

  /** Lets go of the bytes that it looked at. */
  clear(): void {
    for (const range of [this.#range, this.#range.other]) range.set(nothing, 0, 0)
  }

  /** Whether it leaves nothing out. */
  get takesAll(): boolean {
    return this.#wanted.length === 0 && this.#trace === undefined
  }

  /** Whether there can be an item in `group` that is wanted; before `takes` is asked for its items. @throws WireError */
  load(group: Group): boolean {
    const { resource, resourceStart, resourceEnd } = group
    this.#scopeStart = -1
    this.#open = this.#wanted.filter(
      one => !this.#has(resource, resourceStart, resourceEnd, attributeTags.resource, one),
    )
    const bytes = group.bytes.subarray(group.start, group.end)
    // Most groups have none, and to look for a few bytes is quick.
    if (this.#trace !== undefined && !bytes.includes(this.#trace)) return false
    return this.#open.every(({ key }) => bytes.includes(key))
  }

  /** Whether the item at the cursor is wanted. @throws WireError */
  takes(signal: Signal, cursor: ItemCursor): boolean {
    const message = messageNamed(signals[signal].item)
    const { bytes, start, end } = cursor
    const trace = this.#trace
    if (trace !== undefined && !isOfTrace(message, bytes, start, end, trace, this.#range)) return false
    if (this.#open.length === 0) return true
    if (this.#scopeStart !== cursor.scopeStart) this.#loadScope(cursor)
    return this.#left.every(one => this.#hasItem(message, cursor, one))
  }

  /** Once for all items of it: to find its scope is to walk over them. */
  #loadScope(cursor: ItemCursor): void {
    const scope = new Range()
    const isThere = cursor.scope(scope)
    const { bytes, start, end } = scope
    this.#left = this.#open.filter(one => !isThere || !this.#has(bytes, start, end, attributeTags.scope, one))
    this.#scopeStart = cursor.scopeStart
  }

  #hasItem(message: Message, cursor: ItemCursor, wanted: Wanted): boolean {
    const { bytes, start, end } = cursor
    const tag = attributesTag(message)
    if (tag !== undefined) return this.#has(bytes, start, end, tag, wanted)
    let found = false
    eachPoint(bytes, start, end, (point, b, from, to) => {
      const pointTag = attributesTag(point)
      found ||= pointTag !== undefined && this.#has(b, from, to, pointTag, wanted)
    })
    return found
  }

  #has(bytes: Uint8Array, start: number, end: number, tag: number, { key, bytes: value, text }: Wanted): boolean {
    const range = this.#range
    if (!findAttribute(bytes, start, end, tag, key, range)) return false
    const { bytes: b, start: from, end: to } = range
    const kind = valueKind(b, from, to, range.other)
    if (kind === TEXT) {
      const { other } = range
      return other.end - other.start === value.length && sameBytes(other.bytes, other.start, value.length, value)
    }
    // What is not one word is nothing that somebody writes on a command line.
    if (kind === LIST || kind === MAP || kind === BYTES) return false
    return valueText(readValue(b, from, to)) === text
  }
}

/** Tag of the list of attributes; undefined for a metric, whose points have them. */
function attributesTag(message: Message): number | undefined {
  const field = message.byName.get('attributes')
  return field === undefined ? undefined : (field.number << 3) | LENGTH
}

/** A metric belongs to the traces of its exemplars. */
function isOfTrace(message: Message, bytes: Buffer, start: number, end: number, trace: Buffer, range: Range): boolean {
  const field = message.byName.get('trace_id')
  if (field === undefined) return bytes.subarray(start, end).includes(trace)
  if (!findField(bytes, start, end, field, range)) return false
  return (
    range.end - range.start === trace.length &&
    asBuffer(range.bytes).compare(trace, 0, trace.length, range.start, range.end) === 0
  )
}
