/** A full look at resource groups: what of them a strict decoder would refuse, and the groups without it. */
import type { Group } from './group.ts'
import { mended, mostGrowth } from './mend.ts'
import { dataTags, metricPoints } from './points.ts'
import { NoRoomError, type Purse } from './purse.ts'
import { DROP, KEEP, REPLACE, rewriteItems } from './rewrite.ts'
import { type Signal, signals } from './signals.ts'
import { headDepth, itemDepth, rulesNamed, type FieldRules, StrictReader } from './strict.ts'
import { Range } from './values.ts'
import { ItemCursor } from './views.ts'
import { Cursor, WireError } from './wire.ts'

/** Bytes that are walked over between two pauses. */
const stride = 64 * 1024
/** What a fault takes of a stride, as telling of it is slow, and an item besides its bytes, of which it may have none. */
const faultStride = 512
const itemStride = 8
/** Bytes that a fault takes in memory until its group is made anew, and of how many they are charged at once. */
const faultCost = 256
const faultsCharged = 1024

/** A group of which not all is as it should be. */
export interface Examined {
  /** What is left of it; undefined where nothing is. */
  readonly group: Group | undefined
  /** Spans, log records, data points that went. */
  readonly malformed: number
  /** Why the first of them did. */
  readonly reason: string
  /** Items in which text was mended. */
  readonly mended: number
  /** Bytes newly made for it, which stay. */
  readonly made: number
}

/** What is wrong with a span, a log record or a metric. */
interface Fault {
  /** Where it stands. */
  readonly start: number
  readonly end: number
  /** All of it goes. */
  readonly isWhole: boolean
  /** Where the fields of data points start that go. */
  readonly points: ReadonlySet<number>
  /** Bytes of text that is none. */
  readonly text: number
}

const none: ReadonlySet<number> = new Set()

/** Looks at one group after the other. */
class Examination {
  reason = ''
  /** Taken from the purse for what was found; to be given back. */
  charged = 0
  readonly #purse: Purse | undefined
  #found = 0
  readonly #rules: FieldRules
  readonly #isMetrics: boolean
  readonly #reader = new StrictReader()
  readonly #items = new ItemCursor()
  readonly #scope = new Range()
  /** Bytes since the last pause. */
  #walked = 0

  /** What is found is paid for from `purse`. Without one nothing is kept: the first fault that is more than broken text is thrown. */
  constructor(signal: Signal, purse: Purse | undefined) {
    this.#rules = rulesNamed(signals[signal].item)
    this.#isMetrics = signal === 'metrics'
    this.#purse = purse
  }

