/**
 * Rewriting at scope and item level. A visitor decides item by item; what it leaves alone is copied in long runs into
 * one buffer for all groups, and groups it does not touch are shared. (At resource level, `Group.withResource` is enough.)
 */
import { Arena } from './actions.ts'
import { moveGroups } from './cut.ts'
import { encodeGroups, Group, groupsSize } from './group.ts'
import { metricPoints } from './points.ts'
import type { Signal } from './signals.ts'
import { Range } from './values.ts'
import { ItemCursor } from './views.ts'
import { Cursor, fieldSize, putVarint, varintSize, WireError } from './wire.ts'

export const KEEP = 0
/** The new content stands in the arena, from `from` to `at`. */
export const REPLACE = 1
/** The item goes. `DROP + n` is for the visitor's reason number n. */
export const DROP = 2

/** What a visitor says of an item: KEEP, REPLACE, or DROP with the number of a reason. */
export type Decision = number

/** Reasons that need no visitor to name them: the item cannot be read; the visitor threw something else. */
export const MALFORMED = -1
export const FAILED = -2

/** Items that went for one reason. */
export interface Gone {
  /** The visitor's number, MALFORMED or FAILED. */
  readonly reason: number
  /** Spans, log records, data points of each group. */
  readonly counts: Uint32Array
  items: number
}

/** Decides on scopes and items: spans, log records, or metrics as a whole. */
export interface Visitor {
  /** The content of the InstrumentationScope, empty where there is none. A scope is not dropped. */
  scope?(bytes: Buffer, start: number, end: number, out: Arena, group: Group): typeof KEEP | typeof REPLACE
  item?(bytes: Buffer, start: number, end: number, out: Arena, group: Group): Decision
}

/** What came of a rewrite. */
export interface Rewritten {
  /** One for one; undefined where all items of a group were dropped. */
  readonly groups: readonly (Group | undefined)[]
  /** Items that are no more. */
  readonly gone: readonly Gone[]
  /** What the visitor threw of the last item that went as FAILED. */
  readonly error: unknown
  /** Bytes newly made. */
  readonly made: number
}

/**
 * Lets `visitor` decide on each scope and item. An item on which it throws goes: as MALFORMED where that is a WireError, else
 * as FAILED. What it throws of a scope is thrown on.
 */
export function rewriteItems(signal: Signal, groups: readonly Group[], visitor: Visitor): Rewritten {
  const rewriter = new Rewriter(signal, groups, visitor)
  const result = groups.map((group, i) => rewriter.rewrite(group, i))
  return { groups: rewriter.compacted(result), gone: rewriter.gone, error: rewriter.error, made: rewriter.made }
}

class Rewriter {
  made = 0
  gone: readonly Gone[] = none
  error: unknown
  readonly #metrics: boolean
  readonly #visitor: Visitor
  readonly #groups: number
  /** Place of the current group among all. */
  #index = 0
  readonly #cursor = new ItemCursor()
  readonly #points = new Cursor(Buffer.alloc(0))
  readonly #scope = new Range()
  /** What the visitor writes to, used again for each item. */
  readonly #scratch = new Arena(4096)
  /** Bytes of the groups that are still to come, the current one included. */
  #ahead: number

  // The output, and what is being written there.
  #out: Buffer = Buffer.alloc(0)
  #at = 0
  #groupField = -1
  #groupWidth = 0
  #scopeField = -1
  #scopeWidth = 0
  #resourceEnd = 0
  #resourceSize = -1
  /** Up to where the group's bytes were written or left out, and the range in them that is left out when it comes. */
  #copied = 0
  #holeStart = 0
  #holeEnd = 0
  /** Wire items of the group that stay and that go, and the items that stay. */
  #left = 0
  #dropped = 0
  #items = 0

  constructor(signal: Signal, groups: readonly Group[], visitor: Visitor) {
    this.#metrics = signal === 'metrics'
    this.#visitor = visitor
    this.#groups = groups.length
    this.#ahead = groupsSize(groups)
  }

