/** Counting on the bytes: no object per item. */
import { elementAt } from '../../core/element-at.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import type { Message } from '../../proto/schema.ts'
import type { Signal } from '../../proto/signals.ts'
import { type Room, textCost } from '../../proto/room.ts'
import { asBuffer, encodeKeyValue, Range } from '../../proto/values.ts'
import { eachPoint, fieldNamed, ItemCursor } from '../../proto/views.ts'
import { Cursor, WireError } from '../../proto/wire.ts'

/** What is counted. */
export type Level = 'spans' | 'spanevents' | 'metrics' | 'datapoints' | 'logs'

/** What is counted of each signal. */
export const levelsOf: Readonly<Record<Signal, readonly Level[]>> = {
  traces: ['spans', 'spanevents'],
  metrics: ['metrics', 'datapoints'],
  logs: ['logs'],
}

/** One metric that is made of counts. */
export interface CountedMetric {
  readonly name: string
  readonly description: string
  /** Each combination of values is counted apart. */
  readonly attributes: readonly {
    readonly key: Buffer
    /** The AnyValue where the attribute is missing; undefined: then it is not counted. */
    readonly missing: Buffer | undefined
  }[]
}

/** One data point that will be. */
export interface Series {
  /** Attributes as fields of a NumberDataPoint. */
  readonly attributes: Buffer
  count: number
}

/** The counts of one metric. Most have one series and no attributes, of which there can be one for each of thousands of resources. */
export class MetricTally {
  readonly metric: CountedMetric
  #only: Series | undefined
  /** By the bytes of the attributes' values. */
  #series: Map<string, Series> | undefined

  constructor(metric: CountedMetric) {
    this.metric = metric
  }

  /** The series of these values; '' where the metric has no attributes. */
  of(key: string): Series | undefined {
    return key === '' ? this.#only : this.#series?.get(key)
  }

