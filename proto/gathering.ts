/** A piece of a large request while it is put together; see pieces.ts. */
import { Group } from './group.ts'
import { Growing, type Memory } from './growing.ts'
import { fieldSize, putVarint, WireError } from './wire.ts'

/** What a piece holds at most, but for one item that is larger. */
export const pieceLimits = { items: 4096, groups: 2_048, bytes: 512 * 1024 }

/** Bytes of resources and scopes that may be written again beyond what the request is long. */
const freeRepeats = 1024 * 1024

/** A part of a request. */
export interface Piece {
  readonly groups: readonly Group[]
  readonly items: number
  /** The buffer that it has for its own; undefined where it shares that of the request. */
  readonly body: Buffer | undefined
}

/** Stretches of bytes that stand one after the other; neighbours are one. */
class Runs {
  size = 0
  #parts: Buffer[] = []
  #bytes: Buffer | undefined
  #from = 0
  #to = 0

  add(bytes: Buffer, from: number, to: number): void {
    if (bytes !== this.#bytes || from !== this.#to) {
      this.#flush()
      this.#bytes = bytes
      this.#from = from
    }
    this.#to = to
    this.size += to - from
  }

  /** All of them, in order; nothing is left. */
  take(): Buffer[] {
    this.#flush()
    const parts = this.#parts
    this.#parts = []
    this.#bytes = undefined
    this.size = 0
    return parts
  }

  #flush(): void {
    if (this.#bytes !== undefined) this.#parts.push(this.#bytes.subarray(this.#from, this.#to))
  }
}

/** Points of one metric, with what the metric and its data have beside them. */
export class MetricPart {
  points = 0
  readonly #head: Buffer
  readonly #dataTag: number
  readonly #dataHead: Buffer
  readonly #runs = new Runs()

  constructor(head: Buffer, dataTag: number, dataHead: Buffer) {
    this.#head = head
    this.#dataTag = dataTag
    this.#dataHead = dataHead
  }

  get size(): number {
    return this.#head.length + this.#dataHead.length + this.#runs.size
  }

  add(bytes: Buffer, from: number, to: number): void {
    this.#runs.add(bytes, from, to)
    this.points++
  }

  /** The metric as a field of a scope group; its points are gone from here. */
  take(): Buffer {
    const data = this.#dataHead.length + this.#runs.size
    const size = this.#head.length + fieldSize(data)
    const tags = Buffer.alloc(12)
    const outer = putField(tags, 0, 0x12, size)
    const inner = putField(tags, outer, this.#dataTag, data)
    this.points = 0
    return Buffer.concat([
      tags.subarray(0, outer),
      this.#head,
      tags.subarray(outer, inner),
      this.#dataHead,
      ...this.#runs.take(),
    ])
  }
}

/** The piece that is being gathered of one group. */
export class Gathering {
  items = 0
  readonly #memory: Memory
  #repeatable = freeRepeats
  #resource: Uint8Array = nothing
  #resourceSize = 0
  #head: Uint8Array = nothing
  /** Scope groups that are whole, as fields of the group; undefined until there is one. */
  #scopes: Growing | undefined
  /** The open scope group: what it has beside items, and its items. */
  #scopeHead: Uint8Array = nothing
  readonly #runs = new Runs()

  constructor(memory: Memory, groups: readonly Group[]) {
    this.#memory = memory
    for (const { field, end } of groups) this.#repeatable += end - field
  }

  /** Starts a group: its resource as a field and the size of its content, and what else stands beside its scope groups. */
  group(resource: Uint8Array, resourceSize: number, head: Uint8Array): void {
    this.#resource = resource
    this.#resourceSize = resourceSize
    this.#head = head
  }

  /** Starts a scope group with what it has beside items. */
  scope(head: Uint8Array): void {
    this.#scopeHead = head
  }

  /** Whether the piece, with `held` items that it has not been given yet, is to be finished before it takes this much more. */
  isFull(items: number, bytes: number, held = 0): boolean {
    const all = this.items + held
    if (all === 0) return false
    const size = (this.#scopes?.at ?? 0) + this.#runs.size
    return all + items > pieceLimits.items || size + bytes > pieceLimits.bytes
  }

  /** Adds items as they stand. */
  run(bytes: Buffer, from: number, to: number, items: number): void {
    this.#runs.add(bytes, from, to)
    this.items += items
  }

  /** Adds a metric. */
  metric(part: MetricPart): void {
    const { points } = part
    const field = part.take()
    this.run(field, 0, field.length, points)
  }

  /** Adds a scope group as it stands; without items it is left out. */
  whole(bytes: Buffer, from: number, to: number, items: number): void {
    if (items === 0) return
    const out = this.#room(to - from)
    out.at += bytes.copy(out.bytes, out.at, from, to)
    this.items += items
  }

  #room(size: number): Growing {
    const out = (this.#scopes ??= new Growing(pieceLimits.bytes / 4, this.#memory))
    out.ensure(size)
    return out
  }

  /** Ends the open scope group; without items it is left out. */
  close(): void {
    if (this.#runs.size === 0) return
    const size = this.#runs.size + this.#scopeHead.length
    const out = this.#room(fieldSize(size))
    out.at = putField(out.bytes, out.at, 0x12, size)
    out.bytes.set(this.#scopeHead, out.at)
    out.at += this.#scopeHead.length
    for (const run of this.#runs.take()) {
      out.bytes.set(run, out.at)
      out.at += run.length
    }
    this.#repeatable -= this.#scopeHead.length
  }

  /** What was gathered; the open scope group goes on in the next piece. */
  finish(): Piece {
    this.close()
    this.#repeatable -= this.#resource.length + this.#head.length
    if (this.#repeatable < 0) {
      throw new WireError('resource and scope are large and the items small: send the request in smaller parts')
    }
    const scopes = this.#scopes
    const size = this.#resource.length + this.#head.length + (scopes?.at ?? 0)
    const body = this.#memory.take(fieldSize(size))
    const start = putField(body, 0, 0x0a, size)
    body.set(this.#resource, start)
    const resourceEnd = start + this.#resource.length
    body.set(this.#head, resourceEnd)
    scopes?.bytes.copy(body, resourceEnd + this.#head.length, 0, scopes.at)
    const { items } = this
    const content = resourceEnd - this.#resourceSize
    const group = new Group(body, 0, start, body.length, start, resourceEnd, body, content, resourceEnd, items)
    if (scopes !== undefined) scopes.at = 0
    this.items = 0
    return { groups: [group], items, body }
  }

  /** Gives its memory back. */
  abandon(): void {
    this.#scopes?.abandon()
    this.#scopes = undefined
  }
}

const nothing = Buffer.alloc(0)

/** Writes tag and length of a field at `at` and returns where its content starts. */
function putField(out: Uint8Array, at: number, tag: number, size: number): number {
  return putVarint(out, putVarint(out, at, tag), size)
}
