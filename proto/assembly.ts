/** Resource groups put together of runs of bytes: what is cut or grouped anew is found first, then written in one go. */
import { Group } from './group.ts'
import { isData } from './points.ts'
import { Runs } from './runs.ts'
import { Cursor, fieldSize, LENGTH, putVarint } from './wire.ts'

/** Tags of a resource group's and of a scope group's first two fields, and of the points of a metric's data. */
export const FIRST = 0x0a
export const SECOND = 0x12

/** Something that will be written, and how long it is. */
export interface Part {
  readonly size: number
  /** Writes it at `at` and returns where it ends. */
  write(out: Buffer, at: number): number
}

const sizeOf = (parts: readonly Part[]): number => {
  let size = 0
  for (const part of parts) size += part.size
  return size
}

/** A message as a field of another: its parts, one after the other. */
export class MessageOut implements Part {
  readonly parts: Part[]
  readonly #tag: number

  constructor(tag: number, ...parts: Part[]) {
    this.#tag = tag
    this.parts = parts
  }

  get size(): number {
    return fieldSize(sizeOf(this.parts))
  }

  write(out: Buffer, at: number): number {
    out[at] = this.#tag
    at = putVarint(out, at + 1, sizeOf(this.parts))
    for (const part of this.parts) at = part.write(out, at)
    return at
  }
}

/** A resource group with the resource of another. */
export class GroupOut {
  items = 0
  /** Its scope groups. */
  readonly parts: Part[] = []
  readonly #resource: Buffer
  readonly #start: number
  readonly #end: number
  readonly #rest: Runs
  readonly #hasResource: boolean

  /** `rest` is what stands in the group beside resource and scope groups. */
  constructor(resource: Buffer, start: number, end: number, rest: Runs, hasResource = true) {
    this.#hasResource = hasResource
    this.#resource = resource
    this.#start = start
    this.#end = end
    this.#rest = rest
  }

  get #contentSize(): number {
    const resource = this.#hasResource ? fieldSize(this.#end - this.#start) : 0
    return resource + sizeOf(this.parts) + this.#rest.size
  }

  get size(): number {
    return fieldSize(this.#contentSize)
  }

  /** Writes it at `field`. */
  write(out: Buffer, field: number): Group {
    out[field] = FIRST
    const start = putVarint(out, field + 1, this.#contentSize)
    let resource = start
    let at = start
    if (this.#hasResource) {
      out[start] = FIRST
      resource = putVarint(out, start + 1, this.#end - this.#start)
      at = resource + this.#resource.copy(out, resource, this.#start, this.#end)
    }
    const resourceEnd = at
    for (const part of this.parts) at = part.write(out, at)
    at = this.#rest.write(out, at)
    return new Group(out, field, start, at, start, resourceEnd, out, resource, resourceEnd, this.items)
  }
}

/** The fields of a message but those with one of two tags, added to `runs`. @throws WireError */
export function besides(
  bytes: Buffer,
  start: number,
  end: number,
  first: number,
  second = first,
  runs = new Runs(),
): Runs {
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    const field = cursor.at
    const tag = cursor.tag()
    cursor.skip(tag)
    if (tag !== first && tag !== second) runs.add(bytes, field, cursor.at)
  }
  return runs
}

/** A metric apart from its points, which may be shared out among several metrics that are like it. */
export class MetricParts {
  /** All but the data, and all of the data but its points. */
  readonly shell = new Runs()
  readonly rest = new Runs()
  /** Tag of the data; 0: there is none. */
  tag = 0
  readonly #bytes: Buffer
  /** Where its data stands: data of one kind may stand in pieces, which count as one. */
  #pieces: (readonly [from: number, to: number])[] = []

  /** @throws WireError */
  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    const cursor = new Cursor(bytes, start, end)
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      if (!isData(tag >>> 3)) {
        cursor.skip(tag)
        this.shell.add(bytes, field, cursor.at)
        continue
      }
      cursor.expect(tag, LENGTH, 'data of a metric')
      // Data of another kind replaces what stands before it.
      if (tag !== this.tag) this.#pieces = []
      this.tag = tag
      const length = cursor.length()
      this.#pieces.push([cursor.at, (cursor.at += length)])
    }
    for (const [from, to] of this.#pieces) besides(bytes, from, to, FIRST, FIRST, this.rest)
  }

  /** Whether there is any point. */
  get hasPoints(): boolean {
    let size = 0
    for (const [from, to] of this.#pieces) size += to - from
    return size > this.rest.size
  }

  /** The metric with these points, as a field of a scope group. */
  with(points: Runs): MessageOut {
    return new MessageOut(SECOND, this.shell, new MessageOut(this.tag, this.rest, points))
  }

  /** Visits its points: where the field of each starts, and its content. */
  eachPoint(visit: (field: number, from: number, to: number) => void): void {
    for (const [start, end] of this.#pieces) eachPointOf(this.#bytes, start, end, visit)
  }

  /** The metric with its first `points`, and with the others. */
  cut(points: number): [head: MessageOut, rest: MessageOut] {
    const head = new Runs()
    const rest = new Runs()
    let seen = 0
    this.eachPoint((field, _from, to) => (seen++ < points ? head : rest).add(this.#bytes, field, to))
    return [this.with(head), this.with(rest)]
  }
}

/** Visits the points in the data between `start` and `end`. @throws WireError */
export function eachPointOf(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (field: number, from: number, to: number) => void,
): void {
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    const field = cursor.at
    const tag = cursor.tag()
    if (tag !== FIRST) {
      cursor.skip(tag)
      continue
    }
    const to = cursor.length() + cursor.at
    visit(field, cursor.at, to)
    cursor.at = to
  }
}
