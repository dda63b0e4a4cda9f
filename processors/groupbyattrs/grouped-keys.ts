import { AttributeWalk, usualKey, usualValue } from '../../proto/attributes.ts'
import { asBuffer, encodeKeyValue, Range, readKeyValue, withValue } from '../../proto/values.ts'
import { sameBytes } from '../../proto/wire.ts'
import type { Runs } from '../../proto/runs.ts'

/** Finds the attributes to group by in one message after the other. */
export class GroupedKeys {
  readonly #keys: readonly Buffer[]
  readonly #range = new Range()
  /** By key: its first value in the message; no bytes where it has none. */
  readonly #values: readonly Range[]
  /** Pairs of offsets: the fields of those attributes. */
  readonly #fields: number[] = []
  #bytes: Buffer = Buffer.alloc(0)

  constructor(keys: readonly string[]) {
    this.#keys = keys.map(key => Buffer.from(key))
    this.#values = keys.map(() => new Range())
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
      const i = this.#indexOf(key)
      if (i < 0) continue
      if (this.#fields.length === 0) for (const value of this.#values) value.set(nothing, 0, 0)
      const value = this.#values[i]
      if (value.bytes === nothing) {
        if (length >= 0) value.set(bytes, usualValue(bytes, from, length), to)
        else value.set(key.other.bytes, key.other.start, key.other.end)
      }
      this.#fields.push(field, to)
    }
    return this.#fields.length > 0
  }

  #indexOf({ bytes, start, end }: Range): number {
    for (let i = 0; i < this.#keys.length; i++) if (sameBytes(bytes, start, end - start, this.#keys[i])) return i
    return -1
  }

  /** What was found as one text: the same for the same values of the same keys. */
  get identity(): string {
    let identity = ''
    for (const { bytes, start, end } of this.#values) {
      identity += bytes === nothing ? '-' : `${end - start}:${asBuffer(bytes).toString('latin1', start, end)}`
    }
    return identity
  }

  /** Adds the message from `start` to `end` without what was found in it. */
  addRest(start: number, end: number, runs: Runs): void {
    let copied = start
    for (let i = 0; i < this.#fields.length; i += 2) {
      runs.add(this.#bytes, copied, this.#fields[i])
      copied = this.#fields[i + 1]
    }
    runs.add(this.#bytes, copied, end)
  }

  /** Bytes of what was found, as it stands in the message. */
  get size(): number {
    let size = 0
    for (let i = 0; i < this.#fields.length; i += 2) size += this.#fields[i + 1] - this.#fields[i]
    return size
  }

  /** The resource between `start` and `end` with what was found set in it. */
  addedTo(resource: Buffer, start: number, end: number, tag: number): Buffer {
    const parts: Buffer[] = []
    const missing = new Set(this.#keys.keys())
    const key = new Range()
    const walk = new AttributeWalk(resource, start, end, tag)
    let copied = start
    while (walk.next()) {
      const { field, from, to } = walk
      readKeyValue(resource, from, to, key, key.other)
      const i = this.#indexOf(key)
      if (i < 0 || this.#values[i].bytes === nothing || !missing.delete(i)) continue
      const { bytes, start: valueStart, end: valueEnd } = this.#values[i]
      parts.push(resource.subarray(copied, field))
      parts.push(withValue(resource, from, to, tag, bytes.subarray(valueStart, valueEnd)))
      copied = to
    }
    parts.push(resource.subarray(copied, end))
    for (const i of missing) {
      const { bytes, start: valueStart, end: valueEnd } = this.#values[i]
      if (bytes !== nothing) parts.push(encodeKeyValue(tag, this.#keys[i], bytes.subarray(valueStart, valueEnd)))
    }
    return Buffer.concat(parts)
  }
}

const nothing = Buffer.alloc(0)
