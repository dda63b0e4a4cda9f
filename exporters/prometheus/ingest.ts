/** Takes batches into the table, straight from their bytes. */
import type { Batch } from '../../core/batch.ts'
import type { Sent } from '../../core/component.ts'
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import { metricPoints } from '../../proto/points.ts'
import { messageNamed } from '../../proto/schema.ts'
import { Range, readValue } from '../../proto/values.ts'
import { findMember, ItemCursor } from '../../proto/views.ts'
import { Cursor, LENGTH, WireError } from '../../proto/wire.ts'
import type { Room } from '../../proto/room.ts'
import { type Naming, type Reason, type Shape, type Stream, Streams } from './streams.ts'
import type { Table } from './table.ts'
import { Takers } from './takers.ts'

const dataFields = (1 << 5) | (1 << 7) | (1 << 9) | (1 << 10) | (1 << 11)
const metadataField = 12
/** Under which the prometheus receiver says what type a metric had. */
const typeKey = Buffer.from('prometheus.type')
const metric = messageNamed('Metric')

/** What is different from one metric to the next, written over each time. */
class MetricScan implements Shape {
  data = 0
  temporality = 0
  isMonotonic = false
  isUnknown = false
  /** The data's content, and the fields beside it. */
  readonly content = new Range()
  readonly header = new Range()
}

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
  readonly #streams: Streams
  readonly #takers: Takers
  readonly #items = new ItemCursor()
  readonly #cursor = new Cursor(new Uint8Array(0))
  readonly #scope = new Range()
  readonly #scan = new MetricScan()
  #warnings: string[] = []
  #refused = new Refused()
  /** Points of the batch that are on the page. */
  #taken = 0

  /** `room`: where memory is taken for what is known again by its bytes. */
  constructor(table: Table, naming: Naming, room?: Room) {
    this.#table = table
    this.#streams = new Streams(table, naming, message => this.#warnings.push(message), room)
    this.#takers = new Takers(table, this.#streams)
  }

  /** Takes what was not heard of for too long off the page, and gives its memory back. */
  expire(now: number): void {
    const table = this.#table
    table.expire(now)
    if (table.left * 8 > table.size) this.#streams.forget()
  }

  /** Takes all points of a batch. What is not taken is told. */
  take(batch: Batch, now = Date.now()): Sent | undefined {
    const streams = this.#streams
    streams.begin()
    this.#refused = new Refused()
    this.#warnings = []
    this.#taken = 0
    for (const group of batch.groups) {
      streams.resource(group.resource, group.resourceStart, group.resourceEnd, now)
      const items = this.#items.set(group)
      while (items.nextScope()) {
        const scope = this.#scope
        if (!items.scope(scope)) scope.set(items.bytes, 0, 0)
        streams.scope(scope.bytes, scope.start, scope.end, items.scopeSchemaUrl())
        while (items.nextItem()) this.#metric(items.bytes, items.start, items.end, now)
      }
    }
    streams.end()
    this.#takers.clear()
    // What could not even be counted.
    this.#refused.add('invalid', batch.items - this.#taken - this.#refused.total, 'a metric cannot be read')
    return this.#sent()
  }

  #sent(): Sent | undefined {
    const { total, reasons, complaints } = this.#refused
    const message = [...complaints, ...this.#warnings].slice(0, 5).join('; ')
    if (message === '') return undefined
    return { rejected: total, message, reasons: Object.fromEntries(reasons) }
  }

  #metric(bytes: Buffer, start: number, end: number, now: number): void {
    const scan = this.#scan
    try {
      if (!this.#read(bytes, start, end)) return
      const { header } = scan
      const stream = this.#streams.stream(header.bytes, header.start, header.end, scan)
      if (stream.family === undefined) {
        this.#refused.add(stream.refusal ?? 'invalid', pointsOf(bytes, start, end), stream.complaint)
        return
      }
      const points = this.#cursor.set(scan.content.bytes, scan.content.start, scan.content.end)
      while (points.at < points.end) {
        const tag = points.tag()
        if (tag !== 0x0a) {
          points.skip(tag)
          continue
        }
        const from = points.length() + points.at
        this.#point(stream, scan.data, scan.content.bytes, points.at, from, now)
        points.at = from
      }
    } catch (error) {
      // Its points are missed when all are counted.
      if (!(error instanceof WireError)) throw error
    }
  }

  #point(stream: Stream, data: number, bytes: Uint8Array, start: number, end: number, now: number): void {
    try {
      const reason = this.#takers.take(stream, data, bytes, start, end, now)
      if (reason === undefined) this.#taken++
      else this.#refused.add(reason, 1, complaintOf(reason, stream, this.#table.limit))
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#refused.add('invalid', 1, `\`${stream.source}\`: ${error.message}`)
    }
  }

  /** Reads what stands around the points; false where there is no data. */
  #read(bytes: Buffer, start: number, end: number): boolean {
    const scan = this.#scan
    const cursor = this.#cursor.set(bytes, start, end)
    let dataField = 0
    let dataEnd = 0
    let isUsual = true
    let hasMetadata = false
    scan.data = 0
    while (cursor.at < end) {
      const at = cursor.at
      const tag = cursor.tag()
      const field = tag >>> 3
      if (field < metadataField && ((1 << field) & dataFields) !== 0) {
        cursor.expect(tag, LENGTH, 'data of a metric')
        const length = cursor.length()
        isUsual &&= scan.data === 0
        scan.data = field
        scan.content.set(bytes, cursor.at, cursor.at + length)
        dataField = at
        dataEnd = cursor.at += length
        continue
      }
      // What follows the data belongs to the key, too.
      if (scan.data !== 0) isUsual = false
      if (field === metadataField) hasMetadata = true
      cursor.skip(tag)
    }
    if (scan.data === 0) return false
    if (isUsual) scan.header.set(bytes, start, dataField)
    else this.#gather(bytes, start, end, dataField, dataEnd)
    scan.isUnknown = hasMetadata && scan.data === 5 && isUnknown(bytes, start, end)
    this.#readShape()
    return true
  }

  /** The fields beside the data in a buffer of their own; data that stands twice is merged. */
  #gather(bytes: Buffer, start: number, end: number, dataField: number, dataEnd: number): void {
    const { header, content } = this.#scan
    const rest = Buffer.concat([bytes.subarray(start, dataField), bytes.subarray(dataEnd, end)])
    header.set(rest, 0, rest.length)
    const member = findMember(bytes, start, end, metric, 'data', content)
    this.#scan.data = member?.number ?? 0
  }

  /** Temporality and whether it only grows stand beside the points, mostly behind them. */
  #readShape(): void {
    const scan = this.#scan
    scan.temporality = 0
    scan.isMonotonic = false
    if (scan.data === 5 || scan.data === 11) return
    const { bytes, start, end } = scan.content
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const tag = cursor.tag()
      if (tag === 0x10) scan.temporality = Math.min(cursor.uint32(), 3)
      else if (tag === 0x18 && scan.data === 7) scan.isMonotonic = cursor.uint32() !== 0
      else cursor.skip(tag)
    }
  }
}

function isUnknown(bytes: Buffer, start: number, end: number): boolean {
  const value = new Range()
  if (!findAttribute(bytes, start, end, attributeTags.metadata, typeKey, value)) return false
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