  /** The faults of a group, by the place of the item among those of the group; undefined: none. */
  *faultsOf(group: Group): Generator<undefined, ReadonlyMap<number, Fault> | undefined> {
    const items = this.#items.set(group)
    const isBad = this.#isBad(resource, group.resource, group.resourceStart, group.resourceEnd)
    let faults: Map<number, Fault> | undefined
    let place = 0
    while (items.nextScope()) {
      const scope = this.#scope
      const isBadScope = isBad || (items.scope(scope) && this.#isBad(scopeRules, scope.bytes, scope.start, scope.end))
      for (; items.nextItem(); place++) {
        const { start, end } = items
        let fault: Fault | undefined
        if (isBadScope) fault = { start, end, isWhole: true, points: none, text: 0 }
        else if (this.#isMetrics) fault = yield* this.#metric(group.bytes, start, end)
        else fault = this.#item(group.bytes, start, end)
        if (fault !== undefined && this.#keeps()) (faults ??= new Map()).set(place, fault)
        this.#walked += itemStride + end - start
        if (this.#walked < stride) continue
        this.#walked = 0
        yield
      }
    }
    return faults
  }

  /** Resources and scopes were checked when they came in; what a decoder refuses beyond that takes all they are of. */
  #isBad(rules: FieldRules, bytes: Uint8Array, start: number, end: number): boolean {
    try {
      this.#reader.check(rules, bytes, start, end, headDepth)
      return false
    } catch (error) {
      this.#note(error)
      return true
    }
  }

  #note(error: unknown): void {
    if (!(error instanceof WireError) || this.#purse === undefined) throw error
    this.#walked += faultStride
    if (this.reason === '') this.reason = error.message
  }

  /** Whether what is found is kept; it is paid for, then. */
  #keeps(): boolean {
    if (this.#purse === undefined) return false
    if (this.#found++ % faultsCharged !== 0) return true
    if (!this.#purse.tryCharge(faultsCharged * faultCost)) throw new NoRoomError()
    this.charged += faultsCharged * faultCost
    return true
  }

  #item(bytes: Buffer, start: number, end: number): Fault | undefined {
    const reader = this.#reader
    reader.brokenText = 0
    let isWhole = false
    try {
      reader.check(this.#rules, bytes, start, end, itemDepth)
    } catch (error) {
      this.#note(error)
      isWhole = true
    }
    if (!isWhole && reader.brokenText === 0) return undefined
    return { start, end, isWhole, points: none, text: reader.brokenText }
  }

  /** A metric may be large: it is walked over point by point, and a point that is malformed goes alone. */
  *#metric(bytes: Buffer, start: number, end: number): Generator<undefined, Fault | undefined> {
    const reader = this.#reader
    const { cursor } = reader
    const points = new Set<number>()
    let isWhole = false
    reader.brokenText = 0
    cursor.set(bytes, start, end)
    try {
      while (cursor.at < end) {
        cursor.end = end
        const tag = cursor.tag()
        if (!dataTags.includes(tag)) {
          reader.value(this.#rules, tag, itemDepth)
          continue
        }
        const rules = this.#rules[tag >>> 3]?.inner ?? []
        const dataEnd = (cursor.end = cursor.length() + cursor.at)
        while (cursor.at < dataEnd) {
          const at = cursor.at
          this.#dataField(rules, points)
          this.#walked += cursor.at - at
          if (this.#walked < stride) continue
          this.#walked = 0
          yield
        }
      }
    } catch (error) {
      this.#note(error)
      isWhole = true
    }
    const text = reader.brokenText
    return isWhole || points.size > 0 || text > 0 ? { start, end, isWhole, points, text } : undefined
  }

  #dataField(rules: FieldRules, points: Set<number>): void {
    const reader = this.#reader
    const { cursor } = reader
    const field = cursor.at
    const tag = cursor.tag()
    const point = tag === 0x0a ? rules[1]?.inner : undefined
    if (point === undefined) return reader.value(rules, tag, itemDepth + 1)
    const { end } = cursor
    const pointEnd = cursor.length() + cursor.at
    try {
      reader.check(point, cursor.bytes, cursor.at, pointEnd, itemDepth + 2)
    } catch (error) {
      this.#note(error)
      points.add(field)
    }
    cursor.at = pointEnd
    cursor.end = end
  }
}

const resource = rulesNamed('Resource')
const scopeRules = rulesNamed('InstrumentationScope')

/** What it takes to make the group anew: what is written, and the items it is written from. */
function costOf(group: Group, faults: ReadonlyMap<number, Fault>): number {
  let cost = group.size + (group.size >>> 3) + 128
  for (const { start, end, isWhole, text } of faults.values())
    if (!isWhole) cost += 2 * (end - start + mostGrowth * text)
  return cost
}

/**
 * Looks at a group in full; undefined now and then, for a pause. What is made is paid for from `purse` meanwhile, and given back
 * at the end: whoever takes the group charges what stays.
 * @throws NoRoomError where the purse does not pay
 */
export function* examine(signal: Signal, group: Group, purse: Purse): Generator<undefined, Examined | undefined> {
  const examination = new Examination(signal, purse)
  let cost = 0
  try {
    const faults = yield* examination.faultsOf(group)
    if (faults === undefined) return undefined
    const making = costOf(group, faults)
    if (!purse.tryCharge(making)) throw new NoRoomError()
    cost = making
    const rules = rulesNamed(signals[signal].item)
    const contents = new Map<number, Buffer | undefined>()
    let texts = 0
    for (const [place, { start, end, isWhole, points, text }] of faults) {
      let content: Buffer | undefined
      if (!isWhole) content = yield* mended(rules, group.bytes, start, end, points.size === 0 ? none : points)
      if (content !== undefined && points.size > 0 && metricPoints(new Cursor(content)) === 0) content = undefined
      contents.set(place, content)
      if (content !== undefined && text > 0) texts++
    }
    const { left, made } = without(signal, group, contents)
    const { reason } = examination
    return { group: left, malformed: group.items - (left?.items ?? 0), reason, mended: texts, made }
  } finally {
    purse.release(cost + examination.charged)
  }
}

/** The group with other items at the places of `contents`, or without them. */
function without(signal: Signal, group: Group, contents: ReadonlyMap<number, Buffer | undefined>) {
  let place = -1
  const { groups, made } = rewriteItems(signal, [group], {
    item(_bytes, _start, _end, out) {
      if (!contents.has(++place)) return KEEP
      const content = contents.get(place)
      if (content === undefined) return DROP
      out.begin(content.length)
      out.copy(content, 0, content.length)
      return REPLACE
    },
  })
  return { left: groups[0], made }
}

/**
 * Looks at all groups in full; undefined now and then, for a pause. Text that is no UTF-8 passes: it can be mended.
 * @throws WireError where a strict decoder would refuse the request for more than that
 */
export function* verify(signal: Signal, groups: readonly Group[]): Generator<undefined, void> {
  const examination = new Examination(signal, undefined)
  for (const group of groups) yield* examination.faultsOf(group)
}
