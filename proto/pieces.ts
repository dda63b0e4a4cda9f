/** Large requests in pieces, so that whatever is done to a piece in one go takes a short while. */
import { FIRST, MessageOut, SECOND } from './assembly.ts'
import { Gathering, type Piece, pieceLimits, type PieceSize } from './gathering.ts'
import type { Group } from './group.ts'
import type { Memory } from './growing.ts'
import { smallItem } from './item-limits.ts'
import { dataTags, isData, metricPoints } from './points.ts'
import { Runs } from './runs.ts'
import type { Signal } from './signals.ts'
import { Cursor } from './wire.ts'

/** Fields that are walked over between two pauses. */
const stride = 32_768
/** Scope groups up to this many bytes are not cut. */
const smallScope = 4 * 1024
/** Whether this much is one piece. */
export function isOnePiece(groups: number, items: number, bytes: number): boolean {
  return items <= pieceLimits.items && groups <= pieceLimits.groups && bytes <= pieceLimits.bytes
}

/**
 * The pieces of a request, in order; undefined now and then, for a pause. Groups stay whole where they fit; larger ones
 * are cut between items, and large metrics between data points, into buffers from `memory`, which may throw.
 * @throws WireError where so much resource and scope stands over so many small items that writing it would be most of the work
 */
export function* piecesOf(
  signal: Signal,
  groups: readonly Group[],
  memory: Memory,
  size: PieceSize = pieceLimits,
): Generator<Piece | undefined, void> {
  const gathering = new Gathering(memory, groups, size)
  try {
    yield* new Cutter(signal, gathering, size).pieces(groups)
  } finally {
    gathering.abandon()
  }
}

/** Fields of a group and its scopes that are looked at, to say whether there is one item and hardly anything else. */
const fewFields = 16

/** Whether a group is one item, which is not cut: a copy of it would be all that cutting makes. */
function isOneItem({ bytes, start, end, items }: Group): boolean {
  if (items !== 1) return false
  let left = fewFields
  const cursor = new Cursor(bytes, start, end)
  const isShort = (to: number, enters: boolean): boolean => {
    while (cursor.at < to) {
      if (left-- === 0) return false
      cursor.end = to
      const tag = cursor.tag()
      if (tag !== 0x12 || !enters) cursor.skip(tag)
      else if (!isShort(cursor.length() + cursor.at, false)) return false
    }
    return true
  }
  return isShort(end, true)
}

/** Walks over groups that are too large and cuts them. */
class Cutter {
  readonly #metrics: boolean
  readonly #gathering: Gathering
  readonly #size: PieceSize
  #steps = stride

  constructor(signal: Signal, gathering: Gathering, size: PieceSize) {
    this.#metrics = signal === 'metrics'
    this.#gathering = gathering
    this.#size = size
  }

  *pieces(groups: readonly Group[]): Generator<Piece | undefined, void> {
    let whole: Group[] = []
    let items = 0
    let bytes = 0
    for (const group of groups) {
      const size = group.end - group.field
      const fits = isOnePiece(1, group.items, size) || (!this.#metrics && isOneItem(group))
      if (whole.length > 0 && !(fits && this.#isRoom(whole.length + 1, items + group.items, bytes + size))) {
        if (items > 0) yield { groups: whole, items, body: undefined }
        whole = []
        items = bytes = 0
      }
      if (fits) {
        whole.push(group)
        items += group.items
        bytes += size
      } else yield* this.#group(group)
    }
    if (items > 0) yield { groups: whole, items, body: undefined }
  }

  #isRoom(groups: number, items: number, bytes: number): boolean {
    const most = this.#size.items
    return groups <= most && items <= most && isOnePiece(groups, items, bytes)
  }

  *#group(group: Group): Generator<Piece | undefined, void> {
    const { bytes, start, end } = group
    const gathering = this.#gathering
    const resource = bytes.subarray(group.resourceField, group.resourceFieldEnd)
    const head = yield* this.#head(bytes, start, end, 0x12, 0x0a)
    gathering.group(resource, group.resourceEnd - group.resourceStart, head)
    const cursor = new Cursor(bytes, start, end)
    while (cursor.at < end) {
      const at = cursor.at
      cursor.end = end
      const tag = cursor.tag()
      if (tag === 0x12) {
        const size = cursor.length()
        const from = cursor.at
        const to = from + size
        if (size <= smallScope) {
          const count = this.#itemsOf(cursor, to)
          if (gathering.isFull(count, size)) yield gathering.finish()
          gathering.whole(bytes, at, to, count)
          this.#steps -= count
        } else yield* this.#scope(bytes, from, to)
        cursor.at = to
      } else cursor.skip(tag)
      if (this.#due()) yield
    }
    if (gathering.items > 0) yield gathering.finish()
  }

  /** The items of the small scope group between the cursor and `end`. */
  #itemsOf(cursor: Cursor, end: number): number {
    let items = 0
    while (cursor.at < end) {
      cursor.end = end
      const tag = cursor.tag()
      if (tag !== 0x12 || !this.#metrics) {
        if (tag === 0x12) items++
        cursor.skip(tag)
        continue
      }
      const itemEnd = cursor.length() + cursor.at
      cursor.end = itemEnd
      items += metricPoints(cursor)
      cursor.at = itemEnd
    }
    return items
  }

