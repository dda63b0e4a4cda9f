/** Items parted by a key: found first, in one pass, then written in one go. */
import { besides, FIRST, GroupOut, MessageOut, SECOND } from './assembly.ts'
import type { Group } from './group.ts'
import { metricPoints } from './points.ts'
import { Runs } from './runs.ts'
import type { Signal } from './signals.ts'
import { ItemCursor } from './views.ts'
import { Cursor, WireError } from './wire.ts'

/** The key of an item, which stands between `start` and `end`: a span, a log record, a metric as a whole. */
export type KeyOf = (bytes: Buffer, start: number, end: number, group: Group) => string

/** Items of one key in one group, while they are gathered. */
interface Gathering {
  readonly out: GroupOut
  /** The scope group that is gathered now, and its items. */
  scope: number
  items: Runs
}

/** What is to be written for each key; see `write`. */
export class Split {
  /** Bytes of all parts together. */
  size = 0
  /** Items that could not be read, as a part of their own. */
  readonly malformed: GroupOut[] = []
  readonly #parts = new Map<string, GroupOut[]>()
  readonly #signal: Signal
  readonly #keyOf: KeyOf
  readonly #cursor = new ItemCursor()
  readonly #points = new Cursor(Buffer.alloc(0))

  /** Resource and scope stand once in each part that has items of theirs. What `keyOf` throws but WireError is thrown on. */
  constructor(signal: Signal, groups: readonly Group[], keyOf: KeyOf) {
    this.#signal = signal
    this.#keyOf = keyOf
    for (const group of groups) this.#take(group)
    for (const outs of [...this.#parts.values(), this.malformed]) for (const out of outs) this.size += out.size
  }

  /** Keys, in the order in which they were found. */
  get keys(): Iterable<string> {
    return this.#parts.keys()
  }

  /** Writes every part into `out`, which has room for all; by key, and what could not be read. */
  write(out: Buffer): { readonly parts: Map<string, Group[]>; readonly malformed: Group[] } {
    let at = 0
    const written = (outs: readonly GroupOut[]): Group[] =>
      outs.map(one => {
        const group = one.write(out, at)
        at = group.end
        return group
      })
    const parts = new Map<string, Group[]>()
    for (const [key, outs] of this.#parts) parts.set(key, written(outs))
    return { parts, malformed: written(this.malformed) }
  }

  #take(group: Group): void {
    const { bytes, resource, resourceStart, resourceEnd, resourceField, resourceFieldEnd } = group
    const rest = besides(bytes, group.start, group.end, FIRST, SECOND)
    const hasResource = resource !== bytes || resourceFieldEnd > resourceField
    const gathered = new Map<string | undefined, Gathering>()
    const cursor = this.#cursor.set(group)
    for (let scope = 0; cursor.nextScope(); scope++) {
      let shell: Runs | undefined
      while (cursor.nextItem()) {
        const key = this.#key(cursor, group)
        let mine = gathered.get(key)
        if (mine === undefined) {
          mine = { out: new GroupOut(resource, resourceStart, resourceEnd, rest, hasResource), scope: -1, items: rest }
          gathered.set(key, mine)
          this.#outsOf(key).push(mine.out)
        }
        if (mine.scope !== scope) {
          mine.scope = scope
          mine.items = new Runs()
          shell ??= besides(bytes, cursor.scopeStart, cursor.scopeEnd, SECOND)
          mine.out.parts.push(new MessageOut(SECOND, shell, mine.items))
        }
        mine.items.add(bytes, cursor.field, cursor.end)
        mine.out.items += this.#count(cursor)
      }
    }
  }

  #key({ bytes, start, end }: ItemCursor, group: Group): string | undefined {
    try {
      return this.#keyOf(bytes, start, end, group)
    } catch (error) {
      if (error instanceof WireError) return undefined
      throw error
    }
  }

  #outsOf(key: string | undefined): GroupOut[] {
    if (key === undefined) return this.malformed
    const known = this.#parts.get(key)
    if (known !== undefined) return known
    const outs: GroupOut[] = []
    this.#parts.set(key, outs)
    return outs
  }

  #count({ bytes, start, end }: ItemCursor): number {
    return this.#signal === 'metrics' ? metricPoints(this.#points.set(bytes, start, end)) : 1
  }
}
