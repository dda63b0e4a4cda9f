/**
 * Finds the series of a data point. What was seen before is found by its bytes, without a text or an object: resource, scope,
 * metric, attributes, each a key under the number of the one before it.
 */
import { ByteTable, viewOf } from '../../backends/byte-table.ts'
import {
  attributePairs,
  LabelBase,
  type LabelRules,
  type Pair,
  scopePairs,
  targetInfoLabels,
} from '../../backends/prometheus/label-base.ts'
import { type MetricKind, metricName, type TranslationStrategy, unitName } from '../../backends/prometheus/names.ts'
import { labelText } from '../../backends/prometheus/text.ts'
import type { MetricData } from '../../proto/metric-data.ts'
import { EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY } from '../../proto/points.ts'
import { endless, type Room, Share } from '../../proto/room.ts'
import { fieldNamed, readText } from '../../proto/views.ts'
import type { Bounds } from './states.ts'
import { type Family, type FamilyType, type NoRoom, pairsCost, type Series, type Table } from './table.ts'

/** How names and labels of the page are made. */
export interface Naming {
  readonly strategy: TranslationStrategy
  readonly namespace: string
  readonly labels: LabelRules
}

/** Why points of a metric are not on the page. */
export type Reason =
  | 'no_name'
  | 'name_conflict'
  | 'temporality_unspecified'
  | 'delta_not_monotonic'
  | 'labels_too_long'
  | NoRoom
  | 'out_of_order'
  | 'invalid'

/** What a metric holds, read from its data. */
export interface Shape {
  /** Which kind of data, by its field in Metric. */
  readonly kind: number
  readonly temporality: number
  readonly isMonotonic: boolean
}

const unspecified = 0
const delta = 1

/** Bytes of keys that are kept; then all are forgotten and found again. */
const mostKeyBytes = 64 << 20
/** Bytes that the labels of one series may take: what resource and scope give to each, and its own attributes. */
const longestLabels = 1 << 16
/** Bytes of what is kept of a resource, a scope or a metric besides texts, a little more than measured. */
const entryCost = 800
/** Longest schema URL of a scope that is known again. */
const longestUrl = 1024

const name = fieldNamed('Metric', 'name')
const description = fieldNamed('Metric', 'description')
const unit = fieldNamed('Metric', 'unit')
const scopeName = fieldNamed('InstrumentationScope', 'name')
const scopeVersion = fieldNamed('InstrumentationScope', 'version')
const resourceTag = 0x0a
const scopeTag = 0x1a
const none = new Uint8Array(0)

/** One metric of one scope of one resource. */
export class Stream {
  /** Key of its points' attributes; -1: it is not kept. */
  readonly id: number
  readonly base: LabelBase
  readonly source: string
  readonly name: string
  readonly type: FamilyType
  readonly help: string
  readonly unit: string
  readonly isDelta: boolean
  /** Bounds of the last point, which the next one most likely has, too. */
  bounds: Bounds | undefined = undefined
  family: Family | undefined = undefined
  /** Why it has no family, and in words. */
  refusal: Reason | undefined = undefined
  complaint = ''
  /** Of the table, when this was settled. */
  epoch = -1

  constructor(id: number, base: LabelBase, header: Uint8Array, shape: Shape, isUnknown: boolean, naming: Naming) {
    this.id = id
    this.base = base
    this.source = readText(header, 0, header.length, name)
    this.help = readText(header, 0, header.length, description)
    const unitText = readText(header, 0, header.length, unit)
    const kind = kindOf(shape, isUnknown)
    this.type = typeOf(kind)
    this.name = metricName(this.source, unitText, kind, naming.strategy, naming.namespace)
    this.unit = unitName(unitText, naming.strategy)
    this.isDelta = shape.temporality === delta
    const hasTemporality = shape.kind !== GAUGE && shape.kind !== SUMMARY
    if (base.size > longestLabels) {
      this.refusal = 'labels_too_long'
      this.complaint = `resource or scope of \`${this.source}\` give its series labels of more than ${longestLabels} bytes`
    } else if (this.name === '') {
      this.refusal = 'no_name'
      this.complaint = `nothing of the name \`${this.source}\` can be kept`
    } else if (hasTemporality && shape.temporality === unspecified) {
      this.refusal = 'temporality_unspecified'
      this.complaint = `\`${this.source}\` says neither cumulative nor delta`
    } else if (shape.kind === SUM && this.isDelta && !shape.isMonotonic) {
      this.refusal = 'delta_not_monotonic'
      this.complaint = `\`${this.source}\` is a delta of a sum that also falls, which has no total`
    }
  }
}

function kindOf({ kind, isMonotonic }: Shape, isUnknown: boolean): MetricKind {
  if (kind === GAUGE) return isUnknown ? 'unknown' : 'gauge'
  if (kind === SUM) return isMonotonic ? 'counter' : 'up_down_counter'
  if (kind === HISTOGRAM) return 'histogram'
  return kind === EXPONENTIAL_HISTOGRAM ? 'exponential_histogram' : 'summary'
}

