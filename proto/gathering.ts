/** A piece of a large request while it is put together; see pieces.ts. */
import { FIRST, MessageOut, type Part, SECOND } from './assembly.ts'
import { Group } from './group.ts'
import { Growing, type Memory } from './growing.ts'
import { Runs } from './runs.ts'
import { fieldSize, putVarint, WireError } from './wire.ts'

/** What a piece holds at most, but for one item that is larger. */
export const pieceLimits = { items: 2048, groups: 2_048, bytes: 512 * 1024 }

/** How large pieces are to be from now on: items or groups, at most as the limits say. It may change from piece to piece. */
export interface PieceSize {
  readonly items: number
}

/** Bytes of resources and scopes that may be written again beyond what the request is long. */
const freeRepeats = 1024 * 1024

/** A part of a request. */
export interface Piece {
  readonly groups: readonly Group[]
  readonly items: number
  /** The buffer that it has for its own; undefined where it shares that of the request. */
  readonly body: Buffer | undefined
}

/** The piece that is being gathered of one group. */
export class Gathering {
  items = 0
  readonly #memory: Memory
  readonly #size: PieceSize
  #repeatable = freeRepeats
  #resource: Uint8Array = nothing
  #resourceSize = 0
  #head: Part = new Runs()
  /** Scope groups that are whole, as fields of the group; undefined until there is one. */
  #scopes: Growing | undefined
  /** The open scope group: what it has beside items, and its items. */
  #scopeHead: Part = new Runs()
  readonly #runs = new Runs()

  constructor(memory: Memory, groups: readonly Group[], size: PieceSize) {
    this.#memory = memory
    this.#size = size
    for (const { field, end } of groups) this.#repeatable += end - field
  }

  /** Starts a group: its resource as a field and the size of its content, and what else stands beside its scope groups. */
  group(resource: Uint8Array, resourceSize: number, head: Part): void {
    this.#resource = resource
    this.#resourceSize = resourceSize
    this.#head = head
  }

  /** Starts a scope group with what it has beside items. */
  scope(head: Part): void {
    this.#scopeHead = head
  }

  /** Whether the piece, with `held` items that it has not been given yet, is to be finished before it takes this much more. */
  isFull(items: number, bytes: number, held = 0): boolean {
    const all = this.items + held
    if (all === 0) return false
    const size = (this.#scopes?.at ?? 0) + this.#runs.size
    return all + items > this.#size.items || size + bytes > pieceLimits.bytes
  }

  /** Adds items as they stand. */
  run(bytes: Buffer, from: number, to: number, items: number): void {
    this.#runs.add(bytes, from, to)
    this.items += items
  }

  /** Adds a metric as it is now. */
  metric(metric: Part, points: number): void {
    const field = Buffer.allocUnsafeSlow(metric.size)
    metric.write(field, 0)
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
    const scope = new MessageOut(SECOND, this.#scopeHead, this.#runs)
    const out = this.#room(scope.size)
    out.at = scope.write(out.bytes, out.at)
    this.#runs.clear()
    this.#repeatable -= this.#scopeHead.size
  }

  /** What was gathered; the open scope group goes on in the next piece. */
  finish(): Piece {
    this.close()
    this.#repeatable -= this.#resource.length + this.#head.size
    if (this.#repeatable < 0) {
      throw new WireError('resource and scope are large and the items small: send the request in smaller parts')
    }
    const scopes = this.#scopes
    const size = this.#resource.length + this.#head.size + (scopes?.at ?? 0)
    const body = this.#memory.take(fieldSize(size))
    body[0] = FIRST
    const start = putVarint(body, 1, size)
    body.set(this.#resource, start)
    const resourceEnd = start + this.#resource.length
    scopes?.bytes.copy(body, this.#head.write(body, resourceEnd), 0, scopes.at)
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
