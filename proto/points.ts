/** Where data points stand in a metric, and counting them. */
import { checkItem, maxBeside, smallItem } from './item-limits.ts'
import { type Message, messageNamed } from './schema.ts'
import { type Cursor, LENGTH, WireError } from './wire.ts'

/** Fields of Metric that hold data, each of one kind. */
export const GAUGE = 5
export const SUM = 7
export const HISTOGRAM = 9
export const EXPONENTIAL_HISTOGRAM = 10
export const SUMMARY = 11

const dataFields = (1 << GAUGE) | (1 << SUM) | (1 << HISTOGRAM) | (1 << EXPONENTIAL_HISTOGRAM) | (1 << SUMMARY)

/** Tags of the fields that hold data. */
export const dataTags: readonly number[] = [GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY].map(
  field => (field << 3) | LENGTH,
)

/** Whether a field of Metric holds data. */
export const isData = (field: number): boolean => field <= SUMMARY && ((1 << field) & dataFields) !== 0

/** Data points of the metric between the cursor and its end: those of the data field that stands last, as it wins. */
export function metricPoints(cursor: Cursor): number {
  const end = cursor.end
  let points = 0
  let last = 0
  while (cursor.at < end) {
    cursor.end = end
    const tag = cursor.tag()
    const field = tag >>> 3
    // As isData says, here without a call.
    if (field > SUMMARY || ((1 << field) & dataFields) === 0) {
      cursor.skip(tag)
      continue
    }
    cursor.expect(tag, LENGTH, 'data of a metric')
    const dataEnd = cursor.length() + cursor.at
    cursor.end = dataEnd
    // Data of one kind that stands twice is merged, of another kind replaces.
    if (field !== last) points = 0
    last = field
    while (cursor.at < dataEnd) {
      const pointTag = cursor.tag()
      if (pointTag === 0x0a) points++
      cursor.skip(pointTag)
    }
  }
  return points
}

const metric = messageNamed('Metric')

/**
 * Counts the data points of one large metric, and can stop and go on. Large metrics may have to be cut between their
 * points, so their data stands once and what is repeated with each part is small.
 */
export class PointCounter {
  points = 0
  readonly #end: number
  #dataEnd = 0
  #point: Message | undefined
  #beside = 0

  /** `end`: where the metric ends. */
  constructor(end: number) {
    this.#end = end
  }

  /** Goes on from the cursor; false when it stopped at `until`, true at the end of the metric. */
  run(cursor: Cursor, until: number): boolean {
    for (;;) {
      if (!this.#data(cursor, until)) return false
      if (cursor.at >= this.#end) return true
      if (cursor.at >= until) return false
      cursor.end = this.#end
      const start = cursor.at
      const tag = cursor.tag()
      const field = tag >>> 3
      if (!isData(field)) {
        cursor.skip(tag)
        this.#addBeside(cursor.at - start)
        continue
      }
      cursor.expect(tag, LENGTH, 'data of a metric')
      if (this.#dataEnd > 0) throw new WireError(`the data of a large metric stands twice (byte ${start})`)
      this.#dataEnd = cursor.length() + cursor.at
      this.#point = pointOf(field)
    }
  }

  #data(cursor: Cursor, until: number): boolean {
    const end = this.#dataEnd
    cursor.end = end
    while (cursor.at < end) {
      if (cursor.at >= until) return false
      const start = cursor.at
      const tag = cursor.tag()
      if (tag !== 0x0a) {
        cursor.skip(tag)
        this.#addBeside(cursor.at - start)
        continue
      }
      this.points++
      const size = cursor.length()
      const from = cursor.at
      cursor.at += size
      if (size > smallItem && this.#point) checkItem(this.#point, cursor.bytes, from, cursor.at)
    }
    return true
  }

  #addBeside(bytes: number): void {
    this.#beside += bytes
    if (this.#beside > maxBeside)
      throw new WireError(`a metric has more than ${maxBeside} bytes beside its data points`)
  }
}

/** The message of a data point, by the metric's field of data. */
function pointOf(field: number): Message | undefined {
  const of = metric.byNumber[field]?.of
  const points = of === undefined ? undefined : messageNamed(of).byNumber[1]
  return points?.type === 'message' ? messageNamed(points.of) : undefined
}
