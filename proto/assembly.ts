/** What comes of a regrouping: resource groups put together of runs of bytes, written in one go. */
import { attributeTags, AttributeWalk } from './attributes.ts'
import { Group } from './group.ts'
import { Cursor, fieldSize, putVarint } from './wire.ts'
import { Runs } from './runs.ts'

/** Tags of a resource group's and of a scope group's first two fields, and of the points of a metric's data. */
export const FIRST = 0x0a
export const SECOND = 0x12

/** A metric of which points were put together. */
export class MetricOut {
  /** All but the data, the tag of the data, all of the data but its points, and the points. */
  readonly shell: Runs
  readonly tag: number
  readonly rest: Runs
  readonly points = new Runs()

  constructor(shell: Runs, tag: number, rest: Runs) {
    this.shell = shell
    this.tag = tag
    this.rest = rest
  }

  get dataSize(): number {
    return this.rest.size + this.points.size
  }

  get size(): number {
    return this.shell.size + fieldSize(this.dataSize)
  }

  write(out: Buffer, at: number): number {
    at = this.shell.write(out, at)
    out[at] = this.tag
    at = putVarint(out, at + 1, this.dataSize)
    return this.points.write(out, this.rest.write(out, at))
  }
}

/** A scope group. */
export class ScopeOut {
  /** All but its items, and items as whole fields. */
  readonly head: Runs
  readonly items = new Runs()
  readonly metrics = new Map<string, MetricOut>()

  constructor(head: Runs) {
    this.head = head
  }

  get size(): number {
    let size = this.head.size + this.items.size
    for (const metric of this.metrics.values()) size += fieldSize(metric.size)
    return size
  }

  write(out: Buffer, at: number): number {
    at = this.items.write(out, this.head.write(out, at))
    for (const metric of this.metrics.values()) {
      out[at] = SECOND
      at = metric.write(out, putVarint(out, at + 1, metric.size))
    }
    return at
  }
}

/** A resource group. */
export class GroupOut {
  /** The group this is, as long as it is one that came as it is. */
  whole: Group | undefined
  items = 0
  readonly scopes = new Map<string, ScopeOut>()
  readonly #resource: Buffer
  readonly #start: number
  readonly #end: number
  readonly #rest: Runs

  /** `rest` is what stands in the group beside resource and scopes. */
  constructor(resource: Buffer, start: number, end: number, rest: Runs) {
    this.#resource = resource
    this.#start = start
    this.#end = end
    this.#rest = rest
  }

  get #contentSize(): number {
    let size = fieldSize(this.#end - this.#start) + this.#rest.size
    for (const scope of this.scopes.values()) size += fieldSize(scope.size)
    return size
  }

  get size(): number {
    return fieldSize(this.#contentSize)
  }

  /** Writes it at `field`. */
  write(out: Buffer, field: number): Group {
    out[field] = FIRST
    const start = putVarint(out, field + 1, this.#contentSize)
    out[start] = FIRST
    const resource = putVarint(out, start + 1, this.#end - this.#start)
    const resourceEnd = resource + this.#resource.copy(out, resource, this.#start, this.#end)
    let at = resourceEnd
    for (const scope of this.scopes.values()) {
      out[at] = SECOND
      at = scope.write(out, putVarint(out, at + 1, scope.size))
    }
    at = this.#rest.write(out, at)
    return new Group(out, field, start, at, start, resourceEnd, out, resource, resourceEnd, this.items)
  }
}

/** What a group is told apart by: its attributes in any order, and whatever else is not in scopes. */
export function groupIdentity(resource: Buffer, start: number, end: number, rest: string): string {
  const attributes: string[] = []
  const walk = new AttributeWalk(resource, start, end, attributeTags.resource)
  let others = ''
  let last = start
  while (walk.next()) {
    others += resource.toString('latin1', last, walk.field)
    attributes.push(resource.toString('latin1', walk.from, walk.to))
    last = walk.to
  }
  others += resource.toString('latin1', last, end)
  return JSON.stringify([attributes.toSorted(), others, rest])
}

/** The fields of a message but those with one of two tags, as text and as runs, which are added to `runs`. */
export function besides(
  bytes: Buffer,
  start: number,
  end: number,
  first: number,
  second = first,
  runs = new Runs(),
): { readonly runs: Runs; readonly identity: string } {
  const cursor = new Cursor(bytes, start, end)
  let identity = ''
  while (cursor.at < end) {
    const field = cursor.at
    const tag = cursor.tag()
    cursor.skip(tag)
    if (tag === first || tag === second) continue
    runs.add(bytes, field, cursor.at)
    identity += bytes.toString('latin1', field, cursor.at)
  }
  return { runs, identity }
}
