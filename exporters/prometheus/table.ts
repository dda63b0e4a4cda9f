/** The table behind the page: the metrics and their series as they stand. */
import { type Pair } from '../../backends/prometheus/label-base.ts'
import { isPlainLabelName, labelText } from '../../backends/prometheus/text.ts'
import { TextTable } from '../../backends/text-table.ts'
import { endless, type Room, textCost } from '../../proto/room.ts'
import type { Bounds, ExponentialHistogram, Histogram, Summary } from './states.ts'
import { Sums } from './sums.ts'

/** Types of a metric, in Prometheus' words. */
export type FamilyType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'unknown'

/** One line, or the lines of one histogram or summary. */
export class Series {
  readonly family: Family
  /** The labels as they stand between braces, with names of any characters in quotes. */
  readonly labels: string
  /** The same one by one, where names have to be escaped for some readers. */
  readonly pairs: readonly Pair[] | undefined
  value = 0
  /** Nanoseconds since the epoch. */
  time = 0
  start = 0
  /** When it was last heard of, in milliseconds. */
  updated = -1
  state: Histogram | ExponentialHistogram | Summary | undefined = undefined
  /** The fields of exemplars, as they came. */
  exemplars: Buffer | undefined = undefined
  exemplarsTag = 0
  /** Its value is what deltas added up to, which nobody says again. */
  isSum = false
  /** It has left the table. */
  isGone = false
  /** Bytes that it takes itself, and those of its state and exemplars. */
  cost = 0
  extra = 0
  /** What it is charged a share of. */
  bounds: Bounds | undefined = undefined

  constructor(family: Family, labels: string, pairs: readonly Pair[] | undefined) {
    this.family = family
    this.labels = labels
    this.pairs = pairs
  }
}

/** The series of one name. */
export class Family {
  /** As counted in the page's text format: a counter's has `_total`. */
  readonly name: string
  readonly type: FamilyType
  readonly help: string
  readonly unit: string
  readonly series = new TextTable<Series>()
  /** What found no room in the table, where that can be summed up in one series. */
  overflow: Series | undefined
  readonly cost: number

  constructor(name: string, type: FamilyType, help: string, unit: string) {
    this.name = name
    this.type = type
    this.help = help
    this.unit = unit
    this.cost = familyCost + (1 + suffixes[type].length) * textCost(name) + textCost(help) + textCost(unit)
  }
}

/** Why something is not in the table. */
export type NoRoom = 'cardinality_limit' | 'memory_limit'

/** Bytes of what has no size of its own, a little more than measured: the entries that lead to it included. */
const familyCost = 1500
const seriesCost = 350
const pairCost = 200
const infoCost = 400

/** Bytes that labels take one by one. */
export const pairsCost = (pairs: readonly Pair[]): number =>
  pairs.reduce((sum, [name, value]) => sum + pairCost + 2 * (name.length + value.length), 0)

/** Series that are looked at between two pauses, of which all may leave. */
const sweepStride = 2048

/** What is known of one resource. */
export interface TargetInfo {
  readonly pairs: readonly Pair[]
  /** Which resource it is of, to tell those apart that call themselves the same. */
  readonly source: string
  readonly cost: number
  updated: number
}

/** The name under which the page counts points that found no room. */
export const overflowName = 'kymo_prometheus_overflow_points_total'