  begin(key: string, series: Series): void {
    if (key === '') this.#only = series
    else (this.#series ??= new Map()).set(key, series)
  }

  /** All series, of which there may be none. */
  all(): Iterable<Series> {
    if (this.#series !== undefined) return this.#series.values()
    return this.#only === undefined ? [] : [this.#only]
  }
}

/** The counts of one level. */
export class LevelTally {
  readonly counted: readonly MetricTally[]
  /** Time of the first and of the last item, in two halves; earliest is above latest while none had a time. */
  earliestHigh = 0xffff_ffff
  earliestLow = 0xffff_ffff
  latestHigh = 0
  latestLow = 0

  constructor(counted: readonly CountedMetric[]) {
    this.counted = counted.map(metric => new MetricTally(metric))
  }

  /** Notes the time that stands at `at`; 0 is none. */
  time(bytes: Uint8Array, at: number): void {
    const buffer = asBuffer(bytes)
    const low = buffer.readUInt32LE(at)
    const high = buffer.readUInt32LE(at + 4)
    if (low === 0 && high === 0) return
    if (high < this.earliestHigh || (high === this.earliestHigh && low < this.earliestLow)) {
      this.earliestHigh = high
      this.earliestLow = low
    }
    if (high > this.latestHigh || (high === this.latestHigh && low > this.latestLow)) {
      this.latestHigh = high
      this.latestLow = low
    }
  }
}

/** The counts of one resource. */
export interface Tally {
  /** A group that has the resource. */
  readonly group: Group
  /** As `levelsOf` has them. */
  readonly levels: readonly LevelTally[]
}

/** Bytes of the counts of a resource, and of one series, besides texts and attributes. */
const tallyCost = 2500
const seriesCost = 500

/** What was counted, and what was not. */
export interface Tallied {
  readonly tallies: Iterable<Tally>
  /** Items that cannot be read. */
  readonly unreadable: number
  /** Items for whose counts there was no memory. */
  readonly crowded: number
}

/** Counts what the groups hold, of each resource apart. `room`: where memory for the counts is taken. */
export function tallyGroups(
  signal: Signal,
  groups: readonly Group[],
  metrics: ReadonlyMap<Level, readonly CountedMetric[]>,
  room: Room,
): Tallied {
  const tallies = new Map<string, Tally>()
  const walk = new Walk(signal, room)
  const counted = levelsOf[signal].map(level => metrics.get(level) ?? [])
  for (const group of groups) {
    const { resource, resourceStart, resourceEnd } = group
    const key = resource.toString('latin1', resourceStart, resourceEnd)
    let tally = tallies.get(key)
    if (tally === undefined) {
      if (!room.grow(tallyCost + textCost(key))) {
        walk.crowded += group.items
        continue
      }
      tallies.set(key, (tally = { group, levels: counted.map(one => new LevelTally(one)) }))
    }
    walk.group(group, tally.levels)
  }
  return { tallies: tallies.values(), unreadable: walk.unreadable, crowded: walk.crowded }
}

const tagOf = (message: string, name: string): number => {
  const { number, wire } = fieldNamed(message, name)
  return (number << 3) | wire
}

/** Where an item has its attributes and times. */
interface Shape {
  readonly attributes: number
  readonly times: readonly number[]
}

const times = (message: string, ...names: string[]) => names.map(name => tagOf(message, name))
const span: Shape = {
  attributes: attributeTags.span,
  times: times('Span', 'start_time_unix_nano', 'end_time_unix_nano'),
}
const event: Shape = { attributes: attributeTags.event, times: times('Event', 'time_unix_nano') }
const logRecord: Shape = { attributes: attributeTags.logRecord, times: times('LogRecord', 'time_unix_nano') }
const pointTimes = times('NumberDataPoint', 'time_unix_nano')
const points: ReadonlyMap<string, Shape> = new Map(
  Object.entries({
    NumberDataPoint: attributeTags.numberPoint,
    HistogramDataPoint: attributeTags.histogramPoint,
    ExponentialHistogramDataPoint: attributeTags.exponentialHistogramPoint,
    SummaryDataPoint: attributeTags.summaryPoint,
  }).map(([message, attributes]) => [message, { attributes, times: pointTimes }] as const),
)
const events = tagOf('Span', 'events')

/** A value of an attribute, and what tells it from others. */
interface Found {
  readonly value: Buffer
  readonly text: string
}

const none = Buffer.alloc(0)

/** Values up to this length are their own text; of longer ones each has a number. */
const longestText = 64

/** Goes through groups, with the same few objects for all items. */
class Walk {
  unreadable = 0
  crowded = 0
  readonly #room: Room
  readonly #numbers = new Map<string, string>()
  /** What the resource and the scope that the items are of say, by key: read once for all of them. */
  readonly #ofResource = new Map<Buffer, Found | undefined>()
  readonly #ofScope = new Map<Buffer, Found | undefined>()
  readonly #signal: Signal
  readonly #items = new ItemCursor()
  readonly #cursor = new Cursor(Buffer.alloc(0))
  readonly #scope = new Range()
  readonly #value = new Range()
  readonly #found: Buffer[] = []
  #group: Group | undefined
  #hasScope = false

  constructor(signal: Signal, room: Room) {
    this.#signal = signal
    this.#room = room
  }

  group(group: Group, levels: Tally['levels']): void {
    this.#group = group
    this.#ofResource.clear()
    const items = this.#items.set(group)
    while (items.nextScope()) {
      this.#ofScope.clear()
      this.#hasScope = items.scope(this.#scope)
      while (items.nextItem()) {
        try {
          this.#item(items.bytes, items.start, items.end, levels)
        } catch (error) {
          if (!(error instanceof WireError)) throw error
          this.unreadable++
        }
      }
    }
  }

  #item(bytes: Buffer, start: number, end: number, [first, second]: Tally['levels']): void {
    switch (this.#signal) {
      case 'logs':
        this.#one(bytes, start, end, logRecord, first)
        return
      case 'traces': {
        this.#one(bytes, start, end, span, first)
        if (second !== undefined && second.counted.length > 0) this.#events(bytes, start, end, second)
        return
      }
      case 'metrics': {
        this.#add(bytes, start, end, undefined, first)
        if (second === undefined || second.counted.length === 0) return
        eachPoint(bytes, start, end, (message: Message, bytes, from, to) =>
          this.#one(bytes, from, to, points.get(message.name), second),
        )
      }
    }
  }

  #events(bytes: Buffer, start: number, end: number, level: LevelTally): void {
    const cursor = this.#cursor
    for (let at = start; at < end;) {
      cursor.set(bytes, at, end)
      const tag = cursor.tag()
      if (tag !== events) cursor.skip(tag)
      else {
        const to = cursor.length() + cursor.at
        this.#one(bytes, cursor.at, to, event, level)
        cursor.at = to
      }
      at = cursor.at
    }
  }

