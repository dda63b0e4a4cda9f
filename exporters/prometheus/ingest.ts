/** Takes batches into the table, straight from their bytes. */
import type { Batch } from '../../core/batch.ts'
import type { Sent } from '../../core/component.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import { MetricData } from '../../proto/metric-data.ts'
import { GAUGE, metricPoints } from '../../proto/points.ts'
import { Range, readValue } from '../../proto/values.ts'
import { ItemCursor } from '../../proto/views.ts'
import { Cursor, WireError } from '../../proto/wire.ts'
import type { Room } from '../../proto/room.ts'
import { type Naming, type Reason, type Stream, StreamLookups } from './streams.ts'
import type { Table } from './table.ts'
import { Takers } from './takers.ts'

/** Under which the prometheus receiver says what type a metric had. */
const typeKey = Buffer.from('prometheus.type')

/** Points that are taken between two pauses: some five milliseconds of series that are all new. */
const stride = 1024

/** Counts what is not on the page, and why. */
class Refused {
  total = 0
  readonly reasons = new Map<Reason, number>()
  readonly complaints: string[] = []

  add(reason: Reason, points: number, complaint: string): void {
    if (points <= 0) return
    const count = this.reasons.get(reason)
    this.reasons.set(reason, (count ?? 0) + points)
    this.total += points
    if (count === undefined) this.complaints.push(complaint)
  }
}

/** Everything that goes into one table goes through one of these. */
export class Ingest {
  readonly #table: Table
  readonly #streams: StreamLookups
  readonly #takers: Takers
  readonly #items = new ItemCursor()
  readonly #scope = new Range()
  readonly #data = new MetricData()
  #warnings: string[] = []
  #refused = new Refused()
  /** Points of the batch that are on the page. */
  #taken = 0

  /** `room`: where memory is taken for what is known again by its bytes. */
  constructor(table: Table, naming: Naming, room?: Room) {
    this.#table = table
    this.#streams = new StreamLookups(table, naming, message => this.#warnings.push(message), room)
    this.#takers = new Takers(table, this.#streams)
  }

  /** Takes what was not heard of for too long off the page, and gives its memory back. */
  *expire(now: number): Generator<undefined, void> {
    const table = this.#table
    yield* table.expire(now)
    if (table.left * 8 > table.size) this.#streams.forget()
  }

  /**
   * Takes all points of a batch, heard of at `now`, with a pause now and then, in which series may leave the table; another
   * batch comes when this one has ended. What is not taken is told.
   */
  *take(batch: Batch, now: number): Generator<undefined, Sent | undefined> {
    const streams = this.#streams
    streams.begin()
    this.#refused = new Refused()
    this.#warnings = []
    this.#taken = 0
    let left = stride
    for (const group of batch.groups) {
      this.#resource(group, now)
      const items = this.#items.set(group)
      while (items.nextScope()) {
        this.#enter()
        while (items.nextItem()) {
          let stream = this.#streamIn(items.bytes, items.start, items.end)
          while (stream !== undefined && this.#point(stream, now)) {
            if (--left > 0) continue
            left = stride
            yield
            // What was known may have been forgotten meanwhile.
            this.#resource(group, now)
            this.#enter()
            stream = streams.stream(this.#data, isUnknown(this.#data))
          }
        }
      }
    }
    streams.end()
    this.#takers.clear()
    // What could not even be counted.
    this.#refused.add('invalid', batch.items - this.#taken - this.#refused.total, 'a metric cannot be read')
    return this.#sent()
  }

  #resource({ resource, resourceStart, resourceEnd }: Group, now: number): void {
    this.#streams.resource(resource, resourceStart, resourceEnd, now)
  }

  /** Says what scope the metrics are of that come. */
  #enter(): void {
    const items = this.#items
    const scope = this.#scope
    if (!items.scope(scope)) scope.set(items.bytes, 0, 0)
    this.#streams.scope(scope.bytes, scope.start, scope.end, items.scopeSchemaUrl())
  }

  #sent(): Sent | undefined {
    const { total, reasons, complaints } = this.#refused
    const message = [...complaints, ...this.#warnings].slice(0, 5).join('; ')
    if (message === '') return undefined
    return { rejected: total, message, reasons: Object.fromEntries(reasons) }
  }

  /** The metric between `start` and `end`; undefined where none of its points can be taken. */
  #streamIn(bytes: Buffer, start: number, end: number): Stream | undefined {
    const data = this.#data
    try {
      if (!data.read(bytes, start, end)) return undefined
      const stream = this.#streams.stream(data, isUnknown(data))
      if (stream.family !== undefined) return stream
      this.#refused.add(stream.refusal ?? 'invalid', pointsOf(bytes, start, end), stream.complaint)
    } catch (error) {
      // Its points are missed when all are counted.
      if (!(error instanceof WireError)) throw error
    }
    return undefined
  }

  /** Takes the next point of the metric, and says whether there was one. */
  #point(stream: Stream, now: number): boolean {
    const data = this.#data
    try {
      if (!data.nextPoint()) return false
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      return false
    }
    try {
      const { kind, bytes, pointStart, pointEnd } = data
      const reason =
        stream.family === undefined
          ? (stream.refusal ?? 'invalid')
          : this.#takers.take(stream, kind, bytes, pointStart, pointEnd, now)
      if (reason === undefined) this.#taken++
      else if (stream.family === undefined) this.#refused.add(reason, 1, stream.complaint)
      else this.#refused.add(reason, 1, complaintOf(reason, stream, this.#table.limit))
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#refused.add('invalid', 1, `\`${stream.source}\`: ${error.message}`)
    }
    return true
  }
}

function isUnknown({ kind, hasMetadata, head, headStart, headEnd }: MetricData): boolean {
  if (kind !== GAUGE || !hasMetadata) return false
  const value = new Range()
  if (!findAttribute(head, headStart, headEnd, attributeTags.metadata, typeKey, value)) return false
  return readValue(value.bytes, value.start, value.end) === 'unknown'
}

const pointsOf = (bytes: Buffer, start: number, end: number): number => metricPoints(new Cursor(bytes, start, end))

function complaintOf(reason: Reason, { name, source }: Stream, limit: number): string {
  if (reason === 'cardinality_limit') {
    return `there are ${limit} series already, so new ones of \`${name}\` are not taken; raise \`series_limit\` or drop attributes`
  }
  if (reason === 'memory_limit') {
    return `there is no memory for more series, so new ones of \`${name}\` are not taken; raise the memory limit, lower \`metric_expiration\` or drop attributes`
  }
  if (reason === 'labels_too_long') return `\`${source}\` has a point with more labels than a series can have`
  if (reason === 'out_of_order') return `\`${source}\` has points that are older than what the page has`
  return `\`${source}\` has a point without a usable value`
}