  *#scope(bytes: Buffer, start: number, end: number): Generator<Piece | undefined, void> {
    const gathering = this.#gathering
    gathering.scope(yield* this.#head(bytes, start, end, 0x12))
    const cursor = new Cursor(bytes, start, end)
    while (cursor.at < end) {
      const at = cursor.at
      cursor.end = end
      const tag = cursor.tag()
      if (tag === 0x12) {
        const size = cursor.length()
        const from = cursor.at
        const to = from + size
        if (this.#metrics && size > smallItem) yield* this.#metric(bytes, from, to)
        else {
          cursor.end = to
          const count = this.#metrics ? metricPoints(cursor) : 1
          if (gathering.isFull(count, size)) yield gathering.finish()
          gathering.run(bytes, at, to, count)
        }
        cursor.at = to
      } else cursor.skip(tag)
      if (this.#due()) yield
    }
    gathering.close()
  }

  /** A large metric, whose data stands once: its points in as many pieces as it takes. */
  *#metric(bytes: Buffer, start: number, end: number): Generator<Piece | undefined, void> {
    const gathering = this.#gathering
    const shell = yield* this.#head(bytes, start, end, ...dataTags)
    const cursor = new Cursor(bytes, start, end)
    let dataTag = 0
    while (!isData(dataTag >>> 3) && cursor.at < end) {
      dataTag = cursor.tag()
      if (!isData(dataTag >>> 3)) cursor.skip(dataTag)
    }
    if (cursor.at === end) return
    const dataEnd = cursor.length() + cursor.at
    const points = new Runs()
    const rest = yield* this.#head(bytes, cursor.at, dataEnd, FIRST)
    const metric = new MessageOut(SECOND, shell, new MessageOut(dataTag, rest, points))
    let count = 0
    cursor.end = dataEnd
    while (cursor.at < dataEnd) {
      const at = cursor.at
      const tag = cursor.tag()
      cursor.skip(tag)
      if (tag === FIRST) {
        if (gathering.isFull(1, metric.size + cursor.at - at, count)) {
          if (count > 0) gathering.metric(metric, count)
          points.clear()
          count = 0
          yield gathering.finish()
        }
        points.add(bytes, at, cursor.at)
        count++
      }
      if (this.#due()) yield
    }
    if (count > 0) gathering.metric(metric, count)
  }

  /** What stands beside the fields with these tags. */
  *#head(bytes: Buffer, start: number, end: number, ...but: number[]): Generator<undefined, Runs> {
    const runs = new Runs()
    const cursor = new Cursor(bytes, start, end)
    for (let at = start; at < end; at = cursor.at) {
      const tag = cursor.tag()
      cursor.skip(tag)
      if (!but.includes(tag)) runs.add(bytes, at, cursor.at)
      if (this.#due()) yield
    }
    return runs
  }

  #due(): boolean {
    if (--this.#steps > 0) return false
    this.#steps = stride
    return true
  }
}
