import { Arena } from '../../proto/actions.ts'
import { attributeTags } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import { metricPoints } from '../../proto/points.ts'
import type { Signal } from '../../proto/signals.ts'
import { ItemCursor } from '../../proto/views.ts'
import { type Room, textCost } from '../../proto/room.ts'
import { Cursor, putVarint } from '../../proto/wire.ts'
import { tagOf } from '../message-edits.ts'
import { Runs } from '../../proto/runs.ts'
import type { GroupedKeys } from './grouped-keys.ts'
import { besides, FIRST, GroupOut, groupIdentity, MetricOut, ScopeOut, SECOND } from '../../proto/assembly.ts'

/** Where the data of a metric may stand, and the tag of the attributes of its points. */
const data: ReadonlyMap<number, number> = new Map([
  [tagOf('Metric', 'gauge'), attributeTags.numberPoint],
  [tagOf('Metric', 'sum'), attributeTags.numberPoint],
  [tagOf('Metric', 'histogram'), attributeTags.histogramPoint],
  [tagOf('Metric', 'exponential_histogram'), attributeTags.exponentialHistogramPoint],
  [tagOf('Metric', 'summary'), attributeTags.summaryPoint],
])

/** Result of a regrouping. */
export interface Regrouped {
  readonly groups: readonly Group[]
  /** Bytes newly made; 0 when all groups are as they were. */
  readonly made: number
}

/** There is no memory for the groups that a request would become. */
export class NoRoomError extends Error {
  override name = 'NoRoomError'
}

/** Bytes of a group that is put together, and of a scope or a metric in it, besides what they copy. */
const groupCost = 1500
const partCost = 800

/**
 * Groups the items of one request anew: by resource and by the keys that `keys` finds in them. `room`: where memory for groups
 * is taken, one for each value that is there.
 * @throws NoRoomError
 */
export function regroup(signal: Signal, groups: readonly Group[], keys: GroupedKeys, room: Room): Regrouped {
  return new Regrouping(signal, keys, room).run(groups)
}

/** Where in the result the items of a group go. */
interface Source {
  readonly group: Group
  /** What stands beside resource and scopes. */
  readonly rest: Runs
  readonly restIdentity: string
  /** The place of items without any of the keys, once one is there. */
  plain: GroupOut | undefined
  /** Places by what was found in items. */
  readonly places: Map<string, GroupOut>
}

class Regrouping {
  readonly #signal: Signal
  readonly #keys: GroupedKeys
  readonly #out = new Map<string, GroupOut>()
  readonly #cursor = new ItemCursor()
  readonly #heads = new Arena(0)
  readonly #points = new Cursor(Buffer.alloc(0))
  readonly #room: Room

  constructor(signal: Signal, keys: GroupedKeys, room: Room) {
    this.#signal = signal
    this.#keys = keys
    this.#room = room
  }

  #take(bytes: number): void {
    if (!this.#room.grow(bytes)) throw new NoRoomError(`no memory for ${this.#out.size} groups and more of one request`)
  }

  run(groups: readonly Group[]): Regrouped {
    for (const group of groups) this.#add(group)
    const out = [...this.#out.values()]
    if (out.length === groups.length && out.every(({ whole }) => whole !== undefined)) return { groups, made: 0 }
    let made = 0
    for (const one of out) if (one.whole === undefined) made += one.size
    this.#take(made)
    const bytes = Buffer.allocUnsafeSlow(made)
    let at = 0
    const written = out.map(one => {
      if (one.whole !== undefined) return one.whole
      const group = one.write(bytes, at)
      at = group.end
      return group
    })
    return { groups: written, made }
  }

  #add(group: Group): void {
    const { runs: rest, identity: restIdentity } = besides(group.bytes, group.start, group.end, FIRST, SECOND)
    const source: Source = { group, rest, restIdentity, plain: undefined, places: new Map() }
    if (!this.#isWhole(group)) {
      this.#move(source, this.#hasKeys(group))
      return
    }
    const identity = groupIdentity(group.resource, group.resourceStart, group.resourceEnd, restIdentity)
    const place = this.#out.get(identity)
    if (place === undefined) {
      const whole = this.#place(identity, group.resource, group.resourceStart, group.resourceEnd, rest)
      whole.whole = group
      return
    }
    source.plain = place
    this.#open(place)
    this.#move(source, false)
  }