/** What the samples of a family add to its name. */
export const suffixes: Readonly<Record<FamilyType, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  unknown: [''],
  histogram: ['', '_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}

/** So many names are counted apart, the rest as one: names cost room, too. */
const mostOverflowNames = 1000

/** Labels of the series for what found no room. */
const overflowLabels: readonly Pair[] = [['otel_metric_overflow', 'true']]

/** All that the page shows. */
export class Table {
  readonly families = new Map<string, Family>()
  readonly infos = new Map<string, TargetInfo>()
  /** Points that found no room, by the name of their family. */
  readonly overflowed = new Map<string, number>()
  /** Most series; 0 sets no limit. */
  limit = 0
  /** Series are forgotten when nothing was heard of them for so many milliseconds; 0: never. */
  expiration = 0
  size = 0
  /** Changes whenever a family has left. */
  epoch = 0
  /** Series that have left since somebody last asked for this to be 0. */
  left = 0
  /** The family that writes each name. */
  readonly #owners = new Map<string, Family | undefined>()
  readonly #room: Room
  readonly #sums: Sums
  /** Bytes of series that have left, and that are known by their keys still. */
  #leftBytes = 0

  /** `reserved`: names that the page itself has; `room`: where memory is taken for everything that comes with data. */
  constructor(reserved: readonly string[], room: Room = endless) {
    this.#room = room
    this.#sums = new Sums(room)
    for (const name of [...reserved, overflowName]) this.#owners.set(name, undefined)
  }

  /** The family of that name and type, or what has its name, or one of the names it would write. */
  family(
    name: string,
    type: FamilyType,
    help: string,
    unit: string,
  ): Family | { readonly takenBy: string } | 'memory_limit' {
    const known = this.families.get(name)
    if (known !== undefined) return known.type === type ? known : { takenBy: `${known.type} ${name}` }
    for (const suffix of suffixes[type]) {
      const written = `${name}${suffix}`
      if (!this.#owners.has(written)) continue
      const owner = this.#owners.get(written)
      return { takenBy: owner === undefined ? `the page's own ${written}` : `${owner.type} ${owner.name}` }
    }
    const family = new Family(name, type, help, unit)
    if (!this.#grow(family.cost)) return 'memory_limit'
    this.families.set(name, family)
    for (const suffix of suffixes[type]) this.#owners.set(`${name}${suffix}`, family)
    return family
  }

  /** The series with these labels, or why there is no room for another one. */
  series(family: Family, labels: readonly Pair[]): Series | NoRoom {
    const text = labelText(labels, 'allow-utf-8')
    const known = family.series.get(text)
    if (known !== undefined) return known
    if (this.limit > 0 && this.size >= this.limit) return 'cardinality_limit'
    const isPlain = labels.every(([name]) => isPlainLabelName(name))
    const cost = seriesCost + textCost(text) + (isPlain ? 0 : pairsCost(labels))
    if (!this.#grow(cost)) return 'memory_limit'
    const series = new Series(family, text, isPlain ? undefined : labels)
    series.cost = cost
    family.series.set(text, series)
    this.size++
    this.#sums.resume(series, bytes => this.resize(series, 0, bytes))
    return series
  }

  /** Takes room, before that of sums of series that are not on the page. */
  #grow(bytes: number): boolean {
    while (!this.#room.grow(bytes)) if (!this.#sums.dropOldest()) return false
    return true
  }

  /** Counts a point that found no room. */
  countOverflow({ name }: Family): void {
    const { overflowed } = this
    const isCounted =
      overflowed.has(name) || (overflowed.size < mostOverflowNames && this.#grow(textCost(name) + pairCost))
    const counted = isCounted ? name : 'other'
    overflowed.set(counted, (overflowed.get(counted) ?? 0) + 1)
  }

  /** The one series for what found no room in the family. It takes none of the others' places. */
  overflow(family: Family): Series {
    if (family.overflow === undefined) {
      family.overflow = new Series(family, labelText(overflowLabels, 'allow-utf-8'), undefined)
      this.#sums.resume(family.overflow, () => false)
    }
    return family.overflow
  }

  /** Makes room for what a series holds besides its labels, which took `before` bytes and is to take `after`. */
  resize(series: Series, before: number, after: number): boolean {
    const more = after - before
    if (more > 0 && !this.#grow(more)) return false
    if (more < 0) this.#room.shrink(-more)
    series.extra += more
    return true
  }

  /** Makes room for the bounds of a series, unless another one has the same. */
  share(series: Series, bounds: Bounds): boolean {
    if (series.bounds === bounds) return true
    if (bounds.users === 0 && !this.#grow(bounds.cost)) return false
    bounds.users++
    this.#unshare(series)
    series.bounds = bounds
    return true
  }

  #unshare(series: Series): void {
    const { bounds } = series
    series.bounds = undefined
    if (bounds !== undefined && --bounds.users === 0) this.#room.shrink(bounds.cost)
  }

  /** Takes a series off the page. What its deltas added up to is known on, as long as there is memory for it. */
  remove(series: Series): void {
    const { family, state, bounds } = series
    if (series.isGone || family.series.get(series.labels) !== series) return
    family.series.delete(series.labels)
    series.isGone = true
    this.size--
    this.left++
    this.#leftBytes += series.cost
    this.#unshare(series)
    this.#room.shrink(series.extra)
    series.extra = 0
    series.state = series.exemplars = undefined
    if (series.isSum) this.#keepSum(series, state, bounds)
  }

  #keepSum(series: Series, state: Series['state'], bounds: Bounds | undefined): void {
    this.#sums.keep(series, state, bounds)
    if (this.limit > 0 && this.#sums.size > this.limit) this.#sums.dropOldest()
  }

  /** Nothing points to series that have left any more. */
  forgetLeft(): void {
    this.left = 0
    this.#room.shrink(this.#leftBytes)
    this.#leftBytes = 0
  }

  /** Keeps what is known of a resource. Of two that call themselves the same the first stays as long as it is heard of. */
  info(identity: string, source: string, pairs: readonly Pair[], now: number): void {
    const known = this.infos.get(identity)
    if (known?.source === source) known.updated = now
    else if (known === undefined || this.#isOld(known.updated, now)) {
      this.#forgetInfo(identity)
      const cost = infoCost + textCost(identity) + textCost(source) + pairsCost(pairs)
      if (this.#grow(cost)) this.infos.set(identity, { pairs, source, cost, updated: now })
    }
  }

  #forgetInfo(identity: string): void {
    const known = this.infos.get(identity)
    if (known === undefined) return
    this.infos.delete(identity)
    this.#room.shrink(known.cost)
  }

  /** Forgets what has not been heard of for too long, with a pause now and then, in which others may come and go. */
  *expire(now: number): Generator<undefined, void> {
    let left = sweepStride
    for (const family of this.families.values()) {
      for (const series of family.series.values()) {
        if (this.#isOld(series.updated, now)) this.remove(series)
        if (--left > 0) continue
        left = sweepStride
        yield
      }
      if (family.overflow !== undefined && this.#isOld(family.overflow.updated, now)) {
        this.#keepSum(family.overflow, undefined, undefined)
        family.overflow = undefined
      }
      const isHere = this.families.get(family.name) === family
      if (isHere && family.series.size === 0 && family.overflow === undefined) this.#forget(family)
    }
    for (const [identity, info] of this.infos) {
      if (this.#isOld(info.updated, now)) this.#forgetInfo(identity)
      if (--left > 0) continue
      left = sweepStride
      yield
    }
  }

  #isOld(updated: number, now: number): boolean {
    return this.expiration > 0 && now - updated > this.expiration
  }

  #forget(family: Family): void {
    this.families.delete(family.name)
    this.#room.shrink(family.cost)
    for (const suffix of suffixes[family.type]) this.#owners.delete(`${family.name}${suffix}`)
    this.epoch++
  }
}