function typeOf(kind: MetricKind): FamilyType {
  if (kind === 'up_down_counter') return 'gauge'
  return kind === 'exponential_histogram' ? 'histogram' : kind
}

/** What is kept of a resource. */
interface ResourceEntry {
  readonly pairs: readonly Pair[]
  /** `job` and `instance`, and the labels of its target_info with those. */
  readonly identity: string
  readonly infoText: string
  readonly info: readonly Pair[] | undefined
}

/** All lookups of one page. Call `resource`, `scope`, `stream`, `series`, each for what the one before found. */
export class StreamLookups {
  readonly #table: Table
  readonly #naming: Naming
  /** Hears what is wrong with a metric that is on the page all the same. */
  readonly #warn: (message: string) => void
  readonly #room: Share
  readonly #resources: ByteTable
  readonly #resourceEntries: ResourceEntry[] = []
  readonly #urls = new Map<string, number>()
  readonly #scopes: ByteTable
  readonly #bases: LabelBase[] = []
  readonly #metrics: ByteTable
  readonly #streams: Stream[] = []
  readonly #points: ByteTable
  readonly #seriesOf: Series[] = []
  #resource: ResourceEntry | undefined
  #resourceId = -1
  #base: LabelBase | undefined
  #scopeId = -1
  #view: DataView = viewOf(none)
  #viewed: Uint8Array = none

  constructor(table: Table, naming: Naming, warn: (message: string) => void, room: Room = endless) {
    this.#room = new Share(room)
    this.#resources = new ByteTable(this.#room)
    this.#scopes = new ByteTable(this.#room)
    this.#metrics = new ByteTable(this.#room)
    this.#points = new ByteTable(this.#room)
    this.#table = table
    this.#naming = naming
    this.#warn = warn
  }