  /** Counts one item that has times. */
  #one(bytes: Uint8Array, start: number, end: number, shape: Shape | undefined, level: LevelTally | undefined): void {
    if (level === undefined || level.counted.length === 0 || shape === undefined) return
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      const { at } = cursor
      cursor.skip(tag)
      if (shape.times.includes(tag)) level.time(bytes, at)
    }
    this.#add(bytes, start, end, shape, level)
  }

  #add(bytes: Uint8Array, start: number, end: number, shape: Shape | undefined, level: LevelTally | undefined): void {
    if (level === undefined) return
    for (const tally of level.counted) {
      const { attributes } = tally.metric
      let key = ''
      this.#found.length = 0
      for (const { key: name, missing } of attributes) {
        const found = this.#find(bytes, start, end, shape, name)
        const value = found?.value ?? missing
        if (value === undefined) break
        this.#found.push(value)
        key += found?.text ?? this.#text(value)
      }
      if (this.#found.length < attributes.length) continue
      const known = tally.of(key)
      if (known !== undefined) known.count++
      else this.#begin(tally, key)
    }
  }

  /** Counts the first of a series, if there is room for it. */
  #begin(tally: MetricTally, key: string): void {
    const { metric } = tally
    let size = 0
    for (const value of this.#found) size += value.length
    for (const { key: name } of metric.attributes) size += name.length + 16
    // The attributes are written once more.
    if (this.#room.grow(seriesCost + textCost(key) + 2 * size)) {
      tally.begin(key, { attributes: this.#attributes(metric), count: 1 })
    } else this.crowded++
  }

  /** What tells a value from others; the same for the same value. */
  #text(value: Buffer): string {
    const text = value.toString('latin1')
    if (value.length <= longestText) return `${value.length}:${text}`
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = `#${this.#numbers.size};`
      // Without room for it each is one of its own, and finds none for its series either.
      if (this.#room.grow(textCost(text))) this.#numbers.set(text, number)
    }
    return number
  }

  /** The value of an attribute of the item, else of its scope, else of its resource. */
  #find(bytes: Uint8Array, start: number, end: number, shape: Shape | undefined, name: Buffer): Found | undefined {
    const out = this.#value
    if (shape !== undefined && findAttribute(bytes, start, end, shape.attributes, name, out)) return this.#foundIn(out)
    const { bytes: scope, start: from, end: to } = this.#scope
    const inScope = this.#hasScope
      ? this.#inherited(this.#ofScope, scope, from, to, attributeTags.scope, name)
      : undefined
    if (inScope !== undefined || this.#group === undefined) return inScope
    const { resource, resourceStart, resourceEnd } = this.#group
    return this.#inherited(this.#ofResource, resource, resourceStart, resourceEnd, attributeTags.resource, name)
  }

  #inherited(
    known: Map<Buffer, Found | undefined>,
    bytes: Uint8Array,
    start: number,
    end: number,
    tag: number,
    name: Buffer,
  ): Found | undefined {
    if (known.has(name)) return known.get(name)
    const found = findAttribute(bytes, start, end, tag, name, this.#value) ? this.#foundIn(this.#value) : undefined
    known.set(name, found)
    return found
  }

  #foundIn(range: Range): Found {
    const value = bufferOf(range)
    return { value, text: this.#text(value) }
  }

  /** What was found of the attributes, as fields of a data point. */
  #attributes({ attributes }: CountedMetric): Buffer {
    if (attributes.length === 0) return none
    return Buffer.concat(
      attributes.map(({ key }, i) => encodeKeyValue(attributeTags.numberPoint, key, elementAt(this.#found, i))),
    )
  }
}

const bufferOf = ({ bytes, start, end }: Range): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
