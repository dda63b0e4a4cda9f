import { AttributeWalk, usualKey, usualValue } from '../../proto/attributes.ts'
import { asBuffer, encodeKeyValue, Range, readKeyValue, withValue } from '../../proto/values.ts'
import { fieldSize, putVarint, sameBytes } from '../../proto/wire.ts'
import type { Runs } from '../../proto/runs.ts'

/** A key to group by; `value` is the first it has in the message, without bytes where it has none. */
interface Grouped {
  readonly key: Buffer
  readonly value: Range
}

/** Finds the attributes to group by in one message after the other. */
export class GroupedKeys {
  readonly #grouped: readonly Grouped[]
  readonly #range = new Range()
  /** Pairs of offsets: where the field of each of those attributes starts and ends. */
  readonly #fields: number[] = []
  #bytes: Buffer = Buffer.alloc(0)

  constructor(keys: readonly string[]) {
    this.#grouped = keys.map(key => ({ key: Buffer.from(key), value: new Range() }))
  }

  /** Looks at the message between `start` and `end` and says whether it has any of them. @throws WireError */
  find(bytes: Buffer, start: number, end: number, tag: number): boolean {
    this.#bytes = bytes
    this.#fields.length = 0
    const walk = new AttributeWalk(bytes, start, end, tag)
    while (walk.next()) {
      const { field, from, to } = walk
      const length = usualKey(bytes, from, to)
      const key = this.#range
      if (length >= 0) key.set(bytes, from + 2, from + 2 + length)
      else readKeyValue(bytes, from, to, key, key.other)
      const found = this.#find(key)
      if (found === undefined) continue
      if (this.#fields.length === 0) for (const { value } of this.#grouped) value.set(nothing, 0, 0)
      const { value } = found
      if (value.bytes === nothing) {
        if (length >= 0) value.set(bytes, usualValue(bytes, from, length), to)
        else value.set(key.other.bytes, key.other.start, key.other.end)
      }
      this.#fields.push(field, to)
    }
    return this.#fields.length > 0
  }

  #find({ bytes, start, end }: Range): Grouped | undefined {
    for (const one of this.#grouped) if (sameBytes(bytes, start, end - start, one.key)) return one
    return undefined
  }

  /** What was found as one text: the same for the same values of the same keys. */
  get identity(): string {
    let identity = ''
    for (const { value } of this.#grouped) {
      const { bytes, start, end } = value
      identity += bytes === nothing ? '-' : `${end - start}:${asBuffer(bytes).toString('latin1', start, end)}`
    }
    return identity
  }

  /** Adds the message from `start` to `end` without what was found in it. */
  addRest(start: number, end: number, runs: Runs): void {
    let copied = start
    let isEnd = false
    for (const at of this.#fields) {
      if (isEnd) copied = at
      else runs.add(this.#bytes, copied, at)
      isEnd = !isEnd
    }
    runs.add(this.#bytes, copied, end)
  }

  /** Bytes of what was found, as it stands in the message. */
  get size(): number {
    let size = 0
    let isEnd = false
    for (const at of this.#fields) {
      size += isEnd ? at : -at
      isEnd = !isEnd
    }
    return size
  }

  /** The resource between `start` and `end` with what was found set in it. */
  addedTo(resource: Buffer, start: number, end: number, tag: number): Buffer {
    return this.#hasAny(resource, start, end, tag)
      ? this.#replacedIn(resource, start, end, tag)
      : this.#addedBehind(resource, start, end, tag)
  }

  /** Whether the resource has an attribute of that name already. */
  #hasAny(resource: Buffer, start: number, end: number, tag: number): boolean {
    const key = this.#range
    const walk = new AttributeWalk(resource, start, end, tag)
    while (walk.next()) {
      readKeyValue(resource, walk.from, walk.to, key, key.other)
      const found = this.#find(key)
      if (found !== undefined && found.value.bytes !== nothing) return true
    }
    return false
  }

  /** The usual case, written in one go: there may be a resource for each item. */
  #addedBehind(resource: Buffer, start: number, end: number, tag: number): Buffer {
    let size = end - start
    for (const { key, value } of this.#grouped) if (value.bytes !== nothing) size += fieldSize(sizeOf(key, value))
    const out = Buffer.allocUnsafe(size)
    let at = resource.copy(out, 0, start, end)
    for (const { key, value } of this.#grouped) {
      if (value.bytes === nothing) continue
      out[at] = tag
      at = putVarint(out, at + 1, sizeOf(key, value))
      out[at] = 0x0a
      at = putVarint(out, at + 1, key.length)
      at += key.copy(out, at)
      out[at] = 0x12
      at = putVarint(out, at + 1, value.end - value.start)
      at += asBuffer(value.bytes).copy(out, at, value.start, value.end)
    }
    return out
  }

  #replacedIn(resource: Buffer, start: number, end: number, tag: number): Buffer {
    const parts: Buffer[] = []
    const missing = new Set(this.#grouped)
    const key = new Range()
    const walk = new AttributeWalk(resource, start, end, tag)
    let copied = start
    while (walk.next()) {
      const { field, from, to } = walk
      readKeyValue(resource, from, to, key, key.other)
      const found = this.#find(key)
      if (found === undefined || found.value.bytes === nothing || !missing.delete(found)) continue
      const { bytes, start: valueStart, end: valueEnd } = found.value
      parts.push(resource.subarray(copied, field))
      parts.push(withValue(resource, from, to, tag, bytes.subarray(valueStart, valueEnd)))
      copied = to
    }
    parts.push(resource.subarray(copied, end))
    for (const { key: name, value } of missing) {
      const { bytes, start: valueStart, end: valueEnd } = value
      if (bytes !== nothing) parts.push(encodeKeyValue(tag, name, bytes.subarray(valueStart, valueEnd)))
    }
    return Buffer.concat(parts)
  }
}

const nothing = Buffer.alloc(0)

/** Bytes of a KeyValue. */
const sizeOf = (key: Buffer, { start, end }: Range): number => fieldSize(key.length) + fieldSize(end - start)