  /** Whether a group may stay as it is: no item has any of the keys, no scope stands twice. */
  #isWhole(group: Group): boolean {
    const scopes = new Set<string>()
    const cursor = this.#cursor.set(group)
    while (cursor.nextScope()) {
      const { identity } = besides(cursor.bytes, cursor.scopeStart, cursor.scopeEnd, SECOND)
      if (scopes.has(identity)) return false
      scopes.add(identity)
    }
    return !this.#hasKeys(group)
  }

  #hasKeys(group: Group): boolean {
    const cursor = this.#cursor.set(group)
    while (cursor.nextScope()) {
      while (cursor.nextItem())
        if (hasKeys(this.#signal, this.#keys, cursor.bytes, cursor.start, cursor.end)) return true
    }
    return false
  }

  #place(identity: string, resource: Buffer, start: number, end: number, rest: Runs): GroupOut {
    this.#take(groupCost + textCost(identity))
    const place = new GroupOut(resource, start, end, rest)
    this.#out.set(identity, place)
    return place
  }

  /** Makes a group that came as it is one that more may be added to. */
  #open(place: GroupOut): void {
    const { whole } = place
    if (whole === undefined) return
    place.whole = undefined
    const { runs: rest, identity: restIdentity } = besides(whole.bytes, whole.start, whole.end, FIRST, SECOND)
    this.#move({ group: whole, rest, restIdentity, plain: place, places: new Map() }, false)
  }

  /** Puts each item of a group where it belongs. */
  #move(source: Source, keyed: boolean): void {
    const cursor = new ItemCursor().set(source.group)
    const { bytes } = cursor
    while (cursor.nextScope()) {
      const head = besides(bytes, cursor.scopeStart, cursor.scopeEnd, SECOND)
      while (cursor.nextItem()) {
        const { field, start, end } = cursor
        if (this.#signal === 'metrics') this.#moveMetric(source, head, bytes, field, start, end, keyed)
        else if (keyed && this.#keys.find(bytes, start, end, itemTag(this.#signal))) {
          const place = this.#placeOf(source)
          place.items++
          this.#addEdited(this.#scopeIn(place, head).items, SECOND, start, end)
        } else {
          const place = this.#plainOf(source)
          place.items++
          this.#scopeIn(place, head).items.add(bytes, field, end)
        }
      }
    }
  }

  /** Adds the message from `start` to `end` without the keys, as a field. */
  #addEdited(runs: Runs, tag: number, start: number, end: number): void {
    const heads = this.#heads
    heads.begin(6)
    heads.bytes[heads.at] = tag
    heads.at = putVarint(heads.bytes, heads.at + 1, end - start - this.#keys.size)
    runs.add(heads.bytes, heads.from, heads.at)
    this.#keys.addRest(start, end, runs)
  }

  #moveMetric(
    source: Source,
    head: ReturnType<typeof besides>,
    bytes: Buffer,
    field: number,
    start: number,
    end: number,
    keyed: boolean,
  ): void {
    const parts = metricParts(bytes, start, end)
    if (parts === undefined) {
      const place = this.#plainOf(source)
      place.items += metricPoints(this.#points.set(bytes, start, end))
      this.#scopeIn(place, head).items.add(bytes, field, end)
      return
    }
    const add = (tag: number, pointField: number, from: number, to: number): void => {
      const found = keyed && this.#keys.find(bytes, from, to, tag)
      const place = found ? this.#placeOf(source) : this.#plainOf(source)
      place.items++
      const { metrics } = this.#scopeIn(place, head)
      let metric = metrics.get(parts.identity)
      if (metric === undefined) {
        this.#take(partCost)
        metric = new MetricOut(parts.shell, parts.tag, parts.rest)
        metrics.set(parts.identity, metric)
      }
      if (found) this.#addEdited(metric.points, FIRST, from, to)
      else metric.points.add(bytes, pointField, to)
    }
    for (const [from, to] of parts.pieces) eachPointOf(bytes, from, to, parts.tag, add)
  }

  #scopeIn(place: GroupOut, { runs, identity }: ReturnType<typeof besides>): ScopeOut {
    let scope = place.scopes.get(identity)
    if (scope === undefined) {
      this.#take(partCost)
      scope = new ScopeOut(runs)
      place.scopes.set(identity, scope)
    }
    return scope
  }

  #plainOf(source: Source): GroupOut {
    if (source.plain !== undefined) return source.plain
    const { resource, resourceStart, resourceEnd } = source.group
    source.plain = this.#placeFor(resource, resourceStart, resourceEnd, source)
    return source.plain
  }

  /** The place of an item in which keys were found. */
  #placeOf(source: Source): GroupOut {
    const { identity } = this.#keys
    let place = source.places.get(identity)
    if (place === undefined) {
      const { resource, resourceStart, resourceEnd } = source.group
      // The resource once more, and the text that it is told apart by.
      this.#take(groupCost + 3 * (resourceEnd - resourceStart + this.#keys.size))
      const made = this.#keys.addedTo(resource, resourceStart, resourceEnd, attributeTags.resource)
      place = this.#placeFor(made, 0, made.length, source)
      source.places.set(identity, place)
    }
    return place
  }

  #placeFor(resource: Buffer, start: number, end: number, { rest, restIdentity }: Source): GroupOut {
    const identity = groupIdentity(resource, start, end, restIdentity)
    const place = this.#out.get(identity)
    if (place === undefined) return this.#place(identity, resource, start, end, rest)
    this.#open(place)
    return place
  }
}

