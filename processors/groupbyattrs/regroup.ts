import { Arena } from '../../proto/actions.ts'
import { besides, eachPointOf, FIRST, GroupOut, MessageOut, MetricParts, SECOND } from '../../proto/assembly.ts'
import { attributeTags, AttributeWalk } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import { Runs } from '../../proto/runs.ts'
import type { Signal } from '../../proto/signals.ts'
import { ItemCursor } from '../../proto/views.ts'
import { type Room, textCost } from '../../proto/room.ts'
import { Cursor, putVarint } from '../../proto/wire.ts'
import { tagOf } from '../message-edits.ts'
import type { GroupedKeys } from './grouped-keys.ts'

/** Tags of the attributes of points, by the tag of the data that the points stand in. */
const pointAttributes: ReadonlyMap<number, number> = new Map([
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

/** A resource group of the result. */
class Place extends GroupOut {
  /** The group this is, as long as it is one that came as it is. */
  whole: Group | undefined
  /** Most have one scope group, and need no map. */
  #scope: Scope | undefined
  #identity = ''
  #others: Map<string, Scope> | undefined

  scope(identity: string): Scope | undefined {
    return identity === this.#identity ? this.#scope : this.#others?.get(identity)
  }

  add(identity: string, scope: Scope): void {
    this.parts.push(scope)
    if (this.#scope === undefined) {
      this.#scope = scope
      this.#identity = identity
    } else (this.#others ??= new Map()).set(identity, scope)
  }
}

/** A scope group of the result. */
class Scope extends MessageOut {
  readonly items = new Runs()
  /** The points of metrics that are put together, by what tells those apart; there are none of other signals. */
  metrics: Map<string, Runs> | undefined

  constructor(head: Runs) {
    super(SECOND, head)
    this.parts.push(this.items)
  }
}

/** Where in the result the items of a group go. */
interface Source {
  readonly group: Group
  /** What stands beside resource and scopes. */
  readonly rest: Runs
  readonly restIdentity: string
  /** The place of items without any of the keys, once one is there. */
  plain: Place | undefined
  /** Places by what was found in items. */
  readonly places: Map<string, Place>
}

const sourceOf = (group: Group, plain?: Place): Source => {
  const rest = besides(group.bytes, group.start, group.end, FIRST, SECOND)
  return { group, rest, restIdentity: rest.text(), plain, places: new Map() }
}

/** What a scope group has beside its items, and what it is told apart by. */
interface Head {
  readonly runs: Runs
  readonly identity: string
}

class Regrouping {
  readonly #signal: Signal
  readonly #keys: GroupedKeys
  readonly #out = new Map<string, Place>()
  readonly #cursor = new ItemCursor()
  readonly #heads = new Arena(0)
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
    const source = sourceOf(group)
    if (!this.#isWhole(group)) {
      this.#move(source, this.#hasKeys(group))
      return
    }
    const identity = groupIdentity(group.resource, group.resourceStart, group.resourceEnd, source.restIdentity)
    const place = this.#out.get(identity)
    if (place === undefined) {
      const whole = this.#place(identity, group.resource, group.resourceStart, group.resourceEnd, source.rest)
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
      const identity = besides(cursor.bytes, cursor.scopeStart, cursor.scopeEnd, SECOND).text()
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

  #place(identity: string, resource: Buffer, start: number, end: number, rest: Runs): Place {
    this.#take(groupCost + textCost(identity))
    const place = new Place(resource, start, end, rest)
    this.#out.set(identity, place)
    return place
  }

  /** Makes a group that came as it is one that more may be added to. */
  #open(place: Place): void {
    const { whole } = place
    if (whole === undefined) return
    place.whole = undefined
    this.#move(sourceOf(whole, place), false)
  }

  /** Puts each item of a group where it belongs. */
  #move(source: Source, keyed: boolean): void {
    const cursor = new ItemCursor().set(source.group)
    const { bytes } = cursor
    while (cursor.nextScope()) {
      const runs = besides(bytes, cursor.scopeStart, cursor.scopeEnd, SECOND)
      const head = { runs, identity: runs.text() }
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
    head: Head,
    bytes: Buffer,
    field: number,
    start: number,
    end: number,
    keyed: boolean,
  ): void {
    const parts = new MetricParts(bytes, start, end)
    if (!parts.hasPoints) {
      this.#scopeIn(this.#plainOf(source), head).items.add(bytes, field, end)
      return
    }
    const tag = pointAttributes.get(parts.tag) ?? 0
    const identity = JSON.stringify([parts.shell.text(), parts.tag, parts.rest.text()])
    parts.eachPoint((pointField, from, to) => {
      const found = keyed && this.#keys.find(bytes, from, to, tag)
      const place = found ? this.#placeOf(source) : this.#plainOf(source)
      place.items++
      const scope = this.#scopeIn(place, head)
      const metrics = (scope.metrics ??= new Map<string, Runs>())
      let points = metrics.get(identity)
      if (points === undefined) {
        this.#take(partCost)
        metrics.set(identity, (points = new Runs()))
        scope.parts.push(parts.with(points))
      }
      if (found) this.#addEdited(points, FIRST, from, to)
      else points.add(bytes, pointField, to)
    })
  }

  #scopeIn(place: Place, { runs, identity }: Head): Scope {
    let scope = place.scope(identity)
    if (scope === undefined) {
      this.#take(partCost)
      scope = new Scope(runs)
      place.add(identity, scope)
    }
    return scope
  }

  #plainOf(source: Source): Place {
    if (source.plain !== undefined) return source.plain
    const { resource, resourceStart, resourceEnd } = source.group
    source.plain = this.#placeFor(resource, resourceStart, resourceEnd, source)
    return source.plain
  }

  /** The place of an item in which keys were found. */
  #placeOf(source: Source): Place {
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

  #placeFor(resource: Buffer, start: number, end: number, { rest, restIdentity }: Source): Place {
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
  eachPointField(bytes, start, end, (tag, from, to) => {
    // All of them are read, so that one that cannot be is found.
    found = keys.find(bytes, from, to, tag) || found
  })
  return found
}

/** Visits all points of a metric, also those in data that later data of another kind replaces, with the tag of their attributes. */
function eachPointField(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (tag: number, from: number, to: number) => void,
): void {
  const metric = new Cursor(bytes, start, end)
  while (metric.at < end) {
    const tag = metric.tag()
    const attributes = pointAttributes.get(tag)
    if (attributes === undefined) {
      metric.skip(tag)
      continue
    }
    const to = metric.length() + metric.at
    eachPointOf(bytes, metric.at, to, (_field, from, end) => visit(attributes, from, end))
    metric.at = to
  }
}

/** What a group is told apart by: its attributes in any order, and whatever else is not in scopes. */
function groupIdentity(resource: Buffer, start: number, end: number, rest: string): string {
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