  rewrite(group: Group, index: number): Group | undefined {
    this.#index = index
    const cursor = this.#cursor.set(group)
    this.#groupField = -1
    this.#left = 0
    this.#dropped = 0
    this.#items = group.items
    while (cursor.nextScope()) this.#rewriteScope(group)
    this.#ahead -= group.size
    if (this.#groupField < 0) return group
    if (this.#left === 0 && this.#dropped > 0) {
      this.#at = this.#groupField
      return undefined
    }
    this.#copy(group, group.end)
    return this.#endGroup()
  }

  #rewriteScope(group: Group): void {
    const cursor = this.#cursor
    const visitor = this.#visitor
    this.#scopeField = -1
    if (visitor.scope !== undefined) this.#visitScope(group)
    let left = 0
    let dropped = 0
    if (visitor.item === undefined) while (cursor.nextItem()) left++
    else {
      while (cursor.nextItem()) {
        if (this.#visitItem(group) >= DROP) dropped++
        else left++
      }
    }
    this.#left += left
    this.#dropped += dropped
    if (this.#scopeField < 0) return
    if (left === 0 && dropped > 0) {
      this.#at = this.#scopeField
      this.#copied = cursor.scopeEnd
    } else {
      this.#copy(group, cursor.scopeEnd)
      this.#endScope()
    }
    this.#scopeField = -1
    this.#leaveOutResource(group)
  }

  #visitScope(group: Group): void {
    const cursor = this.#cursor
    const scope = this.#scope
    const scratch = this.#scratch
    if (!cursor.scope(scope)) scope.set(cursor.bytes, cursor.scopeStart, cursor.scopeStart)
    scratch.at = 0
    const bytes = scope.bytes === cursor.bytes ? cursor.bytes : Buffer.from(scope.bytes)
    if (this.#visitor.scope?.(bytes, scope.start, scope.end, scratch, group) !== REPLACE) return
    this.#beginScope(group)
    this.#putField(0x0a, scratch)
    const field = firstField(cursor.bytes, cursor.scopeStart, cursor.scopeEnd)
    this.#holeStart = field < 0 ? cursor.scopeStart : field
    this.#holeEnd = field < 0 ? cursor.scopeStart : scope.end
  }

  #visitItem(group: Group): Decision {
    const { bytes, field, start, end } = this.#cursor
    const scratch = this.#scratch
    scratch.at = 0
    let decision: Decision
    let reason: number
    try {
      decision = this.#visitor.item?.(bytes, start, end, scratch, group) ?? KEEP
      reason = decision - DROP
    } catch (error) {
      decision = DROP
      reason = error instanceof WireError ? MALFORMED : FAILED
      if (reason === FAILED) this.error = error
    }
    if (decision === KEEP) return KEEP
    if (this.#scopeField < 0) this.#beginScope(group)
    this.#copy(group, field)
    const items = this.#metrics ? metricPoints(this.#points.set(bytes, start, end)) : 1
    this.#items -= items
    if (decision >= DROP) this.#count(reason, items)
    else {
      const { bytes: made, from, at } = scratch
      this.#items += this.#metrics ? metricPoints(this.#points.set(made, from, at)) : 1
      this.#putField(0x12, scratch)
    }
    this.#copied = end
    return decision
  }

  #count(reason: number, items: number): void {
    let gone = this.gone.find(one => one.reason === reason)
    if (gone === undefined) {
      gone = { reason, counts: new Uint32Array(this.#groups), items: 0 }
      this.gone = [...this.gone, gone]
    }
    gone.counts[this.#index] += items
    gone.items += items
  }

  /** Opens the group in the output, with its resource first. */
  #beginGroup(group: Group): void {
    this.#groupWidth = varintSize(group.contentSize)
    this.#groupField = this.#at
    const hasResource = !group.untouched || group.resourceField < group.resourceFieldEnd
    const size = group.resourceEnd - group.resourceStart
    this.#reserve(1 + this.#groupWidth + fieldSize(size))
    const out = this.#out
    out[this.#at] = 0x0a
    let at = this.#at + 1 + this.#groupWidth
    if (hasResource) {
      out[at++] = 0x0a
      at = putVarint(out, at, size)
      at += group.resource.copy(out, at, group.resourceStart, group.resourceEnd)
    }
    this.#at = at
    this.#resourceEnd = at - this.#groupField
    this.#resourceSize = hasResource ? size : -1
    this.#copied = group.start
    this.#leaveOutResource(group)
  }

  /** The resource stands first in what is written, so where it stood it is left out. */
  #leaveOutResource(group: Group): void {
    this.#holeStart = group.resourceField
    this.#holeEnd = group.resourceFieldEnd
  }

  #beginScope(group: Group): void {
    const { scopeField, scopeStart, scopeEnd } = this.#cursor
    if (this.#groupField < 0) this.#beginGroup(group)
    this.#copy(group, scopeField)
    this.#scopeWidth = varintSize(scopeEnd - scopeStart)
    this.#reserve(1 + this.#scopeWidth)
    this.#scopeField = this.#at
    this.#out[this.#at] = 0x12
    this.#at += 1 + this.#scopeWidth
    this.#copied = scopeStart
    this.#holeStart = this.#holeEnd = scopeStart
  }

  #endScope(): void {
    // Not `this.#at += this.#putLength(...)`, which would take `#at` from before the output was moved.
    const shift = this.#putLength(this.#scopeField, this.#scopeWidth)
    this.#at += shift
  }

  #endGroup(): Group {
    const shift = this.#putLength(this.#groupField, this.#groupWidth)
    this.#at += shift
    const field = this.#groupField
    const start = field + 1 + this.#groupWidth + shift
    const resourceEnd = field + this.#resourceEnd + shift
    const size = Math.max(this.#resourceSize, 0)
    return new Group(
      this.#out,
      field,
      start,
      this.#at,
      start,
      resourceEnd,
      this.#out,
      resourceEnd - size,
      resourceEnd,
      this.#items,
    )
  }

  /** Writes the length of what was written since the tag at `field`, and says by how much that moved it. */
  #putLength(field: number, width: number): number {
    const start = field + 1 + width
    const size = this.#at - start
    const shift = varintSize(size) - width
    if (shift > 0) this.#reserve(shift)
    // The field may have moved to another buffer.
    const moved = this.#at - size - 1 - width
    if (shift !== 0) this.#out.copyWithin(moved + 1 + width + shift, moved + 1 + width, this.#at)
    putVarint(this.#out, moved + 1, size)
    return shift
  }

  #putField(tag: number, { bytes, from, at }: Arena): void {
    this.#reserve(fieldSize(at - from))
    this.#out[this.#at] = tag
    const start = putVarint(this.#out, this.#at + 1, at - from)
    this.#at = start + bytes.copy(this.#out, start, from, at)
  }

  /** Copies what was not copied yet up to `to`, without the hole. */
  #copy(group: Group, to: number): void {
    const from = this.#copied
    this.#copied = Math.max(from, to)
    if (this.#holeStart >= from && this.#holeEnd <= to && this.#holeStart < this.#holeEnd) {
      this.#put(group, from, this.#holeStart)
      this.#put(group, this.#holeEnd, to)
    } else this.#put(group, from, to)
  }

  #put(group: Group, from: number, to: number): void {
    if (to <= from) return
    this.#reserve(to - from)
    this.#at += group.bytes.copy(this.#out, this.#at, from, to)
  }

