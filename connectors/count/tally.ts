/** Counting on the bytes: no object per item. */
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import type { Message } from '../../proto/schema.ts'
import type { Signal } from '../../proto/signals.ts'
import { encodeKeyValue, Range } from '../../proto/values.ts'
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
export interface Counted {
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

/** The counts of one level. */
export class LevelTally {
  readonly counted: readonly Counted[]
  /** For each metric, by the bytes of the attributes' values. */
  readonly series: readonly Map<string, Series>[]
  /** Time of the first and of the last item, in two halves; earliest is above latest while none had a time. */
  earliestHigh = 0xffff_ffff
  earliestLow = 0xffff_ffff
  latestHigh = 0
  latestLow = 0

  constructor(counted: readonly Counted[]) {
    this.counted = counted
    this.series = counted.map(() => new Map())
  }

  /** Notes the time that stands at `at`; 0 is none. */
  time(bytes: Uint8Array, at: number): void {
    const low = word(bytes, at)
    const high = word(bytes, at + 4)
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

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0

/** The counts of one resource. */
export interface Tally {
  /** A group that has the resource. */
  readonly group: Group
  readonly levels: ReadonlyMap<Level, LevelTally>
}

/** Counts what the groups hold, of each resource apart, and how many items could not be read. */
export function tallyGroups(
  signal: Signal,
  groups: readonly Group[],
  metrics: ReadonlyMap<Level, readonly Counted[]>,
): { tallies: Iterable<Tally>; unreadable: number } {
  const tallies = new Map<string, Tally>()
  const walk = new Walk(signal)
  for (const group of groups) {
    const { resource, resourceStart, resourceEnd } = group
    const key = resource.toString('latin1', resourceStart, resourceEnd)
    let tally = tallies.get(key)
    if (tally === undefined) {
      const levels = new Map([...metrics].map(([level, counted]) => [level, new LevelTally(counted)] as const))
      tallies.set(key, (tally = { group, levels }))
    }
    walk.group(group, tally.levels)
  }
  return { tallies: tallies.values(), unreadable: walk.unreadable }
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

/** Goes through groups, with the same few objects for all items. */
class Walk {
  unreadable = 0
  readonly #signal: Signal
  readonly #items = new ItemCursor()
  readonly #cursor = new Cursor(Buffer.alloc(0))
  readonly #scope = new Range()
  readonly #value = new Range()
  readonly #found: Buffer[] = []
  #group: Group | undefined
  #hasScope = false

  constructor(signal: Signal) {
    this.#signal = signal
  }

  group(group: Group, levels: Tally['levels']): void {
    this.#group = group
    const items = this.#items.set(group)
    while (items.nextScope()) {
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

  #item(bytes: Buffer, start: number, end: number, levels: Tally['levels']): void {
    switch (this.#signal) {
      case 'logs':
        this.#one(bytes, start, end, logRecord, levels.get('logs'))
        return
      case 'traces': {
        this.#one(bytes, start, end, span, levels.get('spans'))
        const level = levels.get('spanevents')
        if (level !== undefined && level.counted.length > 0) this.#events(bytes, start, end, level)
        return
      }
      case 'metrics': {
        this.#add(bytes, start, end, undefined, levels.get('metrics'))
        const level = levels.get('datapoints')
        if (level === undefined || level.counted.length === 0) return
        eachPoint(bytes, start, end, (message: Message, bytes, from, to) =>
          this.#one(bytes, from, to, points.get(message.name), level),
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
    const { counted, series } = level
    for (let i = 0; i < counted.length; i++) {
      const { attributes } = counted[i]
      let key = ''
      this.#found.length = 0
      for (const { key: name, missing } of attributes) {
        const value = this.#find(bytes, start, end, shape, name) ?? missing
        if (value === undefined) break
        this.#found.push(value)
        key += `${value.length}:${value.toString('latin1')}`
      }
      if (this.#found.length < attributes.length) continue
      const known = series[i].get(key)
      if (known !== undefined) known.count++
      else series[i].set(key, { attributes: this.#attributes(counted[i]), count: 1 })
    }
  }

  /** The value of an attribute of the item, else of its scope, else of its resource. */
  #find(bytes: Uint8Array, start: number, end: number, shape: Shape | undefined, name: Buffer): Buffer | undefined {
    const out = this.#value
    const scope = this.#scope
    if (shape !== undefined && findAttribute(bytes, start, end, shape.attributes, name, out)) return bufferOf(out)
    if (this.#hasScope && findAttribute(scope.bytes, scope.start, scope.end, attributeTags.scope, name, out)) {
      return bufferOf(out)
    }
    if (this.#group === undefined) return undefined
    const { resource, resourceStart, resourceEnd } = this.#group
    return findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, name, out)
      ? bufferOf(out)
      : undefined
  }

  /** What was found of the attributes, as fields of a data point. */
  #attributes({ attributes }: Counted): Buffer {
    return Buffer.concat(attributes.map(({ key }, i) => encodeKeyValue(attributeTags.numberPoint, key, this.#found[i])))
  }
}

const bufferOf = ({ bytes, start, end }: Range): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