  /** To be called before each batch: forgets keys where there are too many that nobody needs. */
  begin(): void {
    const table = this.#table
    const tables = [this.#resources, this.#scopes, this.#metrics, this.#points]
    const bytes = tables.reduce((sum, one) => sum + one.used, 0)
    // Several keys for one series are attributes in another order.
    const tooMany = this.#points.size > 10_000 + 4 * table.size
    if (bytes > mostKeyBytes || tooMany || table.left > 1000 + table.size) this.forget()
  }

  /** Forgets all keys: what they led to is found again by its text. */
  forget(): void {
    for (const one of [this.#resources, this.#scopes, this.#metrics, this.#points]) one.clear()
    for (const list of [this.#resourceEntries, this.#bases, this.#streams, this.#seriesOf]) list.length = 0
    this.#urls.clear()
    this.#room.clear()
    this.#table.forgetLeft()
  }

  /** Lets go of the bytes. */
  end(): void {
    this.#viewed = none
    this.#view = viewOf(none)
  }

  /** The content of a Resource message, to which what follows belongs. */
  resource(bytes: Uint8Array, start: number, end: number, now: number): void {
    const view = this.#viewing(bytes)
    const hash = this.#resources.hash(view, start, end, 0)
    let id = this.#resources.find(hash, view, start, end, 0)
    let entry = id < 0 ? undefined : this.#resourceEntries[id]
    if (entry === undefined) {
      entry = this.#resourceEntry(attributePairs(bytes, start, end, resourceTag))
      // The texts of its target_info repeat all of it.
      const isKept = this.#room.grow(entryCost + pairsCost(entry.pairs) * 3)
      id = isKept ? this.#resources.add(hash, bytes, start, end, 0) : -1
      if (id >= 0) this.#resourceEntries[id] = entry
    }
    this.#resource = entry
    this.#resourceId = id
    if (entry.info !== undefined) this.#table.info(entry.identity, entry.infoText, entry.info, now)
  }

  #resourceEntry(pairs: readonly Pair[]): ResourceEntry {
    const info = targetInfoLabels(this.#naming.labels, pairs)
    const identity = info?.filter(([label]) => label === 'job' || label === 'instance') ?? []
    return { pairs, info, identity: labelText(identity, 'allow-utf-8'), infoText: labelText(info ?? [], 'allow-utf-8') }
  }

  /** The content of an InstrumentationScope, to which what follows belongs, and the schema URL beside it. */
  scope(bytes: Uint8Array, start: number, end: number, schemaUrl: string): void {
    const url = this.#urls.get(schemaUrl) ?? this.#urls.size
    const isKept = this.#resourceId >= 0 && url < 0x100 && schemaUrl.length <= longestUrl
    if (isKept) this.#urls.set(schemaUrl, url)
    const salt = (this.#resourceId << 8) | url
    const view = this.#viewing(bytes)
    const hash = this.#scopes.hash(view, start, end, salt)
    let id = isKept ? this.#scopes.find(hash, view, start, end, salt) : -1
    if (id < 0) {
      this.#base = this.#makeBase(bytes, start, end, schemaUrl)
      const hasRoom = isKept && this.#room.grow(entryCost + this.#base.size * 4)
      id = hasRoom ? this.#scopes.add(hash, bytes, start, end, salt) : -1
      if (id >= 0) this.#bases[id] = this.#base
    } else this.#base = this.#bases[id]
    this.#scopeId = id
  }

  #makeBase(bytes: Uint8Array, start: number, end: number, schemaUrl: string): LabelBase {
    const rules = this.#naming.labels
    const resource = this.#resource?.pairs ?? []
    if (rules.scopeLabels !== true) return new LabelBase(rules, resource, [])
    const scope = {
      name: readText(bytes, start, end, scopeName),
      version: readText(bytes, start, end, scopeVersion),
      schemaUrl,
    }
    return new LabelBase(rules, resource, scopePairs(rules, scope, attributePairs(bytes, start, end, scopeTag)))
  }

  /**
   * The metric that was read, known again by the fields beside its data. `isUnknown`: a gauge that stands for something of
   * which Prometheus did not know the type.
   */
  stream(data: MetricData, isUnknown: boolean): Stream {
    const { head: bytes, headStart: start, headEnd: end } = data
    const code = data.kind | (data.temporality << 4) | (Number(data.isMonotonic) << 6) | (Number(isUnknown) << 7)
    const salt = (this.#scopeId << 8) | code
    const view = this.#viewing(bytes)
    const hash = this.#metrics.hash(view, start, end, salt)
    let id = this.#scopeId < 0 ? -1 : this.#metrics.find(hash, view, start, end, salt)
    const found = id < 0 ? undefined : this.#streams[id]
    if (found !== undefined) {
      if (found.epoch !== this.#table.epoch) this.#settle(found)
      return found
    }
    // Its texts are made of these bytes.
    const isKept = this.#scopeId >= 0 && this.#room.grow(entryCost + (end - start) * 4)
    if (isKept) id = this.#metrics.add(hash, bytes, start, end, salt)
    const base = this.#base ?? new LabelBase(this.#naming.labels, [], [])
    const made = new Stream(id, base, bytes.subarray(start, end), data, isUnknown, this.#naming)
    if (id >= 0) this.#streams[id] = made
    this.#settle(made)
    return made
  }

  /** Finds the family that its series belong to, or says why there is none. */
  #settle(stream: Stream): void {
    const { refusal } = stream
    if (refusal !== undefined && refusal !== 'name_conflict' && refusal !== 'memory_limit') return
    const found = this.#table.family(stream.name, stream.type, stream.help, stream.unit)
    stream.epoch = this.#table.epoch
    if (found === 'memory_limit') {
      stream.family = undefined
      stream.refusal = found
      stream.complaint = `there is no memory for \`${stream.name}\``
      // There may be the next time.
      stream.epoch = -1
      return
    }
    if ('takenBy' in found) {
      stream.family = undefined
      stream.refusal = 'name_conflict'
      stream.complaint = `the ${stream.type} \`${stream.source}\` cannot be \`${stream.name}\`, as there is ${found.takenBy} already`
      return
    }
    stream.family = found
    stream.refusal = undefined
    if (found.help !== stream.help) {
      this.#warn(`\`${stream.name}\` has two descriptions; the page shows "${found.help}" and not "${stream.help}"`)
    }
    if (found.unit !== stream.unit) {
      this.#warn(`\`${stream.name}\` comes in two units, \`${found.unit}\` and \`${stream.unit}\``)
    }
  }

  /** The series of a point with these attributes, or why there is none. */
  series(
    stream: Stream,
    family: Family,
    bytes: Uint8Array,
    start: number,
    end: number,
    tag: number,
  ): Series | NoRoom | 'labels_too_long' {
    const points = this.#points
    const view = this.#viewing(bytes)
    const hash = points.hash(view, start, end, stream.id)
    let key = stream.id < 0 ? -1 : points.find(hash, view, start, end, stream.id)
    const found = key < 0 ? undefined : this.#seriesOf[key]
    if (found !== undefined && !found.isGone) return found
    if (stream.base.size + end - start > longestLabels) return 'labels_too_long'
    const series = this.#table.series(family, labelsOf(stream, attributePairs(bytes, start, end, tag)))
    if (typeof series === 'string') return series
    if (key < 0 && stream.id >= 0) key = points.add(hash, bytes, start, end, stream.id)
    if (key >= 0) this.#seriesOf[key] = series
    return series
  }

  #viewing(bytes: Uint8Array): DataView {
    if (bytes !== this.#viewed) {
      this.#view = viewOf(bytes)
      this.#viewed = bytes
    }
    return this.#view
  }
}

/** The labels of a series. */
const labelsOf = ({ base, type }: Stream, attributes: readonly Pair[]): readonly Pair[] =>
  base.labels(attributes, type === 'histogram' ? 'le' : type === 'summary' ? 'quantile' : undefined)