  /** Makes room; what was written of the current group moves along, groups before it stay where they are. */
  #reserve(size: number): void {
    if (this.#out.length - this.#at >= size) return
    const begun = this.#groupField < 0 ? this.#at : this.#groupField
    const written = this.#at - begun
    const room = Math.max(written + size, this.#ahead) + (this.#ahead >>> 3) + 64
    const out = Buffer.allocUnsafeSlow(room)
    this.#out.copy(out, 0, begun, this.#at)
    this.made += room
    this.#out = out
    this.#at = written
    this.#groupField = this.#groupField < 0 ? -1 : 0
    if (this.#scopeField >= 0) this.#scopeField -= begun
  }

  /** The same groups, where most of the output stayed empty in a buffer that fits. */
  compacted(groups: readonly (Group | undefined)[]): readonly (Group | undefined)[] {
    if (this.#at >= this.#out.length / 2) return groups
    const out = this.#out
    const mine = groups.filter(group => group?.bytes === out).filter(group => group !== undefined)
    const bytes = encodeGroups(mine)
    const moved = new Map(moveGroups(mine, bytes).map((group, i) => [mine[i], group]))
    this.made += bytes.length - out.length
    return groups.map(group => (group === undefined ? undefined : (moved.get(group) ?? group)))
  }
}

const none: readonly Gone[] = []

/** Where the last field 1 starts, or -1. */
function firstField(bytes: Buffer, start: number, end: number): number {
  const cursor = new Cursor(bytes, start, end)
  let found = -1
  while (cursor.at < end) {
    const field = cursor.at
    const tag = cursor.tag()
    if (tag === 0x0a) found = field
    cursor.skip(tag)
  }
  return found
}