const itemTag = (signal: Signal): number => (signal === 'traces' ? attributeTags.span : attributeTags.logRecord)

/** Whether an item, or any point of a metric, has one of the keys. @throws WireError where it cannot be read */
export function hasKeys(signal: Signal, keys: GroupedKeys, bytes: Buffer, start: number, end: number): boolean {
  if (signal !== 'metrics') return keys.find(bytes, start, end, itemTag(signal))
  let found = false
  eachPointField(bytes, start, end, (tag, _field, from, to) => {
    // All of them are read, so that one that cannot be is found.
    found = keys.find(bytes, from, to, tag) || found
  })
  return found
}

/** Called with the tag of a point's attributes, where its field starts, and its content. */
type PointVisit = (tag: number, field: number, from: number, to: number) => void

/** Visits all points of a metric, also those in data that later data of another kind replaces. */
function eachPointField(bytes: Buffer, start: number, end: number, visit: PointVisit): void {
  const metric = new Cursor(bytes, start, end)
  while (metric.at < end) {
    const tag = metric.tag()
    if (!data.has(tag)) {
      metric.skip(tag)
      continue
    }
    const to = metric.length() + metric.at
    eachPointOf(bytes, metric.at, to, tag, visit)
    metric.at = to
  }
}

/** Visits the points in the data between `start` and `end`, which stands in the field with `tag`. */
function eachPointOf(bytes: Buffer, start: number, end: number, tag: number, visit: PointVisit): void {
  const attributes = data.get(tag) ?? 0
  const cursor = new Cursor(bytes, start, end)
  while (cursor.at < end) {
    const field = cursor.at
    const inner = cursor.tag()
    if (inner !== FIRST) {
      cursor.skip(inner)
      continue
    }
    const to = cursor.length() + cursor.at
    visit(attributes, field, cursor.at, to)
    cursor.at = to
  }
}

/** A metric apart from its points. */
interface MetricParts {
  readonly shell: Runs
  readonly tag: number
  readonly rest: Runs
  readonly identity: string
  /** Where its data stands: data of one kind may stand in pieces, which count as one. */
  readonly pieces: readonly (readonly [from: number, to: number])[]
}

/** A metric without its points; undefined for one that has none. */
function metricParts(bytes: Buffer, start: number, end: number): MetricParts | undefined {
  const cursor = new Cursor(bytes, start, end)
  const shell = new Runs()
  let identity = ''
  let dataTag = 0
  let pieces: [from: number, to: number][] = []
  while (cursor.at < end) {
    const field = cursor.at
    const tag = cursor.tag()
    if (!data.has(tag)) {
      cursor.skip(tag)
      shell.add(bytes, field, cursor.at)
      identity += bytes.toString('latin1', field, cursor.at)
      continue
    }
    // Data of another kind replaces what stands before it.
    if (tag !== dataTag) pieces = []
    dataTag = tag
    const to = cursor.length() + cursor.at
    pieces.push([cursor.at, to])
    cursor.at = to
  }
  const rest = new Runs()
  let size = 0
  let restIdentity = ''
  for (const [from, to] of pieces) {
    size += to - from
    restIdentity += besides(bytes, from, to, FIRST, FIRST, rest).identity
  }
  if (rest.size === size) return undefined
  return { shell, tag: dataTag, rest, pieces, identity: JSON.stringify([identity, dataTag, restIdentity]) }
}
